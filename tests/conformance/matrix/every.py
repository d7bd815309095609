"""Everything that the dry run is asked, by name."""

from functools import cache

from tests.conformance.matrix.changes import changes
from tests.conformance.matrix.corrections import corrections
from tests.conformance.matrix.inputs import Rendering
from tests.conformance.matrix.people import people
from tests.conformance.matrix.regimens import regimens
from tests.conformance.matrix.sessions import sessions


@cache
def renderings() -> dict[str, Rendering]:
    """Return every input; a name stands once."""
    listed = [*sessions(), *changes(), *corrections(), *regimens(), *people()]
    found = dict(listed)
    assert len(found) == len(listed), "a name stands twice"
    return found
