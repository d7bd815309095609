"""The watched folder when something is in the way: no file is lost, none stops the others, and each trouble is told."""

import json
import os
import sys

import pytest

from coordinator.domain.errors import ConfigurationError
from coordinator.flow import watch
from coordinator.flow.read_models import Recorded
from coordinator.flow.watch import WatchedFolder, folder_lock
from coordinator.flow.watch_moves import LOCK
from tests.unit.flow.watched import drop, looks, names


def ids(desk):
    return [json.loads(one)["id"] for one in desk.given]


def test_a_file_that_takes_the_place_of_the_one_being_read_is_read_itself_and_not_moved_unread(tmp_path, desk):
    def submit(body):
        if not desk.given:
            drop(tmp_path, "new.part", '{"id": "second"}')
            (tmp_path / "new.part").rename(tmp_path / "events.json")
        return desk.submit(body)

    drop(tmp_path, "events.json", '{"id": "first"}')
    looks(WatchedFolder(tmp_path, submit), 4)
    assert ids(desk) == ["first", "second"]
    assert names(tmp_path) == []


def test_a_file_that_takes_its_place_in_the_very_moment_of_the_move_is_put_back(tmp_path, desk, place, monkeypatch):
    real = os.rename

    def raced(source, target):
        if not names(tmp_path / "done"):
            drop(tmp_path, "new.part", '{"id": "second"}')
            real(tmp_path / "new.part", tmp_path / "events.json")
        real(source, target)

    monkeypatch.setattr(watch.os, "rename", raced)
    drop(tmp_path, "events.json", '{"id": "first"}')
    looks(place)
    monkeypatch.undo()
    looks(place, 3)
    assert ids(desk) == ["first", "second"]
    assert [(tmp_path / "done" / one).read_text() for one in names(tmp_path / "done")] == ['{"id": "second"}']


def test_a_file_that_is_gone_when_it_should_be_moved_ends_nothing(tmp_path, desk):
    def submit(body):
        (tmp_path / "gone.json").unlink(missing_ok=True)
        return desk.submit(body)

    drop(tmp_path, "gone.json", '{"id": "gone"}')
    os.utime(tmp_path / "gone.json", (1_000_000, 1_000_000))
    drop(tmp_path, "stays.json", '{"id": "stays"}')
    (taken,) = looks(WatchedFolder(tmp_path, submit), 3)
    assert (taken.place, ids(desk)) == ("done", ["gone", "stays"])
    assert names(tmp_path) == []


@pytest.mark.parametrize("upload", ['{"id": "a"}\n', '{"id": "a"}\n{"id": "b'])
def test_a_slow_upload_that_went_on_after_its_file_was_taken_is_read_again_whole(tmp_path, desk, place, upload):
    with (tmp_path / "slow.ndjson").open("w") as writer:
        writer.write(upload)
        writer.flush()
        (first,) = looks(place)
        writer.write('{"id": "a"}\n{"id": "b"}\n{"id": "c"}\n'[len(upload) :])
    again = looks(place, 3)
    assert [one.place for one in again] == ["back", "done"]
    assert dict(again[1].counts).get("accepted", 0) + dict(again[1].counts)["replay"] == 3
    assert {one["id"] for one in map(json.loads, desk.given[-3:])} == {"a", "b", "c"}
    assert (names(tmp_path), names(tmp_path / "done"), names(tmp_path / "refused")) == ([], ["slow.ndjson"], [])
    assert first.ref != again[1].ref


def test_what_went_on_after_it_was_taken_comes_back_beside_a_new_file_of_its_name(tmp_path, desk, place):
    with (tmp_path / "slow.ndjson").open("w") as writer:
        writer.write('{"id": "a"}\n')
        writer.flush()
        looks(place)
        drop(tmp_path, "slow.ndjson", '{"id": "other"}\n')
        writer.write('{"id": "b"}\n')
    looks(place, 4)
    assert {json.loads(one)["id"] for one in desk.given} == {"a", "b", "other"}
    assert len(names(tmp_path / "done")) == 2


def test_an_upload_that_went_on_and_cannot_be_put_back_yet_is_told_once_and_tried_again(
    tmp_path, desk, place, monkeypatch
):
    with (tmp_path / "slow.ndjson").open("w") as writer:
        writer.write('{"id": "a"}\n')
        writer.flush()
        looks(place)
        writer.write('{"id": "b"}\n')

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch.os, "link", full)
    monkeypatch.setattr(watch.os, "rename", full)
    assert [(one.place, one.why) for one in looks(place, 5)] == [("stuck", "No space left on device")]
    monkeypatch.undo()
    assert [one.place for one in looks(place, 3)] == ["back", "done"]
    assert {json.loads(one)["id"] for one in desk.given} == {"a", "b"}


def fails_for(monkeypatch, name, error):
    real = os.rename

    def rename(source, target):
        if os.fspath(source).endswith(name):
            raise error
        real(source, target)

    monkeypatch.setattr(watch.os, "rename", rename)


def test_a_file_that_cannot_be_moved_is_told_once_and_keeps_no_other_waiting(tmp_path, desk, place, monkeypatch):
    fails_for(monkeypatch, "first.json", OSError(28, "No space left on device"))
    drop(tmp_path, "first.json", '{"id": "first"}')
    os.utime(tmp_path / "first.json", (1_000_000, 1_000_000))
    drop(tmp_path, "second.json", '{"id": "second"}')
    stuck, done = looks(place)
    assert (stuck.place, stuck.why) == ("stuck", "No space left on device")
    assert (done.place, names(tmp_path), names(tmp_path / "done")) == ("done", ["first.json"], ["second.json"])
    assert looks(place, 20) == []
    assert len(desk.given) < 10, "what is on record is not handed in again at each look"
    monkeypatch.undo()
    (done,) = looks(place, 70)
    assert (done.place, names(tmp_path)) == ("done", [])


def test_a_file_that_may_not_be_read_is_told_once_and_taken_once_it_may(tmp_path, desk, place, monkeypatch):
    real = os.open

    def may_not(path, *rest, **more):
        if os.fspath(path).endswith("locked.json"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(watch.os, "open", may_not)
    drop(tmp_path, "locked.json")
    (stuck,) = looks(place, 5)
    assert (stuck.place, stuck.why, stuck.counts) == ("stuck", "Permission denied", ())
    assert "locked" not in repr(stuck)
    monkeypatch.undo()
    assert [one.place for one in looks(place, 70)] == ["done"]


@pytest.mark.parametrize("body", ['{"id": "a"}', '{"bad": 1}'])
def test_a_name_as_long_as_names_may_be_is_taken_like_any_other(tmp_path, desk, place, body):
    drop(tmp_path, "n" * 250 + ".json", body)
    (taken,) = looks(place)
    assert names(tmp_path) == []
    assert len(names(tmp_path / taken.place)) == (2 if "bad" in body else 1)
    drop(tmp_path, "n" * 250 + ".json", body)
    looks(place)
    assert len(names(tmp_path / taken.place)) == (4 if "bad" in body else 2)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text are a matter of this system")
def test_a_name_that_is_no_utf_8_is_taken_like_any_other(tmp_path, desk, place):
    (tmp_path / os.fsdecode(b"m\xfcller.json")).write_bytes(b'{"bad": 1}')
    (taken,) = looks(place)
    assert (taken.place, names(tmp_path), len(names(tmp_path / "refused"))) == ("refused", [], 2)


@pytest.mark.parametrize("name", ["done", "refused"])
def test_a_folder_whose_place_to_put_files_is_a_link_or_a_file_is_not_watched(tmp_path, desk, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=name):
        WatchedFolder(tmp_path, desk.submit)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text("")
    with pytest.raises(ConfigurationError, match=name):
        WatchedFolder(tmp_path, desk.submit)


def test_a_folder_that_may_not_be_written_is_told_in_words(tmp_path, desk, monkeypatch):
    def may_not(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(watch.Path, "mkdir", may_not)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        WatchedFolder(tmp_path, desk.submit)


def test_the_lock_empties_no_file_that_a_link_in_its_place_points_to(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigurationError), folder_lock(tmp_path):
        pytest.fail("the lock was taken through a link")
    assert (tmp_path / "precious").read_text() == "kept"


def test_asked_to_stop_in_the_middle_of_a_file_it_leaves_the_file_for_the_next_time(tmp_path, desk):
    drop(tmp_path, "day.ndjson", "".join(f'{{"id": "{number}"}}\n' for number in range(1000)))
    looks(WatchedFolder(tmp_path, desk.submit, may_go_on=lambda: len(desk.given) < 3))
    assert (len(desk.given), names(tmp_path)) == (3, ["day.ndjson"])
    (taken,) = looks(WatchedFolder(tmp_path, desk.submit))
    assert (taken.place, dict(taken.counts)) == ("done", {"replay": 3, "accepted": 997})


def test_several_events_of_which_one_is_refused_are_all_answered_before_the_file_is_moved(tmp_path, place, desk):
    drop(tmp_path, "day.json", '[{"id": "a"}, {"bad": 1}, {"id": "b"}]')
    (taken,) = looks(place)
    assert (taken.place, dict(taken.counts)) == ("refused", {"accepted": 2, "refused": 1})
    (tmp_path / "day.json").write_text((tmp_path / "refused" / "day.json").read_text().replace('"bad"', '"id"'))
    (taken,) = looks(place)
    assert (taken.place, dict(taken.counts)) == ("done", {"accepted": 1, "replay": 2})


def test_a_refused_answer_has_its_reasons_on_disk_before_its_file(tmp_path, monkeypatch):
    place = WatchedFolder(
        tmp_path, lambda _: Recorded("refused", None, None, None, (("/dose", "No unit.", "Add it."),))
    )
    fails_for(monkeypatch, "bad.json", OSError(5, "Input/output error"))
    drop(tmp_path, "bad.json")
    looks(place)
    assert names(tmp_path / "refused") == ["bad.json.reasons.json"]
    monkeypatch.undo()
    looks(place, 70)
    assert names(tmp_path / "refused") == ["bad.json", "bad.json.reasons.json"]
