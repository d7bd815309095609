"""verify and check-mappings: proof at a terminal."""

import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from coordinator.cli.history import earlier_contents
from coordinator.cli.reading import existing
from coordinator.mapping.check import CheckReport, approve, unraised
from coordinator.mapping.check import check_mappings as run_check
from coordinator.planning.rule_check import rule_problems
from coordinator.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True)
def verify(as_json: bool) -> None:
    """Check the six promises against the database; name each row that breaks one. Exit code 1 if any."""
    findings = existing().verify()
    if as_json:
        click.echo(orjson.dumps([asdict(one) for one in findings], option=orjson.OPT_INDENT_2).decode())
    for one in [] if as_json else findings:
        click.echo(f"{one.promise}: {one.table} {one.row}: {one.what}")
    if findings:
        sys.exit(1)
    if not as_json:
        click.echo("All six promises hold.")


@click.command("check-mappings")
@click.option("--mappings", type=click.Path(path_type=Path, file_okay=False), help="Folder to check.")
@click.option("--approve", "approving", is_flag=True, help="Make what the files make now the approved resources.")
def check_mappings(mappings: Path | None, approving: bool) -> None:
    """Check the mapping files, their versions against git, and show what they make of the sample events."""
    folder = mappings or Settings().mappings_dir
    report = run_check(folder)
    click.echo(str(report))
    if approving:
        report = _approved(folder, report)
    elif report.differs:
        click.echo(
            "This differs from what was approved. When every line is what you meant: "
            "coordinator check-mappings --approve, and commit tests/golden/mapping with the files."
        )
    shipped_signatures = folder / "rules" / "signatures.demonstration.yaml"
    rules = rule_problems(folder, shipped_signatures if shipped_signatures.is_file() else None)
    click.echo("The rules and instruments can be used." if not rules else f"{len(rules)} problems of the rules.")
    for one in rules:
        click.echo(f"    {one}")
    earlier = earlier_contents(folder)
    if earlier is None:
        click.echo("There is no git history here, so no version was compared with an earlier one.")
    faults = unraised(folder, earlier or {})
    for one in faults:
        click.echo(one)
    if faults or rules or not report.ok:
        sys.exit(1)


def _approved(folder: Path, report: CheckReport) -> CheckReport:
    """Approve what was shown, unless something has to be mended first; return the report as it is then."""
    if report.problems or any(one.held for one in report.cases):
        click.echo("Nothing was approved: mend what is named above first.")
        return report
    for file in approve(folder):
        click.echo(f"Approved: {file.name}")
    return run_check(folder)
