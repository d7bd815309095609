"""What staff read is said in words: no code of ours where a sentence is meant."""

from pathlib import Path
from typing import get_args

import pytest

from coordinator.domain.consent import ConsentReason, Lacking
from coordinator.flow.wording import consent_said, facts_said
from coordinator.planning.causes import load_causes

CAUSES = load_causes(Path(__file__).parents[3] / "mappings" / "rules" / "causes.yaml")
REASONS = [one for part in get_args(ConsentReason) for one in (get_args(part) or (part,))]


def _consent(decision, reason, directive=None, version=None):
    return {"decision": decision, "reason": reason, "directive": directive, "version": version}


def test_a_consent_in_force_names_its_paper():
    said = consent_said(CAUSES, _consent("permit", "consent", "cn-1", 2))
    assert said == "In force when this was written: cn-1, version 2."


def test_a_consent_that_is_missing_is_told_in_the_words_of_its_cause():
    said = consent_said(CAUSES, _consent("deny", "no-consent"))
    assert said == "No consent of the patient for this recipient is on record."


def test_a_consent_that_does_not_hold_is_told_with_its_paper():
    said = consent_said(CAUSES, _consent("deny", "revoked", "cn-2", 3))
    assert said == "The patient has withdrawn consent for this recipient: cn-2, version 3."


@pytest.mark.parametrize("reason", [one for one in REASONS if one != "consent"])
def test_every_reason_has_a_sentence_and_none_shows_its_code(reason):
    assert set(get_args(Lacking)) <= set(REASONS)
    said = consent_said(CAUSES, _consent("deny", reason))
    assert said != CAUSES.get("bug").sentence
    assert said.endswith(".")
    assert not {"deny", "permit", "none", reason} & set(said.replace(".", "").split()) - {"content", "expired"}


def test_the_facts_of_a_try_are_told_in_words_and_its_status_once():
    facts = {"created": "37", "entries": "43", "level": "chart", "matched_by": "identifier", "ms": "6", "status": "200"}
    assert facts_said(facts.items(), 200) == (
        ("new there", "37"),
        ("parts sent", "43"),
        ("sent as", "a chart, in one transaction"),
        ("patient found by", "number"),
        ("took", "6 ms"),
    )


def test_the_status_of_an_answer_is_told_where_it_stands_nowhere_else():
    assert facts_said([("status", "200")], None) == (("status", "200"),)


def test_a_fact_without_words_of_its_own_keeps_its_name_without_signs():
    assert facts_said([("read back", "as sent"), ("some_day", "x"), ("tls", "TLSv1.3")], None) == (
        ("read back", "as sent"),
        ("some day", "x"),
        ("encrypted with", "TLSv1.3"),
    )
