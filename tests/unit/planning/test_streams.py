"""Many events from one stream: lines, arrays, one event over many lines, CSV."""

import io
import json
import tracemalloc

from coordinator.planning.csv_rows import COLUMNS, read_rows
from coordinator.planning.json_stream import read_lines
from coordinator.planning.reading import read_value
from coordinator.planning.strict_json import MAX_BYTES


def lines(body):
    return list(read_lines(io.BytesIO(body)))


def test_each_line_is_one_event_and_blank_lines_count():
    assert lines(b'{"a":1}\n\n{"b":2}\r\n') == [(1, b'{"a":1}'), (3, b'{"b":2}')]


def test_a_broken_line_is_yielded_and_the_rest_goes_on():
    assert lines(b'{"a":1}\n{"b"\n{"c":3}\n') == [(1, b'{"a":1}'), (2, b'{"b"'), (3, b'{"c":3}')]
    assert lines(b'{"a"\n{"b":1}\n{"c":3}\n') == [(1, b'{"a"'), (2, b'{"b":1}'), (3, b'{"c":3}')]


def test_one_event_over_many_lines_is_one_event(examples):
    body = (examples / "session-outcome.bp-spike.json").read_bytes()
    assert lines(body) == [(1, body)]


def test_an_array_is_read_element_by_element_with_line_numbers():
    body = b'[\n {"a": "]},{\\""},\n\n {"b": [1, {"c": 2}]}\n, {"d": 4}, 5\n]\n'
    assert lines(body) == [(2, b'{"a": "]},{\\""}'), (4, b'{"b": [1, {"c": 2}]}'), (5, b'{"d": 4}'), (5, b"5")]


def test_an_empty_stream_or_array_has_no_events():
    assert lines(b"") == []
    assert lines(b"\n \n") == []
    assert lines(b"[ ]") == []


def test_a_line_that_is_too_long_is_cut_and_the_rest_goes_on():
    found = lines(b'{"a":1}\n' + b"x" * (MAX_BYTES + 5000) + b'\n{"b":2}\n')
    assert [number for number, _ in found] == [1, 2, 3]
    assert len(found[1][1]) == MAX_BYTES + 1


def test_ten_thousand_events_pass_without_the_file_being_held(desk):
    event = json.dumps(desk.hold()).encode()

    class Endless(io.RawIOBase):
        """A file of ten thousand elements that is never in memory."""

        left = 10_000
        rest = b"["

        def readable(self):
            return True

        def readinto(self, into):
            if not self.rest:
                if self.left == 0:
                    return 0
                self.left -= 1
                self.rest = event + (b"\n]" if self.left == 0 else b",\n")
            part, self.rest = self.rest[: len(into)], self.rest[len(into) :]
            into[: len(part)] = part
            return len(part)

    lines_read = read_lines(io.BufferedReader(Endless()))
    for _ in range(9_000):
        next(lines_read)
    tracemalloc.start()
    count = 9_000 + sum(1 for _ in lines_read)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert most < 20 * len(event)


CELLS = {
    "id": "s-1",
    "recorded_at": "2026-10-14T13:10:00-05:00",
    "recorded_by": "st-2",
    "patient": "MRN-1001",
    "course": "course-77",
    "status": "completed",
    "product": "ketamine",
    "route": "intravenous",
    "dose": "41 mg",
    "started_at": "2026-10-14T10:00:00-05:00",
    "baseline_at": "2026-10-14T09:50:00-05:00",
    "baseline_systolic": "134",
    "baseline_diastolic": "84",
    "phq_9": "11",
    "plan": "Continue.",
}
HEADER = ",".join(CELLS) + "\n"
ROW = ",".join(CELLS.values()) + "\n"


def rows(text):
    return list(read_rows(io.StringIO(text)))


def test_a_row_is_a_session():
    ((number, event),) = rows(HEADER + ROW)
    read = read_value(event)
    assert number == 1
    assert (read.vitals[0].slot, read.vitals[0].systolic, read.scores[0].total) == ("baseline", 134, 11)
    assert str(read.administration.dose) == "41 mg"


def test_a_bad_row_names_its_columns_and_the_rest_goes_on():
    bad = ROW.replace("s-1", "s-2").replace("41 mg", "41").replace("134", "134.5").replace("completed", "done")
    (_, first), (_, faults), (_, last) = rows(HEADER + ROW + bad + ROW.replace("s-1", "s-3"))
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    assert sorted(one.message.partition(":")[0] for one in faults) == [
        "Column baseline_systolic",
        "Column dose",
        "Column status",
    ]


def test_a_cell_that_looks_like_a_formula_is_data():
    ((_, event),) = rows(HEADER + ROW.replace("Continue.", '"=HYPERLINK(""x"")"'))
    assert event["plan"] == '=HYPERLINK("x")'
    ((_, faults),) = rows(HEADER + ROW.replace("134", "=100+34"))
    assert [one.message.partition(":")[0] for one in faults] == ["Column baseline_systolic"]


def test_unknown_and_not_done_cells_are_kept_apart():
    ((_, event),) = rows(HEADER + ROW.replace("134", "unknown").replace(",84,", ",not done: cuff broken,"))
    assert event["vitals"][0]["systolic"] == {"unknown": True}
    assert event["vitals"][0]["diastolic"] == {"not_done": "cuff broken"}


def test_a_header_with_an_unknown_or_doubled_column_is_refused_before_any_row():
    ((number, faults),) = rows("id,colour,id\n" + "a,b,c\n")
    assert number == 0
    assert len(faults) == 3


def test_a_row_with_too_few_cells_is_refused():
    ((_, faults),) = rows(HEADER + "s-1,2026\n")
    assert faults[0].code == "csv.cells"


def test_every_documented_column_reaches_its_place():
    assert len({one.name for one in COLUMNS}) == len(COLUMNS)
    assert len({one.place for one in COLUMNS}) == len(COLUMNS)
    assert all(one.about for one in COLUMNS)


def test_a_stimulant_column_becomes_a_medicine_taken():
    header = HEADER.strip() + ",stimulant,stimulant_dose,stimulant_last_taken_at,stimulant_source\n"
    row = ROW.strip() + ",Adderall XR,30 mg,2026-10-14T07:30:00-05:00,patient\n"
    ((_, event),) = rows(header + row)
    taken = read_value(event).other_medications_taken
    assert (taken[0].role, taken[0].product, str(taken[0].dose)) == ("stimulant", "Adderall XR", "30 mg")
