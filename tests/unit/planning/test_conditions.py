"""The condition tree: yes, no, cannot tell."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.planning.conditions import Fact, holds

FACTS = {"yes": Fact(True), "no": Fact(False), "gone": Fact(None, "not recorded"), "bound": Fact(5, "no later reading")}
LIMITS = {"four": 4, "six": 6}
LEAVES = st.sampled_from([{"true": "yes"}, {"true": "no"}, {"true": "gone"}])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)


def told(tree, facts=FACTS):
    return holds(tree, facts, LIMITS)


def test_one_no_decides_all_and_one_yes_decides_any():
    assert told({"all": [{"true": "gone"}, {"true": "no"}]}).holds is False
    assert told({"any": [{"true": "gone"}, {"true": "yes"}]}).holds is True


def test_what_is_missing_is_named():
    answer = told({"all": [{"true": "yes"}, {"true": "gone"}]})
    assert (answer.holds, answer.missing) == (None, ("not recorded",))


def test_a_lower_bound_can_say_yes_but_never_no():
    assert told({"at_least": ["bound", "four"]}).holds is True
    assert told({"above": ["bound", "six"]}).holds is None
    assert told({"at_most": ["bound", "six"]}).holds is None
    assert told({"below": ["bound", "four"]}).holds is None


@given(TREES)
def test_once_everything_is_known_the_answer_only_gets_firmer(tree):
    before = told(tree).holds
    after = {told(tree, {**FACTS, "gone": Fact(value)}).holds for value in (True, False)}
    assert None not in after
    if before is not None:
        assert after == {before}


@given(TREES)
def test_cannot_tell_always_says_what_is_missing(tree):
    answer = told(tree)
    assert (answer.holds is None) == bool(answer.missing)
