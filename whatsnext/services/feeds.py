"""What stands in each feed: the talks of a series, a theme, a host, one person's own; what was newly announced.

A feed is read in two statements: one row says what it is and which counters its content rises with, one list gives
the talks by an index. Public feeds hold the last year and all that comes; a cancelled talk stays thirty days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from whatsnext import tokens
from whatsnext.calendars.feed import Shown
from whatsnext.db import db, glance
from whatsnext.errors import EventCancelled, NotFound
from whatsnext.models import (
    Agency,
    Event,
    EventState,
    Mode,
    PersonFeed,
    Registration,
    Series,
    Status,
    Theme,
)
from whatsnext.services import catalogue, parts
from whatsnext.services.catalogue import PUBLIC

KEPT_PAST = timedelta(days=365)
KEPT_CANCELLED = timedelta(days=30)
MOST = 2000
NEWS = 30

# Made once: most fetches of a feed cost nothing but this row.
_SERIES = sa.select(Series.id, Series.name, Series.page_version, Series.version).where(
    Series.slug == sa.bindparam("slug")
)
_THEME = (
    sa.select(Theme.id, Theme.name, Theme.colour, Theme.version, Series.name, Series.page_version, Series.version)
    .join(Series, Series.id == Theme.series_id)
    .where(Theme.slug == sa.bindparam("slug"))
)


@dataclass(frozen=True)
class Source:
    """A public feed: its name, the pair of its colour (0 for none), what it is made of, and whose talks it takes."""

    name: str
    colour: int
    version: tuple[Any, ...]
    whose: InstrumentedAttribute[Any] | None = None
    """The column of the talk that the first of `version` stands in; None for all talks."""

    @property
    def takes(self) -> sa.ColumnElement[bool]:
        """Which talks; asked for only where the feed is built."""
        return sa.true() if self.whose is None else self.whose == self.version[0]


@dataclass(frozen=True)
class Choices:
    """What can be subscribed to."""

    series: list[Series]
    themes: list[Theme]
    hosts: list[Agency]


# --- which feed ------------------------------------------------------------------------------------------


def of_series(slug: str) -> Source:
    """Raises NotFound."""
    row = _row(_SERIES, slug=slug)
    return Source(row[1], 0, tuple(row), Event.series_id)


def of_theme(slug: str) -> Source:
    """Raises NotFound."""
    row = _row(_THEME, slug=slug)
    return Source(f"{row[1]} – {row[4]}", row[2], tuple(row), Event.theme_id)


def of_host(agency_id: int) -> Source:
    """Raises NotFound, also for an agency that has never hosted a talk that the public may see."""
    hosts = sa.select(Event.id).where(Event.host_id == agency_id, Event.state.in_(PUBLIC)).exists()
    chosen = sa.select(Agency.id, Agency.name, Agency.version, *_all_series())
    row = _row(chosen.where(Agency.id == agency_id, hosts))
    return Source(row[1], 0, tuple(row), Event.host_id)


def of_all() -> Source:
    """Every series, for the news."""
    row = _row(sa.select(*_all_series()))
    return Source("", 0, tuple(row))


def _all_series() -> tuple[Any, ...]:
    """Counters that rise with whatever any series shows."""
    counters = (sa.func.count(), sa.func.sum(Series.page_version), sa.func.sum(Series.version), sa.func.max(Series.id))
    return tuple(sa.select(counter).select_from(Series).scalar_subquery() for counter in counters)


def _row(chosen: sa.Select[*tuple[Any, ...]], **given: Any) -> tuple[Any, ...]:
    row = glance(chosen, given)
    if row is None:
        raise NotFound
    return row


# --- what is in it ---------------------------------------------------------------------------------------


def talks(source: Source, day: datetime) -> list[Shown]:
    """The talks of a public feed, soonest first, in one statement. `day` is the midnight (UTC) that began today."""
    chosen = (
        sa.select(Event)
        .where(source.takes, Event.state.in_(PUBLIC), Event.starts_at > day - KEPT_PAST, _kept(day))
        .options(joinedload(Event.theme), joinedload(Event.series))
        .order_by(Event.starts_at.desc(), Event.id.desc())
        .limit(MOST)
    )
    found = db.session.scalars(chosen).all()[::-1]
    parts.load(found)
    return [shown for event in found for shown in _shown(event)]


def announced(day: datetime) -> list[Event]:
    """The newest talks, latest announced first, in one statement; not the ones that were cancelled."""
    chosen = (
        sa.select(Event)
        .where(Event.state == EventState.PUBLISHED, Event.published_at > day - KEPT_PAST)
        .options(joinedload(Event.theme), joinedload(Event.series))
        .order_by(Event.published_at.desc(), Event.id.desc())
        .limit(NEWS)
    )
    return list(db.session.scalars(chosen))


def _kept(day: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Event.state != EventState.CANCELLED, Event.cancelled_at > day - KEPT_CANCELLED)


def _shown(event: Event, *, join_link: str = "") -> list[Shown]:
    """One entry, or of several parts one for each that needs its own."""
    cancelled = event.state is EventState.CANCELLED
    entries = catalogue.entries(event, join_link="" if cancelled else join_link)
    if cancelled:
        news = f"{EventCancelled.text} {event.cancelled_reason}".strip()
        entries = [replace(entry, description=f"{news}\n\n{entry.description}") for entry in entries]
    return [Shown(entry=entry, stamp=event.changed_at, cancelled=cancelled) for entry in entries]


def choices() -> Choices:
    """Series, themes, and the agencies that have hosted a talk. Three statements."""
    hosts = sa.select(Event.id).where(Event.host_id == Agency.id, Event.state.in_(PUBLIC)).exists()
    agencies = sa.select(Agency).where(hosts).order_by(Agency.name, Agency.id)
    return Choices(catalogue.all_series(), catalogue.themes(), list(db.session.scalars(agencies)))


# --- one's own -------------------------------------------------------------------------------------------


def own(person_id: int) -> PersonFeed | None:
    """The person's own feed, if there is one; reads."""
    return db.session.get(PersonFeed, person_id)


def renew(person_id: int, now: datetime) -> PersonFeed:
    """Make the person's own feed, or give it a new address: the old one ends at once."""
    feed = own(person_id)
    if feed is None:
        feed = PersonFeed(person_id=person_id)
        db.session.add(feed)
    feed.secret, feed.created_at = tokens.random_secret(), now
    return feed


def delete(person_id: int) -> None:
    """End the person's own feed; nothing if there is none."""
    db.session.execute(sa.delete(PersonFeed).where(PersonFeed.person_id == person_id))


def by_secret(secret: str) -> int:
    """Whose feed this is: the person's id. Raises NotFound for a secret that is not, or no longer, one."""
    return int(_row(sa.select(PersonFeed.person_id).where(PersonFeed.secret == secret))[0])


def mine(person_id: int, day: datetime) -> list[Shown]:
    """What the person takes part in, soonest first, in one statement; cancelled talks for thirty days.

    The join link stands there for whoever takes part online, but not that of a protected talk.
    """
    chosen = (
        sa.select(Registration)
        .join(Registration.event)
        .where(
            Registration.person_id == person_id,
            Registration.status == Status.CONFIRMED,
            Event.state.in_(PUBLIC),
            Event.starts_at > day - KEPT_PAST,
            _kept(day),
        )
        .options(
            joinedload(Registration.event).joinedload(Event.theme),
            joinedload(Registration.event).joinedload(Event.series),
        )
        .order_by(Event.starts_at, Event.id)
    )
    found = db.session.scalars(chosen).all()
    parts.load(registration.event for registration in found)
    return [shown for registration in found for shown in _mine(registration)]


def _mine(registration: Registration) -> list[Shown]:
    event = registration.event
    online = registration.mode is Mode.ONLINE and not event.protected
    sequence = max(event.sequence, registration.sequence or 0)
    stamp = max(event.changed_at, registration.changed_at)
    return [
        replace(shown, entry=replace(shown.entry, sequence=sequence), stamp=stamp, busy=True)
        for shown in _shown(event, join_link=event.join_link if online else "")
    ]
