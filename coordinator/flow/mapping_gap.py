"""What an event that could not be mapped lacks: looked at again when somebody asks, so it is true of today's files."""

from coordinator.flow.case_file import gather
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.rows import InboxRow
from coordinator.mapping.content import build_content, prepare_event
from coordinator.mapping.problems import MappingHeld
from coordinator.planning.plan import make_plan


def mapping_gaps(parts: Parts, tx: Transaction, row: InboxRow) -> tuple[str, ...]:
    """Return what to do about each thing that has no place yet ("Add a row to ..."), empty when nothing lacks now.

    Names elements and tables, never a value.
    """
    case = gather(tx, row)
    if case is None:
        return ()
    mappings = parts.workshop.mappings
    try:
        plan = make_plan(case, parts.workshop.rules, ())
        told = [one for one in plan.recipients if one.not_sent_because is None]
        shared = prepare_event(mappings, case, plan) if told else None
        for one in told:
            build_content(mappings, case, plan, one, (), frozenset({"chart", "message"}), shared)
    except MappingHeld as held:
        return tuple(dict.fromkeys(f"{one.element}: {one.fix}" for one in held.problems))
    return ()
