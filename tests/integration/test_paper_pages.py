"""What staff print themselves: the patient's own copy in the patient's language, and the letter to a wrong reader."""

import json
from types import SimpleNamespace

import pytest
from bench_parts import STAFF, example
from link_parts import TestClient
from test_sending_pages import CONSOLE, Desk

from coordinator.console.app import build
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.paper_desk import PaperDesk
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.track import take_in
from coordinator.letters.formats import clinic_instant
from coordinator.letters.pdf import pages_text


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


@pytest.fixture
def told(bench):
    bench.clock.turn(days=-1)
    return bench.told(example("session-outcome.bp-spike"))


@pytest.fixture
def paper(bench):
    return PaperDesk(bench.parts)


def words(made: bytes) -> str:
    return " ".join(" ".join(pages_text(made)).split())


def speaks(bench, language):
    clinic = example("clinic")
    clinic["patients"][0]["language"] = language
    assert bench.registry.write_whole(json.dumps(clinic).encode(), STAFF).outcome == "updated"


@pytest.mark.parametrize(("language", "said"), [("es-MX", "Su copia"), ("en", "Your copy"), ("vi", "Your copy")])
def test_the_copy_is_in_the_language_on_record_where_we_have_it(bench, told, paper, language, said):
    speaks(bench, language)
    text = words(paper.patient_copy(told["pr-psych"].id, language=None, actor=STAFF))
    assert said in text
    assert "184/112" in text


def test_a_person_may_choose_another_language(told, paper):
    assert "Su copia" in words(paper.patient_copy(told["pr-psych"].id, language="es", actor=STAFF))
    with pytest.raises(Refused, match="language"):
        paper.patient_copy(told["pr-psych"].id, language="xx", actor=STAFF)


def test_the_same_copy_again_is_the_same_bytes_and_each_is_audited(bench, told, paper):
    first, again = (paper.patient_copy(told["pr-pcp"].id, language="es", actor=STAFF) for _ in range(2))
    assert first == again
    lines = [one.text for one in bench.desk.message(told["pr-pcp"].id, STAFF).timeline if "patient copy" in one.text]
    assert len(lines) == 2
    assert all("SHA-256" in one for one in lines)
    assert bench.broken() == []


def test_the_copy_tells_only_whom_we_may_tell(bench, paper):
    clinic = example("clinic")
    clinic["patients"][0]["consents"][1]["decision"] = "restrict"
    bench.registry.write_whole(json.dumps(clinic).encode(), STAFF)
    told = bench.told(example("session-outcome.bp-spike"))
    text = words(paper.patient_copy(told["pr-psych"].id, language="en", actor=STAFF))
    assert "Müller-Ångström" in text
    assert "Brien" not in text


def test_a_withdrawn_record_leaves_nothing_to_keep(bench, told, paper):
    wrong = {**example("session-outcome.bp-spike"), "version": 2, "status": "entered-in-error"}
    wrong["amendment_reason"] = "wrong patient"
    again = bench.told(wrong)
    with pytest.raises(Refused, match=r"paper\.retracted"):
        paper.patient_copy(next(iter(again.values())).id, language="en", actor=STAFF)
    with pytest.raises(NotFound):
        paper.patient_copy("no-such-message", language="en", actor=STAFF)


@pytest.mark.parametrize(
    ("kind", "to"), [("misdirected-fax", "whoever received our letter"), ("wrong-recipient", "O’Brien-Süß")]
)
def test_a_letter_to_a_wrong_reader_needs_an_incident_and_says_nothing_clinical(bench, told, paper, kind, to):
    bench.send_due()
    message = told["pr-pcp"].id
    with pytest.raises(Refused, match=r"paper\.no-incident"):
        paper.to_wrong_reader(message, actor=STAFF)
    StaffAnswers(bench.parts).open_incident(message, kind=kind, note="a garage called about a fax", actor=STAFF)
    text = words(paper.to_wrong_reader(message, actor=STAFF))
    assert to in text
    assert "Please destroy every copy" in text
    for hidden in ("Zoë", "Núñez", "ketamine", "Adderall", "1988"):
        assert hidden not in text


class Printing(Desk):
    def __init__(self, bench, *roles):
        super().__init__(bench, *roles)
        service = SimpleNamespace(**vars(self.service), paper=PaperDesk(bench.parts))
        app = build(service, now=bench.clock.now, answers_service=service, paper_service=service)
        self.web = TestClient(app, base_url=CONSOLE, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})
        self.web.cookies.set("coordinator_session", self.session)


def test_a_letter_to_a_wrong_reader_says_when_that_letter_left_and_not_what_came_of_it_later(bench, told, paper):
    message = told["pr-pcp"].id
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    left_at = bench.clock.now()
    fax = bench.deliveries(message)[-1]
    bench.clock.turn(hours=2)
    take_in(bench.parts, ReceiptNews("r", "fax", fax.far_side_ref, fax.id, "acknowledged"))
    StaffAnswers(bench.parts).open_incident(message, kind="misdirected-fax", note="a bakery rang us", actor=STAFF)
    bench.clock.turn(hours=1)
    bench.desk.resend(fax.id, reason="to the right reader", token="t" * 43, actor=STAFF)
    paper_row = bench.deliveries(message)[-1]
    bench.desk.record_handover(paper_row.id, to="J. Doe, at their desk", actor=STAFF)
    text = words(paper.to_wrong_reader(message, actor=STAFF))
    assert f"We sent it to you on {' '.join(clinic_instant(left_at, 'America/Chicago').split())}." in text


def test_the_page_of_a_message_offers_both_and_shows_them_as_pdf(bench, told):
    desk, message = Printing(bench, "sender"), told["pr-psych"].id
    page = desk.get(f"/messages/{message}").text
    assert "Patient’s own copy" in page
    assert f'action="/messages/{message}/wrong-reader"' in page
    made = desk.post(f"/messages/{message}/patient-copy", language="es")
    assert made.status_code == 200
    assert made.headers["content-type"] == "application/pdf"
    assert made.headers["cache-control"] == "no-store"
    assert "Su copia" in words(made.content)
    refused = desk.post(f"/messages/{message}/wrong-reader")
    assert refused.status_code == 409
    assert "Record first that the letter reached the wrong place." in refused.text


def test_who_may_not_read_letters_prints_none(bench, told):
    desk = Printing(bench, "viewer")
    assert "Patient’s own copy" not in desk.get(f"/messages/{told['pr-psych'].id}").text
    assert desk.post(f"/messages/{told['pr-psych'].id}/patient-copy", language="en").status_code == 403
