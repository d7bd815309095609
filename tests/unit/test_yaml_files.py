"""The one strict reader of YAML: for mappings, rules and letters."""

from pathlib import Path

import pytest
import yaml

from coordinator.yaml_files import parse_yaml, read_yaml

TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.mark.parametrize("text", ["a: {x: 1, x: 2}", "a: &a {x: 1}\nb: {<<: *a, x: 2, x: 3}", "a: 1\nb: 2\na: 3"])
def test_a_key_that_stands_twice_is_a_fault(text):
    with pytest.raises(yaml.YAMLError, match="a key stands twice"):
        parse_yaml(text)


def test_what_a_mapping_takes_in_it_may_overrule_also_by_several_steps():
    made = parse_yaml("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\nd: {<<: [*b, *a], z: 1}")
    assert made["b"] == {"x": 3, "y": 2}
    assert made["c"] == {"x": 4, "y": 2}
    assert made["d"] == {"x": 3, "y": 2, "z": 1}


def test_on_no_and_yes_are_words():
    assert parse_yaml("on: no\nyes: true") == {"on": "no", "yes": True}


@pytest.mark.parametrize("file", sorted(TEMPLATES.rglob("*.yaml")), ids=lambda one: str(one.relative_to(TEMPLATES)))
def test_the_letters_tables_read_as_plain_yaml_reads_them(file):
    assert read_yaml(file) == yaml.safe_load(file.read_text("utf-8"))
