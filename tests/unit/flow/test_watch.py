import json
import os
import stat

import pytest

from coordinator.domain.errors import ConfigurationError
from coordinator.flow.watch import WatchedFolder, folder_lock
from tests.contract.people import CANARY
from tests.unit.flow.watched import FAULT, drop, looks, names


def test_a_file_that_stands_still_is_submitted_and_moved_to_done(tmp_path, desk, place):
    drop(tmp_path, "events.json")
    assert list(place.round()) == []
    (taken,) = place.round()
    assert (taken.place, taken.counts) == ("done", (("accepted", 1),))
    assert names(tmp_path) == []
    assert names(tmp_path / "done") == ["events.json"]
    assert len(desk.given) == 1


def test_a_file_that_still_grows_is_left_alone(tmp_path, desk, place):
    for length in range(1, 4):
        drop(tmp_path, "events.ndjson", '{"id": "a"}\n' * length)
        assert list(place.round()) == []
    assert desk.given == []
    assert len(list(place.round())) == 1


@pytest.mark.parametrize(
    "name",
    [".events.json", "events.json.part", "events.json.tmp", "events.filepart", "events.json~", "notes.txt"],
)
def test_hidden_unfinished_and_foreign_files_are_left_alone(tmp_path, desk, place, name):
    drop(tmp_path, name)
    assert looks(place, 3) == []
    assert names(tmp_path) == [name]


def test_links_and_folders_are_left_alone(tmp_path, desk, place):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "outside.txt").write_text('{"id": "secret"}')
    (tmp_path / "link.json").symlink_to(tmp_path / "outside.txt")
    assert looks(place, 3) == []
    assert desk.given == []


def test_a_file_renamed_into_place_is_taken(tmp_path, desk, place):
    drop(tmp_path, "events.json.part")
    looks(place)
    (tmp_path / "events.json.part").rename(tmp_path / "events.json")
    assert len(looks(place)) == 1


def test_what_is_refused_goes_to_refused_with_the_reasons_beside_it_and_no_value_in_them(tmp_path, desk, place):
    drop(tmp_path, "events.ndjson", f'{{"id": "a"}}\n{{"bad": "{CANARY}"}}\n{{"id": "b"}}\n')
    (taken,) = looks(place)
    assert (taken.place, dict(taken.counts)) == ("refused", {"accepted": 2, "refused": 1})
    assert names(tmp_path / "refused") == ["events.ndjson", "events.ndjson.reasons.json"]
    text = (tmp_path / "refused" / "events.ndjson.reasons.json").read_text()
    assert CANARY not in text
    (row,) = json.loads(text)["refused"]
    assert row["place"] == "line 2"
    assert row["faults"] == [{"pointer": FAULT[0], "what": FAULT[1], "fix": FAULT[2]}]


def test_neither_the_answer_nor_the_reasons_name_the_file(tmp_path, desk, place):
    drop(tmp_path, f"{CANARY}.json", '{"bad": 1}')
    (taken,) = looks(place)
    assert CANARY not in repr(taken)
    assert CANARY not in (tmp_path / "refused" / f"{CANARY}.json.reasons.json").read_text()


@pytest.mark.parametrize("body", ["", "\n\n", "[]"])
def test_a_file_without_an_event_is_refused_and_says_so(tmp_path, desk, place, body):
    drop(tmp_path, "events.json", body)
    (taken,) = looks(place)
    assert taken.place == "refused"
    assert "no event" in (tmp_path / "refused" / "events.json.reasons.json").read_text() or desk.given


def test_rows_of_a_csv_file_are_events_and_one_in_another_encoding_is_refused(tmp_path, desk, place):
    drop(tmp_path, "rows.csv", "id,patient\ns-1,MRN-1\ns-2,MRN-2\n")
    looks(place)
    (tmp_path / "old.csv").write_bytes("id,patient\ns-1,Müller\n".encode("latin-1"))
    (taken,) = looks(place)
    assert taken.place == "refused"
    reasons = json.loads((tmp_path / "refused" / "old.csv.reasons.json").read_text())["refused"]
    assert any("UTF-8" in fault["what"] for row in reasons for fault in row["faults"])


def test_two_files_of_one_name_both_keep_their_place(tmp_path, desk, place):
    for text in ('{"id": "a"}', '{"id": "b"}', '{"id": "a"}', '{"id": "a"}'):
        drop(tmp_path, "events.json", text)
        looks(place)
    assert len(names(tmp_path / "done")) == 4
    assert {(tmp_path / "done" / one).read_text() for one in names(tmp_path / "done")} == {'{"id": "a"}', '{"id": "b"}'}


def test_a_database_that_is_away_leaves_the_file_where_it_is(tmp_path, desk, place):
    drop(tmp_path, "events.json")
    desk.fail = OSError("away")
    list(place.round())
    with pytest.raises(OSError, match="away"):
        list(place.round())
    assert names(tmp_path) == ["events.json"]
    desk.fail = None
    assert len(looks(place)) == 1
    assert names(tmp_path / "done") == ["events.json"]


def test_a_file_that_was_submitted_and_not_moved_comes_again_as_a_replay(tmp_path, desk):
    drop(tmp_path, "events.ndjson", '{"id": "a"}\n{"id": "b"}\n')
    first = WatchedFolder(tmp_path, desk.submit)
    first._move = lambda *_: pytest.fail("killed here")  # the moment between the answer and the move
    list(first.round())
    with pytest.raises(pytest.fail.Exception):
        list(first.round())
    (taken,) = looks(WatchedFolder(tmp_path, desk.submit))
    assert (taken.place, dict(taken.counts)) == ("done", {"replay": 2})


def test_files_are_taken_oldest_first(tmp_path, desk, place):
    for number, name in enumerate(("c.json", "a.json", "b.json")):
        drop(tmp_path, name, json.dumps({"id": name}))
        os.utime(tmp_path / name, (1_000_000 + number, 1_000_000 + number))
    looks(place)
    assert [json.loads(one)["id"] for one in desk.given] == ["c.json", "a.json", "b.json"]


def test_asked_to_stop_it_takes_no_further_file(tmp_path, desk):
    for name in ("a.json", "b.json", "c.json"):
        drop(tmp_path, name, json.dumps({"id": name}))
    place = WatchedFolder(tmp_path, desk.submit, may_go_on=lambda: len(desk.given) < 1)
    looks(place)
    assert len(desk.given) == 1
    assert len(names(tmp_path)) == 2


def test_one_process_watches_a_folder(tmp_path):
    with folder_lock(tmp_path), pytest.raises(ConfigurationError), folder_lock(tmp_path):
        pytest.fail("two at once")
    with folder_lock(tmp_path):
        pass
    with pytest.raises(ConfigurationError), folder_lock(tmp_path / "missing"):
        pytest.fail("no folder")


def test_what_was_taken_in_is_readable_by_its_owner_alone(tmp_path, place):
    for name in ("done", "refused"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
