"""Themes of a series: listed, created, changed, deleted while no talk has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from whatsnext.db import db
from whatsnext.errors import NameTaken, NotFound, SlugTaken, StaleVersion, StillUsed
from whatsnext.models import Event, Series, Theme
from whatsnext.services import series as all_series

COLOURS = tuple(range(1, 9))


@dataclass(frozen=True)
class ThemeDetails:
    """What an organiser types about a theme. An empty `slug` is made from the name; `colour` is one of COLOURS."""

    series_id: int
    name: str
    slug: str = ""
    description: str = ""
    description_en: str = ""
    colour: int = 1


@dataclass(frozen=True)
class ThemeRow:
    """One line of the list of themes."""

    id: int
    name: str
    slug: str
    colour: int
    series: str
    talks: int


def listed() -> list[ThemeRow]:
    """Every theme, by series and name, with the number of its talks."""
    talks = all_series.talks_counted(Event.theme_id == Theme.id)
    rows = db.session.execute(
        sa.select(Theme.id, Theme.name, Theme.slug, Theme.colour, Series.name, talks)
        .join(Theme.series)
        .order_by(Series.position, Series.id, Theme.position, Theme.name)
    )
    return [ThemeRow(*row) for row in rows]


def one(theme_id: int) -> Theme:
    """Raises NotFound."""
    theme = db.session.get(Theme, theme_id, options=[joinedload(Theme.series)])
    if theme is None:
        raise NotFound
    return theme


def create(details: ThemeDetails) -> Theme:
    """Add a theme. Raises NotFound for an unknown series, NameTaken within the series, SlugTaken."""
    if db.session.get(Series, details.series_id, with_for_update=True) is None:
        raise NotFound
    _check(details, None)
    slug = all_series.wanted_slug(Theme.slug, details.slug, details.name, "thema")
    theme = Theme(**{**asdict(details), "slug": slug})
    db.session.add(theme)
    _flush()
    all_series.touch_series(Series.id == details.series_id)
    return theme


def change(theme_id: int, details: ThemeDetails, version: int) -> None:
    """Save what an editor typed over `version`; the theme stays in its series.

    Raises NotFound, StaleVersion, NameTaken, SlugTaken.
    """
    theme = db.session.get(Theme, theme_id, with_for_update=True)
    if theme is None:
        raise NotFound
    if theme.version != version:
        raise StaleVersion
    details = ThemeDetails(**{**asdict(details), "series_id": theme.series_id, "slug": details.slug or theme.slug})
    _check(details, theme_id)
    all_series.assign(theme, asdict(details))
    theme.version += 1
    _flush()
    all_series.touch_events(Event.theme_id == theme_id)
    all_series.touch_series(Series.id == details.series_id)


def delete(theme_id: int) -> None:
    """Raises NotFound; StillUsed while a talk has it."""
    theme = db.session.get(Theme, theme_id, with_for_update=True)
    if theme is None:
        raise NotFound
    if db.session.scalar(sa.select(Event.id).where(Event.theme_id == theme_id).limit(1)) is not None:
        raise StillUsed
    series_id = theme.series_id
    db.session.delete(theme)
    db.session.flush()
    all_series.touch_series(Series.id == series_id)


def _check(details: ThemeDetails, own_id: int | None) -> None:
    own = Theme.id != own_id if own_id is not None else sa.true()
    same = sa.and_(Theme.series_id == details.series_id, Theme.name == details.name)
    if db.session.scalar(sa.select(Theme.id).where(same, own).limit(1)) is not None:
        raise NameTaken
    if own_id is not None and db.session.scalar(sa.select(Theme.id).where(Theme.slug == details.slug, own)) is not None:
        raise SlugTaken


def _flush() -> None:
    """Two organisers can save the same name at the same moment; the table refuses the second."""
    try:
        db.session.flush()
    except IntegrityError:
        raise NameTaken from None
