"""The themes, and what each one offers."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, request, url_for

from whatsnext import clock
from whatsnext.services import catalogue, waiting_list
from whatsnext.web import pagecache
from whatsnext.web.pagecache import Shown
from whatsnext.web.public import bp, cards
from whatsnext.web.public.follows import follow_form
from whatsnext.web.public.series import (
    COMING,
    EARLIER,
    EARLIER_PAGE,
    Text,
    in_language,
    key_text,
    read_key,
    theme_chips,
)


@dataclass(frozen=True)
class ThemeCard:
    """A theme in the list."""

    name: str
    url: str
    colour: int
    description: Text
    coming: int


@bp.get("/themes")
@pagecache.shared(catalogue.home_version)
def themes() -> Shown:
    """Every theme with the number of its coming talks."""
    coming = catalogue.coming_by_theme(clock.now())
    listed = [
        ThemeCard(
            name=theme.name,
            url=url_for(".theme", slug=theme.slug),
            colour=theme.colour,
            description=in_language(theme.description, theme.description_en),
            coming=coming[theme.id][0] if theme.id in coming else 0,
        )
        for theme in catalogue.themes()
    ]
    html = render_template("public/themes/list.html", themes=listed)
    return Shown(html, [first for _number, first in coming.values()])


@bp.get("/themes/<slug>")
@pagecache.shared(catalogue.theme_version)
def theme(slug: str) -> Shown:
    """One theme: coming talks, then earlier ones."""
    now = clock.now()
    chosen = catalogue.theme_named(slug)
    before, after = read_key(request.args.get("before", "")), read_key(request.args.get("after", ""))
    coming = [] if before else catalogue.coming(now, COMING + 1, theme=chosen, after=after)
    size = EARLIER_PAGE if before else EARLIER
    coming, more_coming = catalogue.first_page(coming, COMING)
    earlier, more_earlier = catalogue.first_page(catalogue.earlier(now, size + 1, theme=chosen, before=before), size)
    places = waiting_list.places([*coming, *earlier])
    html = render_template(
        "public/themes/theme.html",
        theme=chosen,
        series=chosen.series,
        form=follow_form(),
        description=in_language(chosen.description, chosen.description_en),
        theme_chips=theme_chips(catalogue.themes(chosen.series), chosen),
        continued=bool(before or after),
        before=before,
        months=cards.months(coming, places, now),
        earlier=cards.cards(earlier, places, now),
        more_coming=key_text(more_coming),
        more_earlier=key_text(more_earlier),
    )
    return Shown(html, [point for event in coming for point in catalogue.turning_points(event)])
