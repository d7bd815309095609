"""Telephone numbers."""

import subprocess
import sys

from coordinator.domain.telephone import for_reading, for_record, read_number

WITHOUT_A_HANDLE = """
import os, resource
from coordinator.domain.telephone import for_reading
spare = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, spare[1]))
for _ in range(2):
    try:
        print(for_reading("+12185550110"))
    except OSError:
        print("no handle")
"""


def test_a_number_is_read_as_typed_and_written_for_people_and_for_the_record():
    found = read_number("(218) 555-0110", "US")
    assert found is not None
    assert for_record(found) == "+12185550110"
    assert for_reading("+12185550110") == "+1 218-555-0110"
    assert read_number("call the desk") is None
    assert read_number("+1 12") is None


def test_a_process_without_a_file_handle_left_still_writes_numbers():
    """The library's own lock stayed taken when a file could not be opened, and every later letter waited for ever."""
    run = [sys.executable, "-c", WITHOUT_A_HANDLE]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == ["+1 218-555-0110"] * 2
