"""What the public may read: series, themes, talks and how they stand. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import joinedload, selectinload

from whatsnext import links, markdown
from whatsnext.calendars.invitation import Entry
from whatsnext.db import db, glance
from whatsnext.errors import NotFound
from whatsnext.i18n import gettext as _
from whatsnext.models import (
    Agency,
    Event,
    EventPart,
    EventSpeaker,
    EventState,
    Mode,
    Registration,
    Series,
    Speaker,
    Theme,
)
from whatsnext.services import parts
from whatsnext.services.signup import ACTIVE
from whatsnext.services.waiting_list import Places

PUBLIC = (EventState.PUBLISHED, EventState.CANCELLED)
IS_PUBLIC = Event.state != EventState.DRAFT
"""The same for lists in order of time: said so, it is no way to search, which would find all and sort them."""
LONGEST_TALK = timedelta(days=8)
"""How far back the index is read for talks that have begun and are not over."""

Key = tuple[datetime, int]
"""Where a list goes on: start and id of the last talk shown."""


Version = tuple[Any, ...]
"""Counters that rise with whatever a page shows."""


class Standing(StrEnum):
    """How a published talk stands (experience.md §4)."""

    ANNOUNCED = "announced"
    OPEN = "open"
    FULL = "full"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    PAST = "past"


def state(event: Event, places: Mapping[Mode, Places], now: datetime) -> Standing:
    """How the talk stands at `now`; `places` as `waiting_list.places` gives them for this event."""
    if event.state is EventState.CANCELLED:
        return Standing.CANCELLED
    if event.starts_at is None or event.ends_at is None:
        return Standing.ANNOUNCED
    if now >= event.ends_at:
        return Standing.PAST
    if now >= closes_at(event):
        return Standing.CLOSED
    if event.registration_opens and now < event.registration_opens:
        return Standing.ANNOUNCED
    return Standing.OPEN if any(place.free for place in places.values()) else Standing.FULL


def closes_at(event: Event) -> datetime:
    """When signing up ends: as the organiser set it, at the latest when the talk begins. The talk has a time."""
    ends = [moment for moment in (event.registration_closes, event.starts_at) if moment]
    return min(ends)


def moved(event: Event, now: datetime) -> bool:
    """Whether the page must show that a coming talk has another time than first published."""
    coming = event.ends_at is not None and now < event.ends_at
    return coming and event.state is EventState.PUBLISHED and event.previous_starts_at is not None


def turning_points(event: Event) -> list[datetime]:
    """The instants at which the talk's page changes by itself, with nobody writing anything."""
    moments = (event.registration_opens, event.registration_closes, event.starts_at, event.ends_at)
    return [moment for moment in moments if moment]


# --- one thing -------------------------------------------------------------------------------------------


def published(slug: str) -> Event:
    """A talk with all its page shows. Raises NotFound for a draft or none."""
    event = db.session.scalar(_whole().where(Event.slug == slug, Event.state.in_(PUBLIC)))
    if event is None:
        raise NotFound
    return event


def series_named(slug: str) -> Series:
    """Raises NotFound."""
    series = db.session.scalar(sa.select(Series).where(Series.slug == slug))
    if series is None:
        raise NotFound
    return series


def theme_named(slug: str) -> Theme:
    """Raises NotFound."""
    theme = db.session.scalar(sa.select(Theme).where(Theme.slug == slug).options(joinedload(Theme.series)))
    if theme is None:
        raise NotFound
    return theme


def next_of_theme(event: Event, now: datetime) -> Event | None:
    """The next published talk of the same theme, for whoever finds this one cancelled or over."""
    if event.theme_id is None:
        return None
    others = sa.select(Event).where(
        Event.theme_id == event.theme_id,
        Event.state == EventState.PUBLISHED,
        Event.starts_at > now,
        Event.id != event.id,
    )
    return db.session.scalar(others.order_by(Event.starts_at, Event.id).limit(1))


def registration_of(event: Event, person_id: int | None, refs: Sequence[str]) -> Registration | None:
    """The standing registration for this talk of a person, or one of those a browser remembers."""
    if person_id is None and not refs:
        return None
    known = sa.or_(Registration.person_id == person_id, Registration.ref.in_(refs))
    chosen = sa.select(Registration).where(Registration.event_id == event.id, known, Registration.status.in_(ACTIVE))
    return db.session.scalars(chosen.order_by(Registration.id).limit(1)).first()


# --- lists -----------------------------------------------------------------------------------------------


def all_series() -> list[Series]:
    """Every series, in the order the organisers gave them."""
    return list(db.session.scalars(sa.select(Series).order_by(Series.position, Series.id)))


def themes(series: Series | None = None) -> list[Theme]:
    """The themes of one series, or of all."""
    chosen = sa.select(Theme).order_by(Theme.series_id, Theme.position, Theme.name, Theme.id)
    return list(db.session.scalars(chosen.where(Theme.series_id == series.id) if series else chosen))


def coming_by_theme(now: datetime) -> dict[int, tuple[int, datetime]]:
    """How many published talks are to come, and when the first one starts, by theme. One query."""
    rows = db.session.execute(
        sa.select(Event.theme_id, sa.func.count(), sa.func.min(Event.starts_at))
        .where(Event.theme_id.in_(sa.select(Theme.id)), Event.state == EventState.PUBLISHED, Event.starts_at > now)
        .group_by(Event.theme_id)
    )
    return {theme_id: (number, first) for theme_id, number, first in rows if theme_id is not None and first}


def coming(
    now: datetime,
    limit: int,
    *,
    series: Series | None = None,
    theme: Theme | None = None,
    words: str = "",
    after: Key | None = None,
    cancelled: bool = True,
) -> list[Event]:
    """Published and, unless told otherwise, cancelled talks that are not over, soonest first."""
    chosen = _listed(series, theme, words).where(*not_over(now))
    if not cancelled:
        chosen = chosen.where(Event.state == EventState.PUBLISHED)
    if after:
        chosen = chosen.where(sa.tuple_(Event.starts_at, Event.id) > sa.tuple_(*_bound(after)))
    return _read(chosen.order_by(Event.starts_at, Event.id).limit(limit))


def earlier(
    now: datetime,
    limit: int,
    *,
    series: Series | None = None,
    theme: Theme | None = None,
    words: str = "",
    before: Key | None = None,
) -> list[Event]:
    """Published and cancelled talks that are over, latest first."""
    chosen = _listed(series, theme, words).where(Event.starts_at < now, Event.ends_at <= now)
    if before:
        chosen = chosen.where(sa.tuple_(Event.starts_at, Event.id) < sa.tuple_(*_bound(before)))
    return _read(chosen.order_by(Event.starts_at.desc(), Event.id.desc()).limit(limit))


def not_over(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on Event for talks that are not over, said so that an index by start can find them. One query."""
    begun = min(now - LONGEST_TALK, _first_course(now) or now)
    return Event.starts_at >= begun, Event.ends_at > now


def _first_course(now: datetime) -> datetime | None:
    """When the first talk of several parts began that is not over: some last for months.

    Counted as well: for the smallest alone SQLite walks all talks by their start.
    """
    lasting = sa.select(sa.func.min(Event.starts_at), sa.func.count()).where(
        Event.part_count > sa.literal_column("1"), Event.ends_at > now
    )
    first, _number = db.session.execute(lasting).one()
    return first


def _read(chosen: sa.Select[Event]) -> list[Event]:
    found = list(db.session.scalars(chosen))
    parts.load(found)
    return found


def _bound(key: Key) -> tuple[Any, Any]:
    return sa.literal(key[0], Event.starts_at.type), sa.literal(key[1])


def _listed(series: Series | None, theme: Theme | None, words: str) -> sa.Select[Event]:
    chosen = sa.select(Event).where(IS_PUBLIC).options(joinedload(Event.theme), joinedload(Event.host))
    if theme:
        chosen = chosen.where(Event.theme_id == theme.id)
    elif series:
        chosen = chosen.where(Event.series_id == series.id)
    for word in words.split()[:8]:
        chosen = chosen.where(_holds(word))
    return chosen


def _holds(word: str) -> sa.ColumnElement[bool]:
    """Title, summary, theme, host or a speaker's name holds the word, whatever its case.

    SQLite folds ASCII only: the spellings with other letters are asked for one by one.
    """
    spellings = {word, word.lower(), word.upper(), word.capitalize()}

    def found(column: Any) -> list[Any]:
        return [column.icontains(spelling, autoescape=True) for spelling in sorted(spellings)]

    speaker = (
        sa.select(EventSpeaker.event_id)
        .join(Speaker, Speaker.id == EventSpeaker.speaker_id)
        .where(EventSpeaker.event_id == Event.id, sa.or_(*found(Speaker.name)))
    )
    theme = sa.select(Theme.id).where(Theme.id == Event.theme_id, sa.or_(*found(Theme.name)))
    host = sa.select(Agency.id).where(
        Agency.id == Event.host_id, sa.or_(*found(Agency.name), *found(Agency.short_name))
    )
    own = [*found(Event.title), *found(Event.summary), *found(Event.address)]
    return sa.or_(*own, speaker.exists(), theme.exists(), host.exists())


def _whole() -> sa.Select[Event]:
    return sa.select(Event).options(
        joinedload(Event.series),
        joinedload(Event.theme),
        joinedload(Event.host),
        selectinload(Event.speakers).joinedload(Speaker.agency),
    )


# --- versions: one row says whether a page is still what it was -------------------------------------------
# Built once and read without the session: this is all that most requests ever ask.

_HOME = sa.select(
    sa.func.count(), sa.func.sum(Series.page_version), sa.func.sum(Series.version), sa.func.max(Series.id)
)
_SERIES = sa.select(Series.id, Series.page_version, Series.version).where(Series.slug == sa.bindparam("slug"))
_THEME = (
    sa.select(Theme.id, Theme.version, Series.page_version, Series.version)
    .join(Series, Series.id == Theme.series_id)
    .where(Theme.slug == sa.bindparam("slug"))
)
_EVENT = (
    sa.select(
        Event.id,
        Event.page_version,
        Event.version,
        Series.version,
        sa.case((Event.state == EventState.CANCELLED, Series.page_version), else_=0),
    )
    .join(Series, Series.id == Event.series_id)
    .where(Event.slug == sa.bindparam("slug"), Event.state != EventState.DRAFT)
)


def home_version() -> Version:
    """What the page with every series shows, as numbers that rise."""
    return _row(_HOME, {})


def series_version(slug: str) -> Version:
    """Raises NotFound."""
    return _row(_SERIES, {"slug": slug})


def theme_version(slug: str) -> Version:
    """Raises NotFound."""
    return _row(_THEME, {"slug": slug})


def event_version(slug: str) -> Version:
    """A cancelled talk names the next one of its theme, hence the series' version. Raises NotFound, for a draft too."""
    return _row(_EVENT, {"slug": slug})


def _row(chosen: sa.Select[*tuple[Any, ...]], given: dict[str, str]) -> Version:
    row = glance(chosen, given)
    if row is None:
        raise NotFound
    return row


# --- calendars -------------------------------------------------------------------------------------------


def entry(event: Event, *, join_link: str = "", part: EventPart | None = None) -> Entry:
    """The talk, or a part of it, as a calendar of anybody shows it; it has a time.

    `join_link` only for those confirmed.
    """
    shape = parts.shape(event, part)
    if shape is None:
        raise NotFound
    address = links.external("public.event", slug=event.slug)
    texts = [markdown.to_text(event.summary), markdown.to_text(event.agenda), join_link, address]
    return Entry(
        uid=shape.uid,
        sequence=event.sequence,
        start=shape.start,
        end=shape.end,
        repeat=shape.repeat,
        recurrence=shape.recurrence,
        summary=event.title if parts.regular(event) else parts.title(event, part),
        description="\n\n".join(text for text in texts if text),
        location=(event.address if event.on_site else "") or join_link or (_("Online") if event.online else ""),
        url=address,
        categories=(event.theme.name,) if event.theme else (),
        join_link=join_link or None,
        created=event.created_at.astimezone(UTC),
        modified=event.changed_at.astimezone(UTC),
        organiser_name=event.series.name if event.series.contact_email else "",
        organiser_address=event.series.contact_email,
        protected=event.protected,
    )


def entries(event: Event, *, join_link: str = "") -> list[Entry]:
    """All that a calendar holds of a talk, one entry for each part that needs its own."""
    return [entry(event, join_link=join_link, part=part) for part in parts.entries(event)]


def first_page(events: Sequence[Event], size: int) -> tuple[list[Event], Key | None]:
    """Of `size + 1` talks asked for: those to show, and where the list goes on, None at its end."""
    shown = list(events[:size])
    last = shown[-1] if len(events) > size else None
    return shown, (last.starts_at, last.id) if last and last.starts_at else None
