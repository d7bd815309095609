"""Threads that send share one core; the rest of the process, and a machine with one core, are left as they are."""

import os
import subprocess
import sys

import pytest

from coordinator.cores import one_core

SAYS = """
import os, threading
from coordinator.cores import one_core

usable, stay, seen = os.sched_getaffinity(0), one_core(), []

def sender():
    stay()
    seen.append(os.sched_getaffinity(0))

threads = [threading.Thread(target=sender) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
assert all(one == seen[0] for one in seen), seen
assert len(seen[0]) == 1 and seen[0] <= usable
assert os.sched_getaffinity(0) == usable
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no threads to cores")
def test_those_who_ask_stay_on_one_core_together_and_nobody_else_does():
    done = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_where_there_is_one_core_or_no_way_to_ask_nothing_is_done(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _thread: {3}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *given: asked.append(given), raising=False)
    one_core()()
    monkeypatch.delattr(os, "sched_setaffinity")
    one_core()()
    assert asked == []


def test_the_core_is_one_of_those_the_process_may_use(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _thread: {2, 5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: asked.append((thread, cores)), raising=False)
    stay = one_core()
    stay()
    stay()
    assert asked[0] == asked[1]
    assert asked[0] in [(0, {2}), (0, {5})]


def test_where_the_system_refuses_the_thread_goes_on_wherever_it_is(monkeypatch):
    def refuse(_thread, _cores):
        raise PermissionError("seccomp")

    monkeypatch.setattr(os, "sched_getaffinity", lambda _thread: {2, 5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    one_core()()
