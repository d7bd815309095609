"""The delivery design's paragraph "Answers", row by row, through the real channel to where the delivery goes.

Each row: what the recipient's server does with the write -> the delivery's state, the cause a person reads, how many
attempts of the schedule it used, and how often the letter was posted by then.
"""

import copy
import json
from dataclasses import replace

import pytest
from bench_parts import STAFF, example

from coordinator.channels.answers import FHIR_STATUS
from coordinator.channels.fhir_rest import FhirRest
from coordinator.flow import recompose, resend
from coordinator.flow.track import ask_far_side
from coordinator.sandbox.ehr import patient_resource
from coordinator.sandbox.ehr_capability import capability_statement
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.settings import Settings
from tests.contract.people import NoSignIn
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback
FHIR = {"Content-Type": "application/fhir+json"}
PLACE = {**FHIR, "Location": "http://far/fhir/DocumentReference/9/_history/1"}
LOGIN = {"Content-Type": "text/html"}


def outcome(severity):
    return json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "x"}]}).encode()


ERROR, WARNING = outcome("error"), outcome("warning")
KEPT = json.dumps({"resourceType": "DocumentReference", "id": "9"}).encode()

TABLE = [
    # what comes back, how it is played, the delivery's state, the cause, attempts used, letters posted
    ("201, with its place",               Step(201, b"", PLACE),                        "acknowledged", None, 0, 1),
    ("201, with its place and a warning", Step(201, WARNING, PLACE),                    "acknowledged", None, 0, 1),
    ("200 to a conditional create",       Step(200, KEPT, FHIR),                        "acknowledged", None, 0, 1),
    ("200 with its place",                Step(200, b"", PLACE),                        "acknowledged", None, 0, 1),
    ("200 to a create without a condition", Step(200, KEPT, FHIR), "in-doubt", "fhir.no-location", 1, 1),
    ("202, accepted for review",          Step(202, b"", {}),                           "sent", None, 0, 1),
    ("200 with an error inside", Step(200, ERROR, FHIR), "held", "fhir.outcome-error", 0, 1),
    ("201 with an error inside", Step(201, ERROR, PLACE), "held", "fhir.outcome-error", 0, 1),
    ("202 with an error inside", Step(202, ERROR, FHIR), "held", "fhir.outcome-error", 0, 1),
    ("200 with a login page", Step(200, b"<html>", LOGIN), "in-doubt", "fhir.not-fhir", 1, 1),
    ("201 without a place", Step(201, b"", FHIR), "in-doubt", "fhir.no-location", 1, 1),
    ("204", Step(204, b"", {}), "in-doubt", "fhir.no-location", 1, 1),
    ("206", Step(206, b"", PLACE), "in-doubt", "fhir.no-location", 1, 1),
    ("301",                               Step(301, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("302",                               Step(302, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("303",                               Step(303, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("304",                               Step(304, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("307",                               Step(307, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("308",                               Step(308, b"", PLACE),                        "held", "fhir.redirect", 0, 1),
    ("400",                               Step(400, ERROR, FHIR),                       "dead", "fhir.400", 1, 1),
    ("401, no token to renew",            Step(401, b"", {}),                           "held", "fhir.401", 0, 1),
    ("403",                               Step(403, ERROR, FHIR),                       "held", "fhir.403", 0, 1),
    ("404",                               Step(404, ERROR, FHIR),                       "dead", "fhir.404", 1, 1),
    ("405",                               Step(405, ERROR, FHIR),                       "held", "fhir.405", 0, 1),
    ("406",                               Step(406, ERROR, FHIR),                       "held", "fhir.406", 0, 1),
    ("408",                               Step(408, b"", {}),                           "in-doubt", "fhir.408", 1, 1),
    ("409",                               Step(409, ERROR, FHIR),                       "in-doubt", "fhir.409", 1, 1),
    ("410",                               Step(410, ERROR, FHIR),                       "dead", "fhir.410", 1, 1),
    ("412",                               Step(412, ERROR, FHIR),                       "in-doubt", "fhir.412", 1, 1),
    ("413",                               Step(413, b"", {}),                           "dead", "fhir.413", 1, 1),
    ("415",                               Step(415, ERROR, FHIR),                       "dead", "fhir.415", 1, 1),
    ("422",                               Step(422, ERROR, FHIR),                       "dead", "fhir.422", 1, 1),
    ("423, which nobody agreed on",       Step(423, b"", {}),                           "held", "fhir.status", 0, 1),
    ("425",                               Step(425, b"", {}),                           "pending", "fhir.425", 1, 1),
    ("429",                               Step(429, b"", {}),                           "pending", "fhir.429", 1, 1),
    ("429, come again in ten minutes",    Step(429, b"", {"Retry-After": "600"}),       "pending", "fhir.429", 0, 1),
    ("500",                               Step(500, ERROR, FHIR),                       "in-doubt", "fhir.500", 1, 1),
    ("501, which nobody agreed on",       Step(501, b"", {}),                           "held", "fhir.status", 0, 1),
    ("502",                               Step(502, b"", {}),                           "in-doubt", "fhir.502", 1, 1),
    ("503",                               Step(503, b"", {}),                           "pending", "fhir.503", 1, 1),
    ("503, come again in ten minutes",    Step(503, b"", {"Retry-After": "600"}),       "pending", "fhir.503", 0, 1),
    ("504",                               Step(504, b"", {}),                           "in-doubt", "fhir.504", 1, 1),
    ("524, a gateway's own number",       Step(524, b"", {}),                           "in-doubt", "fhir.500", 1, 1),
    ("the line breaks once it was read", Step(act="close-after-reading"), "in-doubt", "net.reset-after-send", 1, 1),
    ("201, the answer is cut", Step(201, KEPT, PLACE, "cut-body"), "in-doubt", "fhir.not-fhir", 1, 1),
]  # fmt: skip
NAMES = [name for name, *_ in TABLE]


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


class Recipient:
    """The psychiatrist's server, played by hand, behind the real channel."""

    def __init__(self, bench, http):
        self.bench, self.http, self.answer, self.documents = bench, http, Step(), []
        self.play = "oracle-like"
        clinic = example("clinic")
        self.provider = copy.deepcopy(next(one for one in clinic["providers"] if one["id"] == "pr-psych"))
        with bench.store.begin(write=False) as tx:
            patient = tx.patient(tx.key("patient", "MRN-1001"))
        numbers = tuple(one for one in patient.identifiers if one.held_by == "pr-psych")
        self.patient = {**patient_resource(patient, numbers), "id": "far-1"}

    def __call__(self, method, path, body):
        if path.endswith("/metadata"):
            return Step(200, json.dumps(capability_statement(self.play)).encode(), FHIR)
        if path.endswith("/Patient/_search"):
            return self.found(self.patient)
        return self.found(*self.documents) if method == "GET" else self.answer

    def channel(self, settle_s):
        return FhirRest(self.http, NoSignIn(), self.bench.clock, settle_s=settle_s)

    def found(self, *resources):
        entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
        return Step(200, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode(), FHIR)

    def lives_at(self, address):
        # One person is enough for an address here: the rule of two has tests of its own.
        object.__setattr__(self.bench.parts, "policy", replace(self.bench.parts.policy, address_alone=True))
        for one in self.provider["endpoints"]:
            if one["kind"] == "fhir-rest":
                one |= {"address": f"{address}/fhir", "content_level": "document"}
                one["verified_on"] = self.bench.clock.now().date().isoformat()
                one.pop("auth", None)
                one.pop("partner", None)
        body = json.dumps(self.provider).encode()
        written = self.bench.registry.write("providers", "pr-psych", body, STAFF)
        assert written.outcome == "updated", written.faults


@pytest.fixture
def recipient(bench):
    with guarded_client(OutboundConfig(allow_loopback=True)) as http:
        made = Recipient(bench, http)
        bench.parts.channels["fhir-rest"] = made.channel(settle_s=0)
        yield made


def posted(far):
    return len(far.asked("POST", "/fhir/DocumentReference"))


@pytest.mark.parametrize(("name", "answer", "state", "cause", "attempts", "posts"), TABLE, ids=NAMES)
def test_each_answer_to_the_write_leads_where_the_table_says(
    bench, recipient, name, answer, state, cause, attempts, posts
):
    recipient.answer = answer
    if name.endswith("a conditional create"):
        recipient.play = "whole"
    with ScriptedHttp(recipient) as far:
        recipient.lives_at(far.address)
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
        (row,) = bench.deliveries(message.id)
        assert (row.state.value, row.cause, row.attempts_used, posted(far)) == (state, cause, attempts, posts)
        if state == "in-doubt":  # the far side is asked before anything is sent again, and holds it
            recipient.documents = [{"resourceType": "DocumentReference", "id": "9", "identifier": [
                {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{message.id}"}]}]  # fmt: skip
            ask_far_side(bench.parts, row.id)
            assert (bench.state(message.id), posted(far)) == ("acknowledged", posts)
        if state in {"held", "dead"}:
            assert bench.desk.message(message.id, STAFF).row.next_step
            bench.clock.turn(days=4)
            bench.sweep()
            bench.send_due()
            assert posted(far) == posts
    assert bench.broken() == []


@pytest.mark.parametrize("lag_minutes", [0, 1, 10])
def test_a_search_that_shows_a_letter_minutes_after_it_was_stored_makes_nobody_send_it_again(
    bench, recipient, lag_minutes
):
    bench.parts.channels["fhir-rest"] = recipient.channel(settle_s=Settings.model_fields["search_lag_s"].default)
    recipient.play, recipient.answer = "whole", Step(500)  # but it has stored the letter
    with ScriptedHttp(recipient) as far:
        recipient.lives_at(far.address)
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
        for minute in range(20):
            if minute == lag_minutes:
                recipient.documents = [{"resourceType": "DocumentReference", "id": "9", "identifier": [
                    {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{message.id}"}]}]  # fmt: skip
            bench.clock.turn(minutes=1)
            bench.sweep()
            bench.send_due()
        assert (bench.state(message.id), posted(far)) == ("acknowledged", 1)


def test_a_letter_that_is_surely_not_there_is_sent_once_more_when_the_searchs_lag_is_over(bench, recipient):
    lag_s = Settings.model_fields["search_lag_s"].default
    bench.parts.channels["fhir-rest"] = recipient.channel(settle_s=lag_s)
    recipient.play, recipient.answer = "whole", Step(500)
    with ScriptedHttp(recipient) as far:
        recipient.lives_at(far.address)
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
        recipient.answer, waited_s = Step(201, b"", PLACE), 0
        while posted(far) == 1 and waited_s < 3600:
            bench.clock.turn(seconds=30)
            waited_s += 30
            bench.sweep()
            bench.send_due()
        assert lag_s < waited_s < lag_s + 180
        assert (bench.state(message.id), posted(far)) == ("acknowledged", 2)


def test_a_letter_in_doubt_that_is_found_with_another_patient_is_an_incident_and_not_delivered(bench, recipient):
    recipient.answer = Step(500)
    with ScriptedHttp(recipient) as far:
        recipient.lives_at(far.address)
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
        recipient.documents = [{
            "resourceType": "DocumentReference", "id": "9", "subject": {"reference": "Patient/17"},
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{message.id}"}],
        }]  # fmt: skip
        (row,) = bench.deliveries(message.id)
        ask_far_side(bench.parts, row.id)
        assert (bench.state(message.id), bench.cause(message.id), posted(far)) == ("held", "fhir.other-patient", 1)
        with bench.store.begin(write=False) as tx:
            (incident,) = tx.incidents()
        assert (incident.kind, incident.message_id) == ("wrong-record", message.id)


def test_a_corrected_number_sends_nothing_that_was_composed_under_the_old_one_until_it_is_composed_anew(
    bench, recipient
):
    stranger = {**recipient.patient, "birthDate": "1950-01-01"}
    recipient.patient, ours, recipient.answer = stranger, recipient.patient, Step(201, b"", PLACE)
    with ScriptedHttp(recipient) as far:
        recipient.lives_at(far.address)
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
        assert (bench.state(message.id), bench.cause(message.id)) == ("held", "fhir.patient-mismatch")
        number = {"system": "urn:example:psych:mrn", "value": "NS-42"}
        bench.change_patient(identifiers=[{**number, "held_by": "pr-psych"}])
        recipient.patient = {**ours, "identifier": [number]}
        (row,) = bench.deliveries(message.id)
        resend.release(bench.parts, row.id, reason="the number is corrected", token="r" * 43, actor=STAFF)
        bench.send_due()
        assert (bench.cause(message.id), posted(far)) == ("fhir.patient-renumbered", 0)
        shown = recompose.preview(bench.parts, message.id, STAFF)
        recompose.recompose(
            bench.parts, message.id, seen=shown.seen, reason="the number is corrected", token="s" * 43, actor=STAFF
        )
        bench.send_due()
        (sent,) = far.asked("POST", "/fhir/DocumentReference")
        assert json.loads(sent[3])["subject"]["identifier"] == number


def test_the_table_has_a_row_for_every_status_that_the_channel_knows():
    told = {name.split(",")[0].split(" ")[0] for name in NAMES}
    assert {str(status) for status in FHIR_STATUS} <= told
    assert {"200", "201", "202", "204", "206", "301", "302", "303", "304", "307", "308"} <= told


@pytest.mark.parametrize(
    ("where", "cause"),
    [("nobody listens", "net.connect"), ("hangs up at once", "net.connect")],
)
def test_before_the_first_byte_nothing_can_have_arrived_and_it_is_tried_again(bench, recipient, where, cause):
    recipient.answer = Step(act="close-before-reading")
    if where == "nobody listens":
        recipient.lives_at(f"http://127.0.0.1:{a_dead_port()}")
        message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
        bench.send_due()
    else:
        with ScriptedHttp(lambda method, path, body: Step(act="close-before-reading")) as far:
            recipient.lives_at(far.address)
            message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
            bench.send_due()
    (row,) = bench.deliveries(message.id)
    assert (row.state.value, row.cause, row.attempts_used) == ("pending", cause, 1)
