"""A letter goes by the number that counts now, not by the one it was composed under."""

import base64
import json
from dataclasses import replace

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import NeedsHuman
from coordinator.sandbox.ehr import Ehr
from tests.contract.entries import MemoryEntries
from tests.contract.people import (
    CLINIC,
    PATIENT,
    NoSignIn,
    WallClock,
    a_chart,
    a_document,
    a_package,
    document_reference,
)
from tests.contract.test_fhir_rest import CREATED, FAR_PATIENT, at, far_side, soon, with_far_side
from tests.contract.test_whose_record import NUMBER, SYSTEM, WRONG, a_letter, named, post, posts

pytestmark = pytest.mark.loopback

OWN = (f"urn:coordinator:{CLINIC.npi}:mrn", PATIENT.id)


def fhir_form(*numbers):
    """Return a whole FHIR document about a patient of these numbers, as one form of a letter."""
    listed = [{"system": SYSTEM, "value": one} for one in numbers]
    whole = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "identifier": listed}}]}
    data = base64.b64encode(json.dumps(whole).encode()).decode()
    return [{"attachment": {"contentType": "application/fhir+json", "data": data}}]


@pytest.mark.parametrize("subject", [named(WRONG), named(NUMBER, "urn:example:other"), {"identifier": {"value": "1"}}])
def test_a_letter_that_names_the_patient_by_another_number_than_the_one_matched_is_composed_anew(subject):
    with with_far_side(far_side(CREATED)) as (channel, far):
        came = post(channel, far, a_letter(a_package(), subject))
        assert (came, posts(far)) == (("fhir.patient-renumbered", []), [])


@pytest.mark.parametrize("subject", [named(NUMBER), named(OWN[1], OWN[0]), {"reference": "Patient/far-1"}])
def test_a_letter_goes_by_the_number_matched_and_by_the_clinics_own(subject):
    with with_far_side(far_side(CREATED)) as (channel, far):
        taken, _ = post(channel, far, a_letter(a_package(), subject))
        assert (taken.proven, len(posts(far))) == (True, 1)


@pytest.mark.parametrize(("numbers", "sent"), [((NUMBER,), 1), ((NUMBER, WRONG), 0)])
def test_the_whole_fhir_document_inside_a_letter_is_looked_into_too(numbers, sent):
    with with_far_side(far_side(CREATED)) as (channel, far):
        post(channel, far, a_letter(a_package(), named(NUMBER), content=fhir_form(*numbers)))
        assert len(posts(far)) == sent


def test_neither_of_two_letters_goes_by_an_older_number(http):
    package = a_package()
    letters = [
        document_reference(package.message, subject=named(WRONG), masterIdentifier={"system": "s", "value": name})
        for name in ("one", "two")
    ]
    bodies = [a_document("fhir-document", json.dumps(one).encode(), "application/fhir+json") for one in letters]
    with far_side(CREATED) as far:
        channel = FhirRest(http, NoSignIn(), WallClock(), book=MemoryEntries())
        came, _ = post(channel, far, replace(package, documents=tuple(bodies)))
        assert (came, posts(far)) == ("fhir.patient-renumbered", [])


@pytest.mark.parametrize(("theirs", "sent"), [([], 1), ([{"system": SYSTEM, "value": "NS-2"}], 0)])
def test_where_the_patient_is_found_by_name_a_number_goes_unless_the_record_speaks_against_it(theirs, sent):
    record = {**FAR_PATIENT, "identifier": theirs}
    with with_far_side(far_side(CREATED, patients=(record,))) as (channel, far):
        post(channel, far, a_letter(a_package(), named(NUMBER)), patient_match="demographics")
        assert len(posts(far)) == sent


@pytest.fixture
def ehr(tmp_path):
    one = Ehr(tmp_path)
    one.start()
    one.admit(PATIENT, "pr-psych")
    yield one
    one.stop()


def test_a_chart_under_an_older_number_does_not_give_way_to_a_document_under_the_same(ehr, http):
    package = a_package(roles=("fhir-chart", "fhir-document"))
    chart = a_document("fhir-chart", json.dumps(a_chart(package.message, WRONG)).encode(), "application/fhir+json")
    letter = a_letter(package, named(WRONG)).document("fhir-document")
    with pytest.raises(NeedsHuman) as caught:
        FhirRest(http, NoSignIn(), WallClock()).send(
            replace(package, documents=(chart, letter)), at(ehr), deadline=soon(), about_to_send=lambda ref: None
        )
    assert (caught.value.code, ehr.count()) == ("fhir.patient-renumbered", 0)


def test_a_chart_that_lists_an_older_number_beside_the_right_one_writes_it_into_nobodys_record(ehr, http):
    package = a_package(roles=("fhir-chart", "fhir-document"))
    chart = a_chart(package.message)
    chart["entry"][0]["resource"]["identifier"].append({"system": SYSTEM, "value": WRONG})
    body = a_document("fhir-chart", json.dumps(chart).encode(), "application/fhir+json")
    package = replace(package, documents=(body, package.document("fhir-document")))
    taken = FhirRest(http, NoSignIn(), WallClock()).send(
        package, at(ehr), deadline=soon(), about_to_send=lambda ref: None
    )
    assert taken.facts["level"] == "document"
