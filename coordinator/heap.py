"""What a process has loaded for good is kept out of the collector's rounds."""

import gc

NEW_OBJECTS = 20_000
"""New objects between two rounds of the collector; Python's own 700 is for small programs."""


def keep_what_is_loaded() -> None:
    """Have Python's collector pass over everything there is now: code, tables, mappings, a million objects.

    For a process that has started and goes on for long. It looked through all of it again and again, at a seventh of a
    worker's processor time, and found nothing: what is loaded stays.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
