"""The power fails: what was answered is still there, and what has left is never taken for unsent (row D3)."""

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.bench.clinic import Clinic
from tests.faults.power_cut import TRACE, Disk, Said, Sync, Write, steps

EVENTS, CUTS = 24, 60
UNSENT = {"pending", "claimed", "held"}

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


@pytest.fixture
def traced(tmp_path):
    """Return, once called, (the disk before, the steps) of a process that took in and sent events."""

    def run(synchronous):
        folder = tmp_path / synchronous
        folder.mkdir()
        database, said, trace = folder / "c.sqlite", folder / "said", folder / "trace"
        Clinic(f"sqlite:///{database}", {}).engine.dispose()
        before = {one.name: one.read_bytes() for one in folder.iterdir()}
        command = [*TRACE, "-o", str(trace), sys.executable, "-m", "tests.faults.power_cut"]
        with said.open("wb") as out:
            arguments = [f"sqlite:///{database}", str(EVENTS), synchronous]
            done = subprocess.run([*command, *arguments], stdout=out, stderr=subprocess.PIPE, check=False, timeout=300)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        told = list(steps(trace, database, said))
        trace.unlink()  # tens of megabytes
        return Disk(before), told

    if shutil.which("strace") is None:
        pytest.fail("strace is not installed: .ci/servers installs it")
    return run


def broken(files, promised, folder):
    """Return the promises that a database does not keep which is opened after a cut."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, body in files.items():
        (folder / name).write_bytes(body)
    try:
        with closing(sqlite3.connect(folder / "c.sqlite")) as opened:
            sound = opened.execute("PRAGMA integrity_check").fetchone()[0]
            events = {row[0] for row in opened.execute("SELECT id FROM inbox")}
            states = dict(opened.execute("SELECT id, state FROM deliveries"))
    except sqlite3.DatabaseError as fault:
        return [f"the database cannot be read: {fault}"]
    found = [] if sound == "ok" else [f"not sound: {sound}"]
    for line in promised:
        what, _, name = line.partition(" ")
        if what == "answered" and name not in events:
            found.append(f"lost: {line}")
        elif what == "left" and states.get(name, "pending") in UNSENT:
            found.append(f"would be sent twice: {line}")
    return found


def cuts(disk, all_steps):
    """Yield (the files after a cut, the promises until then): right after each promise, and at moments by chance."""
    dice = random.Random(20261129)
    by_chance = set(dice.sample(range(len(all_steps)), min(CUTS, len(all_steps))))
    promised = []
    for number, step in enumerate(all_steps):
        disk.take(step)
        if isinstance(step, Said):
            promised.append(step.line)
        if isinstance(step, Said) or number in by_chance:
            yield disk.after_cut(None), list(promised)
            yield disk.after_cut(dice), list(promised)


def test_a_power_cut_at_any_moment_keeps_what_was_answered_and_what_has_left(traced, tmp_path):
    disk, all_steps = traced("full")
    said = [one.line.partition(" ")[0] for one in all_steps if isinstance(one, Said)]
    assert (said.count("answered"), said.count("left")) == (EVENTS, EVENTS)
    assert sum(isinstance(one, Write) and one.file == "c.sqlite" for one in all_steps) > 100, "the log was written back"
    tried = 0
    for files, promised in cuts(disk, all_steps):
        assert broken(files, promised, tmp_path / "after") == []
        tried += 1
    assert tried > 4 * EVENTS


@pytest.mark.parametrize("synchronous", ["off", "normal"])
def test_with_less_waiting_for_the_disk_the_same_cuts_convict(traced, tmp_path, synchronous):
    disk, all_steps = traced(synchronous)
    assert sum(isinstance(one, Sync) for one in all_steps) < EVENTS
    found = [
        fault for files, promised in cuts(disk, all_steps) for fault in broken(files, promised, tmp_path / "after")
    ]
    assert any(one.startswith("lost: answered") for one in found)
    assert any(one.startswith("would be sent twice") for one in found)
