import sqlite3

import pytest

from coordinator.sandbox import ehr_records as records


@pytest.fixture
def db():
    one = sqlite3.connect(":memory:")
    one.executescript(records.SCHEMA)
    yield one
    one.close()


def a_flag(value="f-1", **more):
    return {"resourceType": "Flag", "identifier": [{"system": "urn:s", "value": value}], **more}


def bundle(*entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": [*entries]}


def entry(resource, method="POST", url=None, **request):
    return {"resource": resource, "request": {"method": method, "url": url or resource["resourceType"], **request}}


def statuses(db, *entries):
    answers, changed = records.transact(db, bundle(*entries))
    return [one["response"]["status"][:3] for one in answers], changed


def test_a_conditional_create_happens_once(db):
    one = entry(a_flag(), ifNoneExist="identifier=urn:s|f-1")
    assert statuses(db, one) == (["201"], True)
    assert statuses(db, one) == (["200"], False)
    assert len(records.find(db, "Flag", "identifier=urn:s|f-1")) == 1


def test_a_conditional_update_changes_only_what_differs(db):
    url = "Flag?identifier=urn:s|f-1"
    assert statuses(db, entry(a_flag(), "PUT", url)) == (["201"], True)
    assert statuses(db, entry(a_flag(), "PUT", url)) == (["200"], False)
    assert statuses(db, entry(a_flag(status="active"), "PUT", url)) == (["200"], True)
    (one_id,) = records.find(db, "Flag", "identifier=urn:s|f-1")
    assert records.load(db, "Flag", one_id)["meta"]["versionId"] == "2"


def test_several_matches_are_refused(db):
    records.store(db, a_flag())
    records.store(db, a_flag())
    for one in (
        entry(a_flag(), ifNoneExist="identifier=urn:s|f-1"),
        entry(a_flag(), "PUT", "Flag?identifier=urn:s|f-1"),
        entry(a_flag("f-2", subject={"reference": "Flag?identifier=urn:s|f-1"})),
    ):
        with pytest.raises(records.Conflict) as caught:
            records.transact(db, bundle(one))
        assert caught.value.status == 412


def test_references_inside_a_bundle_become_literal(db):
    first = entry(a_flag("a"), ifNoneExist="identifier=urn:s|a") | {"fullUrl": "urn:uuid:1"}
    records.transact(db, bundle(first, entry(a_flag("b", subject={"reference": "urn:uuid:1"}))))
    (a,), (b,) = records.find(db, "Flag", "identifier=urn:s|a"), records.find(db, "Flag", "identifier=urn:s|b")
    assert records.load(db, "Flag", b)["subject"]["reference"] == f"Flag/{a}"


def test_a_resource_without_identifier_is_found_by_its_tag(db):
    one = {"resourceType": "Flag", "meta": {"tag": [{"system": "urn:t", "code": "x"}]}}
    entry_ = entry(one, ifNoneExist="_tag=urn:t|x")
    assert [statuses(db, entry_), statuses(db, entry_)] == [(["201"], True), (["200"], False)]


@pytest.mark.parametrize("condition", ["", "name=x", "identifier=", "identifier=a|b&_tag=c|d"])
def test_a_condition_that_would_match_anybody_is_refused(db, condition):
    with pytest.raises(records.Conflict) as caught:
        records.find(db, "Flag", condition)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "bad", [{}, {"resource": {}}, entry(a_flag(), "DELETE"), entry(a_flag(), "PUT", "Flag?name=x"), {"request": {}}]
)
def test_an_entry_that_cannot_be_done_stops_the_whole(db, bad):
    with pytest.raises(records.Conflict):
        records.transact(db, bundle(bad))
