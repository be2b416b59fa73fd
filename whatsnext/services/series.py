"""Series: listed, created, changed, deleted while empty; and what else must be shown anew when something changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from whatsnext import text
from whatsnext.db import db
from whatsnext.errors import NameTaken, NotFound, SlugTaken, StaleVersion, StillUsed, UnknownZone
from whatsnext.models import Event, Series, Theme
from whatsnext.services import reminders

MANY = 1_000
"""Talks are counted no further in a list."""


@dataclass(frozen=True)
class SeriesDetails:
    """What an organiser types about a series. An empty `slug` is made from the name."""

    name: str
    slug: str = ""
    summary: str = ""
    summary_en: str = ""
    contact_name: str = ""
    contact_email: str = ""
    contact_phone: str = ""
    zone: str = "Europe/Berlin"
    promotion_stops_hours: int = 24
    offer_hours: int = 4
    reminders: str = "1440,60"


@dataclass(frozen=True)
class SeriesRow:
    """One line of the list of series."""

    id: int
    name: str
    slug: str
    contact_email: str
    talks: int
    themes: int


def talks_counted(those: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    """The number of these talks, drafts included, counted no further than MANY: a list of few lines costs no more."""
    found = sa.select(Event.id).where(those).limit(MANY).correlate_except(Event).subquery()
    return sa.select(sa.func.count()).select_from(found).scalar_subquery()


def listed() -> list[SeriesRow]:
    """Every series in its order, with the number of its talks (drafts included) and themes."""
    talks = talks_counted(Event.series_id == Series.id)
    themes = sa.select(sa.func.count()).where(Theme.series_id == Series.id).scalar_subquery()
    rows = db.session.execute(
        sa.select(Series.id, Series.name, Series.slug, Series.contact_email, talks, themes).order_by(
            Series.position, Series.id
        )
    )
    return [SeriesRow(*row) for row in rows]


def one(series_id: int) -> Series:
    """Raises NotFound."""
    series = db.session.get(Series, series_id)
    if series is None:
        raise NotFound
    return series


def create(details: SeriesDetails) -> Series:
    """Add a series after the others. Raises NameTaken, SlugTaken, UnknownZone, RemindersUnreadable."""
    _check(details, None)
    last = db.session.scalar(sa.select(sa.func.max(Series.position)))
    series = Series(
        **{**_columns(details), "slug": wanted_slug(Series.slug, details.slug, details.name, "reihe")},
        position=0 if last is None else last + 1,
    )
    db.session.add(series)
    db.session.flush()
    return series


def change(series_id: int, details: SeriesDetails, version: int) -> None:
    """Save what an editor typed over `version`.

    Raises NotFound, StaleVersion, NameTaken, SlugTaken, UnknownZone, RemindersUnreadable.
    """
    series = db.session.get(Series, series_id, with_for_update=True)
    if series is None:
        raise NotFound
    if series.version != version:
        raise StaleVersion
    _check(details, series_id)
    assign(series, {**_columns(details), "slug": details.slug or series.slug})
    series.version += 1
    db.session.flush()
    touch_events(Event.series_id == series_id)
    touch_series(Series.id == series_id)


def delete(series_id: int) -> None:
    """Raises NotFound; StillUsed while talks or themes belong to it."""
    series = db.session.get(Series, series_id, with_for_update=True)
    if series is None:
        raise NotFound
    for kind in (Event, Theme):
        if db.session.scalar(sa.select(kind.id).where(kind.series_id == series_id).limit(1)) is not None:
            raise StillUsed
    db.session.delete(series)
    db.session.flush()


def touch(which: sa.ColumnElement[bool]) -> None:
    """Pages of these talks, and the home pages that list them, must be shown anew: two statements."""
    touch_series(Series.id.in_(sa.select(Event.series_id).where(which)))
    touch_events(which)


def touch_events(which: sa.ColumnElement[bool]) -> None:
    """Pages of these talks must be shown anew."""
    db.session.execute(
        sa.update(Event)
        .where(which)
        .values(page_version=Event.page_version + 1)
        .execution_options(synchronize_session=False)
    )


def touch_series(which: sa.ColumnElement[bool]) -> None:
    """Home pages of these series must be shown anew."""
    db.session.execute(
        sa.update(Series)
        .where(which)
        .values(page_version=Series.page_version + 1)
        .execution_options(synchronize_session=False)
    )


def wanted_slug(column: InstrumentedAttribute[str], typed: str, name: str, fallback: str) -> str:
    """The part of the address that was typed, or a free one made from the name. Raises SlugTaken for a typed one."""
    if typed:
        if db.session.scalar(sa.select(column).where(column == typed)) is not None:
            raise SlugTaken
        return typed
    wish = text.slug(name) or fallback
    taken = set(db.session.scalars(sa.select(column).where(column.startswith(wish, autoescape=True))))
    number = 2
    slug = wish
    while slug in taken:
        slug, number = f"{wish}-{number}", number + 1
    return slug


def assign(thing: object, values: dict[str, Any]) -> None:
    """Set these columns of a row."""
    for name, value in values.items():
        setattr(thing, name, value)


def _columns(details: SeriesDetails) -> dict[str, Any]:
    return {**asdict(details), "reminders": reminders.kept(details.reminders)}


def _check(details: SeriesDetails, own_id: int | None) -> None:
    if details.zone not in available_timezones():
        raise UnknownZone
    own = Series.id != own_id if own_id is not None else sa.true()
    if db.session.scalar(sa.select(Series.id).where(Series.name == details.name, own).limit(1)) is not None:
        raise NameTaken
    if own_id is None or not details.slug:
        return
    if db.session.scalar(sa.select(Series.id).where(Series.slug == details.slug, own).limit(1)) is not None:
        raise SlugTaken
