"""A minimal IMAP4rev1 server over TLS: just what a client needs to fetch notices and mark them as seen."""

import contextlib
import re
import socketserver
import ssl
import threading
from collections.abc import Callable
from typing import Protocol


class Mailbox(Protocol):
    """What the server serves."""

    def unseen(self) -> list[int]:
        """Return the UIDs of notices that are due and not seen."""
        ...

    def message(self, uid: int) -> bytes | None:
        """Return a notice's bytes, or None."""
        ...

    def mark_seen(self, uid: int) -> None:
        """Mark as seen."""
        ...


class Imap:
    """The server, in threads."""

    def __init__(self, port: int, tls: ssl.SSLContext, mailbox: Mailbox, check: Callable[[str, str], bool]) -> None:
        """`check(username, password)` decides about LOGIN."""
        imap = self
        self.mailbox = mailbox
        self.check = check
        self.tls = tls
        self.uid_validity = 1
        self.marks = True
        """Whether mail may be marked as seen."""
        self.breaks_at: int | None = None
        """A mail at which it hangs up."""

        class Handler(socketserver.StreamRequestHandler):
            timeout = 60
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    _Conversation(imap, self.rfile.readline, self.wfile.write).run()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

            def get_request(self) -> tuple[ssl.SSLSocket, object]:
                plain, address = super().get_request()
                # The handshake waits for the connection's own thread, so a silent caller stops nobody.
                return imap.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: a failed handshake is the client's to report."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> None:
        """Take connections."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()


class _Conversation:
    """One connection."""

    def __init__(self, imap: Imap, read_line: Callable[[], bytes], write: Callable[[bytes], int]) -> None:
        self._imap = imap
        self._read_line = read_line
        self._write = write
        self._signed_in = False

    def run(self) -> None:
        """Answer commands until LOGOUT or the end."""
        self._write(b"* OK IMAP4rev1 pretend HISP\r\n")
        while line := self._read_line().decode("utf-8", "replace").strip():
            tag, _, rest = line.partition(" ")
            command, _, words = rest.partition(" ")
            command = command.upper()
            self._write(f"{tag} {self._answer(command, words)}\r\n".encode())
            if command == "LOGOUT":
                return

    def _answer(self, command: str, words: str) -> str:
        if command == "CAPABILITY":
            self._write(b"* CAPABILITY IMAP4rev1\r\n")
            return "OK done"
        if command == "LOGOUT":
            self._write(b"* BYE\r\n")
            return "OK done"
        if command == "NOOP":
            return "OK done"
        if command == "LOGIN":
            found = re.fullmatch(r'"?((?:[^"\\]|\\.)*?)"? "?((?:[^"\\]|\\.)*?)"?', words)
            name, secret = (re.sub(r"\\(.)", r"\1", one) for one in found.groups()) if found else ("", "")
            self._signed_in = self._imap.check(name, secret)
            return "OK signed in" if self._signed_in else "NO [AUTHENTICATIONFAILED] refused"
        if not self._signed_in:
            return "NO sign in first"
        if command == "SELECT":
            validity = self._imap.uid_validity
            self._write(f"* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY {validity}]\r\n".encode())
            return "OK [READ-WRITE] selected"
        return self._uid(words) if command == "UID" else "BAD unknown"

    def _uid(self, words: str) -> str:
        command, _, rest = words.partition(" ")
        if command.upper() == "SEARCH":
            found = " ".join(str(one) for one in self._imap.mailbox.unseen())
            self._write(f"* SEARCH {found}".rstrip().encode() + b"\r\n")
            return "OK done"
        number = rest.split(" ", 1)[0]
        if not number.isdigit():
            return "BAD one UID"
        if command.upper() == "FETCH" and int(number) == self._imap.breaks_at:
            raise ConnectionResetError
        if command.upper() == "FETCH":
            body = self._imap.mailbox.message(int(number))
            if body is not None:
                head = f"* {number} FETCH (UID {number} BODY[]<0> {{{len(body)}}}\r\n".encode()
                self._write(head + body + b")\r\n")
            return "OK done"
        if command.upper() == "STORE" and not self._imap.marks:
            return "NO not permitted"
        if command.upper() == "STORE" and "\\Seen" in rest:
            self._imap.mailbox.mark_seen(int(number))
            return "OK done"
        return "BAD unknown"
