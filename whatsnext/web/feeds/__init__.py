"""Feeds: calendars to subscribe to, the news as Atom, and the page that shows how."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("feeds", __name__)

from whatsnext.web.feeds import calendars, news  # noqa: E402, F401
from whatsnext.web.feeds import subscribe as subscribe  # noqa: E402
