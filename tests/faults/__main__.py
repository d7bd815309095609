"""The whole of the fault tests, and the result tables of docs/reliability.md written by the run: `make faults`.

Each engine has a test process and servers of its own, so that they run side by side; another one has the simulation
and what needs no engine. `--short` is the part that runs before a change lands, and writes no table.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import report

SHORT = {"COORDINATOR_SEEDS": "500"}
LONG = {**SHORT, "COORDINATOR_FAULTS": "long"}
FOLDER = "tests/faults"
PROCESSES = ("simulation", "kill_matrix", "disorder", "outages", "recipients")
"""The files that `make test` leaves out or runs only in part."""
PARTS = {
    "SQLite": "embedded",
    "RabbitMQ": "RabbitMQ",
    "Redis": "Redis",
    "the rest": "not embedded and not RabbitMQ and not Redis",
}
"""What pytest selects for each process, by the name of the engine in the test's own."""
PORTS = ("PG_PORT", "AMQP_PORT", "DIST_PORT", "EPMD_PORT", "REDIS_PORT", "SMTP_PORT")
FIRST_PORT = int(os.environ.get("FAULTS_FIRST_PORT", "16800"))


@dataclass
class Part:
    """One test process with its servers."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]


def start(place: int, name: str, log: Path, files: list[str], environment: dict[str, str]) -> Part:
    """Start one part."""
    ports = {variable: str(FIRST_PORT + 20 * place + number) for number, variable in enumerate(PORTS)}
    command = [".ci/servers", sys.executable, "-m", "pytest", "-q", "--durations=8", "-k", PARTS[name], *files]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**environment, **ports}, stdout=out, stderr=subprocess.STDOUT)
    return Part(name, log, process)


def main() -> int:
    """Run, write the tables, and return 0 when everything passed. A run that failed writes nothing."""
    short = "--short" in sys.argv[1:]
    files = [f"{FOLDER}/test_{name}.py" for name in PROCESSES] if short else [FOLDER]
    subprocess.run([".ci/servers", "--install"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.ndjson"
        kept.touch()
        environment = {**(SHORT if short else LONG), **os.environ, "COORDINATOR_FAULTS_KEEP": str(kept)}
        parts = [
            start(place, name, Path(folder) / f"{place}.log", files, environment) for place, name in enumerate(PARTS)
        ]
        good = True
        for part in parts:
            code = part.process.wait()
            good &= code == 0
            lines = part.log.read_text(encoding="utf-8", errors="replace").splitlines()
            shown = lines[-12:] if code == 0 else lines
            sys.stdout.write("\n".join([f"== {part.name}: {'passed' if code == 0 else 'FAILED'}", *shown, ""]))
            sys.stdout.flush()
        if good and not short:
            report.write("make faults", datetime.now(UTC).date().isoformat(), kept)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
