"""The questions that `endpoints check` puts to a far side: Direct and fax. None of them sends a message."""

from collections.abc import Sequence
from datetime import datetime

from coordinator.channels.direct import Direct
from coordinator.channels.fax import Fax
from coordinator.channels.receipts.direct_mdn import DirectNotices
from coordinator.channels.secure_link import SecureLink
from coordinator.domain.registry import Endpoint
from coordinator.flow.endpoint_checks import Amiss, Probe


class DirectChecker:
    """Asks the HISP's edge, and the mailbox of its notices, whether they would serve us."""

    def __init__(self, channel: Direct, notices: DirectNotices | None) -> None:
        """`notices` is None where no mailbox is set up: then no message is ever proven to arrive."""
        self._channel = channel
        self._notices = notices

    def probes(self, endpoint: Endpoint) -> Sequence[Probe]:
        """Return: STARTTLS and sign-in at the edge, the mailbox, and our recipient's certificate where we encrypt."""
        edge = Probe("starttls and sign-in", self._channel.try_sign_in)
        mailbox = Probe("imap", self._mailbox)
        if not self._channel.encrypts:
            return (edge, mailbox)
        certificate = Probe("certificate", lambda deadline: self._channel.try_certificate(endpoint, deadline))
        return (certificate, edge, mailbox)

    def _mailbox(self, deadline: datetime) -> str:
        if self._notices is None:
            raise Amiss(
                "No mailbox is set up, so no delivery notice is ever read and no message is proven to arrive.",
                "Set COORDINATOR_IMAP_HOST and the other IMAP settings, then start the service again.",
            )
        return self._notices.try_sign_in()


class SecureLinkChecker:
    """Asks the mail service of the notices, and whether the office could open its letter."""

    def __init__(self, channel: SecureLink) -> None:
        self._channel = channel

    def probes(self, endpoint: Endpoint) -> Sequence[Probe]:
        """Return: STARTTLS and sign-in at the mail service, the access code. No notice is sent."""
        return (
            Probe("starttls and sign-in", self._channel.try_sign_in),
            Probe("access code", lambda deadline: self._channel.try_code(endpoint)),
        )


class FaxChecker:
    """Asks the fax gateway about our account, and looks at the number."""

    def __init__(self, channel: Fax) -> None:
        self._channel = channel

    def probes(self, endpoint: Endpoint) -> Sequence[Probe]:
        """Return: the number's shape, the account. Nothing is dialled."""
        return (
            Probe("number", lambda deadline: self._channel.try_number(endpoint)),
            Probe("account", self._channel.try_account),
        )
