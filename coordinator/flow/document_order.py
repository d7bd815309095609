"""The order of a message's documents: an alert comes before the question beside it, in every form and on every way."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar

from coordinator.domain.ids import stable_uuid

MOST = 64
"""More documents than any message has."""


class Kept(Protocol):
    """A document, as far as its place among the others is concerned."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def role(self) -> str:
        """Which form of which content it is."""
        ...


Document = TypeVar("Document", bound=Kept)


def document_id(message_id: str, role: str, place: int) -> str:
    """Return the name of the document that was made at this place, counted from 0, among all of its message."""
    return stable_uuid("stored", message_id, role, str(place))


def in_order(message_id: str, documents: Sequence[Document]) -> list[Document]:
    """Return documents of one role in the order in which they were made; the roles stay as they were given.

    Names are hashes, so sorting by them shuffles two letters; but the place is in the name.
    """
    if len(documents) < 2:
        return list(documents)
    several = {role for role, count in Counter(one.role for one in documents).items() if count > 1}
    places = {document_id(message_id, role, place): place for role in several for place in range(MOST)}
    roles = list(dict.fromkeys(one.role for one in documents))
    return sorted(documents, key=lambda one: (roles.index(one.role), places.get(one.id, MOST)))
