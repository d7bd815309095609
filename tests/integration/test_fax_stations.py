"""What the machine at a fax number calls itself is kept, compared with what is known, and a change is for a person."""

import copy
import json
import logging
import threading

import pytest
import sqlalchemy as sa
from bench_parts import COLLEAGUE, STAFF, example, of_patients
from test_canary import CANARY, clear_text
from test_key_rotation import FIRST, SECOND, with_keys

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.addresses import approve
from coordinator.flow.endpoint_checks import check_endpoint, list_endpoints
from coordinator.flow.incidents import open_incident
from coordinator.flow.ports import Lookup, ReceiptNews
from coordinator.flow.read_models import Actor
from coordinator.flow.stations import confirm_station
from coordinator.flow.track import take_in
from coordinator.store.key_check import check_keys
from coordinator.store.station_part import endpoint_stations

FAX, NEW = "ep-pcp-fax", "+1-218-555-0199"
NORTH, SOUTH, WEST = "NORTH CLINIC", "SOUTH BAKERY", "WEST GARAGE"


class Faxes:
    """Faxes to the family doctor's office, one patient's letter each."""

    def __init__(self, bench):
        self.bench = bench
        self.events = iter(of_patients(bench, 6))

    def send(self):
        """Send one and return its message, which waits for the report."""
        message = self.bench.told(next(self.events))["pr-pcp"].id
        self.bench.channels["fax"].script = ["queue"]
        self.bench.send_due()
        assert self.bench.state(message) == State.SENT
        return message

    def report(self, message, station, verdict="acknowledged", **more):
        """Take in the gateway's report that the fax was answered by a machine that calls itself so."""
        row = self.bench.deliveries(message)[-1]
        key = f"{row.far_side_ref}:{verdict}"
        take_in(self.bench.parts, ReceiptNews(key, "fax", row.far_side_ref, row.id, verdict, station=station, **more))
        return message

    def answered_by(self, *stations):
        """Send a fax for each of these names, and have it answered so; return the last message."""
        return [self.report(self.send(), one) for one in stations][-1]


@pytest.fixture
def faxes(bench):
    return Faxes(bench)


def listed(bench):
    return next(one for one in list_endpoints(bench.parts) if one.id == FAX)


def warnings(bench):
    return bench.desk.overview().other_stations


def audited(bench, subject=FAX):
    with bench.store.begin(write=False) as tx:
        return [(one.actor, one.action, one.detail) for one in tx.audit_of([subject]) if "machine" in one.action]


def edit(bench, address, **more):
    """Change the office's number, and have it verified today and approved by a second person."""
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    provider["endpoints"][0] |= {"address": address, "verified_on": bench.clock.now().date().isoformat(), **more}
    written = bench.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    approve(bench.parts, FAX, address, COLLEAGUE)


def test_the_first_name_heard_is_kept_as_good_and_the_same_again_is_nothing_to_say(bench, faxes):
    assert listed(bench).stations == ()
    message = faxes.answered_by(NORTH, "north  clinic", NORTH)
    assert bench.state(message) == State.ACKNOWLEDGED
    assert listed(bench).stations == (NORTH,)
    assert warnings(bench) == ()
    assert bench.broken() == []


def test_what_answered_stands_in_the_evidence_of_the_very_message(bench, faxes):
    first, second = faxes.answered_by(NORTH), faxes.answered_by(SOUTH)
    lines = [one.text for one in bench.desk.message(first, STAFF).timeline]
    assert f"machine that answered calls itself: {NORTH}" in lines
    lines = [one.text for one in bench.desk.message(second, STAFF).timeline]
    assert f"another machine than before answered, it calls itself: {SOUTH}" in lines


def test_another_machine_is_a_warning_and_holds_nobodys_letters(bench, faxes):
    message = faxes.answered_by(NORTH, SOUTH)
    assert bench.state(message) == State.ACKNOWLEDGED
    (warning,) = warnings(bench)
    assert (warning.calls_itself, warning.until_now, warning.message_id) == (SOUTH, (NORTH,), message)
    assert SOUTH in warning.seen
    assert NORTH in warning.seen
    assert "stranger" in warning.why
    assert "Call the office" in warning.next_step
    assert listed(bench).usable
    assert listed(bench).stations == (NORTH,)
    assert bench.state(faxes.answered_by(SOUTH)) == State.ACKNOWLEDGED


def test_two_in_a_row_raise_one_warning_one_log_line_and_one_line_of_evidence_at_the_number(bench, faxes, caplog):
    caplog.set_level(logging.INFO, "coordinator")
    first = faxes.answered_by(NORTH, SOUTH)
    since = warnings(bench)[0].since
    bench.clock.turn(hours=1)
    faxes.answered_by(SOUTH, "south bakery")
    (warning,) = warnings(bench)
    assert (warning.since, warning.message_id) == (since, first)
    assert bench.desk.overview().needs_attention == 1
    said = [one for one in caplog.records if getattr(one, "line", "") == "OTHER_STATION"]
    assert [one.fields["endpoint_id"] for one in said] == [FAX]
    assert SOUTH not in caplog.text + str([one.__dict__ for one in caplog.records])
    assert len(audited(bench)) == 1


def test_a_third_name_takes_the_place_of_the_second_in_the_one_warning(bench, faxes):
    faxes.answered_by(NORTH, SOUTH)
    since = warnings(bench)[0].since
    bench.clock.turn(hours=1)
    message = faxes.answered_by(WEST)
    (warning,) = warnings(bench)
    assert (warning.calls_itself, warning.since, warning.message_id) == (WEST, since, message)
    assert len(audited(bench)) == 2


def test_the_known_machine_heard_again_does_not_end_the_warning(bench, faxes):
    faxes.answered_by(NORTH, SOUTH, NORTH)
    assert [one.calls_itself for one in warnings(bench)] == [SOUTH]


def test_a_gateway_that_tells_nothing_changes_nothing(bench, faxes):
    faxes.answered_by(NORTH, None)
    assert listed(bench).stations == (NORTH,)
    faxes.answered_by(SOUTH, None)
    assert [one.calls_itself for one in warnings(bench)] == [SOUTH]


def test_a_fax_that_failed_tells_nothing_of_the_machine(bench, faxes):
    faxes.report(faxes.send(), SOUTH, "failed", code="fax.busy", retry=True)
    assert listed(bench).stations == ()


def test_a_fax_found_arrived_by_asking_tells_it_too(bench, faxes):
    faxes.answered_by(NORTH)
    message = faxes.send()
    ref = bench.deliveries(message)[-1].far_side_ref
    bench.channels["fax"].says = Lookup("arrived-proven", ref, station=SOUTH)
    bench.clock.turn(hours=2)
    bench.sweep()
    assert bench.state(message) == State.ACKNOWLEDGED
    assert [one.message_id for one in warnings(bench)] == [message]
    faxes.report(message, WEST)
    assert [one.calls_itself for one in warnings(bench)] == [SOUTH]


def test_the_report_that_comes_twice_is_heard_once(bench, faxes):
    message = faxes.answered_by(NORTH)
    faxes.report(message, SOUTH)
    assert warnings(bench) == ()


def test_a_person_confirms_the_new_name_and_it_counts_beside_the_old_one(bench, faxes):
    faxes.answered_by(NORTH, SOUTH)
    confirm_station(bench.parts, FAX, SOUTH, STAFF)
    assert warnings(bench) == ()
    assert listed(bench).stations == (SOUTH, NORTH)
    assert audited(bench)[-1] == ("staff dana", "machine confirmed as theirs", SOUTH)
    faxes.answered_by(SOUTH, NORTH)
    assert warnings(bench) == ()
    faxes.answered_by(WEST)
    assert warnings(bench)[0].until_now == (SOUTH, NORTH)


@pytest.mark.parametrize("actor", [Actor("source", "charting"), Actor("job", "sweep"), Actor("recipient", "pr-pcp")])
def test_a_program_confirms_nothing(bench, faxes, actor):
    faxes.answered_by(NORTH, SOUTH)
    with pytest.raises(Refused, match=r"station\.person"):
        confirm_station(bench.parts, FAX, SOUTH, actor)
    assert len(warnings(bench)) == 1


def test_what_is_confirmed_is_the_name_that_was_asked_about(bench, faxes):
    with pytest.raises(Refused, match=r"station\.nothing-to-confirm"):
        confirm_station(bench.parts, FAX, SOUTH, STAFF)
    with pytest.raises(NotFound):
        confirm_station(bench.parts, "ep-nobodys", SOUTH, STAFF)
    faxes.answered_by(NORTH, SOUTH, WEST)
    with pytest.raises(Refused, match=r"station\.differs"):
        confirm_station(bench.parts, FAX, SOUTH, STAFF)
    confirm_station(bench.parts, FAX, " west  garage ", STAFF)
    with pytest.raises(Refused, match=r"station\.nothing-to-confirm"):
        confirm_station(bench.parts, FAX, WEST, STAFF)


def test_a_changed_number_ends_the_warning_and_starts_anew(bench, faxes):
    faxes.answered_by(NORTH, SOUTH)
    edit(bench, NEW)
    assert warnings(bench) == ()
    assert listed(bench).stations == ()
    with pytest.raises(Refused, match=r"station\.nothing-to-confirm"):
        confirm_station(bench.parts, FAX, SOUTH, STAFF)
    faxes.answered_by(WEST)
    assert listed(bench).stations == (WEST,)
    assert warnings(bench) == ()


def test_a_number_that_went_and_came_back_starts_anew_too(bench, faxes):
    faxes.answered_by(NORTH, SOUTH)
    old = listed(bench).address
    edit(bench, NEW)
    edit(bench, old)
    assert listed(bench).stations == ()
    assert warnings(bench) == ()


def test_the_same_number_written_otherwise_stays_known(bench, faxes):
    faxes.answered_by(NORTH)
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    provider["endpoints"][0] |= {"address": provider["endpoints"][0]["address"].replace("-", "")}
    assert bench.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), STAFF).outcome == "updated"
    faxes.answered_by(SOUTH)
    assert len(warnings(bench)) == 1


def test_a_report_of_a_fax_to_the_number_before_is_evidence_and_not_compared(bench, faxes):
    early = faxes.send()
    edit(bench, NEW)
    faxes.report(early, NORTH)
    assert listed(bench).stations == ()
    faxes.answered_by(SOUTH)
    assert listed(bench).stations == (SOUTH,)
    assert warnings(bench) == ()
    lines = [one.text for one in bench.desk.message(early, STAFF).timeline]
    assert f"machine that answered calls itself: {NORTH}" in lines


def test_a_fax_that_was_dialled_at_two_numbers_is_not_compared_for_nobody_knows_which_one_answered(bench, faxes):
    message = faxes.send()
    faxes.report(message, None, "failed", code="fax.busy", retry=True)
    edit(bench, NEW)
    bench.clock.turn(hours=1)
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    faxes.report(message, SOUTH)
    assert bench.state(message) == State.ACKNOWLEDGED
    assert listed(bench).stations == ()


def test_a_number_that_was_closed_for_a_misdirected_letter_is_in_hand_already(bench, faxes):
    message = faxes.answered_by(NORTH, SOUTH)
    open_incident(bench.parts, message, kind="misdirected-fax", note="a bakery has it", actor=STAFF)
    assert warnings(bench) == ()
    assert not listed(bench).usable
    assert listed(bench).other_station.calls_itself == SOUTH


def test_the_check_of_the_number_says_what_answers_there(bench, faxes):
    def step():
        return next(one for one in check_endpoint(bench.parts, {}, FAX, STAFF) if one.name == "machine")

    faxes.answered_by(NORTH)
    assert (step().ok, NORTH in step().seen) == (True, True)
    faxes.answered_by(SOUTH)
    assert (step().ok, SOUTH in step().seen, NORTH in step().seen) == (False, True, True)
    assert "Call the office" in step().what_to_do


def test_two_reports_at_the_same_moment_lose_neither_name(bench, faxes):
    first, second = faxes.send(), faxes.send()
    together = threading.Barrier(2)

    def report(message, station):
        together.wait()
        faxes.report(message, station)

    threads = [threading.Thread(target=report, args=one) for one in ((first, NORTH), (second, SOUTH))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (warning,) = warnings(bench)
    assert {warning.calls_itself, *warning.until_now} == {NORTH, SOUTH}


def test_the_names_stand_nowhere_in_clear_and_are_sealed_anew_with_everything_else(bench, faxes):
    check_keys(bench.store.engine, bench.store.cipher.key_checks())
    faxes.answered_by(f"{CANARY} NORTH", f"{CANARY} SOUTH")
    stored = clear_text(bench)
    assert FAX in stored
    assert not any(one in stored for one in (CANARY, CANARY.upper(), CANARY.lower(), "SOUTH"))
    list(with_keys(bench, FIRST, SECOND, active="k2").reseal(STAFF, rows=1))
    with bench.store.engine.connect() as connection:
        (row,) = connection.execute(sa.select(endpoint_stations.c.good_sealed, endpoint_stations.c.other_sealed)).all()
    assert all(value.startswith(b"\x01\x02k2") for value in row)
    assert [(one.calls_itself, one.until_now) for one in warnings(bench)] == [
        (f"{CANARY} SOUTH", (f"{CANARY} NORTH",))
    ]  # fmt: skip


def test_the_evidence_and_the_name_come_with_the_proof_or_not_at_all(bench, faxes, monkeypatch):
    message = faxes.send()

    def breaks(*_args, **_more):
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as ill:
        ill.setattr("coordinator.store.ledger.StoreTransaction.finish", breaks)
        with pytest.raises(RuntimeError):
            faxes.report(message, NORTH)
    assert bench.state(message) == State.SENT
    assert listed(bench).stations == ()
    faxes.report(message, NORTH)
    assert (bench.state(message), listed(bench).stations) == (State.ACKNOWLEDGED, (NORTH,))
