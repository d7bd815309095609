"""The secure link: the notice, the code, the lock, the expiry, and everything that ends it."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from bench_parts import STAFF, example
from link_parts import ENDPOINT, PUBLIC, LinkBench

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, NeedsHuman, NotFound, Transient
from coordinator.flow.link import TooManyTries, plain_code, set_access_code, spelled
from coordinator.store.link_part import letter_links


@pytest.fixture
def links(bench):
    return LinkBench(bench)


def wrong(links, times=1, **other):
    return [links.enter(code=f"WRNG-000{number}", **other) for number in range(times)]


def test_the_notice_names_the_clinic_and_the_link_and_nobody_else(links):
    message = links.told()
    notice = links.notice()
    assert links.bench.state(message.id) == State.SENT
    assert notice.to == "office@northshore.example"
    assert f"{PUBLIC}/l#{notice.token}" in notice.text
    assert "Lakeside Interventional Psychiatry" in notice.text
    whole = links.room.mails[-1][1].decode()
    for private in ("Zoë", "Núñez", "1988", "MRN", "ketamine", "Adderall", "Müller", message.reference, links.code):
        assert private not in notice.subject + notice.text + whole


def test_the_token_has_256_bits_and_stands_nowhere_but_as_its_hash(links):
    links.told()
    notice = links.notice()
    assert len(bytes.fromhex(notice.token)) == 32
    with links.bench.store.begin(write=False) as tx:
        row = tx.connection.execute(sa.select(letter_links)).one()
    assert notice.token not in str(row)
    assert notice.path.replace("-", "") not in str(row)
    assert len(row.token_key) == 64
    assert letter_links.c.token_key.unique


def test_the_right_code_opens_the_letter_and_that_is_its_proof(links):
    message = links.told()
    session = links.enter()
    assert session
    assert links.bench.state(message.id) == State.ACKNOWLEDGED
    assert links.link(message).opens == 1
    view = links.reader.view(session)
    assert view.requests
    assert "184/112" in view.letters[0].text


def test_the_short_path_needs_the_same_code(links):
    links.told()
    path = links.notice().path
    assert links.enter(token="", path=path, code="WRNG-0000") is None
    assert links.enter(token="", path=path.lower()) is not None


@pytest.mark.parametrize("typed", ["lower", "blanks", "no-hyphen"])
def test_a_code_may_be_typed_as_people_type(links, typed):
    links.told()
    shapes = {
        "lower": links.code.lower(),
        "blanks": links.code.replace("-", "  "),
        "no-hyphen": links.code[:4] + links.code[5:],
    }
    assert links.enter(code=shapes[typed]) is not None


def test_letters_that_look_like_digits_are_read_as_digits():
    assert plain_code("oil-O1") == "01101"
    assert spelled("f" * 64, 8) == "ZZZZZZZZ"


def test_without_an_access_code_no_notice_goes_and_staff_are_told(bench):
    links = LinkBench(bench, code=False)
    message = links.told()
    assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "link.no-code")
    assert links.room.mails == []
    links.code = set_access_code(bench.parts, links.codes, ENDPOINT, actor=STAFF)
    bench.desk.release(bench.deliveries(message.id)[-1].id, reason="code was telephoned", token="t-1", actor=STAFF)
    bench.send_due()
    assert links.enter()


def test_a_code_is_kept_only_as_argon2id_and_a_new_one_ends_the_old_one(links):
    links.told()
    old = links.code
    with links.bench.store.begin(write=False) as tx:
        assert tx.access_code(ENDPOINT).code_hash.startswith("$argon2id$")
    links.code = set_access_code(links.bench.parts, links.codes, ENDPOINT, actor=STAFF)
    assert links.code != old
    assert links.enter(code=old) is None
    assert links.enter() is not None


def test_a_code_is_only_made_for_a_secure_link_that_there_is(links):
    for endpoint in ("ep-pcp-fax", "ep-nobody"):
        with pytest.raises(NotFound):
            set_access_code(links.bench.parts, links.codes, endpoint, actor=STAFF)


def test_five_wrong_codes_lock_the_link_and_staff_are_told(links):
    message = links.told()
    assert wrong(links, 4) == [None] * 4
    assert links.bench.state(message.id) == State.SENT
    assert wrong(links) == [None]
    assert (links.bench.state(message.id), links.bench.cause(message.id)) == (State.HELD, "link.locked")
    assert links.enter() is None, "the right code comes too late"


def test_what_has_not_the_form_of_a_code_uses_up_no_try(links):
    message = links.told()
    for typed in ("", " ", "scanned", "AB12-CD3", "AB12-CD345", "AB12-CD3U", "AB12-CD3é"):
        assert links.enter(code=typed) is None
    assert links.link(message).failures == 0
    assert links.enter()


def at_once(links, times):
    """Type the right code so many times at the same moment; return how often it opened."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(links.enter() is not None)) for _ in range(times)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(found)


def test_a_double_click_on_the_right_code_locks_nobody_out(links):
    message = links.told()
    wrong(links, 4)
    assert at_once(links, 2) >= 1
    assert links.link(message).locked_at is None
    assert links.enter()


def test_a_link_whose_last_try_nobody_finished_is_locked_all_the_same(links):
    message = links.told()
    with links.bench.store.begin() as tx:
        tx.put_link(replace(tx.link(links.bench.deliveries(message.id)[-1].id), failures=5))
    for _ in range(5):
        assert links.enter() is None, "no code is looked at any more"
    assert (links.bench.state(message.id), links.bench.cause(message.id)) == (State.HELD, "link.locked")


def test_a_right_code_starts_the_count_anew(links):
    links.told()
    wrong(links, 4)
    assert links.enter()
    wrong(links, 4)
    assert links.enter()


def test_a_lock_after_the_letter_was_opened_makes_a_call_to_staff(links):
    message = links.told()
    session = links.enter()
    wrong(links, 5)
    assert links.bench.state(message.id) == State.ACKNOWLEDGED
    assert ("call", "link.locked") in links.tasks(message)
    assert links.reader.view(session) is None


def test_many_wrong_codes_at_once_are_all_counted(links):
    message = links.told()
    found = []
    threads = [threading.Thread(target=lambda: found.append(wrong(links))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[None]] * 8
    assert links.link(message).locked_at is not None
    assert links.enter() is None


def test_a_locked_link_that_is_released_is_a_new_link(links):
    message = links.told()
    old = links.notice()
    wrong(links, 5)
    delivery = links.bench.deliveries(message.id)[-1].id
    links.bench.desk.release(delivery, reason="spoke with the office", token="t-1", actor=STAFF)
    links.bench.send_due()
    assert links.notice().token != old.token
    assert links.enter(token=old.token) is None
    assert links.enter(token="", path=old.path) is None
    assert links.enter()


def test_random_tokens_are_throttled_by_address_and_nothing_is_looked_at(links):
    links.told()
    for number in range(20):
        assert links.enter(token=f"{number:064x}") is None
    with pytest.raises(TooManyTries):
        links.enter(token="f" * 64)
    with pytest.raises(TooManyTries):
        links.enter()
    assert links.enter(address="198.51.100.9"), "another office is not made to wait"
    links.clock.turn(minutes=16)
    assert links.enter()


def test_right_codes_are_not_counted_against_an_office(links):
    links.told()
    for _ in range(20):
        assert links.enter()
    assert links.enter() is None, "but one link opens only so often"


def test_every_closed_link_costs_one_code_check_like_an_open_one(links, monkeypatch):
    message = links.told()
    checked = []
    matches = links.codes.matches
    monkeypatch.setattr(links.codes, "matches", lambda code, kept: checked.append(kept) or matches(code, kept))
    assert links.enter(token="a" * 64) is None
    assert links.enter(code="WRNG-0000") is None
    wrong(links, 4)
    assert links.link(message).locked_at
    assert links.enter() is None
    links.clock.turn(days=15)
    assert links.enter(address="198.51.100.9") is None
    assert len(checked) == 8


def test_an_unopened_link_runs_out_into_the_hands_of_a_person(links):
    message = links.told()
    links.clock.turn(days=13)
    links.bench.sweep()
    assert links.bench.state(message.id) == State.SENT
    links.clock.turn(days=1, seconds=1)
    assert links.enter() is None
    links.bench.sweep()
    assert (links.bench.state(message.id), links.bench.cause(message.id)) == (State.HELD, "link.expired")


def test_a_fresh_notice_leads_to_the_same_link_with_its_whole_time(links):
    message = links.told()
    token = links.notice().token
    links.clock.turn(days=14, seconds=1)
    links.bench.sweep()
    delivery = links.bench.deliveries(message.id)[-1].id
    links.bench.desk.release(delivery, reason="they ask for it again", token="t-1", actor=STAFF)
    links.bench.send_due()
    assert len(links.room.mails) == 2
    assert links.notice().token == token
    assert links.link(message).expires_at == links.clock.now() + timedelta(days=14)
    assert links.enter()


def test_a_resend_by_a_person_is_a_new_link_and_the_old_one_is_dead(links):
    message = links.told()
    old = links.notice()
    session = links.enter()
    delivery = links.bench.deliveries(message.id)[-1].id
    links.bench.desk.resend(delivery, reason="mail was deleted", token="t-1", actor=STAFF)
    assert links.enter(token=old.token), "until the new notice has gone, the old link opens"
    links.bench.send_due()
    assert links.notice().token != old.token
    assert links.enter(token=old.token) is None
    assert links.reader.view(session) is None
    assert links.enter()


def test_consent_withdrawn_ends_the_link_and_every_open_page_at_once(links):
    links.told()
    session = links.enter()
    assert links.reader.view(session)
    consents = example("clinic")["patients"][0]["consents"]
    consents[0] |= {"revoked_on": "2026-10-16"}
    links.bench.change_patient(consents=consents)
    assert links.reader.view(session) is None
    assert links.reader.document(session, "letter-pdf") is None
    assert links.enter() is None


def test_a_correction_ends_the_link_of_the_letter_it_replaces(links):
    links.told()
    old = links.notice()
    session = links.enter()
    links.clock.turn(minutes=5)
    vitals = example("session-outcome.bp-spike")["vitals"]
    vitals[0] |= {"systolic": 124, "diastolic": 78}
    corrected = links.told(version=2, amendment_reason="typing error", vitals=vitals)
    assert corrected.letters[0] == "L9"
    assert links.reader.view(session) is None
    assert links.enter(token=old.token) is None


def test_the_dead_link_of_a_letter_that_was_replaced_is_nobodys_work(links):
    first = links.told()
    old = links.notice()
    links.clock.turn(minutes=5)
    vitals = example("session-outcome.bp-spike")["vitals"]
    vitals[0] |= {"systolic": 124, "diastolic": 78}
    links.told(version=2, amendment_reason="typing error", vitals=vitals)
    wrong(links, 5, token=old.token)
    assert links.bench.state(first.id) == State.SENT
    links.clock.turn(days=15)
    links.bench.sweep()
    assert (links.bench.state(first.id), links.bench.cause(first.id)) == (State.CANCELLED, "release.superseded")
    assert not links.bench.desk.message(first.id, STAFF).row.needs_person
    assert links.bench.broken() == []


def test_a_link_that_runs_out_after_consent_ended_is_nobodys_work_either(links):
    message = links.told()
    consents = example("clinic")["patients"][0]["consents"]
    consents[0] |= {"revoked_on": "2026-10-16"}
    links.bench.change_patient(consents=consents)
    links.clock.turn(days=15)
    links.bench.sweep()
    assert (links.bench.state(message.id), links.bench.cause(message.id)) == (State.CANCELLED, "consent.revoked")
    assert links.bench.broken() == []


def test_a_session_ends_after_fifteen_minutes(links):
    links.told()
    session = links.enter()
    links.clock.turn(minutes=14, seconds=59)
    assert links.reader.view(session)
    links.clock.turn(seconds=1)
    assert links.reader.view(session) is None
    links.door.tidy()
    assert links.reader.view(session) is None


def test_a_session_reads_one_letter_and_no_other(links):
    links.told()
    first = links.enter()
    links.told("dose-change.ketamine")
    assert links.notice().token != links.notice(0).token
    second = links.enter()
    assert links.reader.view(first).reference != links.reader.view(second).reference


def test_a_notice_in_doubt_is_sent_again_and_is_the_same_link(links):
    links.room.script = [("after", InDoubt("link.in-doubt"))]
    message = links.told()
    assert links.bench.state(message.id) == State.IN_DOUBT
    token = links.notice().token
    links.clock.turn(minutes=1)
    links.bench.sweep()
    links.clock.turn(minutes=1)  # it keeps the waits of its schedule
    links.bench.send_due()
    assert links.bench.state(message.id) == State.SENT
    assert links.notice().token == token


def test_a_letter_opened_from_a_notice_in_doubt_is_proven_and_no_second_notice_goes(links):
    links.room.script = [("after", InDoubt("link.in-doubt"))]
    message = links.told()
    assert links.enter()
    assert links.bench.state(message.id) == State.ACKNOWLEDGED
    links.clock.turn(hours=1)
    links.bench.sweep()
    links.bench.send_due()
    assert len(links.room.mails) == 1


def test_a_mail_service_that_is_away_is_tried_again_with_the_same_link(links):
    links.room.script = [("before", Transient("net.connect"))]
    message = links.told()
    assert links.bench.state(message.id) == State.PENDING
    links.clock.turn(minutes=2)
    links.bench.send_due()
    assert links.bench.state(message.id) == State.SENT
    assert links.enter()


def test_a_refused_mail_address_waits_for_the_front_desk(links):
    links.room.script = [("before", NeedsHuman("direct.address"))]
    message = links.told()
    assert (links.bench.state(message.id), links.bench.cause(message.id)) == (State.HELD, "link.mail-refused")


def test_all_promises_hold_after_a_letter_was_read_by_link(links):
    links.told()
    links.enter()
    links.bench.sweep()
    assert links.bench.broken() == []
