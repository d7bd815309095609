"""What `coordinator render` makes of every input of the matrix: the command itself, called as a clinic would.

Three things are spared, because the judges do not look at them and they take most of the time:
loading the same tables again for each call, drawing the PDF (a few bytes stand for it), and
writing the files. Everything else is the command: reading, checking, planning, letters, mapping,
gate. `test_matrix` renders the public examples with nothing spared and compares.
"""

import importlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from click.testing import CliRunner

from coordinator.flow.compose import Composed
from coordinator.flow.parts import Workshop
from coordinator.letters import pdf
from coordinator.letters.pdf import PdfEngine
from coordinator.mapping.partners import Partner
from coordinator.settings import Settings
from tests.conformance.matrix.every import renderings
from tests.conformance.matrix.inputs import Rendering

command = importlib.import_module("coordinator.cli.render")
"""The module; the package's own `render` is the command in it."""
_load_workshop = command.workshop
_load_checks = cache(command.load_checks)
WHOLE = Partner("takes-fhir-documents", 1, fhir_document=True)
"""A partner that wants the FHIR document inside the DocumentReference; no shipped partner file asks for it."""


class Refused(Exception):
    """The command did not render; what it said."""


@cache
def _workshop(mappings: Path, templates: Path) -> Workshop:
    made = _load_workshop(Settings(
        mappings_dir=mappings, templates_dir=templates, accept_demonstration_rules=True,
        rule_signatures=mappings / "rules" / "signatures.demonstration.yaml",
    ))  # fmt: skip
    partners = {**made.mappings.partners, WHOLE.name: WHOLE}
    return replace(made, mappings=replace(made.mappings, partners=partners))


@contextmanager
def spared() -> Iterator[list[Composed]]:
    """Make the command quick; what it would have written is in the list."""
    written: list[Composed] = []
    with ExitStack() as stack:
        for target, name, quick in (
            (command, "workshop", lambda settings: _workshop(settings.mappings_dir, settings.templates_dir)),
            (command, "load_checks", _load_checks),
            (command, "_write", lambda _, composed: written.append(composed)),
            (PdfEngine, "render", lambda *_, **__: b"%PDF-1.7 drawn elsewhere"),
            (pdf, "read_back", lambda *_: ""),
            (pdf, "stands_in", lambda *_: True),  # what stands on page one is only known where one is drawn
            (pdf, "page_count", lambda _: 1),
            (pdf, "join", lambda cover, letter: cover + letter),
        ):
            stack.enter_context(patch.object(target, name, quick))
        yield written


def call(given: Rendering, folder: Path) -> None:
    """Call the command; raises Refused with what it said when it did not render."""
    files = {"event.json": given.event, "registry.json": given.registry}
    arguments = [str(folder / "event.json"), "--registry", str(folder / "registry.json"), "--out", str(folder / "out")]
    if given.history:
        (folder / "history.ndjson").write_text("\n".join(json.dumps(one) for one in given.history))
        arguments += ["--history", str(folder / "history.ndjson")]
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data, ensure_ascii=False))
    said = CliRunner().invoke(command.render, arguments)
    if said.exit_code:
        raise Refused(said.output) from said.exception


@cache
def everything_rendered() -> dict[str, Composed]:
    """Return what the command makes of every input, by name."""
    found = {}
    with spared() as written, TemporaryDirectory() as scratch:
        for name, given in renderings().items():
            folder = Path(scratch) / name
            folder.mkdir()
            try:
                call(given, folder)
            except Refused as refused:
                raise Refused(f"{name}: {refused}") from refused
            found[name] = written.pop()
    return found
