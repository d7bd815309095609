"""What readers answer: reported, waiting, reviewed; and what it settles at once."""

import hashlib
import logging
import threading
from datetime import timedelta

import pytest
from bench_parts import STAFF, example
from link_parts import ENDPOINT, LinkBench
from pydantic import ValidationError
from test_canary import clear_text

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, NotFound, Refused
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.said import Evidence, Said

PAGE = b"%PDF-1.7 the reply form as it came by fax"
EVIDENCE = Evidence("application/pdf", PAGE, hashlib.sha256(PAGE).hexdigest())
DOSE = {
    "product": "Adderall XR",
    "form": "extended-release",
    "dose": {"value": "20", "unit": "mg"},
    "frequency": "once daily",
    "as_of": "2026-10-15",
}

LICENCE = "MD 55012, Minnesota"


def said(kind="agree", **more) -> Said:
    return Said.model_validate({"kind": kind, "name": "Łukasz Müller-Ångström", "role": "psychiatrist"} | more)


@pytest.fixture
def links(bench):
    return LinkBench(bench)


def medications(links):
    with links.bench.store.begin(write=False) as tx:
        return tx.patient(tx.key("patient", "MRN-1001")).medications


def by_phone(links, message, answer, token="t-1", **more):
    given = {"via": "phone", "evidence": None, "token": token, "actor": STAFF} | more
    return links.answers.record(message.id, answer, **given)


def test_an_answer_waits_for_review_and_applies_nothing(links):
    message = links.told()
    before = medications(links)
    assert links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1") is True
    (waiting,) = links.answers.waiting(STAFF)
    assert (waiting.message_id, waiting.via, waiting.state) == (message.id, "link", "waiting")
    assert waiting.said.dose.dose.value == 20
    assert waiting.requests
    assert medications(links) == before


def test_the_same_answer_is_stored_once_however_often_it_is_sent(links):
    message = links.told()
    session = links.enter()
    assert [links.reader.answer(session, said(), nonce) for nonce in ("n-1", "n-1", "n-2")] == [True, False, False]
    assert links.reader.answer(links.enter(), said(), "n-3") is False, "another tab, another session"
    assert len(links.answers_of(message)) == 1


def test_one_nonce_stores_one_answer_of_any_kind(links):
    message = links.told()
    session = links.enter()
    assert links.reader.answer(session, said("agree"), "n-1") is True
    links.clock.turn(seconds=1)
    assert links.reader.answer(session, said("acknowledged"), "n-1") is False
    assert links.reader.answer(session, said("acknowledged"), "n-2") is True
    assert [one.kind for one in links.answers_of(message)] == ["agree", "acknowledged"]


def test_a_replay_of_the_next_day_stores_nothing(links):
    message = links.told()
    session = links.enter()
    links.reader.answer(session, said(), "n-1")
    links.clock.turn(days=1)
    assert links.reader.answer(session, said("left-care"), "n-2") is None
    assert links.reader.answer(links.enter(), said(), "n-1") is False
    assert len(links.answers_of(message)) == 1


def test_submits_at_the_same_moment_store_one_answer(links):
    message = links.told()
    session = links.enter()
    found = []
    threads = [
        threading.Thread(target=lambda nonce=f"n-{number}": found.append(links.reader.answer(session, said(), nonce)))
        for number in range(6)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(found) == [False] * 5 + [True]
    assert len(links.answers_of(message)) == 1


def test_an_answer_closes_the_call_that_was_owed(links):
    message = links.told()
    links.clock.turn(days=2)
    links.bench.sweep()
    assert ("call", "answer.overdue") in links.tasks(message)
    links.reader.answer(links.enter(), said(), "n-1")
    assert links.tasks(message) == []


def test_a_message_that_was_answered_in_time_never_becomes_a_call(links):
    message = links.told()
    links.reader.answer(links.enter(), said(), "n-1")
    links.clock.turn(days=5)
    links.bench.sweep()
    assert links.tasks(message) == []


def test_a_wish_to_be_called_is_a_call_to_make(links):
    message = links.told()
    links.reader.answer(links.enter(), said("call-me", phone="+12185550143"), "n-1")
    assert links.tasks(message) == [("call-back", "answer.call-me")]


@pytest.mark.parametrize("silent", [True, False])
def test_an_answer_by_telephone_or_form_proves_that_the_letter_arrived(bench, silent):
    fax = bench.channels["fax"]
    fax.script, fax.knows = ["queue" if silent else ("lose-then", InDoubt("fax.in-doubt"))], False
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert bench.state(message.id) == (State.HELD if silent else State.IN_DOUBT)
    answers = StaffAnswers(bench.parts)
    for kind, then in (("wrong-recipient", bench.state(message.id)), ("acknowledged", State.ACKNOWLEDGED)):
        answers.record(message.id, said(kind), via="phone", evidence=None, token=f"t-{kind}", actor=STAFF)
        assert bench.state(message.id) == then
    assert [one.verdict for one in bench.desk.message(message.id, STAFF).deliveries[-1].receipts] == ["acknowledged"]
    assert bench.broken() == []


def test_a_second_wish_to_be_called_keeps_the_call_and_after_the_call_it_is_another(links):
    message, owed = links.told(), [("call-back", "answer.call-me")]
    links.reader.answer(links.enter(), said("call-me", phone="+12185550143"), "n-1")
    links.clock.turn(hours=1)
    links.reader.answer(links.enter(), said("call-me", phone="+12185550199"), "n-2")
    assert links.tasks(message) == owed
    (call,) = links.bench.desk.calls(STAFF)
    links.bench.desk.call_done(call.task_id, note="reached, all is agreed", actor=STAFF)
    assert links.tasks(message) == []
    by_phone(links, message, said("call-me", phone="+12185550199"))
    assert links.tasks(message) == owed
    assert links.bench.broken() == []


def test_who_no_longer_treats_the_patient_leaves_the_call_owed_and_opens_no_incident(links):
    message = links.told()
    links.clock.turn(days=2)
    links.bench.sweep()
    links.reader.answer(links.enter(), said("left-care"), "n-1")
    assert ("call", "answer.overdue") in links.tasks(message)
    assert links.answers.incidents(STAFF) == []


@pytest.mark.parametrize("kind", ["not-my-patient", "wrong-recipient"])
def test_a_wrong_recipient_opens_an_incident_and_closes_the_address_for_everybody(links, kind):
    message = links.told()
    session = links.enter()
    assert links.reader.answer(session, said(kind), "n-1") is True
    (incident,) = links.answers.incidents(STAFF)
    assert (incident.message_id, incident.kind, incident.endpoint_id) == (message.id, kind, ENDPOINT)
    assert links.reader.view(session) is None, "the letter closes at once"
    assert links.enter() is None
    other = links.told("dose-change.ketamine")
    assert (links.bench.state(other.id), links.bench.cause(other.id)) == (State.HELD, "release.endpoint-suspended")


def test_an_accepted_dose_becomes_one_more_statement_and_overwrites_none(links):
    links.told()
    before = medications(links)
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="as agreed by telephone")
    after = medications(links)
    assert after[: len(before)] == before
    stated = after[-1]
    assert (stated.product, str(stated.dose), stated.source, stated.role) == (
        "Adderall XR",
        "20 mg",
        "prescriber",
        "stimulant",
    )
    assert stated.as_of.isoformat() == "2026-10-15"
    assert links.answers.waiting(STAFF) == []


def test_a_rejected_dose_changes_nothing(links):
    links.told()
    before = medications(links)
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    links.answers.review(waiting.id, accepted=False, actor=STAFF, licence=LICENCE, reason="another patient's dose")
    assert medications(links) == before
    with pytest.raises(Refused, match=r"answer\.reviewed"):
        links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="on second thoughts")
    assert medications(links) == before


def test_two_clinicians_at_once_review_an_answer_once(links):
    links.told()
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    found = []

    def review():
        try:
            links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="as agreed")
            found.append("done")
        except Refused as refused:
            found.append(refused.code)

    threads = [threading.Thread(target=review) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(found) == ["answer.reviewed"] * 3 + ["done"]
    assert len(medications(links)) == 2


def test_a_review_needs_a_reason(links):
    links.told()
    links.reader.answer(links.enter(), said(), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    with pytest.raises(Refused, match=r"reason\.missing"):
        links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="ok")
    with pytest.raises(NotFound):
        links.answers.review("none", accepted=True, actor=STAFF, licence=LICENCE, reason="as agreed")


def test_a_planned_dose_is_not_stated_before_its_day(links):
    message = links.told()
    plan = DOSE | {"as_of": "2026-10-19"}
    by_phone(links, message, said("different-plan", dose=plan), via="form", evidence=EVIDENCE)
    (waiting,) = links.answers.waiting(STAFF)
    with pytest.raises(Refused, match=r"answer\.not-yet"):
        links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="form compared")
    assert len(links.answers.waiting(STAFF)) == 1
    links.clock.turn(days=3)
    links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="form compared")
    assert str(medications(links)[-1].dose) == "20 mg"


def test_only_the_prescriber_can_report_the_dose(links):
    team = example("clinic")["patients"][0]["care_team"]
    team[0]["prescribes"] = []
    links.bench.change_patient(care_team=team)
    message = links.told()
    session = links.enter()
    assert links.reader.view(session).may_report_dose is False
    with pytest.raises(Refused):
        links.reader.answer(session, said("current-dose", dose=DOSE), "n-1")
    by_phone(links, message, said("current-dose", dose=DOSE))
    (waiting,) = links.answers.waiting(STAFF)
    with pytest.raises(Refused, match=r"answer\.not-prescriber"):
        links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="as agreed")


def test_a_reply_form_is_typed_in_with_its_page_as_evidence(links):
    message = links.told()
    name = by_phone(links, message, said("different-plan", dose=DOSE), via="form", evidence=EVIDENCE)
    (waiting,) = links.answers.waiting(STAFF)
    assert (waiting.id, waiting.via, waiting.recorded_by, waiting.has_evidence) == (name, "form", "dana", True)
    assert links.answers.evidence(name, STAFF) == ("application/pdf", PAGE)


def test_a_reply_form_without_its_page_is_refused(links):
    message = links.told()
    with pytest.raises(Refused, match=r"answer\.evidence"):
        by_phone(links, message, said(), via="form")
    for wrong in (Evidence("text/html", PAGE, ""), Evidence("image/png", b"", "")):
        with pytest.raises(Refused):
            by_phone(links, message, said(), via="form", evidence=wrong)
    assert links.answers_of(message) == []


def test_a_double_click_records_a_call_once(links):
    message = links.told()
    assert by_phone(links, message, said()) == by_phone(links, message, said())
    assert len(links.answers_of(message)) == 1
    by_phone(links, message, said("left-care"), token="t-2")
    assert len(links.answers_of(message)) == 2


def test_a_letter_that_never_left_cannot_have_been_answered(bench):
    links = LinkBench(bench, code=False)
    message = links.told()
    with pytest.raises(Refused, match=r"answer\.not-sent"):
        by_phone(links, message, said())
    with pytest.raises(NotFound):
        links.answers.record("none", said(), via="phone", evidence=None, token="t", actor=STAFF)


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "current-dose"},
        {"kind": "agree", "dose": DOSE},
        {"kind": "call-me"},
        {"kind": "different-plan"},
        {"kind": "current-dose", "dose": DOSE | {"dose": {"value": "0", "unit": "mg"}}},
        {"kind": "current-dose", "dose": DOSE | {"dose": {"value": "20", "unit": "mL"}}},
        {"kind": "current-dose", "dose": DOSE | {"dose": {"value": "20"}}},
        {"kind": "current-dose", "dose": DOSE | {"dose": {"value": "1001", "unit": "mg"}}},
        {"kind": "current-dose", "dose": DOSE | {"as_of": "soon"}},
        {"kind": "hold"},
        {"name": ""},
        {"role": "nurse\nSubject: x"},
        {"apply": True},
    ],
)
def test_an_answer_that_is_not_whole_is_refused(more):
    with pytest.raises(ValidationError):
        said(**{"kind": "agree", **more})


def test_the_prescribers_word_settles_a_disagreement_without_losing_the_patients(links):
    links.bench.change_patient(
        medications=[
            {"role": "stimulant", "product": "Adderall XR", "form": "extended-release", "frequency": "once daily",
             "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-01", "source": "patient"},
        ]
    )  # fmt: skip
    links.told()
    thirty = DOSE | {"dose": {"value": "30", "unit": "mg"}, "as_of": "2026-10-16"}
    links.reader.answer(links.enter(), said("current-dose", dose=thirty), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    assert [str(one.dose) for one in waiting.statements] == ["20 mg"]
    links.answers.review(waiting.id, accepted=True, actor=STAFF, licence=LICENCE, reason="as they wrote")
    assert [(str(one.dose), one.source) for one in medications(links)] == [
        ("20 mg", "patient"),
        ("30 mg", "prescriber"),
    ]


def test_nothing_a_reader_types_and_no_secret_stands_in_clear_in_database_or_log(links, caplog):
    caplog.set_level(logging.DEBUG, logger="coordinator")
    message = links.told()
    links.enter(code="WRONG-CODE")
    session = links.enter()
    answer = said(
        "different-plan", note="Zqxcanary plan", dose=DOSE | {"product": "Zqxcanaryamine"}, name="Zqxcanary Name"
    )
    links.reader.answer(session, answer, "nonce-zqxcanary")
    by_phone(links, message, said("call-me", phone="+12187777777", note="Zqxcanary call"))
    for one in links.answers.waiting(STAFF):
        links.answers.review(one.id, accepted=False, actor=STAFF, licence=LICENCE, reason="Zqxcanary reason")
    stored = clear_text(links.bench)
    logged = caplog.text + "".join(str(one.__dict__) for one in caplog.records)
    notice = links.notice()
    secrets = ["Zqxcanary", "2187777777", notice.token, notice.path, notice.path.replace("-", ""), session, links.code,
               links.code.replace("-", ""), "WRONG-CODE", "nonce-zqxcanary", "203.0.113.7", "reply form"]  # fmt: skip
    for one in secrets:
        assert one not in stored, one
        assert one not in logged, one
    assert links.bench.broken() == []


def test_every_look_and_every_answer_is_in_the_evidence(links):
    message = links.told()
    session = links.enter()
    links.reader.view(session)
    links.reader.document(session, "letter-pdf")
    links.reader.answer(session, said(), "n-1")
    with links.bench.store.begin(write=False) as tx:
        found = [one.action for one in tx.audit_of([message.id])]
    wanted = ["letter opened by link", "letter read by link", "letter-pdf taken by link", "answered: agree"]
    assert [one for one in found if one in wanted] == wanted
    assert timedelta(0) <= links.clock.now() - links.answers_of(message)[0].answered_at
