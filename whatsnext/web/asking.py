"""The browser that asked: a random cookie set by the forms that owe a mail only (safety.md I2).

Its digest stands with the registration, or with what is followed. Behind a mailed link that browser needs one press;
any other one is asked to choose first, so that a robot that submits a form as served changes nothing.
"""

from __future__ import annotations

import re

from flask import Response, current_app, request

from whatsnext import tokens
from whatsnext.models import Follow, Registration

COOKIE = "wn-asked"
LASTS = 60 * 60 * 24 * 180
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def secret() -> str:
    """What this browser has already, or a new secret for it."""
    given = request.cookies.get(COOKIE, "")
    return given if SECRET.fullmatch(given) else tokens.random_secret()


def remember(response: Response, value: str) -> Response:
    """Leave the secret with the browser."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=LASTS,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response


def asked_here(asked: Registration | Follow) -> bool:
    """Whether this browser sent the form."""
    given = request.cookies.get(COOKIE, "")
    return bool(asked.browser and given) and tokens.same(tokens.digest(given), asked.browser)
