"""What a calendar answers: REPLY, COUNTER and REFRESH of one attendee (RFC 5546 §3.2.3, §3.2.6, §3.2.7).

Only the lines that matter are read, one by one. No rule of recurrence is expanded, no address is fetched, and a time
zone is not looked up: servers name zones in their own way, and nothing here rests on one (invitations.md, Replies).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from icalendar.parser import Contentline
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

LARGEST = 262_144
MOST_LINES = 5_000
LONGEST_LINE = 20_000
LONGEST_COMMENT = 1_000
HIGHEST_SEQUENCE = 2**31 - 1
YEARS = range(2000, 2101)
METHODS = frozenset({"REPLY", "COUNTER", "REFRESH"})
ANSWERS = frozenset({"ACCEPTED", "TENTATIVE", "DECLINED", "DELEGATED", "NEEDS-ACTION"})
ONCE = frozenset({"UID", "SEQUENCE", "DTSTAMP", "RECURRENCE-ID", "DTSTART", "DTEND", "ORGANIZER"})
WANTED = ONCE | {"ATTENDEE", "COMMENT"}

_FOLD = re.compile("\r?\n[ \t]")
_LINES = re.compile("\r?\n")
_NAME = re.compile("[A-Za-z0-9-]+")
_WHEN = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?")

Parameters = dict[str, str]


class Unreadable(ValueError):
    """A calendar part that says nothing certain; its message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one attendee's calendar says.

    `attendee`, `delegate` and `delegator` are plain addresses as written, "" if not said. `stamp` and the proposed
    times are UTC, None if not said or in a zone that only the sender knows. `recurrence` is the RECURRENCE-ID as
    written, `recurrence_at` its instant.
    """

    method: str
    uid: str
    attendee: str
    partstat: str
    sequence: int
    stamp: datetime | None
    comment: str = ""
    delegate: str = ""
    delegator: str = ""
    recurrence: str = ""
    recurrence_at: datetime | None = None
    proposed_start: datetime | None = None
    proposed_end: datetime | None = None


def method(data: bytes) -> str:
    """The METHOD in upper case, "" if there is none or the part cannot be read."""
    try:
        return _method(_lines(data))
    except Unreadable:
        return ""


def read(data: bytes) -> Answer:
    """The answer in a calendar part of at most LARGEST octets. Raises Unreadable with the reason."""
    lines = _lines(data)
    kind = _method(lines)
    if kind not in METHODS:
        raise Unreadable("method")
    event = _only_event(lines)
    attendees = event.get("ATTENDEE", [])
    parameters, address = _one_attendee(attendees)
    partstat = parameters.get("PARTSTAT", "NEEDS-ACTION").upper()
    if partstat not in ANSWERS or (kind == "REPLY" and partstat == "NEEDS-ACTION"):
        raise Unreadable("partstat")
    return Answer(
        method=kind,
        uid=_text(event, "UID"),
        attendee=address,
        partstat=partstat,
        sequence=_sequence(event),
        stamp=_instant(event, "DTSTAMP"),
        comment="\n".join(value for _parameters, value in event.get("COMMENT", []))[:LONGEST_COMMENT].strip(),
        delegate=_mailto(parameters.get("DELEGATED-TO", "")),
        delegator=_mailto(parameters.get("DELEGATED-FROM", "")),
        recurrence=_text(event, "RECURRENCE-ID"),
        recurrence_at=_instant(event, "RECURRENCE-ID"),
        proposed_start=_instant(event, "DTSTART") if kind == "COUNTER" else None,
        proposed_end=_instant(event, "DTEND") if kind == "COUNTER" else None,
    )


def _lines(data: bytes) -> list[str]:
    """Unfolded lines. UTF-8, or what old servers send instead."""
    if len(data) > LARGEST:
        raise Unreadable("size")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    lines = [line for line in _LINES.split(_FOLD.sub("", text.strip())) if line.strip()]
    if len(lines) > MOST_LINES or any(len(line) > LONGEST_LINE for line in lines):
        raise Unreadable("size")
    if not lines or lines[0].strip().upper() != "BEGIN:VCALENDAR":
        raise Unreadable("no calendar")
    return lines


def _method(lines: list[str]) -> str:
    found = [
        line.partition(":")[2].strip().upper() for line in lines if line.upper().startswith(("METHOD:", "METHOD;"))
    ]
    if len(found) > 1:
        raise Unreadable("twice")
    return found[0] if found else ""


def _only_event(lines: list[str]) -> dict[str, list[tuple[Parameters, str]]]:
    """The properties of the one VEVENT. Raises Unreadable for none, for two, and for what is said twice."""
    event: dict[str, list[tuple[Parameters, str]]] = {}
    stack: list[str] = []
    events = 0
    for line in lines:
        name = _name(line)
        if name == "BEGIN":
            stack.append(line.partition(":")[2].strip().upper())
            events += stack[-1] == "VEVENT"
        elif name == "END":
            if not stack or stack.pop() != line.partition(":")[2].strip().upper():
                raise Unreadable("nesting")
        elif stack == ["VCALENDAR", "VEVENT"] and name in WANTED:
            event.setdefault(name, []).append(_parts(line))
    if stack:
        raise Unreadable("nesting")
    if events != 1 or not event:
        raise Unreadable("twice" if events > 1 else "no event")
    if any(len(event.get(name, [])) > 1 for name in ONCE):
        raise Unreadable("twice")
    return event


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found.group().upper() if found else ""


def _parts(line: str) -> tuple[Parameters, str]:
    try:
        _said, parameters, value = Contentline(line).parts()  # type: ignore[no-untyped-call]
    except ValueError:
        raise Unreadable("line") from None
    return {name.upper(): _first(given) for name, given in parameters.items()}, value.strip()


def _first(value: object) -> str:
    """A parameter with several values comes as a list."""
    if isinstance(value, (list, tuple)):
        return str(value[0]) if value else ""
    return str(value)


def _one_attendee(attendees: list[tuple[Parameters, str]]) -> tuple[Parameters, str]:
    """Who answers: the only attendee, or of a delegation the one it was given to (RFC 5546 §4.2.5)."""
    if len(attendees) > 1:
        attendees = [each for each in attendees if "DELEGATED-FROM" in each[0]] if len(attendees) == 2 else []
    if len(attendees) != 1:
        raise Unreadable("attendee")
    parameters, value = attendees[0]
    address = _mailto(value)
    if not address:
        raise Unreadable("attendee")
    return parameters, address


def _mailto(value: str) -> str:
    value = value.strip().strip('"').strip()
    if value[:7].lower() != "mailto:":
        return ""
    address = value[7:].strip()
    return address if address.count("@") == 1 and len(address) <= 254 else ""


def _text(event: dict[str, list[tuple[Parameters, str]]], name: str) -> str:
    return event[name][0][1][:255] if name in event else ""


def _sequence(event: dict[str, list[tuple[Parameters, str]]]) -> int:
    """0 if not said (RFC 5545 §3.8.7.4)."""
    value = _text(event, "SEQUENCE") or "0"
    if not (value.isascii() and value.isdigit() and len(value) <= 10) or int(value) > HIGHEST_SEQUENCE:
        raise Unreadable("sequence")
    return int(value)


def _instant(event: dict[str, list[tuple[Parameters, str]]], name: str) -> datetime | None:
    """A time in UTC; None if not said, or said in a zone that nobody else knows. Raises Unreadable for nonsense."""
    if name not in event:
        return None
    parameters, value = event[name][0]
    found = _WHEN.fullmatch(value)
    if not found or int(found[1]) not in YEARS:
        raise Unreadable("date")
    try:
        wall = datetime(*(int(part or 0) for part in found.groups()[:6]))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        raise Unreadable("date") from None
    if found[7] or name == "DTSTAMP":
        return wall.replace(tzinfo=UTC)
    zone = _zone(parameters.get("TZID", ""))
    return wall.replace(tzinfo=zone).astimezone(UTC) if zone and found[4] else None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(name, name)) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
