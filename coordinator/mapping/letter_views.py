"""Letters as FHIR attachments, and what one message is known by."""

import base64
import hashlib

from coordinator.domain.case import Case, request_names
from coordinator.domain.events import SessionOutcome
from coordinator.domain.letter import Letter
from coordinator.domain.plan import RecipientPlan
from coordinator.domain.registry import Provider
from coordinator.mapping.view import AttachmentView, LetterView, MessageView, WithdrawnView

PDF, TEXT = "application/pdf", "text/plain"


def attachment(content_type: str, body: bytes, language: str, title: str) -> AttachmentView:
    """Return the bytes as R4 wants them: base64, SHA-1 as base64 (R4 Attachment.hash), size before encoding."""
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    return AttachmentView(
        content_type=content_type,
        language=language,
        title=title,
        data=base64.b64encode(body).decode(),
        hash=base64.b64encode(digest).decode(),
        size=len(body),
    )


def letter_view(case: Case, letter: Letter, accepts: tuple[str, ...], *, only_one: bool) -> LetterView:
    """Return the letter with the forms that the endpoint takes; an empty `accepts` means all of them.

    Text that goes alone goes as it was laid out for that system's window.
    """
    forms = [(PDF, letter.pdf), (TEXT, letter.text.encode())]
    taken = [(kind, body) for kind, body in forms if not accepts or kind in accepts] or forms[1:]
    if only_one:
        taken = taken[:1]
    if [kind for kind, _ in taken] == [TEXT] and letter.text_in_columns is not None:
        taken = [(TEXT, letter.text_in_columns.encode())]
    return LetterView(
        kind=letter.kind,
        title=letter.title,
        type_code=letter.type_code,
        language=letter.language,
        reference=letter.reference,
        document=case.document_id(letter.provider, letter.kind),
        replaces=replaced_documents(case, letter),
        attachments=tuple(attachment(kind, body, letter.language, letter.title) for kind, body in taken),
    )


def replaced_documents(case: Case, letter: Letter) -> tuple[str, ...]:
    """Return the documents this recipient holds of earlier versions: of the same kind, or all for a correction."""
    held = [one for one in case.already_sent if one.provider == letter.provider and one.version < case.event.version]
    if letter.kind != "L9":
        held = [one for one in held if one.kind == letter.kind]
    newest = max((one.version for one in held), default=0)
    found = [case.document_id(one.provider, one.kind, one.version) for one in held if one.version == newest]
    return tuple(dict.fromkeys(found))


def message_view(case: Case, recipient: RecipientPlan, provider: Provider) -> MessageView:
    """Return the names of the message and the notification event it tells of."""
    planned = {one.endpoint for one in recipient.channels if one.usable and one.kind == "fhir-message"}
    address = next((one.address for one in provider.endpoints if one.id in planned), None)
    return MessageView(
        identifier=case.message_id(provider.id),
        source_endpoint=f"urn:coordinator:{case.clinic.npi}",
        destination_endpoint=address,
        event_code=_event_code(case),
        digest_due_at=recipient.digest_due_at if recipient.when == "digest" else None,
    )


def _event_code(case: Case) -> str:
    if not isinstance(case.event, SessionOutcome):
        return "tx-change"
    return (
        "tx-issue" if isinstance(case.event.adverse_events, tuple) and case.event.adverse_events else "progress-update"
    )


def withdrawn_views(case: Case, recipient: RecipientPlan) -> tuple[WithdrawnView, ...]:
    """Return what this recipient was asked and is asked no longer.

    Of this event whatever is not asked again; of an event before it in the lane
    only when something is asked now in its place.
    """
    asked = request_names([one.action for one in recipient.requests])
    found = []
    for one in case.asked_before:
        same_event = one.event == case.event.id
        stands = one.name in asked if same_event else not asked
        if one.provider == recipient.provider and not stands:
            found.append(WithdrawnView(one.event, one.action, one.name))
    return tuple(found)
