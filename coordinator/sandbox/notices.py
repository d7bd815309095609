"""The notices that a pretend HISP writes: MDNs in the shape of RFC 8098 with Direct's extension field."""

from email.message import EmailMessage
from email.utils import make_msgid
from typing import Literal

Kind = Literal["processed", "dispatched", "failed"]


def mdn(kind: Kind, original_id: str, to_address: str, final_recipient: str) -> bytes:
    """Return a whole notice about the message with that Message-ID."""
    message = EmailMessage()
    message["From"] = "hisp@direct.sandbox.example"
    message["To"] = to_address
    message["Subject"] = f"Disposition notification: {kind}"
    message["Message-ID"] = make_msgid(domain="direct.sandbox.example")
    fields = [
        "Reporting-UA: direct.sandbox.example; pretend HISP",
        f"Final-Recipient: rfc822; {final_recipient}",
        f"Original-Message-ID: {original_id}",
        f"Disposition: automatic-action/MDN-sent-automatically;{kind}",
    ]
    if kind == "dispatched":
        fields.append("X-DIRECT-FINAL-DESTINATION-DELIVERY: true")
    boundary = f"notice-{abs(hash((kind, original_id))):x}"
    head = message.as_string().rstrip("\n")
    return (
        (
            f"{head}\nMIME-Version: 1.0\n"
            f'Content-Type: multipart/report; report-type=disposition-notification; boundary="{boundary}"\n\n'
            f"--{boundary}\nContent-Type: text/plain\n\nThe message was {kind}.\n"
            f"--{boundary}\nContent-Type: message/disposition-notification\n\n" + "\n".join(fields) + "\n\n"
            f"--{boundary}--\n"
        )
        .replace("\n", "\r\n")
        .encode()
    )
