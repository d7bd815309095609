"""A record system that takes notes as text only, with a letter as the product writes it."""

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.flow.compose import compose, documents_of
from coordinator.flow.parts import Workshop
from coordinator.flow.ports import StoredDocument
from coordinator.letters.columns import TEXT_COLUMNS
from coordinator.letters.text import text_of
from coordinator.letters.write import load_letters
from coordinator.mapping.load import load
from coordinator.planning.rules import load_rules
from coordinator.sandbox.ehr import Ehr
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.real_content import body_of, case_of, example, package_of

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parents[2]
VERIFIED = {"verified_on": "2026-09-01", "verified_by": "st-desk"}


@pytest.fixture(scope="module")
def shop():
    rules = ROOT / "mappings" / "rules"
    book = load_rules(rules / "coordination.yaml", rules / "signatures.demonstration.yaml", accept_demonstration=True)
    return Workshop(rules=book, mappings=load(ROOT / "mappings"), letters=load_letters(ROOT / "templates"))


def written(shop, case):
    """Return (package, endpoint, letters) of the psychiatrist, composed and stored as the service does it."""
    made = next(one for one in compose(shop, case).recipients if one.plan.provider == "pr-psych")
    package, endpoint = package_of(shop.mappings, case, letters=())
    stored = [
        StoredDocument(one.id, one.role, one.media_type, one.body, one.sha256, one.title)
        for one in documents_of(package.message, made)
    ]
    return replace(package, documents=tuple(stored)), endpoint, made.letters


def notes(resources):
    """Return the attachments of the documents among them."""
    return [
        content["attachment"]
        for one in resources
        if one["resourceType"] == "DocumentReference"
        for content in one["content"]
    ]


def decoded(attachment):
    body = base64.b64decode(attachment["data"])
    assert attachment["size"] == len(body)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(body, usedforsecurity=False).digest()
    return body.decode()


def fits(text, letter, columns):
    assert max(map(len, text.splitlines())) <= columns
    kept = [sign for sign in text if sign.isalnum()]
    assert kept == [sign for sign in text_of(letter.html) if sign.isalnum()]


@pytest.mark.parametrize("event", ["session-outcome.bp-spike", "dose-change.stimulant-hold"])
def test_an_epic_like_server_takes_and_holds_the_whole_letter_no_wider_than_its_window(tmp_path, shop, event):
    there = Ehr(tmp_path, play="epic-like")
    there.start()
    try:
        case = case_of(example(event), "epic-like", there.address, VERIFIED)
        there.admit(case.patient, "pr-psych")
        (patient,) = there.resources("Patient")
        visit = {"reference": f"Patient/{patient['id']}"}
        there.seed({"resourceType": "Encounter", "status": "in-progress", "subject": visit}, "visit-1")
        package, endpoint, letters = written(shop, case)
        with guarded_client(OutboundConfig(allow_loopback=True)) as http:
            channel = FhirRest(http, NoSignIn(), WallClock(), partners=shop.mappings.partners, book=MemoryEntries())
            taken = channel.send(
                package,
                endpoint,
                deadline=WallClock().now() + timedelta(seconds=20),
                about_to_send=lambda ref: None,
            )
        held = notes(there.resources("DocumentReference"))
    finally:
        there.stop()
    assert taken.proven
    assert [one["contentType"] for one in held] == ["text/plain"] * len(letters)
    for attachment, letter in zip(held, letters, strict=True):
        fits(decoded(attachment), letter, TEXT_COLUMNS)


def test_a_partner_whose_window_is_known_gets_lines_of_that_width(shop):
    partner = replace(shop.mappings.partners["epic-like"], text_columns=40)
    narrow = replace(shop, mappings=replace(shop.mappings, partners={"epic-like": partner}))
    package, _, letters = written(narrow, case_of(example("session-outcome.bp-spike"), "epic-like", endpoint=VERIFIED))
    entries = [one["resource"] for one in body_of(package, "fhir-singles")["entry"]]
    (attachment,) = notes(entries)
    fits(decoded(attachment), letters[0], 40)


def test_an_endpoint_that_itself_says_text_only_gets_no_pdf_at_any_level(shop):
    case = case_of(example("session-outcome.bp-spike"), None, endpoint={**VERIFIED, "accepts": ["text/plain"]})
    package, _, letters = written(shop, case)
    for role in ("fhir-chart", "fhir-document"):
        body = body_of(package, role)
        resources = [one["resource"] for one in body["entry"]] if body["resourceType"] == "Bundle" else [body]
        (attachment,) = notes(resources)
        assert attachment["contentType"] == "text/plain"
        fits(decoded(attachment), letters[0], TEXT_COLUMNS)


def test_beside_the_pdf_the_text_flows_freely(shop):
    package, _, letters = written(shop, case_of(example("session-outcome.bp-spike"), None, endpoint=VERIFIED))
    pdf, text = notes(one["resource"] for one in body_of(package, "fhir-chart")["entry"])
    assert (pdf["contentType"], text["contentType"]) == ("application/pdf", "text/plain")
    assert decoded(text) == letters[0].text
