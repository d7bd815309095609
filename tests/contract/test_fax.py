import io
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from PIL import Image

from coordinator.channels.fax import Fax
from coordinator.channels.fax_gateway import PhaxioConfig, PhaxioGateway
from coordinator.channels.receipts.fax_callback import FaxCallback, FaxPoller
from coordinator.channels.wire import Answer
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.letters.pdf import pages_text
from coordinator.sandbox.callback_signature import sign
from coordinator.sandbox.fax_gateway import FaxGateway
from coordinator.sandbox.web import Fault
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.channel_suite import ChannelSuite, Scene
from tests.contract.faxed import FaxedLetters, a_pdf
from tests.contract.people import StillClock, WallClock, a_document, a_package
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback

ENDPOINT = Endpoint(id="ep-fax", kind="fax", address="+1-218-555-0143")
JSON = {"Content-Type": "application/json"}
QUEUED = Step(200, b'{"success": true, "message": "queued", "data": {"id": 7}}', JSON)
REFUSED = b'{"success": false, "message": "no"}'
ANSWERS = {
    "": QUEUED,
    "break-after": Step(act="close-after-reading"),
    "silence-after": Step(act="hang"),
    "drip": Step(200, b"{}", JSON, "drip-headers"),
    "html": Step(200, b"<html>", {"Content-Type": "text/html"}),
    "no-id": Step(200, b'{"success": true, "data": {}}', JSON),
    "not-success": Step(200, REFUSED, JSON),
    "redirect": Step(302, b"", {"Location": "http://elsewhere.example/"}),
    **{str(status): Step(status, REFUSED, JSON) for status in (
        400, 401, 402, 403, 404, 408, 413, 415, 418, 422, 429, 500, 502, 503, 504)},
}  # fmt: skip


def config(base_url):
    return PhaxioConfig(base_url, "sandbox", "sandbox-only")


class TestFax(FaxedLetters, ChannelSuite):
    away = "fax.unavailable"
    refusals = (
        ("400", "permanent", "fax.document"),
        ("401", "needs-human", "fax.account"),
        ("402", "needs-human", "fax.account"),
        ("403", "needs-human", "fax.account"),
        ("404", "needs-human", "fax.account"),
        ("408", "transient", "fax.unavailable"),
        ("413", "permanent", "fax.document"),
        ("415", "permanent", "fax.document"),
        ("418", "needs-human", "fax.unknown"),
        ("422", "needs-human", "fax.unknown"),
        ("429", "transient", "fax.unavailable"),
        ("500", "in-doubt", "fax.in-doubt"),
        ("502", "in-doubt", "fax.in-doubt"),
        ("503", "transient", "fax.unavailable"),
        ("504", "in-doubt", "fax.in-doubt"),
        ("html", "in-doubt", "fax.in-doubt"),
        ("no-id", "in-doubt", "fax.in-doubt"),
        ("not-success", "in-doubt", "fax.in-doubt"),
        ("redirect", "needs-human", "fax.account"),
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _http(cls):
        with guarded_client(OutboundConfig(allow_loopback=True)) as http:
            cls.http = http
            yield

    @contextmanager
    def scene(self, fault=""):
        with ScriptedHttp(lambda method, path, body: ANSWERS.get(fault, QUEUED)) as far:
            address = f"http://127.0.0.1:{a_dead_port()}" if fault == "refused-connection" else far.address
            channel = Fax(PhaxioGateway(self.http, config(address), WallClock()), WallClock())
            self.far = far
            yield Scene(channel, ENDPOINT, a_package(), lambda: sum(len(one[3]) for one in far.requests))


@pytest.fixture
def gateway(tmp_path):
    one = FaxGateway(tmp_path)
    one.behaviour.dial_s = 0.05
    one.start()
    yield one
    one.stop()


def soon():
    return WallClock().now() + timedelta(seconds=8)


def send(channel, package):
    return channel.send(package, ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)


def poll(gateway, http, *ids):
    source = FaxPoller(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock(), lambda: ids)
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        found = [news for news, _ in source.fetch()]
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("the gateway never finished")


@pytest.mark.parametrize(
    ("outcome", "verdict", "code", "retry"),
    [
        ("success", "acknowledged", None, False),
        ("busy", "failed", "fax.busy", True),
        ("no-answer", "failed", "fax.no-answer", True),
        ("training", "failed", "fax.training", True),
        ("human", "failed", "fax.no-fax-tone", False),
        ("changed", "failed", "fax.bad-number", False),
        ("refused", "failed", "fax.refused", False),
        ("document", "failed", "fax.document", False),
        ("partial", "partial", "fax.partial", True),
    ],
)
def test_each_end_of_a_call_is_reported_in_its_class(gateway, http, outcome, verdict, code, retry):
    gateway.script(ENDPOINT.address, outcome)
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock()), a_package()
    taken = send(channel, package)
    (news,) = poll(gateway, http, taken.far_side_ref)
    assert (news.verdict, news.code, news.retry, news.tag) == (verdict, code, retry, package.tag)
    asked = channel.look_up(package, ENDPOINT, taken.far_side_ref, deadline=soon())
    assert asked.verdict == ("arrived-proven" if outcome == "success" else "failed")
    assert (asked.code, asked.retry) == (code, retry)


def test_busy_twice_then_through_is_one_fax_held(gateway, http):
    gateway.script(ENDPOINT.address, "busy", "busy", "success")
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock()), a_package()
    ends = [poll(gateway, http, send(channel, package).far_side_ref)[0].verdict for _ in range(3)]
    assert ends == ["failed", "failed", "acknowledged"]
    assert (gateway.count(), gateway.duplicates()) == (1, [])


def test_a_fax_queued_before_the_line_broke_is_found_by_our_tag_and_dialled_once(gateway, http):
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock()), a_package()
    gateway.misbehave(Fault("store-then-drop"))
    with pytest.raises(InDoubt):
        send(channel, package)
    answer = channel.look_up(package, ENDPOINT, None, deadline=soon())
    assert answer.verdict in ("arrived", "arrived-proven")
    assert len(gateway.faxes()) == 1


def test_nothing_under_our_tag_is_absent_only_after_the_settle_time(gateway, http):
    clock = StillClock(WallClock().now())
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), clock), clock), a_package()
    with pytest.raises(Transient):
        channel.look_up(package, ENDPOINT, None, deadline=clock.now() + timedelta(seconds=8))
    clock.pass_by(seconds=31)
    answer = channel.look_up(package, ENDPOINT, None, deadline=clock.now() + timedelta(seconds=8))
    assert answer.verdict == "absent"


def test_a_second_try_that_is_lost_has_a_settle_time_of_its_own(gateway, http):
    clock = StillClock(WallClock().now())
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), clock), clock), a_package()
    for attempt in (1, 2):
        lost = replace(package, attempt=attempt)
        with pytest.raises(Transient):
            channel.look_up(lost, ENDPOINT, None, deadline=clock.now() + timedelta(seconds=8))
        clock.pass_by(seconds=31)  # another process has found nothing meanwhile, and sent it again


def test_two_faxes_under_one_tag_are_a_persons_matter_and_the_gateway_counts_both(gateway, http):
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock()), a_package()
    send(channel, package)
    send(channel, package)
    with pytest.raises(NeedsHuman):
        channel.look_up(package, ENDPOINT, None, deadline=soon())
    assert gateway.duplicates() == [package.tag]


@pytest.mark.parametrize("number", ["218-555-0143", "+1-218-555-01x3", "+1", "tel:+12185550143"])
def test_what_is_no_number_is_never_dialled(gateway, http, number):
    channel = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock())
    with pytest.raises(NeedsHuman):
        channel.send(
            a_package(),
            Endpoint(id="e", kind="fax", address=number),
            deadline=soon(),
            about_to_send=lambda ref: None,
        )
    assert gateway.faxes() == []


URL = "https://clinic.example/v1/receipts/fax/hidden"


def a_callback(fields, token="sandbox-callback-token", url=URL):
    boundary = "b0undary"
    lines = [
        line
        for name, value in fields
        for line in (f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", value)
    ]
    body = "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}",
        "x-phaxio-signature": sign(url, fields, token),
    }
    return headers, body


def receiver(gateway, http):
    return FaxCallback(
        PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock(), token="sandbox-callback-token"
    )


def test_a_signed_callback_is_a_hint_and_the_truth_is_read_back(gateway, http):
    gateway.script(ENDPOINT.address, "busy")
    channel, package = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock()), a_package()
    fax_id = send(channel, package).far_side_ref
    (polled,) = poll(gateway, http, fax_id)
    headers, body = a_callback([("fax", f'{{"id": {fax_id}, "status": "success"}}'), ("direction", "sent")])
    news = receiver(gateway, http).take(URL, headers, body)
    assert (news.verdict, news.code) == ("failed", "fax.busy")
    assert news.key == polled.key


def test_a_callback_with_another_signature_is_refused(gateway, http):
    fields = [("fax", '{"id": 1}')]
    for headers, body in (
        a_callback(fields, token="guessed"),
        a_callback(fields, url="https://clinic.example/other"),
        ({**a_callback(fields)[0], "x-phaxio-signature": ""}, a_callback(fields)[1]),
        (a_callback(fields)[0], a_callback([("fax", '{"id": 2}')])[1]),
    ):
        with pytest.raises(ValueError, match="signature"):
            receiver(gateway, http).take(URL, headers, body)


def test_a_callback_about_a_fax_nobody_knows_or_that_is_still_open_settles_nothing(gateway, http):
    headers, body = a_callback([("fax", '{"id": 4711}')])
    assert receiver(gateway, http).take(URL, headers, body) is None
    gateway.behaviour.dial_s = 60
    channel = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock())
    headers, body = a_callback([("fax", f'{{"id": {send(channel, a_package()).far_side_ref}}}')])
    assert receiver(gateway, http).take(URL, headers, body) is None


@pytest.mark.parametrize("fields", [[], [("fax", "not json")], [("fax", "[]")], [("fax", "{}")]])
def test_a_signed_callback_that_names_no_fax_is_refused(gateway, http, fields):
    headers, body = a_callback(fields)
    with pytest.raises(ValueError, match="names no fax"):
        receiver(gateway, http).take(URL, headers, body)


def test_the_pretend_gateways_own_callback_passes_our_check(gateway, http):
    seen = []

    def script(method, path, body):
        return Step(200)

    with ScriptedHttp(script) as office:
        url = f"{office.address}/receipts/fax"
        own = PhaxioConfig(gateway.base_url, "sandbox", "sandbox-only", url)
        channel = Fax(PhaxioGateway(http, own, WallClock()), WallClock())
        fax_id = send(channel, a_package()).far_side_ref
        ends = time.monotonic() + 5
        while not office.requests and time.monotonic() < ends:
            time.sleep(0.02)
        _, _, headers, body = office.requests[0]
        seen.append(receiver(gateway, http).take(url, headers, body))
    assert (seen[0].far_side_ref, seen[0].verdict) == (fax_id, "acknowledged")


def test_one_fax_that_cannot_be_asked_for_does_not_hide_the_others(gateway, http):
    channel = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock())
    fax_id = send(channel, a_package()).far_side_ref
    time.sleep(0.1)
    gateway.misbehave(Fault("drop"))
    source = FaxPoller(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock(), lambda: ["1", fax_id])
    news = source.fetch()
    assert next(news)[0].far_side_ref == fax_id
    with pytest.raises(Transient):
        next(news)


@pytest.mark.parametrize("role", ["fax-pdf", "letter-pdf"])
@pytest.mark.parametrize("tiff", [False, True])
def test_every_letter_of_a_message_is_in_the_fax(role, tiff):
    held = []

    class Desk:
        def submit(self, fax, *, deadline, about_to_send):
            about_to_send()
            held.append(fax)
            return "7", Answer(200, {}, b"{}", whole=True)

    package = a_package()
    letters = tuple(a_document(role, a_pdf(words)) for words in ("the session", "the question"))
    package = replace(package, documents=letters)
    send(Fax(Desk(), WallClock(), tiff=tiff), package)
    (fax,) = held
    if tiff:
        assert Image.open(io.BytesIO(fax.content)).n_frames == 2
    else:
        assert [one.strip() for one in pages_text(fax.content)] == ["the session", "the question"]


def test_two_letters_of_which_one_is_no_pdf_are_not_faxed_in_part(gateway, http):
    channel = Fax(PhaxioGateway(http, config(gateway.base_url), WallClock()), WallClock())
    documents = (a_document("letter-pdf", a_pdf("whole")), a_document("letter-pdf", b"no PDF"))
    with pytest.raises(Permanent):
        send(channel, replace(a_package(), documents=documents))
    assert gateway.faxes() == []
