"""A book of entries in memory, with the rules of the one in the database."""

from dataclasses import replace

from coordinator.flow.ports import EntryRow


class MemoryEntries:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], EntryRow] = {}

    def known(self, endpoint, entries):
        return {one: self.rows[endpoint, one] for one in entries if (endpoint, one) in self.rows}

    def asked(self, endpoint, entry, message, sha256):
        row = self.rows.get((endpoint, entry), EntryRow(None, None))
        self.rows[endpoint, entry] = replace(row, asked_sha256=sha256)

    def landed(self, endpoint, entry, place):
        row = self.rows[endpoint, entry]
        if row.asked_sha256 is not None:
            self.rows[endpoint, entry] = EntryRow(row.asked_sha256, place or row.place)

    def let_go(self, endpoint, entry):
        row = self.rows[endpoint, entry]
        if row.sha256 is None:
            del self.rows[endpoint, entry]
        else:
            self.rows[endpoint, entry] = replace(row, asked_sha256=None)
