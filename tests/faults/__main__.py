"""The whole of the fault tests, and the result tables of docs/reliability.md written by the run: `make faults`.

`--short` is the part that runs before a change lands, and writes no table. The servers' part runs where .ci/servers
has put their addresses into the environment.
"""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

SHORT = {"COORDINATOR_SEEDS": "500"}
LONG = {**SHORT, "COORDINATOR_FAULTS": "long"}
FOLDER = "tests/faults"
PROCESSES = ("simulation", "kill_matrix", "disorder", "outages", "recipients")
"""The files that `make test` leaves out or runs only in part."""


def main() -> int:
    """Run, write the tables, and return what pytest returned. A run that failed, or only a part, writes nothing."""
    given = sys.argv[1:]
    short = "--short" in given
    given = [one for one in given if one != "--short"]
    servers = "COORDINATOR_TEST_POSTGRES" in os.environ
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.ndjson"
        kept.touch()
        environment = {**(SHORT if short else LONG), **os.environ, "COORDINATOR_FAULTS_KEEP": str(kept)}
        files = [f"{FOLDER}/test_{name}.py" for name in PROCESSES] if short else [FOLDER]
        chosen = [] if servers else ["-m", "not servers"]
        command = [sys.executable, "-m", "pytest", "-q", *files, "--durations=15", *chosen, *given]
        code = subprocess.run(command, env=environment, check=False).returncode
        if code == 0 and servers and not short and not given:
            from tests.faults import report

            report.write(".ci/servers make faults", datetime.now(UTC).date().isoformat(), kept)
    return code


if __name__ == "__main__":
    sys.exit(main())
