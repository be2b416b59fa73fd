"""Calendars that people subscribe to: PUBLISH with the properties of RFC 7986, stable from one fetch to the next.

Nobody is named as attendee, nothing rings. UIDs are those of the invitations, so a calendar holding both can match
them. A talk written once is kept: a series that changes in one talk costs that talk.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import icalendar

from whatsnext.calendars import texts, timezone
from whatsnext.calendars.invitation import END, Entry, _Text, _uri, _vevent, _zone

PRODID = "-//What's NEXt//Feeds//EN"
ASK_AGAIN = timedelta(hours=1)
COLOURS = ("teal", "mediumpurple", "crimson", "royalblue", "seagreen", "darkorange", "saddlebrown", "slategray")
"""CSS3 names near the eight pairs that organisers choose from (RFC 7986 §5.9 takes no other spelling)."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A talk in a feed. `stamp` is aware and changes only with the talk; `busy` blocks the reader's time."""

    entry: Entry
    stamp: datetime
    cancelled: bool = False
    busy: bool = False


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A calendar: `source` is its own address, `url` the page for people, `colour` the number of a pair or 0."""

    name: str
    source: str
    url: str
    colour: int = 0


def publish(feed: Feed, talks: list[Shown]) -> bytes:
    """The calendar with these talks, in this order (RFC 5546 §3.2.1).

    Returns UTF-8 with CRLF, folded at 75 octets. Raises ValueError for times without a zone, an end before the start,
    a UID that is none.
    """
    calendar = icalendar.Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", _Text(PRODID))
    calendar.add("METHOD", "PUBLISH")
    for name in ("NAME", "X-WR-CALNAME"):
        calendar.add(name, _Text(texts.line(feed.name)))
    calendar.add("REFRESH-INTERVAL", icalendar.vDuration(ASK_AGAIN), parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", icalendar.vDuration(ASK_AGAIN))
    source = _uri(feed.source)
    source.params["VALUE"] = "URI"
    calendar.add("SOURCE", source)
    calendar.add("URL", _uri(feed.url))
    if feed.colour:
        calendar.add("COLOR", _Text(COLOURS[feed.colour - 1]))
    frame = bytes(calendar.to_ical()).removesuffix(END)
    zones = [timezone.written(ZoneInfo(zone), first) for zone, first in _zones(talks).items()]
    return b"".join((frame, *zones, *map(_event, talks), END))


def _zones(talks: list[Shown]) -> dict[str, datetime]:
    """Each zone once, by name, with the first start in it."""
    first: dict[str, datetime] = {}
    for talk in talks:
        zone, start = _zone(talk.entry).key, talk.entry.start
        if zone not in first or start < first[zone]:
            first[zone] = start
    return dict(sorted(first.items()))


def _event(talk: Shown) -> bytes:
    entry = talk.entry
    instants = (entry.start.astimezone(UTC), entry.end.astimezone(UTC))
    return _written(talk, _zone(entry).key, *instants)


@lru_cache(maxsize=4096)
def _written(talk: Shown, _zone_name: str, _start: datetime, _end: datetime) -> bytes:
    """The VEVENT. Zone and instants are named because equal datetimes may differ in them."""
    event = _vevent(talk.entry, talk.stamp, "CANCELLED" if talk.cancelled else "CONFIRMED")
    if talk.cancelled or not talk.busy:
        event["TRANSP"] = _Text("TRANSPARENT")
    return texts.written(event)
