"""A seeded simulation of the real state machine: virtual clock, known dice, crashes at every commit, far sides that
misbehave. `python -m tests.faults.simulation SEED` replays one seed and prints what happened.
"""
