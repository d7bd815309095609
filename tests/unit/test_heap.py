"""What a process has loaded is left alone by the collector; what comes later is collected as ever."""

import subprocess
import sys

SAYS = """
import gc, weakref
from coordinator.heap import keep_what_is_loaded

class Cycle:
    def __init__(self):
        self.me = self

kept = [Cycle() for _ in range(1000)]
keep_what_is_loaded()
assert gc.isenabled()
assert gc.get_freeze_count() > 1000
assert not any(one is kept[0] for one in gc.get_objects())
later = Cycle()
gone = weakref.ref(later)
del later
gc.collect()
assert gone() is None
"""


def test_what_is_loaded_is_passed_over_and_later_cycles_are_still_freed():
    done = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
