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
