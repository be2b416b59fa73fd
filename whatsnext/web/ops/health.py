"""Is the process alive, is the installation ready? For a reverse proxy and for monitoring; says nothing inner."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime

from flask import Response, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from whatsnext import clock
from whatsnext.db import is_current
from whatsnext.services import delivery, incoming
from whatsnext.web.ops import bp

LEAST_SPACE = 100_000_000
LATE = 120
"""Seconds that a due mail may wait before somebody is told: a worker looks every five."""


def _said(words: str, status: int) -> ResponseReturnValue:
    return Response(words + "\n", status, mimetype="text/plain", headers={"Cache-Control": "no-store"})


@bp.get("/health/live")
def live() -> ResponseReturnValue:
    return _said("live", 200)


@bp.get("/health/ready")
def ready() -> ResponseReturnValue:
    """200 if the database answers and has the tables of this release, else 503 with the reason.

    The lines below tell a monitor more: pages are served whatever becomes of mails, mailbox and backups.
    """
    try:
        if not is_current():
            return _said("database: tables of another release", 503)
        lines = ["ready", *_more(clock.now())]
    except SQLAlchemyError:
        return _said("database: no answer", 503)
    return _said("\n".join(lines), 200)


def _more(now: datetime) -> Iterator[str]:
    owed, due, backup = delivery.oldest_owed(), delivery.oldest_due(now), delivery.last_backup()
    if owed:
        yield f"mails: the oldest is owed for {_seconds(now, owed)} s"
    if due and (late := _seconds(now, due)) > LATE:
        yield f"mails: due for {late} s and not taken by a worker"
    if mailbox := incoming.failing():
        yield f"mailbox: no answer since {mailbox.failing_since:%Y-%m-%dT%H:%MZ}"
    if shutil.disk_usage(current_app.config["SETTINGS"].instance).free < LEAST_SPACE:
        yield "disk: nearly full"
    if backup:
        yield f"backup: {_seconds(now, backup)} s old"


def _seconds(now: datetime, then: datetime) -> int:
    return max(int((now - then).total_seconds()), 0)
