import base64
import multiprocessing

import pytest

from coordinator.channels.receipts.notice import read_notice

ID = "<delivery-1@direct.lakeside.example>"


def mdn(disposition, original=ID, own="<notice-1@hisp.example>", extra=""):
    return (
        f"From: hisp@hisp.example\r\nMessage-ID: {own}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Reporting-UA: hisp\r\nFinal-Recipient: rfc822; x@y.example\r\n{extra}"
        f"Original-Message-ID: {original}\r\nDisposition: {disposition}\r\n\r\n--b--\r\n"
    ).encode()


def dsn(action, *, original=ID, status="5.1.1"):
    return (
        "From: mailer-daemon@hisp.example\r\nMessage-ID: <dsn-1@hisp.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; hisp\r\n\r\n"
        f"Final-Recipient: rfc822; x@y.example\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Letter\r\nMessage-ID: {original}\r\n\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("kind", "verdict", "code"),
    [
        ("processed", "processed", None),
        ("dispatched", "acknowledged", None),
        ("displayed", "acknowledged", None),
        ("failed", "failed", "direct.failed"),
        ("denied", "failed", "direct.failed"),
        ("deleted", "failed", "direct.failed"),
        ("processed/error", "failed", "direct.failed"),
        ("Dispatched", "acknowledged", None),
    ],
)
def test_each_disposition_has_its_meaning(kind, verdict, code):
    news = read_notice(mdn(f"automatic-action/MDN-sent-automatically; {kind}"))
    assert (news.verdict, news.code, news.far_side_ref, news.tag) == (verdict, code, ID, None)
    assert news.key == "direct:<notice-1@hisp.example>"
    assert news.retry is False


def test_a_failure_notice_names_the_message_by_its_returned_header():
    news = read_notice(dsn("failed"))
    assert (news.verdict, news.code, news.far_side_ref) == ("failed", "direct.failed", ID)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_delivery_status_never_proves_dispatch(action):
    assert read_notice(dsn(action)).verdict == "processed"


def test_a_delay_says_nothing_new():
    assert read_notice(dsn("delayed")) is None


def test_a_notice_without_a_message_id_is_keyed_by_its_bytes():
    raw = mdn("a/b; processed").replace(b"Message-ID: <notice-1@hisp.example>\r\n", b"", 1)
    assert read_notice(raw).key == read_notice(raw).key
    assert read_notice(raw).key != read_notice(raw + b" ").key


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: Lunch?\r\n\r\nTomorrow?\r\n",
        mdn("a/b; read-by-the-cat"),
        mdn("a/b; processed", original="not an id"),
        mdn("", original=ID),
        dsn("failed", original="nothing"),
        b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(2000)),
    ],
)
def test_mail_that_is_no_notice_we_can_read_settles_nothing(raw):
    assert read_notice(raw) is None


def test_a_person_who_quotes_a_notice_in_a_reply_settles_nothing():
    reply = b"Subject: Re\r\nIn-Reply-To: " + ID.encode() + b"\r\n\r\n> Disposition: x; dispatched\r\n"
    assert read_notice(reply) is None


def attached(notice, kind="message/rfc822"):
    """Return a mail of a person with the notice enclosed, as mail programs forward it."""
    return (
        b'Subject: Fwd: is this yours?\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
        b"--m\r\nContent-Type: text/plain\r\n\r\nLook.\r\n--m\r\nContent-Type: "
        + kind.encode()
        + b"\r\n\r\n"
        + notice
        + b"\r\n--m--\r\n"
    )


def test_a_notice_that_somebody_forwards_settles_nothing():
    assert read_notice(attached(mdn("a/b; dispatched"))) is None
    assert read_notice(attached(mdn("a/b; failed"))) is None
    fields = f"Original-Message-ID: {ID}\r\nDisposition: a/b; dispatched\r\n".encode()
    assert read_notice(attached(fields, "message/disposition-notification")) is None


def test_a_notice_to_which_a_mail_gateway_added_its_footer_is_read():
    report = mdn("a/b; dispatched").partition(b"MIME-Version: 1.0\r\nContent-Type: ")[2]
    kind, _, body = report.partition(b"\r\n\r\n")
    assert read_notice(attached(body, kind.decode())).verdict == "acknowledged"


def test_a_notice_whose_own_headers_are_broken_is_read_all_the_same():
    for odd in ("<", "<>", "<a@[", "<a@[b>", '"', "=?utf-8?b?a?="):
        assert read_notice(mdn("a/b; dispatched", own=odd)).verdict == "acknowledged"


def test_of_several_dispositions_the_failure_counts():
    both = mdn("a/b; processed").replace(
        b"\r\n\r\n--b--",
        f"\r\n\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\nOriginal-Message-ID: {ID}\r\n"
        "Disposition: a/b; failed\r\n\r\n--b--".encode(),
    )
    assert read_notice(both).verdict == "failed"


@pytest.mark.parametrize(
    "said",
    [
        "Automatic-Action/MDN-Sent-Automatically;DISPATCHED",
        "a/b;\r\n dispatched",
        "a/b; dispatched (by x; y)",
        "a/b; dispatched (by (the; (very)) system)",
        "a/b; dispatched;",
    ],
)
def test_letter_case_folded_lines_and_comments_change_nothing(said):
    raw = mdn(said).replace(b"Original-Message-ID: ", b"original-message-id:\r\n\t")
    assert (read_notice(raw).verdict, read_notice(raw).far_side_ref) == ("acknowledged", ID)


@pytest.mark.parametrize("kind", ["dispatched", "failed"])
def test_the_letters_name_may_stand_without_its_brackets(kind):
    assert read_notice(mdn(f"a/b; {kind}", original=ID.strip("<>"))).far_side_ref == ID
    assert read_notice(dsn("failed", original=ID.strip("<>"))).far_side_ref == ID


def test_an_action_may_have_a_comment_and_any_letter_case():
    assert read_notice(dsn("FAILED (permanent)")).verdict == "failed"


def test_empty_lines_may_stand_before_the_fields():
    raw = mdn("a/b; dispatched").replace(
        b"disposition-notification\r\n\r\nRep", b"disposition-notification\r\n\r\n\r\nRep"
    )
    assert read_notice(raw).verdict == "acknowledged"


def test_the_international_forms_of_both_reports_are_read():
    assert (
        read_notice(mdn("a/b; dispatched").replace(b"message/disp", b"message/global-disp")).verdict == "acknowledged"
    )
    assert read_notice(dsn("failed").replace(b"message/deliv", b"message/global-deliv")).verdict == "failed"


LONG = 1_000_000
FREEZING = {
    "a recipient without its sign": mdn("a/b; dispatched", extra="Final-Recipient: rfc822;" + "a" * LONG + "\r\n"),
    "a recipient with its sign": mdn("a/b; dispatched", extra=f"Original-Recipient: rfc822;{'a' * LONG}@b.example\r\n"),
    "a recipient on many lines": mdn("a/b; dispatched", extra="Original-Recipient: rfc822;" + "a\r\n " * (LONG // 4)),
    "a name without its sign": mdn("a/b; dispatched", original="<" + "a" * LONG),
    "quotation marks without end": mdn("a/b; dispatched").replace(b'boundary="b"', b'boundary=b; x="' + b";" * LONG),
    "brackets": mdn("a/b; dispatched" + "(" * LONG),
}


@pytest.mark.parametrize("raw", FREEZING.values(), ids=FREEZING.keys())
def test_no_mail_of_the_largest_size_holds_the_reading_up(raw):
    """One line of a megabyte took hours, in which the whole process stood still."""
    reading = multiprocessing.get_context("spawn").Process(target=read_notice, args=(raw,))
    reading.start()
    reading.join(timeout=60)
    ended = reading.exitcode
    reading.kill()
    assert ended == 0, "it was still reading after a minute"


def test_a_returned_header_may_be_folded_and_coded():
    folded = dsn("failed").replace(b"\r\nMessage-ID: " + ID.encode(), b"\r\nMESSAGE-ID:\r\n " + ID.encode(), 1)
    head = f"Subject: Letter\r\nMessage-ID:\r\n {ID}\r\n".encode()
    coded = dsn("failed").replace(
        b"rfc822-headers\r\n\r\nSubject: Letter\r\nMessage-ID: " + ID.encode() + b"\r\n",
        b"rfc822-headers\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(head),
    )
    assert base64.b64encode(head)[:20] in coded
    for raw in (folded, coded):
        assert read_notice(raw).far_side_ref == ID


def test_a_notice_that_is_the_whole_of_what_a_mail_encloses_is_read():
    enclosing = b"Message-ID: <outer@hisp.example>\r\nContent-Type: message/rfc822\r\n\r\n"
    news = read_notice(enclosing + mdn("a/b; dispatched"))
    assert (news.verdict, news.key) == ("acknowledged", "direct:<outer@hisp.example>")


def test_a_notice_says_of_whom_it_speaks():
    more = "Original-Recipient: rfc822;<Y@y.example>\r\n"
    assert read_notice(mdn("a/b; dispatched", extra=more)).about == ("x@y.example", "Y@y.example")
    assert read_notice(dsn("delivered")).about == ("x@y.example",)
    for odd in (
        "x@y.example",
        "rfc822;x@y.example (Dr X; North)",
        'rfc822; "Dr X" <x@y.example>',
        "mailto:x@y.example",
    ):
        raw = mdn("a/b; dispatched").replace(b"rfc822; x@y.example", odd.encode())
        assert read_notice(raw).about == ("x@y.example",)
