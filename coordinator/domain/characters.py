"""Characters that stand in no text for people: nobody sees them, and they change what is read or spoil a document.

What scripts need to be written rightly is none of them: joiners, the marks of direction (U+200E, U+200F), combining
marks and the letters of every script may stand anywhere.
"""

import re

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a sign that turns the direction of writing around", re.compile("[\u202a-\u202e\u2066-\u2069]")),
    ("a control character", re.compile("[\x80-\x9f]")),
    ("a separator of lines or paragraphs", re.compile("[\u2028\u2029]")),
    (
        "a code that is no character",
        re.compile("[\ufdd0-\ufdef" + "".join(chr(0x10000 * plane + 0xFFFE) + chr(0x10000 * plane + 0xFFFF)
                                              for plane in range(17)) + "]"),
    ),
)  # fmt: skip


def unseen(text: str) -> str | None:
    """Return which kind of character that may not stand there is in a text, in words, or None.

    The control characters below U+0020 are not looked for: which of them may stand where, the text's own type says.
    """
    if text.isascii():
        return None
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), None)
