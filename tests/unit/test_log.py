"""The log: catalogued lines with safe fields, and of what libraries say nothing but that they said it."""

import io
import json
import logging

import pytest

from coordinator.observe.log import Log, configure, write


@pytest.fixture
def lines():
    """Return the stream of a configured log; everything is as before when the test ends."""
    root, ours, raises = logging.getLogger(), logging.getLogger("coordinator"), logging.raiseExceptions
    handlers, levels = root.handlers[:], (root.level, ours.level)
    stream = io.StringIO()
    configure(stream=stream)
    yield stream
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def written(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_catalogued_line_has_its_name_its_text_and_its_fields(lines):
    write(Log.DELIVERY_HELD, delivery_id="d-1", code="route.none")
    (line,) = written(lines)
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning", "line": "DELIVERY_HELD", "text": "delivery held for a person", "delivery_id": "d-1",
        "code": "route.none",
    }  # fmt: skip


def test_a_field_that_is_not_known_to_be_safe_is_refused(lines):
    with pytest.raises(ValueError, match="patient"):
        write(Log.EVENT_ACCEPTED, patient="Iris Vale")
    assert lines.getvalue() == ""


def test_of_what_a_library_says_neither_words_nor_arguments_nor_an_exceptions_text_are_written(lines):
    try:
        raise ValueError("Iris Vale")
    except ValueError:
        logging.getLogger("somelib").exception("could not read %s", "Iris Vale")
    (line,) = written(lines)
    assert "Iris" not in lines.getvalue()
    assert line["line"] == "library.somelib"
    assert "ValueError" in lines.getvalue()


class Full(io.StringIO):
    """A disk that takes no more."""

    def write(self, _text):
        raise OSError(28, "No space left on device")


def test_a_line_that_cannot_be_written_is_told_of_nowhere_else_and_stops_nobody(lines, capfd):
    logging.getLogger().handlers[0].setStream(Full())
    logging.getLogger("somelib").warning("could not read %s", "Iris Vale")
    write(Log.EVENT_ACCEPTED)
    assert capfd.readouterr().err == ""
