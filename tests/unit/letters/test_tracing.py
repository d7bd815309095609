"""Every number on a page has a source, and every fact of a view is on the page."""

import json
import re
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from html import unescape

import pytest

from coordinator.domain.case import Case
from coordinator.domain.plan import Plan
from coordinator.domain.quantities import plain
from coordinator.letters.lexicon import load_lexicon, read_yaml
from coordinator.letters.traced import fact, walk

NUMBER = re.compile(r"\d+(?:\.\d+)?")


def numbers(text: str) -> set[str]:
    return set(NUMBER.findall(text))


def visible(html: str) -> str:
    body = re.sub(r"<head>.*?</head>", " ", html, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", " ", body))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_no_number_on_any_page_lacks_a_source(written):
    for row in written:
        known = {number for one in row.page.facts() for number in numbers(one.text)}
        assert numbers(visible(row.letter.html)) <= known, row.name


def test_every_fact_of_a_view_is_on_its_page(written):
    for row in written:
        page = squeezed(visible(row.letter.html))
        absent = [one.sources[0] for one in row.page.facts() if squeezed(one.text) not in page]
        assert not absent, row.name


def test_every_number_of_the_page_is_in_the_text_part(written):
    for row in written:
        pictures = re.sub(r"<text\b.*?</text>", " ", row.letter.html, flags=re.DOTALL)
        assert numbers(visible(pictures)) <= numbers(row.letter.text), row.name


def test_the_labels_of_a_picture_are_said_in_words_too(written):
    for row in written:
        labels = " ".join(re.findall(r"<text\b[^>]*>(.*?)</text>", row.letter.html))
        assert numbers(labels) <= numbers(row.letter.text), row.name


def test_no_text_part_has_a_tag(written):
    for row in written:
        assert not re.search(r"</?[a-z]", row.letter.text), row.name


def test_the_word_none_is_never_printed_for_a_missing_part(written):
    for row in written:
        assert not re.search(r"\bNone\b", row.letter.text), row.name


class Sources:
    """Finds the value behind a source."""

    def __init__(self, case: Case, plan: Plan, layout) -> None:
        def dump(record):
            return json.loads(record.model_dump_json(by_alias=True))

        scales = load_lexicon(layout, layout.parents[1] / "mappings" / "instruments").instruments
        statements = read_yaml(layout / "statements.yaml")
        rows = [one for table in (*statements["indications"].values(), statements["any"]) for one in table]
        self.roots = {
            "event": dump(case.event),
            "registry": dump(case.registry),
            "plan": asdict(plan),
            "case": {"composed_at": case.composed_at.isoformat(), "reference": True},
            "letters": {
                "instruments": {key: asdict(scale) for key, scale in scales.items()},
                "statements": {one["id"]: one["text"] for one in rows},
            },
        }
        if case.previous is not None:
            self.roots["previous"] = dump(case.previous)
        self.roots |= {f"history/{place}": dump(one) for place, one in enumerate(case.history)}
        self.roots |= {f"digest/{place}": dump(one) for place, one in enumerate(case.digest_of)}
        self.roots |= {f"sent/{place}": asdict(one) for place, one in enumerate(case.already_sent)}

    def find(self, source: str):
        root, pointer = source.split(":", 1)
        node = self.roots[root]
        for part in pointer.strip("/").split("/") if pointer else ():
            node = node[int(part)] if isinstance(node, list | tuple) else node[part]
        return node


def test_every_source_leads_to_a_value_and_a_plain_number_is_that_value(written, templates):
    checked = 0
    for row in written:
        sources = Sources(row.sample.case, row.sample.plan, templates / "layout")
        for one in row.page.facts():
            found = [sources.find(source) for source in one.sources if not _is_absent(one, source, sources)]
            if one.kind == "words" or len(one.sources) > 1 or not found:
                continue
            node = found[0]
            if isinstance(node, dict) and "value" in node:
                assert plain(Decimal(str(node["value"]))) in one.text, (row.name, one.sources)
                checked += 1
            elif isinstance(node, int) and not isinstance(node, bool):
                assert re.search(rf"(?<!\d){node}(?!\d)", one.text), (row.name, one.sources)
                checked += 1
            elif isinstance(one.value, datetime | date) and isinstance(node, str) and len(node) == 10:
                assert node == one.value.isoformat(), (row.name, one.sources)
                checked += 1
    assert checked > 500


def _is_absent(one, source: str, sources: Sources) -> bool:
    """A missing value is told in words; its place may then be empty."""
    try:
        return sources.find(source) is None
    except (KeyError, TypeError):
        assert one.kind == "words" or len(one.sources) > 1, source
        return True


def test_differences_and_doses_for_body_weight_are_worked_out_from_their_sources(one):
    row = one("bp-spike.psychiatrist")
    rise = row.page.parts["view"].vitals.rise
    event = row.sample.case.event
    base, peak = event.vitals[0], event.vitals[2]
    assert rise.value == (peak.systolic - base.systolic, peak.diastolic - base.diastolic)
    assert rise.sources[:2] == ("event:/vitals/2/systolic", "event:/vitals/2/diastolic")


def test_a_fact_without_a_source_cannot_be_made():
    with pytest.raises(ValueError, match="source"):
        fact("5", 5)


def test_a_walk_reaches_into_tuples_and_parts():
    deep = ((fact("a", 1, "event:/a"), (fact("b", 2, "event:/b"),)), None, "plain")
    assert [one.text for one in walk(deep)] == ["a", "b"]
