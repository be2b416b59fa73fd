"""Hostile and broken mails by the hundred, from a seed: each is a good answer that was hurt in one way.

Every wound has a twin: the same answer, built the same way, unhurt.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from tests.mail.inbox import shapes
from tests.mail.inbox.shapes import Invited, Said, Shape

SEED = 20260105


@dataclass(frozen=True)
class Case:
    """A mail that must change nothing, and its twin that must be understood."""

    name: str
    hurt: bytes
    twin: bytes
    recipient: str
    sender: str = "ada@behoerde.example"


Wound = Callable[[random.Random, bytes, Invited], bytes]

PLAIN = (shapes.nextcloud, shapes.apple)
"""Shapes whose calendar stands unencoded in the mail, so that it can be hurt by replacing text."""


def line(pattern: str, instead: str) -> Wound:
    """Replace a line of the calendar; `instead` may name {attendee}, {uid}."""

    def wound(_dice: random.Random, raw: bytes, invited: Invited) -> bytes:
        new = instead.format(attendee=invited.attendee, uid=invited.uid).replace("\n", "\r\n")
        text, number = re.subn(pattern + r"[^\r]*(\r\n [^\r]*)*", lambda _m: new, raw.decode(), count=1)
        assert number == 1, pattern
        return text.encode()

    return wound


def header(name: str, *instead: str) -> Wound:
    """Replace a header of the mail by these lines."""

    def wound(_dice: random.Random, raw: bytes, invited: Invited) -> bytes:
        new = "".join(f"{each}\r\n" for each in instead).replace("{attendee}", invited.attendee)
        text, number = re.subn(rf"(?m)^{name}:[^\r]*\r\n", lambda _m: new, raw.decode(), count=1)
        assert number == 1, name
        return text.encode()

    return wound


def added(*lines: str | bytes) -> Wound:
    """Add lines at the top of the mail."""

    def wound(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
        return b"".join((each.encode() if isinstance(each, str) else each) + b"\r\n" for each in lines) + raw

    return wound


def truncated(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    """Ends somewhere before the calendar does."""
    ends = raw.index(b"END:VEVENT")
    return raw[: dice.randrange(raw.index(b"Content-Type") + 20, ends)]


def other_charset(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    head, _gap, body = raw.partition(b"\r\n\r\n")
    charset = dice.choice(["utf-16", "utf-32", "utf-7", "cp037"])
    return head + b"\r\n\r\n" + body.decode().replace("UID:", "UID:\u00e4").encode(charset).replace(b"\n", b"")


def nested(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    """Parts in parts in parts, the answer innermost."""
    head, _gap, body = raw.partition(b"\r\n\r\n")
    depth = dice.choice([11, 40, 300, 1500, 3000])
    kind = re.search(rb"Content-Type:[^\r]*", head)
    assert kind is not None
    opened = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(depth)
    )
    new = head.replace(kind[0], b"Content-Type: multipart/mixed; boundary=b0")
    return new + b"\r\n\r\n" + opened + b"--b%d\r\n%s\r\n\r\n%s" % (depth, kind[0], body)


def nested_mails(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    head = raw.partition(b"\r\n\r\n")[0]
    outer = re.sub(rb"Content-Type:[^\r]*", b"Content-Type: message/rfc822", head)
    return outer + b"\r\n\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * dice.choice([12, 200, 2000]) + raw


def many_parts(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    head, _gap, body = raw.partition(b"\r\n\r\n")
    kind = re.search(rb"Content-Type:[^\r]*", head)
    assert kind is not None
    new = head.replace(kind[0], b"Content-Type: multipart/mixed; boundary=bb")
    part = b"--bb\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return new + b"\r\n\r\n" + part * dice.choice([65, 400, 4000]) + b"--bb\r\n%s\r\n\r\n%s\r\n--bb--" % (kind[0], body)


def large(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    size = dice.choice([1_100_000, 2_000_000, 5_000_000])
    return raw.replace(b"SUMMARY:", b"X-FILL:" + b"x" * 60 + b"\r\n " + b"y\r\n " * (size // 4) + b"\r\nSUMMARY:", 1)


def enormous(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw + b"\r\n".join([b"z" * 70] * (25_000_000 // 72))


def short_lines(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    """200,000 of them: they cost a calendar library seconds."""
    return raw.replace(b"SUMMARY:", b"X-A:b\r\n" * 200_000 + b"SUMMARY:", 1)


def calendar_too_large(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw.replace(b"SUMMARY:", b"X-A:bbbbbbbbbbbbbbbbb\r\n" * 20_000 + b"SUMMARY:", 1)


def too_many_lines(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw.replace(b"SUMMARY:", b"X-A:b\r\n" * 6_000 + b"SUMMARY:", 1)


def large_header(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return b"X-Fill: " + b"\r\n ".join([b"f" * 70] * 1_000) + b"\r\n" + raw


def two_events(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    event = re.search(rb"BEGIN:VEVENT.*END:VEVENT\r\n", raw, re.DOTALL)
    assert event is not None
    return raw.replace(event[0], event[0] * 2, 1)


def unclosed(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw.replace(b"END:VEVENT\r\n", b"", 1)


def deep_components(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw.replace(b"SUMMARY:", b"BEGIN:VALARM\r\n" * 3_000 + b"SUMMARY:", 1)


def two_calendars(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    """Two parts that contradict each other."""
    head, _gap, body = raw.partition(b"\r\n\r\n")
    calendar = body[body.index(b"BEGIN:VCALENDAR") : body.index(b"END:VCALENDAR")] + b"END:VCALENDAR\r\n"
    head = re.sub(rb"Content-Type:[^\r]*", b"Content-Type: multipart/mixed; boundary=bb", head)
    parts = [calendar, calendar.replace(b"PARTSTAT=", b"PARTSTAT=TENTATIVE;X-WAS=", 1)]
    kind = b"--bb\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    return head + b"\r\n\r\n" + b"\r\n".join(kind + part for part in parts) + b"\r\n--bb--\r\n"


def nonsense(dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    """Bytes of no meaning in the place of the calendar."""
    begins = raw.index(b"BEGIN:VCALENDAR")
    return raw[:begins] + bytes(dice.randrange(1, 256) for _n in range(dice.randrange(1, 3_000))).replace(b"\r", b"")


def no_calendar_in_it(_dice: random.Random, raw: bytes, _invited: Invited) -> bytes:
    return raw[: raw.index(b"BEGIN:VCALENDAR")]


STRANGER = "mallory@evil.example"
WOUNDS: dict[str, Wound] = {
    "truncated": truncated,
    "other charset": other_charset,
    "nested parts": nested,
    "nested mails": nested_mails,
    "many parts": many_parts,
    "large": large,
    "short lines": short_lines,
    "calendar too large": calendar_too_large,
    "too many lines": too_many_lines,
    "large header": large_header,
    "two events": two_events,
    "unclosed": unclosed,
    "deep components": deep_components,
    "two calendars": two_calendars,
    "nonsense": nonsense,
    "no calendar in it": no_calendar_in_it,
    **{
        f"METHOD {name}": line("METHOD:", f"METHOD:{name}") for name in ("REQUEST", "PUBLISH", "CANCEL", "ADD", "X", "")
    },
    "METHOD twice": line("METHOD:", "METHOD:REPLY\nMETHOD:REPLY"),
    "UID twice": line("UID:", "UID:{uid}\nUID:{uid}"),
    "UID unknown": line("UID:", "UID:other@next.behoerde.example"),
    "UID missing": line("UID:", "X-UID:{uid}"),
    "UID with a rule": line("UID:", "RRULE:FREQ=SECONDLY;COUNT=999999999\nUID:other@x"),
    "UID with a file": line("UID:", "ATTACH:http://evil.example/x\nCOMMENT:<script>alert(1)</script>\nUID:other@x"),
    "DTSTAMP twice": line("DTSTAMP:", "DTSTAMP:20260105T120500Z\nDTSTAMP:20260105T120500Z"),
    "DTSTAMP missing": line("DTSTAMP:", "X-DTSTAMP:20260105T120500Z"),
    **{
        f"DTSTAMP {value}": line("DTSTAMP:", f"DTSTAMP:{value}")
        for value in ("99991231T235959Z", "00010101T000000Z", "20261399T120000Z", "20991231T000000Z", "now", "-1", "")
    },
    "SEQUENCE twice": line("SEQUENCE:", "SEQUENCE:0\nSEQUENCE:5"),
    **{f"SEQUENCE {value}": line("SEQUENCE:", f"SEQUENCE:{value}") for value in ("-1", "9" * 40, "1.5", "²", "x")},
    "ATTENDEE twice": line("ATTENDEE", "ATTENDEE;PARTSTAT=DECLINED:mailto:{attendee}\nATTENDEE:mailto:{attendee}"),
    "ATTENDEE missing": line("ATTENDEE", "X-ATTENDEE:mailto:{attendee}"),
    "ATTENDEE other": line("ATTENDEE", "ATTENDEE;PARTSTAT=DECLINED:mailto:grace@behoerde.example"),
    "ATTENDEE no address": line("ATTENDEE", "ATTENDEE;PARTSTAT=DECLINED:urn:uuid:1"),
    "ATTENDEE two addresses": line("ATTENDEE", "ATTENDEE;PARTSTAT=DECLINED:mailto:{attendee}@evil.example"),
    "ATTENDEE unended quote": line("ATTENDEE", 'ATTENDEE;CN="x;PARTSTAT=DECLINED:mailto:{attendee}'),
    "PARTSTAT unknown": line("ATTENDEE", "ATTENDEE;PARTSTAT=GONE:mailto:{attendee}"),
    "PARTSTAT missing": line("ATTENDEE", "ATTENDEE:mailto:{attendee}"),
    "a part of a series": line("UID:", "RECURRENCE-ID:20260119T130000Z\nUID:{uid}"),
    "From forged": header("From", f"From: {STRANGER}"),
    "From with a name": header("From", f'From: "{{attendee}}" <{STRANGER}>'),
    "From with a name unquoted": header("From", f"From: {{attendee}} <{STRANGER}>"),
    "From turned round": header("From", f"From: {STRANGER} <{{attendee}}>"),
    "From twice": header("From", "From: {attendee}", f"From: {STRANGER}"),
    "From twice the same": header("From", "From: {attendee}", "From: {attendee}"),
    "From with two": header("From", f"From: {{attendee}}, {STRANGER}"),
    "From a group": header("From", "From: undisclosed-recipients:;"),
    "From missing": header("From", "X-From: {attendee}"),
    "From a quote": header("From", 'From: "'),
    "From with a comment": header("From", f"From: {{attendee}} ({STRANGER})"),
    "From in words": header("From", "From: =?utf-8?q?=FF=FE?= <<>>"),
    "From many brackets": header("From", "From: " + "(" * 3_000),
    "To many brackets": header("To", "To: " + "(" * 3_000),
    "From an open angle": header("From", "From: <"),
    "Reply-To is not From": header("From", f"From: {STRANGER}", "Reply-To: {attendee}"),
    "Google without Reply-To": header("From", "From: calendar-notification@google.com"),
    "Google with a stranger": header("From", "From: calendar-notification@google.com", f"Reply-To: {STRANGER}"),
    "Google with two": header("From", "From: calendar-notification@google.com", f"Reply-To: {{attendee}}, {STRANGER}"),
    "a list": added("List-Id: <liste.behoerde.example>"),
    "bulk": added("Precedence: bulk"),
    "our server says fail": added(
        "Authentication-Results: mx.behoerde.example; dmarc=fail header.from=behoerde.example"
    ),
    "our server says spf fail": added("Authentication-Results: mx.behoerde.example; spf=fail; dkim=fail"),
    "a line that is no header": added("this is no header"),
    "method in the part differs": lambda _d, raw, _i: raw.replace(b"method=REPLY", b"method=CANCEL", 1),
    "base64 that is none": lambda _d, raw, _i: re.sub(
        rb"Content-Transfer-Encoding: \w+\r\n\r\n(?=BEGIN)", b"Content-Transfer-Encoding: base64\r\n\r\n!x!", raw
    ).replace(b"8bit", b"base64"),
}


def cases(invited: Invited, number: int, at: Callable[[int], datetime]) -> Iterator[Case]:
    """`number` of them; the n-th twin says what it says at the time at(n)."""
    dice = random.Random(SEED)
    names = list(WOUNDS)
    for n in range(number):
        name = names[n % len(names)]
        shape: Shape = PLAIN[n // len(names) % len(PLAIN)]
        said = Said(partstat="DECLINED", at=at(n))
        good = shape(invited, said)
        hurt = WOUNDS[name](dice, good, invited)
        assert hurt != good, name
        twin = shape(invited, replace(said, partstat=("ACCEPTED", "TENTATIVE")[n % 2]))
        yield Case(name, tagged(hurt, n), tagged(twin, -n - 1), invited.organiser)


def tagged(raw: bytes, number: int) -> bytes:
    """So that no two mails are the same."""
    return (
        f"Subject: {number}\r\n".encode() + raw
        if b"\nSubject:" not in raw
        else raw.replace(b"\nSubject: ", b"\nSubject: %d " % number, 1)
    )
