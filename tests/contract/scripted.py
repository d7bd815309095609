"""Hand-written far sides that do exactly as told: an HTTP server and an SMTP server, at the level of sockets."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Act = str
"""answer, close-before-reading, close-after-reading, hang, drip-headers, drip-body, cut-body, endless-body."""


@dataclass(frozen=True)
class Step:
    """What to do with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    act: Act = "answer"


class _Listener:
    """Accepts on loopback and gives each connection a thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.tls = tls
        self._open: list[socket.socket] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._main.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        self._main.join(5)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, plain: socket.socket) -> None:
        one = plain
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            if self.tls is not None:
                one = self.tls.wrap_socket(plain, server_side=True)
            self._open.append(one)
            self.converse(one)
        with contextlib.suppress(OSError):
            one.close()
        plain.close()

    def wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def converse(self, one: socket.socket) -> None:
        raise NotImplementedError


class ScriptedHttp(_Listener):
    """An HTTP/1.1 server. `script(method, path, body)` says what to do; every request is kept."""

    def __init__(self, script: Callable[[str, str, bytes], Step], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.script = script
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.heads: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def asked(self, method: str, path_start: str) -> list[tuple[str, str, dict[str, str], bytes]]:
        return [one for one in self.requests if one[0] == method and one[1].startswith(path_start)]

    def converse(self, one: socket.socket) -> None:
        reader = one.makefile("rb")
        with contextlib.closing(reader):
            while line := reader.readline():
                method, path, _ = line.decode("latin-1").split(" ", 2)
                headers = {}
                while (head := reader.readline().strip()) != b"":
                    name, _, value = head.decode("latin-1").partition(":")
                    headers[name.strip().lower()] = value.strip()
                self.heads.append((method, path))
                step = self.script(method, path, b"")
                if step.act == "close-before-reading":
                    return
                body = reader.read(int(headers.get("content-length", "0")))
                self.requests.append((method, path, headers, body))
                if not self._play(one, step):
                    return

    def _play(self, one: socket.socket, step: Step) -> bool:
        """Answer; return whether the connection goes on."""
        if step.act == "close-after-reading":
            return False
        if step.act == "hang":
            self.wait(20)
            return False
        head = f"HTTP/1.1 {step.status} Any\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in step.headers.items())
        if step.act == "drip-headers":
            for byte in head.encode():
                one.sendall(bytes([byte]))
                self.wait(0.15)
            return False
        if step.act == "endless-body":
            one.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
            while not self._stopping.is_set():
                one.sendall(chunk)
            return False
        length = len(step.body) if step.act == "answer" else len(step.body) + 100
        one.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        if step.act == "drip-body":
            for byte in step.body + b" " * 100:
                one.sendall(bytes([byte]))
                self.wait(0.15)
            return False
        one.sendall(step.body)
        return step.act == "answer"


class ScriptedSmtp(_Listener):
    """An SMTP server with STARTTLS. `replies` maps a verb (or "after", "connect") to a reply; `act` breaks things."""

    def __init__(self, tls: ssl.SSLContext, replies: dict[str, str] | None = None, act: str = "") -> None:
        super().__init__()
        self._server_tls = tls
        self.replies = replies or {}
        self.act = act
        """no-starttls, hang-at-connect, drip-greeting, drop-in-data, drop-after-dot, hang-after-dot."""
        self.commands: list[str] = []
        self.message = b""
        self.taken: list[bytes] = []

    def converse(self, one: socket.socket) -> None:
        if self.act == "hang-at-connect":
            self.wait(20)
            return
        greeting = self.replies.get("connect", "220 scripted")
        if self.act == "drip-greeting":
            for byte in f"{greeting}{'.' * 400}".encode():
                one.sendall(bytes([byte]))
                self.wait(0.15)
            return
        one.sendall(f"{greeting}\r\n".encode())
        reader = one.makefile("rb")
        while line := reader.readline():
            command = line.decode("latin-1").strip()
            verb = command.split(" ")[0].upper()
            self.commands.append(command)
            if verb == "DATA" and "DATA" not in self.replies:
                one.sendall(b"354 go on\r\n")
                if not self._data(one, reader):
                    break
                continue
            one.sendall(self._reply(verb, tls=isinstance(one, ssl.SSLSocket)))
            if verb == "STARTTLS" and "STARTTLS" not in self.replies:
                reader.close()
                one = self._server_tls.wrap_socket(one, server_side=True)
                self._open.append(one)
                reader = one.makefile("rb")
            if verb == "QUIT":
                break
        reader.close()
        one.close()

    def _reply(self, verb: str, *, tls: bool) -> bytes:
        if verb in self.replies:
            return f"{self.replies[verb]}\r\n".encode()
        if verb == "EHLO":
            offers = ["250-scripted", "250-AUTH PLAIN"] if tls else ["250-scripted", "250-STARTTLS"]
            if self.act == "no-starttls":
                offers = ["250-scripted", "250-AUTH PLAIN"]
            return "\r\n".join([*offers, "250 SIZE 10000000", ""]).encode()
        return {"AUTH": b"235 ok\r\n", "STARTTLS": b"220 go\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")

    def _data(self, one: socket.socket, reader) -> bool:
        if self.act == "drop-in-data":
            self.message += reader.read(1)
            socket.socket.shutdown(one, socket.SHUT_RDWR)
            return False
        lines = []
        while (line := reader.readline()) not in (b".\r\n", b""):
            lines.append(line)
        self.message += b"".join(lines)
        if line == b"":
            return False
        if self.act == "drop-after-dot":
            self.taken.append(self.message)
            return False
        if self.act == "hang-after-dot":
            self.wait(20)
            return False
        if self.replies.get("after", "2").startswith("2"):
            self.taken.append(self.message)
        one.sendall(f"{self.replies.get('after', '250 taken')}\r\n".encode())
        return True


def a_dead_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def elapsed(since_s: float) -> float:
    return time.monotonic() - since_s
