"""A word that no table has: the message is held with a task on the console, and never goes out as "unknown"."""

import shutil
from dataclasses import replace

import pytest
from bench_parts import example
from test_sending_pages import Desk

from coordinator.mapping.load import load
from coordinator.settings import shipped


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def without(bench, folder, table, word):
    """Let the service run on mappings whose table lacks a word."""
    shutil.copytree(shipped("mappings"), folder / "mappings")
    file = folder / "mappings" / "codes" / f"{table}.yaml"
    text = file.read_text()
    assert f'"{word}"' in text
    file.write_text(text.replace(f'"{word}"', '"another word"'))
    tools = replace(bench.parts.workshop, mappings=load(folder / "mappings"))
    bench.parts = replace(bench.parts, workshop=tools)
    bench.desk._parts = bench.parts


def test_a_value_without_a_row_is_a_task_on_the_console_that_names_the_table_and_not_the_value(bench, tmp_path):
    whole = bench.parts.workshop
    without(bench, tmp_path, "route", "intravenous")
    answer = bench.submit(example("session-outcome.bp-spike"))
    assert bench.prepare(answer) == []
    desk = Desk(bench, "sender")
    page = desk.get("/").text
    assert "mappings/codes/route.yaml" in page
    assert "no place in the exchange format" in page
    assert "intravenous" not in page
    assert bench.send_due() == 0
    assert all(not one.held for one in bench.channels.values())
    assert bench.broken() == []

    # Somebody adds the row, starts again, and says on the console that it was mended.
    bench.parts = replace(bench.parts, workshop=whole)
    bench.desk._parts = bench.parts
    assert "mappings/codes/route.yaml" not in desk.get("/").text
    done = desk.post(f"/events/{answer.event_ref}/answer", confirmed="yes", reason="added the row for the route")
    assert done.status_code == 303
    messages = bench.prepare(answer)
    assert {one.provider_id for one in messages} == {"pr-psych", "pr-pcp"}
    with bench.store.begin(write=False) as tx:
        stored = [(one[1], tx.document(one[0])[0].body) for m in messages for one in tx.documents(m.id)]
    charts = [body for role, body in stored if role == "fhir-chart"]
    assert charts
    assert all(b"Intravenous" in body for body in charts)
    assert all(b'"unknown"' not in body.replace(b'"asked-unknown"', b"") for body in charts)


def test_no_table_turns_a_word_into_unknown_unless_the_clinic_said_unknown(bench):
    for table in bench.parts.workshop.mappings.tables.values():
        for word, row in table.rows.items():
            codes = {one["code"] for one in row.codings}
            assert not codes & {"unknown", "UNK", "asked-unknown", "NI"} or word in ("unknown", "other"), (
                table.name,
                word,
            )
