"""Many events from one stream, one at a time: a line each, a JSON array, or a single event over many lines."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import IO

from coordinator.planning.strict_json import MAX_BYTES

_MARK = re.compile(rb'["\\\[\]{},\n]')
_BLOCK = 64 * 1024
_LIMIT = MAX_BYTES + 1
"""One byte more than an event may have: what is cut off here is refused for its size by the reader."""


def read_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each event's text with the number of the line it starts on (from 1).

    Takes a line each (NDJSON), one JSON array, or one event written over many
    lines. Holds one event at a time. A broken line is yielded like any other, so
    that it is refused under its number and the rest goes on; a broken array
    element ends the array, as nothing after it can be told apart.
    """
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    number, text = first
    text = text.removeprefix(b"\xef\xbb\xbf")
    if text.lstrip().startswith(b"["):
        yield from _elements(chain([(number, text)], lines))
        return
    if not _is_json(text):
        second = next(lines, None)
        if second is not None and not second[1].startswith(b"{"):
            rest = b"".join(line for _, line in _bounded(lines, len(text) + len(second[1])))
            yield number, text + second[1] + rest
            return
        if second is not None:
            lines = chain([second], lines)
    yield number, text.strip()
    for number, line in lines:
        yield number, line.strip()


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each cut at the limit."""
    number = 0
    while line := stream.readline(_LIMIT):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(_LIMIT)):
            pass
        if line.strip():
            yield number, line


def _bounded(lines: Iterator[tuple[int, bytes]], size: int) -> Iterator[tuple[int, bytes]]:
    """Yield lines until their sizes add up to more than one event may have."""
    for number, line in lines:
        yield number, line
        size += len(line)
        if size > _LIMIT:
            return


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _elements(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the elements of a JSON array with the line each starts on."""
    array = _Array()
    for number, line in lines:
        yield from array.take(number, line)
    if array.part.strip():
        yield array.started_on or 1, bytes(array.part).strip()


class _Array:
    """Finds where the elements of an array begin and end, line by line, without reading what is in them."""

    def __init__(self) -> None:
        self.part = bytearray()
        self.started_on = 0
        self._depth = 0
        self._in_text = False

    def take(self, number: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the elements that end on this line."""
        begin, skip = 0, -1
        for mark in _MARK.finditer(line):
            place, char = mark.start(), mark.group()
            if place == skip:
                continue
            if self._in_text:
                skip = place + 1 if char == b"\\" else -1
                self._in_text = char != b'"'
            elif char == b'"':
                self._in_text = True
            elif char in b"[{":
                self._depth += 1
                begin = place + 1 if self._depth == 1 else begin
            elif self._depth == 1 and char in b"]},":
                self.part += line[begin:place]
                if self.part.strip():
                    yield self.started_on or number, bytes(self.part).strip()
                self.part.clear()
                self.started_on, begin = 0, place + 1
                self._depth -= char in b"]}"
            elif char in b"]}":
                self._depth -= 1
            if self._depth > 1 and not self.started_on:
                self.started_on = number
        if len(self.part) <= _LIMIT:
            self.part += line[begin:]
        if not self.started_on and self.part.strip():
            self.started_on = number
