"""`coordinator demo`: the whole service and pretend recipients in one process, telling a small story."""

import contextlib
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from coordinator.bootstrap import adopt
from coordinator.domain.delivery import State
from coordinator.domain.errors import Refused
from coordinator.flow.read_models import Actor, MessageFilter, MessageRow
from coordinator.observe.log import configure
from coordinator.sandbox import demo_people as people
from coordinator.sandbox import demo_report as report
from coordinator.sandbox.demo_stage import Stage, set_up
from coordinator.store.only_one import only_one

DEMO = Actor("staff", "demo")
SOURCE = "demo"
SETTLE_WITHIN_S = 240
RESTING = frozenset({State.ACKNOWLEDGED, State.HELD, State.DEAD, State.CANCELLED, State.IN_DOUBT})


@dataclass(frozen=True)
class Scene:
    """One event of the story, and what happens around it."""

    title: str
    event: dict[str, Any]
    before: Callable[[Stage], None] = lambda _: None
    after: Callable[[Stage], None] = lambda _: None


def scenes(today: date) -> list[Scene]:
    """Return the story, in order."""
    bakke = people.session(today, "sess-9001", "MRN-1002", "course-78", weight_kg="68", dose_mg="34")
    okonkwo = people.session(today, "sess-9002", "MRN-1003", "course-79", weight_kg="80", dose_mg="40")
    szabo = people.session(today, "sess-9003", "MRN-1004", "course-80", weight_kg="62", dose_mg="31")
    tran = people.session(today, "sess-9004", "MRN-1005", "course-81", weight_kg="70", dose_mg="35")
    wrong = people.session(today, "sess-9005", "MRN-1005", "course-81", weight_kg="70", dose_mg="35",
                           weigth={"value": "70", "unit": "kg"}, next_session_on="soon")  # fmt: skip
    return [
        Scene("a blood-pressure rise on a stimulant day", people.example("session-outcome.bp-spike", today)),
        Scene("a stimulant hold, asked of its prescriber", people.example("dose-change.stimulant-hold", today)),
        Scene("the clinic changes its own dose", people.example("dose-change.ketamine", today)),
        Scene("an esketamine session with a time nobody knew", people.example("session-outcome.esketamine", today)),
        Scene("a first session, by Direct and by fax", bakke),
        Scene("the same session, corrected after it was sent", people.amended(bakke), before=_wait_for("sess-9001")),
        Scene("a recipient without consent", okonkwo),
        Scene(
            "an EHR that is down, and a fax number that is somebody else's", szabo, before=_ehr_down, after=_ehr_back
        ),
        Scene("a practice that has only paper", tran),
        Scene("an event with mistakes in it", wrong),
    ]


def _wait_for(event_id: str) -> Callable[[Stage], None]:
    def wait(stage: Stage) -> None:
        until = time.monotonic() + SETTLE_WITHIN_S
        while time.monotonic() < until:
            rows = [row for row in _rows(stage) if row.event_id == event_id]
            if rows and all(row.state in RESTING for row in rows):
                return
            time.sleep(0.1)

    return wait


def _ehr_down(stage: Stage) -> None:
    if not any(row.event_id == "sess-9003" for row in _rows(stage)):
        stage.farm.ehr.go_down()


def _ehr_back(stage: Stage) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        mine = [row for row in _rows(stage) if row.event_id == "sess-9003" and row.channel == "fhir-rest"]
        if mine and (mine[0].attempts >= 2 or mine[0].state in RESTING):
            break
        time.sleep(0.1)
    stage.farm.ehr.come_back()


def _rows(stage: Stage) -> list[MessageRow]:
    return list(stage.service.desk.messages(MessageFilter(limit=500), DEMO))


@click.command()
@click.option("--once", is_flag=True, help="End after the table instead of staying up.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the table as data.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Folder of the demo's database and recipients; a second run goes on where the first was.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder of the letters as PDF.",
)
@click.option("--fresh", is_flag=True, help="Forget an earlier run first.")  # fmt: skip
def demo(once: bool, json_file: Path | None, data: Path, out: Path, fresh: bool) -> None:
    """Show the service at work on invented patients: everything in one process, nothing leaves this machine."""
    began = time.monotonic()
    if fresh:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    console = Console()
    rows: list[MessageRow] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it ends it as Ctrl-C does
    with (data / "demo.log").open("a", encoding="utf-8") as log, only_one(data):
        configure(stream=log)
        stage = set_up(data, *_ports(data))
        servers = _serve(stage)
        runner = stage.service.runner()
        try:
            link = _prepare(stage)
            runner.start()
            _play(stage, console)
            rows = _rows(stage)
            _letters(stage, rows, out)
            held = stage.service.desk.held_events(DEMO)
            report.show(console, list(reversed(rows)), list(held), stage.farm.counts())
            if json_file is not None:
                _json(stage, rows, json_file, time.monotonic() - began)
            url = stage.service.settings.console_url
            report.line(console, f"The letters are in {out}/.")
            report.line(console, f"The log, without patient data, is {data}/demo.log.")
            if not once:
                console.print(f"\nThe console: {url}\nSign in once with: {url}/sign-in/link/{link}")
                console.print("Ctrl-C ends the demo.")
                _stay()
        except KeyboardInterrupt:
            console.print("Stopping.")
        finally:
            runner.stop(10)
            for server in servers:
                server.should_exit = True
            stage.farm.stop()
    unsettled = [row for row in rows if row.state not in RESTING]
    if unsettled:
        raise click.ClickException(f"{len(unsettled)} messages were still moving after {SETTLE_WITHIN_S} s.")


def _ports(data: Path) -> tuple[int, int]:
    """Return (API, console) ports: those of the last run if they are free, else any free ones."""
    file = data / "demo-ports.json"
    wanted = json.loads(file.read_text()) if file.exists() else [8080, 8081]
    found = [_free(port) for port in wanted]
    file.write_text(json.dumps(found))
    return found[0], found[1]


def _free(port: int) -> int:
    for wanted in (port, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    return port


def _serve(stage: Stage) -> list[uvicorn.Server]:
    settings = stage.service.settings
    servers = []
    adopt(stage.service)
    for app, port in (
        ("coordinator.api.app:create", settings.port),
        ("coordinator.console.app:create", settings.console_port),
    ):
        config = uvicorn.Config(app, factory=True, host="127.0.0.1", port=port, log_config=None, access_log=False)
        config.load()  # here, not in the two threads at once: making pages changes what Python warns of meanwhile
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, name=f"web-{port}", daemon=True).start()
        servers.append(server)
    return servers


def _prepare(stage: Stage) -> str:
    """Load the clinic, seed the EHR with its patients, script the wrong number; return a one-time sign-in link."""
    today = stage.service.parts.clock.now().date()
    body = json.dumps(people.registry(stage.farm.addresses(), today), ensure_ascii=False).encode()
    written = stage.service.registry.write_whole(body, DEMO)
    if written.outcome == "refused":
        raise click.ClickException(f"The demo clinic was refused: {written.faults}")
    with stage.service.store.begin(write=False) as tx:
        for number in ("MRN-1001", "MRN-1004"):
            patient = tx.patient(tx.key("patient", number))
            if patient is not None:
                stage.farm.ehr.admit(patient, "pr-psych")
    stage.farm.fax.script(people.WRONG_NUMBER, "human")
    with contextlib.suppress(Refused):  # an earlier run added her
        stage.service.accounts.add(
            "demo",
            "Dana Reyes, NP (demo)",
            ("viewer", "sender", "clinician", "admin", "auditor"),
            licence="DEMO-000, no real licence",
        )
    return stage.service.accounts.make_link("demo")


def _play(stage: Stage, console: Console) -> None:
    """Submit the story and wait until every message rests, showing progress."""
    today = stage.service.parts.clock.now().date()
    story = scenes(today)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        events = progress.add_task("Events", total=len(story))
        messages = progress.add_task("Messages at rest", total=None)
        for scene in story:
            scene.before(stage)
            body = json.dumps(scene.event, ensure_ascii=False).encode()
            answer = stage.service.desk.submit(SOURCE, body)
            report.line(progress.console, f"{answer.outcome:>8}: {scene.title}")
            for pointer, message, _ in answer.faults:
                report.indented(progress.console, f"{pointer or '/'}: {message}", 10)
            for _, role, text in answer.questions:
                report.indented(progress.console, f"asks the {role}: {text}", 10)
            progress.advance(events)
            scene.after(stage)
        for resting, total in _settling(stage):
            progress.update(messages, completed=resting, total=total)


def _settling(stage: Stage) -> Iterator[tuple[int, int]]:
    """Yield (resting, total) until everything rests, or the time is up."""
    until = time.monotonic() + SETTLE_WITHIN_S
    while time.monotonic() < until:
        rows = _rows(stage)
        with stage.service.store.begin(write=False) as tx:
            waiting = tx.inbox_in(("received",))
        resting = sum(row.state in RESTING for row in rows)
        yield resting, max(len(rows), 1)
        if rows and resting == len(rows) and not waiting:
            return
        time.sleep(0.2)


def _letters(stage: Stage, rows: list[MessageRow], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for row in rows:
        detail = stage.service.desk.message(row.id, DEMO)
        pdfs = [document for document in detail.documents if document.role == "letter-pdf"]
        for number, document in enumerate(pdfs, 1):
            _, body, _ = stage.service.desk.document(document.id, DEMO)
            letter = "-".join(row.letters) + (f"-{number}" if number > 1 else "")
            (out / people.output_name(row.event_id, row.event_version, row.provider_id, letter)).write_bytes(body)


def _json(stage: Stage, rows: list[MessageRow], file: Path, seconds: float) -> None:
    listed = [
        {
            "id": row.id,
            "patient": row.patient_id,
            "recipient": row.provider_id,
            "letter": "+".join(row.letters) or row.title,
            "channel": row.channel,
            "state": row.state.value,
            "why": f"{row.why} {row.next_step}".strip(),
            "attempts": row.attempts,
        }
        for row in reversed(rows)
    ]
    held = [
        {
            "id": one.event_ref,
            "patient": one.patient_id,
            "recipient": None,
            "letter": one.event_type,
            "channel": None,
            "state": "held",
            "why": " ".join(text for _, _, text in one.questions) or one.cause,
            "attempts": 0,
        }
        for one in stage.service.desk.held_events(DEMO)
    ]
    made = {"messages": listed + held, "sandbox": stage.farm.counts(), "seconds": round(seconds, 1)}
    file.write_text(json.dumps(made, ensure_ascii=False, indent=2), encoding="utf-8")


def _stay() -> None:
    while True:
        time.sleep(3600)
