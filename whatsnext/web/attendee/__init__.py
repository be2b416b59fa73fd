"""Pages for whoever holds a place: reached by a mailed link, or signed in."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("attendee", __name__, url_prefix="/registrations/<key>")

from whatsnext.web.attendee import actions, calendar, registration  # noqa: E402, F401
