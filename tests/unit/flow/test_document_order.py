from types import SimpleNamespace

from coordinator.flow.document_order import document_id, in_order


def kept(role, place, message="m-1"):
    return SimpleNamespace(id=document_id(message, role, place), role=role, place=place)


def test_two_letters_come_in_the_order_they_were_made_in_every_form():
    made = [kept(role, place) for place, role in enumerate(["letter-html", "letter-text", "letter-pdf"] * 4)]
    by_name = sorted(made, key=lambda one: (one.role, one.id))
    found = in_order("m-1", by_name)
    assert [one.role for one in found] == [one.role for one in by_name]
    for role in ("letter-html", "letter-text", "letter-pdf"):
        places = [one.place for one in found if one.role == role]
        assert places == sorted(places)
    assert [one.place for one in by_name] != [one.place for one in found], "by their names they come shuffled"


def test_a_document_of_an_unknown_name_is_kept_and_comes_last():
    known, strange = kept("letter-pdf", 2), SimpleNamespace(id="strange", role="letter-pdf", place=None)
    assert in_order("m-1", [strange, known]) == [known, strange]
