"""Is the process alive, is the installation ready? For a reverse proxy and for monitoring; says nothing inner."""

from __future__ import annotations

from flask import Response
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from whatsnext.db import is_current
from whatsnext.web.ops import bp


def _said(words: str, status: int) -> ResponseReturnValue:
    return Response(words + "\n", status, mimetype="text/plain", headers={"Cache-Control": "no-store"})


@bp.get("/health/live")
def live() -> ResponseReturnValue:
    return _said("live", 200)


@bp.get("/health/ready")
def ready() -> ResponseReturnValue:
    """200 if the database answers and has the tables of this release, else 503 with the reason."""
    try:
        current = is_current()
    except SQLAlchemyError:
        return _said("database: no answer", 503)
    return _said("ready", 200) if current else _said("database: tables of another release", 503)
