"""Sockets are off; a test marked `loopback` or `servers` may open them on this machine, and nowhere else.

A page that is asked for again and again is drawn once in a run, except for the tests that are about drawing.
"""

import hashlib
import os
import threading
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts

from coordinator.letters.pdf import PdfEngine


def pytest_runtest_setup(item: pytest.Item) -> None:
    DRAWN.keeps = item.path.name not in ABOUT_DRAWING
    if item.get_closest_marker("loopback") or item.get_closest_marker("servers"):
        enable_socket()
        socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)


class DrawnOnce:
    """The PDF engine, which draws each page of the shipped layout once in a run and then gives the same bytes again.

    Most of the time of the tests went into drawing the same few hundred letters thousands of times. That the same HTML
    gives the same bytes is tested where nothing is kept.
    """

    folder: Path
    keeps = False

    def __init__(self) -> None:
        draw = PdfEngine.render
        PdfEngine.render = lambda engine, html: self._kept(engine, html) if self._may(engine) else draw(engine, html)
        self._draw = draw

    def _may(self, engine: PdfEngine) -> bool:
        return self.keeps and engine._layout == LAYOUT

    def _kept(self, engine: PdfEngine, html: str) -> bytes:
        file = self.folder / hashlib.sha256(html.encode()).hexdigest()
        if not file.exists():
            begun = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            begun.write_bytes(self._draw(engine, html))
            begun.rename(file)
        return file.read_bytes()


LAYOUT = Path(__file__).parents[1] / "templates" / "layout"
ABOUT_DRAWING = ("test_pdf.py", "test_fonts_are_proven.py", "test_prepare_together.py", "test_canary.py")
DRAWN = DrawnOnce()


@pytest.fixture(scope="session", autouse=True)
def _drawn_by_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The folder of what was drawn: the run's own, and one for all its processes."""
    own = tmp_path_factory.getbasetemp()
    DRAWN.folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "drawn"
    DRAWN.folder.mkdir(exist_ok=True)


SHARED = {"peers": "peers", "faults": "broker", "e2e": "broker", "conformance": "conformance"}
"""Folders whose tests share one server, so that they stay on one worker: the mail server's box, the broker's queue.

pytest-xdist 3.8.0 sees no groups under pytest 9.2 (it writes a name that pytest no longer reads), so until it does, the
suites are shared out by file, and files of one folder may meet at a server.
"""

PROCESSES = ("test_kill_matrix.py", "test_outages.py", "test_disorder.py", "test_recipients.py")
"""Fault tests with processes and servers of their own, which they stop: they run by themselves (make faults)."""


LONGEST = ("e2e", "letters", "faults")
"""Folders whose files take minutes: begun first, so that no worker has one of them left when the others are done.

Together with --no-loadscope-reorder, or pytest-xdist begins with the files that have the most tests.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, part in enumerate(LONGEST) if part in item.path.parts), len(LONGEST)))
    for item in items:
        group = next((SHARED[part] for part in item.path.parts if part in SHARED), None)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        if "fax" in item.path.parts:
            item.add_marker(pytest.mark.fax)
        if item.path.parent.name == "faults" and item.path.name in PROCESSES:
            item.add_marker(pytest.mark.faults)
