"""The HL7 validator itself (org.hl7.fhir.validation), under US Core 6.1.0, 7.0.0 and 8.0.0, and Da Vinci Alerts 1.1.0.

Asked about every single resource under each version, about charts and FHIR documents of every
make-up, and, under the profile of Alerts, about every message that differs in more than times,
readings and words. It runs without a terminology server; what it cannot judge so is named below.
Needs Java 17 and Maven (`tests/conformance/prepare`); else skipped, and says so.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.alerts import BUNDLE, wrong_messages
from tests.conformance.made import Named, bundles, make_ups, one_of_each, wrong_and_right

HERE = Path(__file__).parent / "java" / "validator"
VERSIONS = ("6.1.0", "7.0.0", "8.0.0")
ALERTS_BUILDS_ON = "7.0.0"
"""The US Core that Alerts 1.1.0 depends on."""

MEDIA_TYPE = r".*attachment\.contentType( |$).*'(application/pdf|text/plain|application/fhir\+json)'.*"
SUPPRESSED = {
    rf"(UNABLE_TO_INFER_CODESYSTEM|Terminology_TX_NoValid_16) {MEDIA_TYPE}":
        "the media types are a code system that only a terminology server holds; our gate lists what we send",
}  # fmt: skip

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("hl7-validator"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("java") is None or not (HERE / "build" / ".prepared").is_file(),
        reason="NOT JUDGED BY THE HL7 VALIDATOR: run tests/conformance/prepare with Maven and a JDK of 17 or newer",
    ),
]
NOT_SEEN = {"wrong message: two patients"}
"""A rule that the guide says in words only; `test_alerts` asks after it."""
NOT_WRONG_UNDER: dict[str, set[str]] = {}
"""Wrong under 6.1.0, for which the cases were written, and right under a later version."""
Answers = dict[tuple[str, str], list[str]]
"""The errors by (version, name), each as "rule path words"."""


def question() -> Iterator[Named]:
    for version in VERSIONS:
        for one in (*one_of_each(), *wrong_and_right()):
            yield {**one, "version": version}
    for kind in ("transaction", "document"):
        for one in make_ups(kind):
            yield {**one, "version": "6.1.0"}
    for one in (*bundles("message"), *wrong_messages()):
        yield {**one, "version": ALERTS_BUILDS_ON, "profiles": [BUNDLE]}


@cache
def asked() -> Answers:
    """Return what it says of everything; asked once, whatever other tests run in between."""
    said = subprocess.run(
        ["java", "-Xmx3g", "-cp", "build/classes:build/lib/*", "Hl7Validator", "../../packages"],
        cwd=HERE, input=json.dumps(list(question())), capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-2000:]
    return {
        (one["version"], one["name"]): [
            f"{issue.get('rule')} {issue['path']} {issue['words']}"
            for issue in one["issues"] if issue["level"] in ("error", "fatal")
        ]
        for one in json.loads(said.stdout)
    }  # fmt: skip


@pytest.fixture
def answers() -> Answers:
    """What it says of everything."""
    return asked()


def left(errors: list[str]) -> list[str]:
    """Return the errors that are not suppressed."""
    return [one for one in errors if not any(re.fullmatch(known, one, re.DOTALL) for known in SUPPRESSED)]


def refused(answers: Answers, version: str, listed: list[Named]) -> dict[str, list[str]]:
    found = {one["name"]: left(answers[version, one["name"]]) for one in listed}
    return {name: errors for name, errors in found.items() if errors}


@pytest.mark.parametrize("version", VERSIONS)
def test_no_resource_we_make_has_an_error(answers: Answers, version: str) -> None:
    assert len(one_of_each()) > 400
    assert refused(answers, version, one_of_each()) == {}


@pytest.mark.parametrize("kind", ["transaction", "document"])
def test_no_chart_and_no_document_has_an_error(answers: Answers, kind: str) -> None:
    assert make_ups(kind)
    assert refused(answers, "6.1.0", make_ups(kind)) == {}


def test_no_message_has_an_error_under_the_profiles_of_alerts(answers: Answers) -> None:
    assert len(bundles("message")) > 50
    assert refused(answers, ALERTS_BUILDS_ON, bundles("message")) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wrong_resources_are_refused_and_the_right_ones_pass(answers: Answers, version: str) -> None:
    names = {one["name"] for one in wrong_and_right()}
    said = set(refused(answers, version, wrong_and_right()))
    assert len([one for one in names if one.startswith("bad_")]) == 22
    assert said == {one for one in names if one.startswith("bad_")} - NOT_WRONG_UNDER.get(version, set())


def test_the_wrong_messages_are_refused(answers: Answers) -> None:
    for one in wrong_messages():
        said = " ".join(left(answers[ALERTS_BUILDS_ON, one["name"]]))
        if one["name"] in NOT_SEEN:
            assert said == "", one["name"]
        else:
            assert re.search(one["because"], said), (one["name"], said[:2000])


def test_every_suppression_is_still_needed(answers: Answers) -> None:
    said = [one for errors in answers.values() for one in errors]
    assert [known for known in SUPPRESSED if not any(re.fullmatch(known, one, re.DOTALL) for one in said)] == []


def test_a_name_is_asked_once_for_each_version() -> None:
    asked: list[Any] = [(one["version"], one["name"]) for one in question()]
    assert len(asked) == len(set(asked))
