"""The newly announced talks, as Atom."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from whatsnext import clock, links, markdown
from whatsnext.calendars import atom
from whatsnext.calendars.atom import Item, News
from whatsnext.i18n import gettext as _
from whatsnext.i18n import language
from whatsnext.models import Event
from whatsnext.services import feeds
from whatsnext.web.feeds import answers, bp
from whatsnext.web.public import cards


@bp.get("/news.atom")
def news() -> Response:
    """The talks announced last, latest first."""
    built = answers.kept(feeds.of_all().version, clock.now(), _build)
    return answers.answer(built, "application/atom+xml; charset=utf-8")


def _build(day: datetime) -> tuple[bytes, list[datetime]]:
    talks = feeds.announced(day)
    name = talks[0].series.name if talks else _("What's NEXt")
    about = News(
        title=_("New talks – %(series)s", series=name),
        author=name,
        source=links.external("feeds.news"),
        url=links.external("public.home"),
        language=language(),
    )
    items = [_item(talk) for talk in talks]
    return atom.write(about, items, day), [item.updated for item in items]


def _item(talk: Event) -> Item:
    return Item(
        uid=talk.uid,
        title=talk.title,
        summary=f"{cards.when(talk)}\n\n{markdown.to_text(talk.summary)}".strip(),
        url=links.external("public.event", slug=talk.slug),
        published=talk.published_at or talk.created_at,
        updated=max(talk.changed_at, talk.published_at or talk.created_at),
        language=talk.language,
        categories=(talk.theme.name,) if talk.theme else (),
    )
