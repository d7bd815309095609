"""The front of a corrected letter (L9): what was, what is now, and whether it changes what we asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coordinator.domain.case import Case, SentLetter
from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.domain.values import NotDone, Unknown
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.frame import Asked
from coordinator.letters.views.medicines import per_weight, regimen


@dataclass(frozen=True)
class Difference:
    """One row: what, was, is now."""

    item: Traced
    was: Traced
    now: Traced


@dataclass(frozen=True)
class AskedBefore:
    """A request of the earlier letter: its number there, and whether it still stands."""

    number: Traced
    stands: bool


@dataclass(frozen=True)
class CorrectionView:
    """What stands before the full new letter. `retraction`: the record was entered in error; nothing follows."""

    retraction: bool
    version: Traced
    replaced: Traced
    replaced_on: Traced | None
    reference: Traced
    reason: Traced | None
    differences: tuple[Difference, ...]
    asked_before: tuple[AskedBefore, ...]
    asks_new: bool
    """Whether the letter behind this front asks anything that the earlier letter did not."""
    asked_nothing: bool
    """Whether nothing was asked before and nothing is now."""

    @property
    def some_stand(self) -> bool:
        """Whether a request of the earlier letter still stands."""
        return any(one.stands for one in self.asked_before)

    @property
    def asks_changed(self) -> bool:
        """Whether a request was taken back, or a new one is made."""
        return self.asks_new or not all(one.stands for one in self.asked_before)


def correction_view(brief: Brief, asks: Sequence[Asked]) -> CorrectionView:
    """Return the front of a correction. Needs the earlier version, or a letter already sent. `asks`: of this letter."""
    case = brief.case
    sent = _sent(brief)
    if case.previous is None and sent is None:
        raise LetterRefused("letter.template", "a correction needs what it corrects")
    reference = case.reference(brief.recipient.provider)
    event = case.event
    retraction = event.status == "entered-in-error"
    place, letter = sent if sent else (0, None)
    version = letter.version if letter else (case.previous.version if case.previous else 0)
    now = {one.text for one in brief.recipient.requests}
    before = letter.requests if letter else ()
    return CorrectionView(
        retraction=retraction,
        version=fact(str(event.version), event.version, "event:/version"),
        replaced=fact(str(version), version, f"sent/{place}:/version" if letter else "previous:/version"),
        replaced_on=fact(
            formats.clinic_instant(letter.sent_at, brief.zone, brief.language), letter.sent_at, f"sent/{place}:/sent_at"
        )
        if letter
        else None,
        reference=fact(reference, reference, "case:/reference"),
        reason=fact(event.amendment_reason, None, "event:/amendment_reason") if event.amendment_reason else None,
        differences=() if retraction else tuple(differences(brief)),
        asked_before=tuple(
            AskedBefore(
                number=fact(str(index + 1), index + 1, f"sent/{place}:/requests/{index}"),
                stands=text in now and not retraction,
            )
            for index, text in enumerate(before)
        ),
        asks_new=bool({one.text.text for one in asks} - set(before)),
        asked_nothing=not (now or before),
    )


def _sent(brief: Brief) -> tuple[int, SentLetter] | None:
    """Return the newest letter that this reader holds."""
    rows = [row for row in enumerate(brief.case.already_sent) if row[1].provider == brief.recipient.provider]
    return max(rows, key=lambda row: (row[1].version, row[1].sent_at), default=None)


def differences(brief: Brief) -> Iterator[Difference]:
    """Yield the differences between the previous version and this one, in the order of the letter."""
    case = brief.case
    if case.previous is None or type(case.previous) is not type(case.event):
        return
    was, now = _items(brief, case, "previous:"), _items(brief, case, "event:")
    for key, item in {**was, **now}.items():
        old, new = was.get(key), now.get(key)
        blank = fact(brief.lexicon.say("missing", "not_recorded"), None, "event:", kind="words")
        before, after = old[1] if old else blank, new[1] if new else blank
        if before.text != after.text:
            yield Difference(item=item[0], was=before, now=after)


Items = dict[str, tuple[Traced, Traced]]


def _items(brief: Brief, case: Case, at: str) -> Items:
    event = case.event if at == "event:" else case.previous
    if isinstance(event, SessionOutcome):
        return _session_items(brief, event, at)
    if isinstance(event, DoseChange):
        return _change_items(brief, event, at)
    return {}


def _session_items(brief: Brief, one: SessionOutcome, at: str) -> Items:
    rows: Items = {}

    def put(key: str, field: str, value: Traced | None, **parts: str) -> None:
        if value is not None:
            name = fact(brief.lexicon.say("field", field).format(**parts), field, *value.sources, kind="words")
            rows[key] = (name, value)

    put("status", "status", brief.words("session_status", one.status, f"{at}/status"))
    dose = one.administration
    if dose:
        place = f"{at}/administration"
        put("dose", "dose", brief.amount(dose.dose, f"{place}/dose"))
        put("ordered", "ordered", brief.amount(dose.ordered, f"{place}/ordered") if dose.ordered else None)
        put("started", "started_at", brief.time(dose.started_at, f"{place}/started_at"))
        put("ended", "ended_at", brief.time(dose.ended_at, f"{place}/ended_at") if dose.ended_at else None)
    weight = one.weight.normalised() if isinstance(one.weight, Quantity) else one.weight
    put("weight", "weight", brief.amount(weight, f"{at}/weight") if weight is not None else None)
    put("per-weight", "dose_per_weight", per_weight(one, at))
    for index, reading in enumerate(one.vitals):
        place, slot = f"{at}/vitals/{index}", _slot(brief, reading.slot)
        whole = isinstance(reading.systolic, int) and isinstance(reading.diastolic, int)
        text = f"{reading.systolic}/{reading.diastolic}"
        pressure = fact(text, text, f"{place}/systolic", f"{place}/diastolic") if whole else None
        put(f"pressure {reading.slot}", "pressure", pressure, slot=slot)
        put(f"rate {reading.slot}", "heart_rate", brief.count(reading.heart_rate, f"{place}/heart_rate"), slot=slot)
        put(f"spo2 {reading.slot}", "spo2", brief.count(reading.spo2, f"{place}/spo2", "%"), slot=slot)
    for index, score in enumerate(one.scores):
        name = brief.lexicon.instrument(score.instrument).name
        put(f"score {score.instrument}", "score", brief.count(score.total, f"{at}/scores/{index}/total"), name=name)
    risk = one.suicide_risk
    if risk is not None and not isinstance(risk, NotDone | Unknown):
        put("risk", "risk", brief.words("risk", risk.result, f"{at}/suicide_risk/result"))
    if one.next_session_on:
        put("next", "next_session_on", brief.day(one.next_session_on, f"{at}/next_session_on"))
    put("plan", "plan", fact(one.plan, None, f"{at}/plan") if one.plan else None)
    return rows


def _slot(brief: Brief, slot: str) -> str:
    if slot.endswith("-min"):
        return brief.lexicon.say("slot", "minute").format(minutes=slot.removesuffix("-min"))
    return brief.lexicon.say("slot", slot)


def _change_items(brief: Brief, one: DoseChange, at: str) -> Items:
    values: dict[str, Traced | None] = {
        "from": regimen(brief, one.from_, f"{at}/from"),
        "to": regimen(brief, one.to, f"{at}/to") if one.to is not None else None,
        "effective_from": brief.day(one.effective_from, f"{at}/effective_from"),
        "effective_to": brief.day(one.effective_to, f"{at}/effective_to") if one.effective_to else None,
        "resume_when": fact(one.resume_when, None, f"{at}/resume_when") if one.resume_when else None,
    }
    return {
        key: (fact(brief.lexicon.say("field", key), key, *value.sources, kind="words"), value)
        for key, value in values.items()
        if value is not None
    }
