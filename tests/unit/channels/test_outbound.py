import ssl

import httpcore
import httpx
import pytest

from coordinator.domain.errors import NeedsHuman
from coordinator.security.outbound import GuardedTransport, OutboundConfig, guarded_client, may_connect
from coordinator.security.stream import EndingStream

STRICT = OutboundConfig()
LOOPBACK = OutboundConfig(allow_loopback=True)
ON_PREMISE = OutboundConfig(private_hosts=frozenset({"ehr.clinic.example"}))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1",
        "255.255.255.255", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::",
        "192.0.2.1", "198.51.100.7", "fec0::1", "64:ff9b::10.0.0.1", "not-an-address", "",
    ],
)  # fmt: skip
def test_what_is_not_public_is_never_connected_to(address):
    assert may_connect(address, "ehr.example", STRICT) is False


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_what_is_public_may_be_connected_to(address):
    assert may_connect(address, "ehr.example", STRICT) is True


def test_loopback_only_where_trials_allow_it():
    assert may_connect("127.0.0.1", "localhost", LOOPBACK) is True
    assert may_connect("10.0.0.5", "localhost", LOOPBACK) is False


def test_a_private_server_only_by_its_own_name_and_the_metadata_service_never():
    assert may_connect("10.0.0.5", "ehr.clinic.example", ON_PREMISE) is True
    assert may_connect("10.0.0.5", "other.example", ON_PREMISE) is False
    assert may_connect("169.254.169.254", "ehr.clinic.example", ON_PREMISE) is False
    assert may_connect("127.0.0.1", "ehr.clinic.example", ON_PREMISE) is False


@pytest.mark.parametrize(
    "url", ["http://ehr.example/fhir", "http://127.0.0.1:8080/", "ftp://ehr.example/", "http://localhost/"]
)
def test_plain_http_is_refused(url):
    with guarded_client(STRICT) as http, pytest.raises(NeedsHuman) as caught:
        http.get(url)
    assert caught.value.code == "net.blocked"


def test_plain_http_to_another_host_is_refused_even_in_trials():
    with guarded_client(LOOPBACK) as http, pytest.raises(NeedsHuman):
        http.get("http://ehr.example/fhir")


class Resolver:
    """Answers in turn: what a rebinding attacker does."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host, port):
        self.asked += 1
        return self.answers.pop(0)


class Connections:
    """Stands in for the network: keeps the addresses that were connected to, and refuses."""

    def __init__(self):
        self.to = []

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.to.append((host, port))
        raise httpcore.ConnectError("refused")


def a_guard(config, *answers):
    transport, resolver = GuardedTransport(config, one := Resolver(*answers)), one
    transport._backend._plain = connections = Connections()
    return httpx.Client(transport=transport), resolver, connections


def test_the_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to():
    http, resolver, connections = a_guard(STRICT, ["8.8.8.8"], ["127.0.0.1"])
    with http, pytest.raises(httpx.ConnectError):
        http.get("https://ehr.example/fhir")
    assert (resolver.asked, connections.to) == (1, [("8.8.8.8", 443)])


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], [], ["::ffff:127.0.0.1"]])
def test_one_forbidden_address_among_the_answers_blocks_the_name(answer):
    http, _, connections = a_guard(STRICT, answer)
    with http, pytest.raises(NeedsHuman) as caught:
        http.get("https://ehr.example/fhir")
    assert caught.value.code == "net.blocked"
    assert connections.to == []


def test_the_next_address_is_tried_when_the_first_does_not_answer():
    http, _, connections = a_guard(STRICT, ["8.8.8.8", "8.8.4.4"])
    with http, pytest.raises(httpx.ConnectError):
        http.get("https://ehr.example/fhir")
    assert [host for host, _ in connections.to] == ["8.8.8.8", "8.8.4.4"]


def test_ports_can_be_limited():
    http, resolver, _ = a_guard(OutboundConfig(ports=frozenset({443})), ["8.8.8.8"])
    with http, pytest.raises(NeedsHuman):
        http.get("https://ehr.example:25/fhir")
    assert resolver.asked == 0


class Socket:
    """Answers every request with 200, and keeps what was sent, piece by piece, and every timeout that was set."""

    def __init__(self):
        self.writes, self.timeouts, self.takes, self.late = [], [], None, None

    def gettimeout(self):
        return self.timeouts[-1] if self.timeouts else None

    def settimeout(self, seconds):
        self.timeouts.append(seconds)

    def send(self, buffer):
        if self.late:
            raise self.late
        self.writes.append(bytes(buffer[: self.takes]))
        return len(self.writes[-1])

    def recv(self, max_bytes):
        if self.late or not self.writes:
            raise self.late or TimeoutError
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server(httpcore.NetworkStream):
    """A connection to that socket."""

    def __init__(self):
        self.socket = Socket()
        self.writes = self.socket.writes

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        return self

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        return self

    def get_extra_info(self, info):
        return {"is_readable": False, "socket": self.socket}.get(info)

    def close(self):
        pass


@pytest.mark.parametrize(("method", "body"), [("POST", b"a letter"), ("GET", b""), ("POST", b"")])
def test_a_request_leaves_in_one_piece_head_and_body_on_a_new_line_and_on_a_kept_one(method, body):
    transport = GuardedTransport(STRICT, lambda host, port: ["8.8.8.8"])
    transport._backend._plain = server = Server()
    with httpx.Client(transport=transport) as http:
        for _ in range(2):
            server.writes.clear()
            assert http.request(method, "https://ehr.example/fhir", content=body).status_code == 200
            assert len(server.writes) == 1
            assert server.writes[0].startswith(f"{method} /fhir HTTP/1.1".encode())
            assert server.writes[0].endswith(b"\r\n\r\n" + body)


def test_a_body_in_several_pieces_leaves_as_it_comes():
    transport = GuardedTransport(STRICT, lambda host, port: ["8.8.8.8"])
    transport._backend._plain = server = Server()
    pieces = iter([b"one", b"two", b"three"])
    with httpx.Client(transport=transport) as http:
        http.post("https://ehr.example/fhir", content=pieces, headers={"Content-Length": "11"})
    assert server.writes[0].endswith(b"\r\n\r\none")
    assert server.writes[1:3] == [b"two", b"three"]


def test_what_a_socket_takes_in_part_is_sent_on_until_all_of_it_has_left():
    server = Server()
    server.socket.takes = 4
    stream = EndingStream(server, lambda _asked: 5.0)
    stream.write(b"head ")
    stream.write(b"and body")
    assert b"".join(server.writes) == b"head and body"


def test_a_timeout_is_set_when_it_changes_and_each_wait_ends_with_the_whole():
    server, left = Server(), iter([5.0, 5.0, 5.0, 0.25])
    stream = EndingStream(server, lambda _asked: next(left))
    for _ in range(2):
        stream.write(b"head")
        stream.write(b"body")
        stream.read(100)
    assert server.socket.timeouts == [5.0, 0.25]


@pytest.mark.parametrize("left_s", [0.0, -3.0])
def test_once_the_whole_is_over_nothing_is_read_or_written_any_more(left_s):
    server = Server()
    stream = EndingStream(server, lambda _asked: left_s)
    stream.write(b"head")
    with pytest.raises(httpcore.WriteTimeout):
        stream.write(b"body")
    with pytest.raises(httpcore.ReadTimeout):
        stream.read(100)
    assert (server.writes, server.socket.timeouts) == ([], [])


@pytest.mark.parametrize(
    ("fault", "when_reading", "when_writing"),
    [
        (TimeoutError(), httpcore.ReadTimeout, httpcore.WriteTimeout),
        (ConnectionResetError(), httpcore.ReadError, httpcore.WriteError),
        (ssl.SSLError(), httpcore.ReadError, httpcore.WriteError),
    ],
)
def test_a_fault_of_the_socket_is_httpcores_own(fault, when_reading, when_writing):
    server = Server()
    stream = EndingStream(server, lambda _asked: 5.0)
    server.socket.late = fault
    with pytest.raises(when_reading):
        stream.read(100)
    stream.write(b"head")
    with pytest.raises(when_writing):
        stream.write(b"body")
