"""Characters that nobody sees are told by their kind; what scripts need is left alone."""

import pytest

from coordinator.domain.characters import unseen

NO_CHARACTERS = [0xFDD0, 0xFDEF, *(0x10000 * plane + last for plane in range(17) for last in (0xFFFE, 0xFFFF))]


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "turns the direction"),
        (range(0x80, 0xA0), "control character"),
        ([0x2028, 0x2029], "separator"),
        (NO_CHARACTERS, "no character"),
    ],
)
def test_what_nobody_sees_is_told_by_its_kind(codes, kind):
    for code in codes:
        assert kind in (unseen(f"Adderall {chr(code)}30") or ""), hex(code)


@pytest.mark.parametrize(
    "text",
    [
        "Adderall XR 30 mg",
        "Zoë Núñez-Đặng",
        "Zoe\u0308",
        "דוד כהן",
        "محمد",
        "\u200fדוד\u200e 3",
        "می\u200cخواهم",
        "क्\u200dष",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "李小龍",
        "a\u00a0b\u202fc\ufeff",
        "\U0001fffd\ufffd",
        "tab\tand\nline",
    ],
)
def test_what_scripts_need_is_left_alone(text):
    assert unseen(text) is None
