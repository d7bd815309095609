"""The fax contract for three more vendors, each in front of a double of its published shape."""

import base64
import json
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from coordinator.channels.fax import Fax
from coordinator.channels.fax_documo import DocumoConfig, DocumoGateway
from coordinator.channels.fax_sinch import SinchConfig, SinchGateway
from coordinator.channels.fax_srfax import SrfaxConfig, SrfaxGateway, account_code
from coordinator.channels.receipts.fax_callback import FaxPoller, UnsignedFaxCallback, named_fax
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.channel_suite import ChannelSuite, Scene
from tests.contract.faxed import FaxedLetters
from tests.contract.people import WallClock, a_package
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback

ENDPOINT = Endpoint(id="ep-fax", kind="fax", address="+1-218-555-0143")
JSON = {"Content-Type": "application/json"}
STATUSES = (400, 401, 402, 403, 404, 408, 413, 415, 418, 422, 429, 500, 502, 503, 504)
BY_STATUS = (
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
    ("redirect", "needs-human", "fax.account"),
)


def said(code=200, /, **body):
    return Step(code, json.dumps(body).encode(), JSON)


def documo(http, base):
    return DocumoGateway(http, DocumoConfig(base, "key"), WallClock())


def sinch(http, base):
    return SinchGateway(http, SinchConfig(base, "project-1", "key", "secret", "+12185550110"), WallClock())


def srfax(http, base):
    config = SrfaxConfig(base, "12345", "sandbox-only", "+1-218-555-0110", "fax@clinic.example")
    return SrfaxGateway(http, config, WallClock())


class VendorSuite(FaxedLetters, ChannelSuite):
    away = "fax.unavailable"
    refusals = BY_STATUS
    make = None
    queued = Step()
    own: ClassVar[dict[str, Step]] = {}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _http(cls):
        with guarded_client(OutboundConfig(allow_loopback=True)) as http:
            cls.http = http
            yield

    def answer(self, fault):
        common = {
            "break-after": Step(act="close-after-reading"),
            "silence-after": Step(act="hang"),
            "drip": Step(200, b"{}", JSON, "drip-headers"),
            "html": Step(200, b"<html>", {"Content-Type": "text/html"}),
            "no-id": said(),
            "redirect": Step(302, b"", {"Location": "http://elsewhere.example/"}),
            **{str(status): said(status, error="no") for status in STATUSES},
        }
        return {**common, **self.own}.get(fault, self.queued)

    @contextmanager
    def scene(self, fault=""):
        with ScriptedHttp(lambda method, path, body: self.answer(fault)) as far:
            address = f"http://127.0.0.1:{a_dead_port()}" if fault == "refused-connection" else far.address
            channel = Fax(type(self).make(self.http, address), WallClock())
            self.far = far
            yield Scene(channel, ENDPOINT, a_package(), lambda: sum(len(one[3]) for one in far.requests))


class TestDocumo(VendorSuite):
    make = staticmethod(documo)
    queued = said(messageId="0b5c8a4e-1", status="processing")


class TestSinch(VendorSuite):
    make = staticmethod(sinch)
    queued = said(id="01J-fax", status="QUEUED")


class TestSrfax(VendorSuite):
    make = staticmethod(srfax)
    queued = said(Status="Success", Result="4711")
    own: ClassVar[dict[str, Step]] = {
        "bad-password": said(Status="Failed", Result="Invalid Access Code / Password"),
        "out-of-credit": said(Status="Failed", Result="Account balance is too low"),
        "refused": said(Status="Failed", Result="Invalid something else"),
    }
    refusals = (
        *BY_STATUS,
        ("bad-password", "needs-human", "fax.account"),
        ("out-of-credit", "needs-human", "fax.account"),
        ("refused", "needs-human", "fax.unknown"),
    )


def soon():
    return WallClock().now() + timedelta(seconds=8)


def sent_request(http, make, queued):
    package = a_package()
    with ScriptedHttp(lambda method, path, body: queued) as far:
        taken = Fax(make(http, far.address), WallClock()).send(
            package, ENDPOINT, deadline=soon(), about_to_send=lambda ref: None
        )
        ((_, path, headers, body),) = far.requests
    return package, taken, path, headers, body


def test_documo_gets_the_number_the_file_and_our_tag(http):
    package, taken, path, headers, body = sent_request(http, documo, TestDocumo.queued)
    assert (path, taken.far_side_ref) == ("/v1/faxes", "0b5c8a4e-1")
    assert headers["authorization"] == "Basic key"
    assert b'name="faxNumber"\r\n\r\n12185550143\r\n' in body
    assert f'name="tags"\r\n\r\n{package.tag}\r\n'.encode() in body
    assert package.document("letter-pdf").body in body


def test_sinch_gets_the_number_the_file_our_label_and_no_retries_of_its_own(http):
    package, taken, path, headers, body = sent_request(http, sinch, TestSinch.queued)
    asked = json.loads(body)
    assert (path, taken.far_side_ref) == ("/v3/projects/project-1/faxes", "01J-fax")
    assert headers["authorization"] == f"Basic {base64.b64encode(b'key:secret').decode()}"
    assert (asked["to"], asked["from"], asked["maxRetries"]) == ("+12185550143", "+12185550110", 0)
    assert asked["labels"] == {"delivery": package.tag}
    assert base64.b64decode(asked["files"][0]["file"]) == package.document("letter-pdf").body


def test_srfax_gets_the_number_the_file_and_a_short_name_of_our_tag_and_no_retries_of_its_own(http):
    package, taken, path, _, body = sent_request(http, srfax, TestSrfax.queued)
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert (path, taken.far_side_ref) == ("/SRF_SecWebSvc.php", "4711")
    assert form["action"] == "Queue_Fax"
    assert (form["sToFaxNumber"], form["sCallerID"], form["sFaxType"]) == ("12185550143", "2185550110", "SINGLE")
    assert form["sRetries"] == "0"
    assert form["sAccountCode"] == account_code(package.tag)
    assert len(form["sAccountCode"]) == 20
    assert base64.b64decode(form["sFileContent_1"]) == package.document("letter-pdf").body


def sinch_fax(**more):
    return said(id="7", numberOfPages=2, labels={"delivery": "t"}, **more)


def srfax_fax(**more):
    return said(Status="Success", Result={"FileName": "f|7", "Pages": "2", **more})


ENDS = [
    (documo, said(messageId="7", status="success", pagesComplete=2, pagesCount=2), "acknowledged", None, False),
    (documo, said(messageId="7", status="success", pagesComplete=1, pagesCount=2), "partial", "fax.partial", True),
    (documo, said(messageId="7", status="failed", pagesComplete=1, pagesCount=2), "partial", "fax.partial", True),
    (documo, said(messageId="7", status="success", pagesComplete=0, pagesCount=2), "partial", "fax.partial", True),
    (documo, said(messageId="7", status="failed", pagesComplete=0, pagesCount=2, resultInfo="busy"), "failed",
     "fax.busy", True),
    (documo, said(messageId="7", status="failed", resultInfo="User busy"), "failed", "fax.busy", True),
    (documo, said(messageId="7", status="failed", resultInfo="no_answer"), "failed", "fax.no-answer", True),
    (documo, said(messageId="7", status="failed", resultInfo="fax_signaling_error"), "failed", "fax.training", True),
    (documo, said(messageId="7", status="failed", resultInfo="UNALLOCATED_NUMBER"), "failed", "fax.bad-number", False),
    (documo, said(messageId="7", status="failed", resultInfo="Number changed"), "failed", "fax.bad-number", False),
    (documo, said(messageId="7", status="failed", resultInfo="insufficient funds"), "failed", "fax.account", False),
    (documo, said(messageId="7", status="failed", resultInfo="gremlins"), "failed", "fax.unknown", False),
    (documo, said(messageId="7", status="cancelled"), "failed", "fax.unknown", False),
    (sinch, sinch_fax(status="COMPLETED"), "acknowledged", None, False),
    (sinch, sinch_fax(status="FAILURE", errorId=17), "failed", "fax.busy", True),
    (sinch, sinch_fax(status="FAILURE", errorId=73), "failed", "fax.bad-number", False),
    (sinch, sinch_fax(status="FAILURE", errorId=19), "failed", "fax.no-fax-tone", False),
    (sinch, sinch_fax(status="FAILURE", errorId=8, pagesSentSuccessfully=1), "partial", "fax.partial", True),
    (sinch, sinch_fax(status="FAILURE"), "failed", "fax.unknown", False),
    (sinch, sinch_fax(status="FAILURE", errorCode=17), "failed", "fax.busy", True),
    (sinch, sinch_fax(status="FAILURE", errorType="CALL_ERROR", errorCode=34), "failed", "fax.bad-number", False),
    (sinch, sinch_fax(status="FAILURE", errorCode="Number changed", errorId=73), "failed", "fax.bad-number", False),
    (sinch, sinch_fax(status="FAILURE", errorCode=46), "failed", "fax.account", False),
    (sinch, sinch_fax(status="FAILURE", errorType="FAX_ERROR", errorCode=132), "failed", "fax.no-fax-tone", False),
    (sinch, sinch_fax(status="FAILURE", errorType="FAX_ERROR", errorCode=131), "partial", "fax.partial", True),
    (sinch, sinch_fax(status="FAILURE", errorType="FAX_ERROR", errorCode=133), "failed", "fax.refused", False),
    (sinch, sinch_fax(status="FAILURE", errorType="DOCUMENT_CONVERSION_ERROR", errorCode=133), "failed",
     "fax.document", False),
    (sinch, sinch_fax(status="COMPLETED", pagesSentSuccessfully=2), "acknowledged", None, False),
    (sinch, sinch_fax(status="COMPLETED", pagesSentSuccessfully=1), "partial", "fax.partial", True),
    (sinch, sinch_fax(status="COMPLETED", pagesSentSuccessfully=0), "partial", "fax.partial", True),
    (srfax, srfax_fax(SentStatus="Sent"), "acknowledged", None, False),
    (srfax, srfax_fax(SentStatus="Failed", ErrorCode="Busy"), "failed", "fax.busy", True),
    (srfax, srfax_fax(SentStatus="Failed", ErrorCode="No Answer"), "failed", "fax.no-answer", True),
    (srfax, srfax_fax(SentStatus="Failed", ErrorCode="No Remote Fax"), "failed", "fax.no-fax-tone", False),
    (srfax, srfax_fax(SentStatus="Failed", ErrorCode=""), "failed", "fax.unknown", False),
]  # fmt: skip


@pytest.mark.parametrize(("make", "answer", "verdict", "code", "retry"), ENDS)
def test_each_end_of_a_call_is_reported_in_its_class(http, make, answer, verdict, code, retry):
    with ScriptedHttp(lambda method, path, body: answer) as far:
        ((news, _),) = FaxPoller(make(http, far.address), WallClock(), lambda: ["7"]).fetch()
    assert (news.far_side_ref, news.verdict, news.code, news.retry) == ("7", verdict, code, retry)


STATIONS = [
    (srfax_fax(SentStatus="Sent", RemoteID=" NORTH CLINIC "), "NORTH CLINIC"),
    (srfax_fax(SentStatus="Sent", RemoteID=2185550143), "2185550143"),
    (srfax_fax(SentStatus="Sent"), None),
    (srfax_fax(SentStatus="Sent", RemoteID=""), None),
    (srfax_fax(SentStatus="Sent", RemoteID=None), None),
    (srfax_fax(SentStatus="Sent", RemoteID=True), None),
    (srfax_fax(SentStatus="Sent", RemoteID=21.5), None),
    (srfax_fax(SentStatus="Sent", RemoteID=["NORTH CLINIC"]), None),
    (srfax_fax(SentStatus="Sent", RemoteID="NORTH\u0000CLINIC"), None),
    (srfax_fax(SentStatus="Sent", RemoteID="N" * 41), None),
    (srfax_fax(SentStatus="Sent", remoteId="NORTH CLINIC"), None),
    (srfax_fax(SentStatus="Failed", ErrorCode="No Answer", RemoteID="VOICE MAIL"), None),
]


@pytest.mark.parametrize(("answer", "station"), STATIONS)
def test_srfax_tells_what_the_machine_calls_itself_that_took_the_fax(http, answer, station):
    package = a_package()
    row = {**json.loads(answer.body)["Result"], "AccountCode": account_code(package.tag)}
    answers = iter((answer, answer, answer, said(Status="Success", Result=[row])))
    with ScriptedHttp(lambda method, path, body: next(answers)) as far:
        gateway = srfax(http, far.address)
        form = ("application/x-www-form-urlencoded", b"FaxDetailsID=7&SentStatus=Sent&RemoteID=FORGED")
        ((polled, _),) = FaxPoller(gateway, WallClock(), lambda: ["7"]).fetch()
        called = UnsignedFaxCallback(gateway, WallClock()).take("", {"content-type": form[0]}, form[1])
        found = Fax(gateway, WallClock()).look_up(package, ENDPOINT, "7", deadline=soon())
    assert (polled.station, called.station, found.station) == (station, station, station)


def test_srfax_tells_it_in_its_list_too(http):
    row = {"FileName": "f|42", "SentStatus": "Sent", "AccountCode": account_code("t1"), "RemoteID": "NORTH CLINIC"}
    with ScriptedHttp(lambda method, path, body: said(Status="Success", Result=[row])) as far:
        assert [one.station for one in srfax(http, far.address).find("t1", deadline=soon())] == ["NORTH CLINIC"]


UNTOLD = dict.fromkeys(("RemoteID", "remoteId", "remote_id", "csid", "remoteCsid", "stationId"), "NORTH CLINIC")


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (documo, said(messageId="7", status="success", pagesComplete=2, pagesCount=2, **UNTOLD)),
        (sinch, sinch_fax(status="COMPLETED", **UNTOLD)),
    ],
)
def test_a_vendor_that_documents_no_such_field_counts_as_not_telling(http, make, answer):
    with ScriptedHttp(lambda method, path, body: answer) as far:
        ((news, _),) = FaxPoller(make(http, far.address), WallClock(), lambda: ["7"]).fetch()
    assert (news.verdict, news.station) == ("acknowledged", None)


OPEN = [
    (documo, said(messageId="7", status="processing")),
    (documo, said(messageId="7", status="transmitting")),
    (documo, said(messageId="7", status="a new word")),
    (sinch, sinch_fax(status="QUEUED")),
    (sinch, sinch_fax(status="IN_PROGRESS")),
    (srfax, srfax_fax(SentStatus="In Progress")),
    (srfax, srfax_fax(SentStatus="Sending Email")),
    (srfax, said(Status="Failed", Result="FaxDetailsID Not Found")),
    (sinch, said(404)),
    (documo, said(404)),
]


@pytest.mark.parametrize(("make", "answer"), OPEN)
def test_a_fax_that_is_still_open_or_not_known_settles_nothing(http, make, answer):
    with ScriptedHttp(lambda method, path, body: answer) as far:
        assert list(FaxPoller(make(http, far.address), WallClock(), lambda: ["7"]).fetch()) == []


def paged(rows, name, per_page, page_of):
    """A list that gives its rows page by page, as the vendor does."""

    def script(method, path, body):
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        start = page_of(query) * per_page
        return said(**{name: rows[start : start + per_page]})

    return script


def test_documo_is_searched_by_our_tag_through_all_its_pages(http):
    rows = [{"messageId": str(n), "status": "success", "tags": [{"name": f"t{n}"}]} for n in range(120)]
    with ScriptedHttp(paged(rows, "rows", 50, lambda query: int(query["offset"]) // 50)) as far:
        gateway = documo(http, far.address)
        assert [one.fax_id for one in gateway.find("t119", deadline=soon())] == ["119"]
        assert gateway.find("t500", deadline=soon()) == ()


def test_sinch_is_searched_by_our_label_through_all_its_pages(http):
    rows = [{"id": str(n), "status": "COMPLETED", "labels": {"delivery": f"t{n}"}} for n in range(150)]
    with ScriptedHttp(paged(rows, "faxes", 100, lambda query: int(query["page"]) - 1)) as far:
        gateway = sinch(http, far.address)
        assert [one.fax_id for one in gateway.find("t149", deadline=soon())] == ["149"]
        assert gateway.find("t500", deadline=soon()) == ()


@pytest.mark.parametrize(("make", "name", "size"), [(documo, "rows", 50), (sinch, "faxes", 100)])
def test_a_list_too_long_to_read_proves_nothing(http, make, name, size):
    page = said(**{name: [{"id": "1", "messageId": "1"}] * size})
    with ScriptedHttp(lambda method, path, body: page) as far, pytest.raises(NeedsHuman) as caught:
        make(http, far.address).find("t", deadline=soon())
    assert caught.value.code == "fax.in-doubt"


def test_srfax_is_searched_by_the_short_name_and_absence_proves_nothing(http):
    rows = [{"FileName": "f|42", "SentStatus": "Sent", "AccountCode": account_code("t1")}]
    with ScriptedHttp(lambda method, path, body: said(Status="Success", Result=rows)) as far:
        gateway = srfax(http, far.address)
        assert [(one.fax_id, one.state) for one in gateway.find("t1", deadline=soon())] == [("42", "sent")]
        with pytest.raises(NeedsHuman):
            gateway.find("t2", deadline=soon())


GOOD_ACCOUNT = {documo: said(accountId="1"), sinch: said(faxes=[]), srfax: said(Status="Success", Result=[])}
BAD_ACCOUNT = {documo: said(401), sinch: said(403), srfax: said(Status="Failed", Result="Invalid Access Code")}


@pytest.mark.parametrize("make", [documo, sinch, srfax])
def test_the_account_is_asked_without_dialling(http, make):
    with ScriptedHttp(lambda method, path, body: GOOD_ACCOUNT[make]) as far:
        assert "answers" in make(http, far.address).account(deadline=soon())
        assert all(
            "Queue_Fax" not in body.decode() and method in ("GET", "POST") for method, _, _, body in far.requests
        )
    with ScriptedHttp(lambda method, path, body: BAD_ACCOUNT[make]) as far, pytest.raises(NeedsHuman) as caught:
        make(http, far.address).account(deadline=soon())
    assert caught.value.code == "fax.account"


CALLBACKS = [
    ("application/json", b'{"messageId": "7", "status": "failed"}'),
    ("application/json; charset=utf-8", b'{"event": "FAX_COMPLETED", "fax": {"id": "7", "status": "FAILURE"}}'),
    ("application/json", b'{"data": {"messageId": "7"}}'),
    ("application/x-www-form-urlencoded", b"FaxDetailsID=7&SentStatus=Sent"),
    (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="fax"\r\n\r\n{"id":"7"}\r\n--b--\r\n',
    ),
]


@pytest.mark.parametrize(("media_type", "body"), CALLBACKS)
def test_an_unsigned_callback_only_names_a_fax_and_the_truth_is_read_back(http, media_type, body):
    with ScriptedHttp(lambda method, path, asked: sinch_fax(status="COMPLETED")) as far:
        news = UnsignedFaxCallback(sinch(http, far.address), WallClock()).take("", {"content-type": media_type}, body)
    assert (news.far_side_ref, news.verdict) == ("7", "acknowledged")


@pytest.mark.parametrize(("media_type", "body"), [
    ("application/json", b"{}"), ("application/json", b"[1]"), ("application/json", b"not json"), ("text/plain", b"7"),
    ("application/json", b'{"id": "../../v3/accounts"}'), ("application/json", b'{"id": true}'),
])  # fmt: skip
def test_a_callback_that_names_no_fax_is_refused(media_type, body):
    with pytest.raises(ValueError, match=r"."):
        named_fax(media_type, body)


@pytest.mark.parametrize(
    ("services", "warns"),
    [
        (said(services=[{"saveOutboundFaxDocuments": False}]), False),
        (said(services=[{"saveOutboundFaxDocuments": True}]), True),
        (said(services=[{"saveOutboundFaxDocuments": False}, {"name": "second"}]), True),
        (said(services=[]), False),
        (said(404), False),
    ],
)
def test_a_gateway_that_keeps_our_letters_is_told_on(http, services, warns):
    def script(method, path, body):
        return services if path.endswith("/services") else said(faxes=[])

    with ScriptedHttp(script) as far:
        seen = sinch(http, far.address).account(deadline=soon())
    assert ("keeps a copy of every fax" in seen) is warns
