"""The answer form: what was typed becomes a checked answer, or the names of the fields that are wrong."""

import pytest

from coordinator.api.letter_form import said_from

TYPED = {"kind": "current-dose", "name": "L. Müller", "role": "psychiatrist", "product": "other",
         "product_other": "Adderall XR", "dose_value": "30", "dose_unit": "mg", "as_of": "2026-10-14",
         "frequency": "once daily", "note": "as before"}  # fmt: skip


def test_what_was_typed_is_an_answer():
    said, faults = said_from(TYPED, may_report_dose=True)
    assert faults == ()
    assert said is not None


@pytest.mark.parametrize("char", ["\u202e", "\u0085", "\u2028", "\ufffe"])
@pytest.mark.parametrize("field", ["name", "role", "note", "product_other", "frequency"])
def test_a_character_that_nobody_sees_is_refused_in_every_field(field, char):
    assert said_from({**TYPED, field: f"a{char}b"}, may_report_dose=True) == (None, ("unseen",))
