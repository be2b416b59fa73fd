"""The home page: the talks of one series, or of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import render_template, request, url_for

from whatsnext import clock
from whatsnext.i18n import gettext as _
from whatsnext.i18n import language, ngettext
from whatsnext.models import Series, Theme
from whatsnext.services import catalogue, waiting_list
from whatsnext.services.catalogue import Key
from whatsnext.web import pagecache
from whatsnext.web.pagecache import Shown
from whatsnext.web.public import bp, cards

COMING = 100
EARLIER = 6
EARLIER_PAGE = 24
LONGEST_SEARCH = 100

Chip = tuple[str, str, bool]


@dataclass(frozen=True)
class Text:
    """A text and the language it is written in."""

    words: str
    language: str


@bp.get("/")
@pagecache.shared(catalogue.home_version)
def home() -> Shown:
    """Talks of every series."""
    return _page(None)


@bp.get("/series/<slug>")
@pagecache.shared(catalogue.series_version)
def series(slug: str) -> Shown:
    """Talks of one series."""
    return _page(catalogue.series_named(slug))


def in_language(german: str, english: str) -> Text:
    """The text in the language spoken now, else in the other one."""
    if language() == "en" and english:
        return Text(english, "en")
    return Text(german, "de")


def key_text(key: Key | None) -> str:
    """Where a list goes on, for an address."""
    return f"{key[0].astimezone(UTC):%Y%m%dT%H%M%S}-{key[1]}" if key else ""


def read_key(value: str) -> Key | None:
    """What `key_text` wrote; None for anything else."""
    moment, _dash, number = value.partition("-")
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%S").replace(tzinfo=UTC), int(number[:12])
    except ValueError:
        return None


def _page(chosen: Series | None) -> Shown:
    now = clock.now()
    all_series = catalogue.all_series()
    one = chosen or (all_series[0] if len(all_series) == 1 else None)
    themes = catalogue.themes(one)
    words = " ".join(request.args.get("q", "").split())[:LONGEST_SEARCH]
    theme = next((theme for theme in themes if theme.slug == request.args.get("theme")), None)
    before, after = read_key(request.args.get("before", "")), read_key(request.args.get("after", ""))
    coming = [] if before else catalogue.coming(now, COMING + 1, series=one, theme=theme, words=words, after=after)
    size = EARLIER_PAGE if before else EARLIER
    earlier = catalogue.earlier(now, size + 1, series=one, theme=theme, words=words, before=before)
    coming, more_coming = catalogue.first_page(coming, COMING)
    earlier, more_earlier = catalogue.first_page(earlier, size)
    places = waiting_list.places([*coming, *earlier])
    html = render_template(
        "public/series/home.html",
        address=url_for(".series", slug=chosen.slug) if chosen else url_for(".home"),
        series=one,
        heading=chosen.name if chosen and len(all_series) > 1 else _("Talks"),
        sentence=in_language(one.summary, one.summary_en) if one else None,
        series_chips=_series_chips(all_series, chosen),
        theme_chips=theme_chips(themes, None),
        themes=themes,
        words=words,
        theme=theme,
        searching=bool(words or theme),
        continued=bool(before or after),
        before=before,
        months=cards.months(coming, places, now),
        earlier=cards.cards(earlier, places, now),
        found=_found(len(coming) + len(earlier), complete=not (more_coming or more_earlier)),
        more_coming=key_text(more_coming),
        more_earlier=key_text(more_earlier),
    )
    return Shown(html, [point for event in coming for point in catalogue.turning_points(event)])


def theme_chips(themes: list[Theme], current: Theme | None) -> list[Chip]:
    """Links to the page of each theme, and to all talks."""
    every = (_("All"), url_for("public.home"), current is None)
    return [every, *((theme.name, url_for("public.theme", slug=theme.slug), theme is current) for theme in themes)]


def _series_chips(all_series: list[Series], current: Series | None) -> list[Chip]:
    if len(all_series) < 2:
        return []
    every = (_("All series"), url_for(".home"), current is None)
    return [every, *((one.name, url_for(".series", slug=one.slug), one is current) for one in all_series)]


def _found(number: int, *, complete: bool) -> str:
    """What the live filter says aloud."""
    if complete:
        return ngettext("%(num)s talk found", "%(num)s talks found", number)
    return _("More than %(num)s talks found", num=number)
