"""42 CFR Part 2 from the record to the far side: held, sent with what has to go along, revoked, resent."""

import copy
import json

import pytest
from bench_parts import STAFF, example
from link_parts import LinkBench
from test_digest import by, quiet, take_in

from coordinator.domain.delivery import State
from coordinator.domain.errors import Permanent, Refused
from coordinator.flow import recompose
from coordinator.flow import resend_jobs as jobs
from coordinator.flow.hold_rows import Selection
from coordinator.flow.read_models import Actor

NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
PAPER = {"signed_on": "2026-10-01", "paper": "P2-2026-0142"}
SAYS = PAPER | {"recipients": "my treating providers", "purpose": "treatment"}
TOKEN = "p" * 43


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def named(provider, **changes):
    return {
        "id": f"p2-{provider}",
        "version": 1,
        "decision": "permit",
        "recipient": provider,
        "content": ["substance-use"],
        "from": "2026-10-01",
        "evidence": "form signed 2026-10-01",
        "part2": SAYS,
    } | changes


def on_file(bench, *consents, **changes):
    """Put these consents beside the general ones that the example has for both recipients."""
    general = example("clinic")["patients"][0]["consents"]
    bench.change_patient(consents=[*general, *consents], **changes)


def spike(**changes):
    return example("session-outcome.bp-spike") | {"part2": True} | changes


def documents(bench, message, role):
    with bench.store.begin(write=False) as tx:
        return [tx.document(one[0])[0].body.decode() for one in tx.documents(message.id) if one[1] == role]


def resent(bench, message):
    return bench.desk.resend(bench.deliveries(message.id)[-1].id, reason="they lost it", token=TOKEN, actor=STAFF)


def test_without_a_consent_that_names_it_nothing_is_composed_and_staff_read_why(bench):
    told = bench.told(spike())
    for message in told.values():
        assert message.state == "withheld"
        assert bench.cause(message.id) == "consent.part2-no-consent"
        row = bench.desk.message(message.id, STAFF).row
        assert (row.part2, row.needs_person) == (True, True)
        assert "names such records" in row.why
        assert "general consent is not enough" in row.next_step
        assert documents(bench, message, "letter-text") == []
    bench.send_due()
    assert bench.channels["fhir-rest"].calls == bench.channels["fax"].calls == 0


def test_only_the_recipient_whom_the_consent_names_is_told(bench):
    on_file(bench, named("pr-psych"))
    told = bench.told(spike())
    bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.ACKNOWLEDGED
    assert told["pr-pcp"].state == "withheld"
    assert bench.channels["fax"].calls == 0
    (letter,) = documents(bench, told["pr-psych"], "letter-text")
    assert NOTICE in letter
    assert "P2-2026-0142" in letter
    assert bench.broken() == []


def test_a_consent_that_is_recorded_later_lets_a_person_send_it(bench):
    message = bench.told(spike())["pr-psych"]
    held = bench.deliveries(message.id)[0].id
    with pytest.raises(Refused) as refused:
        bench.desk.release(held, reason="please send", token=TOKEN, actor=STAFF)
    assert "Part 2" in refused.value.reason
    on_file(bench, named("pr-psych"))
    bench.desk.release(held, reason="signed this morning", token="q" * 43, actor=STAFF)
    bench.send_due()
    assert bench.state(message.id) == State.ACKNOWLEDGED
    assert NOTICE in documents(bench, message, "letter-text")[0]


def test_an_ordinary_record_carries_nothing_of_it(bench):
    on_file(bench, named("pr-psych"))
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    for message in told.values():
        assert bench.state(message.id) == State.ACKNOWLEDGED
        assert bench.desk.message(message.id, STAFF).row.part2 is False
        with bench.store.begin(write=False) as tx:
            bodies = [tx.document(one[0])[0].body for one in tx.documents(message.id)]
        assert all(word not in body for body in bodies for word in (b"42 CFR", b"42CFRPart2", b'"SUD"', b"P2-2026"))


@pytest.mark.parametrize("moment", ["before the claim", "between claim and mark"])
def test_a_revocation_stops_what_waits(bench, moment):
    on_file(bench, named("pr-psych"))
    message = bench.told(spike())["pr-psych"]

    def revoke():
        on_file(bench, named("pr-psych", revoked_on="2026-10-16"))

    if moment == "before the claim":
        revoke()
    else:
        bench.channels["fhir-rest"].between = revoke
    bench.send_due()
    assert bench.channels["fhir-rest"].held == []
    assert (bench.state(message.id), bench.cause(message.id)) == (State.CANCELLED, "consent.part2-revoked")
    assert bench.broken() == []


def test_a_consent_that_has_run_out_holds_what_waits(bench):
    on_file(bench, named("pr-psych", to="2026-10-16"))
    message = bench.told(spike())["pr-psych"]
    bench.clock.turn(days=1)
    bench.send_due()
    assert bench.channels["fhir-rest"].calls == 0
    assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "consent.part2-expired")


def test_a_resend_asks_again_and_the_general_consent_does_not_answer(bench):
    on_file(bench, named("pr-psych"))
    message = bench.told(spike())["pr-psych"]
    bench.send_due()
    on_file(bench, named("pr-psych", revoked_on="2026-10-16"))
    with pytest.raises(Refused) as refused:
        resent(bench, message)
    assert "withdrawn the consent that let Part 2 records go" in refused.value.reason
    on_file(bench, named("pr-psych"))
    resent(bench, message)
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == 2


def test_a_bulk_resend_asks_for_each_message_what_that_message_is(bench):
    on_file(bench, named("pr-psych"))
    ordinary = bench.told(example("dose-change.ketamine"))["pr-psych"]
    special = bench.told(spike())["pr-psych"]
    bench.channels["fhir-rest"].script = [Permanent("fhir.422")] * 2
    bench.send_due()
    chosen = Selection(provider_id="pr-psych", channel="fhir-rest", cause="fhir.422")
    drawn = jobs.plan_job(bench.parts, chosen, reason="their server was mended", actor=STAFF)
    on_file(bench)
    jobs.move_job(bench.parts, drawn.id, "start", actor=Actor("staff", "kit"))
    for _ in range(60):
        jobs.work_jobs(bench.parts)
        bench.clock.turn(seconds=2)
    bench.send_due()
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert (view.made, view.refused) == (1, 1)
    assert bench.state(ordinary.id) == State.ACKNOWLEDGED
    assert bench.state(special.id) == State.DEAD
    assert sorted("Part 2" in (one.why or "") for one in view.items) == [False, True]


def test_a_revocation_closes_the_secure_link_and_the_notice_mail_never_told(bench):
    links = LinkBench(bench)
    clinic = example("clinic")["patients"][0]
    bench.change_patient(consents=[*clinic["consents"], named("pr-psych")])
    links.told(part2=True)
    notice = links.notice()
    whole = links.room.mails[-1][1].decode() + notice.subject + notice.text
    assert all(word not in whole for word in ("42 CFR", "part 2", "Part 2", "substance", "P2-2026"))
    session = links.enter()
    view = links.reader.view(session)
    assert NOTICE in view.letters[0].text
    assert "P2-2026-0142" in view.letters[0].text
    bench.change_patient(consents=[*clinic["consents"], named("pr-psych", revoked_on="2026-10-16")])
    assert links.reader.view(session) is None
    assert links.enter() is None


def test_what_was_written_before_the_course_was_marked_is_held_until_it_is_composed_anew(bench):
    on_file(bench, named("pr-psych"))
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    course = copy.deepcopy(example("clinic")["patients"][0]["course"]) | {"part2": True}
    on_file(bench, named("pr-psych"), course=course)
    bench.send_due()
    assert bench.channels["fhir-rest"].calls == 0
    assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "consent.part2-unmarked")
    shown = recompose.preview(bench.parts, message.id, STAFF)
    assert ("+", NOTICE) in shown.diff
    name = recompose.recompose(
        bench.parts, message.id, seen=shown.seen, reason="it is a Part 2 course", token=TOKEN, actor=STAFF
    )
    bench.send_due()
    assert bench.state(name) == State.ACKNOWLEDGED
    assert bench.desk.message(name, STAFF).row.part2


def test_a_letter_never_goes_under_a_consent_that_it_does_not_explain(bench):
    on_file(bench, named("pr-psych"))
    message = bench.told(spike())["pr-psych"]
    bench.channels["fhir-rest"].script = [Permanent("fhir.422")]
    bench.send_due()
    renewed = named("pr-psych", version=2, part2=SAYS | {"paper": "P2-2026-0200"})
    on_file(bench, named("pr-psych", revoked_on="2026-10-16"), renewed)
    with pytest.raises(Refused) as refused:
        resent(bench, message)
    assert "not in force any more" in refused.value.reason
    shown = recompose.preview(bench.parts, message.id, STAFF)
    assert any("P2-2026-0200" in line for sign, line in shown.diff if sign == "+")


def test_a_digest_with_one_part2_session_is_part2_as_a_whole(bench):
    on_file(bench, named("pr-psych"), named("pr-pcp"))
    take_in(bench, quiet(3, 5))
    bench.send_due()
    items = [take_in(bench, quiet(4, 12) | {"part2": True}), take_in(bench, quiet(5, 14))]
    newest = by(items[1], "pr-pcp", "digest")[0]
    bench.clock.turn(days=3)
    bench.sweep()
    (letter,) = documents(bench, newest, "letter-text")
    assert NOTICE in letter
    on_file(bench, named("pr-pcp", revoked_on="2026-10-16"))
    bench.send_due()
    assert bench.cause(newest.id) == "consent.part2-revoked"


def test_a_digest_is_what_its_letter_is_though_its_course_was_marked_after_the_session(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    item = by(take_in(bench, quiet(4, 14)), "pr-pcp", "digest")[0]
    course = copy.deepcopy(example("clinic")["patients"][0]["course"]) | {"part2": True}
    on_file(bench, named("pr-pcp"), course=course)
    bench.clock.turn(days=3)
    bench.sweep()
    bench.send_due()
    assert NOTICE in documents(bench, item, "letter-text")[0]
    assert bench.state(item.id) == State.ACKNOWLEDGED
    assert bench.desk.message(item.id, STAFF).row.part2


def test_an_uneventful_session_sends_no_data_ahead_of_the_letter_that_carries_the_notice(bench):
    on_file(bench, named("pr-psych"))
    take_in(bench, quiet(3, 5) | {"part2": True})
    bench.send_due()
    sent = len(bench.channels["fhir-rest"].held)
    items = take_in(bench, quiet(4, 14) | {"part2": True})
    assert by(items, "pr-psych", "open") == []
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == sent
    bench.clock.turn(days=3)
    bench.sweep()
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == sent + 1
    digest = by(items, "pr-psych", "digest")[0]
    assert NOTICE in documents(bench, digest, "letter-text")[0]
    assert documents(bench, digest, "fhir-chart")


def test_a_session_told_of_after_a_part2_one_is_part2_as_well(bench):
    on_file(bench)
    first = spike() | {"id": "sess-1"}
    bench.told(json.loads(json.dumps(first).replace("2026-10-14", "2026-10-12")))
    told = bench.told(example("dose-change.ketamine"))
    assert {bench.cause(one.id) for one in told.values()} == {"consent.part2-no-consent"}


def test_the_accounting_says_which_disclosures_were_part2_and_by_which_consent(bench):
    on_file(bench, named("pr-psych"))
    bench.told(example("dose-change.ketamine"))
    bench.told(spike())
    assert bench.desk.disclosures("MRN-1001", STAFF) == ()
    bench.send_due()
    found = bench.desk.disclosures("MRN-1001", STAFF)
    assert [(one.channel, one.part2, one.consent) for one in found if one.part2] == [
        ("fhir-rest", True, "p2-pr-psych version 1")
    ]
    ordinary = {(one.recipient, one.part2) for one in found if not one.part2}
    assert len(ordinary) == 2
    assert all(one.proven and one.address and one.why.startswith("treatment") and one.what for one in found)
    assert bench.desk.disclosures("MRN-1002", STAFF) == ()
