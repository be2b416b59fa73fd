"""What needs an organiser today, and every talk with how it stands. The number of queries does not grow with talks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from whatsnext.db import db
from whatsnext.models import Event, EventState, Kind, Message, MessageState, Mode, Registration, Series, Status, Theme
from whatsnext.services import catalogue, incoming, mailings, pages, participants, waiting_list
from whatsnext.services.catalogue import Standing
from whatsnext.services.participants import Show
from whatsnext.services.waiting_list import Places

PAST_PAGE = 20
MOST = 200
LOOK_BACK = timedelta(days=30)


class Need(StrEnum):
    """What there is to do."""

    UNDELIVERED = "undelivered"
    HELD = "held"
    RESTORED = "restored"
    REPORTS = "reports"
    NO_HOST = "no_host"
    INCOMPLETE = "incomplete"
    NO_JOIN_LINK = "no_join_link"
    NO_ADDRESS = "no_address"
    ACCESSIBILITY = "accessibility"
    PAGES = "pages"
    STATEMENT = "statement"
    WAITING = "waiting"
    MAILBOX = "mailbox"
    INCOMING = "incoming"


class Missing(StrEnum):
    """What a draft lacks."""

    TIME = "time"
    THEME = "theme"
    SUMMARY = "summary"
    PLACES = "places"


@dataclass(frozen=True)
class ToDo:
    """One thing to do: about a talk or none, how many people or things, what is missing."""

    need: Need
    event: Event | None = None
    number: int = 0
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class Talk:
    """A published or cancelled talk and how it stands."""

    event: Event
    standing: Standing
    moved: bool
    places: Mapping[Mode, Places]

    @property
    def waiting(self) -> int:
        return sum(place.waiting for place in self.places.values())


@dataclass(frozen=True)
class Steps:
    """What a new installation has already."""

    series: bool
    themes: bool
    talks: bool

    @property
    def done(self) -> bool:
        return self.series and self.themes and self.talks


Key = tuple[datetime, int]


def coming(now: datetime) -> list[Talk]:
    """Talks that are not over, cancelled ones included, soonest first."""
    still = _public().where(*catalogue.not_over(now))
    return _stand(still.order_by(Event.starts_at, Event.id).limit(MOST), now)


def past(now: datetime, before: Key | None = None) -> tuple[list[Talk], Key | None]:
    """Talks that are over, newest first, PAST_PAGE at a time; and the key of the next page."""
    over = _public().where(Event.starts_at < now, Event.ends_at <= now)
    if before is not None:
        over = over.where(sa.tuple_(Event.starts_at, Event.id) < sa.tuple_(*map(sa.literal, before)))
    talks = _stand(over.order_by(Event.starts_at.desc(), Event.id.desc()).limit(PAST_PAGE + 1), now)
    if len(talks) <= PAST_PAGE:
        return talks, None
    last = talks[PAST_PAGE - 1].event
    return talks[:PAST_PAGE], (last.starts_at, last.id) if last.starts_at else None


def drafts() -> list[Event]:
    """Drafts by time, those without one last: found by the index over the time of publishing, which they lack."""
    found = (
        sa.select(Event)
        .where(Event.state == EventState.DRAFT, Event.published_at.is_(None))
        .order_by(Event.starts_at.is_(None), Event.starts_at, Event.id)
        .limit(MOST)
        .options(joinedload(Event.series), joinedload(Event.theme), joinedload(Event.host))
    )
    return list(db.session.scalars(found))


def steps() -> Steps:
    """What exists already of series, themes and talks. One query."""
    exist = [sa.exists(sa.select(kind.id)) for kind in (Series, Theme, Event)]
    found = [bool(there) for there in db.session.execute(sa.select(*exist)).one()]
    return Steps(series=found[0], themes=found[1], talks=found[2])


def to_do(talks: list[Talk], unpublished: list[Event], now: datetime) -> list[ToDo]:
    """What needs someone: mails first, then talks by time, then the rest.

    `talks` and `unpublished` as `coming` and `drafts` give them.
    """
    found = _undelivered(now)
    found += _held()
    found += _incoming()
    if lost := _lost_reports(now):
        found.append(ToDo(Need.REPORTS, number=lost))
    for talk in talks:
        found += _about_talk(talk, now)
    found += _needs(talks)
    for event in unpublished:
        found += _about_draft(event)
    return [*found, *_about_pages(now)]


def _public() -> sa.Select[Event]:
    return (
        sa.select(Event)
        .where(catalogue.IS_PUBLIC)
        .options(joinedload(Event.series), joinedload(Event.theme), joinedload(Event.host))
    )


def _stand(query: sa.Select[Event], now: datetime) -> list[Talk]:
    events = list(db.session.scalars(query))
    places = waiting_list.places(events)
    return [
        Talk(event, catalogue.state(event, places[event.id], now), catalogue.moved(event, now), places[event.id])
        for event in events
    ]


def _undelivered(now: datetime) -> list[ToDo]:
    """Talks, coming or just over, with people whose newest mail did not arrive."""
    rows = db.session.execute(
        sa.select(Event, sa.func.count(Registration.id))
        .join(Registration, Registration.event_id == Event.id)
        .where(
            Registration.id.in_(participants.undelivered()),
            Registration.status != Status.EXPIRED,
            sa.or_(Event.ends_at.is_(None), Event.ends_at > now - LOOK_BACK),
        )
        .group_by(Event.id)
        .order_by(Event.starts_at, Event.id)
    )
    return [ToDo(Need.UNDELIVERED, event, number) for event, number in rows]


def _held() -> list[ToDo]:
    """Mails that wait for someone to let them go: held by the brake, or by services/restored.py with the reason."""
    rows = db.session.execute(
        sa.select(Message.error, sa.func.count())
        .where(Message.state == MessageState.HELD, Message.error != mailings.PAUSED)
        .group_by(Message.error)
        .order_by(Message.error)
    )
    return [ToDo(Need.RESTORED if error else Need.HELD, number=number) for error, number in rows]


def _lost_reports(now: datetime) -> int:
    """Reports of barriers that reached nobody."""
    lost = (
        sa.select(sa.func.count())
        .select_from(Message)
        .where(
            Message.kind == Kind.BARRIER_REPORT,
            Message.state.in_(participants.UNDELIVERED),
            Message.created_at > now - LOOK_BACK,
        )
    )
    return db.session.scalar(lost) or 0


def _incoming() -> list[ToDo]:
    """A mailbox that does not answer, and mails that changed nothing. One query."""
    failing, waiting = incoming.standing()
    found = [ToDo(Need.MAILBOX)] if failing else []
    return [*found, ToDo(Need.INCOMING, number=waiting)] if waiting else found


def _about_talk(talk: Talk, now: datetime) -> list[ToDo]:
    event = talk.event
    if event.state is not EventState.PUBLISHED or event.starts_at is None or now >= event.starts_at:
        return []
    found = []
    if _until_tomorrow(event, now):
        if event.online and not event.join_link:
            found.append(ToDo(Need.NO_JOIN_LINK, event))
        if event.on_site and not event.address:
            found.append(ToDo(Need.NO_ADDRESS, event))
    idle = sum(min(place.waiting, place.free) for place in talk.places.values())
    if idle:
        found.append(ToDo(Need.WAITING, event, idle))
    return found


def _until_tomorrow(event: Event, now: datetime) -> bool:
    """Whether the talk is today or tomorrow where it takes place."""
    zone = ZoneInfo(event.zone)
    if event.starts_at is None:
        return False
    return event.starts_at.astimezone(zone).date() <= now.astimezone(zone).date() + timedelta(days=1)


def _needs(talks: list[Talk]) -> list[ToDo]:
    events = {talk.event.id: talk.event for talk in talks if talk.event.state is EventState.PUBLISHED}
    rows = db.session.execute(
        sa.select(Registration.event_id, sa.func.count())
        .where(Registration.event_id.in_(events), *participants.shown(Show.NEEDS))
        .group_by(Registration.event_id)
    )
    numbers: dict[int, int] = {event_id: number for event_id, number in rows}  # noqa: C416
    return [ToDo(Need.ACCESSIBILITY, event, numbers[number]) for number, event in events.items() if number in numbers]


def _about_pages(now: datetime) -> list[ToDo]:
    """Legal pages nobody has edited, and the statement on accessibility that is to be renewed every year."""
    found = [ToDo(Need.PAGES, number=len(unedited))] if (unedited := pages.unedited()) else []
    return [*found, ToDo(Need.STATEMENT)] if pages.statement_is_old(now) else found


def _about_draft(event: Event) -> list[ToDo]:
    missing = _missing(event)
    found = [ToDo(Need.INCOMPLETE, event, missing=missing)] if missing else []
    return found if event.host_id else [ToDo(Need.NO_HOST, event), *found]


def _missing(event: Event) -> tuple[Missing, ...]:
    places = (event.on_site and event.capacity_on_site > 0) or (event.online and event.capacity_online > 0)
    there = {
        Missing.TIME: event.starts_at is not None,
        Missing.THEME: event.theme_id is not None,
        Missing.SUMMARY: bool(event.summary),
        Missing.PLACES: places,
    }
    return tuple(missing for missing, is_there in there.items() if not is_there)
