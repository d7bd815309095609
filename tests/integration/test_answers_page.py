"""The console's page where answers are reviewed and access codes are made."""

import re
from types import SimpleNamespace

import pytest
from bench_parts import STAFF
from link_parts import ENDPOINT, LinkBench, TestClient
from test_answers import DOSE, EVIDENCE, PAGE, by_phone, medications, said

from coordinator.console.access import form_token
from coordinator.console.app import build
from coordinator.flow.link import set_access_code
from coordinator.security.accounts import Accounts
from coordinator.security.passwords import Passwords
from coordinator.store.accounts import SqlAccountStore

CONSOLE = "http://127.0.0.1:8081"


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


@pytest.fixture
def links(bench):
    return LinkBench(bench)


class Desk:
    """The console in a browser in which one person is signed in."""

    def __init__(self, links, *roles):
        bench = links.bench
        accounts = Accounts(
            SqlAccountStore(bench.store.engine), bench.clock, bench.dice, passwords=Passwords(memory_kib=64, passes=1)
        )
        accounts.add("rae", "Rae Okafor", roles, licence="MD 55012" if "clinician" in roles else None)
        self.session = accounts.sign_in_by_link(accounts.make_link("rae"), address="127.0.0.1").token
        service = SimpleNamespace(
            desk=bench.desk,
            registry=bench.registry,
            accounts=accounts,
            answers=links.answers,
            settings=SimpleNamespace(console_url=CONSOLE, environment="development"),
            new_access_code=lambda endpoint, actor: set_access_code(bench.parts, links.codes, endpoint, actor=actor),
        )
        app = build(service, now=bench.clock.now, answers_service=service)
        self.web = TestClient(app, base_url=CONSOLE, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})
        self.web.cookies.set("coordinator_session", self.session)

    def get(self, place):
        return self.web.get(place)

    def post(self, place, **fields):
        return self.web.post(place, data={"csrf": form_token(self.session), **fields})


def test_the_first_page_and_every_menu_tell_of_an_answer_and_of_a_letter_in_the_wrong_place(links):
    message = links.told()
    desk = Desk(links, "sender")
    assert "Nothing needs you" in desk.get("/").text
    by_phone(links, message, said())
    page = desk.get("/").text
    assert "1 answer of a recipient waits for a clinician’s review" in page
    assert "Nothing needs you" not in page
    links.answers.open_incident(message.id, kind="wrong-recipient", note="their desk called us", actor=STAFF)
    assert "A letter may have reached the wrong place" in desk.get("/").text
    assert 'Answers <span class="count">2</span>' in desk.get("/messages").text


def test_a_clinician_sees_the_dose_beside_what_is_on_record_and_accepts_it(links):
    links.told()
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE, note="since Monday"), "n-1")
    desk = Desk(links, "sender", "clinician")
    page = desk.get("/answers")
    assert page.status_code == 200
    for one in ("reports the current dose", "Adderall XR 20 mg", "On record: Adderall XR 30 mg", "since Monday"):
        assert one in page.text
    (waiting,) = links.answers.waiting(desk_actor())
    answer = desk.post(f"/answers/{waiting.id}/review", accepted="yes", reason="as agreed by telephone")
    assert (answer.status_code, answer.headers["location"]) == (303, "/answers?done=accepted")
    assert str(medications(links)[-1].dose) == "20 mg"
    assert "No answer waits" in desk.get("/answers?done=accepted").text


def desk_actor():
    from bench_parts import STAFF

    return STAFF


def test_a_review_without_reason_or_twice_says_what_to_do(links):
    links.told()
    links.reader.answer(links.enter(), said("agree"), "n-1")
    desk = Desk(links, "sender", "clinician")
    (waiting,) = links.answers.waiting(desk_actor())
    assert desk.post(f"/answers/{waiting.id}/review", accepted="yes", reason=" ").status_code == 422
    assert desk.post(f"/answers/{waiting.id}/review", accepted="no", reason="typed by mistake").status_code == 303
    again = desk.post(f"/answers/{waiting.id}/review", accepted="yes", reason="as agreed")
    assert again.status_code == 409
    assert "Somebody has reviewed this answer already." in again.text


def test_an_incident_stands_on_top_of_the_page(links):
    links.told()
    links.reader.answer(links.enter(), said("not-my-patient"), "n-1")
    assert "may have reached the wrong place" in Desk(links, "sender", "clinician").get("/answers").text


def test_the_page_of_a_reply_form_can_be_looked_at(links):
    message = links.told()
    name = by_phone(links, message, said("agree"), via="form", evidence=EVIDENCE)
    found = Desk(links, "sender", "clinician").get(f"/answers/{name}/evidence")
    assert (found.content, found.headers["content-disposition"]) == (PAGE, 'attachment; filename="reply-form.pdf"')


def test_an_access_code_is_shown_once_and_opens_the_letter(links):
    links.told()
    desk = Desk(links, "sender", "clinician")
    page = desk.post("/access-codes", endpoint=ENDPOINT)
    links.code = re.search(r"<code>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", page.text).group(1)
    assert links.code not in desk.get("/answers").text
    assert links.enter()
    assert desk.post("/access-codes", endpoint="ep-pcp-fax").status_code == 409


@pytest.mark.parametrize("role", ["viewer", "admin", "auditor"])
def test_who_may_not_read_letters_may_not_read_answers(links, role):
    desk = Desk(links, role)
    assert desk.get("/answers").status_code == 403
    assert desk.post("/access-codes", endpoint=ENDPOINT).status_code == 403
    assert desk.post("/answers/some/review", accepted="yes", reason="as agreed").status_code == 403
    assert desk.get("/answers/some/evidence").status_code == 403
