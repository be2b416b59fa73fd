"""Time zones of events: which there are, local times that clocks skip or repeat, and VTIMEZONE.

`icalendar`'s own VTIMEZONE is a long list of RDATEs that several calendars read an hour wrong. Ours has two yearly
RRULEs, taken from the footer of the zone's TZif data (RFC 9636 §3.3), wherever these say exactly what `zoneinfo`
says; elsewhere (Cairo, Casablanca, Gaza) each change of the clock is one observance.
"""

from __future__ import annotations

import calendar
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import icalendar

HORIZON_YEARS = 20
NOT_PLACES = frozenset({"Factory", "localtime"})
DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
DAY = 24 * 3600
WEEK = timedelta(days=7)

Observance = icalendar.TimezoneStandard | icalendar.TimezoneDaylight

_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_OFFSET = r"[+-]?\d+(?::\d+){0,2}"
_FOOTER = re.compile(rf"{_NAME}({_OFFSET}){_NAME}({_OFFSET})?,([^,]+),([^,]+)")
_RULE = re.compile(rf"M(\d+)\.(\d)\.(\d)(?:/({_OFFSET}))?")


class SkippedTime(ValueError):
    """A local time that no clock shows: summer time begins and jumps over it."""

    def __init__(self, local: datetime, zone: ZoneInfo) -> None:
        super().__init__(f"clocks in {zone.key} skip {local:%Y-%m-%d %H:%M}")
        self.local, self.zone = local, zone


class RepeatedTime(ValueError):
    """A local time that clocks show twice: which of `choices`, the earlier or the later, has to be asked."""

    def __init__(self, local: datetime, zone: ZoneInfo) -> None:
        super().__init__(f"clocks in {zone.key} show {local:%Y-%m-%d %H:%M} twice")
        self.local, self.zone = local, zone
        self.choices = (local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1))


def forget() -> None:
    """Look everything up anew: the zone data of the machine may have been updated."""
    zoneinfo.ZoneInfo.clear_cache()
    for kept in (zones, _names, _rules, _written):
        kept.cache_clear()


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The IANA names that an event may use, sorted."""
    return tuple(sorted(available_timezones() - NOT_PLACES))


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(zones())


def is_zone(name: str) -> bool:
    """Whether an event may use `name`; upper and lower case count."""
    return name in _names()


def _readings(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Local time minus UTC, before and after a change of the clock; equal on any other day (PEP 495)."""
    if local.tzinfo is not None:
        raise ValueError("a local time has no zone of its own")
    wall = local.replace(fold=0)
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1))
    return wall - before, wall - after


def gap(local: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks in `zone` jump over the naive `local`."""
    before, after = _readings(local, zone)
    return before < after


def ambiguous(local: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks in `zone` show the naive `local` twice."""
    before, after = _readings(local, zone)
    return before > after


def resolve(local: datetime, zone: ZoneInfo, fold: int | None = None) -> datetime:
    """The aware time that someone in `zone` means by the naive `local`.

    `fold` is their answer where clocks show it twice: 0 the earlier, 1 the later, None not asked yet.
    Raises SkippedTime, and RepeatedTime if `fold` is None; elsewhere `fold` is ignored.
    """
    if gap(local, zone):
        raise SkippedTime(local, zone)
    if not ambiguous(local, zone):
        return local.replace(tzinfo=zone, fold=0)
    if fold is None:
        raise RepeatedTime(local, zone)
    return local.replace(tzinfo=zone, fold=1 if fold else 0)


class Change(NamedTuple):
    """One change of a zone's clocks: its instant in UTC, local time minus UTC before and after."""

    at: datetime
    before: timedelta
    after: timedelta


@dataclass(frozen=True)
class Rule:
    """The day and the wall time of a yearly change, `Mm.w.d/time`; `time` in seconds, below 0 or beyond 24 hours too.

    `week` 5 is the last one; `weekday` 0 is Sunday.
    """

    month: int
    week: int
    weekday: int
    time: int

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Raises ValueError if `text` is another kind of rule."""
        found = _RULE.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is not Mm.w.d/time")
        month, week, weekday = (int(part) for part in found.group(1, 2, 3))
        return cls(month, week, weekday, _seconds(found[4] or "2"))

    def wall(self, year: int) -> datetime:
        """The naive time of the change in `year`, by the clocks before it."""
        first = datetime.combine(date(year, self.month, 1), time())
        day = first + timedelta((self.weekday - first.isoweekday()) % 7 + 7 * (self.week - 1))
        if day.month != self.month:
            day -= WEEK
        return day + timedelta(seconds=self.time)

    def rrule(self) -> dict[str, str | int | list[int]]:
        """The same as RRULE. Whole days in `time` move the weekday and its window of seven days.

        Raises ValueError where that window leaves the month or moves with leap years.
        """
        days = self.time // DAY
        weekday = DAYS[(self.weekday + days) % 7]
        if days == 0:
            week = -1 if self.week == 5 else self.week
            return {"FREQ": "YEARLY", "BYMONTH": self.month, "BYDAY": f"{week}{weekday}"}
        length = calendar.monthrange(2025, self.month)[1]
        first = (length - 6 if self.week == 5 else 7 * self.week - 6) + days
        if self.month == 2 or not 1 <= first <= length - 6:
            raise ValueError(f"{self} crosses a month")
        window = list(range(first, first + 7))
        return {"FREQ": "YEARLY", "BYMONTH": self.month, "BYDAY": weekday, "BYMONTHDAY": window}


def _seconds(text: str) -> int:
    """Seconds in `h[:mm[:ss]]` with an optional sign."""
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = (*(int(part) for part in text.lstrip("+-").split(":")), 0, 0)[:3]
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _tzif(key: str) -> bytes:
    """The zone's data, looked up where and in the order that zoneinfo does."""
    for root in zoneinfo.TZPATH:
        path = Path(root, key)
        if path.is_file():
            return path.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *key.split("/")).read_bytes()


def _yearly(key: str) -> list[tuple[Rule, timedelta, timedelta]]:
    """The two rules in the footer of the zone's data with the offsets before and after; none without summer time.

    Raises ValueError for rules that are no Mm.w.d.
    """
    footer = _tzif(key).removesuffix(b"\n").rpartition(b"\n")[2].decode("ascii")
    found = _FOOTER.fullmatch(footer)
    if not found:
        return []
    standard = timedelta(seconds=-_seconds(found[1]))
    summer = timedelta(seconds=-_seconds(found[2])) if found[2] else standard + timedelta(hours=1)
    return [(Rule.parse(found[3]), standard, summer), (Rule.parse(found[4]), summer, standard)]


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).replace(tzinfo=None) - at.replace(tzinfo=None)


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Change]:
    """What zoneinfo knows between two instants, to the second; no zone changes twice within a week."""
    before = _offset(zone, start)
    while start < end:
        following = min(start + WEEK, end)
        after = _offset(zone, following)
        if after != before:
            yield Change(_turn(zone, start, following), before, after)
        start, before = following, after


def _turn(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second between two instants that has the later one's offset."""
    after = _offset(zone, high)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (low, middle) if _offset(zone, middle) == after else (middle, high)
    return high


def _observance(zone: ZoneInfo, change: Change) -> Observance:
    """DAYLIGHT is what puts clocks forward, whatever its name: Dublin's footer calls the winter its summer time."""
    kind = icalendar.TimezoneDaylight if change.after > change.before else icalendar.TimezoneStandard
    observance = kind()
    observance.add("DTSTART", (change.at + change.before).replace(tzinfo=None))
    observance.add("TZOFFSETFROM", change.before)
    observance.add("TZOFFSETTO", change.after)
    observance.add("TZNAME", change.at.astimezone(zone).tzname() or zone.key)
    return observance


def _two_rules(zone: ZoneInfo, changes: list[Change], years: range) -> list[Observance]:
    """The zone's two rules as observances without end; none unless they say every one of `changes`."""
    observances: list[Observance] = []
    said: list[Change] = []
    try:
        for rule, before, after in _yearly(zone.key):
            turns = [Change(rule.wall(year).replace(tzinfo=UTC) - before, before, after) for year in years]
            said += turns
            observances.append(_observance(zone, turns[0]))
            observances[-1].add("RRULE", rule.rrule())
    except ValueError:
        return []
    return observances if sorted(said) == changes else []


@lru_cache(maxsize=1024)
def _rules(key: str, year: int, horizon_years: int) -> icalendar.Timezone:
    zone, years = ZoneInfo(key), range(year - 1, year + horizon_years + 1)
    start, end = datetime(years.start, 1, 1, tzinfo=UTC), datetime(years.stop, 1, 1, tzinfo=UTC)
    changes = list(_changes(zone, start, end))
    unchanged = Change(start, _offset(zone, start), _offset(zone, start))
    timezone = icalendar.Timezone()
    timezone.add("TZID", key)
    for observance in _two_rules(zone, changes, years) or [_observance(zone, each) for each in (unchanged, *changes)]:
        timezone.add_component(observance)
    return timezone


def rules(zone: ZoneInfo, first: datetime, horizon_years: int = HORIZON_YEARS) -> icalendar.Timezone:
    """VTIMEZONE (RFC 5545 §3.6.5) of `zone`, right from the year of `first` for `horizon_years`, mostly for ever.

    The component is shared between calls: add it to a calendar, do not change it. Raises ValueError for a zone
    without an IANA name.
    """
    if not zone.key:
        raise ValueError("a zone needs its IANA name")
    return _rules(zone.key, first.year, horizon_years)


def written(zone: ZoneInfo, first: datetime) -> bytes:
    """The same as lines of a calendar: writing them anew would take as long as all the rest of an invitation."""
    if not zone.key:
        raise ValueError("a zone needs its IANA name")
    return _written(zone.key, first.year)


@lru_cache(maxsize=256)
def _written(key: str, year: int) -> bytes:
    return bytes(_rules(key, year, HORIZON_YEARS).to_ical())
