from email import policy
from email.parser import BytesParser

from coordinator.channels.receipts.fax_callback import signature
from coordinator.channels.receipts.notice import read_notice
from coordinator.sandbox.callback_signature import sign
from coordinator.sandbox.notices import mdn
from coordinator.sandbox.web import Fault, Faults


def test_faults_are_played_in_order_and_counted_down():
    faults = Faults()
    faults.add(Fault("drop", times=2))
    faults.add(Fault("hang"))
    assert [one.act if (one := faults.take(is_write=False)) else None for _ in range(4)] == [
        "drop",
        "drop",
        "hang",
        None,
    ]


def test_a_fault_for_writes_waits_for_one():
    faults = Faults()
    faults.add(Fault("drop", writes=True))
    assert faults.take(is_write=False) is None
    assert faults.take(is_write=True).act == "drop"


def test_a_fault_without_end_stays_until_it_is_cleared():
    faults = Faults()
    faults.add(Fault("answer", times=None))
    assert all(faults.take(is_write=False) for _ in range(5))
    faults.clear()
    assert faults.take(is_write=False) is None


def test_the_pretend_notices_are_real_mdns_that_our_reader_understands():
    raw = mdn("dispatched", "<d@c.example>", "clinic@c.example", "reader@x.example")
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert message.get_content_type() == "multipart/report"
    assert read_notice(raw).verdict == "acknowledged"
    assert read_notice(raw).key != read_notice(mdn("dispatched", "<d@c.example>", "c@c.example", "r@x.example")).key


def test_two_hands_write_the_same_signature():
    fields = [("success", "true"), ("fax", '{"id": 1}'), ("is_test", "false")]
    assert sign("https://clinic.example/cb", fields, "t") == signature("https://clinic.example/cb", fields, [], "t")
    assert sign("https://clinic.example/cb", fields, "t") != signature("https://clinic.example/cb", fields, [], "u")
