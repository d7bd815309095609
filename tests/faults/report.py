"""Keeps what the fault tests measured, and writes the table of docs/reliability.md from it."""

import json
import os
import platform
from pathlib import Path
from typing import Any

KEPT = os.environ.get("COORDINATOR_FAULTS_KEEP")
"""A file the verdicts are appended to, one JSON a line; unset, nothing is written."""


def keep(engine: str, fault: str, verdict: Any, took_s: float) -> None:
    """Keep one verdict for the table."""
    if KEPT:
        row = {"engine": engine, "fault": fault, **verdict.__dict__, "took_s": round(took_s, 1)}
        with Path(KEPT).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def keep_seeds(seen: list[Any]) -> None:
    """Keep what the simulation came to."""
    if KEPT:
        row = {
            "seeds": len(seen),
            "days": round(sum(one.days for one in seen)),
            "crashes": sum(one.crashes for one in seen),
            "held": sum(one.held for one in seen),
            "failing": [one.seed for one in seen if one.findings],
        }
        with Path(KEPT).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def write(target: Path, command: str, when: str) -> None:
    """Write the result section of the page, between its marks; the words around it stay."""
    rows = [json.loads(line) for line in Path(KEPT or "").read_text(encoding="utf-8").splitlines()]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Measured {when} on {machine}, by `{command}`.", ""]
    for row in (one for one in rows if "seeds" in one):
        lines += [
            f"Simulation: {row['seeds']} seeds, {row['days']} simulated days, {row['crashes']} crashes, "
            f"{row['held']} messages held by the recipients; failing seeds: {row['failing'] or 'none'}.",
            "",
        ]
    lines += [
        "| Engine | Fault | Messages | Acknowledged | Wait for a person | Lost | Twice | `verify` | At rest after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in (one for one in rows if "engine" in one):
        told = "clean" if not row["findings"] else f"{row['findings']} findings"
        lines.append(
            f"| {row['engine']} | {row['fault']} | {row['told']} | {row['acknowledged']} | {row['waiting']} | "
            f"{row['lost']} | {row['twice']} | {told} | {row['took_s']} s |"
        )
    text = target.read_text(encoding="utf-8")
    head, tail = text.split("<!-- results -->")[0], text.split("<!-- end of results -->")[1]
    body = "\n".join(lines)
    target.write_text(f"{head}<!-- results -->\n{body}\n<!-- end of results -->{tail}", encoding="utf-8")
