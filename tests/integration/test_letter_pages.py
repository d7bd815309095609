"""The letter pages in a browser's hands, and in a mail scanner's."""

import html
import json
import re

import pytest
import sqlalchemy as sa
from bench_parts import DIFFER, STAFF, example
from link_parts import ENDPOINT, PUBLIC, SAME_SITE, LinkBench

from coordinator.domain.delivery import State
from coordinator.letters.pdf import pages_text
from coordinator.store.tables import documents

FORM = {"kind": "agree", "name": "Łukasz Müller-Ångström", "role": "psychiatrist"}
DOSE = FORM | {
    "kind": "current-dose",
    "product": "Adderall XR",
    "form": "extended-release",
    "dose_value": "20",
    "dose_unit": "mg",
    "frequency": "once daily",
    "as_of": "2026-10-15",
}
PRIVATE = ("Zoë", "Núñez", "1988", "MRN-1001", "ketamine", "Adderall", "Müller", "184/112")


@pytest.fixture
def database_url(tmp_path):
    """The pages are the same over either database; the rows behind them have their tests on both."""
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


@pytest.fixture
def links(bench):
    made = LinkBench(bench)
    made.message = made.told()
    return made


@pytest.fixture
def web(links):
    with links.web() as made:
        yield made


def entered(links, web):
    answer = web.post("/l/open", data={"token": links.notice().token, "code": links.code})
    assert (answer.status_code, answer.headers["location"]) == (303, "/l/letter")
    return answer


def hidden(page) -> dict[str, str]:
    """Return the hidden fields of a read-back page."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def words(page) -> str:
    """Return the page's text, without tags and repeated blanks."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(page.text)).split())


def test_scanners_may_fetch_as_they_like_and_use_up_and_learn_nothing(links, web):
    path = links.notice().path
    for _ in range(50):
        for place in ("/l", f"/l/{path}", "/l/letter", "/l/letter/1/body", "/l/letter/1/pdf"):
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = web.request(method, place, headers={"Sec-Purpose": "prefetch"})
                assert not any(word in answer.text for word in PRIVATE)
                assert "set-cookie" not in answer.headers
    for _ in range(6):
        assert web.post("/l/open", data={"token": links.notice().token, "path": "", "code": ""}).status_code == 403
    assert links.bench.state(links.message.id) == State.SENT
    assert (links.link(links.message).opens, links.link(links.message).failures) == (0, 0)
    entered(links, web)


def test_a_short_address_looks_the_same_whether_there_is_a_letter_or_not(links, web):
    path = links.notice().path
    real, made_up = web.get(f"/l/{path}"), web.get("/l/AAAAA-BBBBB")
    assert (real.status_code, real.text.replace(path, "X")) == (200, made_up.text.replace("AAAAA-BBBBB", "X"))
    assert web.get("/l/a%22b").status_code == 404
    assert web.post("/l/open", data={"path": path, "code": links.code}).status_code == 303


def test_unknown_wrong_locked_and_expired_get_one_and_the_same_answer(links, web):
    token = links.notice().token

    def said(given, code):
        answer = web.post("/l/open", data={"token": given, "code": code})
        return answer.status_code, answer.text.replace(given, "T"), sorted(answer.headers.items())

    unknown = said("0" * 64, links.code)
    found = [said(token, "WRNG-C0DE") for _ in range(5)]
    locked = said(token, links.code)
    links.clock.turn(days=15)
    expired = said(token, links.code)
    assert unknown[0] == 403
    assert {str(one) for one in [*found, locked, expired]} == {str(unknown)}


def test_a_network_that_tries_too_often_is_told_to_wait(links, web):
    for number in range(20):
        web.post("/l/open", data={"token": f"{number:064x}", "code": "X"})
    slow = web.post("/l/open", data={"token": links.notice().token, "code": links.code})
    assert (slow.status_code, slow.headers["retry-after"]) == (429, "900")
    assert "Wait fifteen minutes" in slow.text


def test_of_an_ipv6_address_the_half_counts_that_one_customer_holds_whole(links, web):
    code = {"token": "0" * 64, "code": "X"}
    for number in range(20):
        assert links.web(f"2001:db8:1:2::{number:x}").post("/l/open", data=code).status_code == 403
    assert links.web("2001:db8:1:2:ffff::1").post("/l/open", data=code).status_code == 429
    for other in ("2001:db8:1:3::1", "::ffff:192.0.2.1"):
        assert links.web(other).post("/l/open", data=code).status_code == 403


def test_the_session_cookie_is_bound_to_the_host_and_kept_from_scripts(links, web):
    cookie = entered(links, web).headers["set-cookie"]
    assert cookie.startswith("__Host-letter=")
    for part in ("Max-Age=900", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


def test_every_page_carries_the_headers_of_a_private_page(links, web):
    pages = [web.get("/l"), web.get(f"/l/{links.notice().path}"), web.post("/l/open", data={"token": "x", "code": "y"})]
    pages += [entered(links, web), web.get("/l/letter"), web.get("/l/letter/1/pdf"), web.post("/l/answer", data=FORM)]
    pages += [web.post("/l/leave", data={"close": ""}), web.get("/l/letter")]
    for one in pages:
        assert one.headers["referrer-policy"] == "no-referrer"
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["x-robots-tag"].startswith("noindex, nofollow")
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["x-frame-options"] == "DENY"
        assert one.headers["cross-origin-opener-policy"] == "same-origin"
        assert "max-age=63072000" in one.headers["strict-transport-security"]
        policy = one.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http://" not in one.text.replace("http://www.w3.org", "")
        assert not re.search(r"(src|href|action)=\"(https?:)?//", one.text)
        assert not re.search(r"<script>|\son\w+=|style=", one.text)


def test_the_letter_in_its_frame_can_run_and_load_nothing(links, web):
    entered(links, web)
    body = web.get("/l/letter/1/body")
    assert body.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert body.headers["x-frame-options"] == "SAMEORIGIN"
    assert body.headers["cache-control"] == "no-store"
    assert "184/112" in body.text
    assert '<iframe title="The letter as it was written" sandbox=""' in web.get("/l/letter").text


def test_the_page_shows_the_request_first_and_gives_the_letter_as_a_file(links, web):
    entered(links, web)
    page = web.get("/l/letter")
    assert page.text.index("What the clinic asks") < page.text.index("Your answer") < page.text.index("The letter</h2>")
    assert "Please decide whether the stimulant should be held" in words(page)
    pdf = web.get("/l/letter/1/pdf")
    assert pdf.content.startswith(b"%PDF")
    assert re.fullmatch(r'attachment; filename="letter-[0-9A-Z-]+\.pdf"', pdf.headers["content-disposition"])


def test_no_address_holds_a_token_a_code_or_a_person(links, web):
    entered(links, web)
    page = web.get("/l/letter")
    read_back = web.post("/l/answer", data=DOSE)
    for one in (page, read_back):
        for place in re.findall(r'(?:src|href|action|formaction)="([^"]*)"', one.text):
            assert re.fullmatch(r"(/l/[a-z./]*|/l/letter/[1-9]/(pdf|body)|#[a-z-]+(-[1-9])?)", place), place
        assert links.notice().token not in one.text


def test_an_answer_is_read_back_before_it_is_stored(links, web):
    entered(links, web)
    read_back = web.post("/l/answer", data=DOSE)
    assert "Adderall XR , extended release" in words(read_back)
    assert "20 mg , once daily" in words(read_back)
    assert "15 October 2026" in words(read_back)
    assert links.answers_of(links.message) == []
    sent = web.post("/l/answer/confirm", data=hidden(read_back))
    assert (sent.status_code, sent.headers["location"]) == (303, "/l/letter")
    assert [one.kind for one in links.answers_of(links.message)] == ["current-dose"]
    assert "Here is the current dose” reached the clinic" in words(web.get("/l/letter"))


def test_double_submit_back_button_and_a_second_tab_store_one_answer(links, web):
    entered(links, web)
    first, second = hidden(web.post("/l/answer", data=FORM)), hidden(web.post("/l/answer", data=FORM))
    for fields in (first, first, second, first):
        assert web.post("/l/answer/confirm", data=fields).status_code == 303
    assert len(links.answers_of(links.message)) == 1


def test_a_corrected_answer_is_stored_beside_the_one_it_corrects(links, web):
    entered(links, web)
    for value in ("20", "30", "20", "20"):
        links.clock.turn(minutes=1)
        read_back = web.post("/l/answer", data=DOSE | {"dose_value": value})
        assert web.post("/l/answer/confirm", data=hidden(read_back)).status_code == 303
    doses = [one.said["dose"]["dose"]["value"] for one in links.answers_of(links.message)]
    assert doses == ["20", "30", "20"]
    assert words(web.get("/l/letter")).count("Here is the current dose” reached the clinic") == 3
    assert [str(one.said.dose.dose.value) for one in links.answers.waiting(STAFF)] == doses


def test_a_form_of_yesterday_stores_nothing(links, web):
    entered(links, web)
    old = hidden(web.post("/l/answer", data=FORM))
    links.clock.turn(days=1)
    assert web.post("/l/answer/confirm", data=old).status_code == 401
    entered(links, web)
    assert web.post("/l/answer/confirm", data=old).status_code == 401, "it was read back in another session"
    assert links.answers_of(links.message) == []


def test_what_was_not_read_back_is_not_stored(links, web):
    entered(links, web)
    right = hidden(web.post("/l/answer", data=DOSE))
    for wrong in ({"said": right["said"].replace("20", "90")}, {"nonce": "x" * 40}, {"mark": "0" * 64}, {"mark": "é"}):
        assert web.post("/l/answer/confirm", data=right | wrong).status_code == 401
    assert web.post("/l/answer/confirm", data={}).status_code in {401, 415}
    assert links.answers_of(links.message) == []


def test_an_answer_can_be_changed_after_it_was_read_back(links, web):
    entered(links, web)
    fields = hidden(
        web.post("/l/answer", data=DOSE | {"product": "other", "product_other": "Vyvanse", "form": "prodrug"})
    )
    page = web.post("/l/answer/change", data=fields)
    assert 'value="current-dose" required checked' in page.text
    assert 'value="Vyvanse"' in page.text
    assert '<option value="prodrug" selected>' in page.text
    assert 'value="20"' in page.text


FAULTS = [
    ({"kind": ""}, "Choose one of the answers."),
    ({"kind": "order"}, "Choose one of the answers."),
    ({"name": " "}, "Type your name."),
    ({"role": ""}, "Type your role"),
    ({"dose_value": "twenty"}, "Type the dose as a number"),
    ({"dose_value": "20 mg"}, "Type the dose as a number"),
    ({"dose_value": "0"}, "Type the dose as a number"),
    ({"dose_value": "2,5"}, "Type the dose as a number"),
    ({"dose_unit": ""}, "Choose the unit"),
    ({"dose_unit": "mL"}, "Choose the unit"),
    ({"product": ""}, "Choose the medicine"),
    ({"as_of": ""}, "Give the day from which"),
    ({"as_of": "15/10/2026"}, "Give the day from which"),
    ({"as_of": "2026-10-17"}, "cannot begin on a later day"),
    ({"kind": "call-me"}, "Give the number"),
    ({"kind": "call-me", "phone": "later"}, "could not be read"),
    ({"kind": "different-plan", "dose_value": ""}, "Say in a few words"),
]


def test_a_form_with_a_fault_says_what_is_wrong_and_keeps_what_was_typed(links, web):
    entered(links, web)
    for changes, sentence in FAULTS:
        page = web.post("/l/answer", data=DOSE | changes)
        assert page.status_code == 422, changes
        assert sentence in words(page), changes
        assert "Nothing was sent yet." in words(page)
        assert 'value="once daily"' in page.text
    assert links.answers_of(links.message) == []


def test_a_telephone_number_is_read_back_with_its_country(links, web):
    entered(links, web)
    read_back = web.post("/l/answer", data=FORM | {"kind": "call-me", "phone": "(218) 555-0143"})
    assert "+12185550143" in words(read_back)


def test_what_a_reader_types_is_text_and_never_markup(links, web):
    entered(links, web)
    read_back = web.post("/l/answer", data=FORM | {"note": "<script>alert(1)</script>", "name": '"><img src=x>'})
    assert "<script>alert" not in read_back.text
    assert "<img" not in read_back.text
    assert "<script>alert(1)</script>" in html.unescape(read_back.text)


def test_a_wrong_recipient_is_thanked_and_the_letter_is_closed(links, web):
    entered(links, web)
    read_back = web.post("/l/answer", data=FORM | {"kind": "not-my-patient"})
    assert "sent to the wrong person" in words(read_back)
    thanks = web.post("/l/answer/confirm", data=hidden(read_back))
    assert thanks.status_code == 200
    assert "The clinic has your answer" in words(thanks)
    assert web.get("/l/letter").status_code == 401
    assert web.get("/l/letter/1/pdf").status_code == 401


def test_the_dose_is_asked_of_its_prescriber_alone(links, web):
    team = example("clinic")["patients"][0]["care_team"]
    team[0]["prescribes"] = []
    links.bench.change_patient(care_team=team)
    entered(links, web)
    page = web.get("/l/letter")
    assert "Here is the current dose" not in page.text
    assert "Only the prescriber" in words(web.post("/l/answer", data=DOSE))


def test_consent_withdrawn_closes_the_open_page_at_once(links, web):
    entered(links, web)
    read_back = hidden(web.post("/l/answer", data=FORM))
    consents = example("clinic")["patients"][0]["consents"]
    consents[0] |= {"revoked_on": "2026-10-16"}
    links.bench.change_patient(consents=consents)
    for place in ("/l/letter", "/l/letter/1/body", "/l/letter/1/pdf"):
        answer = web.get(place)
        assert answer.status_code == 401
        assert not any(word in answer.text for word in PRIVATE)
    assert web.post("/l/answer/confirm", data=read_back).status_code == 401


def test_leaving_closes_the_letter_on_this_computer(links, web):
    cookie = entered(links, web).cookies["__Host-letter"]
    assert "The letter is closed" in web.post("/l/leave", data={"close": ""}).text
    web.cookies.set("__Host-letter", cookie)
    assert web.get("/l/letter").status_code == 401


def test_a_form_of_another_site_does_nothing(links, web):
    fields = {"token": links.notice().token, "code": links.code}
    for site in ("cross-site", "same-site", ""):
        assert web.post("/l/open", data=fields, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert links.link(links.message).failures == 0
    assert web.post("/l/open", data=fields, headers=SAME_SITE).status_code == 303


def test_an_old_browser_that_says_nothing_of_the_site_is_heard_with_our_own_origin_only(links):
    with links.web() as old:
        del old.headers["Sec-Fetch-Site"]
        for origin, status in (("https://evil.example", 403), ("null", 303), (PUBLIC, 303)):
            fields = {"token": links.notice().token, "code": links.code}
            assert old.post("/l/open", data=fields, headers={"Origin": origin}).status_code == status


def test_a_form_that_is_too_long_or_no_form_is_refused(links, web):
    assert web.post("/l/open", data={"code": "x" * 20_000}).status_code == 413
    assert web.post("/l/open", json={"code": "x"}).status_code == 415
    assert (
        web.post("/l/open", content=b"a=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code
        == 400
    )
    assert web.get("/l/open").status_code in {200, 405}
    assert links.link(links.message).opens == 0


def test_every_letter_route_says_why_it_is_open(links):
    from coordinator.api.access import Public, check_routes

    app = links.web().app
    check_routes(app)
    found = [route for route in app.routes if route.path.startswith("/l")]
    assert len(found) == 11
    for route in found:
        (gate,) = [one.call for one in route.dependant.dependencies if isinstance(one.call, Public)]
        assert gate.why


def test_a_question_about_a_medicine_wants_the_dose_and_no_agreement(bench):
    links = LinkBench(bench)
    clinic = example("clinic")
    clinic["providers"][0]["endpoints"] = [
        {"id": ENDPOINT, "kind": "secure-link", "address": "office@northshore.example", "verified_on": "2026-09-01"}
    ]
    stated = clinic["patients"][0]["medications"][0]
    prescribed = {"dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-10", "source": "prescriber"}
    clinic["patients"][0]["medications"] = [stated, stated | prescribed]
    written = bench.registry.write_whole(json.dumps(clinic, ensure_ascii=False).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    spike = example("session-outcome.bp-spike")
    calm = [one | {"systolic": 120 + at, "diastolic": 78, "heart_rate": 70} for at, one in enumerate(spike["vitals"])]
    links.told(vitals=calm, other_medications_taken=[])
    with links.web() as web:
        entered(links, web)
        page = web.get("/l/letter")
    assert "Please tell us which stimulant regimen is prescribed now" in words(page)
    assert 'value="current-dose"' in page.text
    assert 'value="agree"' not in page.text
    assert 'value="different-plan"' not in page.text


def test_two_letters_of_one_message_can_both_be_read_and_taken_along_and_one_answer_covers_both(bench):
    links = LinkBench(bench, medications=DIFFER)
    links.message = links.told()
    assert links.message.letters == ("L5", "L12", "L11")
    with links.web() as web:
        for place in ("/l/letter/2/body", "/l/letter/2/pdf"):
            assert web.get(place).status_code == 401, "without a session there is nothing"
        entered(links, web)
        page = web.get("/l/letter")
        alert, question = re.findall(r"<pre>(.*?)</pre>", page.text, re.DOTALL)
        assert "184/112" in alert
        assert "Reply form" in question
        frames = re.findall(r'<iframe [^>]*sandbox="" src="([^"]+)"', page.text)
        bodies = [web.get(one) for one in frames]
        assert "184/112" in bodies[0].text
        assert "Reply form" in bodies[1].text
        assert all(one.headers["content-security-policy"].startswith("sandbox;") for one in bodies)
        files = [web.get(one) for one in re.findall(r'<a href="([^"]+)" download>', page.text)]
        assert ["184/112" in " ".join(pages_text(one.content)) for one in files] == [True, False]
        names = [re.search(r'filename="([^"]+)"', one.headers["content-disposition"]).group(1) for one in files]
        assert names == [f"letter-{links.message.reference}.pdf", f"letter-{links.message.reference}-2.pdf"]
        assert web.get("/l/letter/3/pdf").status_code == 401
        assert "Your answer counts for them all" in words(page)
        assert "Only “Here is the current dose” answers the question about the medicine" in words(page)
        read_back = web.post("/l/answer", data=FORM | {"kind": "acknowledged"})
        assert web.post("/l/answer/confirm", data=hidden(read_back)).status_code == 303
    (answer,) = links.answers_of(links.message)
    assert (answer.kind, answer.message_id) == ("acknowledged", links.message.id)
    assert links.bench.state(links.message.id) == State.ACKNOWLEDGED


def test_a_letter_that_is_not_the_composed_one_closes_them_all(bench):
    links = LinkBench(bench, medications=DIFFER)
    message = links.told()
    session = links.enter()
    with bench.store.begin() as tx:
        last = [one[0] for one in tx.documents(message.id) if one[1] == "letter-text"][-1]
        tx.connection.execute(sa.update(documents).where(documents.c.id == last).values(sha256="0" * 64))
    assert links.reader.view(session) is None
