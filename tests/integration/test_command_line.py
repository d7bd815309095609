"""The verbs at a terminal, as somebody types them."""

import base64
import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest
from bench_parts import EXAMPLES, example
from click.testing import CliRunner

from coordinator import bootstrap
from coordinator.cli import main
from coordinator.domain.delivery import State
from coordinator.flow.addresses import address_key
from coordinator.flow.rows import EndpointHealth
from coordinator.flow.watch import folder_lock
from coordinator.settings import shipped

SIGNATURES = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
CLINIC = str(EXAMPLES / "clinic.json")
SPIKE = str(EXAMPLES / "session-outcome.bp-spike.json")


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COORDINATOR_RULE_SIGNATURES", str(SIGNATURES))
    monkeypatch.setenv("COORDINATOR_ACCEPT_DEMONSTRATION_RULES", "true")
    monkeypatch.setattr(bootstrap, "_ADOPTED", [])
    runner = CliRunner()

    def run(*words, given=None):
        return runner.invoke(main, [str(one) for one in words], input=given)

    yield run
    for one in bootstrap._ADOPTED:
        one.store.engine.dispose()


def test_render_writes_the_plan_the_letters_and_every_level(terminal, tmp_path):
    done = terminal("render", SPIKE, "--registry", CLINIC, "--out", "out")
    assert done.exit_code == 0, done.output
    names = {one.name for one in (tmp_path / "out").iterdir()}
    wanted = {f"{who}.L5.{form}" for who in ("pr-psych", "pr-pcp") for form in ("html", "txt", "pdf")}
    wanted |= {f"{who}.{level}.json" for who in ("pr-psych", "pr-pcp") for level in ("chart", "document", "message")}
    assert names == wanted | {"plan.json"}
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    fired = {one["id"]: one for one in plan["rules"] if one["fired"]}
    assert set(fired) == {"R2", "R3"}
    assert fired["R3"]["priority"] == "urgent"
    assert (fired["R3"]["inputs"]["peak_systolic"], fired["R3"]["inputs"]["peak_diastolic"]) == (184, 112)
    assert [one["priority"] for one in plan["recipients"]] == ["urgent", "urgent"]
    assert all(one["requests"] and one["requests"][0]["due_at"] for one in plan["recipients"])
    assert not any(one.name.endswith((".sqlite", ".key")) for one in tmp_path.rglob("*"))


def test_render_with_an_earlier_version_shows_the_correction(terminal, tmp_path):
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "another person's cuff"}
    event["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    Path("second.json").write_text(json.dumps(event))
    other = str(EXAMPLES / "dose-change.stimulant-hold.json")
    done = terminal("render", "second.json", "--registry", CLINIC, "--out", "out", "--history", SPIKE, other)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "pr-psych.L9.txt").read_text()
    assert "134/84" in text
    assert "124/78" in text


def test_render_names_every_fault_of_a_wrong_event(terminal):
    Path("wrong.json").write_text(json.dumps(example("session-outcome.bp-spike") | {"weigth": 1, "patient": "nobody"}))
    done = terminal("render", "wrong.json", "--registry", CLINIC, "--out", "out")
    assert done.exit_code == 1
    assert "/weigth" in done.output
    assert not Path("out").exists()


def test_submit_reports_a_bad_line_with_its_number_and_goes_on(terminal):
    assert terminal("registry", "import", CLINIC).exit_code == 0
    lines = [json.dumps(example("session-outcome.bp-spike")), "{broken", json.dumps(example("dose-change.ketamine"))]
    done = terminal("submit", "-", given="\n".join(lines))
    assert done.exit_code == 1
    assert "line 2: refused" in done.output
    assert "2 accepted, 1 refused" in done.output
    again = terminal("submit", SPIKE, "--json")
    assert again.exit_code == 0
    assert json.loads(again.output.splitlines()[0])["outcome"] == "replay"


def test_submit_takes_an_array_and_csv(terminal):
    terminal("registry", "import", CLINIC)
    Path("many.json").write_text(json.dumps([example("session-outcome.bp-spike"), example("dose-change.ketamine")]))
    assert "2 accepted" in terminal("submit", "many.json").output
    Path("rows.csv").write_text("id,version\nsess-1,1\n")
    done = terminal("submit", "rows.csv")
    assert done.exit_code == 1
    assert "row " in done.output


def test_a_file_that_is_not_there_or_in_another_encoding_is_told_in_words(terminal):
    terminal("registry", "import", CLINIC)
    for words in (("submit", "missing.json"), ("registry", "import", "missing.json")):
        done = terminal(*words)
        assert (done.exit_code, "does not exist" in done.output) == (2, True)
    Path("old.csv").write_bytes("id,patient\ns-1,Müller\n".encode("latin-1"))
    done = terminal("submit", "old.csv")
    assert (done.exit_code, "UTF-8" in done.output) == (1, True)


@pytest.mark.parametrize("words", ["serve", "worker", "beat", "migrate", "holds list", "submit", "check-mappings"])
def test_a_wrong_setting_is_told_in_one_sentence_and_its_value_is_not_shown(terminal, words):
    Path(".env").write_text("COORDINATOR_DATABASE_ULR=postgresql+psycopg://coord:HUNTER2@db/c\n")
    done = terminal(*words.split())
    assert done.exit_code == 1
    assert done.output == (
        "Error: The settings are not right: there is no setting COORDINATOR_DATABASE_ULR; did you mean "
        "COORDINATOR_DATABASE_URL?\n"
    )


@pytest.mark.parametrize("words", ["serve", "worker", "beat", "migrate", "holds list", "submit"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "prod"), ("SENDERS", "0"), ("DATA_DIR", "/dev/null/x"), ("SMART_MORE_KEYS", "HUNTER2"),
        ("DATABASE_URL_FILE", "missing"), ("CA_FILE", "missing"), ("DATABASE_URL", "mysql://coord:HUNTER2@db/c"),
    ],
)  # fmt: skip
def test_each_verb_names_the_setting_that_is_wrong(terminal, monkeypatch, words, name, value):
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "memory://")
    monkeypatch.setenv(f"COORDINATOR_{name}", value)
    done = terminal(*words.split())
    assert done.exit_code == 1
    assert done.output.startswith("Error: The settings are not right: COORDINATOR_" + name)
    assert "HUNTER2" not in done.output


def test_a_database_that_is_away_is_told_in_words(terminal, monkeypatch):
    monkeypatch.setenv("COORDINATOR_DATABASE_URL", "postgresql+psycopg://somebody@127.0.0.1:9/nothing")
    done = terminal("submit", SPIKE)
    assert (done.exit_code, done.output.count("database is away")) == (1, 1)
    assert "somebody" not in done.output


def test_an_endpoint_without_an_agreed_test_patient_is_still_checked(terminal):
    terminal("registry", "import", CLINIC)
    done = terminal("endpoints", "check", "ep-pcp-fax", "--test-message")
    assert done.exit_code == 1
    assert "Verified on" in done.output
    assert "No test patient was agreed" in done.output


def test_messages_are_listed_shown_and_withdrawn(terminal):
    from coordinator.flow.prepare import prepare

    terminal("registry", "import", CLINIC)
    terminal("submit", SPIKE)
    made = bootstrap.service()
    with made.store.begin(write=False) as tx:
        waiting = [one.id for one in tx.inbox_in(("received",))]
    prepare(made.parts, waiting[0])
    listed = json.loads(terminal("messages", "list", "--json").output)
    assert {one["provider_id"] for one in listed} == {"pr-psych", "pr-pcp"}
    assert "Núñez" in terminal("messages", "list").output
    shown = terminal("messages", "show", listed[0]["id"])
    assert "Rule R3 (urgent)" in shown.output
    refused = terminal("messages", "resend", listed[0]["id"], "--reason", "hurry up")
    assert refused.exit_code == 1
    assert "on its way" in refused.output
    assert terminal("messages", "cancel", listed[0]["id"], "--reason", "wrong patient").exit_code == 0
    assert terminal("messages", "show", "nothing").exit_code == 1
    short = listed[1]["id"][:8]
    assert short in terminal("messages", "list").output
    assert terminal("messages", "show", short).output == terminal("messages", "show", listed[1]["id"]).output
    assert terminal("messages", "show", listed[1]["reference"]).exit_code == 0
    assert "More than one message" in terminal("messages", "show", "Núñez-Đặng").output
    assert terminal("messages", "disclosures", "MRN-1001", "--json").output == "[]\n"
    assert terminal("verify").output == "All six promises hold.\n"


def prepared(terminal, path=SPIKE):
    """Take in the clinic and one event, write its letters, and return the service and its messages by provider."""
    from coordinator.flow.prepare import prepare

    terminal("registry", "import", CLINIC)
    terminal("submit", path)
    made = bootstrap.service()
    with made.store.begin(write=False) as tx:
        waiting = [one.id for one in tx.inbox_in(("received",))]
    prepare(made.parts, waiting[0])
    return made, {one["provider_id"]: one for one in json.loads(terminal("messages", "list", "--json").output)}


def held(made, row, cause="fax.refused"):
    """Give the message's last delivery to a person."""
    with made.store.begin() as tx:
        tx.move_delivery(tx.deliveries(row["id"])[-1].id, State.HELD, at=made.parts.clock.now(), cause=cause)


def closed(made, row):
    """Close the number of the message's fax for everybody: no machine answers there."""
    number = example("clinic")["providers"][1]["endpoints"][0]["address"]
    with made.store.begin() as tx:
        now, endpoint_id = made.parts.clock.now(), tx.deliveries(row["id"])[-1].endpoint_id
        key = address_key(tx, number)
        shut = EndpointHealth(endpoint_id, suspended_at=now, suspended_address_key=key, cause="fax.no-fax-tone")
        tx.put_health(shut, now)


@pytest.mark.parametrize("verb", ["cancel", "resend"])
def test_no_name_and_no_event_id_is_taken_for_the_message_that_an_act_is_about(terminal, verb):
    _, listed = prepared(terminal)
    row = listed["pr-pcp"]
    surname = row["recipient"].partition(",")[0].split()[-1]
    assert terminal("messages", "show", surname).exit_code == 0  # one message: to look at it is harmless
    short = row["id"][:8]
    for said in (surname, row["patient_name"], row["event_id"], short[:7], row["reference"][:13], f"{short}%"):
        done = terminal("messages", verb, said, "--reason", "a letter to somebody")
        assert (done.exit_code, "nothing was done" in done.output) == (1, True), said
    assert {one["state"] for one in json.loads(terminal("messages", "list", "--json").output)} == {"pending"}


@pytest.mark.parametrize("form", ["id", "short", "reference", "spaced"])
def test_a_withdrawal_takes_an_id_or_the_reference_and_names_the_letter(terminal, form):
    _, listed = prepared(terminal)
    row = listed["pr-pcp"]
    said = {
        "id": row["id"],
        "short": row["id"][:8].upper(),
        "reference": row["reference"],
        "spaced": row["reference"].replace("-", " "),
    }[form]
    done = terminal("messages", "cancel", said, "--reason", "the wrong office")
    assert done.exit_code == 0, done.output
    assert done.output == f"Withdrawn: {row['title']} for {row['recipient']}, reference {row['reference']}.\n"
    shown = terminal("messages", "show", said).output
    assert "A person withdrew this message before it was sent." in shown
    assert re.search(r"^Withdrawn by terminal:\S+ at .* UTC: the wrong office$", shown, re.MULTILINE)
    left = {one["id"]: one["state"] for one in json.loads(terminal("messages", "list", "--json").output)}
    assert left == {row["id"]: "cancelled", listed["pr-psych"]["id"]: "pending"}


def test_a_resend_of_what_is_held_or_on_paper_only_does_not_say_that_it_is_on_its_way(terminal):
    made, listed = prepared(terminal)
    row = listed["pr-pcp"]
    held(made, row)
    terminal("holds", "place", "channel:fax", "--reason", "the line is down")
    done = terminal("messages", "resend", row["id"][:8], "--reason", "they ask for it")
    assert done.exit_code == 0, done.output
    assert f"of {row['title']} for {row['recipient']}, reference {row['reference']}. It waits behind" in done.output
    terminal("holds", "place", "everything", "--reason", "a bad release")
    assert (
        "0 go on. 1 still waits, behind what else is held: everything."
        in terminal("holds", "release", "channel:fax", "--reason", "it is back").output
    )
    terminal("holds", "release", "everything", "--reason", "it is back")
    held(made, row)
    closed(made, row)
    done = terminal("messages", "resend", row["id"][:8], "--reason", "they ask for it")
    assert "It goes by no channel: it is to be printed and handed over." in done.output
    assert "on its way" not in done.output


def test_what_left_about_a_patient_is_listed_and_which_of_it_was_part2(terminal):
    from coordinator.flow.prepare import prepare

    clinic = example("clinic")
    says = {"signed_on": "2026-10-01", "recipients": "my treating providers", "paper": "P2-7", "purpose": "treatment"}
    clinic["patients"][0]["consents"][1] |= {"part2": says}
    Path("clinic.json").write_text(json.dumps(clinic))
    Path("spike.json").write_text(json.dumps(example("session-outcome.bp-spike") | {"part2": True}))
    terminal("registry", "import", "clinic.json")
    terminal("submit", "spike.json")
    made = bootstrap.service()
    with made.store.begin(write=False) as tx:
        waiting = [one.id for one in tx.inbox_in(("received",))]
    prepare(made.parts, waiting[0])
    listed = {one["provider_id"]: one for one in json.loads(terminal("messages", "list", "--json").output)}
    assert listed["pr-psych"]["cause"] == "consent.part2-no-consent"
    assert "42 CFR Part 2" in terminal("messages", "show", listed["pr-pcp"]["id"]).output
    with made.store.begin() as tx:
        now = made.parts.clock.now()
        (row,) = tx.claim_due("w", now, now, 1, shut=(), per_endpoint=1)
        assert row.id == listed["pr-pcp"]["delivery_id"]
        tx.open_attempt(row, made.parts.dice.uuid(), "w", made.parts.clock.now(), "cn-2", 1)
        tx.mark_on_wire(row.id, row.fence, made.parts.clock.now())
    (one,) = json.loads(terminal("messages", "disclosures", "MRN-1001", "--json").output)
    assert (one["part2"], one["consent"], one["channel"]) == (True, "cn-2 version 1", "fax")
    assert one["address"] == clinic["providers"][1]["endpoints"][0]["address"]
    told = terminal("messages", "disclosures", "MRN-1001").output
    assert "Part 2, by consent cn-2 version 1; may have arrived" in told
    assert listed["pr-pcp"]["reference"] in told
    assert terminal("messages", "disclosures", "MRN-1001", "--ordinary", "--json").output == "[]\n"


def test_another_fax_machine_is_listed_and_confirmed_at_a_terminal(terminal):
    from coordinator.flow.station_rows import StationRow

    terminal("migrate")
    assert terminal("registry", "import", CLINIC).exit_code == 0
    assert "its machine" not in terminal("endpoints", "list").output
    made, address = bootstrap.service(), example("clinic")["providers"][1]["endpoints"][0]["address"]
    now = made.parts.clock.now()
    with made.store.begin() as tx:
        key = address_key(tx, address)
        tx.add_station(StationRow("ep-pcp-fax", key, ("[NORTH] CLINIC",), now, "SOUTH BAKERY", now, "m-1"))
    shown = " ".join(terminal("endpoints", "list").output.split())
    for one in ("its machine:", "[NORTH]", "ANOTHER MACHINE", "SOUTH", "BAKERY", "stranger"):
        assert one in shown
    (fax,) = [one for one in json.loads(terminal("endpoints", "list", "--json").output) if one["id"] == "ep-pcp-fax"]
    assert (fax["usable"], fax["stations"]) == (True, ["[NORTH] CLINIC"])
    assert fax["other_station"]["calls_itself"] == "SOUTH BAKERY"
    for wrong, why in (
        (("ep-pcp-fax", "WEST GARAGE"), "not what the machine called itself last"),
        (("ep-nobodys", "SOUTH BAKERY"), "No provider has an endpoint of that id"),
    ):
        refused = terminal("endpoints", "confirm-station", *wrong)
        assert (refused.exit_code, why in refused.output) == (1, True)
    done = terminal("endpoints", "confirm-station", "ep-pcp-fax", "south bakery")
    assert (done.exit_code, done.output.startswith("Confirmed.")) == (0, True)
    again = terminal("endpoints", "confirm-station", "ep-pcp-fax", "SOUTH BAKERY")
    assert (again.exit_code, "it is settled" in again.output) == (1, True)
    assert "ANOTHER MACHINE" not in terminal("endpoints", "list").output
    with made.store.begin(write=False) as tx:
        (line,) = [one for one in tx.audit_of(["ep-pcp-fax"]) if one.action == "machine confirmed as theirs"]
    assert line.actor.startswith("staff terminal:")


def test_verify_without_a_database_says_what_to_do(terminal):
    done = terminal("verify")
    assert done.exit_code == 1
    assert "coordinator serve" in done.output


def test_check_mappings_passes_on_what_is_shipped(terminal):
    done = terminal("check-mappings")
    assert done.exit_code == 0, done.output


def test_holds_the_restore_hold_and_a_resend_job_at_a_terminal(terminal):
    terminal("migrate")
    assert terminal("registry", "import", CLINIC).exit_code == 0
    assert "There is no such endpoint" in terminal("holds", "place", "endpoint:x", "--reason", "a test").output
    done = terminal("holds", "place", "channel:fax", "--reason", "the line is down")
    assert (done.exit_code, done.output) == (0, "Held. 0 waiting behind it.\n")
    (held,) = json.loads(terminal("holds", "list", "--json").output)
    assert (held["scope"], held["reason"], held["waiting"]) == ("channel:fax", "the line is down", 0)
    assert "the line is down" in terminal("holds", "list").output
    assert "0 go on" in terminal("holds", "release", "channel:fax", "--reason", "it is back").output
    assert terminal("restore-hold", "status").output == "No restore hold.\n"
    assert terminal("restore-hold", "on", "--reason", "copy of last night").output == "Everything is held.\n"
    assert "copy of last night" in terminal("restore-hold", "status").output
    assert "Still to be asked: 0" in terminal("restore-hold", "status").output
    assert terminal("restore-hold", "off", "--reason", "x").exit_code == 1
    assert "0 go on" in terminal("restore-hold", "off", "--reason", "all was looked at").output
    none = terminal("resend", "plan", "--endpoint", "ep-pcp-fax", "--reason", "they lost a day")
    assert (none.exit_code, "nothing to send again" in none.output) == (1, True)
    assert "What has arrived is taken only where that is asked for" in none.output
    assert terminal("resend", "list").output == ""
    assert "no such resend job" in terminal("resend", "start", "nothing").output


def test_a_clinicians_account_needs_a_licence(terminal):
    refused = terminal("accounts", "add", "doc", "--role", "clinician")
    assert (refused.exit_code, "needs a licence" in refused.output) == (1, True)
    made = terminal("accounts", "add", "doc", "--role", "clinician", "--licence", "MD 55012, Minnesota")
    assert made.exit_code == 0
    assert "/sign-in/link/" in made.stdout
    assert "added in the database in data/; the link works where `coordinator serve` runs" in made.stderr


def test_a_sources_tokens_are_listed_and_taken_back_one_by_one_or_all(terminal):
    first = terminal("sources", "add", "ops1")
    assert "ops1 has this one token" in first.stderr
    second = terminal("sources", "add", "ops1", "--scope", "messages:act")
    assert "ops1 has 2 tokens" in second.stderr
    terminal("sources", "add", "other")
    tokens = [one.stdout.strip() for one in (first, second)]
    listed = terminal("sources", "list").output
    assert "ops1  2 tokens" in listed
    assert not any(one in listed for one in tokens)
    lines = [line.split() for line in listed.splitlines() if line.startswith(" ")]
    assert lines[0][-2:] == ["events:write", "messages:read"]
    assert lines[1][-1] == "messages:act"
    find = bootstrap.service().accounts.sources.find
    done = terminal("sources", "revoke", "ops1", "--token", lines[0][0])
    assert done.output == "1 token of ops1 revoked; 1 left in force.\n"
    assert [find(one) is None for one in tokens] == [True, False]
    assert terminal("sources", "revoke", "ops1").output == "1 token of ops1 revoked; 0 left in force.\n"
    assert find(tokens[1]) is None
    assert "other  1 token\n" in terminal("sources", "list").output
    assert "ops1" not in terminal("sources", "list").output
    again = terminal("sources", "revoke", "ops1")
    assert (again.exit_code, "ops1 has no token in force" in again.output) == (1, True)
    assert "no such token" in terminal("sources", "revoke", "other", "--token", "00000000").output
    assert terminal("sources", "revoke", "other", "--token", "").exit_code == 2
    lines = sqlite3.connect("data/coordinator.sqlite").execute(
        "SELECT actor_kind, code FROM audit WHERE action = 'source token revoked'"
    )
    assert lines.fetchall() == [("staff", "ops1")] * 2
    assert terminal("verify").exit_code == 0


@pytest.fixture
def dropped(terminal, tmp_path):
    """Return a watched folder with one good file in it."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "spike.json").write_bytes(Path(SPIKE).read_bytes())
    return folder


def test_a_good_file_stays_while_the_service_has_no_registry_and_is_taken_afterwards(terminal, dropped):
    done = terminal("watch", dropped, "--once", "--every", "0.1")
    assert done.exit_code == 1
    assert done.output.count("no registry yet") == 1
    assert "(into the database in data/)" in done.output
    assert (dropped / "spike.json").exists()
    assert list((dropped / "refused").iterdir()) == []
    terminal("registry", "import", CLINIC)
    assert terminal("watch", dropped, "--once", "--every", "0.1").exit_code == 0
    assert (dropped / "done" / "spike.json").exists()


def test_a_second_watcher_is_told_of_the_first_and_not_of_settings(terminal, dropped):
    with folder_lock(dropped):
        done = terminal("watch", dropped, "--once")
    assert done.exit_code == 1
    assert "Error: Another process watches this folder already; end it, or watch another folder." in done.output
    assert "settings" not in done.output


def test_while_the_registry_is_missing_it_is_told_once_however_often_the_folder_is_looked_at(terminal, capsys):
    from coordinator.cli.watching import Missing

    terminal("migrate")
    made = bootstrap.service()
    missing = Missing(made)
    assert [missing.tell(), missing.tell()] == [True, True]
    assert capsys.readouterr().err.count("no registry yet") == 1


def test_beside_the_demo_the_folder_is_taken_into_the_demos_database(terminal, dropped, monkeypatch):
    monkeypatch.setenv("COORDINATOR_DATA_DIR", "demo-data")
    terminal("registry", "import", CLINIC)
    monkeypatch.delenv("COORDINATOR_DATA_DIR")
    monkeypatch.setattr(bootstrap, "_ADOPTED", [])
    done = terminal("watch", dropped, "--once", "--every", "0.1")
    assert (done.exit_code, "with the demo's database" in done.output) == (0, True)
    assert not Path("data").exists()


def test_a_database_that_is_older_than_the_mark_is_held_at_the_start(terminal, tmp_path):
    terminal("migrate")
    assert terminal("registry", "import", CLINIC).exit_code == 0
    database = Path("data/coordinator.sqlite")
    bootstrap._ADOPTED[0].look_for_restore()
    bootstrap._ADOPTED[0].store.engine.dispose()
    bootstrap._ADOPTED.clear()
    for one in Path("data").glob("coordinator.sqlite*"):
        one.unlink()
    assert not database.exists()
    terminal("migrate")
    assert "was restored, or replaced" in terminal("restore-hold", "status").output


def test_the_keys_are_shown_and_sealed_anew_once_every_process_was_started_again(terminal):
    terminal("migrate")
    assert terminal("registry", "import", CLINIC).exit_code == 0
    assert "seals what is written now; makes the look-ups" in terminal("keys", "status").output
    bootstrap._ADOPTED[0].store.engine.dispose()
    bootstrap._ADOPTED.clear()
    with Path("data/field.key").open("a", encoding="ascii") as file:
        file.write(f"k2 {base64.b64encode(b'n' * 32).decode()}\n")
    assert "coordinator keys reseal --restarted" in terminal("keys", "status").output
    refused = terminal("keys", "reseal")
    assert (refused.exit_code, "Start every one again" in refused.output) == (2, True)
    done = terminal("keys", "reseal", "--restarted")
    assert done.exit_code == 0
    assert "every stored value is under the newest key" in done.output
    assert "This key stays" in terminal("keys", "forget", "k1").output


@pytest.mark.parametrize("command", [["migrate"], ["verify"], ["registry", "import", CLINIC]])
def test_a_database_of_a_newer_version_is_named_and_not_touched(terminal, command):
    terminal("migrate")
    with contextlib.closing(sqlite3.connect("data/coordinator.sqlite")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    done = terminal(*command)
    assert done.exit_code == 1
    assert "a newer version has migrated this database" in done.output
    assert "coordinator migrate" not in done.output
