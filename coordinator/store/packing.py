"""Documents are made smaller before they are sealed: what is encrypted cannot be compressed any more."""

import sys

from coordinator.domain.errors import Unreadable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD = "zstd"
LEVEL = 1
"""The quickest: a chart is a tenth of its size then already, and the next levels gain little."""
WORTH = 0.9
"""A body that stays larger than that part of itself is stored as it is. A PDF is compressed already."""


def pack(body: bytes) -> tuple[bytes, str | None]:
    """Return the bytes to seal, and how they are packed: "zstd", or None for as they are."""
    packed = zstd.compress(body, LEVEL)
    return (packed, ZSTD) if len(packed) < len(body) * WORTH else (body, None)


def unpack(stored: bytes, packing: str | None, size_bytes: int) -> bytes:
    """Return the body. Raises Unreadable for a packing that is not known, and for another size than was stored."""
    if packing is None:
        return stored
    if packing != ZSTD:
        raise Unreadable("packed in a way that this version does not know")
    reader = zstd.ZstdDecompressor()
    try:
        # One byte more than there may be, so that what is too long is told from what is whole.
        body = reader.decompress(stored, max_length=size_bytes + 1)
    except zstd.ZstdError:
        raise Unreadable("a packed document does not unpack") from None
    if len(body) != size_bytes or not reader.eof:
        raise Unreadable("a packed document is not as long as it was")
    return body
