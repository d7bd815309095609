"""A database server that became the stand-by of another: it reads, and writes nothing."""

import psycopg
import pytest
from bench_parts import example

from coordinator.domain.delivery import State
from coordinator.domain.errors import StoreAway

pytestmark = pytest.mark.servers


@pytest.fixture
def server(bench):
    """Return how to make the database one that only reads, for connections made from then on, and back."""
    engine = bench.store.engine
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no stand-by")

    def only_reads(value):
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f'ALTER DATABASE "{engine.url.database}" SET default_transaction_read_only = {value}')

    return only_reads


def test_while_it_only_reads_it_is_away_and_what_was_kept_from_then_is_not_used_when_another_takes_over(bench, server):
    server("on")
    bench.store.engine.dispose()  # the connections of before are gone with the server that they were to
    with pytest.raises(StoreAway) as away:
        bench.submit(example("session-outcome.bp-spike"))
    assert away.value.undone, "nothing was written, so it may be asked again"
    server("off")
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    assert {bench.state(one.id) for one in told.values()} == {State.ACKNOWLEDGED}
