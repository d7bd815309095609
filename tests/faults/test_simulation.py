"""The six promises hold in every seed of the simulation.

`COORDINATOR_SEEDS` says how many seeds to run (60; `make faults` runs 500).
"""

import os

import pytest

from tests.faults import report
from tests.faults.simulation.many import look, look_at_all, said

SEEDS = int(os.environ.get("COORDINATOR_SEEDS", "60"))

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def seen():
    found = look_at_all(range(SEEDS))
    report.keep_seeds(found)
    return found


def test_no_seed_breaks_a_promise(seen):
    bad = [one for one in seen if one.findings]
    assert not bad, said(bad)


def test_the_simulation_really_crashes_and_really_delivers(seen):
    assert sum(one.crashes for one in seen) > SEEDS
    assert sum(one.held for one in seen) > 2 * SEEDS


def test_a_seed_always_tells_the_same_story():
    assert look(7) == look(7)
