"""A calendar part of our own read back, for people who look at the demo's mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import icalendar


@dataclass(frozen=True)
class Reading:
    """What a calendar part says. Times are aware, in the zone named `zone` ("UTC" for UTC); "" is "not said".

    `count` entries come every `weeks` weeks; 1 and 0 without a rule.
    """

    method: str
    uid: str
    sequence: int
    status: str
    start: datetime
    end: datetime
    zone: str
    count: int
    weeks: int
    summary: str
    location: str
    description: str
    organizer: str
    organizer_name: str
    attendee: str
    attendee_name: str
    partstat: str


def _person(event: icalendar.Event, name: str) -> tuple[str, dict[str, str]]:
    """Address and parameters of the only ORGANIZER or ATTENDEE; empty if there is none."""
    value: Any = event.get(name)
    if value is None:
        return "", {}
    return str(value).removeprefix("mailto:"), dict(value.params)


def in_words(data: bytes) -> Reading:
    """Read the first VEVENT of `data`. Raises ValueError if there is none, or one without its times."""
    calendar = icalendar.Calendar.from_ical(data)
    events = calendar.walk("VEVENT")
    if not events or not isinstance(event := events[0], icalendar.Event):
        raise ValueError("no VEVENT")
    times = [event.decoded(name, None) for name in ("DTSTART", "DTEND")]
    if not all(isinstance(time, datetime) for time in times):
        raise ValueError("a VEVENT without start and end")
    rule: Any = event.get("RRULE", {})
    organizer, organizer_parameters = _person(event, "ORGANIZER")
    attendee, attendee_parameters = _person(event, "ATTENDEE")
    return Reading(
        method=str(calendar.get("METHOD", "")),
        uid=str(event.get("UID", "")),
        sequence=int(event.get("SEQUENCE", 0)),
        status=str(event.get("STATUS", "")),
        start=times[0],
        end=times[1],
        zone=str(event["DTSTART"].params.get("TZID", "UTC")),
        count=int(rule.get("COUNT", [1])[0]),
        weeks=int(rule.get("INTERVAL", [1])[0]) if rule else 0,
        summary=str(event.get("SUMMARY", "")),
        location=str(event.get("LOCATION", "")),
        description=str(event.get("DESCRIPTION", "")),
        organizer=organizer,
        organizer_name=organizer_parameters.get("CN", ""),
        attendee=attendee,
        attendee_name=attendee_parameters.get("CN", ""),
        partstat=attendee_parameters.get("PARTSTAT", ""),
    )
