"""The attendee's own files: the talk for a calendar, the code for the entrance."""

from __future__ import annotations

import io
from dataclasses import replace

import segno
from flask import Response

from whatsnext.models import Mode, Status
from whatsnext.services import catalogue
from whatsnext.web import access
from whatsnext.web.attendee import bp
from whatsnext.web.public.events import calendar_file


@bp.get("/calendar.ics")
def calendar(key: str) -> Response:
    """The talk as a file; with the join link for whoever is confirmed to take part online."""
    opened = access.opened(key)
    mine, talk = opened.registration, opened.registration.event
    joins = mine.status is Status.CONFIRMED and mine.mode is Mode.ONLINE and (opened.own or not talk.protected)
    entries = catalogue.entries(talk, join_link=talk.join_link if joins else "")
    sequence = max(talk.sequence, mine.sequence or 0)
    newest = [replace(entry, sequence=sequence) for entry in entries]
    return calendar_file(talk, newest, max(talk.changed_at, mine.changed_at))


@bp.get("/qr")
def qr(key: str) -> Response:
    """The registration's ref as a picture; it opens nothing by itself."""
    mine = access.opened(key).registration
    picture = io.BytesIO()
    segno.make(mine.ref.upper(), error="m", micro=False).save(
        picture, kind="svg", xmldecl=False, svgclass=None, lineclass=None, omitsize=True, border=2
    )
    return Response(picture.getvalue(), mimetype="image/svg+xml")
