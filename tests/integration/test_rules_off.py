"""Rules that nobody signed do nothing, and say so."""

from coordinator.bootstrap import workshop
from coordinator.domain.case import Case
from coordinator.flow.compose import compose
from coordinator.planning.reading import read_event, read_registry
from coordinator.settings import Settings, shipped


def composed(**settings):
    examples = shipped("docs/examples")
    event = read_event((examples / "session-outcome.bp-spike.json").read_bytes())
    registry = read_registry((examples / "clinic.json").read_bytes())
    return compose(workshop(Settings(**settings)), Case("ehr", event, registry, (), event.recorded_at))


DEMONSTRATION = shipped("mappings") / "rules" / "signatures.demonstration.yaml"


def test_without_signatures_no_rule_fires_and_every_rule_says_that_it_is_off():
    plan = composed().plan
    assert plan.rules
    assert {one.state for one in plan.rules} == {"off", "not-applicable"}
    assert all(one.why for one in plan.rules)
    assert all("L5" not in one.letters for one in plan.recipients)


def test_demonstration_signatures_do_not_count_unless_told_to():
    assert {one.state for one in composed(rule_signatures=DEMONSTRATION).plan.rules} == {"off", "not-applicable"}


def test_in_production_they_never_count():
    plan = composed(rule_signatures=DEMONSTRATION, accept_demonstration_rules=True, environment="production").plan
    assert {one.state for one in plan.rules} == {"off", "not-applicable"}


def test_in_the_demo_they_count_and_are_marked():
    plan = composed(rule_signatures=DEMONSTRATION, accept_demonstration_rules=True).plan
    fired = [one for one in plan.rules if one.fired]
    assert {one.id for one in fired} == {"R2", "R3"}
    assert all(one.demonstration for one in fired)
    assert {one.priority for one in plan.recipients} == {"urgent"}
