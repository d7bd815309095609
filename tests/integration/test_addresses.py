"""An address carries a letter only after it was verified, and a changed one is unverified again."""

import copy
import json
from dataclasses import replace

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused, Transient
from coordinator.flow.addresses import approve
from coordinator.flow.endpoint_checks import check_endpoint, list_endpoints
from coordinator.flow.incidents import close_incident, open_incident
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.read_models import Actor
from coordinator.flow.track import take_in

OTHER, VERIFIER = Actor("staff", "rae"), Actor("staff", "terminal:lee")
FAX = next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp")["endpoints"][0]["id"]
OLD, NEW = "+1-218-555-0143", "+1-218-555-0199"


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def edit(bench, address, actor=STAFF, **more):
    """Change the family doctor's fax number as a person or a nightly import would, the rest left as it was."""
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    provider["endpoints"][0] |= {"address": address, **more}
    written = bench.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), actor)
    assert written.outcome in {"updated", "unchanged"}, written.faults


def told(bench, name="session-outcome.bp-spike"):
    return bench.told(example(name))["pr-pcp"].id


def test_a_number_edited_between_two_tries_is_not_dialled_before_somebody_verified_it(bench):
    message = told(bench)
    bench.channels["fax"].script = [Transient("fax.busy")]
    bench.send_due()
    edit(bench, NEW)
    bench.clock.turn(hours=1)
    bench.send_due()
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "release.address-changed")
    assert bench.channels["fax"].calls == 1
    assert bench.desk.message(message, STAFF).row.next_step
    assert bench.broken() == []


def test_the_same_file_read_again_verifies_nothing(bench):
    edit(bench, NEW)
    edit(bench, NEW)
    edit(bench, NEW, verified_how="as before")
    message = told(bench)
    bench.send_due()
    assert bench.cause(message) == "release.address-changed"


def verify(bench, at_once=True, actor=STAFF, number=NEW):
    """Enter the new number, and with it or after it that it was verified today."""
    today = bench.clock.now().date().isoformat()
    if not at_once:
        edit(bench, number)
    edit(bench, number, verified_on=today, verified_by="st-2", verified_how="read back by telephone", actor=actor)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_verification_of_that_day_or_later_and_a_second_person_open_the_new_address(bench, at_once):
    verify(bench, at_once)
    message = told(bench)
    bench.send_due()
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "release.address-not-approved")
    assert "Somebody else" in bench.desk.message(message, STAFF).row.next_step
    approve(bench.parts, FAX, " +12185550199 ", OTHER)
    after = told(bench, "dose-change.ketamine")
    bench.send_due()
    assert bench.state(after) == State.ACKNOWLEDGED
    assert bench.broken() == []


@pytest.mark.parametrize("actor", [STAFF, Actor("staff", "terminal:Dana"), VERIFIER, Actor("source", "charting")])
def test_neither_who_entered_it_nor_who_verified_it_nor_a_program_approves(bench, actor):
    edit(bench, NEW)
    verify(bench, actor=VERIFIER)
    with pytest.raises(Refused, match=r"address\.(second-person|person)"):
        approve(bench.parts, FAX, NEW, actor)
    assert not usable(bench)


def test_the_second_person_types_the_address_again(bench):
    verify(bench)
    with pytest.raises(Refused, match=r"address\.differs"):
        approve(bench.parts, FAX, "+1-218-555-0198", OTHER)
    assert not usable(bench)


def test_nothing_is_approved_before_it_was_verified_nor_twice_nor_unasked(bench):
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, OLD, OTHER)
    edit(bench, NEW)
    with pytest.raises(Refused, match=r"address\.unverified"):
        approve(bench.parts, FAX, NEW, OTHER)
    verify(bench)
    approve(bench.parts, FAX, NEW, OTHER)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, NEW, OTHER)
    with pytest.raises(NotFound):
        approve(bench.parts, "ep-nobodys", NEW, OTHER)


def test_a_change_after_the_approval_asks_for_both_again(bench):
    verify(bench)
    edit(bench, "+1-218-555-0177")
    with pytest.raises(Refused, match=r"address\.unverified"):
        approve(bench.parts, FAX, "+1-218-555-0177", OTHER)


def test_a_clinic_where_one_person_must_do_may_say_so(bench):
    object.__setattr__(bench.parts, "policy", replace(bench.parts.policy, address_alone=True))
    verify(bench)
    assert usable(bench)


def suspend(bench, cause="fax.no-fax-tone"):
    bench.channels["fax"].script = ["queue"]
    message = told(bench)
    bench.send_due()
    row = bench.deliveries(message)[-1]
    take_in(bench.parts, ReceiptNews("gone", "fax", row.far_side_ref, row.id, "failed", cause))
    assert not usable(bench)
    return message


@pytest.mark.parametrize("cause", ["fax.no-fax-tone", "fax.bad-number"])
def test_a_suspended_number_that_is_right_after_all_opens_by_a_new_verification_and_a_second_person(bench, cause):
    message = suspend(bench, cause)
    edit(bench, OLD)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, OLD, OTHER)
    verify(bench, number=OLD)
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, FAX, OLD, STAFF)
    assert not usable(bench)
    approve(bench.parts, FAX, OLD, OTHER)
    assert usable(bench)
    row = bench.deliveries(message)[-1]
    assert (row.state, row.cause) == (State.HELD, cause), "what was held for it goes once a person lets it"
    bench.desk.release(row.id, reason="they have switched it on", token="t" * 43, actor=STAFF)
    bench.send_due()
    assert bench.state(message) == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_the_verification_that_a_number_had_before_it_was_suspended_does_not_open_it(bench):
    verify(bench, number=OLD)
    suspend(bench)
    verify(bench, number=OLD)
    verify(bench, number=OLD, actor=VERIFIER)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, OLD, OTHER)
    assert not usable(bench)
    bench.clock.turn(days=1)
    verify(bench, number=OLD)
    approve(bench.parts, FAX, OLD, OTHER)
    assert usable(bench)


def test_a_number_that_a_letter_reached_by_mistake_opens_by_no_verification(bench):
    message = told(bench)
    bench.send_due()
    open_incident(bench.parts, message, kind="misdirected-fax", note="a bakery rang", actor=STAFF)
    assert not usable(bench)
    stays_closed_whoever_verifies_it(bench)


def stays_closed_whoever_verifies_it(bench):
    bench.clock.turn(days=1)
    verify(bench, number=OLD)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, OLD, OTHER)
    assert not usable(bench)


def queued(bench, event="session-outcome.bp-spike"):
    """Send a fax that the gateway queues; return its message, and a call that reports it as failed for a cause."""
    bench.channels["fax"].script = ["queue"]
    message = told(bench, event)
    bench.send_due()
    row = bench.deliveries(message)[-1]
    return message, lambda cause: take_in(
        bench.parts, ReceiptNews(f"gone {row.id}", "fax", row.far_side_ref, row.id, "failed", cause)
    )


def test_a_report_about_the_number_before_suspends_the_number_of_today_for_nobody(bench):
    message, report = queued(bench)
    verify(bench)
    approve(bench.parts, FAX, NEW, OTHER)
    report("fax.bad-number")
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "fax.bad-number")
    assert usable(bench)


def test_a_report_about_the_number_before_opens_no_new_number_that_nobody_approved(bench):
    _, report = queued(bench)
    verify(bench)
    report("fax.no-fax-tone")
    assert not usable(bench)
    approve(bench.parts, FAX, NEW, OTHER)
    assert usable(bench)


def test_a_later_report_does_not_turn_the_freeze_of_an_incident_into_one_that_a_verification_opens(bench):
    first, _ = queued(bench)
    _, report = queued(bench, "dose-change.ketamine")
    open_incident(bench.parts, first, kind="misdirected-fax", note="a bakery rang", actor=STAFF)
    report("fax.no-fax-tone")
    stays_closed_whoever_verifies_it(bench)


def share(bench):
    """Let a second recipient of the same office have the same fax number, written otherwise."""
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    provider["id"], provider["endpoints"][0]["id"] = "pr-colleague", "ep-colleague-fax"
    provider["endpoints"][0]["address"] = OLD.replace("-", "")
    written = bench.registry.write("providers", "pr-colleague", json.dumps(provider).encode(), STAFF)
    assert written.outcome == "created", written.faults


def usable_at(bench):
    return {one.id: one.usable for one in list_endpoints(bench.parts) if one.kind == "fax"}


def test_a_dead_number_is_closed_for_every_recipient_who_shares_it_and_each_is_verified_anew(bench):
    share(bench)
    suspend(bench)
    assert usable_at(bench) == {FAX: False, "ep-colleague-fax": False}
    verify(bench, number=OLD)
    approve(bench.parts, FAX, OLD, OTHER)
    assert usable_at(bench) == {FAX: True, "ep-colleague-fax": False}


def test_a_misdirected_letter_freezes_a_shared_number_for_all_and_the_closed_incident_opens_it_for_all(bench):
    share(bench)
    message = told(bench)
    bench.send_due()
    incident = open_incident(bench.parts, message, kind="misdirected-fax", note="a bakery rang", actor=STAFF)
    assert usable_at(bench) == {FAX: False, "ep-colleague-fax": False}
    close_incident(bench.parts, incident, resolution="it was theirs after all", address_is_right=True, actor=STAFF)
    assert usable_at(bench) == {FAX: True, "ep-colleague-fax": True}


def test_a_suspended_address_says_since_when_and_why_and_what_opens_it(bench):
    suspend(bench)
    (step, *_) = check_endpoint(bench.parts, {}, FAX, STAFF)
    assert "No fax machine answered" in step.seen
    assert f"{bench.clock.now():%Y-%m-%d}" in step.seen
    assert "verification" in step.what_to_do


def usable(bench):
    return next(one for one in list_endpoints(bench.parts) if one.id == FAX).usable


def test_an_older_or_missing_verification_opens_nothing(bench):
    edit(bench, NEW, verified_on="2026-09-01")
    message = told(bench)
    bench.send_due()
    assert bench.cause(message) == "release.address-changed"
    edit(bench, NEW, verified_on=None)
    other = told(bench, "dose-change.ketamine")
    bench.send_due()
    assert bench.cause(other) == "hand.print"
    assert bench.channels["fax"].calls == 0


def test_going_back_to_the_old_number_is_a_change_too(bench):
    edit(bench, NEW)
    edit(bench, OLD)
    message = told(bench)
    bench.send_due()
    assert bench.cause(message) == "release.address-changed"


def test_the_same_number_written_otherwise_is_no_change_and_lifts_no_suspension(bench):
    edit(bench, "+12185550143")
    message = told(bench)
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    assert bench.state(message) == State.SENT
    row = bench.deliveries(message)[0]
    take_in(bench.parts, ReceiptNews("r", "fax", row.far_side_ref, row.id, "failed", "fax.wrong-number"))
    edit(bench, "+1-218-5550143")
    other = told(bench, "dose-change.ketamine")
    bench.send_due()
    assert bench.cause(other) == "release.endpoint-suspended"
    assert bench.channels["fax"].calls == 1


def test_the_check_of_the_address_says_that_it_was_changed(bench):
    edit(bench, NEW)
    step = next(one for one in check_endpoint(bench.parts, {}, "ep-pcp-fax", STAFF) if one.name == "address")
    assert step.ok is False
    assert "changed" in step.seen
    assert "Verify" in step.what_to_do


EXTRA = "ep-pcp-fax-2"


def write_endpoints(bench, *endpoints, actor=STAFF):
    """Store the family doctor with these endpoints: each is the one of the example but for what is given."""
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    as_it_is = provider["endpoints"][0]
    provider["endpoints"] = [as_it_is | one for one in endpoints]
    written = bench.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), actor)
    assert written.outcome in {"updated", "unchanged"}, written.faults


def usable_under(bench, endpoint):
    return next(one for one in list_endpoints(bench.parts) if one.id == endpoint).usable


def test_a_new_number_under_a_new_id_needs_the_second_person_too(bench):
    today = bench.clock.now().date().isoformat()
    write_endpoints(bench, {"id": EXTRA, "address": NEW, "verified_on": today})
    message = told(bench)
    bench.send_due()
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "release.address-not-approved")
    assert bench.channels["fax"].calls == 0
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, EXTRA, NEW, STAFF)
    approve(bench.parts, EXTRA, NEW, OTHER)
    after = told(bench, "dose-change.ketamine")
    bench.send_due()
    assert bench.state(after) == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_a_new_id_in_the_place_of_another_does_not_inherit_its_verification(bench):
    write_endpoints(bench, {"id": EXTRA, "address": NEW})
    message = told(bench)
    bench.send_due()
    assert bench.cause(message) == "release.address-changed"


def test_a_further_number_beside_the_known_one_needs_the_second_person_and_the_known_one_stays_in_use(bench):
    write_endpoints(bench, {}, {"id": EXTRA, "address": NEW, "verified_on": "2026-09-01"})
    assert usable_under(bench, FAX)
    assert not usable_under(bench, EXTRA)
    approve(bench.parts, EXTRA, NEW, OTHER)
    assert usable_under(bench, EXTRA)


def test_a_known_number_under_a_new_id_is_no_new_number(bench):
    write_endpoints(bench, {"id": EXTRA, "address": "+12185550143"})
    assert usable_under(bench, EXTRA)


def test_a_closed_number_is_not_opened_by_a_new_id_nor_by_who_entered_it(bench):
    verify(bench)
    today = bench.clock.now().date().isoformat()
    write_endpoints(bench, {"id": EXTRA, "address": NEW, "verified_on": today}, actor=VERIFIER)
    assert not usable_under(bench, EXTRA)
    for one in (STAFF, VERIFIER):
        with pytest.raises(Refused, match=r"address\.second-person"):
            approve(bench.parts, EXTRA, NEW, one)


def test_a_number_taken_out_and_put_in_again_is_a_new_one(bench):
    write_endpoints(bench, {"id": EXTRA})
    write_endpoints(bench, {"address": NEW, "verified_on": bench.clock.now().date().isoformat()})
    assert not usable_under(bench, FAX)


def test_a_provider_who_is_new_goes_by_what_is_stated(bench):
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    provider |= {"id": "pr-new"}
    provider["endpoints"] = [provider["endpoints"][0] | {"id": EXTRA, "address": NEW}]
    assert bench.registry.write("providers", "pr-new", json.dumps(provider).encode(), STAFF).outcome == "created"
    assert usable_under(bench, EXTRA)
