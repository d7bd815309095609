"""preview-letter and check-letters: what letters look like, and whether a clinic's own templates may be used."""

import sys
from pathlib import Path
from typing import cast, get_args

import click

from coordinator.bootstrap import workshop
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Audience
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.translations import LANGUAGES
from coordinator.settings import Settings

KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
AUDIENCES: tuple[Audience, ...] = get_args(Audience)


@click.command("preview-letter")
@click.argument("kind", type=click.Choice(KINDS, case_sensitive=False))
@click.option("--audience", type=click.Choice(AUDIENCES), default="psychiatrist", show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="For L14 only.")
@click.option("--sample", required=True, help="Name of a synthetic case in templates/samples/samples.yaml.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File, .html or .pdf. Without it, HTML on standard output.",
)
def preview_letter(kind: str, audience: str, language: str, sample: str, out: Path | None) -> None:
    """Write the letter KIND of a sample, with the band that it was not sent. Synthetic people only."""
    room = workshop(Settings()).letters
    asked = (cast("LetterKind", kind.upper()), cast("Audience", audience), sample, language)
    try:
        html = room.preview(*asked)
        body = room.preview_pdf(*asked) if out is not None and out.suffix == ".pdf" else html.encode()
    except KeyError as unknown:
        found = [one for one in room.previews() if one.kind == asked[0] and one.audience == audience]
        names = ", ".join(dict.fromkeys(one.sample for one in found)) or "none"
        raise click.ClickException(f"No such letter. Samples of {kind} for {audience}: {names}.") from unknown
    except LetterRefused as refused:
        raise click.ClickException(f"The letter was refused: {refused.code} ({refused.element}).") from refused
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
    for name, one in findings:
        click.echo(f"{name}: {one.element}: {one.why}")
    if not checked:
        raise click.ClickException("There is no template in this folder. See templates/README.md for the names.")
    if findings:
        sys.exit(1)
    click.echo(f"{len(checked)} templates may be used.")
