"""Every line the service can write, and the only fields that may ride along. No PHI by construction."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import Enum

SAFE_FIELDS = frozenset(
    {
        "event_ref", "message_id", "delivery_id", "attempt", "channel", "endpoint_id", "code", "state", "status",
        "duration_ms", "mapping", "mapping_version", "element", "count", "job", "source", "worker", "outcome",
        "error_type", "table", "port", "version", "rule", "queue",
    }
)  # fmt: skip


class Log(Enum):
    """The vocabulary of the log. The value is (level, text); texts take no arguments."""

    SERVICE_STARTED = (logging.INFO, "service started")
    SERVICE_STOPPING = (logging.INFO, "service stopping")
    WORKER_REFUSED = (logging.CRITICAL, "a Celery worker that would prepare and send nothing ended at its start")
    EVENT_ACCEPTED = (logging.INFO, "event accepted")
    EVENT_HELD = (logging.WARNING, "event held until a person answers")
    EVENT_REFUSED = (logging.WARNING, "event refused")
    EVENT_PREPARED = (logging.INFO, "event prepared")
    PREPARED_ALONE = (logging.WARNING, "events of one go are prepared one by one, for the fault of one of them")
    EVENT_STUCK = (logging.ERROR, "event could not be prepared")
    MAPPING_HELD = (logging.ERROR, "event could not be mapped; a table needs a row")
    LETTER_HELD = (logging.ERROR, "letter could not be written")
    DELIVERY_ATTEMPTED = (logging.INFO, "delivery attempted")
    DELIVERY_HELD = (logging.WARNING, "delivery held for a person")
    DELIVERY_DEAD = (logging.ERROR, "delivery dead; needs attention")
    DELIVERY_IN_DOUBT = (logging.WARNING, "delivery in doubt; the far side is asked first")
    DELIVERY_SETTLED = (logging.INFO, "delivery settled by the far side's answer")
    LEASE_EXPIRED = (logging.WARNING, "lease of a dead worker taken back")
    CLOCK_WENT_BACK = (logging.WARNING, "clock went back; what it had put off while it was ahead was brought nearer")
    RECEIPT_TAKEN_IN = (logging.INFO, "receipt taken in")
    RECEIPT_UNMATCHED = (logging.WARNING, "receipt matches no delivery; kept as evidence")
    RECEIPT_SOURCE_DOWN = (logging.WARNING, "receipt source cannot be reached")
    BREAKER_OPENED = (logging.WARNING, "endpoint circuit opened")
    BREAKER_CLOSED = (logging.INFO, "endpoint circuit closed")
    OTHER_STATION = (logging.WARNING, "another fax machine than before answers at a number; a person must ask")
    SENDING_HELD = (logging.WARNING, "sending held by a person")
    SENDING_RELEASED = (logging.WARNING, "sending released by a person")
    RESTORE_HOLD = (logging.ERROR, "the database is an older copy; nothing goes out until a person has looked")
    RESEND_JOB = (logging.INFO, "resend job moved")
    TASK_RAISED = (logging.WARNING, "telephone task raised")
    SWEEP_DONE = (logging.INFO, "sweep done")
    PROMISE_BROKEN = (logging.ERROR, "verification found a broken promise")
    SIGN_IN_FAILED = (logging.WARNING, "sign-in failed")
    SIGN_IN = (logging.INFO, "signed in")
    REQUEST_FAILED = (logging.ERROR, "request failed on a fault of ours")
    BUG = (logging.CRITICAL, "unexpected error; an engineer must look")
    NO_MEANS = (logging.CRITICAL, "the machine has no file handle, memory or disk left; the operator must look")
    SANDBOX = (logging.INFO, "sandbox recipient")


def write(line: Log, **fields: str | int | None) -> None:
    """Write one catalogued line; raise ValueError for a field outside SAFE_FIELDS."""
    extra = fields.keys() - SAFE_FIELDS
    if extra:
        raise ValueError(f"not a safe log field: {sorted(extra)}")
    level, text = line.value
    logging.getLogger("coordinator").log(level, text, extra={"line": line.name, "fields": fields})


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, line name, text, and the safe fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Records from other libraries lose their arguments and tracebacks' values."""
        ours = getattr(record, "line", None)
        out: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "line": ours or f"library.{record.name}",
        }
        if ours:
            out["text"] = record.getMessage()
            out.update(getattr(record, "fields", {}))
        else:
            out["text"] = str(record.levelname)
            if record.exc_info and record.exc_info[0]:
                out["error_type"] = record.exc_info[0].__name__
        return json.dumps(out, ensure_ascii=True)


def configure(level: int = logging.INFO, stream: object = None) -> None:
    """Send catalogued lines to the stream (standard error by default); quiet the libraries that print URLs or data."""
    logging.raiseExceptions = False  # else what cannot be written goes to standard error, a library's data with it
    handler = logging.StreamHandler(stream or sys.stderr)  # type: ignore[arg-type]
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("coordinator").setLevel(level)
    for name in ("httpx", "httpcore", "sqlalchemy.engine", "uvicorn.access", "weasyprint", "fontTools", "mail.log"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
