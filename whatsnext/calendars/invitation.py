"""The calendar part of a mail: REQUEST and CANCEL for one attendee (RFC 5546 §3.2), PUBLISH for a file to keep.

Every text is cleaned here once more, whoever cleaned it before: a line end in it never begins a line of the
calendar. Nothing here rests on an `assert`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import icalendar

from whatsnext.calendars import texts, timezone

PRODID = "-//What's NEXt//Invitations//EN"
END = b"END:VCALENDAR\r\n"
END_EVENT = b"END:VEVENT\r\n"
PARTSTATS = frozenset({"NEEDS-ACTION", "ACCEPTED", "TENTATIVE", "DECLINED", "DELEGATED"})

_SHARED = (
    "uid",
    "start",
    "end",
    "summary",
    "url",
    "categories",
    "created",
    "modified",
    "protected",
    "repeat",
    "recurrence",
    "join_link",
)
"""What the entries of all attendees of one talk have in common, or all who take part in the same way."""
_shared = attrgetter(*_SHARED)
_NOBODYS: dict[str, Any] = {"sequence": 0, "description": "", "location": ""}
"""In place of what may differ between two attendees of one talk."""
_NOT_IN_NAMES = re.compile(r'["^\s]+')
_IDENTIFIER = re.compile("[!-~]+")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_URI_CHARACTERS = "!#$%&'()*+,/:;=?@[]-._~"


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A rule: `count` times, from one to the next `weeks` weeks by the clocks of the zone (RFC 5545 §3.3.10).

    `left_out` are starts by the rule, in the zone, at which nothing takes place; they count.
    """

    weeks: int
    count: int
    left_out: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A talk as a calendar shows it to anybody.

    `start` and `end` are aware, `start` in a ZoneInfo with its IANA name, in which both are written. `description`
    is plain text. `join_link` is left out where the public reads. `created` and `modified` are aware. Without
    `organiser_address` nobody is named as organiser. `repeat` makes it the first of several; `recurrence` makes it the
    one of several that would start then, in the zone of `start` (RFC 5545 §3.8.4.4).
    """

    uid: str
    sequence: int
    start: datetime
    end: datetime
    summary: str
    description: str
    location: str
    url: str
    categories: tuple[str, ...]
    join_link: str | None
    created: datetime
    modified: datetime
    organiser_name: str = ""
    organiser_address: str = ""
    protected: bool = False
    repeat: Repeat | None = None
    recurrence: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Invitation(Entry):
    """A talk as one attendee's calendar shows it.

    `organiser_address` is the registration's own reply address; `sequence` and `partstat` are what this attendee
    is sent now. Both addresses are plain ASCII, without a name. `answer` asks for an answer; where nobody reads it,
    the organiser is a human and `sent_by` the address that the mail comes from, if it is another one.
    """

    attendee_name: str
    attendee_address: str
    partstat: str = "NEEDS-ACTION"
    answer: bool = True
    sent_by: str = ""


class _Text(icalendar.vText):
    r"""TEXT with the escapes of RFC 5545 §3.3.11 and no others: icalendar's own takes `\N` in a path for a line end."""

    def to_ical(self) -> bytes:
        escaped = re.sub(r"[\\;,]", r"\\\g<0>", str(self))
        return escaped.replace("\n", r"\n").encode()


def _uri(value: str) -> icalendar.vUri:
    """`value` as a URI: what may not stand in one (RFC 3986 §2) is percent-encoded."""
    return icalendar.vUri(quote(value, safe=_URI_CHARACTERS, errors="replace"))


def _identifier(value: str) -> icalendar.vText:
    """Raises ValueError unless `value` is visible ASCII: an identifier is ours, never somebody's text."""
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{value!r} is no identifier")
    return _Text(value)


def _plain(address: str) -> str:
    """Raises ValueError unless `address` is a plain ASCII address."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no mail address")
    return address


def _who(name: str, address: str) -> icalendar.vCalAddress:
    """A person with CN, where the name has one. Raises ValueError unless `address` is a plain ASCII address."""
    person = icalendar.vCalAddress(f"mailto:{_plain(address)}")
    if common_name := _common_name(name):
        person.params["CN"] = common_name
    return person


def _common_name(name: str) -> str:
    return _NOT_IN_NAMES.sub(" ", texts.line(name)).strip()


def _attendee_line(invitation: Invitation) -> str:
    """The one ATTENDEE: CN, which stands first, and the address put into what all have in common."""
    common_name = _common_name(invitation.attendee_name)
    named = f";{icalendar.Parameters(CN=common_name).to_ical().decode()}" if common_name else ""
    rest = _any_attendee(invitation.partstat, answer=invitation.answer)
    return f"ATTENDEE{named}{rest}{_plain(invitation.attendee_address)}"


@lru_cache(maxsize=64)
def _any_attendee(partstat: str, *, answer: bool) -> str:
    """All but name and address. Raises ValueError for a PARTSTAT that RFC 5545 §3.2.12 does not know."""
    if partstat not in PARTSTATS:
        raise ValueError(f"{partstat!r} is no PARTSTAT")
    person = _who("", _ANYBODY)
    person.params["CUTYPE"] = "INDIVIDUAL"
    person.params["ROLE"] = "REQ-PARTICIPANT"
    person.params["PARTSTAT"] = partstat
    person.params["RSVP"] = "TRUE" if answer else "FALSE"
    return texts.unfolded("ATTENDEE", person).removeprefix("ATTENDEE").removesuffix(_ANYBODY)


def _organiser(name: str, address: str, sent_by: str = "") -> icalendar.vCalAddress:
    """ORGANIZER, with SENT-BY where another address sends (RFC 5545 §3.2.18)."""
    organiser = _who(name, address)
    if sent_by:
        organiser.params["SENT-BY"] = str(_who("", sent_by))
    return organiser


@lru_cache(maxsize=64)
def _organiser_line(name: str, sent_by: str) -> str:
    """All but the address, which each attendee has another of."""
    return texts.unfolded("ORGANIZER", _organiser(name, _ANYBODY, sent_by)).removesuffix(_ANYBODY)


_ANYBODY = "a@b"


def _zone(entry: Entry) -> ZoneInfo:
    """Raises ValueError for a start without an IANA zone."""
    zone = entry.start.tzinfo
    if not isinstance(zone, ZoneInfo) or not zone.key:
        raise ValueError("an entry needs an IANA zone: floating times move with the reader")
    return zone


def _written(entry: Entry) -> tuple[icalendar.vDatetime, icalendar.vDatetime]:
    """Start and end as wall times with TZID; in UTC if one is the second of a repeated hour.

    A wall time with TZID always means the first of the two (RFC 5545 §3.3.5), and both ends are written alike.
    Raises ValueError for a start without an IANA zone, an end without any, an end that is not later.
    """
    zone = _zone(entry)
    if entry.end.tzinfo is None:
        raise ValueError("an end needs a zone")
    instants = entry.start.astimezone(UTC), entry.end.astimezone(UTC)
    if instants[0] >= instants[1]:
        raise ValueError("an entry ends after it starts")
    walls = [instant.astimezone(zone) for instant in instants]
    if any(wall.fold for wall in walls):
        return icalendar.vDatetime(instants[0]), icalendar.vDatetime(instants[1])
    start, end = (icalendar.vDatetime(wall.replace(tzinfo=None)) for wall in walls)
    start.params["TZID"] = end.params["TZID"] = zone.key
    return start, end


def _wall(entry: Entry, at: datetime) -> icalendar.vDatetime:
    """A start by the rule, as wall time with TZID like DTSTART."""
    wall = icalendar.vDatetime(at.astimezone(_zone(entry)).replace(tzinfo=None))
    wall.params["TZID"] = _zone(entry).key
    return wall


def _add_times(event: icalendar.Event, entry: Entry) -> None:
    """Of a rule the wall times: what stands in UTC would leave the clocks of the zone when they are changed.

    Raises ValueError for a rule that starts in the second of a repeated hour.
    """
    start, end = _written(entry)
    if entry.recurrence is not None:
        event.add("RECURRENCE-ID", _wall(entry, entry.recurrence))
    if entry.repeat is None:
        event.add("DTSTART", start)
        event.add("DTEND", end)
        return
    if entry.start.astimezone(_zone(entry)).fold:
        raise ValueError("a rule cannot start in the second of a repeated hour")
    event.add("DTSTART", _wall(entry, entry.start))
    if "TZID" in end.params:
        event.add("DTEND", end)
    else:
        event.add("DURATION", entry.end.astimezone(UTC) - entry.start.astimezone(UTC))
    event.add("RRULE", {"FREQ": "WEEKLY", "INTERVAL": entry.repeat.weeks, "COUNT": entry.repeat.count})
    for left_out in entry.repeat.left_out:
        event.add("EXDATE", _wall(entry, left_out))


def _vevent(entry: Entry, stamp: datetime, status: str) -> icalendar.Event:
    event = icalendar.Event()
    _add_common(event, entry, status)
    for name, value in _own(entry, stamp):
        event.add(name, value)
    if entry.organiser_address:
        event.add("ORGANIZER", _organiser(entry.organiser_name, entry.organiser_address))
    return event


def _add_common(event: icalendar.Event, entry: Entry, status: str) -> None:
    """What the entries of all have in common who take part in one talk in the same way."""
    event.add("UID", _identifier(entry.uid))
    for name, moment in (("CREATED", entry.created), ("LAST-MODIFIED", entry.modified)):
        event.add(name, _utc(name, moment))
    _add_times(event, entry)
    event.add("STATUS", status)
    event.add("TRANSP", "OPAQUE")
    event.add("CLASS", "PRIVATE" if entry.protected else "PUBLIC")
    event.add("SUMMARY", _Text(texts.line(entry.summary)))
    if entry.url:
        event.add("URL", _uri(entry.url))
    if entry.categories:
        categories = icalendar.vCategory([])
        categories.cats = [_Text(texts.line(category)) for category in entry.categories]
        event.add("CATEGORIES", categories)
    if entry.join_link:
        link = _uri(entry.join_link)
        link.params["VALUE"] = "URI"
        event.add("CONFERENCE", link)


def _own(entry: Entry, stamp: datetime) -> Iterator[tuple[str, texts.Value]]:
    """What may differ from one attendee to the next."""
    yield "SEQUENCE", icalendar.vInt(entry.sequence)
    yield "DTSTAMP", icalendar.vDatetime(_utc("DTSTAMP", stamp))
    if description := texts.lines(entry.description):
        yield "DESCRIPTION", _Text(description)
    if location := texts.line(entry.location, ", "):
        yield "LOCATION", _Text(location)


def _for_attendee(invitation: Invitation, stamp: datetime, status: str) -> bytes:
    """The entry of one attendee; the order of properties means nothing (RFC 5545 §3.6.1).

    Two times are equal for Python that differ in zone or fold only, so these tell apart what is kept.
    """
    repeat = invitation.repeat
    times = (invitation.start, invitation.end, invitation.recurrence, *(repeat.left_out if repeat else ()))
    written = tuple((at.fold, str(at.tzinfo)) if at else None for at in times)
    common = _common(status, written, *_shared(invitation))
    own = [texts.unfolded(name, value) for name, value in _own(invitation, stamp)]
    own.append(_organiser_line(invitation.organiser_name, invitation.sent_by) + _plain(invitation.organiser_address))
    own.append(_attendee_line(invitation))
    return b"".join((common, *(texts.folded(line) + b"\r\n" for line in own), END_EVENT))


@lru_cache(maxsize=64)
def _common(status: str, _written: tuple[tuple[int, str] | None, ...], *shared: Any) -> bytes:
    """The entry so far, kept: thousands are invited to one talk."""
    event = icalendar.Event()
    _add_common(event, Entry(**dict(zip(_SHARED, shared, strict=True)), **_NOBODYS), status)
    return texts.written(event).removesuffix(END_EVENT)


def _utc(name: str, moment: datetime) -> datetime:
    """Raises ValueError for a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs a zone")
    return moment.astimezone(UTC)


def _calendar(method: str, entry: Entry, *events: bytes) -> bytes:
    return b"".join((_frame(method), timezone.written(_zone(entry), entry.start), *events, END))


@cache
def _frame(method: str) -> bytes:
    """What every calendar of this method begins with."""
    calendar = icalendar.Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", _Text(PRODID))
    calendar.add("METHOD", method)
    return bytes(calendar.to_ical()).removesuffix(END)


def request(invitation: Invitation, stamp: datetime) -> bytes:
    """Ask one attendee to one talk, or tell them what changed (RFC 5546 §3.2.2).

    `stamp` is aware and later than every DTSTAMP this attendee has had. Returns UTF-8 with CRLF, folded at 75
    octets. Raises ValueError for times without a zone, an end before the start, an address or UID that is none.
    """
    event = _for_attendee(invitation, stamp, "CONFIRMED")
    return _calendar("REQUEST", invitation, event)


def cancel(invitation: Invitation, stamp: datetime) -> bytes:
    """Take one talk out of one attendee's calendar (RFC 5546 §3.2.5): same UID, a SEQUENCE above the last one sent.

    `stamp`, result and errors as `request`.
    """
    event = _for_attendee(invitation, stamp, "CANCELLED")
    return _calendar("CANCEL", invitation, event)


def decline_counter(invitation: Invitation, stamp: datetime) -> bytes:
    """Answer a proposed time: the talk stays as it is (RFC 5546 §3.2.8). `sequence` is that of the proposal.

    `stamp`, result and errors as `request`.
    """
    event = _for_attendee(invitation, stamp, "CONFIRMED")
    return _calendar("DECLINECOUNTER", invitation, event)


def publish(entry: Entry, stamp: datetime, *, cancelled: bool = False) -> bytes:
    """A file for "only add to calendar" (RFC 5546 §3.2.1): nobody is asked, nobody is named as attendee.

    `stamp`, result and errors as `request`. `cancelled`: the talk is off.
    """
    return publish_parts([entry], stamp, cancelled=cancelled)


def publish_parts(entries: Sequence[Entry], stamp: datetime, *, cancelled: bool = False) -> bytes:
    """The same for a talk of several parts in one zone, the earliest first.

    `stamp`, result and errors as `request`.
    """
    status = "CANCELLED" if cancelled else "CONFIRMED"
    return _calendar("PUBLISH", entries[0], *(texts.written(_vevent(entry, stamp, status)) for entry in entries))
