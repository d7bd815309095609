"""A desk that remembers, and how a watched folder is filled and looked at."""

from coordinator.flow.read_models import Recorded

FAULT = ("/dose", "The unit is missing.", "Write the unit.")


class Desk:
    """Remembers what it was given: the second time is a replay, as the real one answers. `bad` is refused."""

    def __init__(self):
        self.given = []
        self.on_record = set()
        self.fail = None

    def submit(self, body):
        if self.fail is not None:
            raise self.fail
        self.given.append(body)
        if b"bad" in body:
            return Recorded("refused", None, None, None, (FAULT,))
        known = body in self.on_record
        self.on_record.add(body)
        return Recorded("replay" if known else "accepted", "ref", "id", 1)


def drop(folder, name, body='{"id": "a"}'):
    (folder / name).write_text(body, "utf-8")


def looks(place, times=2):
    return [taken for _ in range(times) for taken in place.round()]


def names(folder):
    return sorted(one.name for one in folder.iterdir() if one.is_file())
