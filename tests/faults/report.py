"""Keeps what the fault tests measured, and writes the tables of docs/reliability.md from it."""

import json
import os
import platform
from pathlib import Path
from typing import Any

KEPT = os.environ.get("COORDINATOR_FAULTS_KEEP")
"""A file the verdicts are appended to, one JSON a line; unset, nothing is written."""
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
    moves: dict[str, int] = {}
    for one in seen:
        for move, count in one.moves.items():
            moves[move] = moves.get(move, 0) + count
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


def write(target: Path, command: str, when: str, kept: Path) -> None:
    """Write the result section of the page, between its marks; the words around it stay."""
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
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
    text = target.read_text(encoding="utf-8")
    head, tail = text.split("<!-- results -->")[0], text.split("<!-- end of results -->")[1]
    body = "\n".join(lines)
    target.write_text(f"{head}<!-- results -->\n{body}\n<!-- end of results -->{tail}", encoding="utf-8")


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
