"""Pages for everyone: talks, themes, signing up, legal pages."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("public", __name__)

from whatsnext.web.public import events, follows, pages, series, signup, themes  # noqa: E402, F401
