"""The one Jinja2 environment of the letters, and its sandboxed twin for a template that a clinic uploads."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    DictLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    UndefinedError,
    pass_context,
    select_autoescape,
)
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from coordinator.letters import formats
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.translations import translated

FILTERS: dict[str, Callable[..., str]] = {
    "quantity": formats.quantity,
    "clinic_date": formats.clinic_date,
    "clinic_time": formats.clinic_time,
    "person_name": formats.person_name,
    "phone": formats.phone,
}
"""Few, and named for what they mean. The rules of writing doses and times live in `formats`."""


def environment(templates: Path, catalogue: Mapping[str, str] | None = None) -> Environment:
    """Return the environment over the templates folder. A missing field stops a letter; everything is escaped.

    `catalogue` holds the sentences of a second language; without it they stand as the templates have them.
    """
    return _prepared(Environment, templates, catalogue=catalogue)


def sandboxed(templates: Path, uploaded: Mapping[str, str], catalogue: Mapping[str, str] | None = None) -> Environment:
    """Return the environment for templates from an upload, which stand in for the packaged ones of the same name.

    No attribute tricks, and no change of what a template is given.
    """
    return _prepared(ImmutableSandboxedEnvironment, templates, uploaded, catalogue)


def _prepared(
    kind: type[Environment],
    templates: Path,
    uploaded: Mapping[str, str] | None = None,
    catalogue: Mapping[str, str] | None = None,
) -> Environment:
    made = kind(
        loader=ChoiceLoader([DictLoader(dict(uploaded or {})), FileSystemLoader(templates)]),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        finalize=_present,
    )
    made.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    made.globals["gettext"] = _gettext(catalogue)
    made.policies["ext.i18n.trimmed"] = True
    made.filters.update(FILTERS)
    return made


def _gettext(catalogue: Mapping[str, str] | None) -> Callable[..., str]:
    """Return what says a sentence of a template, in the catalogue's language or as it stands."""

    @pass_context
    def say(context: Context, text: str, **values: object) -> str:
        """Return a sentence with its values, escaped. A value that is not there stops the letter."""
        if any(value is None for value in values.values()):
            raise UndefinedError("a part of a sentence that is not there")
        if catalogue is not None:
            text = translated(catalogue, text)
        sentence = Markup(text) if context.eval_ctx.autoescape else text  # noqa: S704 - the templates' own sentence
        return sentence % values

    return say


def _present(value: object) -> object:
    """Stop a letter that would print a missing part as the word "None"."""
    if value is None:
        raise UndefinedError("a part that is not there")
    return value


def rendered(env: Environment, template: str, context: Mapping[str, Any]) -> str:
    """Return what a template makes of this; raise LetterRefused, with the template's name, when it cannot."""
    try:
        return env.get_template(template).render(context)
    except (TemplateError, TypeError, ArithmeticError, LookupError, RecursionError) as wrong:
        name = getattr(wrong, "name", None) or template
        raise LetterRefused("letter.template", str(name)) from None


def created(at: datetime) -> str:
    """Return an instant as the pages' metadata have it, to the second."""
    return at.replace(microsecond=0).isoformat()
