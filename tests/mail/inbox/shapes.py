"""Answers as calendar programs write them, made from the invitation that was really sent."""

import base64
import quopri
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import icalendar

from tests.servers import Delivered


@dataclass(frozen=True)
class Invited:
    """What an attendee's calendar knows."""

    uid: str
    sequence: int
    organiser: str
    attendee: str
    start: datetime

    @classmethod
    def by(cls, mail: Delivered) -> "Invited":
        event = icalendar.Calendar.from_ical(mail.part("text/calendar")).walk("VEVENT")[0]
        return cls(
            uid=str(event["UID"]),
            sequence=int(event["SEQUENCE"]),
            organiser=str(event["ORGANIZER"]).removeprefix("mailto:"),
            attendee=str(event["ATTENDEE"]).removeprefix("mailto:"),
            start=event.decoded("DTSTART").astimezone(UTC),
        )


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the attendee does. `partstat` of a COUNTER or REFRESH is what stands there beside it."""

    partstat: str = "ACCEPTED"
    at: datetime
    method: str = "REPLY"
    comment: str = ""
    delegate: str = ""
    extra: str = ""


Shape = Callable[[Invited, Said], bytes]


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def calendar(
    invited: Invited, said: Said, *lines: str, attendee: str = "", organiser: bool = True, zone: str = ""
) -> str:
    """A VCALENDAR with CRLF. `lines` stand in the VEVENT; `zone` is a name for the zone that only the server knows."""
    moved = timedelta(days=1) if said.method == "COUNTER" else timedelta()
    start, end = invited.start + moved, invited.start + moved + timedelta(minutes=90)
    tz = f";TZID={zone}" if zone else ""
    wall = [
        f"{each.astimezone(ZoneInfo('Europe/Berlin')):%Y%m%dT%H%M%S}" if zone else stamp(each) for each in (start, end)
    ]
    times = [f"DTSTART{tz}:{wall[0]}", f"DTEND{tz}:{wall[1]}"]
    written = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"METHOD:{said.method}",
        "BEGIN:VEVENT",
        f"UID:{invited.uid}",
        f"SEQUENCE:{invited.sequence}",
        f"DTSTAMP:{stamp(said.at)}",
        *times,
        *([f"ORGANIZER:mailto:{invited.organiser}"] if organiser else []),
        attendee or f"ATTENDEE;PARTSTAT={said.partstat}:mailto:{invited.attendee}",
        *([f"COMMENT:{said.comment}"] if said.comment else []),
        *lines,
        *([said.extra] if said.extra else []),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(fold(line) for line in written)


def fold(line: str) -> str:
    return "\r\n ".join(line[at : at + 70] for at in range(0, len(line), 70)) if line else line


def headers(invited: Invited, said: Said, *more: str, sender: str = "") -> str:
    return "\r\n".join(
        [
            f"From: {sender or invited.attendee}",
            f"To: {invited.organiser}",
            f"Date: {format_datetime(said.at)}",
            f"Message-ID: <{stamp(said.at)}.{said.method}.{said.partstat}@behoerde.example>",
            "MIME-Version: 1.0",
            *more,
            "",
        ]
    )


def encoded(text: str) -> str:
    return base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")


def outlook(invited: Invited, said: Said) -> bytes:
    """Outlook with Exchange: no ORGANIZER, a Windows name for the zone, a SUMMARY in the user's language."""
    body = calendar(
        invited,
        said,
        "SUMMARY;LANGUAGE=de-DE:Zugesagt: Vortrag\\, der erste",
        "CLASS:PUBLIC",
        "PRIORITY:5",
        "X-MICROSOFT-CDO-APPT-SEQUENCE:0",
        attendee=f'ATTENDEE;PARTSTAT={said.partstat};CN="Beispiel, Ada":MAILTO:{invited.attendee}',
        organiser=False,
        zone="W. Europe Standard Time",
    )
    return (
        headers(
            invited,
            said,
            "Subject: =?utf-8?Q?Zugesagt=3A_Vortrag?=",
            'Content-Type: multipart/alternative; boundary="_000_ABC_"',
            "X-MS-Has-Attach:",
            "Content-Language: de-DE",
            sender=f'"Beispiel, Ada" <{invited.attendee}>',
        )
        + '\r\n--_000_ABC_\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n\r\n'
        + '\r\n--_000_ABC_\r\nContent-Type: text/html; charset="utf-8"\r\n\r\n<html></html>\r\n'
        + '\r\n--_000_ABC_\r\nContent-Type: text/calendar; charset="utf-8"; method='
        + f"{said.method}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded(body)}\r\n--_000_ABC_--\r\n"
    ).encode()


def microsoft365(invited: Invited, said: Said) -> bytes:
    """Microsoft 365 over its own relays: mixed around alternative, long trace headers, quoted-printable."""
    body = calendar(
        invited,
        said,
        "SUMMARY;LANGUAGE=de-DE:Mit Vorbehalt: Vortrag",
        "LOCATION;LANGUAGE=de-DE:",
        "STATUS:CONFIRMED",
        "X-MICROSOFT-CDO-BUSYSTATUS:BUSY",
        attendee=f"ATTENDEE;PARTSTAT={said.partstat};CN=Ada Beispiel:mailto:{invited.attendee.upper()}",
        organiser=False,
        zone="W. Europe Standard Time",
    )
    written = quopri.encodestring(body.encode()).decode().replace("\r\n", "\n").replace("\n", "\r\n")
    return (
        "Received: from mail.outlook.example (2603:10a6::1) by here; Mon, 5 Jan 2026 12:00:00 +0000\r\n"
        + headers(
            invited,
            said,
            "Subject: Mit Vorbehalt: Vortrag",
            'Content-Type: multipart/mixed; boundary="outer"',
            "X-MS-Exchange-CrossTenant-id: 00000000-0000-0000-0000-000000000000",
            sender=f"Ada Beispiel <{invited.attendee}>",
        )
        + '\r\n--outer\r\nContent-Type: multipart/alternative; boundary="inner"\r\n'
        + '\r\n--inner\r\nContent-Type: text/plain; charset="iso-8859-1"\r\n\r\nGru\r\n'
        + f'\r\n--inner\r\nContent-Type: text/calendar; charset="utf-8"; method={said.method}\r\n'
        + f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{written}\r\n--inner--\r\n--outer--\r\n"
    ).encode()


def google(invited: Invited, said: Said) -> bytes:
    """Google: From is its own robot, the attendee stands in Reply-To; the same calendar again as a file."""
    body = calendar(
        invited,
        said,
        "CREATED:20260101T100000Z",
        "DESCRIPTION:",
        "LAST-MODIFIED:20260105T100000Z",
        attendee=(
            f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT={said.partstat};"
            f"CN=Ada;X-NUM-GUESTS=0:mailto:{invited.attendee}"
        ),
    )
    return (
        headers(
            invited,
            said,
            f"Reply-To: Ada Beispiel <{invited.attendee}>",
            "Sender: Google Calendar <calendar-notification@google.com>",
            "Auto-Submitted: auto-generated",
            "Subject: Angenommen: Vortrag",
            'Content-Type: multipart/mixed; boundary="0000"',
            sender="Google Calendar <calendar-notification@google.com>",
        )
        + '\r\n--0000\r\nContent-Type: multipart/alternative; boundary="1111"\r\n'
        + '\r\n--1111\r\nContent-Type: text/plain; charset="UTF-8"; format=flowed; delsp=yes\r\n'
        + "Content-Transfer-Encoding: base64\r\n\r\nSGFsbG8=\r\n"
        + f'\r\n--1111\r\nContent-Type: text/calendar; charset="UTF-8"; method={said.method}\r\n'
        + f"Content-Transfer-Encoding: 7bit\r\n\r\n{body}\r\n--1111--\r\n"
        + '\r\n--0000\r\nContent-Type: application/ics; name="invite.ics"\r\n'
        + 'Content-Disposition: attachment; filename="invite.ics"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + f"{encoded(body)}\r\n--0000--\r\n"
    ).encode()


def apple(invited: Invited, said: Said) -> bytes:
    """Apple's Calendar: two alternatives, EMAIL= beside the address."""
    body = calendar(
        invited,
        said,
        "SUMMARY:Vortrag",
        attendee=(
            f'ATTENDEE;CN="Ada Beispiel";CUTYPE=INDIVIDUAL;EMAIL="{invited.attendee}";PARTSTAT={said.partstat};'
            f"ROLE=REQ-PARTICIPANT:mailto:{invited.attendee}"
        ),
    )
    return (
        headers(invited, said, "Subject: Vortrag", "Content-Type: multipart/alternative; boundary=Apple-Mail-1")
        + "\r\n--Apple-Mail-1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nAda hat angenommen.\r\n"
        + f"\r\n--Apple-Mail-1\r\nContent-Type: text/calendar; charset=utf-8; method={said.method}\r\n"
        + f"Content-Transfer-Encoding: 7bit\r\n\r\n{body}\r\n--Apple-Mail-1--\r\n"
    ).encode()


def thunderbird(invited: Invited, said: Said) -> bytes:
    """Thunderbird: mixed, the calendar once inline and once as invite.ics."""
    body = calendar(invited, said, "SUMMARY:Vortrag über Daten", "X-MOZ-RECEIVED-SEQUENCE:0")
    part = encoded(body)
    return (
        headers(
            invited,
            said,
            "User-Agent: Mozilla Thunderbird",
            "Subject: Zusage zu Vortrag",
            'Content-Type: multipart/mixed; boundary="------------Boundary"',
            sender=f"Ada Beispiel <{invited.attendee}>",
        )
        + '\r\n--------------Boundary\r\nContent-Type: multipart/alternative; boundary="------------Inner"\r\n'
        + "\r\n--------------Inner\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nAda nimmt teil.\r\n"
        + f"\r\n--------------Inner\r\nContent-Type: text/calendar; method={said.method}; charset=UTF-8\r\n"
        + f"Content-Transfer-Encoding: base64\r\n\r\n{part}\r\n--------------Inner--\r\n"
        + '\r\n--------------Boundary\r\nContent-Type: application/ics; name="invite.ics"\r\n'
        + "Content-Disposition: attachment; filename=invite.ics\r\n"
        + f"Content-Transfer-Encoding: base64\r\n\r\n{part}\r\n--------------Boundary--\r\n"
    ).encode()


def nextcloud(invited: Invited, said: Said) -> bytes:
    """Nextcloud and other SabreDAV servers: the whole mail is the calendar."""
    body = calendar(invited, said, "REQUEST-STATUS:2.0;Success", "SUMMARY:Vortrag")
    return (
        headers(
            invited,
            said,
            "Subject: Re: Vortrag",
            f'Content-Type: text/calendar; charset=UTF-8; method={said.method}; name="event.ics"',
            "Content-Transfer-Encoding: 8bit",
            "X-Sabre-Version: 4.4.0",
        )
        + "\r\n"
        + body
    ).encode()


def on_behalf(invited: Invited, said: Said) -> bytes:
    """An assistant answers for the attendee: Sender and SENT-BY are the assistant's."""
    body = calendar(
        invited,
        said,
        attendee=(
            f'ATTENDEE;PARTSTAT={said.partstat};SENT-BY="mailto:assistenz@behoerde.example":mailto:{invited.attendee}'
        ),
    )
    return (
        headers(
            invited,
            said,
            "Sender: assistenz@behoerde.example",
            "Subject: Zusage",
            f"Content-Type: text/calendar; method={said.method}; charset=utf-8",
        )
        + "\r\n"
        + body
    ).encode()


def delegated(invited: Invited, said: Said) -> bytes:
    """The attendee passes the invitation on."""
    parameters = f'PARTSTAT=DELEGATED;DELEGATED-TO="mailto:{said.delegate}"'
    body = calendar(invited, said, attendee=f"ATTENDEE;{parameters}:mailto:{invited.attendee}")
    kind = f"Content-Type: text/calendar; method={said.method}; charset=utf-8"
    return (headers(invited, said, "Subject: Weitergeleitet", kind) + "\r\n" + body).encode()


SHAPES: dict[str, Shape] = {
    "Outlook": outlook,
    "Microsoft 365": microsoft365,
    "Google": google,
    "Apple": apple,
    "Thunderbird": thunderbird,
    "Nextcloud": nextcloud,
    "on behalf of": on_behalf,
}
