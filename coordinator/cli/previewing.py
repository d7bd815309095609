"""preview-letter and check-letters: what letters look like, and whether a clinic's own templates may be used."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

import click

from coordinator.bootstrap import workshop
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Audience
from coordinator.letters.lint import Finding
from coordinator.letters.refusal import EXPLAINED, LetterRefused
from coordinator.letters.translations import LANGUAGES
from coordinator.settings import Settings

KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
AUDIENCES: tuple[Audience, ...] = get_args(Audience)
SHOWN = 3
"""Places named for one broken rule; a rule that every sample breaks has dozens."""


@click.command("preview-letter")
@click.argument("kind", type=click.Choice(KINDS, case_sensitive=False), metavar="KIND")
@click.option("--audience", type=click.Choice(AUDIENCES), default="psychiatrist", show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="For L14 only.")
@click.option("--sample", required=True, help="Name of a synthetic case in templates/samples/samples.yaml.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File, .html or .pdf. Without it, HTML on standard output.",
)
def preview_letter(kind: str, audience: str, language: str, sample: str, out: Path | None) -> None:
    """Write the letter KIND (L1 to L14) of a sample, with the band that it was not sent. Synthetic people only.

    The reply form (L11) stands behind the letter that asks, so it comes with that letter.
    """
    if language != "en" and kind.upper() != "L14":
        raise click.ClickException("Only the patient's copy (L14) is written in a second language.")
    room = workshop(Settings()).letters
    asked = (cast("LetterKind", kind.upper()), cast("Audience", audience), sample, language)
    try:
        html = room.preview(*asked)
        body = room.preview_pdf(*asked) if out is not None and out.suffix == ".pdf" else html.encode()
    except KeyError as unknown:
        found = [one for one in room.previews() if one.kind == asked[0] and one.audience == audience]
        names = ", ".join(dict.fromkeys(one.sample for one in found)) or "none"
        raise click.ClickException(
            f"The sample {sample} makes no letter {asked[0]} for {audience}. Samples that do: {names}."
        ) from unknown
    except LetterRefused as refused:
        what, to_do = EXPLAINED[refused.code]
        raise click.ClickException(f"The letter was refused: {what} ({refused.element}). {to_do}") from refused
    if out is None:
        click.echo(html)
        return
    out.write_bytes(body)
    click.echo(f"Wrote {out}.")


@click.command("check-letters")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check_letters(folder: Path) -> None:
    """Check a clinic's own letters, FOLDER/<letter>/<audience>/body.html as in templates/letters.

    Each is written with every sample; a broken rule is named with its file. Exit code 1 if any.
    """
    checked, findings = workshop(Settings()).letters.review_folder(folder)
    broken = dict.fromkeys(name for name, _ in findings)
    for name in broken:
        click.echo(name)
        for line in _explained(name, [one for file, one in findings if file == name]):
            click.echo(f"  {line}")
    if not checked:
        raise click.ClickException("There is no template in this folder. See templates/README.md for the names.")
    if findings:
        click.echo(f"{_count(len(broken))} cannot be used, and the service does not start with this folder.")
        sys.exit(1)
    click.echo(f"{_count(len(checked))} may be used.")


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _explained(name: str, findings: list[Finding]) -> Iterator[str]:
    """Yield the broken rules of one file: what, why and what to do; a rule that many samples break stands once."""
    grouped: dict[tuple[str, str | None], list[str]] = {}
    for one in findings:
        place = "" if one.element.removeprefix("letters/") == name else one.element
        grouped.setdefault((one.why, one.said), []).append(place)
    for (why, said), places in grouped.items():
        what, to_do = EXPLAINED.get(why, (why, ""))
        yield f"- “{said}”: {what}." if said else f"- {what}."
        named = [one for one in places if one]
        if named:
            more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            yield f"  Where: {'; '.join(named[:SHOWN])}{more}."
        if to_do:
            yield f"  To do: {to_do}"
