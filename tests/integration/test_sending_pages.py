"""The console's and the API's side of holds, restores, jobs, test messages, answers by telephone and incidents."""

import json
from dataclasses import replace
from html import unescape
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace

import pytest
from bench_parts import STAFF, example, of_patients
from link_parts import TestClient
from test_answers import PAGE
from test_endpoint_test import agree
from test_resend_jobs import failed, run

from coordinator.api import sending as api_sending
from coordinator.console.access import form_token
from coordinator.console.app import build
from coordinator.domain.delivery import State
from coordinator.domain.errors import Permanent
from coordinator.flow import holds
from coordinator.flow.addresses import approve
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.endpoint_checks import check_endpoint, list_endpoints
from coordinator.flow.endpoint_test import send_test
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.sending_desk import StaffSending
from coordinator.flow.track import take_in
from coordinator.security.accounts import Accounts
from coordinator.security.passwords import Passwords
from coordinator.store.accounts import SqlAccountStore

CONSOLE = "http://127.0.0.1:8081"


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


class Desk:
    """The console in a browser in which one person is signed in."""

    def __init__(self, bench, *roles):
        accounts = Accounts(
            SqlAccountStore(bench.store.engine), bench.clock, bench.dice, passwords=Passwords(memory_kib=64, passes=1)
        )
        accounts.add("rae", "Rae Okafor", roles, licence="MD 55012")
        self.session = accounts.sign_in_by_link(accounts.make_link("rae"), address="127.0.0.1").token
        parts = bench.parts
        self.service = SimpleNamespace(
            desk=bench.desk,
            registry=bench.registry,
            accounts=accounts,
            answers=StaffAnswers(parts),
            sending=StaffSending(parts),
            endpoints=lambda: list_endpoints(parts),
            check_endpoint=lambda name, actor: check_endpoint(parts, {}, name, actor),
            test_endpoint=lambda name, actor: send_test(parts, name, actor),
            approve_address=lambda name, address, actor: approve(parts, name, address, actor),
            settings=SimpleNamespace(console_url=CONSOLE, environment="development"),
        )
        app = build(self.service, now=bench.clock.now, answers_service=self.service, sending_service=self.service)
        self.web = TestClient(app, base_url=CONSOLE, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})
        self.web.cookies.set("coordinator_session", self.session)

    def get(self, place):
        return self.web.get(place)

    def post(self, place, *, files=None, **fields):
        return self.web.post(place, data={"csrf": form_token(self.session), **fields}, files=files)


@pytest.fixture
def desk(bench):
    return Desk(bench, "sender")


def test_a_hold_stands_on_every_page_with_who_why_since_when_and_how_many(bench, desk):
    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-psych"].id)[0]
    done = desk.post("/sending/hold", scope=f"endpoint:{row.endpoint_id}", reason="their server is being moved")
    assert (done.status_code, done.headers["location"]) == (303, "/sending?done=held")
    page = desk.get("/sending").text
    for one in ("1 message waiting", "by rae", "their server is being moved"):
        assert one in page
    assert "1 message waits" in desk.get("/").text
    assert desk.post("/sending/release", scope=f"endpoint:{row.endpoint_id}", reason="").status_code == 409
    assert desk.post("/sending/release", scope=f"endpoint:{row.endpoint_id}", reason="it is done").status_code == 303
    assert "Nothing is held" in desk.get("/sending").text


def test_a_page_does_not_say_that_something_goes_out_that_is_held_or_is_to_be_printed(bench, desk):
    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-pcp"].id)[0]
    bench.channels[row.channel].script = [Permanent("fax.document")]
    bench.send_due()
    for scope in (f"endpoint:{row.endpoint_id}", f"channel:{row.channel}"):
        assert desk.post("/sending/hold", scope=scope, reason="their line is being moved").status_code == 303
    page, reason = f"/messages/{row.message_id}", "their line was mended"
    done = desk.post(f"{page}/resend", delivery=row.id, token="t" * 43, reason=reason)
    assert "A new delivery was made. It waits behind the hold of its channel" in desk.get(done.headers["location"]).text
    done = desk.post("/sending/release", scope=f"channel:{row.channel}", reason="it is done")
    assert "is held in another way too, and waits on" in desk.get(done.headers["location"]).text
    made = bench.deliveries(row.message_id)[-1]
    done = desk.post(f"{page}/next", delivery=made.id, token="u" * 43, reason=reason)
    assert bench.deliveries(row.message_id)[-1].channel == "by-hand"
    assert "it is to be printed and handed over" in desk.get(done.headers["location"]).text


def test_a_restore_is_told_on_every_page_and_ended_with_a_reason(bench):
    bench.clock.turn(hours=3)
    desk = Desk(bench, "sender")
    bench.told(example("session-outcome.bp-spike"))
    assert desk.post("/sending/restore", verb="begin", reason="copy of last night").status_code == 303
    assert "Nothing goes out: the database was restored" in desk.get("/messages").text
    bench.sweep()
    page = desk.get("/sending").text
    assert "Still to be asked" in page
    assert "copy of last night" in page
    assert desk.post("/sending/restore", verb="end", reason="").status_code == 409
    assert desk.post("/sending/restore", verb="end", reason="all was looked at").status_code == 303
    assert "Nothing goes out" not in desk.get("/").text


def test_an_address_that_is_left_alone_is_one_problem_with_its_messages_behind_it(bench, desk):
    from dataclasses import replace

    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-psych"].id)[0]
    with bench.store.begin() as tx:
        health = tx.health(row.endpoint_id)
        now = bench.clock.now()
        tx.put_health(replace(health, failures=5, open_since=now, probe_at=now, cause="net.connect"), now)
    page = desk.get("/").text
    assert "Addresses left alone" in page
    assert 'Łukasz Müller-Ångström, MD, by EHR (FHIR) <span class="via">1 message behind it' in page
    assert "did not take the connection" in page


def test_a_group_is_drawn_up_looked_at_started_and_watched(bench, desk):
    stuck = failed(bench)
    row = bench.deliveries(stuck[0].id)[-1]
    assert "Send all of this group again" in desk.get("/").text
    drawn = desk.post("/resends", provider=row.provider_id, channel=row.channel, cause=row.cause, reason="it is mended")
    place = drawn.headers["location"]
    page = desk.get(place).text
    assert f"Send these {len(stuck)} again?" in page
    assert bench.parts.causes.get(row.cause).sentence.removesuffix(".") in unescape(page)
    assert row.cause not in page
    assert desk.post(f"{place}/start").status_code == 303
    run(bench)
    bench.send_due()
    page = desk.get(place).text
    assert "Done" in page
    assert page.count("Acknowledged") >= len(stuck)
    assert "it is mended" in desk.get("/resends").text
    assert desk.post(f"{place}/explode").status_code == 422


def test_everything_since_a_time_is_asked_for_in_the_clinics_own_zone(bench, desk):
    bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    here = {"endpoint": "ep-psych-fhir", "reason": "they lost a day", "with_arrived": "1"}
    # The bench's clock stands at 15:00 UTC, which is 10:00 in the clinic's zone.
    assert desk.post("/resends", since="2026-10-16T09:59", **here).status_code == 303
    assert desk.post("/resends", since="2026-10-16T10:01", **here).status_code == 409
    assert desk.post("/resends", since="yesterday", **here).status_code == 409


def test_composing_anew_shows_the_difference_and_then_the_new_version(bench, desk):
    stuck = failed(bench)[0]
    bench.change_patient(name={"family": "Newname", "given": ["Avery"]})
    page = desk.get(f"/messages/{stuck.id}/recompose").text
    assert "What would change" in page
    assert "Newname" in page
    seen = page.split('name="seen" value="')[1].split('"')[0]
    done = desk.post(f"/messages/{stuck.id}/recompose", seen=seen, reason="the name was wrong")
    assert done.status_code == 303
    assert "Newname" in desk.get(done.headers["location"]).text
    again = desk.post(f"/messages/{stuck.id}/recompose", seen=seen, reason="the name was wrong")
    assert again.headers["location"] == done.headers["location"]


def test_a_check_and_a_test_message_say_what_was_seen_and_what_to_do(bench, desk):
    name = agree(bench)
    assert "Send the test message" in desk.get("/sending").text
    assert "what was seen" in desk.post(f"/sending/endpoints/{name}/check").text
    page = desk.post(f"/sending/endpoints/{name}/test").text
    assert "test message" in page
    assert "Ask the partner whether it lies with their test patient" in page
    assert desk.post("/sending/endpoints/ep-pcp-fax/test").status_code == 409


def test_a_changed_address_is_approved_by_somebody_else_who_types_it_again(bench, desk):
    clinic = example("clinic")
    fax = clinic["providers"][1]["endpoints"][0]
    fax |= {"address": "+1-218-555-0199", "verified_on": bench.clock.now().date().isoformat()}
    assert bench.registry.write_whole(json.dumps(clinic).encode(), STAFF).outcome == "updated"
    page = desk.get("/sending").text
    assert "nobody but who entered it has looked at it" in page
    assert page.count(">Approve</button>") == 1
    place = f"/sending/endpoints/{fax['id']}/approve"
    wrong = desk.post(place, address="+1-218-555-0143")
    assert (wrong.status_code, "not the address in the registry" in wrong.text) == (409, True)
    assert desk.post(place, address="+12185550199").headers["location"] == "/sending?done=approved"
    page = desk.get("/sending?done=approved").text
    assert "The address is in use" in page
    assert ">Approve</button>" not in page


def heard(bench, *stations):
    """Faxes to the family doctor, each answered by a machine that calls itself so; the last of them."""
    for event, station in zip(of_patients(bench, len(stations)), stations, strict=True):
        message = bench.told(event)["pr-pcp"]
        bench.channels["fax"].script = ["queue"]
        bench.send_due()
        row = bench.deliveries(message.id)[0]
        news = ReceiptNews(row.id, "fax", row.far_side_ref, row.id, "acknowledged", station=station)
        take_in(bench.parts, news)
    return message


def test_another_fax_machine_is_shown_where_staff_look_first_and_confirmed_by_whoever_asked_the_office(bench, desk):
    message = heard(bench, "NORTH CLINIC", "SOUTH <b>BAKERY")
    page = desk.get("/").text
    assert "Another fax machine answers" in page
    assert "Nothing needs you" not in page
    assert "It calls itself “SOUTH &lt;b&gt;BAKERY”; until now it was “NORTH CLINIC”." in page
    assert "letters may go to a stranger" in page
    assert "Call the office by a telephone number from another source" in page
    assert f'href="/messages/{message.id}"' in page
    assert 'href="/sending#machine-ep-pcp-fax"' in page
    page = desk.get("/sending").text
    assert 'id="machine-ep-pcp-fax"' in page
    assert "It calls itself “SOUTH &lt;b&gt;BAKERY”; until now it was “NORTH CLINIC”." in page
    assert "Its machine calls itself “NORTH CLINIC”" in page
    assert page.count("The office says it is theirs</button>") == 1
    place = "/sending/endpoints/ep-pcp-fax/station"
    wrong = desk.post(place, station="WEST GARAGE")
    assert (wrong.status_code, "not what the machine called itself last" in wrong.text) == (409, True)
    done = desk.post(place, station="SOUTH <b>BAKERY")
    assert done.headers["location"] == "/sending?done=confirmed"
    page = desk.get("/sending?done=confirmed").text
    assert "counts as theirs" in page
    assert "The office says it is theirs" not in page
    assert "Another fax machine" not in desk.get("/").text
    with bench.store.begin(write=False) as tx:
        (line,) = [one for one in tx.audit_of(["ep-pcp-fax"]) if one.action == "machine confirmed as theirs"]
    assert (line.actor, line.detail) == ("staff rae", "SOUTH <b>BAKERY")
    assert desk.post(place, station="SOUTH <b>BAKERY").status_code == 409
    assert desk.post("/sending/endpoints/ep-nobodys/station", station="X").status_code == 404


@pytest.mark.parametrize(
    ("role", "sees", "may"), [("viewer", True, False), ("clinician", True, False), ("admin", True, True),
                              ("sender", True, True), ("auditor", False, False)],
)  # fmt: skip
def test_who_sees_another_fax_machine_and_who_may_confirm_it(bench, role, sees, may):
    heard(bench, "NORTH CLINIC", "SOUTH BAKERY")
    desk = Desk(bench, role)
    assert ("SOUTH BAKERY" in desk.get("/").text) is sees
    assert ("SOUTH BAKERY" in desk.get("/sending").text) is sees
    assert ("The office says it is theirs" in desk.get("/sending").text) is may
    place = "/sending/endpoints/ep-pcp-fax/station"
    assert desk.post(place, station="SOUTH BAKERY").status_code == (303 if may else 403)
    assert len(bench.desk.overview().other_stations) == (0 if may else 1)


def test_the_form_of_another_fax_machine_is_guarded_like_every_other(bench, desk):
    heard(bench, "NORTH CLINIC", "SOUTH BAKERY")
    place, name = "/sending/endpoints/ep-pcp-fax/station", {"station": "SOUTH BAKERY"}
    assert desk.web.post(place, data=name).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert desk.web.post(place, data={"csrf": form_token(desk.session), **name}, headers=foreign).status_code == 403
    assert desk.get(place).status_code == 405
    assert len(bench.desk.overview().other_stations) == 1


def answered(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    return message


def test_an_answer_by_telephone_waits_for_a_clinician(bench, desk):
    message = answered(bench)
    place = f"/messages/{message.id}/answer"
    assert "Record what" in desk.get(place).text
    token = desk.get(place).text.split('name="token" value="')[1].split('"')[0]
    typed = {"via": "phone", "kind": "current-dose", "name": "Lena Muller", "role": "psychiatrist", "token": token,
             "product": "Adderall XR", "value": "20", "unit": "mg", "as_of": "2026-10-15"}  # fmt: skip
    sheet = {"page": ("", b"", "application/octet-stream")}
    assert desk.post(place, files=sheet, **(typed | {"value": ""})).status_code == 422
    for _ in range(2):
        done = desk.post(place, files=sheet, **typed)
        assert done.headers["location"] == "/answers?done=recorded"
    page = desk.get("/answers").text
    assert page.count("by telephone") == 1
    assert "Only a clinician of the clinic can review this" in page
    (waiting,) = StaffAnswers(bench.parts).waiting(STAFF)
    refused = desk.post(f"/answers/{waiting.id}/review", accepted="yes", reason="as agreed")
    assert refused.status_code == 403


def test_a_reply_form_needs_its_page_and_the_page_is_what_its_bytes_say(bench, desk):
    message = answered(bench)
    place = f"/messages/{message.id}/answer"
    typed = {"via": "form", "kind": "agree", "name": "Lena Muller", "role": "psychiatrist", "token": "t-1"}
    none = desk.post(place, files={"page": ("", b"", "application/octet-stream")}, **typed)
    assert (none.status_code, "Add the page" in none.text) == (422, True)
    script = desk.post(place, files={"page": ("form.pdf", b"<script>", "application/pdf")}, **typed)
    assert (script.status_code, "must be a PDF" in script.text) == (422, True)
    done = desk.post(place, files={"page": ("form.pdf", PAGE, "application/pdf")}, **typed)
    assert done.status_code == 303
    (waiting,) = StaffAnswers(bench.parts).waiting(STAFF)
    assert desk.get(f"/answers/{waiting.id}/evidence").content == PAGE


def test_no_page_of_a_reply_form_is_ever_written_to_the_disk(bench, desk, monkeypatch):
    def rolled_over(_self):
        raise AssertionError("a letter's page lies in the temporary folder, readable by whoever reads the disk")

    monkeypatch.setattr(SpooledTemporaryFile, "rollover", rolled_over)
    page = b"%PDF-" + b"x" * (8 * 1024 * 1024 - 5)
    typed = {"via": "form", "kind": "agree", "name": "Lena Muller", "role": "psychiatrist", "token": "t-1"}
    place = f"/messages/{answered(bench).id}/answer"
    done = desk.post(place, files={"page": ("form.pdf", page, "application/pdf")}, **typed)
    assert done.status_code == 303
    (waiting,) = StaffAnswers(bench.parts).waiting(STAFF)
    assert desk.get(f"/answers/{waiting.id}/evidence").content == page


def test_a_file_form_is_guarded_like_every_other(bench, desk):
    place = f"/messages/{answered(bench).id}/answer"
    sheet = {"page": ("form.pdf", PAGE, "application/pdf")}
    typed = {"via": "phone", "kind": "agree", "name": "A", "role": "b"}
    assert desk.web.post(place, data=typed, files=sheet).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    token = {"csrf": form_token(desk.session)}
    assert desk.web.post(place, data={**typed, **token}, files=sheet, headers=foreign).status_code == 403
    large = {"page": ("form.pdf", b"%PDF-" + b"x" * (9 * 1024 * 1024), "application/pdf")}
    assert desk.post(place, files=large, **typed).status_code == 413


def test_a_misdirected_fax_freezes_the_address_until_a_person_says_it_is_right(bench, desk):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    message = told["pr-pcp"]
    endpoint = bench.deliveries(message.id)[0].endpoint_id
    place = f"/messages/{message.id}/incident"
    assert desk.post(place, kind="misdirected-fax", note="").status_code == 409
    done = desk.post(place, kind="misdirected-fax", note="a shop called, they have it")
    assert done.headers["location"] == "/answers?done=incident"
    page = desk.get("/answers").text
    assert "it went to a wrong number or mailbox" in page
    assert "carries nothing for any patient" in page
    fresh = bench.told(example("dose-change.ketamine"))["pr-pcp"]
    bench.send_due()
    assert (bench.state(fresh.id), bench.cause(fresh.id)) == (State.HELD, "release.endpoint-suspended")
    with bench.store.begin() as tx:
        (incident,) = tx.incidents()
    close = f"/incidents/{incident.id}/close"
    assert desk.post(close, resolution="x", address="right").status_code == 409
    assert desk.post(close, resolution="their shredder has it", address="").status_code == 422
    assert desk.post(close, resolution="their shredder has it", address="right").status_code == 303
    assert desk.post(close, resolution="their shredder has it", address="right").status_code == 409
    with bench.store.begin() as tx:
        assert tx.health(endpoint).suspended_at is None
        assert tx.incident(incident.id).closing == "their shredder has it"


def test_an_address_that_was_wrong_stays_frozen_after_the_incident_is_closed(bench, desk):
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    desk.post(f"/messages/{message.id}/incident", kind="misdirected-fax", note="a shop called, they have it")
    with bench.store.begin() as tx:
        (incident,) = tx.incidents()
    desk.post(f"/incidents/{incident.id}/close", resolution="the number was mistyped", address="wrong")
    with bench.store.begin() as tx:
        assert tx.health(bench.deliveries(message.id)[0].endpoint_id).suspended_at is not None


@pytest.mark.parametrize(
    ("role", "may_look", "may_hold", "may_send"),
    [
        ("viewer", True, False, False),
        ("clinician", True, False, False),
        ("admin", True, True, False),
        ("sender", True, True, True),
        ("auditor", False, False, False),
    ],
)
def test_who_may_look_hold_and_send_again(bench, role, may_look, may_hold, may_send):
    desk = Desk(bench, role)
    assert (desk.get("/sending").status_code == 200) is may_look
    assert (desk.post("/sending/hold", scope="everything", reason="a test of roles").status_code == 303) is may_hold
    assert (desk.get("/resends").status_code == 200) is may_send
    assert (desk.post("/sending/restore", verb="begin", reason="a test of roles").status_code == 303) is may_hold


def test_the_api_holds_releases_draws_up_and_starts(bench):
    from coordinator.api.app import build as api
    from coordinator.security.passwords import Passwords as Hashes

    accounts = Accounts(
        SqlAccountStore(bench.store.engine), bench.clock, bench.dice, passwords=Hashes(memory_kib=64, passes=1)
    )
    _, token = accounts.sources.issue("ops", ("messages:read", "messages:act"))
    _, weak = accounts.sources.issue("ehr", ("messages:read",))
    service = SimpleNamespace(
        desk=bench.desk, registry=bench.registry, accounts=accounts, sending=StaffSending(bench.parts), receipts=None,
        settings=SimpleNamespace(public_url=CONSOLE, console_url=CONSOLE, environment="development"),
    )  # fmt: skip
    assert api_sending
    web = TestClient(api(service, None, service), base_url=CONSOLE)
    may, may_not = ({"Authorization": f"Bearer {one}"} for one in (token, weak))
    hold = {"scope": "channel:fax", "reason": "the line is down"}
    assert web.post("/v1/holds", json=hold, headers=may_not).status_code == 403
    assert web.post("/v1/holds", json=hold, headers=may).json()["waiting"] == 0
    assert web.post("/v1/holds", json=hold, headers=may).status_code == 409
    assert web.get("/v1/holds", headers=may_not).json()["holds"][0]["reason"] == "the line is down"
    released = {"scope": "channel:fax", "released": 0, "still_held": 0, "behind": []}
    assert web.post("/v1/holds/release", json=hold, headers=may).json() == released
    off = "/v1/restore-hold/off"
    for place, body in (("/v1/holds/release", hold), (off, {"reason": "all was looked at"})):
        missing = web.post(place, json=body, headers=may)
        assert (missing.status_code, missing.json()["title"]) == (404, "There is no such hold.")
        assert missing.json()["type"] == "urn:coordinator:problem:no-such-hold"
    nowhere = web.post("/v1/holds", json=hold | {"scope": "endpoint:ep-none"}, headers=may)
    assert (nowhere.status_code, nowhere.json()["title"]) == (404, "There is no such endpoint.")
    stuck = failed(bench)
    body = {"recipient": "pr-psych", "reason": "their server was mended"}
    drawn = web.post("/v1/resend-jobs", json=body, headers=may)
    assert (drawn.status_code, drawn.json()["total"]) == (201, len(stuck))
    place = f"/v1/resend-jobs/{drawn.json()['id']}"
    assert web.post(f"{place}/start", headers=may).json()["state"] == "running"
    run(bench)
    told = web.get(place, headers=may_not).json()
    assert (told["state"], told["made"]) == ("done", len(stuck))
    assert "Núñez" not in json.dumps(told, ensure_ascii=False)
    assert web.post(f"{place}/pause", headers=may).status_code == 409
    assert web.post("/v1/restore-hold/on", json={"reason": "copy of last night"}, headers=may).status_code == 200
    assert web.get("/v1/restore-hold", headers=may_not).json()["hold"]["kind"] == "restore"
    assert web.post("/v1/restore-hold/off", json={"reason": "all was looked at"}, headers=may).status_code == 200
    assert holds.holds(bench.parts) == ()


def test_a_list_too_large_for_one_person_waits_on_the_first_page_until_a_colleague_approves_it(bench):
    bench.parts = replace(bench.parts, policy=replace(bench.parts.policy, resend_alone=1))
    stuck = failed(bench)
    row = bench.deliveries(stuck[0].id)[-1]
    desk = Desk(bench, "sender")
    drawn = desk.post("/resends", provider=row.provider_id, channel=row.channel, cause=row.cause, reason="it is mended")
    place = drawn.headers["location"]
    assert "Ask for a colleague" in desk.get(place).text
    assert desk.post(f"{place}/start").status_code == 303
    shown = desk.get(place).text
    assert "Waits for a second person" in shown
    assert "Somebody else than rae" in shown
    assert "Approve: send" not in shown
    assert "Lists that wait for a second person" in desk.get("/").text
    assert desk.post(f"{place}/approve").status_code == 409
    run(bench)
    assert all(len(bench.deliveries(one.id)) == 1 for one in stuck)
    sending = StaffSending(bench.parts)
    by_program = api_sending._job(sending.job(place.rpartition("/")[2], STAFF))
    assert (by_program["state"], "Somebody else than rae" in by_program["next_step"]) == ("asked", True)
    sending.move_job(place.rpartition("/")[2], "approve", actor=STAFF)
    run(bench)
    assert "Done" in desk.get(place).text
    assert "Lists that wait" not in desk.get("/").text
    assert all(len(bench.deliveries(one.id)) == 2 for one in stuck)
