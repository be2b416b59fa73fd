"""The web: a blueprint per audience, one way to say no, one base of forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app, g, request
from werkzeug.routing import IntegerConverter, Map, UnicodeConverter

from whatsnext import i18n, markdown
from whatsnext.db import db, written
from whatsnext.models import Series
from whatsnext.services import parts
from whatsnext.web import (
    account,
    assets,
    attendee,
    errors,
    feeds,
    guards,
    language,
    ops,
    organise,
    public,
    security,
    traffic,
)
from whatsnext.web.forms import form_token
from whatsnext.web.public import pages

ROOT = Path(__file__).parents[2]


class Number(IntegerConverter):
    """A number in an address, no larger than a row's id can be."""

    def __init__(self, url_map: Map, fixed_digits: int = 0, max: int = 2**31 - 1) -> None:  # noqa: A002
        super().__init__(url_map, fixed_digits, max=max)


class Word(UnicodeConverter):
    """A word in an address, without the control characters that no name of ours has and PostgreSQL refuses."""

    def __init__(self, url_map: Map, **given: int) -> None:
        super().__init__(url_map, **given)
        self.regex = self.regex.replace("[^/]", r"[^/\x00-\x1f\x7f]")


def init_app(app: Flask) -> None:
    """Register every page, header and name that templates use. Languages and static files come as WSGI middleware."""
    app.url_map.converters |= {"int": Number, "string": Word, "default": Word}
    traffic.init_app(app)
    security.init_app(app)
    for package in (public, attendee, organise, account, ops, feeds):
        app.register_blueprint(package.bp)
    app.context_processor(_names)
    app.jinja_env.globals.update(static_url=assets.static_url, form_token=form_token, when=i18n, when_of=parts.whole)
    app.jinja_env.filters["markdown"] = markdown.to_html
    app.jinja_env.filters["plain"] = markdown.to_text
    written.connect(_forget_series_name, app)
    app.after_request(guards.keep_seen)
    assets.init_app(app, ROOT / "static", app.config["SETTINGS"].instance)
    errors.init_app(app, ROOT / "templates")
    language.init_app(app)


def _names() -> dict[str, Any]:
    """What every template may name (templates/base.html)."""
    return {
        "language": i18n.language(),
        "other_language_url": language.other_language_url(),
        "appearance": appearance(),
        "viewer": guards.viewer(),
        "may_plan": guards.may_plan(),
        "series_name": _series_name(),
        "demo": current_app.config["SETTINGS"].demo,
        "report_page": None if security.is_secret_page() else request.path,
    }


def appearance() -> str:
    """How the page shall look: "light", "dark" or "system"."""
    chosen = request.cookies.get(pages.APPEARANCE, "")
    return chosen if chosen in pages.APPEARANCES else "system"


def _series_name() -> str:
    """The name of the first series, kept until something is written."""
    kept: str | None = current_app.extensions.get("whatsnext.series_name")
    if kept is None or g.get("writing"):
        kept = db.session.scalar(sa.select(Series.name).order_by(Series.position, Series.id).limit(1)) or ""
        current_app.extensions["whatsnext.series_name"] = kept
    return kept


def _forget_series_name(app: Flask) -> None:
    app.extensions.pop("whatsnext.series_name", None)
