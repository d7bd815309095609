"""What is still owed about a message once somebody has answered: an answer to its question, and the calls for it."""

from collections.abc import Iterable
from datetime import datetime

from coordinator.domain.ids import stable_uuid
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import AnswerRow
from coordinator.flow.rows import MessageRecord
from coordinator.flow.said import UNSETTLING
from coordinator.observe.log import Log, write
from coordinator.planning.letters_due import DISCREPANCY

OVERDUE = "answer.overdue"
CALL_BACK = "answer.call-me"
STILL_OPEN = "answer.still-open"
FOR_AN_ANSWER = frozenset({OVERDUE, CALL_BACK, STILL_OPEN, "answer.second", "answer.covering", "call.due"})
"""Causes of calls that ask for an answer; `call.due` stands on rows of earlier versions.

A call of another cause (an emergency, a locked link) is done when somebody has answered.
"""


def open_question(message: MessageRecord, answers: Iterable[AnswerRow]) -> str | None:
    """Return what the message asks to be told and nobody has told yet, or None.

    Which of two statements holds (L12) is told by a dose and by nothing else: to agree
    with the other letter, or to have read both, is no answer. A statement that only
    wants to be confirmed can be agreed with. What a clinician rejected counts for nothing.
    """
    counted = [one for one in answers if one.state != "rejected" and one.kind not in UNSETTLING]
    told = any(one.said.get("dose") for one in counted)
    confirmed = told or any(one.kind == "agree" for one in counted)
    for asked in message.plan.get("requests", []):
        settled = told if asked.get("rule") == DISCREPANCY else confirmed
        if asked.get("action") == "answer" and not settled:
            return str(asked["text"])
    return None


def answer_owed(message: MessageRecord, answers: Iterable[AnswerRow]) -> bool:
    """Return whether what was asked waits for an answer: nobody has given one, or its question is open."""
    given = list(answers)
    if not message.plan.get("requests"):
        return False
    return open_question(message, given) is not None or all(one.kind in UNSETTLING for one in given)


def close_calls(tx: Transaction, message: MessageRecord, kind: str, now: datetime) -> None:
    """Close the calls that an answer of this kind has made needless; one that is not due yet will never be raised.

    While the question is open its calls stay owed. A wish to be called puts the call
    back in their place, once more where the one before it was made.
    """
    is_open = kind != "call-me" and open_question(message, tx.answers_of(message.id)) is not None
    if message.acknowledge_by_at is not None and not is_open:
        name = stable_uuid("task", message.id, "answer")
        tx.add_task(name, message.id, "call", OVERDUE, message.acknowledge_by_at, now)
    for task_id, _, _, cause, _ in tx.open_tasks(message.id):
        stays = cause == CALL_BACK if kind == "call-me" else is_open and cause in FOR_AN_ANSWER
        if not stays:
            tx.close_task(task_id, by="answer", note=f"answered: {kind}", at=now)
    if kind == "call-me":
        due = stable_uuid("task", message.id, "call-back")
        if tx.raise_again(due, message.id, "call-back", CALL_BACK, now, now):
            write(Log.TASK_RAISED, message_id=message.id, code=CALL_BACK)


def reopen(tx: Transaction, message: MessageRecord, rejected: AnswerRow, now: datetime) -> None:
    """Raise a call at once when the answer that a clinician has just rejected was the one that answered the question.

    `rejected` is the row as it was before. The usual call of that message was
    entered and closed when the answer came, so it would never come again.
    """
    after = tx.answers_of(message.id)
    before = [rejected if one.id == rejected.id else one for one in after]
    if message.state != "open" or open_question(message, before) is not None or open_question(message, after) is None:
        return
    name = stable_uuid("task", message.id, "reopened", rejected.id)
    if tx.raise_again(name, message.id, "call", STILL_OPEN, now, now):
        write(Log.TASK_RAISED, message_id=message.id, code=STILL_OPEN)
