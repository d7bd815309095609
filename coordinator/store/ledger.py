"""The store's transactions: all parts over one connection."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Engine
from sqlalchemy.exc import InternalError, OperationalError

from coordinator.flow.ports import Cipher
from coordinator.store.address_part import AddressRows
from coordinator.store.attempt_part import AttemptRows
from coordinator.store.delivery_part import DeliveryRows
from coordinator.store.engine import ONLY_READS, DatabaseAway, transaction
from coordinator.store.event_ahead import EventsAhead
from coordinator.store.heartbeat_part import HeartbeatRows
from coordinator.store.hold_part import HoldRows, JobRows
from coordinator.store.inbox_part import InboxRows
from coordinator.store.link_part import AnswerRows, LinkRows
from coordinator.store.message_part import MessageRows
from coordinator.store.put_off_part import PutOffRows
from coordinator.store.record_part import RecordRows
from coordinator.store.station_part import StationRows


class StoreTransaction(
    InboxRows,
    MessageRows,
    DeliveryRows,
    AttemptRows,
    RecordRows,
    LinkRows,
    AnswerRows,
    HoldRows,
    JobRows,
    EventsAhead,
    PutOffRows,
    StationRows,
    HeartbeatRows,
    AddressRows,
):
    """Implements flow.ledger.Transaction."""


class Store:
    """Implements flow.ledger.Ledger over an engine and a cipher."""

    def __init__(self, engine: Engine, cipher: Cipher) -> None:
        """Keep both; connections come and go with transactions."""
        self.engine = engine
        self.cipher = cipher

    @contextmanager
    def begin(self, *, write: bool = True) -> Iterator[StoreTransaction]:
        """Open a transaction, committed on leaving, rolled back on an exception."""
        try:
            with transaction(self.engine, write=write, as_stored=True) as connection:
                tx = StoreTransaction(connection, self.cipher)
                yield tx
                tx.finish()
        except OperationalError as fault:
            raise DatabaseAway.of(fault) from fault
        except InternalError as fault:
            if getattr(fault.orig, "sqlstate", None) != ONLY_READS:
                raise
            raise DatabaseAway.of(fault) from fault
