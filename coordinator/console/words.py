"""What the console calls things: states, channels, roles, priorities. Shown to clinic staff, in their words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from coordinator.domain.delivery import State
from coordinator.flow import resend
from coordinator.flow.presenting import TITLES, what_comes
from coordinator.flow.read_models import DeliveryView

MIN_REASON = resend.MIN_REASON
"""Characters of a reason at least: the forms ask for them before anything is posted."""


@dataclass(frozen=True)
class StateWords:
    """How a state is shown: a label, one line that explains it, a tone, and a sign that works without colour."""

    label: str
    means: str
    tone: str
    sign: str


STATES: Mapping[str, StateWords] = {
    State.PENDING: StateWords("Waiting", "It will be tried when it is due.", "calm", "dots"),
    State.CLAIMED: StateWords("Starting", "It is about to be sent; nothing has left yet.", "calm", "dots"),
    State.ON_WIRE: StateWords("Being sent", "It is leaving now.", "calm", "arrow"),
    State.SENT: StateWords("Sent", "The far side took it. Nothing proves yet that it arrived.", "info", "arrow"),
    State.ACKNOWLEDGED: StateWords("Acknowledged", "A receipt proves that it arrived.", "good", "check"),
    State.IN_DOUBT: StateWords("In doubt", "It may have arrived. It is not sent again on its own.", "warn", "question"),
    State.HELD: StateWords("Held", "It waits for a person.", "warn", "pause"),
    State.DEAD: StateWords("Failed", "No further attempt will be made.", "bad", "cross"),
    State.CANCELLED: StateWords("Withdrawn", "It was withdrawn or replaced before anything left.", "calm", "minus"),
}

CHANNELS: Mapping[str, str] = {
    "fhir-rest": "EHR (FHIR)",
    "fhir-message": "EHR (FHIR message)",
    "direct": "Direct mail",
    "fax": "Fax",
    "secure-link": "Secure link",
    "by-hand": "By hand",
    "none": "No way yet",
}

BY: Mapping[str, str] = {
    "fhir-rest": "by EHR (FHIR)",
    "fhir-message": "by EHR (FHIR message)",
    "direct": "by Direct mail",
    "fax": "by fax",
    "secure-link": "by secure link",
    "by-hand": "by hand",
    "none": "with no way to send it yet",
}

ANSWERED: Mapping[str, str] = {
    "acknowledged": "has read the letter",
    "agree": "agrees and will do what is asked",
    "different-plan": "has a different plan",
    "call-me": "wants to be called",
    "current-dose": "reports the current dose",
    "left-care": "no longer treats this patient",
    "not-my-patient": "says this is not their patient",
    "misdirected-fax": "it went to a wrong number or mailbox",
    "wrong-recipient": "says the letter is not meant for this office",
    "wrong-record": "the recipient's system filed it in another patient's record",
}
"""What a recipient answered, or what is said of where a letter went, after the name of who said it."""

ROLES: Mapping[str, str] = {
    "front-desk": "Front desk",
    "nurse": "Nurse",
    "clinician": "Clinician",
    "privacy-officer": "Privacy officer",
    "administrator": "Administrator",
    "clinic-engineer": "Clinic engineer",
    "engineer": "Engineer",
}

STAFF_ROLES: Mapping[str, str] = {
    "viewer": "sees where messages stand, not the letters",
    "sender": "reads letters, answers questions, resends and withdraws",
    "clinician": "reads letters, answers questions, and reviews what recipients report",
    "admin": "sees where messages stand; sets up accounts and addresses",
    "auditor": "sees the audit trail",
}

PRIORITIES: Mapping[str, str] = {"routine": "Routine", "urgent": "Urgent", "stat": "Immediate"}

EVENTS: Mapping[str, str] = {"session-outcome": "Session outcome", "dose-change": "Dose change"}

OUTCOMES: Mapping[str, str] = {
    "taken": "Taken by the far side",
    "proven": "Arrived",
    "transient": "Not now; tried again",
    "permanent": "Refused for good",
    "needs-human": "A person must act",
    "in-doubt": "May have arrived",
    "not-sent": "Not sent after all",
}

VERDICTS: Mapping[str, str] = {
    "processed": "Taken over, not yet delivered",
    "acknowledged": "Arrived",
    "failed": "Failed",
    "partial": "Arrived in part",
    "handed-over": "Handed over",
}

DOCUMENTS: Mapping[str, str] = {
    "letter-html": "Letter",
    "letter-text": "Letter as text",
    "letter-pdf": "Letter as PDF",
    "fax-pdf": "Fax pages as PDF",
    "ccda-note": "Progress note (C-CDA)",
    "fhir-chart": "FHIR resources",
    "fhir-singles": "FHIR resources, one by one",
    "fhir-tasks": "Changes to FHIR tasks",
    "fhir-document": "FHIR document",
    "fhir-message": "FHIR message",
}

LETTERS: Mapping[str, str] = dict(
    sorted({**TITLES, "L10": "Fax cover", "L11": "Reply form"}.items(), key=lambda one: int(one[0][1:]))
)
"""What each kind of letter is called: a message by its title, and what goes with a letter."""

LANGUAGES: Mapping[str, str] = {"en": "English", "es": "Spanish"}

JOB_STATES: Mapping[str, str] = {
    "draft": "Not started yet",
    "asked": "Waits for a second person",
    "running": "Under way",
    "paused": "Paused",
    "done": "Done",
    "cancelled": "Stopped",
}

DONE: Mapping[str, str] = {
    "resend": "A new delivery was made.",
    "next": "The next address was taken; a letter is marked as a copy where an earlier one may be known.",
    "release": "Released.",
    "recompose": "A new version was composed. The old one is kept.",
    "cancel": "Withdrawn. Nothing of it has left.",
    "handover": "The hand-over is on record.",
    "confirmed": "Answered. The event goes on.",
    "call": "The call is recorded.",
    "not-confirmed": "Answered. The event stays until the source sends a correction.",
    "password": "Your password was changed. Other browsers were signed out.",
}

GOING = frozenset({"resend", "next", "release", "recompose"})
"""Acts after which something is to go out; where it stands is said with them."""


def done(verb: str | None, current: DeliveryView | None) -> str | None:
    """Return what an act came to: that it was done, and where the delivery that came of it stands."""
    said = DONE.get(verb or "")
    if said is None or current is None or verb not in GOING:
        return said
    return f"{said} {what_comes(current)}"


PROOF: tuple[tuple[str, str, str, str], ...] = (
    (
        "EHR (FHIR)",
        "–",
        "the server answered with the place where it keeps the letter; it is read back where the server allows",
        "after asking the server whether it is there",
    ),
    (
        "EHR (FHIR message)",
        "–",
        "the server took the message, and its response message says ok",
        "after asking; else a person decides",
    ),
    (
        "Direct mail",
        "our mail operator took it",
        "the notice “dispatched” came; “processed” alone is not delivery",
        "no",
    ),
    (
        "Fax",
        "the fax gateway queued it",
        "the transmission report says that all pages went through",
        "after asking the gateway",
    ),
    (
        "Secure link",
        "the notice without patient data was handed over",
        "the identified reader opened the letter",
        "the notice yes; the link stays one",
    ),
    ("By hand", "–", "staff recorded the hand-over", "a person decides"),
)
"""(channel, sent when, acknowledged when, may a timed-out send be repeated?)."""


def who(actor: str) -> str:
    """Return who acted, without our own names for kinds of actors: "staff rae" is "rae", a job is the service."""
    kind, _, name = actor.partition(" ")
    if kind == "job":
        return "the service"
    return (
        {"staff": name, "source": f"from {name}", "recipient": f"recipient {name}"}.get(kind, actor) if name else actor
    )


def letters(kinds: Sequence[str]) -> str:
    """Return the letters of a message by name: "Correction (L9), session summary (L2)"."""
    names = ", ".join(f"{LETTERS.get(kind, 'letter').lower()} ({kind})" for kind in kinds)
    return names[:1].upper() + names[1:]


def happened(text: str) -> str:
    """Return a line of a message's history in words. What somebody wrote behind its colon stays as it is."""
    action, colon, detail = text.partition(": ")
    kind, _, code = action.partition(" ")
    if action == "answered" and detail in ANSWERED:
        return f"answered: {ANSWERED[detail]}"
    if kind == "delivery" and code in tuple(State):
        return f"delivery: {STATES[State(code)].label.lower()}{colon}{detail}"
    if kind == "receipt" and code in VERDICTS:
        word = VERDICTS[code]
        return f"receipt: {word[0].lower()}{word[1:]}{colon}{detail}"
    if kind in DOCUMENTS:
        word = DOCUMENTS[kind]
        return f"{word[0].lower()}{word[1:]} {code}{colon}{detail}"
    for language, word in LANGUAGES.items():
        action = action.replace(f"({language})", f"({word})")
    return f"{action}{colon}{detail}"


def span(seconds: float) -> str:
    """Return a length of time in one unit, rounded down: "40 s", "12 min", "3 h", "2 days"."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 2 * 86400:
        return f"{whole // 3600} h"
    return f"{whole // 86400} days"


def day(written: str) -> str:
    """Return an ISO date the way nobody can misread: "4 May 1989"; anything else as it is."""
    try:
        return f"{date.fromisoformat(written):%-d %b %Y}"
    except ValueError:
        return written


def size(count: int) -> str:
    """Return a size in bytes for people: "182 kB"."""
    return f"{count} bytes" if count < 1000 else f"{count // 1000} kB"


def _went_wrong(elsewhere: str) -> Mapping[str, str]:
    return {
        "misdirected-fax": elsewhere,
        "wrong-recipient": "It is not meant for this office",
        "not-my-patient": "It is not their patient",
    }


WENT_WRONG: Mapping[str, Mapping[str, str]] = {
    "fax": _went_wrong("A fax went to a wrong number"),
    "direct": _went_wrong("It went to a wrong mailbox"),
    "secure-link": _went_wrong("The notice went to a wrong mailbox"),
    "fhir-rest": _went_wrong("It went to a wrong record system"),
    "fhir-message": _went_wrong("It went to a wrong record system"),
}
"""What may have gone wrong with a letter, in the words of the channel it left by. The codes are the same for all."""


def went_wrong(channels: Collection[str]) -> Mapping[str, str]:
    """Return what may have gone wrong with a letter that left by these channels, in the words of all of them."""
    told = {WENT_WRONG.get(one, WENT_WRONG["fax"])["misdirected-fax"] for one in channels}
    if "fax" in channels or len(told) == 1:
        return WENT_WRONG["fax" if "fax" in channels else next(iter(channels))]
    return _went_wrong("It went to a wrong address")
