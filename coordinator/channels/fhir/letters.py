"""Several letters of one message for a server that takes documents one by one: each is posted, each only once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.judge import judge_document
from coordinator.channels.fhir.kept import LETTER, contradicts
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.places import read_exactly
from coordinator.channels.fhir.said import part, relative, text
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.channels.fhir.singles import content_sha, entry_key
from coordinator.channels.fhir.whose import filed_under, look_whose, names_somebody
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman
from coordinator.flow.ports import Clock, Package, Taken

Entry = Mapping[str, Any]


def entries_of(package: Package) -> list[Entry]:
    """Return the message's documents as entries, each under its letter's own name, when there is more than one."""
    letters = [read_exactly(one.body) for one in package.all("fhir-document")]
    if len(letters) < 2:
        return []
    return [{"fullUrl": text(part(one, "masterIdentifier"), "value"), "resource": one} for one in letters]


def condition_of(letter: Entry) -> str:
    """Return the condition under which this letter is there already. The message's own name would also fit another."""
    name = part(letter, "masterIdentifier")
    return f"identifier={text(name, 'system')}|{text(name, 'value')}"


class Letters:
    """The letters of one message on their way to one server. The book remembers which have landed."""

    def __init__(
        self, server: FhirServer, book: EntriesHere, clock: Clock, endpoint: str, match: Match, *,
        conditional: bool,
    ) -> None:  # fmt: skip
        """`conditional`: the server takes a create under a condition, so that repeating one doubles nothing."""
        self._clock = clock
        self._server = server
        self._book = book
        self._endpoint = endpoint
        self._match = match
        self._conditional = conditional

    def send(
        self, package: Package, entries: Sequence[Entry], body: Callable[[Entry], bytes], astray: Collection[str],
        mark: Callable[[], None],
    ) -> Taken:  # fmt: skip
        """Return what came of all of them; raise when one is not settled. `body` is what this server gets of one.

        `astray`: the keys of those that landed with another patient, so are not there.
        """
        known = self._book.known(self._endpoint, [entry_key(one) for one in entries])
        came: list[Taken] = []
        for entry in entries:
            row = known.get(entry_key(entry))
            settled = row is not None and row.sha256 == content_sha(entry) and row.asked_sha256 is None
            if row is not None and settled and not package.resent and entry_key(entry) not in astray:
                came.append(Taken(row.place, proven=True))
                continue
            if row is not None and row.asked_sha256 is not None and not self._conditional and not package.resent:
                raise InDoubt("fhir.entry-in-doubt")
            came.append(self._one(package, entry, body(part(entry, "resource")), mark))
        mark()
        first = next((one for one in came if one.far_side_ref), came[0])
        waiting = next((one for one in came if not one.proven), None)
        facts = {**first.facts, **({} if waiting is None else waiting.facts), "letters": str(len(came))}
        until_s = None if waiting is None else waiting.expect_receipt_within_s
        return replace(first, proven=waiting is None, expect_receipt_within_s=until_s, facts=facts)

    def _one(self, package: Package, entry: Entry, body: bytes, mark: Callable[[], None]) -> Taken:
        key, letter = entry_key(entry), part(entry, "resource")
        conditional = self._conditional and not package.resent
        headers = {"If-None-Exist": condition_of(letter)} if conditional else {}
        self._book.asked(self._endpoint, key, package.message, content_sha(entry))
        try:
            answer = self._server.write(LETTER, body, mark, headers)
            taken = judge_document(answer, self._clock, only_once=conditional)
        except InDoubt:
            raise
        except DeliveryError as fault:
            if fault.status is not None and 200 <= fault.status < 300:
                raise  # a yes with an error in it: it may be there, so it stays asked
            self._book.let_go(self._endpoint, key)  # refused, or not a byte of it has left
            raise
        said = parse(answer) if answer.body else None
        if conditional and answer.status == 200:
            look_whose(self._server, relative(taken.far_side_ref, LETTER), said, self._match)
        if taken.proven:  # under review it stays asked: what is there is found by looking, not by our book
            patient = filed_under(said, self._match) if names_somebody(letter) else None
            self._book.landed(self._endpoint, key, relative(taken.far_side_ref, LETTER), patient)
        if (wrong := contradicts(read_exactly(body), said, self._match)).code:
            raise NeedsHuman(wrong.code, detail=wrong.words, status=answer.status)
        return taken
