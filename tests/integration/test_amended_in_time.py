"""An amendment that comes before its letter has left: what the older version would have told goes to nobody."""

import json
from datetime import timedelta

import pytest
from bench_parts import STAFF, example
from test_digest import quiet, take_in

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, Refused, Transient
from coordinator.flow import deliver
from coordinator.flow import prepare as module
from coordinator.flow.outdated import is_outdated_repeat
from coordinator.flow.read_models import MessageFilter

IN_ERROR = {"version": 2, "status": "entered-in-error", "amendment_reason": "wrong patient"}


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def spiked() -> dict:
    """An otherwise uneventful session with a pressure that calls for a letter at once."""
    event = quiet(4, 14)
    event["vitals"][2] |= {"systolic": 190, "diastolic": 115}
    return event


def held_by(bench) -> int:
    return sum(len(one.held) for one in bench.channels.values())


def stands(bench, message):
    with bench.store.begin(write=False) as tx:
        return tx.message(message.id).state, tx.message(message.id).cause


def letter(bench, message) -> str:
    with bench.store.begin(write=False) as tx:
        (name,) = [one[0] for one in tx.documents(message.id) if one[1] == "letter-text"]
        return tx.document(name)[0].body.decode()


TYPED_WRONG = {"version": 2, "amendment_reason": "typing error"}
BUSY = Transient("fax.busy")
LOST = ("lose", InDoubt("fax.in-doubt"))


def a_digest_meets(bench, *script) -> list[dict]:
    """Two sessions whose week is over; the fax of their digest meets what the script says. Return the sessions."""
    take_in(bench, quiet(3, 5))
    bench.send_due()
    bench.clock.turn(hours=1)
    sessions = [quiet(4, 12), quiet(5, 14)]
    for one in sessions:
        take_in(bench, one)
    bench.clock.turn(days=3)
    bench.sweep()
    bench.channels["fax"].script = list(script)
    bench.channels["fax"].held.clear()
    bench.send_due()
    return sessions


def changed(session: dict, change: dict) -> dict:
    """The session with another pressure (139), for this reason."""
    made = json.loads(json.dumps(session | change))
    made["vitals"][3] |= {"systolic": 139}
    return made


def faxed(bench, *, times: int, **apart) -> list:
    """Sweep and send so many times, each that far apart; return the messages that arrived by fax."""
    for _ in range(times):
        bench.clock.turn(**apart)
        bench.sweep()
        bench.send_due()
    with bench.store.begin(write=False) as tx:
        return [tx.message(name.removeprefix("urn:uuid:")) for name, _ in bench.channels["fax"].held]


def lines_of(text: str) -> list[tuple[str, bool]]:
    """Return the sessions that stand in a digest's list, each with whether it has the changed pressure."""
    lines = sorted(one for one in text.splitlines() if one.startswith(("- 4. Date:", "- 5. Date:")))
    return [(one[:4], "Highest: 139" in one) for one in lines]


def tells_of(text: str, number: int, day: int) -> bool:
    """Return whether a digest tells of that session, alone or in its list."""
    return f"On {day} October 2026" in text or f"- {number}. Date:" in text


@pytest.mark.parametrize("tried", [False, True], ids=["not tried", "refused once"])
def test_a_record_entered_in_error_is_told_to_nobody_whom_it_had_not_reached(bench, tried):
    first = bench.told(example("session-outcome.bp-spike"))
    if tried:
        for channel in bench.channels.values():
            channel.script = [Transient("net.connect")]
        bench.send_due()
    bench.told(example("session-outcome.bp-spike") | IN_ERROR)
    bench.clock.turn(hours=1)
    bench.send_due()
    assert held_by(bench) == 0
    assert {stands(bench, one) for one in first.values()} == {("cancelled", "release.retracted")}
    assert bench.broken() == []


def test_of_two_recipients_the_one_who_has_it_is_told_that_it_was_wrong_and_the_other_nothing(bench):
    first = bench.told(example("session-outcome.bp-spike"))
    bench.channels["fax"].script = [Transient("fax.busy")]
    bench.send_due()
    second = bench.told(example("session-outcome.bp-spike") | IN_ERROR)
    bench.clock.turn(hours=1)
    bench.send_due()
    assert second["pr-psych"].letters == ("L9",)
    assert second["pr-pcp"].state == "nothing-to-send"
    assert (len(bench.channels["fhir-rest"].held), len(bench.channels["fax"].held)) == (2, 0)
    assert bench.state(first["pr-pcp"].id) == State.CANCELLED
    assert bench.broken() == []


def test_what_is_uneventful_after_all_waits_for_its_digest_and_the_urgent_letter_of_before_does_not_go(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    first = {one.provider_id: one for one in take_in(bench, spiked())}
    assert first["pr-pcp"].letters == ("L5",)
    bench.channels["fax"].held.clear()
    take_in(bench, quiet(4, 14) | {"version": 2, "amendment_reason": "typing error"})
    bench.send_due()
    assert bench.channels["fax"].held == []
    assert bench.state(first["pr-pcp"].id) == State.CANCELLED
    assert stands(bench, first["pr-pcp"])[0] == "superseded"


def test_a_digest_tells_of_a_session_that_was_corrected_once_as_it_is_now(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    take_in(bench, quiet(4, 12))
    take_in(bench, quiet(5, 14))
    corrected = quiet(5, 14) | {"version": 2, "amendment_reason": "typing error"}
    corrected["vitals"][3] |= {"systolic": 139}
    last = take_in(bench, corrected)
    bench.clock.turn(days=3)
    bench.sweep()
    told = next(one for one in last if one.provider_id == "pr-pcp")
    text = letter(bench, told)
    assert (text.count("- 4. Date:"), text.count("- 5. Date:")) == (1, 1)
    assert "Highest: 139" in text
    bench.send_due()
    assert bench.broken() == []


@pytest.mark.parametrize("change", [TYPED_WRONG, IN_ERROR], ids=["corrected", "entered in error"])
def test_a_digest_that_has_not_left_is_written_anew_when_its_last_session_changes_and_loses_no_other(bench, change):
    sessions = a_digest_meets(bench, BUSY, BUSY)
    take_in(bench, changed(sessions[1], change))
    faxed(bench, times=1, hours=1)
    texts = [letter(bench, one) for one in faxed(bench, times=2, days=7)]
    assert sum(tells_of(one, 4, 12) for one in texts) == 1, texts
    assert sum("Highest: 139" in one for one in texts) == (1 if change is TYPED_WRONG else 0)
    assert not any("- 5. Date: 14 October 2026" in one and "Highest: 139" not in one for one in texts)
    assert bench.broken() == []


def test_a_digest_written_anew_tells_of_each_session_as_it_is_now(bench):
    for one in a_digest_meets(bench, BUSY):
        take_in(bench, changed(one, TYPED_WRONG))
    text = "".join(letter(bench, one) for one in faxed(bench, times=1, hours=1))
    assert lines_of(text) == [("- 4.", True), ("- 5.", True)]
    assert bench.broken() == []


@pytest.mark.parametrize("change", [TYPED_WRONG, IN_ERROR], ids=["corrected", "entered in error"])
def test_a_digest_that_has_not_left_does_not_tell_what_was_changed_of_any_of_its_sessions(bench, change):
    sessions = a_digest_meets(bench, BUSY)
    take_in(bench, changed(sessions[0], change))
    faxed(bench, times=1, hours=1)
    text = "".join(letter(bench, one) for one in faxed(bench, times=2, days=7))
    assert lines_of(text) == [*([("- 4.", True)] if change is TYPED_WRONG else []), ("- 5.", False)]
    assert bench.broken() == []


@pytest.mark.parametrize("session", [0, 1], ids=["another session", "the session it stands under"])
@pytest.mark.parametrize("change", [TYPED_WRONG, IN_ERROR], ids=["corrected", "entered in error"])
def test_a_digest_in_doubt_that_never_arrived_does_not_follow_the_correction(bench, session, change):
    sessions = a_digest_meets(bench, LOST)
    told = {one.provider_id: one for one in take_in(bench, changed(sessions[session], change))}
    assert told["pr-pcp"].letters[0] == "L9"
    arrived = faxed(bench, times=6, hours=1)
    (digest,) = [letter(bench, one) for one in arrived if "L9" not in one.letters]
    assert [tells_of(digest, 4, 12), tells_of(digest, 5, 14)] == [session == 1, session == 0]
    assert len(arrived) == 2
    assert bench.broken() == []


def test_what_relies_on_a_digest_that_never_arrived_is_told_by_the_one_in_its_place(bench):
    """An amendment that changes nothing for the reader says nothing: the digest in doubt had it all, if it arrived."""
    sessions = a_digest_meets(bench, LOST)
    same = {one.provider_id: one for one in take_in(bench, sessions[0] | TYPED_WRONG)}
    assert same["pr-pcp"].state == "nothing-to-send"
    take_in(bench, changed(sessions[1], TYPED_WRONG))
    arrived = faxed(bench, times=6, hours=1)
    (digest,) = [letter(bench, one) for one in arrived if "L9" not in one.letters]
    assert tells_of(digest, 4, 12)
    assert len(arrived) == 2
    assert bench.broken() == []


def test_a_digest_taken_back_is_found_by_the_patients_name_and_says_what_replaced_it(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    sessions = [quiet(4, 12), quiet(5, 14)]
    digest = [take_in(bench, one) for one in sessions][-1]
    bench.clock.turn(days=3)
    bench.sweep()
    before = next(one for one in digest if one.provider_id == "pr-pcp")
    take_in(bench, sessions[0] | TYPED_WRONG)
    with bench.store.begin(write=False) as tx:
        old = tx.message(before.id)
        new = tx.message(old.superseded_by)
    assert (old.state, old.cause) == ("superseded", "digest.written-anew")
    assert (new.state, new.event_ref, new.reference) == ("digest", old.event_ref, old.reference)
    found = {one.id for one in bench.desk.messages(MessageFilter(text=old.plan["patient"]["name"]), STAFF)}
    assert {old.id, new.id} <= found
    assert bench.cause(old.id) == "digest.written-anew"


def test_a_session_told_of_in_a_digest_is_corrected_like_any_other_letter(bench):
    take_in(bench, quiet(3, 5))
    take_in(bench, quiet(4, 12))
    take_in(bench, quiet(5, 14))
    bench.clock.turn(days=3)
    bench.sweep()
    bench.send_due()
    corrected = quiet(4, 12) | {"version": 2, "amendment_reason": "typing error"}
    corrected["vitals"][3] |= {"systolic": 139}
    later = {one.provider_id: one for one in take_in(bench, corrected)}
    assert later["pr-pcp"].letters[0] == "L9"


def test_a_letter_that_leaves_while_its_amendment_is_composed_is_corrected_and_not_passed_over(bench, monkeypatch):
    """Composing takes a moment; what was said of the older version then may be untrue when it is stored."""
    first = bench.told(example("session-outcome.bp-spike"))
    answer = bench.submit(example("session-outcome.bp-spike") | IN_ERROR)
    real, left = module.compose, []

    def meanwhile(workshop, case):
        made = real(workshop, case)
        if not left:
            left.append(bench.send_due())
        return made

    monkeypatch.setattr(module, "compose", meanwhile)
    bench.prepare(answer)
    assert left == [2]
    second = bench.prepare(answer)
    assert {one.letters for one in second} == {("L9",)}
    bench.send_due()
    assert held_by(bench) == 4
    assert {bench.state(one.id) for one in first.values()} == {State.ACKNOWLEDGED}
    assert bench.broken() == []


def test_what_a_worker_holds_when_the_record_is_retracted_does_not_leave(bench):
    first = bench.told(example("session-outcome.bp-spike"))
    held = deliver.claim(bench.parts, "w", 10)
    bench.told(example("session-outcome.bp-spike") | IN_ERROR)
    for one in held:
        deliver.attempt(bench.parts, one)
    assert held_by(bench) == 0
    assert {bench.cause(one.id) for one in first.values()} == {"release.retracted"}


def test_a_message_without_consent_cannot_be_told_afterwards_once_its_record_was_retracted(bench):
    consents = [one for one in example("clinic")["patients"][0]["consents"] if one["recipient"] != "pr-pcp"]
    bench.change_patient(consents=consents)
    first = bench.told(example("session-outcome.bp-spike"))
    bench.told(example("session-outcome.bp-spike") | IN_ERROR)
    bench.change_patient()
    row = bench.deliveries(first["pr-pcp"].id)[0]
    with pytest.raises(Refused):
        bench.desk.release(row.id, reason="consent is there now", token="t" * 40, actor=STAFF)
    bench.send_due()
    assert bench.channels["fax"].held == []
    assert stands(bench, first["pr-pcp"])[1] == "release.retracted"


def dose(number: int, minute: int, to: str, **more) -> dict:
    """A change of the ketamine dose; the later one replaces the earlier one while neither has left."""
    made = example("dose-change.ketamine") | {
        "id": f"dc-{number}",
        "recorded_at": f"2026-10-16T09:{minute:02}:00-05:00",
    }
    made["to"] = made["to"] | {"dose": {"value": to, "unit": "mg/kg"}}
    return made | more


def test_what_a_change_entered_in_error_had_replaced_is_told_after_all(bench):
    """Else nobody would be told of the older change, though it is what is true again."""
    first = bench.told(dose(1, 0, "0.6"))
    second = bench.told(dose(2, 5, "0.9"))
    assert {stands(bench, one) for one in first.values()} == {("superseded", "release.superseded")}
    bench.told(dose(2, 5, "0.9") | IN_ERROR)
    bench.clock.turn(hours=1)
    bench.send_due()
    assert {name for channel in bench.channels.values() for name, _ in channel.held} == {
        f"urn:uuid:{one.id}" for one in first.values()
    }
    assert {stands(bench, one) for one in second.values()} == {("cancelled", "release.retracted")}
    refusals = [bench.desk.message(one.id, STAFF).deliveries[-1].may_not_resend_because for one in second.values()]
    assert set(refusals) == {"The record behind this message was entered in error."}
    assert bench.broken() == []


def test_of_three_changes_the_newest_that_is_true_is_told_and_no_other(bench):
    first, second = bench.told(dose(1, 0, "0.6")), bench.told(dose(2, 5, "0.9"))
    bench.told(dose(3, 9, "0.8"))
    bench.told(dose(2, 5, "0.9") | IN_ERROR)
    assert {stands(bench, one)[0] for one in (*first.values(), *second.values())} == {"superseded"}
    bench.told(dose(3, 9, "0.8") | IN_ERROR)
    bench.send_due()
    assert {name for channel in bench.channels.values() for name, _ in channel.held} == {
        f"urn:uuid:{one.id}" for one in first.values()
    }
    assert bench.broken() == []


def test_what_was_withheld_before_it_was_replaced_is_withheld_again_and_says_why(bench):
    consents = [one for one in example("clinic")["patients"][0]["consents"] if one["recipient"] != "pr-pcp"]
    bench.change_patient(consents=consents)
    first = bench.told(dose(1, 0, "0.6"))
    bench.change_patient()
    bench.told(dose(2, 5, "0.9"))
    assert stands(bench, first["pr-pcp"])[0] == "superseded"
    bench.told(dose(2, 5, "0.9") | IN_ERROR)
    assert stands(bench, first["pr-pcp"])[0] == "withheld"
    assert bench.deliveries(first["pr-pcp"].id)[-1].cause == "consent.no-consent"
    assert bench.broken() == []


def test_a_change_that_has_left_is_not_called_replaced_by_one_that_was_taken_back(bench):
    first = bench.told(dose(1, 0, "0.6"))
    bench.send_due()
    for _ in range(3):
        bench.clock.turn(days=30)
        bench.sweep()
    bench.told(dose(2, 5, "0.9"))
    bench.told(dose(2, 5, "0.9") | IN_ERROR)
    bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert {tx.message(one.id).superseded_by for one in first.values()} == {None}
        clocks = set(tx.clock_ids(bench.clock.now() + timedelta(days=400), 100))
    assert clocks & {one.id for one in first.values()} == set()  # they had run out, and are not wound anew
    assert held_by(bench) == 2
    assert bench.broken() == []


@pytest.mark.parametrize("amended_between", [False, True])
def test_what_a_person_sends_again_does_not_go_once_its_record_was_entered_in_error(bench, amended_between):
    """A worker may have it in hand when the retraction is prepared; seed 483 had it follow the retraction."""
    event = example("session-outcome.bp-spike")
    told = bench.told(event)["pr-psych"]
    bench.send_due()
    (row,) = bench.deliveries(told.id)
    assert row.state == State.ACKNOWLEDGED
    if amended_between:
        take_in(bench, event | TYPED_WRONG)
        bench.send_due()
    again = bench.desk.resend(row.id, reason="they cannot find it", token="t-1", actor=STAFF)
    claimed = [one for one in deliver.claim(bench.parts, "w1", 9) if one.delivery.id == again]
    take_in(bench, event | IN_ERROR | {"version": 2 + amended_between})
    before = len(bench.channels[row.channel].held)
    for one in claimed:
        deliver.attempt(bench.parts, one)
    sent_again = next(one for one in bench.deliveries(told.id) if one.id == again)
    assert sent_again.state == State.CANCELLED
    assert len(bench.channels[row.channel].held) == before
    with bench.store.begin(write=False) as tx:  # whatever else may have withdrawn it: asked before the first byte
        assert is_outdated_repeat(tx, sent_again, tx.message(told.id))
    assert bench.broken() == []
