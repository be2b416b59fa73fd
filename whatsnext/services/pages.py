"""The legal and help pages: a template until an organiser has written them, then their text, version by version.

A template states what the software does and leaves open what only the operator knows; nothing is invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import current_app

from config import Settings
from whatsnext.db import db
from whatsnext.errors import NotFound, StaleVersion
from whatsnext.i18n import LANGUAGES
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Kind, Page, Series
from whatsnext.services import outbox

TEMPLATES = Path(__file__).parents[2] / "templates" / "pages"
TITLES: dict[str, Any] = {
    "impressum": _l("Legal notice"),
    "datenschutz": _l("Privacy"),
    "barrierefreiheit": _l("Accessibility"),
    "leichte-sprache": _l("Easy language"),
    "gebaerdensprache": _l("Sign language"),
    "hilfe": _l("Help and contact"),
}
STATEMENT = "barrierefreiheit"
STATEMENT_LASTS = timedelta(days=335)
"""The statement on accessibility is to be renewed every year; after eleven months organisers are reminded."""


@dataclass(frozen=True)
class Text:
    """A page in one language. Version 0 and no date mean the unedited template; `source` keeps its placeholders."""

    slug: str
    language: str
    source: str
    version: int
    changed_at: datetime | None

    @property
    def title(self) -> str:
        return str(TITLES[self.slug])

    @property
    def is_template(self) -> bool:
        return self.version == 0

    @property
    def body(self) -> str:
        """Markdown with the placeholders filled in."""
        return fill(self.source)


def text(slug: str, language: str) -> Text:
    """The page as it stands now. Raises NotFound for a page or language that does not exist."""
    if slug not in TITLES or language not in LANGUAGES:
        raise NotFound
    page = db.session.scalar(sa.select(Page).where(Page.slug == slug, Page.language == language))
    if page is None:
        return Text(slug, language, _template(slug, language), 0, None)
    return Text(slug, language, page.body, page.version, page.changed_at)


def all_texts() -> list[Text]:
    """Every page in every language, in the order of the footer; one query."""
    written = {(page.slug, page.language): page for page in db.session.scalars(sa.select(Page))}
    texts = []
    for slug in TITLES:
        for language in LANGUAGES:
            page = written.get((slug, language))
            source = page.body if page else _template(slug, language)
            texts.append(Text(slug, language, source, page.version if page else 0, page.changed_at if page else None))
    return texts


def save(slug: str, language: str, body: str, version: int, now: datetime) -> Text:
    """Keep a new text. `version` is the one that was edited, 0 for the template.

    Raises NotFound, and StaleVersion if someone else saved meanwhile.
    """
    before = text(slug, language)
    if before.version != version:
        raise StaleVersion
    if before.is_template:
        page = Page(slug=slug, language=language, body=body, version=1, changed_at=now)
        db.session.add(page)
    else:
        changed = db.session.execute(
            sa.update(Page)
            .where(Page.slug == slug, Page.language == language, Page.version == version)
            .values(body=body, version=version + 1, changed_at=now)
            .returning(Page.id)
        )
        if changed.first() is None:
            raise StaleVersion
    db.session.flush()
    return text(slug, language)


def notice_version(language: str | sa.BindParameter[str]) -> sa.ColumnElement[int]:
    """The version of the privacy notice shown now, which is stored with each registration; 0 is the template."""
    shown = sa.select(Page.version).where(Page.slug == "datenschutz", Page.language == language)
    return sa.func.coalesce(shown.scalar_subquery(), 0)


def unedited() -> list[Text]:
    """Pages that are still the template, for the organisers' lamp."""
    return [page for page in all_texts() if page.is_template]


def statement_is_old(now: datetime) -> bool:
    """Whether a statement on accessibility was last changed more than eleven months ago."""
    oldest = db.session.scalar(sa.select(sa.func.min(Page.changed_at)).where(Page.slug == STATEMENT))
    return oldest is not None and now - oldest > STATEMENT_LASTS


def fill(source: str) -> str:
    """Replace the fixed placeholders; anything else in braces stays as it is typed (safety.md P9)."""
    for name, value in _placeholders().items():
        source = source.replace(f"{{{name}}}", value)
    return source


def _placeholders() -> dict[str, str]:
    settings: Settings = current_app.config["SETTINGS"]
    series = _first_series()
    return {
        "series": series.name if series else "What's NEXt",
        "contact_name": (series.contact_name if series else "") or "–",
        "contact_email": (series.contact_email if series else "") or "–",
        "contact_phone": (series.contact_phone if series else "") or "–",
        "seat_hold_minutes": str(settings.seat_hold_minutes),
        "address": settings.address,
    }


def _first_series() -> Series | None:
    return db.session.scalars(sa.select(Series).order_by(Series.position, Series.id).limit(1)).first()


@cache
def _template(slug: str, language: str) -> str:
    return (TEMPLATES / f"{slug}.{language}.md").read_text(encoding="utf-8")


def report_barrier(page: str, words: str, contact: str, now: datetime) -> None:
    """Owe what a reader could not use to the contact of the series, else to the mailbox of the installation."""
    series = _first_series()
    recipient = (series.contact_email if series else "") or current_app.config["SETTINGS"].sender
    facts = {"page": page, "text": words, "contact": contact}
    outbox.owe(Kind.BARRIER_REPORT, now, recipient=recipient, language="de", facts=facts)
