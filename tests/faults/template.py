"""The worker processes as a test sees them: started by the template of tests.faults.runner, killed for real."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Template:
    """One process that has everything imported and forks workers."""

    def __init__(self, **environment: str) -> None:
        self.closed = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.runner"],
            cwd=ROOT,
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **asked: Any) -> dict[str, Any]:
        """Ask for one thing, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the template process is gone"
        return dict(json.loads(line))

    def start(self, role: str, arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path, log: Path) -> "Worker":
        """Start a worker."""
        answer = self.ask(do="start", role=role, arguments=list(arguments), env=dict(env), cwd=str(cwd), log=str(log))
        return Worker(self, answer["pid"], log, Path(env["REACHED"]), whole="WAIT_AT" not in env)

    def close(self) -> None:
        """End the template; workers that are left are killed."""
        assert self._process.stdin is not None
        self.closed = True
        self._process.stdin.close()
        self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(frozen=True)
class Worker:
    """One worker process."""

    template: Template
    pid: int
    log: Path
    reached: Path
    whole: bool
    """Whether all of it stops at its place, or only the thread that comes by."""

    def ended(self) -> int | None:
        """Return how it ended (-9: killed), or None while it lives."""
        if self.template.closed:
            return -signal.SIGKILL
        code = self.template.ask(do="poll", pid=self.pid)["code"]
        return None if code is None else int(code)

    def wait(self, timeout_s: float = 60) -> int:
        """Return how it ended."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            code = self.ended()
            if code is not None:
                return code
            time.sleep(0.02)
        raise TimeoutError(f"process {self.pid} did not end: {self.said()}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self.ended() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait(20)

    def has_stopped_at(self, timeout_s: float = 60) -> str:
        """Wait until it stands at its place, and return the place. Fails when it ends or never comes there."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.reached.exists() and (self._stands() if self.whole else self.reached.stat().st_size):
                return self.reached.read_text(encoding="ascii")
            code = self.ended()
            assert code is None, f"it ended with {code} before it came to its place: {self.said()}"
            time.sleep(0.02)
        raise AssertionError(f"it never came to its place: {self.said()}")

    def _stands(self) -> bool:
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def go_on(self) -> None:
        """Let it go on from where it stands."""
        self.reached.with_suffix(".go").touch()
        self.signal(signal.SIGCONT)

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(encoding="utf-8")[-1500:] if self.log.exists() else ""
