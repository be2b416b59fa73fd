"""Calendars to subscribe to: a series, a theme, a host, one's own registrations."""

from __future__ import annotations

from datetime import datetime

from flask import Response, g

from whatsnext import clock, links
from whatsnext.calendars import feed
from whatsnext.calendars.feed import Feed
from whatsnext.i18n import gettext as _
from whatsnext.services import feeds
from whatsnext.services.feeds import Source
from whatsnext.web.feeds import answers, bp

CALENDAR = "text/calendar; charset=utf-8"
PRIVATE = "private, no-store"


@bp.get("/calendar/series/<slug>.ics")
def series(slug: str) -> Response:
    """All talks of a series."""
    return _public(feeds.of_series(slug), "public.series", "series", slug=slug)


@bp.get("/calendar/themes/<slug>.ics")
def theme(slug: str) -> Response:
    """All talks on a theme."""
    return _public(feeds.of_theme(slug), "public.theme", "theme", slug=slug)


@bp.get("/calendar/agencies/<int:agency_id>.ics")
def host(agency_id: int) -> Response:
    """All talks that an agency hosts."""
    return _public(feeds.of_host(agency_id), "public.home", "host", agency_id=agency_id)


@bp.get("/calendar/mine/<secret>.ics")
def mine(secret: str) -> Response:
    """What one person takes part in, for whoever knows the secret (safety.md I6)."""
    g.secret_page = True
    person_id, day = feeds.by_secret(secret), answers.midnight(clock.now())
    talks = feeds.mine(person_id, day)
    about = Feed(
        name=_("My talks"),
        source=links.external("feeds.mine", secret=secret),
        url=links.external("account.registrations"),
    )
    built = answers.built(feed.publish(about, talks), [talk.stamp for talk in talks], day)
    return answers.answer(built, CALENDAR, PRIVATE)


def _public(source: Source, page: str, own: str, **names: str | int) -> Response:
    def build(day: datetime) -> tuple[bytes, list[datetime]]:
        talks = feeds.talks(source, day)
        about = _about(source, page, own, names)
        return feed.publish(about, talks), [talk.stamp for talk in talks]

    built = answers.kept(source.version, clock.now(), build)
    return answers.answer(built, CALENDAR)


def _about(source: Source, page: str, own: str, names: dict[str, str | int]) -> Feed:
    shown = {} if page == "public.home" else names
    return Feed(
        name=source.name,
        source=links.external(f"feeds.{own}", **names),
        url=links.external(page, **shown),
        colour=source.colour,
    )
