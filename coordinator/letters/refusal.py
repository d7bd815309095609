"""Why a letter was not written."""


class LetterRefused(Exception):
    """A letter that must not leave. The text is the code and the element, never a value of the patient.

    Codes: letter.glyph (a character the font lacks), letter.text-layer (something of
    the view is not in the finished PDF), letter.lint (a forbidden word), letter.empty-box
    (nothing says what is asked), letter.template (a template or its data is incomplete).
    """

    def __init__(self, code: str, element: str) -> None:
        """`element` names a template or a field path."""
        super().__init__(f"{code}: {element}")
        self.code = code
        self.element = element


EXPLAINED: dict[str, tuple[str, str]] = {
    "letter.glyph": (
        "the letters' font lacks a character that is written here",
        "Write it with other characters.",
    ),
    "letter.text-layer": (
        "the finished letter does not show this value, or not whole",
        "Print every value of the view. The body of the same name in templates/letters shows with which macro.",
    ),
    "letter.lint": ("it says something that no letter may say", "Write what the reason after it names."),
    "letter.empty-box": ("nothing says what the reader is asked to do", "Leave the box of requests to the frame."),
    "letter.template": (
        "the template asks for something that is not there, or does what a clinic's own template may not",
        "Use only frame, view and the macros that the body of the same name in templates/letters uses.",
    ),
    "letter.part2": (
        "it is Part 2 material, and there is no Part 2 consent that it could explain",
        "Record the written consent with its part2 fields.",
    ),
    "letter.retracted": (
        "the record was entered in error, so nothing is told of it",
        "Look at a sample that was not retracted.",
    ),
    "letter.translation": ("a sentence has no words in this language", "Use the sentences of the shipped body."),
}
"""Code -> what is wrong, and what a person who writes templates can do about it."""
