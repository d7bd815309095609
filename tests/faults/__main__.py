"""The whole of the fault tests, and the result table of docs/reliability.md written by the run: `make faults`.

The servers' part runs where .ci/servers has put their addresses into the environment.
"""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Run, write the table, and return what pytest returned."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.ndjson"
        kept.touch()
        long = {"COORDINATOR_SEEDS": "500", "COORDINATOR_FAULTS": "long", "COORDINATOR_FAULTS_KEEP": str(kept)}
        environment = {**long, **os.environ, "COORDINATOR_FAULTS_KEEP": str(kept)}
        servers = "COORDINATOR_TEST_POSTGRES" in os.environ
        chosen = [] if servers else ["-m", "not servers"]
        command = [sys.executable, "-m", "pytest", "-q", "tests/faults", *chosen, *sys.argv[1:]]
        code = subprocess.run(command, env=environment, check=False).returncode
        os.environ["COORDINATOR_FAULTS_KEEP"] = str(kept)
        from tests.faults import report

        report.KEPT = str(kept)
        said = ".ci/servers python -m tests.faults" if servers else "python -m tests.faults"
        report.write(PAGE, " ".join([said, *sys.argv[1:]]), datetime.now(UTC).date().isoformat())
    return code


if __name__ == "__main__":
    sys.exit(main())
