"""Whatever the published schema allows is either refused with reasons or checked and planned; nothing falls over."""

import io
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.planning.faults import Unreadable
from coordinator.planning.json_stream import read_lines
from coordinator.planning.plan import make_plan
from coordinator.planning.reading import read_event
from coordinator.planning.schemas import event_schemas

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
TIMES = st.builds(
    "2026-{:02d}-{:02d}T{:02d}:{:02d}:00-05:00".format,
    st.integers(9, 11),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(0, 59),
)
DAYS = st.builds("2026-{:02d}-{:02d}".format, st.integers(1, 12), st.integers(1, 28))
NUMBERS = st.one_of(st.integers(-5, 400), st.sampled_from(["28", "41", "56", "84", "0.5", "82", "180", "-1", "1e3"]))
UNITS = st.sampled_from(["mg", "mg/kg", "kg", "[lb_av]", "Cel", "mL", "mg/mL", "mcg/kg", "L/min", "furlong"])
WORDS = st.text(string.ascii_letters + " -'éß=<", min_size=1, max_size=20).filter(str.strip)
KNOWN = {
    "patient": ["MRN-1001"],
    "recorded_by": ["st-1", "st-2"],
    "requested_of": ["pr-psych", "pr-pcp", "pr-9"],
    "unit": None,
}


def build(schema, root, name=""):
    """Return a strategy for the values that a published schema allows."""
    if "$ref" in schema:
        return build(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, name)
    if name == "unit":
        return UNITS
    if name in KNOWN:
        return st.sampled_from(KNOWN[name])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([build(one, root, name) for one in schema[key]])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, root)
    if kind == "array":
        return st.lists(build(schema["items"], root), max_size=schema.get("maxItems", 3))
    if kind == "string":
        return _text(schema)
    return {
        "integer": st.integers(-3, 320),
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
    }[kind]


def _object(schema, root):
    fields = {name: build(one, root, name) for name, one in schema["properties"].items()}
    needed = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=fields)


def _text(schema):
    if schema.get("format") == "date-time":
        return TIMES
    if schema.get("format") == "date":
        return DAYS
    pattern = schema.get("pattern", "")
    if "baseline" in pattern:
        return st.sampled_from(["baseline", "20-min", "40-min", "60-min", "discharge"])
    if pattern.startswith("^[A-Za-z0-9]["):
        return st.sampled_from(["course-77", "st-1", "pr-psych", "x-1"])
    if "eE" in pattern:
        return st.sampled_from(["28", "41", "56.0", "0.5", "82", "180", "-1", "1e3", "000"])
    return WORDS


EVENTS = {name: build(schema, schema) for name, schema in event_schemas().items()}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_any_event_of_the_schema_is_refused_with_reasons_or_checked_and_planned(desk, name):
    read = {"refused": 0, "planned": 0}

    @QUIET
    @given(EVENTS[name], st.lists(st.one_of(*EVENTS.values()), max_size=2), st.booleans())
    def run(value, earlier, amended):
        refused = faults_of(value)
        if refused:
            read["refused"] += 1
            assert all(one.message and one.fix for one in refused)
            return
        history = tuple(one for one in earlier if not faults_of(one))
        faults, questions = desk.check(value, history=history)
        assert all(one.message and one.fix and one.code for one in faults)
        assert len({one.id for one in questions}) == len(questions)
        case = desk.case(value, history=history, previous=history[0] if amended and history else None)
        plan = make_plan(case, desk.rules, questions)
        read["planned"] += 1
        for one in plan.recipients:
            assert bool(one.letters) != (one.not_sent_because is not None)
            assert one.consent.permits or not one.letters
            assert not one.letters or one.channels[-1].kind == "by-hand"
            assert len(one.requests) <= 3
            assert "{" not in "".join(request.text for request in one.requests)

    run()
    assert read["planned"] > read["refused"]


def faults_of(value):
    """Return the faults of an event, or nothing when it can be read."""
    try:
        read_event(json.dumps(value).encode())
    except Unreadable as wrong:
        return wrong.faults
    return ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(JSON.map(lambda one: json.dumps(one).encode()), st.binary(max_size=60)))
def test_any_body_at_all_is_refused_with_reasons(body):
    with pytest.raises(Unreadable) as wrong:
        read_event(body)
    assert wrong.value.faults


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_event_gives_faults_only_where_it_is_damaged(desk, data):
    event = desk.session()
    where = data.draw(st.sampled_from(sorted(event)))
    event[where] = data.draw(JSON)
    assert all(one.pointer.startswith(f"/{where}") for one in faults_of(event))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5), st.one_of(st.text(max_size=8), st.lists(st.text(max_size=3))), min_size=1, max_size=3
        ),
        max_size=6,
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_an_array_and_lines_give_the_same_events(values, indent, as_lines):
    if as_lines:
        body = b"".join(json.dumps(one).encode() + b"\n" for one in values)
    else:
        body = json.dumps(values, indent=indent).encode()
    assert [json.loads(one) for _, one in read_lines(io.BytesIO(body))] == values
