"""endpoints list and check, in front of the pretend recipients: what was seen, what to do, and nothing sent."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from coordinator.channels.checking import DirectChecker, FaxChecker, SecureLinkChecker
from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.channels.fax import Fax
from coordinator.channels.fax_gateway import PhaxioConfig, PhaxioGateway
from coordinator.channels.fhir.checking import FhirChecker, KeySet
from coordinator.channels.receipts.direct_mdn import DirectNotices, ImapConfig
from coordinator.channels.secure_link import SecureLink
from coordinator.domain.errors import NeedsHuman, NotFound, Transient
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.flow.addresses import address_key
from coordinator.flow.endpoint_checks import Amiss, Probe, check_endpoint, list_endpoints
from coordinator.flow.holds import hold, hold_after_restore
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import EndpointHealth
from coordinator.mapping.partners import Partner
from coordinator.mapping.planner import Capability
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.fax_gateway import FaxGateway
from coordinator.sandbox.hisp import Hisp
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.security.smart_keys import SigningKey, jwks_document
from tests.contract.people import CountingDice, NoSignIn, WallClock
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

WHO = Actor("staff", "somebody")
CHART = frozenset({"Patient", "Observation", "DocumentReference"})
TAKES_ALL = Capability("4.0.1", frozenset({"transaction"}), frozenset(), dict.fromkeys(CHART, True))


def known(bench, kind):
    return next(row for row in list_endpoints(bench.parts) if row.kind == kind)


class Asks:
    """A checker with given probes."""

    def __init__(self, *probes):
        self._probes = probes

    def probes(self, endpoint):
        return self._probes


def raising(fault):
    def ask(deadline):
        raise fault

    return ask


def steps_of(bench, *probes):
    row = known(bench, "direct")
    return check_endpoint(bench.parts, {"direct": Asks(*probes)}, row.id, WHO)


def test_every_endpoint_is_listed_with_whether_it_may_be_used(bench):
    rows = list_endpoints(bench.parts)
    assert {row.kind for row in rows} >= {"fhir-rest", "direct", "fax"}
    assert all(row.usable != bool(row.why_not) for row in rows)


def test_a_suspended_number_is_not_usable_and_says_why(bench):
    row = known(bench, "fax")
    with bench.parts.ledger.begin() as tx:
        health = EndpointHealth(
            row.id, suspended_at=bench.clock.now(), suspended_address_key=address_key(tx, row.address),
            cause="fax.bad-number",
        )  # fmt: skip
        tx.put_health(health, bench.clock.now())
    again = known(bench, "fax")
    assert not again.usable
    assert "suspended" in again.why_not
    steps = check_endpoint(bench.parts, {}, row.id, WHO)
    assert (steps[0].name, steps[0].ok) == ("address", False)
    assert steps[0].what_to_do


def test_an_open_breaker_is_told(bench):
    row = known(bench, "direct")
    with bench.parts.ledger.begin() as tx:
        now = bench.clock.now()
        tx.put_health(EndpointHealth(row.id, failures=5, open_since=now, cause="net.connect"), now)
    flow = check_endpoint(bench.parts, {}, row.id, WHO)[1]
    assert (flow.name, flow.ok) == ("flow", False)
    assert "5 failures" in flow.seen


@pytest.mark.parametrize("scope", ["endpoint", "channel", "everything"])
def test_a_held_address_is_told_with_who_holds_it_and_why(bench, scope):
    row = known(bench, "direct")
    named = {"endpoint": f"endpoint:{row.id}", "channel": "channel:direct"}.get(scope, scope)
    hold(bench.parts, named, reason="their server moves tonight", actor=WHO)
    steps = {one.name: one for one in check_endpoint(bench.parts, {"direct": Asks()}, row.id, WHO)}
    assert steps["hold"].ok is False
    assert "their server moves tonight" in steps["hold"].seen
    assert steps["hold"].what_to_do
    assert "somebody" in known(bench, "direct").held
    other = known(bench, "fax")
    assert bool(other.held) is (scope == "everything")


def test_after_a_restore_the_step_says_how_that_hold_ends(bench):
    row = known(bench, "direct")
    hold_after_restore(bench.parts, reason="restored", actor=WHO)
    steps = {one.name: one for one in check_endpoint(bench.parts, {"direct": Asks()}, row.id, WHO)}
    assert steps["hold"].what_to_do.startswith("End the hold")


def test_an_address_that_nobody_holds_has_no_such_step(bench):
    row = known(bench, "direct")
    assert "hold" not in {one.name for one in check_endpoint(bench.parts, {"direct": Asks()}, row.id, WHO)}
    assert row.held == ""


def test_an_endpoint_that_nobody_has_is_not_found(bench):
    with pytest.raises(NotFound):
        check_endpoint(bench.parts, {}, "ep-nobody", WHO)


def test_a_channel_that_is_not_set_up_says_which_settings_it_needs(bench):
    steps = check_endpoint(bench.parts, {}, known(bench, "fax").id, WHO)
    assert (steps[-1].ok, "COORDINATOR_FAX_URL" in steps[-1].what_to_do) == (False, True)


def test_each_fault_is_told_in_the_words_of_its_cause_and_what_hangs_on_it_is_not_tried(bench):
    asked = []
    steps = steps_of(
        bench,
        Probe("first", lambda deadline: "seen"),
        Probe("second", raising(NeedsHuman("direct.sign-in", status=535)), ("first",)),
        Probe("third", lambda deadline: asked.append(1) or "never", ("second",)),
        Probe("fourth", raising(Amiss("odd", "mend it"))),
        Probe("fifth", raising(Transient("net.dns"))),
    )
    found = {one.name: one for one in steps}
    assert [found[name].ok for name in ("first", "second", "third", "fourth", "fifth")] == [
        True,
        False,
        None,
        False,
        False,
    ]
    cause = bench.parts.causes.get("direct.sign-in")
    assert cause.sentence in found["second"].seen
    assert "535" in found["second"].seen
    assert found["second"].what_to_do == cause.next_step
    assert "second" in found["third"].seen
    assert (found["fourth"].seen, found["fourth"].what_to_do) == ("odd", "mend it")
    assert asked == []


def test_a_check_is_in_the_audit_trail(bench):
    row = known(bench, "direct")
    check_endpoint(bench.parts, {}, row.id, WHO)
    with bench.parts.ledger.begin(write=False) as tx:
        assert [(one.action, one.actor) for one in tx.audit_of([row.id])][-1][0] == "endpoint checked"


def level_of(capability, partner=None, pinned=None):
    checker = FhirChecker(None, NoSignIn(), WallClock(), partners={"p": partner} if partner else {}, chart_types=CHART)
    endpoint = Endpoint(id="e", kind="fhir-rest", address="https://ehr.example/fhir", partner="p", content_level=pinned)
    return checker._level(endpoint, capability)


@pytest.mark.parametrize(
    ("capability", "partner", "level", "word"),
    [
        (TAKES_ALL, None, "chart", "transactions"),
        (replace(TAKES_ALL, system=frozenset()), None, "singles", "no transactions"),
        (replace(TAKES_ALL, creates={"DocumentReference": False}), None, "document", "Observation, Patient"),
        (TAKES_ALL, Partner("p", 1, transaction=False, creates=("DocumentReference",)), "document", "partner"),
        (TAKES_ALL, Partner("p", 1, transaction_entries=2), "singles", "2 entries"),
    ],
)
def test_the_content_level_and_its_reason(capability, partner, level, word):
    found = level_of(capability, partner)
    assert found.startswith(f"{level}: ")
    assert word in found


def test_a_pinned_level_stays_and_none_at_all_is_a_fault():
    assert level_of(TAKES_ALL, pinned="document") == "document: pinned in the registry."
    with pytest.raises(NeedsHuman):
        level_of(replace(TAKES_ALL, creates={}))


# In front of the pretend recipients.


@pytest.fixture
def http():
    with guarded_client(OutboundConfig(allow_loopback=True)) as client:
        yield client


def answers(checker, endpoint):
    """Return (name, what was seen or the fault) of each probe."""
    found = []
    for probe in checker.probes(endpoint):
        try:
            found.append((probe.name, probe.ask(WallClock().now() + timedelta(seconds=8))))
        except (NeedsHuman, Transient) as fault:
            found.append((probe.name, fault.code))
        except Amiss as fault:
            found.append((probe.name, fault))
    return found


@pytest.fixture
def ehr(tmp_path):
    one = Ehr(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.mark.loopback
def test_a_good_ehr_passes_every_step_and_holds_nothing_afterwards(ehr, http):
    checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART)
    found = dict(answers(checker, Endpoint(id="e", kind="fhir-rest", address=ehr.address)))
    assert list(found) == ["metadata", "sign-in", "content level", "patient search"]
    assert found["metadata"] == "FHIR 4.0.1; transactions; takes DocumentReference, with conditional create."
    assert found["content level"].startswith("chart")
    assert "nobody" in found["patient search"]
    assert ehr.count() == 0


@pytest.mark.loopback
def test_a_large_ehr_gets_the_document_and_the_check_says_why(ehr, http):
    ehr.play("epic-like")
    checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART)
    found = dict(answers(checker, Endpoint(id="e", kind="fhir-rest", address=ehr.address)))
    assert found["content level"] == "document: the server lists no transactions."
    ehr.play("athena-like")
    found = dict(answers(checker, Endpoint(id="e", kind="fhir-rest", address=ehr.address)))
    assert found["content level"] == "fhir.level"


@pytest.mark.loopback
def test_signing_in_is_tried_with_a_fresh_token_and_a_stranger_is_told_so(ehr, http):
    key = SigningKey("k", ec.generate_private_key(ec.SECP384R1()))
    ehr.trust("lakeside", jwks_document((key,)))
    auth = EndpointAuth(method="smart-backend-services", client_id="lakeside")
    endpoint = Endpoint(id="e", kind="fhir-rest", address=ehr.address, auth=auth)

    def found(*keys):
        sign_in = SignIn(http, SmartConfig(keys=keys), WallClock(), CountingDice())
        return dict(answers(FhirChecker(http, sign_in, WallClock(), partners={}, chart_types=CHART), endpoint))

    good = found(key)
    assert good["discovery"] == "The token server is 127.0.0.1; signatures: RS384, ES384."
    assert good["sign-in"].startswith("A fresh token was given")
    assert "nobody" in good["patient search"]
    assert found()["sign-in"] == "token.key"
    assert found(SigningKey("k", ec.generate_private_key(ec.SECP384R1())))["sign-in"] == "token.refused"


@pytest.mark.loopback
def test_a_server_that_is_no_fhir_server_and_one_that_is_away_fail_at_metadata(http):
    checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART)
    page = Step(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
    with ScriptedHttp(lambda method, path, body: page) as far:
        endpoint = Endpoint(id="e", kind="fhir-rest", address=far.address)
        probe = checker.probes(endpoint)[0]
        with pytest.raises(NeedsHuman):
            probe.ask(WallClock().now() + timedelta(seconds=8))
    for status, kind, code in ((404, NeedsHuman, "fhir.no-metadata"), (503, Transient, "fhir.metadata")):
        with ScriptedHttp(lambda method, path, body, status=status: Step(status)) as far:
            endpoint = Endpoint(id="e", kind="fhir-rest", address=far.address)
            with pytest.raises(kind) as caught:
                checker.probes(endpoint)[0].ask(WallClock().now() + timedelta(seconds=8))
            assert caught.value.code == code
    gone = Endpoint(id="e", kind="fhir-rest", address=f"http://127.0.0.1:{a_dead_port()}")
    with pytest.raises(Transient):
        checker.probes(gone)[0].ask(WallClock().now() + timedelta(seconds=8))


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ({}, ""),
        ({"grant_types_supported": ["client_credentials"]}, ""),
        ({"grant_types_supported": ["authorization_code"]}, "client_credentials"),
        ({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, "private_key_jwt"),
    ],
)
def test_a_discovery_page_that_does_not_list_our_sign_in_is_told_on(http, listed, told):
    checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART)
    page = json.dumps({"token_endpoint": "https://ehr.example/token", **listed}).encode()
    with ScriptedHttp(lambda method, path, body: Step(200, page, {"Content-Type": "application/json"})) as far:
        auth = EndpointAuth(method="smart-backend-services", client_id="lakeside")
        endpoint = Endpoint(id="e", kind="fhir-rest", address=far.address, auth=auth)
        found = {one.name: one for one in checker.probes(endpoint)}["discovery"]
        said = found.ask(WallClock().now() + timedelta(seconds=8))
    assert told in said
    assert ("does not list" in said) is bool(told)


@pytest.mark.loopback
def test_a_server_that_finds_somebody_under_a_number_of_nobody_is_told_on(http):
    checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART)
    bundle = b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}]}'
    with ScriptedHttp(lambda method, path, body: Step(200, bundle, {"Content-Type": "application/json"})) as far:
        endpoint = Endpoint(id="e", kind="fhir-rest", address=far.address)
        search = checker.probes(endpoint)[-1]
        with pytest.raises(Amiss) as caught:
            search.ask(WallClock().now() + timedelta(seconds=8))
        assert "?" not in far.requests[-1][1]
    assert "ignores" in caught.value.seen


@pytest.mark.loopback
def test_a_hisp_is_signed_in_to_and_gets_no_mail(tmp_path):
    hisp = Hisp(tmp_path)
    hisp.start()
    try:
        config = SmtpConfig("127.0.0.1", hisp.smtp_port, hisp.username, hisp.password, "c@d.example", str(hisp.ca_file))
        mailbox = ImapConfig("127.0.0.1", hisp.imap_port, hisp.username, hisp.password, ca_file=str(hisp.ca_file))
        endpoint = Endpoint(id="e", kind="direct", address="a@direct.northshore.example")
        found = dict(answers(DirectChecker(Direct(config, WallClock()), DirectNotices(mailbox, WallClock())), endpoint))
        assert found["starttls and sign-in"].startswith("127.0.0.1 speaks TLSv1.")
        assert found["imap"] == "127.0.0.1 takes our sign-in; unread: 0."
        wrong = Direct(replace(config, password="guessed"), WallClock())
        refused = DirectNotices(replace(mailbox, password="guessed"), WallClock())
        assert answers(DirectChecker(wrong, refused), endpoint) == [
            ("starttls and sign-in", "direct.sign-in"),
            ("imap", "direct.sign-in"),
        ]
        assert isinstance(answers(DirectChecker(wrong, None), endpoint)[1][1], Amiss)
        assert hisp.count() == 0
    finally:
        hisp.stop()


@pytest.mark.loopback
def test_a_fax_account_is_asked_and_nothing_is_dialled(tmp_path, http):
    gateway = FaxGateway(tmp_path)
    gateway.start()
    try:
        endpoint = Endpoint(id="e", kind="fax", address="+1-218-555-0143")

        def checker(secret):
            config = PhaxioConfig(gateway.base_url, "sandbox", secret)
            return FaxChecker(Fax(PhaxioGateway(http, config, WallClock()), WallClock()))

        found = dict(answers(checker("sandbox-only"), endpoint))
        assert found == {"number": "11 digits with a country code.", "account": "The account answers to our key."}
        assert dict(answers(checker("guessed"), endpoint))["account"] == "fax.account"
        odd = endpoint.model_copy(update={"address": "218-555-0143"})
        assert dict(answers(checker("sandbox-only"), odd))["number"] == "fax.number"
        dead = PhaxioConfig(f"http://127.0.0.1:{a_dead_port()}", "sandbox", "sandbox-only")
        away = FaxChecker(Fax(PhaxioGateway(http, dead, WallClock()), WallClock()))
        assert dict(answers(away, endpoint))["account"] == "fax.unavailable", (
            "our own gateway, not the recipient's server"
        )
        assert gateway.faxes() == []
    finally:
        gateway.stop()


class Codes:
    def __init__(self, *names):
        self._names = names

    def has_code(self, endpoint_id):
        return endpoint_id in self._names


@pytest.mark.loopback
def test_the_mail_service_of_the_notices_is_signed_in_to_and_the_access_code_is_asked_for(tmp_path):
    endpoint = Endpoint(id="ep-link", kind="secure-link", address="office@northshore.example")
    hisp = Hisp(tmp_path)
    hisp.start()
    try:

        def steps(codes, password=None):
            config = SmtpConfig(
                "127.0.0.1", hisp.smtp_port, hisp.username, password or hisp.password, "letters@lakeside.example",
                str(hisp.ca_file),
            )  # fmt: skip
            channel = SecureLink(config, codes, "https://letters.lakeside.example", WallClock())
            return {one.name: one for one in SecureLinkChecker(channel).probes(endpoint)}

        soon = WallClock().now() + timedelta(seconds=15)
        good = steps(Codes("ep-link"))
        assert "takes our sign-in" in good["starttls and sign-in"].ask(soon)
        assert "has an access code" in good["access code"].ask(soon)
        with pytest.raises(NeedsHuman) as caught:
            steps(Codes())["access code"].ask(soon)
        assert caught.value.code == "link.no-code"
        with pytest.raises(NeedsHuman) as caught:
            steps(Codes(), password="wrong")["starttls and sign-in"].ask(soon)
        assert caught.value.code == "link.sign-in"
        assert hisp.count() == 0
    finally:
        hisp.stop()


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("published", "good", "word"),
    [
        (Step(200, b'{"keys": [{"kid": "k-1"}, {"kid": "k-2"}]}', {}), True, "holds k-1, k-2."),
        (Step(200, b'{"keys": [{"kid": "k-1"}]}', {}), False, "does not hold our key k-2"),
        (Step(404, b"{}", {}), False, "no key set"),
        (Step(200, b"<html>", {}), False, "no key set"),
        (Step(act="close-before-reading"), True, "look at it from outside"),
    ],
)
def test_our_own_key_set_is_looked_at_where_servers_read_it(http, published, good, word):
    with ScriptedHttp(lambda method, path, body: published) as us:
        keys = KeySet(f"{us.address}/.well-known/jwks.json", ("k-1", "k-2"))
        checker = FhirChecker(http, NoSignIn(), WallClock(), partners={}, chart_types=CHART, key_set=keys)
        auth = EndpointAuth(method="smart-backend-services", client_id="lakeside")
        endpoint = Endpoint(id="e", kind="fhir-rest", address=us.address, auth=auth)
        probe = next(one for one in checker.probes(endpoint) if one.name == "our key set")
        deadline = WallClock().now() + timedelta(seconds=8)
        if good:
            assert word in probe.ask(deadline)
            return
        with pytest.raises(Amiss) as caught:
            probe.ask(deadline)
    assert word in caught.value.seen
    assert "COORDINATOR_PUBLIC_URL" in caught.value.what_to_do
