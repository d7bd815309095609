"""The two pictures: what they show, and that nothing in them stands on anything else, whatever was measured."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from shapes import BEGUN, COURSES, SESSIONS, brief_of, course, drawn, session

from coordinator.letters.curve import curve
from coordinator.letters.drawing import CAPITALS, SIZE, WIDTH, Box, spread, text_width
from coordinator.letters.text import text_of
from coordinator.letters.trend import trend

WORDS = {"pressure": "mmHg", "pulse": "pulse/min"}


@pytest.fixture(scope="module")
def pictures(room):
    return dict(drawn(room))


@pytest.fixture(scope="module")
def sample(room):
    return room.samples().sample("bp-spike")


def said(label) -> str:
    word = WORDS.get(label.word, label.word)
    return " ".join(part for part in (word, str(label.text) if label.text else None) if part)


def box(label) -> Box:
    wide, left, y = text_width(said(label)), float(label.x), float(label.y)
    return Box(left, y - CAPITALS, left + wide, y)


def labels(picture) -> list[str]:
    return [said(one) for one in picture.drawing.labels]


def points(path: str) -> list[list[tuple[float, float]]]:
    lines = [part for part in path.split("M") if part]
    return [[tuple(map(float, pair.split())) for pair in line.split("L")] for line in lines]


@pytest.mark.parametrize("name", [*SESSIONS, *COURSES])
def test_no_label_stands_on_another_or_outside_the_picture(pictures, name):
    boxes = [(said(one), box(one)) for one in pictures[name].drawing.labels]
    for place, (text, one) in enumerate(boxes):
        assert one.left >= -0.5, text
        assert one.right <= WIDTH + 0.5, text
        assert one.top >= -0.5, text
        assert one.bottom <= float(pictures[name].drawing.height), text
        assert [other for other, two in boxes[place + 1 :] if one.meets(two, 0.0)] == [], text


@pytest.mark.parametrize("name", [*SESSIONS, *COURSES])
def test_no_line_of_a_series_runs_through_a_label(pictures, name):
    drawing = pictures[name].drawing
    lines = [line for path in (drawing.solid, drawing.dashed, drawing.limits) for line in points(path)]
    for label in drawing.labels:
        for line in lines:
            for one, two in pairwise(line):
                assert not box(label).cut_by(one, two), said(label)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_highest_reading_is_labelled_in_both_halves_with_its_time(pictures, name):
    highest = max(SESSIONS[name][1:], key=lambda row: row[2:4])
    time = (BEGUN + timedelta(minutes=highest[1])).strftime("%H:%M")
    assert {str(highest[2]), str(highest[3]), time} <= set(labels(pictures[name]))


def test_units_names_and_limits_stand_beside_the_lines(pictures):
    assert {"mmHg", "systolic", "diastolic", "pulse/min", "limit 180", "limit 110"} <= set(labels(pictures["spike"]))
    assert pictures["spike"].drawing.limits


def test_the_times_of_before_highest_and_discharge_stand_under_their_readings(pictures):
    drawing = pictures["spike"].drawing
    middles = {said(one): (box(one).left + box(one).right) / 2 for one in drawing.labels}
    high = points(drawing.solid)[0]
    for time, place in (("09:50", 0), ("10:40", 2), ("12:00", -1)):
        assert middles[time] == pytest.approx(high[place][0], abs=0.2)


def test_the_days_under_a_course_leave_the_year_to_its_sentence_unless_there_are_two(room, sample, pictures):
    assert [one.replace("\u00a0", " ") for one in labels(pictures["three"])[-2:]] == ["1 September", "7 September"]
    long = course(sample, [0, 200], lambda i: str(40 + i), lambda i: [])
    told = labels(trend(brief_of(room, sample, long[-1], long[:-1])))[-2:]
    assert [one.replace("\u00a0", " ") for one in told] == ["1 September 2026", "20 March 2027"]


def test_no_limit_is_drawn_where_its_rule_was_not_evaluated(room, sample):
    event = session(sample, SESSIONS["spike"])
    brief = brief_of(room, replace(sample, plan=replace(sample.plan, rules=())), event)
    made = curve(brief, event, "event:")
    assert not made.drawing.limits
    assert not [one for one in labels(made) if "limit" in one]


def test_a_calm_session_has_the_scale_of_a_stormy_one(pictures):
    (flat, _), (spike, _) = points(pictures["flat"].drawing.solid), points(pictures["spike"].drawing.solid)
    assert flat[0][1] > spike[0][1] > spike[2][1]
    assert len({y for _, y in flat}) == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_whole_readings_are_left_to_the_table(room, sample, count):
    event = session(sample, SESSIONS["spike"][:count])
    assert curve(brief_of(room, sample, event), event, "event:") is None


def test_readings_of_one_moment_are_no_curve(room, sample):
    event = session(sample, [("baseline", 0, 120, 80, 70)] * 3)
    assert curve(brief_of(room, sample, event), event, "event:") is None


def test_without_three_pulses_there_is_no_lower_panel_and_its_name_is_not_said(room, pictures):
    made = pictures["no pulse"]
    assert not made.has_pulse
    assert not made.drawing.dashed
    assert float(made.drawing.height) < float(pictures["spike"].drawing.height)
    assert "pulse" not in dict(drawn(room, html=True))["no pulse"]


def test_a_reading_without_room_for_its_time_has_no_value_either(pictures):
    assert not {"09:50", "134", "84", "88"} & set(labels(pictures["highest soon"]))
    assert {"184", "112", "118", "09:58"} <= set(labels(pictures["highest soon"]))


def test_readings_that_stand_close_have_marks_only_where_they_have_labels(pictures):
    assert pictures["many"].drawing.hollow.count("z") == 3
    assert pictures["spike"].drawing.hollow.count("z") == 6


def test_labels_that_no_table_has_are_in_the_text_alternative(room, pictures):
    assert [str(one) for one in pictures["no words"].unsaid] == ["09:50", "11:20", "134", "84", "139", "85", "88", "84"]
    assert pictures["spike"].unsaid == ()
    text = text_of(dict(drawn(room, html=True))["no words"])
    assert "Also labelled: 09:50, 11:20, 134, 84, 139, 85, 88, 84." in text


def test_the_text_alternative_names_the_limits(room):
    text = text_of(dict(drawn(room, html=True))["spike"])
    assert "Lines show the limits: 180 mmHg systolic, 110 mmHg diastolic." in text


def test_a_course_shows_each_dose_and_each_total_on_the_whole_scale(pictures):
    twelve = pictures["twelve"]
    assert len(points(twelve.drawing.solid)) == 12 + 1
    assert twelve.drawing.full.count("z") == 12 + 12
    assert {"30 mg", "45 mg", "22", "11", "PHQ-9", "of 27", "GAD-7", "of 21"} <= {
        one.replace("\u00a0", " ") for one in labels(twelve)
    }


def test_sessions_without_a_score_leave_no_mark(pictures):
    assert pictures["gaps"].drawing.hollow.count("z") == 4
    assert [(str(one.name), str(one.first), str(one.last)) for one in pictures["gaps"].series] == [
        ("MADRS", "36", "18"),
        ("QIDS-SR16", "17", "9"),
    ]


def test_a_course_of_one_day_or_without_doses_and_scores_has_no_picture(room, sample):
    one = course(sample, [0], lambda i: "40", lambda i: [("phq-9", 11)])
    assert trend(brief_of(room, sample, one[-1])) is None
    bare = course(sample, [0, 3], lambda i: None, lambda i: [])
    assert trend(brief_of(room, sample, bare[-1], bare[:-1])) is None


def test_doses_of_two_products_are_not_drawn_in_one_picture(room, sample):
    events = course(sample, [0, 3, 6], lambda i: "40", lambda i: [("phq-9", 11)])
    other = events[0].administration.model_copy(update={"product": "esketamine"})
    first = events[0].model_copy(update={"administration": other})
    made = trend(brief_of(room, sample, events[-1], [first, events[1]]))
    assert made.first_dose is None
    assert "dose" not in labels(made)


def test_names_that_stand_too_close_are_moved_apart_and_keep_their_order():
    moved = spread([50.0, 49.0, 20.0], 8.0)
    assert moved[2] == 20.0
    assert moved[0] - moved[1] >= SIZE
    assert spread([3.0, 4.0], 8.0)[0] >= 8.0


def test_a_picture_is_black_and_has_few_parts(room):
    for name, html in drawn(room, html=True):
        assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', html)) <= {"none", "#000", "#fff"}, name
        assert html.count("<path") <= 6, name
        assert len(re.findall(r"<(?!/)", html)) <= 32, name
        assert 'font-size="11"' in html, name


def test_one_dose_at_every_session_and_no_score_is_a_sentence_and_no_picture(room, sample):
    same = course(sample, [0, 3, 6], lambda i: "40", lambda i: [])
    made = trend(brief_of(room, sample, same[-1], same[:-1]))
    assert made.drawing is None
    assert made.one_dose
    scored = course(sample, [0, 3], lambda i: "40", lambda i: [("phq-9", 19 - i)])
    drawn_too = trend(brief_of(room, sample, scored[-1], scored[:-1]))
    assert drawn_too.drawing is not None
    other = course(sample, [0, 3], lambda i: str(40 + i), lambda i: [])
    assert trend(brief_of(room, sample, other[-1], other[:-1])).drawing is not None


def test_a_session_without_a_known_dose_keeps_the_dose_from_being_called_the_same(room, sample):
    gap = course(sample, [0, 3, 6], lambda i: None if i == 1 else "40", lambda i: [])
    made = trend(brief_of(room, sample, gap[-1], gap[:-1]))
    assert not made.one_dose
    assert made.drawing is not None
