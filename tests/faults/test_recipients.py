"""Every way a recipient may behave, in front of real worker processes: each once, then it behaves well.

What each answer means is tested at the channel (tests/contract, tests/unit/channels). Here it counts what the whole
makes of it: at most one copy, and arrived or with a person.
"""

import contextlib
import io
import time

import orjson
import pytest

from coordinator.sandbox.web import Fault, Reply, _drop, _reply

FHIR = {"Content-Type": "application/fhir+json"}
ISSUE = orjson.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]})
LOGIN_PAGE = Reply(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})


def answered(status, body=b"", **headers):
    return Fault("answer", 1, Reply(status, body, FHIR | headers), writes=True)


def stored(status, body=b"", **headers):
    return Fault("store-then-answer", 1, Reply(status, body, FHIR | headers), writes=True)


BEHAVIOURS = {
    "R2 hangs after the request, past the limit of a send": Fault("hang", 1, hang_s=10),
    "R2 connection dropped unread": Fault("drop", 1),
    "R2 connection dropped in the middle of the body": Fault("half-read", 1),
    "R2 stored, then the connection dropped": Fault("store-then-drop", 1),
    "R4 500, nothing stored": answered(500),
    "R4 500, stored all the same": stored(500),
    "R4 502": answered(502),
    "R4 503": answered(503),
    "R4 504, stored all the same": stored(504),
    "R5 429, come again in a second": answered(429, **{"Retry-After": "1"}),
    "R5 429, Retry-After is nonsense": answered(429, **{"Retry-After": "soon"}),
    "R6 201 with an error in the outcome, nothing stored": answered(201, ISSUE),
    "R7 200 with a login page": Fault("answer", 1, LOGIN_PAGE, writes=True),
    "R8 201 without a location, stored": stored(201),
    "R8 204, stored": stored(204),
    "R8 204, nothing stored": answered(204),
    "R10 307 to another host": answered(307, Location="http://127.0.0.1:9/fhir"),
    "R13 409, stored": stored(409, ISSUE),
    "R13 412, nothing stored": answered(412, ISSUE),
    "400": answered(400, ISSUE),
    "401 once": answered(401),
    "403": answered(403, ISSUE),
    "404": answered(404, ISSUE),
    "408": answered(408),
    "413": answered(413),
    "422": answered(422, ISSUE),
    "425": answered(425),
}
WITH_A_PERSON = ("R6", "R10", "400", "403", "404", "413", "422")
"""Starts of those that no further try can mend."""
MAYBE = ("R2", "R4 500, nothing", "R4 502", "R7", "R8 204, nothing", "R13 412", "408")
"""Starts of those that may have arrived: asked about, and a person's when the server cannot be sure so soon."""
FAX_FAULTS = {
    "X2 the gateway queued it, the answer was lost": Fault("store-then-drop", 1, writes=True),
    "the gateway answers 503": Fault("answer", 1, Reply(503), writes=True),
    "the gateway drops the request": Fault("half-read", 1, writes=True),
}
pytestmark = [pytest.mark.loopback, pytest.mark.timeout(600)]


@contextlib.contextmanager
def by_patient(web, faults):
    """Let a server misbehave once for each patient named, when the body that is about them comes.

    `faults` goes from a text that only bodies about that patient hold to the fault.
    """
    serve, waiting = web.serve, dict(faults)

    def misbehaving(handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        name = next((name for name in waiting if name in body), None)
        fault = waiting.pop(name) if name is not None else None
        whole, handler.rfile = handler.rfile, io.BytesIO(body)
        try:
            return misbehave(handler, fault)
        finally:
            handler.rfile = whole

    def misbehave(handler, fault):
        if fault is None:
            return serve(handler)
        if fault.act in ("drop", "half-read"):
            return _drop(handler)
        if fault.act == "hang":
            time.sleep(fault.hang_s)
            return _drop(handler)
        if fault.act == "answer":
            return _reply(handler, fault.reply)
        web.faults.add(fault)
        return serve(handler)

    web.serve = misbehaving
    try:
        yield waiting
    finally:
        web.serve = serve


def test_however_the_ehr_answers_it_holds_one_copy_or_a_person_is_told(made, settle):
    refs = {}
    faults = {}
    for name, fault in BEHAVIOURS.items():
        while made.submitted % 3 == 2:
            made.submitted += 1  # these are told by Direct
        refs[name] = made.submit()
        with made.service.store.begin(write=False) as tx:
            message = next(one for one in tx.messages_of_event(refs[name]) if one.provider_id == "pr-psych")
        faults[f"urn:uuid:{message.id}".encode()] = fault
    with by_patient(made.stage.farm.ehr._web, faults) as waiting:
        worker = made.start_worker()
        made.until_quiet(150)
        worker.kill()
    assert waiting == {}, "some behaviour was never met"
    for name, ref in refs.items():
        state = made.states(ref)["fhir-rest"][0]
        arrives = {"acknowledged", "in-doubt"} if name.startswith(MAYBE) else {"acknowledged"}
        assert state in ({"held", "dead"} if name.startswith(WITH_A_PERSON) else arrives), (name, state)
    settle(f"{len(BEHAVIOURS)} behaviours of the EHR (R1-R13, every status of the table), each once")


def test_however_a_fax_ends_it_is_dialled_as_often_as_its_class_says_and_arrives_once_at_most(made, settle):
    number = made.clinic["providers"][1]["endpoints"][0]["address"]
    farm = made.stage.farm
    for outcome in ("busy", "training", "no-answer"):
        farm.fax.script(number, outcome, "success")
        made.submit()
        worker = made.start_worker()
        made.until_quiet(60)
        worker.kill()
    for fault in FAX_FAULTS.values():
        farm.fax.misbehave(fault)
        made.submit()
    worker = made.start_worker()
    made.until_quiet(60)
    worker.kill()
    settle("fax: busy, no answer, training, then through; POST dropped, lost after queueing (X2), 503")


def test_a_hisp_that_refuses_for_now_or_hangs_up_after_the_final_dot_gets_one_copy(made, settle):
    hisp = made.stage.farm.hisp
    for prepare in (lambda: hisp.go_down(1), lambda: setattr(hisp.behaviour, "drop_after_dot", 1)):
        while made.submitted % 3 != 2:
            made.submitted += 1
        prepare()
        made.submit()
        worker = made.start_worker()
        made.until_quiet(60)
        worker.kill()
    settle("Direct: 451 at MAIL (M1), connection lost after the final dot (M2)")
