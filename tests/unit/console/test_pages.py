import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from browser import Browser, words
from web_data import NOW, a_detail, a_row, some_questions, some_refusals

from coordinator.console import presenters
from coordinator.console import words as vocabulary
from coordinator.domain.delivery import State
from coordinator.domain.registry import EndpointKind
from coordinator.flow.read_models import Actor, MessageFilter, Standstill, TimelineEntry, Unprepared

ME = Actor("staff", "sender")


@pytest.fixture
def browser(client):
    made = Browser(client)
    made.sign_in()
    return made


def test_the_first_page_lists_questions_and_what_is_stuck(service, browser):
    service.desk.held = some_questions()
    text = words(browser.get("/"))
    assert "Waiting for an answer 2" in text
    assert "Was it measured in pounds?" in text
    assert "Add the row to mappings/codes" in text
    assert "Not delivered 5" in text
    assert "The number belongs to a voice line" in text
    assert "Needs attention 7" in text


def test_the_first_page_says_which_letters_are_not_written_and_why(service, browser):
    service.desk.rows = []
    service.desk.unprepared = (
        Unprepared(3, NOW - timedelta(minutes=20), "The disk is full.", "Free some.", "engineer"),
    )
    text = words(browser.get("/"))
    assert "Letters that are not written 3" in text
    assert "3 events wait" in text
    assert "The disk is full." in text
    assert "Free some." in text
    assert "Needs attention 3" in text
    assert "Nothing needs you." not in text
    assert "Not delivered" not in text


def test_the_first_page_says_before_anything_else_that_the_service_stands_still(service, browser):
    service.desk.rows = []
    service.desk.standstills = (Standstill(NOW - timedelta(minutes=20), "Nothing is sent.", "Start it.", "engineer"),)
    text = words(browser.get("/"))
    assert "What the service does not do 1 Nothing is sent. last seen" in text
    assert "Engineer Start it." in text
    assert "Needs attention 1" in text
    assert "Nothing needs you." not in text
    assert "Not delivered" not in text


def test_messages_stuck_at_one_place_for_one_cause_are_one_group():
    rows = [a_row(n, state=State.DEAD, channel="fax", provider_id="prov-cole") for n in range(4)]
    rows.append(a_row(9, state=State.DEAD, channel="fax", provider_id="prov-vu"))
    rows.append(a_row(10, state=State.DEAD, channel="fax", provider_id="prov-cole", cause="fax.busy"))
    assert sorted(len(group.rows) for group in presenters.groups(rows)) == [1, 1, 4]


def test_groups_come_most_pressing_first_then_longest_waiting():
    old = a_row(1, state=State.HELD, provider_id="a", created_at=NOW - timedelta(days=2))
    urgent = a_row(2, state=State.HELD, provider_id="b", priority="urgent")
    stat = a_row(3, state=State.DEAD, provider_id="c", priority="stat")
    fresh = a_row(4, state=State.HELD, provider_id="d", created_at=NOW)
    assert [group.rows[0].id for group in presenters.groups([fresh, old, urgent, stat])] == ["m-3", "m-2", "m-1", "m-4"]


def test_with_nothing_stuck_the_first_page_says_so(service, browser):
    service.desk.rows = [a_row(1, state=State.SENT)]
    text = words(browser.get("/"))
    assert "Nothing needs you." in text
    assert "1 message is on the way" in text


def test_more_than_fit_are_announced(service, browser):
    service.desk.rows = [a_row(n, state=State.HELD, needs_person=True) for n in range(230)]
    assert "The newest 200 of 230 are grouped here" in words(browser.get("/"))


def test_a_page_refreshes_itself_only_while_something_moves(service, browser):
    assert 'data-refresh="10"' in browser.get("/").text
    service.desk.rows = [a_row(1)]
    assert "data-refresh" not in browser.get("/").text
    assert "data-refresh" not in browser.get("/messages/m-1").text


def test_an_open_page_asks_first_whether_anything_moved_and_looks_at_no_patient(service, browser):
    page = browser.get("/messages").text
    before = re.search(r'data-mark="(\w+)"', page).group(1)
    seen = len(service.desk.seen)
    assert browser.get("/pulse").json()["mark"] == before
    assert len(service.desk.seen) == seen
    service.desk.rows[1] = a_row(2, state=State.ACKNOWLEDGED)
    assert browser.get("/pulse").json()["mark"] != before


def test_what_was_done_several_times_in_a_row_is_one_line_of_history():
    def entry(minute, actor, text):
        return TimelineEntry(NOW + timedelta(minutes=minute), actor, text)

    lines = [entry(0, "a", "made"), entry(1, "b", "opened"), entry(2, "b", "opened"), entry(3, "a", "opened")]
    shown = presenters.history(lines)
    assert [(one.at.minute, one.actor, times) for one, times in shown] == [(3, "a", 1), (2, "b", 2), (0, "a", 1)]


def test_who_only_looked_stands_apart_from_what_happened(service, browser):
    def entry(minute, actor, text):
        return TimelineEntry(NOW + timedelta(minutes=minute), actor, text)

    lines = [
        entry(0, "job prepare", "delivery planned"),
        entry(1, "staff rae", "message opened"),
        entry(2, "staff rae", "document opened"),
        entry(3, "staff dana", "message opened"),
        entry(4, "staff rae", "resend asked for: they lost it"),
    ]
    assert [one.text for one, _ in presenters.history(lines)] == ["resend asked for: they lost it", "delivery planned"]
    seen = [(one.actor, times, one.at.minute) for one, times in presenters.looks(lines)]
    assert seen == [("staff dana", 1, 3), ("staff rae", 2, 2)]
    assert [vocabulary.who(one) for one in ("staff rae", "job prepare", "source ehr")] == [
        "rae",
        "the service",
        "from ehr",
    ]


def test_a_letter_that_goes_by_hand_has_one_button_that_prints_that_letter_and_no_other(browser):
    page = browser.get("/messages/m-8").text
    assert page.count(">Print this letter</a>") == 1
    assert '/messages/m-8/documents/m-8-pdf" target="_blank" rel="noopener">Print this letter</a>' in page
    assert "Print this letter" not in browser.get("/messages/m-3").text


def test_an_arrived_letter_that_asks_says_until_when_the_recipient_has_to_answer(service, browser, monkeypatch):
    detail = a_detail(a_row(1, state=State.ACKNOWLEDGED))
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(detail, answer_by_at=NOW + timedelta(hours=4)))
    asked = browser.get("/messages/m-1").text
    assert "An answer is asked for by" in asked
    assert "Nobody." not in asked
    monkeypatch.setattr(service.desk, "message", lambda *_: detail)
    assert "An answer is asked for by" not in browser.get("/messages/m-1").text


def test_what_waits_behind_a_hold_says_who_lets_it_go_on_and_not_that_it_is_tried(service, browser, monkeypatch):
    row = a_row(1, state=State.PENDING, cause="release.paused", why="Sending is paused here by a person.",
                next_step="Resume it when the reason for the pause is gone.", role="administrator")  # fmt: skip
    monkeypatch.setattr(service.desk, "message", lambda *_: a_detail(row))
    page = words(browser.get("/messages/m-1"))
    assert "Resume it when the reason for the pause is gone." in page
    assert "It is tried" not in page


def test_the_actor_goes_with_every_look_at_patients(service, browser):
    for url in ("/", "/messages", "/messages/m-1", "/messages/m-1/documents/m-1-html"):
        browser.get(url)
    assert {what[-1] for what in service.desk.seen} == {ME}
    assert {what[0] for what in service.desk.seen} == {"messages", "held_events", "message", "document"}


def test_times_are_shown_in_the_clinics_zone_with_the_instant_beside(browser):
    page = browser.get("/messages/m-1").text
    assert "Times are in America/Chicago" in page
    assert 'datetime="2026-10-14T14:59:00+00:00"' in page
    assert ">Wed 14 Oct, 09:59<" in page


def test_without_a_clinic_times_are_in_utc(service, client):
    service.registry.entities.clear()
    browser = Browser(client)
    browser.sign_in()
    assert "Times are in UTC" in words(browser.get("/"))


def test_the_list_is_filtered_by_state_and_channel_in_the_address(service, browser):
    answer = browser.get("/messages?state=dead&channel=fax")
    assert re.findall(r'href="/messages/(m-\d+)"', answer.text) == ["m-3", "m-4"]
    assert '<option value="dead" selected>' in answer.text
    asked = service.desk.seen[-1][1]
    assert (asked.state, asked.channel, asked.text) == (State.DEAD, "fax", None)


@pytest.mark.parametrize(
    "query", ["state=lost", "text=Marlowe", "patient=P-1001", "before=", "before=%00", "channel=pigeon"]
)
def test_an_address_cannot_ask_for_what_is_not_a_state_nor_name_a_person(service, browser, query):
    browser.get(f"/messages?{query}")
    assert service.desk.seen[-1][1] == MessageFilter(limit=50)


def test_a_person_is_looked_for_by_post_and_never_appears_in_an_address(service, browser):
    answer = browser.post("/messages", {"text": " skálá ", "state": "", "channel": ""})
    assert re.findall(r'href="/messages/(m-\d+)"', answer.text) == ["m-4", "m-7", "m-10"]
    assert service.desk.seen[-1][1].text == "skálá"
    assert 'value="skálá"' in answer.text
    assert "data-refresh" not in answer.text


def test_other_messages_of_the_patient_are_found_by_post(service, browser):
    answer = browser.post("/messages", {"patient": "P-1002"}, page="/messages/m-3")
    assert "Messages of one patient" in words(answer)
    assert service.desk.seen[-1][1].patient == "P-1002"


def test_a_long_list_goes_on_by_a_button_that_keeps_the_filter(service, browser):
    service.desk.rows = [a_row(n, channel="fax") for n in range(120)]
    seen, before = [], ""
    while True:
        answer = browser.post("/messages", {"text": "marlowe", "channel": "fax", "before": before})
        seen += re.findall(r'href="/messages/(m-\d+)"', answer.text)
        found = re.search(r'name="before" value="([^"]+)"', answer.text)
        if not found:
            break
        assert 'name="text" value="marlowe"' in answer.text
        before = found.group(1)
    assert seen == [f"m-{n}" for n in range(120)]


def test_an_empty_list_says_what_it_means(service, browser):
    assert "Nothing matches." in words(browser.post("/messages", {"text": "zzz"}))
    service.desk.rows = []
    assert "No messages yet." in words(browser.get("/messages"))


def test_one_message_says_what_happened_why_and_who_acts(browser):
    text = words(browser.get("/messages/m-3"))
    assert "Failed" in text
    assert "No further attempt will be made." in text
    assert "The number belongs to a voice line" in text
    assert "Front desk Call the office, correct and verify the fax number" in text
    assert "fax.not-a-fax" in text
    assert "In force when this was written: c-11, version 2." in text
    assert "R3" in text
    assert "event accepted" in text


def test_the_letter_stands_in_a_frame_without_rights(browser):
    assert (
        '<iframe class="letter" title="The letter as it was composed" sandbox=""' in browser.get("/messages/m-1").text
    )
    answer = browser.get("/messages/m-1/documents/m-1-html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("html", "text/html", "inline"),
        ("pdf", "application/pdf", "inline"),
        ("fhir", "application/fhir+json", "attachment"),
    ],
)
def test_a_document_comes_as_the_stored_bytes_under_a_name_that_says_nothing(browser, name, kind, shown):
    answer = browser.get(f"/messages/m-1/documents/m-1-{name}")
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["content-disposition"].startswith(f'{shown}; filename="m-1-{name}.')
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_document_of_another_message_is_not_there(service, browser):
    assert browser.get("/messages/m-1/documents/m-2-html").status_code == 404
    assert browser.get("/messages/m-99").status_code == 404
    assert not any(what[0] == "document" for what in service.desk.seen)


def test_a_letter_that_is_text_only_is_shown_as_text_and_escaped(service, browser, monkeypatch):
    row = a_row(1)
    text = replace(a_detail(row).documents[0], id="m-1-text", role="letter-text", media_type="text/plain")
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(row), documents=(text,)))
    monkeypatch.setattr(service.desk, "document", lambda *_: ("text/plain", b"<b>184/112</b>", "x"))
    page = browser.get("/messages/m-1").text
    assert "&lt;b&gt;184/112&lt;/b&gt;" in page
    assert "<iframe" not in page


def test_a_message_without_a_delivery_has_no_buttons(service, browser, monkeypatch):
    row = a_row(1, state=State.HELD, delivery_id="", channel="none")
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(row), deliveries=(), documents=()))
    answer = browser.get("/messages/m-1")
    assert answer.status_code == 200
    assert "Nothing has been composed" in words(answer)
    assert "<details" not in answer.text


def test_names_are_escaped_wherever_they_stand(service, browser):
    service.desk.rows = [a_row(1, patient_name="<script>x</script>", recipient="<img>", state=State.HELD)]
    for url in ("/", "/messages", "/messages/m-1"):
        page = browser.get(url).text
        assert "<script>x" not in page
        assert "<img>" not in page


def test_refused_events_show_every_fault(service, browser):
    assert "Nothing was refused." in words(browser.get("/refused"))
    service.desk.refused = some_refusals()
    text = words(browser.get("/refused"))
    assert "/administration/dose A number needs its unit." in text
    assert "2 faults" in text


def test_help_tells_what_counts_as_sent_and_as_proof_for_every_channel(browser):
    page = browser.get("/help")
    for channel, sent, proven, again in vocabulary.PROOF:
        for part in (channel, sent, proven, again):
            assert part in words(page)
    assert {one[0] for one in vocabulary.PROOF} == set(vocabulary.CHANNELS.values()) - {"No way yet"}


def test_the_help_page_and_the_readme_agree_on_which_channels_are_ever_sent_without_proof():
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    rows = readme.partition("*sent* when")[2].partition("\n\n")[0].splitlines()[2:]
    said = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[1] == "–" for row in said] == [sent == "–" for _, sent, _, _ in vocabulary.PROOF]
    assert [row[0] for row in said if row[1] != "–"] == ["Direct", "Fax", "Secure link"]


def test_every_state_and_channel_has_its_words():
    assert set(vocabulary.STATES) == set(State)
    assert set(vocabulary.CHANNELS) - {"none"} == set(EndpointKind.__args__) == set(vocabulary.BY) - {"none"}
    for one in vocabulary.STATES.values():
        assert one.sign
        assert one.label


def test_no_two_states_share_both_sign_and_word():
    assert len({(one.sign, one.label) for one in vocabulary.STATES.values()}) == len(State)


@pytest.mark.parametrize("url", ["/", "/messages", "/messages/m-1", "/refused", "/letters", "/help", "/me"])
def test_every_page_has_its_landmarks_headings_and_labels(service, browser, url):
    service.desk.held, service.desk.refused = some_questions(), some_refusals()
    page = browser.get(url).text
    assert page.count("<h1") == 1
    assert '<html lang="en">' in page
    assert '<main id="main"' in page
    assert 'href="#main"' in page
    assert "<title>" in page
    assert page.count("<table") == page.count("<caption")
    assert '<th scope="col"' in page or "<table" not in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for field in re.findall(r"<(?:input|select)[^>]*>", page):
        if 'type="hidden"' in field or 'aria-hidden="true"' in field or 'type="checkbox"' in field:
            continue
        name = re.search(r'\sid="([^"]+)"', field).group(1)
        assert f'<label for="{name}"' in page, field


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
                           (47 * 3600, "47 h"), (48 * 3600, "2 days")],
)  # fmt: skip
def test_a_length_of_time_is_said_in_one_unit(seconds, shown):
    assert vocabulary.span(seconds) == shown


def test_small_words():
    assert vocabulary.day("1989-05-04") == "4 May 1989"
    assert vocabulary.day("about 1989") == "about 1989"
    assert (vocabulary.size(999), vocabulary.size(182_400)) == ("999 bytes", "182 kB")


def test_a_clinic_of_an_unknown_zone_is_shown_in_utc(service, client):
    service.registry.entities[("clinic", None)] = json.dumps({"name": "N", "time_zone": "Mars/Olympus"}).encode()
    browser = Browser(client)
    browser.sign_in()
    assert "Times are in UTC" in words(browser.get("/"))


def test_a_reference_with_a_wrong_digit_is_told_as_such(service, browser):
    answer = words(browser.post("/messages", {"text": "482155 037719 042691"}))
    assert "One of its digits is wrong or missing" in answer


def test_two_letters_of_one_message_are_both_shown_and_both_printed_by_name(service, browser, monkeypatch):
    row = a_row(1)
    first, pdf, fhir = a_detail(row).documents
    second = replace(first, id="m-1-html-2", title="A question about the stimulant")
    second_pdf = replace(pdf, id="m-1-pdf-2", title="A question about the stimulant")
    both = (first, second, pdf, second_pdf, fhir)
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(row), documents=both))
    page = browser.get("/messages/m-1")
    for name in ("m-1-html", "m-1-html-2"):
        assert f'sandbox="" src="/messages/m-1/documents/{name}"' in page.text
    assert "This message is 2 letters, which go together." in words(page)
    assert "Letter as PDF: Session summary" in words(page)
    assert "Letter as PDF: A question about the stimulant" in words(page)
    assert "FHIR resources:" not in words(page)


def test_every_letter_of_a_message_that_waits_to_be_handed_over_is_printed_by_a_button_of_its_own(
    service, browser, monkeypatch
):
    detail = service.desk.message("m-8", None)
    pdf = next(one for one in detail.documents if one.role == "letter-pdf")
    both = (*detail.documents, replace(pdf, id="m-8-pdf-2", title="A question about the stimulant"))
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(detail, documents=both))
    page = browser.get("/messages/m-8")
    assert "Print letter 1 of 2" in words(page)
    assert "Print letter 2 of 2: A question about the stimulant" in words(page)
    assert '/messages/m-8/documents/m-8-pdf-2" target="_blank" rel="noopener">Print letter 2 of 2' in page.text
