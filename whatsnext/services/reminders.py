"""Reminders: planned from a talk's local time, owed once each to whoever has a place (design.md §3, Mail).

A day before means the same time by the clock the day before, also when clocks are changed in between. What fell due
since the last run is owed, also after a pause; of several that have fallen due for one talk only the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import joinedload

from whatsnext.db import db
from whatsnext.errors import RemindersUnreadable
from whatsnext.models import (
    Event,
    EventPart,
    EventState,
    JobRun,
    Kind,
    Message,
    Person,
    Registration,
    Reminder,
    Series,
    Status,
)
from whatsnext.services import outbox

JOB = "remind"
A_DAY = 24 * 60
LONGEST = 30 * A_DAY
MOST = 5


class Occasion(NamedTuple):
    """What is reminded of: a talk, or one part of it; `starts_local` is wall time in its zone, `starts_at` UTC."""

    event: Event
    part: EventPart | None
    starts_local: datetime
    fold: int
    starts_at: datetime


class Due(NamedTuple):
    """A reminder whose time has come: `minutes` before the talk, at `at` (UTC)."""

    at: datetime
    minutes: int


def offsets(typed: str) -> tuple[int, ...]:
    """Minutes before a talk, longest first: "60, 1440" is (1440, 60). Raises RemindersUnreadable."""
    parts = [part.strip() for part in typed.replace(";", ",").split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise RemindersUnreadable(most=MOST)
    minutes = {int(part) for part in parts}
    if len(minutes) > MOST or any(not 1 <= each <= LONGEST for each in minutes):
        raise RemindersUnreadable(most=MOST)
    return tuple(sorted(minutes, reverse=True))


def kept(typed: str) -> str:
    """The same as it is kept with the series: "1440,60". Raises RemindersUnreadable."""
    return ",".join(map(str, offsets(typed)))


def due_at(occasion: Occasion, minutes: int) -> datetime:
    """When (UTC) to remind of it: whole days by the clock of its zone, the rest as time that passes."""
    days, rest = divmod(minutes, A_DAY)
    zone = ZoneInfo(occasion.event.zone)
    wall = (occasion.starts_local - timedelta(days=days)).replace(tzinfo=zone, fold=occasion.fold)
    return wall.astimezone(UTC) - timedelta(minutes=rest)


def remind(now: datetime) -> int:
    """Owe the reminders that fell due since this was last called. Returns how many mails.

    Call inside `write()`. The first call only notes the time: what fell due before is not made up for.
    """
    run = db.session.get(JobRun, JOB, populate_existing=True)
    if run is None:
        run = JobRun(name=JOB, slot=0)
        db.session.add(run)
    since = run.done_until or now
    run.done_until = max(since, now)
    return sum(_owe(occasion, due, now) for occasion, due in _due(since, now))


def forget_the_past() -> None:
    """Make up for nothing: after a restore nobody knows which reminders have gone out since the backup."""
    db.session.execute(sa.update(JobRun).where(JobRun.name == JOB).values(done_until=None))


def _due(since: datetime, now: datetime) -> Iterator[tuple[Occasion, list[Due]]]:
    """Coming talks, and coming parts of talks, with what fell due in (since, now], the last one at the end."""
    for occasion in [*_talks(now), *_parts(now)]:
        minutes = offsets(occasion.event.series.reminders)
        planned = [Due(due_at(occasion, each), each) for each in minutes]
        if due := sorted(each for each in planned if since < each.at <= now):
            yield occasion, due


def _talks(now: datetime) -> Iterator[Occasion]:
    chosen = (
        sa.select(Event)
        .where(
            Event.series_id.in_(sa.select(Series.id)),  # named, so that the index of coming talks is read
            Event.state == EventState.PUBLISHED,
            Event.starts_at > now,
            Event.starts_at < _horizon(now),
            Event.part_count == 1,
        )
        .options(joinedload(Event.series))
        .order_by(Event.starts_at, Event.id)
    )
    for event in db.session.scalars(chosen).all():
        if event.starts_local and event.starts_at:
            yield Occasion(event, None, event.starts_local, event.fold, event.starts_at)


def _parts(now: datetime) -> Iterator[Occasion]:
    chosen = (
        sa.select(EventPart, Event)
        .join(Event, Event.id == EventPart.event_id)
        .where(
            Event.part_count > 1,
            Event.ends_at > now,
            Event.state == EventState.PUBLISHED,
            EventPart.cancelled_at.is_(None),
            EventPart.starts_at > now,
            EventPart.starts_at < _horizon(now),
        )
        .options(joinedload(Event.series))
        .order_by(EventPart.starts_at, EventPart.id)
    )
    for part, event in db.session.execute(chosen).all():
        yield Occasion(event, part, part.starts_local, part.fold, part.starts_at)


def _horizon(now: datetime) -> datetime:
    return now + timedelta(minutes=LONGEST, days=1)


def _owe(occasion: Occasion, due: list[Due], now: datetime) -> int:
    """One mail for each attendee who had the place in time and was not reminded of this day or a later one.

    Days before, two parts of one day are one to be reminded of; hours before, each is.
    """
    last, day = due[-1], occasion.starts_local.date()
    number = _number(occasion, last.minutes)
    reminded = sa.select(Reminder.registration_id).where(
        Reminder.minutes == last.minutes,
        sa.or_(Reminder.day > day, sa.and_(Reminder.day == day, Reminder.position == number)),
    )
    attendees = db.session.execute(
        sa.select(Registration.id, Registration.person_id, Person.email, Registration.language)
        .join(Registration.person)
        .where(
            Registration.event_id == occasion.event.id,
            Registration.status == Status.CONFIRMED,
            Registration.confirmed_at <= last.at,
            Registration.id.not_in(reminded),
        )
        .order_by(Registration.arrival)
    ).all()
    if not attendees:
        return 0
    noted = [{"minutes": one.minutes, "day": day, "position": _number(occasion, one.minutes)} for one in due]
    _note([{"registration_id": each.id, **one} for each in attendees for one in noted])
    db.session.execute(sa.insert(Message), [_row(occasion, each, now) for each in attendees])
    return len(attendees)


def _number(occasion: Occasion, minutes: int) -> int:
    """Which part of its day is reminded of; 0 for all of them, and for a talk of one part."""
    return occasion.part.position if occasion.part and minutes < A_DAY else 0


def _row(occasion: Occasion, attendee: Any, now: datetime) -> dict[str, Any]:
    row = outbox.row(
        Kind.REMINDER,
        now,
        occasion.event,
        registration_id=attendee.id,
        person_id=attendee.person_id,
        recipient=attendee.email,
        language=attendee.language,
        sequence=None,
        part_id=occasion.part.id if occasion.part else None,
        facts={"day": occasion.starts_local.date().isoformat()},
    )
    return {**row, "best_before": occasion.starts_at}


def _note(rows: list[dict[str, Any]]) -> None:
    """What stands there already, an offset passed over in favour of this one, stays."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    db.session.execute(insert(Reminder).on_conflict_do_nothing(), rows)
