"""What can be seen: contrast in light and dark, names of cells on a narrow screen, fields with labels."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import Browser
from web_data import some_questions, some_refusals

CONSOLE = Path(__file__).parents[3] / "coordinator" / "console"
CSS = (CONSOLE / "static" / "console.css").read_text(encoding="utf-8")
TEXT_AA = 4.5
SIGN_AA = 3.0
"""WCAG 2.1 AA: text, and the parts of a control or a sign that have to be made out."""

ON_TEXT = [
    *((ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("paper", "card", "hover")),
    *((tone, ground) for tone in ("good", "warn", "bad", "info", "calm") for ground in (f"{tone}-bg", "card")),
    ("accent-ink", "accent"),
]
ON_SIGNS = [*((line, ground) for line in ("line-strong", "accent") for ground in ("paper", "card"))]


def colours(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found if theme == "light" else {**found, **dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_ratio_is_that_of_the_standard():
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_and_sign_stands_out_enough(theme):
    named = colours(theme)
    weak = {
        f"{one} on {other}": round(ratio(named[one], named[other]), 2)
        for pairs, least in ((ON_TEXT, TEXT_AA), (ON_SIGNS, SIGN_AA))
        for one, other in pairs
        if ratio(named[one], named[other]) < least
    }
    assert weak == {}


class Seen(HTMLParser):
    """Collects cells without a name in tables that become cards, and fields without a label."""

    def __init__(self) -> None:
        super().__init__()
        self.table: str | None = None
        self.cells = 0
        self.nameless: list[str] = []
        self.headers: list[str] = []
        self.names: set[str] = set()
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self._in_header = self._in_label = False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "table":
            self.table = given.get("class") or ""
        if tag == "th" and given.get("scope") == "col":
            self._in_header = True
        if tag == "td" and self.table and "cards" in self.table.split():
            self.cells += 1
            if given.get("data-label"):
                self.names.add(given["data-label"])
            else:
                self.nameless.append(self.get_starttag_text())
        if tag == "label":
            self._in_label = True
            self.labelled.add(given.get("for") or "")
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.fields.append({**given, "inside": "yes" if self._in_label else None})

    def handle_endtag(self, tag):
        if tag == "th":
            self._in_header = False
        if tag == "label":
            self._in_label = False

    def handle_data(self, data):
        if self._in_header and data.strip():
            self.headers.append(data.strip())

    def unlabelled(self) -> list[dict[str, str | None]]:
        return [
            one
            for one in self.fields
            if one.get("id") not in self.labelled
            and not one["inside"]
            and not one.get("aria-label")
            and not one.get("aria-hidden")
        ]


PAGES = ["/", "/messages", "/letters", "/refused", "/me"]
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))


@pytest.fixture
def seen(client, service):
    service.desk.held = some_questions()
    service.desk.refused = some_refusals()
    browser = Browser(client)
    browser.sign_in()

    def look(url: str) -> Seen:
        answer = browser.get(url)
        assert answer.status_code == 200, url
        made = Seen()
        made.feed(answer.text)
        return made

    return look


@pytest.mark.parametrize("page", ["/", "/messages", "/letters", "/refused"])
def test_every_cell_of_a_list_names_itself_by_its_column_for_a_narrow_screen(seen, page):
    found = seen(page)
    assert found.cells
    assert found.nameless == []
    assert found.names <= set(found.headers)


@pytest.mark.parametrize("page", PAGES)
def test_every_field_has_a_label(seen, page):
    assert seen(page).unlabelled() == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_every_field_of_a_template_has_a_label_and_every_cell_of_its_cards_a_name(template):
    made = Seen()
    made.feed(template.read_text(encoding="utf-8"))
    assert made.unlabelled() == []
    assert made.nameless == []


def test_a_cell_without_a_name_and_a_field_without_a_label_would_be_found():
    made = Seen()
    made.feed('<table class="rows cards"><tr><td>1</td></tr></table><input id="a"><label for="b">B</label>')
    assert made.nameless == ["<td>"]
    assert [one["id"] for one in made.unlabelled()] == ["a"]


def test_the_way_to_the_content_and_the_focus_can_be_seen():
    assert re.search(r":focus-visible \{ outline: 3px solid var\(--accent\)", CSS)
    assert re.search(r"\.skip:focus \{ left: 1rem", CSS)
