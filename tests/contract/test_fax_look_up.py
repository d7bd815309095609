"""What the look-up of a fax may conclude: only what the gateway's own list can bear."""

from datetime import timedelta

import pytest

from coordinator.channels.fax import Fax
from coordinator.channels.fax_codes import FaxFailure, classify
from coordinator.channels.fax_documo import DocumoGateway
from coordinator.channels.fax_gateway import FaxStatus
from coordinator.channels.fax_sinch import SinchGateway
from coordinator.channels.fax_srfax import SrfaxGateway
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from tests.contract.people import StillClock, WallClock, a_package
from tests.contract.scripted import ScriptedHttp
from tests.contract.test_fax import PhaxioGateway, config
from tests.contract.test_fax_vendors import documo, said, sinch, soon

pytestmark = pytest.mark.loopback

ENDPOINT = Endpoint(id="ep-fax", kind="fax", address="+1-218-555-0143")
PACKAGE = a_package()
BUSY, GONE = classify(17), classify(73)


def a_fax(name, state="open", failure: FaxFailure | None = None):
    return FaxStatus(name, state, PACKAGE.tag, failure=failure)


class Listed:
    """A gateway that knows these faxes by their ids, and lists those of `listed` under our tag."""

    lists_waiting = True

    def __init__(self, *known, listed=None):
        self.known = {one.fax_id: one for one in known}
        self.listed = known if listed is None else listed

    def status(self, fax_id, *, deadline):
        return self.known.get(fax_id)

    def find(self, tag, *, deadline):
        return tuple(self.listed)


@pytest.fixture
def clock():
    return StillClock(WallClock().now())


def look(gateway, clock, ref=None, channel=None, package=PACKAGE):
    channel = channel or Fax(gateway, clock)
    return channel.look_up(package, ENDPOINT, ref, deadline=clock.now() + timedelta(seconds=8))


def test_the_failed_fax_of_an_earlier_try_says_nothing_of_this_one_before_the_settle_time(clock):
    gateway = Listed(a_fax("1", "failed", BUSY))
    channel = Fax(gateway, clock)
    with pytest.raises(Transient):
        look(gateway, clock, channel=channel)
    gateway.listed = (a_fax("2"), *gateway.listed)  # only now the list shows what was queued before the line broke
    clock.pass_by(seconds=31)
    answer = look(gateway, clock, channel=channel)
    assert (answer.verdict, answer.far_side_ref) == ("arrived", "2")


def test_after_the_settle_time_only_failed_faxes_mean_that_it_failed(clock):
    gateway = Listed(a_fax("1", "failed", BUSY))
    channel = Fax(gateway, clock)
    with pytest.raises(Transient):
        look(gateway, clock, channel=channel)
    clock.pass_by(seconds=31)
    answer = look(gateway, clock, channel=channel)
    assert (answer.verdict, answer.code, answer.retry) == ("failed", "fax.busy", True)


def looked_at_after_the_settle_time(gateway, clock, package):
    channel = Fax(gateway, clock)
    with pytest.raises(Transient):
        look(gateway, clock, channel=channel, package=package)
    clock.pass_by(seconds=31)
    return look(gateway, clock, channel=channel, package=package)


def test_where_a_waiting_fax_may_not_be_listed_the_failed_one_of_an_earlier_try_settles_nothing(clock):
    gateway = Listed(a_fax("1", "failed", BUSY))
    gateway.lists_waiting = False
    with pytest.raises(NeedsHuman) as caught:
        looked_at_after_the_settle_time(gateway, clock, a_package(attempt=2))
    assert caught.value.code == "fax.in-doubt"


def test_where_every_try_is_listed_as_failed_the_last_one_has_failed_too(clock):
    gateway = Listed(a_fax("1", "failed", BUSY), a_fax("2", "failed", BUSY))
    gateway.lists_waiting = False
    answer = looked_at_after_the_settle_time(gateway, clock, a_package(attempt=2))
    assert (answer.verdict, answer.retry) == ("failed", True)


def test_only_srfax_does_not_say_whether_it_lists_what_waits():
    said = {one: one.lists_waiting for one in (PhaxioGateway, SinchGateway, DocumoGateway, SrfaxGateway)}
    assert [one for one, lists in said.items() if not lists] == [SrfaxGateway]


def test_of_several_failed_faxes_one_that_must_not_be_dialled_again_makes_it_a_persons_matter(clock):
    gateway = Listed(a_fax("1", "failed", BUSY), a_fax("2", "failed", GONE))
    channel = Fax(gateway, clock)
    for fault in (Transient, NeedsHuman):
        with pytest.raises(fault):
            look(gateway, clock, channel=channel)
        clock.pass_by(seconds=31)


def test_a_known_fax_that_failed_hides_no_later_one_that_arrived(clock):
    # An older copy of the database knows the first try only; the second was made since.
    gateway = Listed(a_fax("2", "sent"), a_fax("1", "failed", BUSY))
    answer = look(gateway, clock, ref="1")
    assert (answer.verdict, answer.far_side_ref) == ("arrived-proven", "2")


def test_a_known_fax_that_failed_and_is_the_only_one_has_failed_at_once(clock):
    answer = look(Listed(a_fax("1", "failed", BUSY)), clock, ref="1")
    assert (answer.verdict, answer.code, answer.retry) == ("failed", "fax.busy", True)


def test_a_fax_that_the_gateway_numbered_and_has_forgotten_is_not_absent(clock):
    gateway = Listed(listed=())
    channel = Fax(gateway, clock)
    assert look(gateway, clock, "7", channel).verdict == "unknown"
    clock.pass_by(seconds=3600)
    assert look(gateway, clock, "7", channel).verdict == "unknown"


def test_a_gateway_that_lists_other_faxes_than_asked_for_proves_no_absence(http):
    listed = said(success=True, data=[{"id": 1, "status": "success", "tags": {"delivery": "another"}}])
    with ScriptedHttp(lambda method, path, body: listed) as far, pytest.raises(NeedsHuman) as caught:
        PhaxioGateway(http, config(far.address), WallClock()).find("t", deadline=soon())
    assert caught.value.code == "fax.in-doubt"


def test_a_gateway_that_gives_shorter_pages_than_asked_for_is_read_to_its_last_one(http):
    faxes = [{"id": str(n), "status": "COMPLETED", "labels": {"delivery": f"t{n}"}} for n in range(60)]

    def sinch_pages(method, path, body):
        page = int(path.partition("&page=")[2].partition("&")[0])
        return said(faxes=faxes[(page - 1) * 25 : page * 25], pageNumber=page, pageSize=25, totalPages=3, totalItems=60)

    with ScriptedHttp(sinch_pages) as far:
        assert [one.fax_id for one in sinch(http, far.address).find("t59", deadline=soon())] == ["59"]
        assert sinch(http, far.address).find("t99", deadline=soon()) == ()

    rows = [{"messageId": str(n), "status": "success", "tags": [{"name": f"t{n}"}]} for n in range(60)]

    def documo_pages(method, path, body):
        start = int(path.partition("&offset=")[2].partition("&")[0])
        return said(rows=rows[start : start + 25], count=60)

    with ScriptedHttp(documo_pages) as far:
        assert [one.fax_id for one in documo(http, far.address).find("t59", deadline=soon())] == ["59"]
        assert documo(http, far.address).find("t99", deadline=soon()) == ()


@pytest.mark.parametrize("make", [sinch, documo])
def test_a_fax_that_another_one_moves_onto_the_next_page_while_it_is_read_is_one_fax(http, make):
    def pages(method, path, body):
        first = "&page=1" in path or path.endswith("&offset=0")
        if make is sinch:
            rows = [{"id": "101", "status": "COMPLETED", "numberOfPages": 2, "labels": {"delivery": "t"}}]
            return said(faxes=rows, pageNumber=1 if first else 2, totalPages=2)
        return said(rows=[{"messageId": "101", "status": "success", "tags": ["t"]}], count=2)

    with ScriptedHttp(pages) as far:
        assert [one.fax_id for one in make(http, far.address).find("t", deadline=soon())] == ["101"]


@pytest.mark.parametrize(("make", "page"), [
    (sinch, {"faxes": [], "pageNumber": 1, "totalPages": 2, "totalItems": 60}), (documo, {"rows": [], "count": 60}),
])  # fmt: skip
def test_a_list_that_says_it_holds_more_than_it_gives_proves_no_absence(http, make, page):
    with ScriptedHttp(lambda method, path, body: said(**page)) as far, pytest.raises(NeedsHuman) as caught:
        make(http, far.address).find("t", deadline=soon())
    assert caught.value.code == "fax.in-doubt"


def test_sinch_is_asked_for_a_month_in_the_vendors_own_words_and_not_for_its_usual_week(http):
    asked = []

    def script(method, path, body):
        asked.append(path)
        return said(faxes=[], totalPages=0)

    with ScriptedHttp(script) as far:
        sinch(http, far.address).find("t", deadline=soon())
    since = (soon() - timedelta(days=30)).strftime("%Y-%m-%dT")
    assert f"createTime%3E={since}" in asked[0]
