"""The few rules of BER that a signed or encrypted mail needs (ITU-T X.690), and the way from there to DER.

CMS may be written in pieces, by a sender that does not know the length beforehand (RFC 5652, 5.2 and 6.1); much
software does so. Here everything gets its length first. Tags above 30 do not occur in it.
"""

from collections.abc import Iterator

SEQUENCE, SET, OID, OCTETS = 0x30, 0x31, 0x06, 0x04
CONSTRUCTED = 0x20
PIECES, CONTEXT_0, CONTEXT_0_WHOLE = OCTETS | CONSTRUCTED, 0xA0, 0x80
ENVELOPED_DATA = bytes.fromhex("2a864886f70d010703")
DEEPEST = 24
END = b"\x00\x00"


class Unreadable(Exception):
    """It is not the structure that it should be, or not meant for us."""


def definite(blob: bytes) -> bytes:
    """Return the element with definite lengths throughout, its octet strings whole. Raises Unreadable."""
    return _element(blob, 0, len(blob), 0)[0]


def enveloped(blob: bytes) -> bytes:
    """Return a ContentInfo of EnvelopedData as `definite` does, its encrypted content whole too. Raises Unreadable."""
    blob = definite(blob)
    kind, held = _fields(blob, SEQUENCE, 2)
    if kind != (OID, ENVELOPED_DATA):
        return blob
    parts = _fields(held[1], SEQUENCE)
    # The encrypted content is the last SEQUENCE: what may stand before it are SETs, and after it attributes.
    place = max((number for number, one in enumerate(parts) if one[0] == SEQUENCE), default=-1)
    if place < 0:
        raise Unreadable
    content = [_whole(one) for one in children(parts[place][1])]
    parts[place] = (SEQUENCE, b"".join(element(*one) for one in content))
    inside = element(SEQUENCE, b"".join(element(*one) for one in parts))
    return element(SEQUENCE, element(*kind) + element(held[0], inside))


def children(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of each element, all of definite lengths. Raises Unreadable."""
    place = 0
    while place < len(content):
        tag, start, size = _head(content, place, len(content))
        if size is None:
            raise Unreadable
        yield tag, content[start : start + size]
        place = start + size


def element(tag: int, content: bytes) -> bytes:
    """Return an element with its length."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    whole = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(whole)]) + whole + content


def _whole(one: tuple[int, bytes]) -> tuple[int, bytes]:
    if one[0] != CONTEXT_0:
        return one
    return CONTEXT_0_WHOLE, b"".join(piece for _, piece in children(one[1]))


def _fields(blob: bytes, tag: int, count: int | None = None) -> list[tuple[int, bytes]]:
    outer = next(children(blob), None)
    fields = [] if outer is None or outer[0] != tag else list(children(outer[1]))
    if not fields or (count is not None and len(fields) != count):
        raise Unreadable
    return fields


def _element(blob: bytes, place: int, end: int, depth: int) -> tuple[bytes, int]:
    """Return the element that begins there with its length, and where the next one begins."""
    tag, start, size = _head(blob, place, end)
    if depth > DEEPEST:
        raise Unreadable
    if not tag & CONSTRUCTED:
        if size is None:
            raise Unreadable
        return element(tag, blob[start : start + size]), start + size
    stop, inside, place = end if size is None else start + size, [], start
    while (place < stop) if size is not None else (blob[place : place + 2] != END):
        one, place = _element(blob, place, stop, depth + 1)
        inside.append(one)
    content = b"".join(inside)
    if tag == PIECES:
        tag, content = OCTETS, b"".join(piece for _, piece in children(content))
    return element(tag, content), place if size is not None else place + 2


def _head(blob: bytes, place: int, end: int) -> tuple[int, int, int | None]:
    """Return (tag, where the content begins, its length or None when that is open)."""
    if place + 2 > end or blob[place] & 0x1F == 0x1F:
        raise Unreadable
    size, start = blob[place + 1], place + 2
    if size == 0x80:
        return blob[place], start, None
    if size & 0x80:
        count = size & 0x7F
        if count > 4 or start + count > end:
            raise Unreadable
        size, start = int.from_bytes(blob[start : start + count], "big"), start + count
    if start + size > end:
        raise Unreadable
    return blob[place], start, size
