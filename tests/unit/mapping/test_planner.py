"""Which content level an endpoint gets: its own word, its partner file, and the registry's last word."""

import pytest

from coordinator.channels.fhir.capability import parse_capability
from coordinator.mapping.load import Mappings
from coordinator.mapping.planner import Capability, choose_level
from coordinator.sandbox.ehr_capability import capability_statement
from tests.contract.people import WallClock

CHART = [("POST", "Patient"), ("PUT", "Encounter"), ("PUT", "Observation"), ("POST", "DocumentReference")]
ALL = dict.fromkeys(("Patient", "Encounter", "Observation", "DocumentReference"), True)


def server(*system: str, creates: dict[str, bool] = ALL, updates: dict[str, bool] = ALL) -> Capability:
    return Capability("4.0.1", frozenset(system), frozenset(), creates, updates, frozenset(creates))


def test_a_whole_server_gets_the_chart() -> None:
    assert choose_level(server("transaction"), None, None, chart=CHART).level == "chart"


def test_a_server_without_transactions_gets_the_same_entries_one_by_one_if_each_can_be_asked_once_only() -> None:
    choice = choose_level(server(), None, None, chart=CHART)
    assert (choice.level, "no transactions" in choice.reason) == ("singles", True)


def test_without_conditional_create_it_gets_one_document() -> None:
    assert choose_level(server(creates=dict.fromkeys(ALL, False)), None, None, chart=CHART).level == "document"


def test_without_a_book_of_entries_nothing_goes_one_by_one() -> None:
    choice = choose_level(server(), None, None, chart=CHART, held={"chart", "document"})
    assert choice.level == "document"


def test_a_server_that_lacks_a_type_of_the_chart_gets_less_and_the_note_says_which() -> None:
    few = {"DocumentReference": False, "Patient": False}
    choice = choose_level(server("transaction", creates=few, updates=few), None, None, chart=CHART)
    assert (choice.level, choice.reason) == ("document", "the server lists no create of Encounter, Observation.")


def test_a_server_that_takes_nothing_gets_nothing() -> None:
    assert choose_level(server(creates={"QuestionnaireResponse": False}), None, None, chart=CHART).level is None


def test_a_pinned_level_wins_over_everything() -> None:
    assert choose_level(server(), None, "document", chart=CHART).level == "document"


def test_a_transaction_that_is_longer_than_the_partner_takes_goes_one_by_one(mappings: Mappings) -> None:
    long = [*CHART, *[("PUT", "Observation")] * 5]
    partner = mappings.partners["medplum-like"]
    assert choose_level(server("transaction"), partner, None, chart=CHART).level == "chart"
    choice = choose_level(server("transaction"), partner, None, chart=long)
    assert (choice.level, "8 entries" in choice.reason) == ("singles", True)


@pytest.mark.parametrize(
    ("name", "level"), [("epic-like", "singles"), ("oracle-like", "singles"), ("athena-like", None)]
)
def test_the_partner_file_wins_over_what_the_server_advertises(
    mappings: Mappings, name: str, level: str | None
) -> None:
    capability = parse_capability(capability_statement("whole"), WallClock().now())
    choice = choose_level(capability, mappings.partners[name], None, chart=CHART)
    assert (choice.level, name in choice.reason, choice.basis) == (level, True, "partner")
