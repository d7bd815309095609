"""Each digit on each page, of every letter, reader, sample and form, is printed by a traced fact alone."""

import re

from printing import everything

from coordinator.letters.traced import Traced

OPEN, SHUT = "\ue000", "\ue001"


def test_every_printed_digit_belongs_to_a_fact_with_a_source(room, monkeypatch):
    monkeypatch.setattr(Traced, "__str__", lambda one: f"{OPEN}{one.text}{SHUT}")
    pages = facts = 0
    for name, _, html in everything(room):
        body = re.sub(r"<head>.*?</head>|<style>.*?</style>", " ", html, flags=re.DOTALL)
        facts += body.count(OPEN)
        bare = re.sub(f"{OPEN}[^{SHUT}]*{SHUT}", " ", re.sub(r"<(?![^>]*data-foot)[^>]*>", " ", body))
        bare = re.sub(r"<[^>]*>", " ", bare)
        assert not re.search(r"\d", bare), (name, re.findall(r".{0,30}\d.{0,20}", bare)[:3])
        pages += 1
    assert pages > 300
    assert facts > 5000


def test_a_digit_without_a_fact_would_be_seen(room, monkeypatch):
    monkeypatch.setattr(Traced, "__str__", lambda one: f"{OPEN}{one.text}{SHUT}")
    _, _, html = next(iter(everything(room)))
    bare = re.sub(f"{OPEN}[^{SHUT}]*{SHUT}", " ", html.replace("</main>", "<p>5 mg</p></main>"))
    body = re.sub(r"<[^>]*>", " ", bare.partition("</head>")[2])
    assert re.findall(r"\d+", body) == ["5"]


def test_the_reply_forms_code_and_boxes_are_as_large_as_a_fax_needs(room):
    html = room.preview("L4", "psychiatrist", "stimulant-hold")
    side = int(re.search(r'width="(\d+)mm" height="\1mm"><title>Code of the reference', html).group(1))
    assert side >= 25
    box = re.search(r"\.box \{[^}]*width: ([\d.]+)mm; height: ([\d.]+)mm", html)
    assert min(float(box.group(1)), float(box.group(2))) >= 4
    assert html.count('<span class="box"></span>') == 6
