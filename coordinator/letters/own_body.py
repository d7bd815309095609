"""What the source of a clinic's own body may hold: it arranges what a letter tells, and adds nothing but words.

Looked at before it is tried with any sample, since no sample shows what a branch does that it does not reach. A value
is printed as the view has it: not worked out, cut, changed or put together; and no number stands in the code either.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from coordinator.letters.lint import Finding

_BLOCKS = frozenset(
    {"h2", "h3", "p", "ul", "ol", "li", "section", "div", "dl", "dt", "dd", "br", "strong", "em", "span"}
)
_TABLE = frozenset({"table", "caption", "thead", "tbody", "tr", "th", "td"})
_TAGS = _BLOCKS | _TABLE
_ATTRIBUTES = frozenset({"class", "scope", "colspan"})
_CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_MARK = "\ue000"
_TAG = re.compile(r"""<(?:[^<>"']|"[^"]*"|'[^']*')*""")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_READER = Environment(extensions=["jinja2.ext.i18n"])  # noqa: S701 - reads what a template holds, and renders nothing
_READER.newstyle_gettext = True  # type: ignore[attr-defined]
_READER.globals.clear()
_GIVEN = frozenset({"frame", "view", "letter"})
_SAYING = frozenset({"gettext", "ngettext", "pgettext", "npgettext", "_"})
_OF_A_LOOP = frozenset({"first", "last"})
_BEHIND_A_VALUE = frozenset({"value", "sources", "kind"})
_NUMBER = "a template prints no number of its own; every number comes from the view"
_AS_IT_IS = "a value is printed as it is: nothing is worked out, cut, changed or put together"


class _Source(HTMLParser):
    """Looks for what a body may not have: styles, scripts, pictures, hidden parts, closing tags of the frame."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.found.append(f"the element {tag} is not for a letter's body")
        self.found.extend(f"the attribute {name} is not for a letter's body" for name, _ in attrs
                          if name not in _ATTRIBUTES)  # fmt: skip

    def handle_endtag(self, tag: str) -> None:
        if tag not in _TAGS:
            self.found.append(f"the element {tag} is not for a letter's body")

    def handle_data(self, data: str) -> None:
        if re.search(r"\d", data):
            self.found.append(_NUMBER)


def check_body(source: str, element: str) -> Iterator[Finding]:
    """Yield what the source of a clinic's own body has that it may not, each thing once."""
    for why in dict.fromkeys((*_in_the_markup(source), *_in_the_code(source))):
        yield Finding(element, why)


def _in_the_markup(source: str) -> Iterator[str]:
    if "<!" in source:
        yield "a comment of HTML can hide what follows; write {# … #}"
    marked = _CODE.sub(_MARK, source.replace(_MARK, ""))
    if any(_MARK in _QUOTED.sub("", tag) for tag in _TAG.findall(marked)):
        yield "an element is written out: no code stands in its name or among its attributes"
        return
    reader = _Source()
    reader.feed(marked.replace(_MARK, " "))
    reader.close()
    yield from reader.found


def _in_the_code(source: str) -> Iterator[str]:
    try:
        whole = _READER.parse(source)
    except TemplateSyntaxError as wrong:
        yield f"line {wrong.lineno} is no template: {wrong.message}"
        return
    for name in sorted(meta.find_undeclared_variables(whole) - _GIVEN - _SAYING):
        yield f"{name} is not known here; there are {', '.join(sorted(_GIVEN))}, and what is imported from macros"
    named = {_as(one) for made in whole.find_all(nodes.FromImport) for one in made.names}
    named |= {made.name for made in whole.find_all(nodes.Macro)}
    for part in whole.find_all(nodes.Node):
        if why := _why_not(part, named | _SAYING):
            yield f"{why} (line {part.lineno})"


def _as(imported: str | tuple[str, str]) -> str:
    return imported if isinstance(imported, str) else imported[1]


def _why_not(part: nodes.Node, callable_here: set[str] | frozenset[str]) -> str | None:
    """Return why one part of a template's code is not for a clinic's own body, or None."""
    match part:
        case nodes.Const(value=bool() | None):
            return None
        case nodes.Const(value=str() as text):
            return _NUMBER if re.search(r"\d", text) else None
        case nodes.TemplateData(data=text):
            return None
        case nodes.Const():
            return _NUMBER
        case nodes.Call(node=nodes.Name(name=name)) if name in callable_here:
            return None
        case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr) if attr not in _OF_A_LOOP:
            return _NUMBER
        case nodes.Getattr(attr=attr) if attr in _BEHIND_A_VALUE or attr.startswith("_"):
            return f"{_AS_IT_IS} (.{attr})"
        case nodes.EvalContextModifier() | nodes.ScopedEvalContextModifier():
            return "what is printed stays escaped"
        case nodes.Include() | nodes.Import() | nodes.Extends() | nodes.Block():
            return "parts of other templates come in by {% from … import … %} alone"
        case nodes.Call() | nodes.Filter() | nodes.FilterBlock() | nodes.Slice() | nodes.Concat():
            return _AS_IT_IS
        case nodes.BinExpr() if not isinstance(part, nodes.And | nodes.Or):
            return _AS_IT_IS
        case nodes.Neg() | nodes.Pos() | nodes.Getitem():
            return _AS_IT_IS
    return None
