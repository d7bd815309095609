"""A font that could not be opened for a moment is opened later; no letter is ever printed without it."""

import subprocess
import sys

HANDLES_ARE_OUT_DURING_THE_FIRST_PRINT = """
import resource
from weasyprint import HTML
from coordinator.letters.pdf import PdfEngine, pages_text
from coordinator.settings import shipped

engine = PdfEngine(shipped("templates") / "layout")
html = '<html lang="en"><body style="font-family: Letter Sans"><p>Dose 20 mg</p><b>bold</b></body></html>'
whole, print_it = resource.getrlimit(resource.RLIMIT_NOFILE), HTML.write_pdf
import pypdfium2  # reads its library
HTML(string="<p>warm").write_pdf()  # everything that Python itself reads, with another font

def print_without_handles(self, *arguments, **named):
    HTML.write_pdf = print_it
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, whole[1]))
    try:
        return print_it(self, *arguments, **named)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, whole)

HTML.write_pdf = print_without_handles
try:
    engine.render(html)
    print("printed")
except OSError as lack:
    print("lacks", lack.errno)
print(pages_text(engine.render(html))[0].split())
"""


def test_a_moment_without_file_handles_at_the_first_print_costs_no_later_letter():
    done = subprocess.run(
        [sys.executable, "-c", HANDLES_ARE_OUT_DURING_THE_FIRST_PRINT],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["lacks 24", "['Dose', '20', 'mg', 'bold']"], done.stderr
