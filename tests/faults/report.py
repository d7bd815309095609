"""Keeps what the fault tests measured, and writes the tables of docs/reliability.md from it."""

import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.rows import ROWS

KEPT = os.environ.get("COORDINATOR_FAULTS_KEEP")
"""A file the verdicts are appended to, one JSON a line; unset, nothing is written."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
ENGINES = ("SQLite embedded", "PostgreSQL + RabbitMQ", "PostgreSQL + Redis")


def keep(engine: str, fault: str, kills: int, verdict: Any, took_s: float) -> None:
    """Keep one verdict for the table. `kills` are those that were seen to be reached."""
    _append({"engine": engine, "fault": fault, "kills": kills, **verdict.__dict__, "took_s": round(took_s, 1)})


def keep_kill(engine: str, step: str) -> None:
    """Keep that a process was seen standing at a step and was killed there."""
    _append({"killed": engine, "step": step.strip()})


def keep_conviction(safeguard: str, engine: str, why: str) -> None:
    """Keep what the judge found with a safeguard taken away."""
    _append({"without": safeguard, "on": engine, "why": why})


def keep_seeds(seen: list[Any]) -> None:
    """Keep what the simulation came to."""
    moves: Counter[str] = Counter()
    for one in seen:
        moves.update(one.moves)
    _append(
        {
            "seeds": len(seen),
            "days": round(sum(one.days for one in seen)),
            "crashes": sum(one.crashes for one in seen),
            "held": sum(one.held for one in seen),
            "failing": [one.seed for one in seen if one.findings],
            "moves": moves,
        }
    )


def _append(row: dict[str, Any]) -> None:
    if KEPT:
        with Path(KEPT).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def write(command: str, when: str, kept: Path) -> None:
    """Write the result section of the page."""
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    # The engines run side by side; here they stand one after the other.
    rows.sort(key=lambda row: ENGINES.index(row["engine"]) if "engine" in row else -1)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Measured {when} on {machine}, all of it by one run of `{command}`.", ""]
    for row in (one for one in rows if "seeds" in one):
        lines += [
            f"Simulation: {row['seeds']} seeds, {row['days']} simulated days, {row['crashes']} crashes, "
            f"{row['held']} messages held by the recipients; failing seeds: {row['failing'] or 'none'}; "
            f"{len(row['moves'])} of the moves of a delivery taken, each at least {min(row['moves'].values())} times.",
            "",
        ]
    lines += [*_verdicts(rows), "", *_kills(rows), "", *_convictions(rows)]
    _between("results", "\n".join(lines))


def write_many(said: str) -> None:
    """Write what a run of very many messages came to."""
    _between("very many", said)


def write_rows() -> None:
    """Write the fault matrix with its tests."""
    _between("rows", row_table())


def row_table() -> str:
    """Return the fault matrix, row by row, with the tests that play it."""
    lines = ["| Row | Fault | Played by | Not played |", "|---|---|---|---|"]
    for name, row in ROWS.items():
        files = dict.fromkeys(one.partition("::")[0] for one in row.tests)
        tests = ", ".join(f"`{one}`" for one in files)
        lines.append(f"| {name} | {row.fault} | {tests} | {row.untried} |")
    return "\n".join(lines)


def _between(name: str, body: str) -> None:
    """Put text between the marks of a section; the words around it stay."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(begin)[0], text.split(end)[1]
    PAGE.write_text(f"{head}{begin}\n{body}\n{end}{tail}", encoding="utf-8")


def _verdicts(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| Engine | Fault | Kills | Messages | Acknowledged | Wait for a person | Lost | Twice | Without consent "
        "| `verify` | At rest after |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in (one for one in rows if "engine" in one):
        told = "clean" if not row["findings"] else f"{row['findings']} findings"
        lines.append(
            f"| {row['engine']} | {row['fault']} | {row['kills'] or ''} | {row['told']} | {row['acknowledged']} | "
            f"{row['waiting']} | {row['lost']} | {row['twice']} | {row['without_consent']} | {told} | "
            f"{row['took_s']} s |"
        )
    return lines


def _kills(rows: list[dict[str, Any]]) -> list[str]:
    reached: dict[str, dict[str, int]] = {}
    for row in (one for one in rows if "killed" in one):
        counts = reached.setdefault(row["step"], {})
        counts[row["killed"]] = counts.get(row["killed"], 0) + 1
    lines = [
        "Kills at named steps. A number counts processes that were seen standing at the step and were killed there.",
        "",
        "| Step | " + " | ".join(ENGINES) + " |",
        "|---" * (len(ENGINES) + 1) + "|",
    ]
    for step, counts in reached.items():
        lines.append(f"| {step} | " + " | ".join(str(counts.get(one, "")) for one in ENGINES) + " |")
    return lines


def _convictions(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "With a safeguard taken away, the same matrix convicts:",
        "",
        "| Taken away | Engine | What the judge found |",
        "|---|---|---|",
    ]
    lines += [f"| {row['without']} | {row['on']} | {row['why']} |" for row in rows if "without" in row]
    return lines


if __name__ == "__main__":
    write_rows()
