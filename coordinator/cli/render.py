"""render: the dry run. From an event file and a registry file to what would be sent. No database, no network."""

import sys
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from coordinator.bootstrap import workshop
from coordinator.domain.case import Case, SentLetter, corrected_by, occurred_at
from coordinator.domain.plan import Plan, Question, RecipientPlan
from coordinator.domain.registry import Registry
from coordinator.flow.compose import Composed, compose
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.planning.checks import check, load_checks
from coordinator.planning.faults import Unreadable
from coordinator.planning.json_stream import read_lines
from coordinator.planning.reading import read_event, read_registry
from coordinator.settings import Settings, shipped


@click.command()
@click.argument("event", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("more", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="")
@click.option(
    "--registry", "registry_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--history",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Earlier events of the same patient (JSON or NDJSON); an earlier version of EVENT makes a correction.",
)
@click.option("--source", default="dry-run", show_default=True, help="Name of the source system.")
@click.option("--signatures", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Signatures of the rules; else the shipped ones, for demonstration only.")  # fmt: skip
def render(
    event: Path,
    more: tuple[Path, ...],
    registry_file: Path,
    out: Path,
    history: tuple[Path, ...],
    source: str,
    signatures: Path | None,
) -> None:
    """Write what EVENT would send: per recipient the FHIR content, the letter, and one plan.json.

    Files are named <provider>.<letter>.{html,txt,pdf} and <provider>.<level>.json.
    """
    if more and not history:
        raise click.UsageError("One EVENT at a time; name earlier events after --history.")
    history = (*history, *more)
    settings = Settings()
    shipped_signatures = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
    chosen = signatures or settings.rule_signatures or shipped_signatures
    settings = settings.model_copy(update={"rule_signatures": chosen, "accept_demonstration_rules": True})
    try:
        case, questions = _case(settings, source, event, registry_file, history)
        composed = compose(workshop(settings), case, questions, every_level=True)
    except Unreadable as wrong:
        for fault in wrong.faults:
            click.echo(f"{fault.pointer or '/'}: {fault.message} {fault.fix}", err=True)
        sys.exit(1)
    except MappingHeld as held:
        for problem in held.problems:
            click.echo(f"{problem.element}: {problem.sentence} {problem.fix}", err=True)
        sys.exit(1)
    except LetterRefused as refused:
        raise click.ClickException(f"The letter was refused: {refused.code} ({refused.element}).") from refused
    out.mkdir(parents=True, exist_ok=True)
    _write(out, composed)
    if any(one.demonstration for one in composed.plan.rules):
        click.echo("Note: the coordination rules used here are signed for demonstration only.", err=True)
    for question in questions:
        click.echo(f"Would wait for an answer ({question.role}): {question.text}", err=True)
    click.echo(f"Wrote {sum(1 for _ in out.iterdir())} files.")


def _case(
    settings: Settings, source: str, event_file: Path, registry_file: Path, history: tuple[Path, ...]
) -> tuple[Case, tuple[Question, ...]]:
    registry = read_registry(registry_file.read_bytes())
    event = read_event(event_file.read_bytes())
    earlier = []
    for file in history:
        with file.open("rb") as stream:
            earlier += [read_event(body) for _, body in read_lines(stream)]
    mine = [one for one in earlier if one.patient == event.patient]
    versions = sorted((one for one in mine if one.id == event.id and one.version < event.version),
                      key=lambda one: one.version)  # fmt: skip
    others: dict[str, Any] = {}
    for one in sorted((one for one in mine if one.id != event.id), key=lambda one: one.version):
        others[one.id] = one
    known = tuple(sorted((one for one in others.values() if occurred_at(one) <= occurred_at(event)), key=occurred_at))
    rules = settings.mappings_dir / "rules"
    book = load_checks(rules, settings.mappings_dir / "instruments")
    faults, questions = check(book, event, registry, known, event.recorded_at, versions[-1] if versions else None)
    if faults:
        raise Unreadable(faults)
    # Here nothing says when an event came, so it came when it was recorded.
    came = sorted((one for one in others.values() if one.status != "entered-in-error"), key=lambda one: one.recorded_at)
    first_at = versions[0].recorded_at if versions else event.recorded_at
    case = Case(
        source,
        event,
        registry,
        known,
        event.recorded_at,
        previous=versions[-1] if versions else None,
        others=tuple(came),
        others_before=sum(one.recorded_at <= first_at for one in came),
    )
    if versions:
        case = _with_earlier_letters(settings, case, versions[-1].recorded_at)
    return case, questions


def _with_earlier_letters(settings: Settings, case: Case, sent_at: datetime) -> Case:
    """Return the case as if every earlier version's letter had arrived, so that the correction can be shown."""
    if case.previous is None:
        return case
    before = Case(case.source, case.previous, case.registry, case.history, sent_at)
    room = workshop(settings)
    from coordinator.planning.plan import make_plan  # noqa: PLC0415  (only a correction needs the earlier plan)

    plan = make_plan(before, room.rules, ())
    sent = tuple(
        SentLetter(one.provider, one.letters[0], case.previous.version, sent_at, tuple(r.text for r in one.requests))
        for one in plan.recipients
        if one.letters and one.not_sent_because is None
    )
    held = tuple(one for one in sent if corrected_by(case.event, one))
    return replace(case, already_sent=held)


def _write(out: Path, composed: Composed) -> None:
    for made in composed.recipients:
        for letter in made.letters:
            name = f"{letter.provider}.{letter.kind}"
            (out / f"{name}.html").write_text(letter.html, encoding="utf-8")
            (out / f"{name}.txt").write_text(letter.text, encoding="utf-8")
            (out / f"{name}.pdf").write_bytes(letter.pdf)
        for content in made.contents:
            (out / f"{made.plan.provider}.{content.level}.json").write_bytes(content.body)
    body = orjson.dumps(plan_json(composed.plan, composed.case.registry), option=orjson.OPT_INDENT_2, default=str)
    (out / "plan.json").write_bytes(body)


def plan_json(plan: Plan, registry: Registry) -> dict[str, Any]:
    """Return plan.json: the event, its questions, every rule's outcome, and what each recipient gets or why not."""
    return {
        "event": {"id": plan.event_id, "version": plan.event_version, "clinic": registry.clinic.name},
        "questions": [asdict(one) for one in plan.questions],
        "rules": [
            {**asdict(one), "fired": bool(one.fired), "could_not_evaluate": one.fired is None} for one in plan.rules
        ],
        "recipients": [_recipient(one) for one in plan.recipients],
        "notes": list(plan.notes),
    }


def _recipient(one: RecipientPlan) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "audience": one.audience,
        "consent": {
            "decision": one.consent.decision,
            "reason": one.consent.reason,
            "directive": one.consent.directive,
            "version": one.consent.version,
        },
        "priority": one.priority,
        "letters": list(one.letters),
        "requests": [{"text": r.text, "rule": r.rule, "due_at": r.due_at, "action": r.action} for r in one.requests],
        "channels": [asdict(channel) for channel in one.channels],
        "not_sent_because": one.not_sent_because,
        "when": one.when,
        "digest_due_at": one.digest_due_at,
        "why": one.why,
        "phone_call": one.phone_call,
        "acknowledge_by_at": one.acknowledge_by_at,
    }
