"""A mail is read by another process, which has seconds and little memory, and is replaced when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from whatsnext.calendars import reply
from whatsnext.mail.inbox import parsing
from whatsnext.mail.inbox.reader import Envelope, Reader, fingerprint

GOOD = b"From: Ada <ada@b.example>\r\nTo: next+abc@localhost\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHallo"


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def number(reader: Reader) -> int:
    assert reader._process is not None
    return reader._process.pid


def test_a_mail_is_read(reader: Reader) -> None:
    reading = reader.read(GOOD, Envelope(recipients=("next+xyz@localhost",), sender="a@b.example"))
    assert (reading.sender, reading.name, reading.subject, reading.text) == ("ada@b.example", "Ada", "Grüße", "Hallo")
    assert reading.recipients == ("next+xyz@localhost", "next+abc@localhost")
    assert (reading.refused, reading.robot, reading.answer) == ("", "", None)


def test_an_answer_comes_through_whole(reader: Reader) -> None:
    lines = [
        *("BEGIN:VCALENDAR", "METHOD:REPLY", "BEGIN:VEVENT", "UID:talk@next", "SEQUENCE:1", "DTSTAMP:20260105T120000Z"),
        *("RECURRENCE-ID:20260330T160000Z", "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@b.example"),
        *("END:VEVENT", "END:VCALENDAR", ""),
    ]
    calendar = "\r\n".join(lines)
    head = GOOD.partition(b"\r\n\r\n")[0] + b"\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    assert reader.read(head + calendar.encode(), Envelope()).answer == reply.read(calendar.encode())


def test_one_process_reads_many_mails_and_the_broken_one_costs_only_itself(reader: Reader) -> None:
    assert reader.read(GOOD, Envelope()).refused == ""
    first = number(reader)
    assert reader.read(b"To: " + b"(" * 3_000 + b"\r\n" + GOOD, Envelope()).refused == "crash"
    assert reader.read(GOOD, Envelope()).refused == ""
    second = number(reader)
    assert reader.read(GOOD, Envelope()).refused == ""
    assert (first != second, number(reader) == second) == (True, True)


@pytest.mark.parametrize(
    ("does", "seconds", "refused"),
    [
        ("import time; time.sleep(600)", 1, "time"),
        ("x = bytearray(400_000_000)", 60, "crash"),
        ("raise SystemExit", 60, "crash"),
    ],
)
def test_time_and_memory_have_an_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, does: str, seconds: float, refused: str
) -> None:
    """A process whose parsing does this instead."""
    source = Path(parsing.__file__).read_text()
    program = tmp_path / "parsing.py"
    program.write_text(source.replace("    _measure(raw)\n", f"    {does}\n", 1))
    monkeypatch.setattr(parsing, "__file__", str(program))
    reader = Reader(seconds=seconds)
    assert reader.read(GOOD, Envelope()).refused == refused
    reader.close()


def test_the_process_has_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reader: Reader) -> None:
    monkeypatch.setenv("SECRET_KEY", "geheim")
    reader.read(GOOD, Envelope())
    environment = Path(f"/proc/{number(reader)}/environ").read_bytes()
    assert b"geheim" not in environment


def test_large_mails_are_not_read_but_by_their_header(reader: Reader) -> None:
    reading = reader.read(GOOD + b"x" * parsing.LARGEST, Envelope())
    assert (reading.refused, reading.sender, reading.text) == ("size", "ada@b.example", "")


ROBOTS = {
    b"Auto-Submitted: auto-replied": "automatic",
    b"Auto-Submitted: no": "",
    b"Precedence: bulk": "list",
    b"Precedence: list": "list",
    b"List-Id: <x.example>": "list",
    b"Return-Path: <>": "null path",
    b"X-Autoreply: yes": "automatic",
    b"Subject: Out of Office: bis Montag": "automatic",
    b"Subject: Automatische Antwort: bis Montag": "automatic",
}


@pytest.mark.parametrize(("header", "robot"), ROBOTS.items(), ids=[header.decode() for header in ROBOTS])
def test_machines_are_recognised(reader: Reader, header: bytes, robot: str) -> None:
    rest = GOOD.replace(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", b"") if header.startswith(b"Subject") else GOOD
    assert reader.read(header + b"\r\n" + rest, Envelope()).robot == robot


def test_an_empty_envelope_sender_is_a_null_path(reader: Reader) -> None:
    assert reader.read(GOOD, Envelope(sender="")).robot == "null path"


def test_a_delivery_status_names_whom_it_is_about(reader: Reader) -> None:
    status = b"""\
From: MAILER-DAEMON
To: next+abc@localhost
Content-Type: multipart/report; report-type=delivery-status; boundary=b
MIME-Version: 1.0

--b
Content-Type: text/plain

No such user.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; Ada@b.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such mailbox

--b--
"""
    reading = reader.read(status, Envelope(sender=""))
    assert (reading.refused, reading.robot, reading.bounced, reading.delayed) == (
        *("", "null path"),
        *(("ada@b.example",), ()),
    )
    late = status.replace(b"failed", b"delayed").replace(b"5.1.1", b"4.2.2").replace(b"550", b"450")
    reading = reader.read(late, Envelope(sender=""))
    assert (reading.bounced, reading.delayed) == ((), ("ada@b.example",))


def test_only_the_topmost_word_of_our_own_server_counts(reader: Reader) -> None:
    ours = Envelope(authserv_id="mx.ours.example")
    fail, theirs = (
        b"Authentication-Results: mx.ours.example; dmarc=fail\r\n",
        b"Authentication-Results: x; dmarc=pass\r\n",
    )
    good = b"Authentication-Results: mx.ours.example; dkim=pass; spf=fail; dmarc=pass\r\n"
    said = [reader.read(top + GOOD, ours).authentic for top in (fail, good, theirs, theirs + fail, fail + good, b"")]
    assert said == ["fail", "pass", "", "", "fail", ""]
    assert reader.read(fail + GOOD, Envelope()).authentic == ""


def test_a_mail_has_one_fingerprint_whatever_servers_write_above_it() -> None:
    traced = b"Return-Path: <a@b>\nDelivered-To: next\nReceived: by mx;\n\tMon\n" + GOOD.replace(b"\r\n", b"\n") + b"\n"
    assert fingerprint(GOOD, len(GOOD)) == fingerprint(traced, len(traced))
    other = GOOD.replace(b"Hallo", b"Hallo!")
    assert fingerprint(GOOD, len(GOOD)) != fingerprint(other, len(other))
