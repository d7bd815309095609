"""How many words stand on the first page. A busy clinician reads one page, so it has a limit."""

import re
from html import unescape

PAGE_ONE_WORDS = 350
"""At most this many words on page one (a structured letter of a page is read; 849 words is typical and too long)."""

_TITLE = re.compile(r"(?<=>)\s*<title>.*?</title>", re.DOTALL)
_SECOND_PAGE = re.compile(r'<section class="(?:form|apart)">')
_FOOT = re.compile(r'\sdata-foot-[a-z]+="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_WORD = re.compile(r"[^\W\d_]{2}")


def page_one_words(html: str) -> int:
    """Return the words of a letter's first page as its HTML has it: what stands before the second page, and its foot.

    The text alternatives of pictures are not printed and do not count; see `words_of`.
    """
    printed = _SECOND_PAGE.split(html, maxsplit=1)[0].rpartition("</head>")[2]
    foot = " ".join(_FOOT.findall(printed))
    return words_of(unescape(_TAG.sub(" ", _TITLE.sub(" ", printed)) + foot))


def words_of(text: str) -> int:
    """Return the number of words: what has two letters in a row. Numbers, times and signs are not words."""
    return sum(1 for token in text.split() if _WORD.search(token))
