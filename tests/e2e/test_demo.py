"""The demo as a newcomer runs it, and killed at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pypdfium2
import pytest

from coordinator.sandbox.farm import Farm

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(900)]
AT_REST = {"acknowledged", "held", "dead", "in-doubt", "cancelled"}
PEOPLE = ("Núñez", "Zoë", "Bakke", "Okonkwo", "Szabó", "Tran", "MRN-100", "1988-03-07", "NS-55213")


def command(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "coordinator.cli",
        "demo",
        "--once",
        "--json",
        "out.json",
        "--data",
        "data",
        "--out",
        "out",
    ]


def run(folder: Path, timeout_s: float = 300) -> dict:
    done = subprocess.run(command(folder), cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def verify(folder: Path) -> None:
    environment = {**os.environ, "COORDINATOR_DATA_DIR": str(folder / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "coordinator.cli", "verify"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(folder)


def rows(answer, **wanted):
    return [one for one in answer["messages"] if all(one[name] == value for name, value in wanted.items())]


def test_every_message_arrives_or_waits_for_a_person_with_a_reason(undisturbed):
    _, answer = undisturbed
    assert answer["messages"]
    for one in answer["messages"]:
        assert one["state"] == "acknowledged" or (one["state"] in AT_REST and one["why"]), one


def test_the_demo_shows_the_point_of_the_product(undisturbed):
    _, answer = undisturbed
    by_channel = {one["channel"] for one in rows(answer, state="acknowledged")}
    assert by_channel >= {"fhir-rest", "direct", "fax"}
    assert rows(answer, patient="MRN-1001", recipient="pr-psych", letter="L4+L11", state="acknowledged")
    assert len([one for one in answer["messages"] if one["letter"].startswith("L9")]) == 2
    assert [one["state"] for one in rows(answer, patient="MRN-1003", recipient="pr-pcp")] == ["held"]
    back = rows(answer, patient="MRN-1004", recipient="pr-psych")[0]
    assert (back["state"], back["attempts"] > 1) == ("acknowledged", True)
    wrong = rows(answer, patient="MRN-1004", recipient="pr-moved")[0]
    assert (wrong["state"], "No fax machine answered" in wrong["why"]) == ("held", True)


def test_the_recipients_hold_what_we_say_they_hold(undisturbed):
    folder, answer = undisturbed
    with Farm(folder / "data" / "sandbox") as farm:
        assert farm.counts() == answer["sandbox"]
        assert farm.duplicates() == {"ehr": [], "hisp": [], "fax": []}
    said = {"fhir-rest": "ehr", "direct": "hisp", "fax": "fax"}
    for channel, name in said.items():
        assert len(rows(answer, channel=channel, state="acknowledged")) == answer["sandbox"][name]
    verify(folder)


def test_the_letters_open_and_hold_the_numbers_of_their_event(undisturbed):
    folder, _ = undisturbed
    texts = {}
    for file in (folder / "out").glob("*.pdf"):
        document = pypdfium2.PdfDocument(file)
        texts[file.name] = " ".join(page.get_textpage().get_text_range() for page in document)
        document.close()
    alert = texts["sess-8841-v1.pr-psych.L5.pdf"]
    for number in ("184/112", "134/84", "138/86", "+50/+28", "41 mg", "82 kg", "0.5 mg/kg", "118", "07:30"):
        assert number in alert.replace("\u00a0", " "), number
    assert "Peak 172" not in alert
    assert "0.6" in texts["dc-2001-v1.pr-psych.L3.pdf"]


def test_no_patient_in_the_log_or_in_a_file_name(undisturbed):
    folder, _ = undisturbed
    log = (folder / "data" / "demo.log").read_text()
    names = " ".join(str(one) for one in folder.rglob("*"))
    for one in PEOPLE:
        assert one not in log
        assert one not in names


def test_a_second_run_sends_nothing_again(undisturbed):
    folder, answer = undisturbed
    assert run(folder)["sandbox"] == answer["sandbox"]


@pytest.mark.parametrize("seed", range(int(os.environ.get("COORDINATOR_KILLS", "3"))))
def test_killed_at_any_moment_nothing_is_lost_and_nothing_is_sent_twice(undisturbed, tmp_path, seed):
    _, answer = undisturbed
    chance = random.Random(seed)
    for _ in range(4):
        log = (tmp_path / "killed.txt").open("a")
        process = subprocess.Popen(command(tmp_path), cwd=tmp_path, stdout=log, stderr=log)
        time.sleep(chance.uniform(1.5, 9.0))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        log.close()
    after = run(tmp_path)
    with Farm(tmp_path / "data" / "sandbox") as farm:
        assert farm.duplicates() == {"ehr": [], "hisp": [], "fax": []}
    verify(tmp_path)
    assert {(one["patient"], one["recipient"], one["letter"]) for one in after["messages"]} == {
        (one["patient"], one["recipient"], one["letter"]) for one in answer["messages"]
    }
    for one in after["messages"]:
        assert one["state"] == "acknowledged" or one["why"], one
    # What a person must settle may have arrived or not; everything else is there exactly once.
    doubtful = sum(one["state"] == "in-doubt" or one["why"].startswith("It may have") for one in after["messages"])
    for name, count in answer["sandbox"].items():
        assert count - doubtful <= after["sandbox"][name] <= count


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_it_in_the_middle_gets_a_word_and_an_end_in_order(tmp_path, by):
    staying = [one for one in command(tmp_path) if one != "--once"]  # or it may be over before the signal comes
    # Tests that were started in the background ignore Ctrl-C, and what they start would too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(staying, cwd=tmp_path, stdout=said, stderr=said)
    signal.signal(signal.SIGINT, before)
    log = tmp_path / "data" / "demo.log"
    ends = time.monotonic() + 120
    try:
        while "delivery attempted" not in (log.read_text() if log.exists() else ""):
            assert process.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < ends, "it sent nothing"
            time.sleep(0.1)
        process.send_signal(by)
        assert process.wait(60) == 0, (tmp_path / "said").read_text()
    finally:
        process.kill()
        process.wait()
    assert "Stopping." in (tmp_path / "said").read_text()
    verify(tmp_path)
