"""What a server says it took, and what it made of it: its own copy is read, and judged."""

from dataclasses import replace

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import NeedsHuman
from coordinator.mapping.partners import ReadBack
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.web import Fault, Reply
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.test_ehr_plays import Far, made, soon

pytestmark = pytest.mark.loopback


@pytest.fixture
def there(tmp_path):
    far = Far(tmp_path, "oracle-like")
    yield far
    far.ehr.stop()


class Sender:
    def __init__(self, http, mappings, there, wish):
        partners = {"oracle-like": replace(mappings.partners["oracle-like"], read_back=wish)}
        self.channel = FhirRest(
            http, NoSignIn(), WallClock(), partners=partners, book=MemoryEntries(), settle_s=0
        )  # fmt: skip
        self.package, self.endpoint = made(mappings, there, "oracle-like")

    def send(self):
        return self.channel.send(self.package, self.endpoint, deadline=soon(), about_to_send=lambda ref: None)

    def look_up(self, place):
        return self.channel.look_up(self.package, self.endpoint, place, deadline=soon())


@pytest.fixture
def sender(http, mappings, there):
    return lambda wish: Sender(http, mappings, there, wish)


def let_it_keep(ehr: Ehr, change, *, say_nothing=True):
    """Have the server answer success, and keep of each letter what `change` makes of it."""
    create = ehr._create

    def keeping(resource, request):
        if resource["resourceType"] != "DocumentReference":
            return create(resource, request)
        reply = create(change(dict(resource)), request)
        return Reply(reply.status, b"", reply.headers) if say_nothing else reply

    ehr._create = keeping


def without(*names):
    return lambda one: {name: value for name, value in one.items() if name not in names}


def at(patient):
    return lambda one: {**one, "subject": {"reference": patient}}


def reads(there):
    return [one for one in there.ehr.requests() if one[0] == "GET" and "/DocumentReference/" in one[1]]


def forget_letters(there):
    with there.ehr._shelf.keep() as db:
        db.execute("DELETE FROM resources WHERE type='DocumentReference'")


def test_a_letter_that_is_there_as_sent_is_proven_by_one_read(there, sender):
    taken = sender(ReadBack()).send()
    assert (taken.proven, taken.facts["read back"], len(reads(there))) == (True, "as sent", 1)


def test_where_nobody_asked_for_it_nothing_is_read(there, sender):
    taken = sender(None).send()
    assert (taken.proven, reads(there)) == (True, [])
    assert "read back" not in taken.facts


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (without("subject"), "patient"),
        (without("content"), "content"),
        (without("date"), "date"),
        (lambda one: {**one, "date": "2020-01-01T00:00:00Z"}, "date"),
        (lambda one: {**one, "context": without("period")(one["context"])}, "context.period.start"),
        (lambda one: {**one, "status": "entered-in-error"}, "status"),
        (lambda one: {**one, "content": [{"attachment": {"contentType": "application/pdf"}}]}, "content"),
        (
            lambda one: {**one, "content": [{"attachment": {"contentType": "application/pdf", "data": "QUJD"}}]},
            "content",
        ),
    ],
)
def test_a_field_that_was_silently_dropped_or_changed_holds_the_letter_and_is_named(there, sender, change, differs):
    let_it_keep(there.ehr, change)
    with pytest.raises(NeedsHuman) as caught:
        sender(ReadBack()).send()
    assert caught.value.code == "fhir.altered"
    assert differs in caught.value.detail.decode()


def test_what_the_server_is_known_to_set_itself_may_differ(there, sender):
    let_it_keep(there.ehr, lambda one: {**one, "date": "2026-10-14T23:59:59Z"})
    assert sender(ReadBack(ignores=("date",))).send().proven


def test_a_letter_filed_in_another_patients_record_is_found_by_reading_it(there, sender):
    let_it_keep(there.ehr, at("Patient/somebody-else"))
    with pytest.raises(NeedsHuman) as caught:
        sender(ReadBack(ignores=("status", "date", "context.period", "relatesTo", "content"))).send()
    assert caught.value.code == "fhir.other-patient"


def test_an_answer_that_shows_another_patients_record_is_believed_without_asking(there, sender):
    let_it_keep(there.ehr, at("Patient/somebody-else"), say_nothing=False)
    with pytest.raises(NeedsHuman) as caught:
        sender(None).send()
    assert (caught.value.code, reads(there)) == ("fhir.other-patient", [])


def test_what_is_gone_a_moment_later_is_not_proven_and_comes_out_when_it_is_asked_for_again(there, sender):
    create = there.ehr._create

    def losing(resource, request):
        reply = create(resource, request)
        forget_letters(there)
        return reply

    there.ehr._create = losing
    one = sender(ReadBack())
    taken = one.send()
    assert (taken.proven, taken.expect_receipt_within_s) == (False, 60)
    answer = one.look_up(taken.far_side_ref)
    assert (answer.verdict, answer.code, answer.retry) == ("failed", "fhir.not-kept", False)


def test_a_later_look_proves_it_or_finds_out(there, sender):
    one = sender(ReadBack(after_s=3600))
    taken = one.send()
    assert (taken.proven, taken.expect_receipt_within_s, reads(there)) == (False, 3600, [])
    assert one.look_up(taken.far_side_ref).verdict == "arrived-proven"
    with there.ehr._shelf.keep() as db:
        db.execute("UPDATE resources SET id='moved-1' WHERE type='DocumentReference'")
        db.execute("UPDATE resources SET body=json_set(body,'$.id','moved-1') WHERE type='DocumentReference'")
    moved = one.look_up(taken.far_side_ref)
    assert (moved.verdict, moved.far_side_ref) == ("arrived-proven", "DocumentReference/moved-1")
    forget_letters(there)
    assert one.look_up(taken.far_side_ref).code == "fhir.not-kept"


def test_a_server_that_cannot_be_read_right_now_is_asked_later_and_the_letter_is_not_sent_again(there, sender):
    def unreadable(path, query):
        return Reply(503, b"", {}) if path.startswith("DocumentReference/") else get(path, query)

    get, there.ehr._get = there.ehr._get, unreadable
    one = sender(ReadBack())
    taken = one.send()
    there.ehr._get = get
    assert not taken.proven
    assert one.look_up(taken.far_side_ref).verdict == "arrived-proven"
    assert len(there.posts("DocumentReference")) == 1


def test_what_may_have_arrived_is_compared_too_when_it_is_found(there, sender):
    let_it_keep(there.ehr, without("content"))
    there.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
    one = sender(ReadBack())
    with pytest.raises(Exception, match="after-send"):
        one.send()
    (letter,) = there.ehr.resources("DocumentReference")
    answer = one.look_up(f"DocumentReference/{letter['id']}")
    assert (answer.verdict, answer.code) == ("failed", "fhir.altered")
