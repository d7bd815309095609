"""Run every benchmark, print the table, and with --write put it into docs/performance.md."""

import logging
import os
import platform
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import arriving, claiming, composing, delivering, neighbours, storing
from tests.bench.clinic import servers

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
MARK, END = "<!-- results -->", "<!-- end of results -->"


def main() -> int:
    """Measure, print, and write when asked."""
    logging.disable()
    rows, load_at_start, began = [], os.getloadavg()[0], time.monotonic()
    parts = {part.__name__.rsplit(".", 1)[1]: part
             for part in (composing, claiming, delivering, arriving, neighbours, storing)}  # fmt: skip
    wanted = [one for one in sys.argv[1:] if not one.startswith("-")] or list(parts)
    failed = []
    for name in wanted:
        try:
            for row in parts[name].measure():
                rows.append(row)
                sys.stderr.write(f"{row.line()}\n")
        except Exception:
            # The other parts are worth having; what is missing is said in the table.
            failed.append(name)
            traceback.print_exc()
    lines = [
        "| What | Ours (median) | Floor (median) | Ratio (worst round, median) | Target | Met |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row.line() for row in rows]
    lines += [f"| Part `{name}`: failed, not measured | | | | | **no** |" for name in failed]
    if not servers():
        lines += ["| What needs PostgreSQL: not measured (`.ci/servers make bench` does) | | | | | **no** |"]
    now = datetime.now(UTC).date().isoformat()
    whole = "" if wanted == list(parts) else f", parts {', '.join(wanted)}"
    table = "\n".join(
        [
            f"Measured {now} with `python -m tests.bench --write`{whole} on {os.cpu_count()} cores, "
            f"{platform.machine()}, Python {platform.python_version()},",
            f"in {(time.monotonic() - began) / 60:.1f} minutes. Load average of one minute: {load_at_start:.1f} at the "
            f"start, {os.getloadavg()[0]:.1f} at the end, with what ran beside it",
            "(alone, a run makes about 1 to 2).",
            "",
            *lines,
        ]
    )
    sys.stdout.write(f"{table}\n")
    if "--write" in sys.argv:
        text = PAGE.read_text(encoding="utf-8")
        head, tail = text.split(MARK)[0], text.split(END)[1]
        PAGE.write_text(f"{head}{MARK}\n{table}\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
