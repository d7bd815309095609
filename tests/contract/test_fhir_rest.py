import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Package
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.ehr_capability import capability_statement
from coordinator.sandbox.web import Fault
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.channel_suite import ChannelSuite, Scene
from tests.contract.entries import MemoryEntries
from tests.contract.people import (
    CANARY,
    PATIENT,
    SYSTEM,
    NoSignIn,
    StillClock,
    WallClock,
    a_chart,
    a_document,
    a_package,
    document_reference,
)
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback

FHIR = {"Content-Type": "application/fhir+json"}
OUTCOME = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}).encode()
WARNING = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}).encode()
FAR_PATIENT = {
    "resourceType": "Patient",
    "id": "far-1",
    "birthDate": "1988-03-07",
    "identifier": [{"system": "urn:example:mrn", "value": f"NS-{CANARY}"}],
    "name": [{"family": f"Núñez-{CANARY}", "given": ["Zoë"]}],
    "gender": "female",
    "telecom": [{"system": "phone", "value": "(218) 555-0177"}],
    "address": [{"postalCode": "55804-2101"}],
}
CREATED = Step(201, b"", {**FHIR, "Location": "http://far/DocumentReference/9"})

ANSWERS: dict[str, Step] = {
    "": CREATED,
    "break-after": Step(act="close-after-reading"),
    "silence-after": Step(act="hang"),
    "drip": Step(201, b"{}", FHIR, "drip-headers"),
    "drip-body": Step(201, b"{}", FHIR, "drip-body"),
    "endless": Step(201, b"", FHIR, "endless-body"),
    "cut": Step(201, b'{"resourceType":', FHIR, "cut-body"),
    "html": Step(200, b"<html>sign in</html>", {"Content-Type": "text/html"}),
    "outcome-in-200": Step(200, OUTCOME, FHIR),
    "outcome-in-201": Step(201, OUTCOME, {**FHIR, "Location": "http://far/DocumentReference/9"}),
    "no-location": Step(201, b"", FHIR),
    "204": Step(204, b"", {}),
    "garbage": Step(201, b"\xff\xfe{{{{", {**FHIR, "Location": "x/1"}),
    "packed": Step(201, b"\x1f\x8b", {**FHIR, "Content-Encoding": "gzip", "Location": "x/1"}),
    "redirect": Step(307, b"", {"Location": "http://169.254.169.254/latest"}),
    **{str(status): Step(status, OUTCOME, FHIR) for status in (
        400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 418, 422, 425, 429, 500, 502, 503, 504)},
}  # fmt: skip


def search_set(*resources, **more):
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    return Step(
        200, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries, **more}).encode(), FHIR
    )


def far_side(answer: Step, *, patients=(FAR_PATIENT,), play="epic-like", documents=()):
    def script(method, path, body):
        if path.endswith("/metadata"):
            return Step(200, json.dumps(capability_statement(play)).encode(), FHIR)
        if path.endswith("/Patient/_search"):
            return search_set(*patients)
        if method == "GET":
            return search_set(*documents)
        return answer

    return ScriptedHttp(script)


class TestFhirRest(ChannelSuite):
    refusals = (
        ("400", "permanent", "fhir.400"),
        ("401", "needs-human", "fhir.401"),
        ("403", "needs-human", "fhir.403"),
        ("404", "permanent", "fhir.404"),
        ("408", "in-doubt", "fhir.408"),
        ("409", "in-doubt", "fhir.409"),
        ("410", "permanent", "fhir.410"),
        ("412", "in-doubt", "fhir.412"),
        ("413", "permanent", "fhir.413"),
        ("415", "permanent", "fhir.415"),
        ("418", "needs-human", "fhir.status"),
        ("422", "permanent", "fhir.422"),
        ("425", "transient", "fhir.425"),
        ("429", "transient", "fhir.429"),
        ("500", "in-doubt", "fhir.500"),
        ("502", "in-doubt", "fhir.502"),
        ("503", "transient", "fhir.503"),
        ("504", "in-doubt", "fhir.504"),
        ("redirect", "needs-human", "fhir.redirect"),
        ("html", "in-doubt", "fhir.not-fhir"),
        ("garbage", "in-doubt", "fhir.not-fhir"),
        ("packed", "in-doubt", "fhir.not-fhir"),
        ("cut", "in-doubt", "fhir.not-fhir"),
        ("endless", "in-doubt", "fhir.not-fhir"),
        ("outcome-in-200", "needs-human", "fhir.outcome-error"),
        ("outcome-in-201", "needs-human", "fhir.outcome-error"),
        ("no-location", "in-doubt", "fhir.no-location"),
        ("204", "in-doubt", "fhir.no-location"),
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _http(cls):
        with guarded_client(OutboundConfig(allow_loopback=True)) as http:
            cls.http = http
            yield

    @contextmanager
    def scene(self, fault=""):
        with far_side(ANSWERS.get(fault, CREATED)) as far:
            address = f"http://127.0.0.1:{a_dead_port()}" if fault == "refused-connection" else far.address
            self.far = far
            yield Scene(
                FhirRest(self.http, NoSignIn(), WallClock(), book=MemoryEntries()),
                Endpoint(id="ep", kind="fhir-rest", address=f"{address}/fhir"),
                a_package(),
                lambda: sum(len(one[3]) for one in far.asked("POST", "/fhir/DocumentReference")),
            )

    def two_letters(self, package):
        names = [{"system": SYSTEM, "value": f"urn:uuid:{one}"} for one in ("summary", "alert")]
        letters = [document_reference(package.message, masterIdentifier=one) for one in names]
        bodies = [json.dumps(one).encode() for one in letters]
        return replace(
            package, documents=tuple(a_document("fhir-document", one, FHIR["Content-Type"]) for one in bodies)
        )

    def letters_at(self, scene):
        posted = [json.loads(one[3]) for one in self.far.asked("POST", "/fhir/DocumentReference")]
        return len({one["masterIdentifier"]["value"] for one in posted})

    def test_a_body_that_drips_is_cut_at_the_deadline(self):
        with self.scene("drip-body") as scene:
            assert type(self.refused("drip-body", scene, within_s=1.0)) is InDoubt


@contextmanager
def with_far_side(far):
    with far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        yield FhirRest(http, NoSignIn(), WallClock()), far


def send(channel, far, package: Package, **endpoint):
    marks = []
    place = Endpoint(id="ep", kind="fhir-rest", address=f"{far.address}/fhir", **endpoint)
    taken = channel.send(package, place, deadline=soon(), about_to_send=marks.append)
    assert len(marks) == 1
    return taken


def soon():
    return WallClock().now() + timedelta(seconds=8)


@pytest.mark.parametrize(
    ("patients", "code"),
    [
        ((), "fhir.patient-none"),
        ((FAR_PATIENT, {**FAR_PATIENT, "id": "far-2"}), "fhir.patient-several"),
        (({**FAR_PATIENT, "birthDate": "1988-03-08"},), "fhir.patient-mismatch"),
        (({**FAR_PATIENT, "identifier": [{"system": "urn:example:mrn", "value": "other"}]},), "fhir.patient-none"),
        (
            ({**FAR_PATIENT, "link": [{"other": {"reference": "Patient/2"}, "type": "replaced-by"}]},),
            "fhir.patient-merged",
        ),
        (({**FAR_PATIENT, "active": False},), "fhir.patient-inactive"),
    ],
)
def test_nothing_is_posted_when_the_patient_is_not_surely_matched(patients, code):
    with with_far_side(far_side(CREATED, patients=patients)) as (channel, far):
        with pytest.raises(NeedsHuman) as caught:
            send(channel, far, a_package())
        assert caught.value.code == code
        assert far.asked("POST", "/fhir/DocumentReference") == []


def test_without_their_number_name_birth_date_and_one_more_must_fit_exactly():
    stranger = {**FAR_PATIENT, "id": "far-9", "name": [{"family": f"Núñez-{CANARY}-Berg", "given": ["Zoë"]}]}
    unnumbered = PATIENT.model_copy(update={"identifiers": ()})
    with with_far_side(far_side(CREATED, patients=(stranger, FAR_PATIENT))) as (channel, far):
        assert send(channel, far, a_package(patient=unnumbered)).facts["matched_by"] == "demographics"
        form = far.asked("POST", "/fhir/Patient/_search")[0][3].decode()
        assert {one.split("=")[0] for one in form.split("&")} == {"family", "given", "birthdate", "address-postalcode"}


def without(*fields):
    return {name: value for name, value in FAR_PATIENT.items() if name not in fields}


def known_by(*fields):
    """Return our patient without a number of theirs, of whom we know only these things beside name and birth date."""
    unknown = {"address": None, "phone": None, "sex": "unknown"}
    return PATIENT.model_copy(
        update={"identifiers": (), **{name: value for name, value in unknown.items() if name not in fields}}
    )


@pytest.mark.parametrize("one", ["address", "phone", "sex"])
def test_a_match_by_name_holds_when_one_more_agrees_however_it_is_written(one):
    with with_far_side(far_side(CREATED)) as (channel, far):
        assert send(channel, far, a_package(patient=known_by(one))).proven


@pytest.mark.parametrize(
    ("one", "theirs"),
    [
        ("address", without("address")),
        ("address", {**FAR_PATIENT, "address": [{"postalCode": "55805"}]}),
        ("address", {**FAR_PATIENT, "address": [{"postalCode": "5"}]}),
        ("phone", without("telecom")),
        ("phone", {**FAR_PATIENT, "telecom": [{"system": "phone", "value": "218 555 0178"}]}),
        ("phone", {**FAR_PATIENT, "telecom": [{"system": "phone", "value": "555 0177"}]}),
        ("sex", without("gender")),
        ("sex", {**FAR_PATIENT, "gender": "male"}),
    ],
)
def test_a_server_that_passes_over_a_search_term_gets_nothing_about_somebody_of_the_same_name_and_birth_date(
    one, theirs
):
    with with_far_side(far_side(CREATED, patients=(theirs,))) as (channel, far):
        with pytest.raises(NeedsHuman) as caught:
            send(channel, far, a_package(patient=known_by(one)))
        assert caught.value.code == "fhir.patient-none"
        assert far.asked("POST", "/fhir/DocumentReference") == []


@pytest.mark.parametrize("more", [{"link": [{"relation": "next", "url": "http://far/fhir?page=2"}]}, {"total": 2}])
def test_a_patient_of_whom_there_may_be_another_on_the_next_page_is_not_the_only_one(more):
    def script(method, path, body):
        return search_set(FAR_PATIENT, **more) if path.endswith("/Patient/_search") else usual(method, path, body)

    far = far_side(CREATED)
    usual, far.script = far.script, script
    with with_far_side(far) as (channel, far):
        with pytest.raises(NeedsHuman) as caught:
            send(channel, far, a_package())
        assert caught.value.code == "fhir.patient-several"


def test_nothing_private_ever_stands_in_a_url():
    with with_far_side(far_side(CREATED)) as (channel, far):
        package = a_package(attempt=2)
        send(channel, far, package)
        channel.look_up(
            package, Endpoint(id="e", kind="fhir-rest", address=f"{far.address}/fhir"), None, deadline=soon()
        )
        assert far.heads
        assert all(CANARY not in path and "NS-" not in path for _, path in far.heads)


def test_the_posted_bytes_are_the_stored_bytes():
    package = a_package()
    with with_far_side(far_side(CREATED)) as (channel, far):
        send(channel, far, package)
        assert far.asked("POST", "/fhir/DocumentReference")[0][3] == package.document("fhir-document").body


class Tokens(NoSignIn):
    """Gives the tokens in turn as the one before is refused; the last one stays."""

    def __init__(self, *tokens):
        self.tokens, self.refused = list(tokens), []

    def authorization(self, endpoint, *, renew, deadline, refused=None):
        if renew:
            self.refused.append(refused)
            self.tokens[:-1] = self.tokens[1:-1]
        return self.tokens[0]


@pytest.mark.parametrize(("tokens", "posts", "taken"), [(("a", "b"), 2, True), (("a", "a"), 1, False)])
def test_a_refused_token_is_renewed_once_and_what_cannot_be_renewed_is_not_shown_twice(tokens, posts, taken):
    def script(method, path, body):
        if (method, path) != ("POST", "/fhir/DocumentReference"):
            return usual(method, path, body)
        return Step(401) if not far.asked(method, path) else CREATED

    far = far_side(CREATED)
    usual, far.script = far.script, script
    with far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        credentials = Tokens(*tokens)
        channel = FhirRest(http, credentials, WallClock())
        if taken:
            assert send(channel, far, a_package()).proven
        else:
            with pytest.raises(NeedsHuman) as caught:
                send(channel, far, a_package())
            assert caught.value.code == "fhir.401"
        assert credentials.refused == ["a"]
        shown = [one[2]["authorization"] for one in far.asked("POST", "/fhir/DocumentReference")]
        assert shown == list(tokens[:posts])


def test_what_is_accepted_for_review_is_not_yet_delivered():
    with with_far_side(far_side(Step(202, WARNING, FHIR))) as (channel, far):
        taken = send(channel, far, a_package())
        assert (taken.proven, taken.status) == (False, 202)
        assert taken.expect_receipt_within_s is not None


def test_a_retry_after_is_handed_on_and_uses_no_attempt():
    with with_far_side(far_side(Step(503, OUTCOME, {**FHIR, "Retry-After": "120"}))) as (channel, far):
        with pytest.raises(Transient) as caught:
            send(channel, far, a_package())
        assert caught.value.retry_after == timedelta(seconds=120)
        assert caught.value.uses_attempt is False


def test_a_second_attempt_looks_before_it_repeats():
    package = a_package(attempt=2)
    held = json.loads(package.document("fhir-document").body) | {"id": "9"}
    with with_far_side(far_side(CREATED, documents=(held,))) as (channel, far):
        taken = send(channel, far, package)
        assert (taken.proven, taken.far_side_ref) == (True, "DocumentReference/9")
        assert far.asked("POST", "/fhir/DocumentReference") == []


@pytest.mark.parametrize("refusal", [Step(403), Step(404), Step(405), Step(400), Step(501)])
def test_a_server_that_cannot_be_searched_does_not_stop_a_second_attempt(refusal):
    def script(method, path, body):
        if method == "GET" and "identifier=" in path:
            return refusal
        return usual(method, path, body)

    far = far_side(CREATED)
    usual, far.script = far.script, script
    with with_far_side(far) as (channel, far):
        assert send(channel, far, a_package(attempt=2)).proven


@pytest.mark.parametrize("status", [408, 502, 504])
@pytest.mark.parametrize(
    ("play", "told"), [("whole", Transient), ("epic-like", InDoubt), ("documents-only", InDoubt)]
)  # fmt: skip
def test_behind_a_gateways_answer_a_letter_may_be_there_and_is_repeated_only_where_that_doubles_nothing(
    status, play, told
):
    with with_far_side(far_side(Step(status), play=play)) as (channel, far):
        with pytest.raises(told) as seen:
            send(channel, far, a_package())
        assert (seen.value.code, seen.value.status) == (f"fhir.{status}", status)


def test_a_search_that_is_down_holds_a_second_attempt_back():
    def script(method, path, body):
        return Step(503) if method == "GET" and "identifier=" in path else usual(method, path, body)

    far = far_side(CREATED)
    usual, far.script = far.script, script
    with with_far_side(far) as (channel, far):
        with pytest.raises(Transient):
            send(channel, far, a_package(attempt=2))
        assert far.asked("POST", "/fhir/DocumentReference") == []


def test_a_person_who_resends_is_not_stopped_by_the_letter_that_is_there():
    package = a_package(attempt=2, resent=True)
    held = json.loads(package.document("fhir-document").body) | {"id": "9"}
    with with_far_side(far_side(CREATED, documents=(held,))) as (channel, far):
        send(channel, far, package)
        assert len(far.asked("POST", "/fhir/DocumentReference")) == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"), [(401, NeedsHuman, "fhir.no-metadata"), (500, Transient, "fhir.metadata")]
)
def test_a_server_that_does_not_say_what_it_takes_gets_nothing(status, kind, code):
    with with_far_side(ScriptedHttp(lambda method, path, body: Step(status))) as (channel, far):
        with pytest.raises(kind) as caught:
            send(channel, far, a_package())
        assert caught.value.code == code
        assert [one[0] for one in far.requests] == ["GET"]


def test_a_pinned_level_without_a_body_is_held():
    with with_far_side(far_side(CREATED)) as (channel, far):
        with pytest.raises(NeedsHuman) as caught:
            send(channel, far, a_package(), content_level="chart")
        assert caught.value.code == "fhir.level"


@pytest.mark.parametrize(
    ("status", "issue"), [(404, "not-found"), (405, "x"), (422, "not-supported"), (400, "not-supported")]
)
def test_a_server_that_promised_transactions_and_refuses_them_gets_the_document_next(status, issue):
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": issue}]}

    def script(method, path, body):
        if (method, path) == ("POST", "/fhir"):
            return Step(status, json.dumps(outcome).encode(), FHIR)
        return usual(method, path, body)

    far = far_side(CREATED, play="whole")
    usual, far.script = far.script, script
    package = a_package(roles=("fhir-chart", "fhir-document"))
    with with_far_side(far) as (channel, far):
        with pytest.raises(Transient) as caught:
            send(channel, far, package)
        assert caught.value.uses_attempt is False
        taken = send(channel, far, package)
        assert (taken.facts["level"], taken.facts["chart"]) == ("document", "refused by the server")


def test_a_chart_refused_for_its_content_is_not_quietly_sent_as_less():
    def script(method, path, body):
        if (method, path) == ("POST", "/fhir"):
            return Step(422, OUTCOME, FHIR)
        return usual(method, path, body)

    far = far_side(CREATED, play="whole")
    usual, far.script = far.script, script
    with with_far_side(far) as (channel, far), pytest.raises(Permanent):
        send(channel, far, a_package(roles=("fhir-chart", "fhir-document")))


@pytest.fixture
def ehr(tmp_path):
    one = Ehr(tmp_path)
    one.start()
    one.admit(PATIENT, "pr-psych")
    yield one
    one.stop()


def at(ehr, **more):
    return Endpoint(id="ep", kind="fhir-rest", address=ehr.address, **more)


def test_a_whole_server_gets_the_chart_once_however_often_it_is_sent(ehr, http):
    channel, package = FhirRest(http, NoSignIn(), WallClock()), a_package(roles=("fhir-chart", "fhir-document"))
    first = channel.send(package, at(ehr), deadline=soon(), about_to_send=lambda ref: None)
    again = channel.send(package, at(ehr), deadline=soon(), about_to_send=lambda ref: None)
    assert (first.proven, first.facts["level"], again.proven) == (True, "chart", True)
    assert again.facts["answer"] == "already there"
    assert (ehr.count(), ehr.duplicates(), len(ehr.resources("Patient"))) == (1, [], 1)


@pytest.mark.parametrize("play", ["epic-like", "oracle-like"])
def test_a_server_without_transactions_gets_one_document(play):
    package = a_package(roles=("fhir-chart", "fhir-document"))
    with with_far_side(far_side(CREATED, play=play)) as (channel, far):
        assert send(channel, far, package).facts["level"] == "document"
        assert len(far.asked("POST", "/fhir/DocumentReference")) == 1


def test_a_server_that_takes_no_documents_is_held(ehr, http):
    ehr.play("athena-like")
    with pytest.raises(NeedsHuman) as caught:
        FhirRest(http, NoSignIn(), WallClock()).send(
            a_package(), at(ehr), deadline=soon(), about_to_send=lambda r: None
        )
    assert caught.value.code == "fhir.level"


def test_a_chart_that_names_another_patient_record_gives_way_to_the_document(ehr, http):
    package = a_package(roles=("fhir-chart", "fhir-document"))
    stranger = PATIENT.model_copy(
        update={"identifiers": (PATIENT.identifiers[0].model_copy(update={"value": "NS-9"}),)}
    )
    ehr.admit(stranger.model_copy(update={"id": "MRN-9"}), "pr-psych")
    from dataclasses import replace

    taken = FhirRest(http, NoSignIn(), WallClock()).send(
        replace(package, patient=stranger), at(ehr), deadline=soon(), about_to_send=lambda ref: None
    )
    assert taken.facts["level"] == "document"


NUMBER = f"NS-{CANARY}"


def known_as(*numbers):
    known = [PATIENT.identifiers[0].model_copy(update={"value": one}) for one in numbers]
    return PATIENT.model_copy(update={"identifiers": tuple(known)})


def test_two_numbers_of_one_patient_that_lead_to_two_records_are_a_persons_matter(ehr, http):
    ehr.seed({**FAR_PATIENT, "id": "far-2", "identifier": [{"system": "urn:example:mrn", "value": "NS-2"}]}, "far-2")
    with pytest.raises(NeedsHuman) as caught:
        FhirRest(http, NoSignIn(), WallClock()).send(
            a_package(patient=known_as(NUMBER, "NS-2")), at(ehr), deadline=soon(), about_to_send=lambda ref: None
        )
    assert (caught.value.code, ehr.count()) == ("fhir.patient-several", 0)


@pytest.mark.parametrize(("named", "level"), [(NUMBER, "chart"), ("NS-old", "document")])
def test_a_chart_goes_only_under_a_number_that_stands_in_the_record_found(ehr, http, named, level):
    package = a_package(roles=("fhir-chart", "fhir-document"), patient=known_as(NUMBER, "NS-old"))
    chart = json.dumps(a_chart(package.message, named)).encode()
    others = tuple(one for one in package.documents if one.role != "fhir-chart")
    package = replace(package, documents=(*others, a_document("fhir-chart", chart, "application/fhir+json")))
    taken = FhirRest(http, NoSignIn(), WallClock()).send(
        package, at(ehr), deadline=soon(), about_to_send=lambda ref: None
    )
    assert (taken.proven, taken.facts["level"], len(ehr.resources("Patient"))) == (True, level, 1)


def test_a_pinned_chart_adds_nobody_where_their_number_for_the_patient_is_not_known(ehr, http):
    package = a_package(roles=("fhir-chart", "fhir-document"), patient=PATIENT.model_copy(update={"identifiers": ()}))
    chart = json.dumps(a_chart(package.message, "our-own-1")).encode()
    others = tuple(one for one in package.documents if one.role != "fhir-chart")
    package = replace(package, documents=(*others, a_document("fhir-chart", chart, "application/fhir+json")))
    with pytest.raises(NeedsHuman) as caught:
        FhirRest(http, NoSignIn(), WallClock()).send(
            package, at(ehr, content_level="chart"), deadline=soon(), about_to_send=lambda ref: None
        )
    assert (caught.value.code, len(ehr.resources("Patient")), ehr.count()) == ("fhir.patient-number", 1, 0)


def test_what_was_stored_before_the_line_broke_is_found_and_not_sent_again(ehr, http):
    channel, package = FhirRest(http, NoSignIn(), WallClock()), a_package()
    ehr.misbehave(Fault("store-then-drop", writes=True))
    with pytest.raises(InDoubt):
        channel.send(package, at(ehr), deadline=soon(), about_to_send=lambda ref: None)
    assert channel.look_up(package, at(ehr), None, deadline=soon()).verdict == "arrived-proven"
    assert (ehr.count(), ehr.duplicates()) == (1, [])


def test_absent_is_only_said_after_the_settle_time_by_a_server_that_searches_reliably(ehr, http):
    clock, package = StillClock(WallClock().now()), a_package()
    channel = FhirRest(http, NoSignIn(), clock, settle_s=30)
    with pytest.raises(Transient) as caught:
        channel.look_up(package, at(ehr), None, deadline=clock.now() + timedelta(seconds=8))
    assert caught.value.uses_attempt is False
    clock.pass_by(seconds=31)
    assert channel.look_up(package, at(ehr), None, deadline=clock.now() + timedelta(seconds=8)).verdict == "absent"


def test_a_second_send_that_is_lost_has_a_settle_time_of_its_own(ehr, http):
    clock, package = StillClock(WallClock().now()), a_package()
    channel = FhirRest(http, NoSignIn(), clock)
    for attempt in (1, 2):
        with pytest.raises(Transient):
            channel.look_up(
                replace(package, attempt=attempt), at(ehr), None, deadline=clock.now() + timedelta(seconds=8)
            )
        clock.pass_by(seconds=31)  # another process has said meanwhile that it is absent, and sent it again


def paged(far, package, *pages, link="{base}/DocumentReference?page={number}"):
    """Have the look-up answered page by page; an empty page holds nothing, "hit" our document."""
    held = json.loads(package.document("fhir-document").body) | {"id": "9"}
    usual = far.script

    def script(method, path, body):
        if method != "GET" or "DocumentReference" not in path:
            return usual(method, path, body)
        number = int(path.partition("page=")[2] or 0)
        url = link.format(base=f"{far.address}/fhir", number=number + 1)
        more = {"link": [{"relation": "next", "url": url}]} if number + 1 < len(pages) else {}
        return search_set(*((held,) if pages[number] == "hit" else ()), **more)

    far.script = script


@pytest.mark.parametrize("link", ["{base}/DocumentReference?page={number}", "DocumentReference?page={number}"])
def test_a_letter_that_stands_on_a_later_page_of_the_search_is_found(link):
    package, far = a_package(), far_side(CREATED, play="whole")
    paged(far, package, "empty", "empty", "hit", link=link)
    with with_far_side(far) as (channel, far):
        place = Endpoint(id="e", kind="fhir-rest", address=f"{far.address}/fhir")
        found = channel.look_up(package, place, None, deadline=soon())
        assert (found.verdict, found.far_side_ref) == ("arrived-proven", "DocumentReference/9")


@pytest.mark.parametrize(
    ("pages", "link"),
    [
        (("empty",) * 99, "{base}/DocumentReference?page={number}"),
        (("empty", "hit"), "http://10.0.0.1/fhir?p={number}"),
    ],
)
def test_a_search_whose_pages_cannot_all_be_read_never_says_that_nothing_is_there(pages, link):
    package, far = a_package(), far_side(CREATED, play="whole")
    paged(far, package, *pages, link=link)
    with far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        place = Endpoint(id="e", kind="fhir-rest", address=f"{far.address}/fhir")
        channel = FhirRest(http, NoSignIn(), WallClock(), settle_s=0)
        assert channel.look_up(package, place, None, deadline=soon()).verdict == "unknown"
        assert all("10.0.0.1" not in path for _, path in far.heads)


def test_a_server_that_promises_less_than_reliable_search_leaves_it_unknown(ehr, http):
    ehr.play("epic-like")
    channel = FhirRest(http, NoSignIn(), WallClock())
    assert channel.look_up(a_package(), at(ehr), None, deadline=soon()).verdict == "unknown"


def test_an_earlier_version_of_the_session_proves_nothing(ehr, http):
    ehr.seed({"resourceType": "Encounter", "identifier": [{"system": "urn:s", "value": "session-1"}]})
    channel = FhirRest(http, NoSignIn(), StillClock(WallClock().now()))
    with pytest.raises(Transient):
        channel.look_up(a_package(roles=("fhir-chart",)), at(ehr), None, deadline=soon())


def test_down_until_told_survives_a_restart_of_the_recipient(tmp_path, http):
    first = Ehr(tmp_path)
    first.start()
    first.admit(PATIENT, "pr-psych")
    first.go_down()
    port = first.port
    first.stop()
    second = Ehr(tmp_path, port)
    second.start()
    try:
        channel = FhirRest(http, NoSignIn(), WallClock())
        with pytest.raises(Transient):
            channel.send(a_package(), at(second), deadline=soon(), about_to_send=lambda ref: None)
        second.come_back()
        assert channel.send(a_package(), at(second), deadline=soon(), about_to_send=lambda ref: None).proven
    finally:
        second.stop()
