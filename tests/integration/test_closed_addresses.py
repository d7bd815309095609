"""An address where a letter was in the wrong hands is closed wherever it stands, and stays known when nobody has it."""

import copy
import json
from dataclasses import replace

import pytest
from alembic import command
from bench_parts import STAFF, example
from test_addresses import EXTRA, FAX, NEW, OLD, OTHER, VERIFIER, queued, told, usable_under, verify
from test_sending_pages import Desk

from coordinator.domain.errors import NeedsHuman, Refused, Transient
from coordinator.flow.addresses import approve
from coordinator.flow.endpoint_checks import check_endpoint, list_endpoints
from coordinator.flow.incidents import close_incident, open_incident, open_incidents
from coordinator.store import migrate
from coordinator.store.engine import transaction

COLLEAGUES, MAILBOX = "ep-colleague", "office@direct.lakeside.example"


def with_endpoint(bench, provider_id, endpoint, outcome="created", like="pr-pcp", actor=STAFF):
    """Store a provider like one of the example, with this endpoint alone: the example's own but for what is given."""
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == like))
    provider |= {"id": provider_id, "endpoints": [provider["endpoints"][0] | endpoint]}
    written = bench.registry.write("providers", provider_id, json.dumps(provider).encode(), actor)
    assert written.outcome == outcome, written.faults


def colleague(bench, name="pr-colleague", endpoint=COLLEAGUES, **more):
    """Let a second recipient have the family doctor's fax number, written otherwise."""
    with_endpoint(bench, name, {"id": endpoint, "address": OLD.replace("-", ""), **more})


def sent(bench):
    """Send the family doctor a letter; return its message."""
    message = told(bench)
    bench.send_due()
    return message


def report(bench, message, kind="misdirected-fax"):
    return open_incident(bench.parts, message, kind=kind, note="a bakery rang, they have it", actor=STAFF)


def settle(bench, incident, *, right):
    close_incident(bench.parts, incident, resolution="we asked them", address_is_right=right, actor=STAFF)


def correct(bench):
    """Correct the family doctor's number, with both people whom that needs."""
    verify(bench)
    approve(bench.parts, FAX, NEW, OTHER)


def why_not(bench, endpoint):
    return next(one for one in list_endpoints(bench.parts) if one.id == endpoint).why_not


def test_the_number_that_the_letter_went_to_is_closed_wherever_it_stands_and_the_corrected_one_stays_open(bench):
    colleague(bench)
    message = sent(bench)
    correct(bench)
    report(bench, message)
    assert usable_under(bench, FAX), "the bakery is not at the corrected number"
    assert not usable_under(bench, COLLEAGUES)


def test_a_mailbox_that_two_recipients_share_is_closed_for_both_and_opened_for_both(bench):
    today = bench.clock.now().date().isoformat()
    with_endpoint(bench, "pr-pcp", {"kind": "direct", "address": MAILBOX, "verified_on": today}, "updated")
    bench.approve(FAX, MAILBOX)
    with_endpoint(bench, "pr-colleague", {"id": COLLEAGUES, "kind": "direct", "address": MAILBOX.title()})
    incident = report(bench, sent(bench), "wrong-recipient")
    assert not usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES)
    settle(bench, incident, right=True)
    assert usable_under(bench, FAX)
    assert usable_under(bench, COLLEAGUES)


def test_a_servers_one_wrong_record_closes_it_for_nobody_else(bench):
    psych = next(one for one in example("clinic")["providers"] if one["id"] == "pr-psych")
    (theirs,) = [one for one in psych["endpoints"] if one["kind"] == "fhir-rest"]
    with_endpoint(bench, "pr-colleague", theirs | {"id": COLLEAGUES}, like="pr-psych")
    bench.channels["fhir-rest"].script = [("take-then", NeedsHuman("fhir.other-patient", detail=b"patient"))]
    bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    assert not usable_under(bench, theirs["id"])
    assert usable_under(bench, COLLEAGUES)
    (incident,) = open_incidents(bench.parts, STAFF)
    settle(bench, incident.id, right=True)
    assert usable_under(bench, theirs["id"])


def test_a_recipient_who_is_new_does_not_open_a_number_that_is_known_as_wrong(bench):
    incident = report(bench, sent(bench))
    colleague(bench)
    assert not usable_under(bench, COLLEAGUES)
    assert "suspended" in why_not(bench, COLLEAGUES)
    settle(bench, incident, right=True)
    assert usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES), "who came to it meanwhile needs a verification and a second person"
    bench.clock.turn(days=1)
    today = bench.clock.now().date().isoformat()
    with_endpoint(bench, "pr-colleague", {"id": COLLEAGUES, "address": OLD, "verified_on": today}, "updated")
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, COLLEAGUES, OLD, STAFF)
    approve(bench.parts, COLLEAGUES, OLD, OTHER)
    assert usable_under(bench, COLLEAGUES)


@pytest.mark.parametrize("settled", [False, True])
def test_a_number_stays_known_as_wrong_when_it_was_corrected_and_nobody_has_it(bench, settled):
    incident = report(bench, sent(bench))
    correct(bench)
    if settled:
        settle(bench, incident, right=False)
    colleague(bench)
    assert usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES)


def test_a_letter_whose_number_was_corrected_before_anybody_rang_makes_the_old_one_known_too(bench):
    message = sent(bench)
    correct(bench)
    report(bench, message)
    colleague(bench)
    assert not usable_under(bench, COLLEAGUES)


def test_another_kind_of_address_in_the_same_words_is_another_place(bench):
    today = bench.clock.now().date().isoformat()
    with_endpoint(bench, "pr-pcp", {"kind": "direct", "address": MAILBOX, "verified_on": today}, "updated")
    bench.approve(FAX, MAILBOX)
    report(bench, sent(bench), "wrong-recipient")
    with_endpoint(bench, "pr-colleague", {"id": COLLEAGUES, "kind": "secure-link", "address": MAILBOX})
    assert usable_under(bench, COLLEAGUES)


def test_who_is_known_and_takes_a_wrong_number_is_closed_for_that_and_no_verification_of_its_day_opens_it(bench):
    incident = report(bench, sent(bench))
    correct(bench)
    verify(bench, number=OLD)
    assert "suspended" in why_not(bench, FAX)
    for right_of in (False, True):
        with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
            approve(bench.parts, FAX, OLD, OTHER)
        if not right_of:
            settle(bench, incident, right=False)
            verify(bench, number=OLD)


def test_after_the_incident_is_closed_a_later_verification_and_a_second_person_open_a_number_each_for_one(bench):
    colleague(bench)
    incident = report(bench, sent(bench))
    bench.clock.turn(days=1)
    verify(bench, number=OLD)
    assert not usable_under(bench, FAX), "nothing counts while the incident is open"
    settle(bench, incident, right=False)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, FAX, OLD, OTHER)
    bench.clock.turn(days=1)
    verify(bench, number=OLD)
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, FAX, OLD, STAFF)
    approve(bench.parts, FAX, OLD, OTHER)
    assert usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES)
    colleague(bench, "pr-third", "ep-third-fax")
    assert not usable_under(bench, "ep-third-fax"), "it is known still, and a third person's word is not the first's"
    assert bench.broken() == []


def test_an_address_that_waits_for_its_second_person_is_not_approved_while_an_incident_is_open_about_it(bench):
    colleague(bench)
    message = sent(bench)
    correct(bench)
    verify(bench, number=OLD)
    incident = report(bench, message)
    with pytest.raises(Refused, match=r"address\.known-wrong"):
        approve(bench.parts, FAX, OLD, OTHER)
    (step, *_) = check_endpoint(bench.parts, {}, FAX, STAFF)
    assert "not their patient" in step.seen, "who is asked to approve it is told"
    settle(bench, incident, right=False)
    with pytest.raises(Refused, match=r"address\.known-wrong"):
        approve(bench.parts, FAX, OLD, OTHER)
    bench.clock.turn(days=1)
    verify(bench, number=OLD, actor=VERIFIER)
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, FAX, OLD, VERIFIER)
    approve(bench.parts, FAX, OLD, OTHER)
    assert usable_under(bench, FAX)


def test_one_person_alone_opens_no_wrong_number_while_its_incident_is_open(bench):
    object.__setattr__(bench.parts, "policy", replace(bench.parts.policy, address_alone=True))
    message = sent(bench)
    verify(bench)
    report(bench, message)
    verify(bench, number=OLD)
    assert not usable_under(bench, FAX)


def test_a_closed_incident_opens_the_number_it_was_about_and_not_the_dead_one_of_today(bench):
    colleague(bench)
    incident = report(bench, sent(bench))
    correct(bench)
    _, failed = queued(bench, "dose-change.ketamine")
    failed("fax.bad-number")
    settle(bench, incident, right=True)
    assert usable_under(bench, COLLEAGUES)
    assert not usable_under(bench, FAX)


def test_a_number_is_opened_only_when_every_incident_about_it_is_settled_whoever_it_was_reported_for(bench):
    colleague(bench)
    first = report(bench, sent(bench))
    correct(bench)
    second = report(bench, message_of(bench, first), "wrong-recipient")
    with pytest.raises(Refused, match=r"incident\.others"):
        settle(bench, first, right=True)
    settle(bench, second, right=False)
    settle(bench, first, right=True)
    assert usable_under(bench, COLLEAGUES)


def message_of(bench, incident):
    with bench.store.begin(write=False) as tx:
        return tx.incident(incident).message_id


def test_late_word_that_the_number_before_is_dead_closes_it_where_it_still_stands(bench):
    colleague(bench)
    _, failed = queued(bench)
    correct(bench)
    failed("fax.bad-number")
    assert usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES)


def test_a_refusal_before_the_first_byte_is_about_the_number_of_that_try(bench):
    colleague(bench)
    bench.channels["fax"].script = [Transient("fax.unavailable"), ("take-then", Transient("fax.busy"))]
    told(bench)
    bench.send_due()
    bench.clock.turn(hours=1)
    bench.send_due()
    correct(bench)
    bench.channels["fax"].script = [NeedsHuman("fax.bad-number")]
    bench.clock.turn(hours=3)
    assert bench.send_due() == 1
    assert not usable_under(bench, FAX)
    assert usable_under(bench, COLLEAGUES)


def test_a_dead_number_stays_dead_for_who_is_new_until_two_people_have_put_it_into_use_again(bench):
    _, failed = queued(bench)
    failed("fax.no-fax-tone")
    colleague(bench)
    assert not usable_under(bench, COLLEAGUES)
    with pytest.raises(Refused, match=r"address\.nothing-to-approve"):
        approve(bench.parts, COLLEAGUES, OLD, OTHER)
    verify(bench, number=OLD)
    approve(bench.parts, FAX, OLD, OTHER)
    assert not usable_under(bench, COLLEAGUES), "each is verified anew"
    colleague(bench, "pr-third", "ep-third-fax")
    assert usable_under(bench, "ep-third-fax"), "it is a fax number again, and who is new goes by what is stated"


def test_a_number_found_dead_and_verified_since_waits_for_the_second_person_where_it_is_new(bench):
    _, failed = queued(bench)
    failed("fax.no-fax-tone")
    bench.clock.turn(days=3)
    colleague(bench, verified_on=bench.clock.now().date().isoformat())
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, COLLEAGUES, OLD, STAFF)
    approve(bench.parts, COLLEAGUES, OLD, OTHER)
    assert usable_under(bench, COLLEAGUES)


def test_the_list_of_incidents_says_when_the_recipient_has_another_address_by_now(bench):
    report(bench, sent(bench))
    (before,) = open_incidents(bench.parts, STAFF)
    assert (before.frozen, before.moved) == (True, False)
    correct(bench)
    (after,) = open_incidents(bench.parts, STAFF)
    assert (after.frozen, after.moved) == (True, True)
    page = Desk(bench, "sender").get("/answers").text
    assert "The address that it went to carries nothing for any patient; the recipient has another one by now." in page
    assert NEW not in page


def test_the_evidence_of_a_number_that_is_closed_on_arrival_names_the_cause(bench):
    report(bench, sent(bench))
    colleague(bench, EXTRA, EXTRA)
    with bench.store.begin(write=False) as tx:
        (line,) = [one for one in tx.audit_of([EXTRA]) if one.code is not None]
    assert (line.action, line.code) == ("address known as wrong, closed here too", "link.not-mine")


def test_what_was_closed_before_there_was_a_list_of_such_addresses_is_on_it(bench):
    incident = report(bench, sent(bench))
    with transaction(bench.store.engine) as connection:
        command.downgrade(migrate.config(connection), "0012")
    migrate.upgrade(bench.store.engine)
    colleague(bench)
    assert not usable_under(bench, COLLEAGUES)
    settle(bench, incident, right=True)
    assert usable_under(bench, FAX)
