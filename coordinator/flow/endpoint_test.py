"""The message of a partner's own test patient, sent by the very channel: marked, agreed on, and never about a patient.

Nothing of it enters the record but one line of evidence: no event, no message, no delivery. It goes out at once and
once, and what came back is shown to the person who asked.
"""

import json
from collections.abc import Iterable
from datetime import date, timedelta
from importlib import resources

from coordinator.domain.case import Case
from coordinator.domain.errors import DeliveryError, Refused, StateConflict
from coordinator.domain.events import EVENT
from coordinator.domain.registry import (
    AgreedTest,
    CareTeamMember,
    Consent,
    Endpoint,
    Patient,
    PatientCourse,
    Provider,
    Registry,
)
from coordinator.flow.addresses import endpoint_of
from coordinator.flow.compose import compose_for, documents_of
from coordinator.flow.endpoint_checks import Step, standing_steps
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Package, StoredDocument, Taken
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import NewDocument
from coordinator.flow.search import fold
from coordinator.flow.wording import facts_said
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.planning.plan import make_plan

PATIENT = "TEST-PATIENT"
MARK = "TEST"
LONG_AGO = date(2000, 1, 1)
SENT = "test message sent"
AGAIN_AFTER = timedelta(seconds=15)
"""A double click, or two people at once, are one test message."""


def send_test(parts: Parts, endpoint_id: str, actor: Actor) -> tuple[Step, ...]:
    """Send the agreed test message to one endpoint and return what came back; raise NotFound or Refused.

    Refused where no partner agreed, where the address may carry nothing today or is held, and where the test patient
    could be one of the clinic's own.
    """
    with parts.ledger.begin() as tx:
        registry, provider, endpoint = endpoint_of(tx, endpoint_id)
        test = endpoint.test
        if test is None:
            raise Refused(
                "test.not-agreed", "No test patient was agreed with this recipient. Add it to the registry first."
            )
        steps = standing_steps(parts, tx, registry, endpoint)
        if any(one.ok is False for one in steps):
            return (*steps, Step("test message", None, "Not sent, because of what stands above."))
        if tx.closed().covers(endpoint.kind, endpoint.id):
            raise Refused("release.paused", "Sending to this address is held. Release it first.")
        if _is_somebody(tx, test):
            raise Refused(
                "test.real",
                "The test patient has the name and birth date, or a number, of a patient of the clinic. Nothing was "
                "sent. Agree on another test patient.",
            )
        now = parts.clock.now()
        if any(one.action == SENT and now - one.at < AGAIN_AFTER for one in tx.audit_of([endpoint_id])):
            raise Refused("test.again", "A test message has just gone there. Look at what came of it first.")
        tx.audit(actor, SENT, at=now, subject=endpoint_id)
    channel = parts.channels.get(endpoint.kind)
    if channel is None or endpoint.kind in ("secure-link", "by-hand"):
        return (*steps, Step("test message", None, "This channel has no test message; the check asks all there is."))
    package = _package(parts, registry, provider, endpoint, test)
    return (*steps, _sent(parts, package, endpoint))


def _sent(parts: Parts, package: Package, endpoint: Endpoint) -> Step:
    began = parts.clock.now()

    def about_to_send(_far_side_ref: str | None) -> None:
        with parts.ledger.begin(write=False) as tx:
            if tx.closed().covers(endpoint.kind, endpoint.id):
                raise StateConflict("held")

    try:
        answer = parts.channels[endpoint.kind].send(
            package, endpoint, deadline=began + parts.policy.send_limit, about_to_send=about_to_send
        )
    except DeliveryError as fault:
        cause = parts.causes.get(fault.code)
        status = "" if fault.status is None else f" (answer {fault.status})"
        return Step("test message", False, f"{cause.sentence}{status} [{fault.code}]", cause.next_step)
    except StateConflict:
        return Step("test message", None, "Not sent: the address was held in this moment.")
    return Step("test message", True, _seen(answer), "Ask the partner whether it lies with their test patient.")


def _seen(answer: Taken) -> str:
    status = "" if answer.status is None else f" (answer {answer.status})"
    facts = "".join(f"; {name}: {value}" for name, value in facts_said(sorted(answer.facts.items()), answer.status))
    called = "" if answer.far_side_ref is None else f" They call it {answer.far_side_ref}."
    if answer.proven:
        return f"Taken, and proven to be there{status}{facts}.{called}"
    return f"Taken{status}{facts}.{called} The proof of arrival comes later and is kept in the log."


def _is_somebody(tx: Transaction, test: AgreedTest) -> bool:
    """Return whether a patient of the clinic has this name, however spelt, and birth date, or one of these numbers."""
    numbers = {(one.system, one.value.casefold()) for one in test.identifiers}
    for key in tx.registry_keys("patient"):
        one = tx.patient(key)
        if one is None:
            continue
        if {(number.system, number.value.casefold()) for number in one.identifiers} & numbers:
            return True
        if one.birth_date == test.birth_date and _words(one.name.full()) == _words(test.name.full()):
            return True
    return False


def _words(name: str) -> frozenset[str]:
    """Return the words of a name, without accents, case, hyphens and order."""
    return frozenset(one for one in fold(name) if "-" not in one)


def _package(parts: Parts, registry: Registry, provider: Provider, endpoint: Endpoint, test: AgreedTest) -> Package:
    """Compose the test message as every other message is composed, from an event that ships with the service."""
    case = _case(parts, registry, provider, endpoint, test)
    plan = make_plan(case, parts.workshop.rules, ())
    mine = next((one for one in plan.recipients if one.provider == provider.id), None)
    if mine is None or mine.not_sent_because is not None:
        raise Refused("test.compose", "The test message could not be planned for this recipient.")
    try:
        made = compose_for(parts.workshop, case, plan, mine)
    except (MappingHeld, LetterRefused) as held:
        cause = parts.causes.get("event.letter" if isinstance(held, LetterRefused) else "event.mapping")
        raise Refused(cause.code, f"{cause.sentence} {cause.next_step}") from held
    name = case.message_id(provider.id)
    stored = tuple(_stored(documents_of(name, made)))
    reference = f"{MARK}-{case.reference(provider.id)}"
    return Package(
        delivery=name,
        message=name,
        attempt=1,
        tag=name,
        identifier_system=parts.identifier_system,
        identifier=f"urn:uuid:{name}",
        subject=f"{MARK} {reference}",
        reference=reference,
        documents=stored,
        patient=case.patient,
        provider=provider,
        clinic=registry.clinic,
    )


def _stored(documents: Iterable[NewDocument]) -> Iterable[StoredDocument]:
    for one in documents:
        yield StoredDocument(one.id, one.role, one.media_type, one.body, one.sha256, f"{MARK} {one.title}")  # type: ignore[arg-type]


def _case(parts: Parts, registry: Registry, provider: Provider, endpoint: Endpoint, test: AgreedTest) -> Case:
    now = parts.clock.now()
    written = json.loads(resources.files("coordinator.flow").joinpath("endpoint_test_event.json").read_text("utf-8"))
    staff = registry.staff[0].id if registry.staff else "staff"
    instant = now.isoformat(timespec="seconds")
    event = EVENT.validate_python(
        {**written, "id": f"endpoint-test-{parts.dice.uuid()}", "recorded_at": instant, "recorded_by": staff,
         "attested_by": staff}
    )  # fmt: skip
    role = "psychiatrist" if provider.specialty == "psychiatry" else "primary-care"
    today = now.date()
    patient = Patient(
        id=PATIENT,
        name=test.name,
        birth_date=test.birth_date,
        sex=test.sex,
        identifiers=tuple(one.model_copy(update={"held_by": provider.id}) for one in test.identifiers),
        course=PatientCourse(id="test-course", indications=("other",), started_on=today),
        care_team=(CareTeamMember.model_validate({"provider": provider.id, "role": role, "from": LONG_AGO}),),
        consents=(
            Consent.model_validate(
                {"id": "test", "version": 1, "decision": "permit", "recipient": provider.id, "content": ("all",),
                 "from": LONG_AGO, "evidence": f"{test.agreed_with}, {test.agreed_on}"}
            ),
        ),
    )  # fmt: skip
    only = provider.model_copy(update={"endpoints": (endpoint,)})
    around = registry.model_copy(update={"providers": (only,), "patients": (patient,)})
    return Case("endpoint-test", event, around, (), now, is_test=True)
