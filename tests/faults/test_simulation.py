"""The six promises hold in every seed of the simulation.

`COORDINATOR_SEEDS` says how many seeds to run (60; `make faults-test` and `make faults` run 500).
"""

import os
import sys

import pytest

from tests.faults import report
from tests.faults.simulation.many import ALL_MOVES, look, look_at_all, said, total
from tests.faults.test_kill_matrix import PREPARE, RECEIPT, RECOVER, SEND, SUBMIT

SEEDS = int(os.environ.get("COORDINATOR_SEEDS", "60"))

pytestmark = [pytest.mark.timeout(1800), pytest.mark.seeds]


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


def test_digests_are_written_and_taken_back(seen):
    told, taken_back = (sum(counts) for counts in zip(*(one.digests for one in seen), strict=True))
    assert told > SEEDS / 10
    assert taken_back > 0


ELSEWHERE = {
    "pending -> held": "a secure link that is locked (tests/integration/test_secure_link.py); no link is simulated",
    "held -> in-doubt": "after a restore (tests/integration/test_restore_hold.py); no restore is simulated",
    "held -> dead": "in the table, and made by no code today",
    "sent -> in-doubt": "in the table, and made by no code today",
}
"""Moves that the simulation does not make, and why."""
SELDOM = {"pending -> in-doubt"}
"""Once in some hundred seeds: proof of what waits to be sent again (tests/integration/test_direct_notices.py)."""


def test_every_move_of_a_delivery_and_every_behaviour_of_a_recipient_is_met(seen, capsys):
    moves, moods = total(seen)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(seen)} seeds; moves: {dict(moves)}; behaviours: {dict(moods)}\n")
    assert set(moves) == set(ALL_MOVES), "a move that the table does not have"
    if SEEDS < 500:
        pytest.skip("too few seeds to meet what is rare; make faults runs 500")
    assert {name for name, count in moves.items() if not count} - SELDOM == set(ELSEWHERE)
    assert [name for name, count in moods.items() if not count] == []


def test_every_place_at_which_a_real_worker_is_killed_has_its_name(seen):
    """A step that gets another name would never be stood at: the kill matrix needs minutes to say so, this seconds."""
    met = frozenset().union(*(one.places for one in seen))
    killed_at = {*SUBMIT, *PREPARE.values(), *SEND.values(), *RECEIPT.values(), *RECOVER.values()}
    in_processes_only = {"send:begins", "send:answer-read", "_prepare_round:after-commit"}
    assert killed_at - met == in_processes_only


def test_a_seed_always_tells_the_same_story():
    assert look(7) == look(7)
