"""VTIMEZONE of every zone, read by ical.js and python-dateutil: the instants that zoneinfo says."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import icalendar
import pytest
from dateutil.tz import tzical

from tests.interop.foreign import starts_with_icaljs
from whatsnext.calendars.timezone import ambiguous, gap, rules, zones

pytestmark = pytest.mark.interop
YEARS = range(2026, 2046)
DAYS = ((1, 15), (4, 15), (7, 15), (11, 20))
ONE_DAY = timedelta(days=1)
AROUND = [timedelta(hours=hours) for hours in (-6, 0.5, 3.5, 18, 24.5, 42)]


@cache
def walls(key: str) -> list[datetime]:
    """Naive times in `key`: four evenings a year, and the hours around each change of its clocks."""
    zone = ZoneInfo(key)
    times = [datetime(year, month, day, 18) for year in YEARS for month, day in DAYS]
    for day in changing_days(zone):
        times += [day + hours for hours in AROUND]
    return [time for time in times if not gap(time, zone) and not ambiguous(time, zone)]


def changing_days(zone: ZoneInfo) -> list[datetime]:
    """The midnights that begin a day in which the clocks of `zone` change."""
    first = datetime(YEARS.start, 1, 2)
    days = [first + number * ONE_DAY for number in range(len(YEARS) * 365)]
    offsets = [day.replace(tzinfo=zone).utcoffset() for day in days]
    return [day for day, offset, after in zip(days, offsets, offsets[1:], strict=False) if offset != after]


def instants(key: str) -> list[datetime]:
    return [wall.replace(tzinfo=ZoneInfo(key)).astimezone(UTC) for wall in walls(key)]


def calendar(key: str, zone: bytes) -> bytes:
    """A calendar with one event at each of `walls`."""
    events = [
        f"BEGIN:VEVENT\r\nUID:{number}\r\nDTSTART;TZID={key}:{wall:%Y%m%dT%H%M%S}\r\nEND:VEVENT\r\n"
        for number, wall in enumerate(walls(key))
    ]
    return b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + zone + "".join(events).encode() + b"END:VCALENDAR\r\n"


def ours(key: str, year: int = YEARS.start) -> bytes:
    return bytes(rules(ZoneInfo(key), datetime(year, 1, 1, tzinfo=UTC)).to_ical())


def wrong(key: str, read: list[datetime]) -> list[tuple[datetime, datetime]]:
    return [(right, said) for right, said in zip(instants(key), read, strict=True) if right != said]


def test_icaljs_reads_every_zone_right_in_every_year():
    read = starts_with_icaljs([calendar(key, ours(key)) for key in zones()])
    assert {key: found[:3] for key, starts in zip(zones(), read, strict=True) if (found := wrong(key, starts))} == {}


def test_dateutil_reads_every_zone_right_in_every_year():
    failures = {}
    for key in zones():
        zone = tzical(io.StringIO(calendar(key, ours(key)).decode())).get(key)
        if found := wrong(key, [wall.replace(tzinfo=zone).astimezone(UTC) for wall in walls(key)]):
            failures[key] = found[:3]
    assert failures == {}


def test_icaljs_believes_the_zone_in_the_calendar_and_no_other():
    """Else the tests above would show nothing: a calendar that lies about Berlin is read as it lies."""
    lie = ours("Europe/Berlin").replace(b"+0200", b"+0500")
    (read,) = starts_with_icaljs([calendar("Europe/Berlin", lie)])
    assert wrong("Europe/Berlin", read) != []


def test_icalendars_own_zones_are_still_read_wrong():
    """The day this fails, `calendars/timezone.py` may go."""
    theirs = icalendar.Timezone.from_tzid("Europe/Berlin").to_ical()
    (read,) = starts_with_icaljs([calendar("Europe/Berlin", theirs)])
    assert wrong("Europe/Berlin", read) != []
