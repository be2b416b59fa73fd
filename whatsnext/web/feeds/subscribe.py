"""How to subscribe: choose a calendar, then the program."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, request, url_for

from whatsnext import links
from whatsnext.calendars import subscribing
from whatsnext.i18n import gettext as _
from whatsnext.services import catalogue, feeds
from whatsnext.services.feeds import Choices
from whatsnext.web import pagecache
from whatsnext.web.feeds import bp
from whatsnext.web.pagecache import Shown


@dataclass(frozen=True)
class Option:
    """One calendar to choose: `value` is what the page's address says."""

    value: str
    words: str
    address: str


@dataclass(frozen=True)
class Ways:
    """Addresses that subscribe with one press."""

    webcal: str
    google: str
    outlook_com: str
    microsoft365: str


@bp.get("/subscribe")
@pagecache.shared(catalogue.home_version)
def subscribe() -> Shown:
    """The calendars there are, and the steps for the chosen one."""
    groups = _groups(feeds.choices())
    every = [option for _words, options in groups for option in options]
    wanted = request.args.get("calendar", "")
    chosen = next((option for option in every if option.value == wanted), every[0] if every else None)
    return Shown(
        render_template(
            "feeds/subscribe.html",
            groups=groups,
            chosen=chosen,
            ways=_ways(chosen) if chosen else None,
            news=links.external("feeds.news"),
            mine=url_for("account.registrations", _anchor="calendar"),
        )
    )


def _groups(found: Choices) -> list[tuple[str, list[Option]]]:
    groups = [
        (
            _("Series"),
            [
                Option(f"series/{one.slug}", one.name, links.external("feeds.series", slug=one.slug))
                for one in found.series
            ],
        ),
        (
            _("Themes"),
            [
                Option(f"themes/{one.slug}", one.name, links.external("feeds.theme", slug=one.slug))
                for one in found.themes
            ],
        ),
        (
            _("Hosts"),
            [
                Option(f"agencies/{one.id}", one.name, links.external("feeds.host", agency_id=one.id))
                for one in found.hosts
            ],
        ),
    ]
    return [(words, options) for words, options in groups if options]


def _ways(option: Option) -> Ways:
    return Ways(
        webcal=subscribing.webcal(option.address),
        google=subscribing.google(option.address),
        outlook_com=subscribing.outlook_com(option.address, option.words),
        microsoft365=subscribing.microsoft365(option.address, option.words),
    )
