"""The demo's mailbox: every mail that would have been sent, its calendar part read back in words (safety.md I14)."""

from __future__ import annotations

from flask import Response, current_app, render_template, url_for
from flask.typing import ResponseReturnValue

from whatsnext import i18n
from whatsnext.calendars import reading
from whatsnext.errors import NotFound
from whatsnext.i18n import gettext as _
from whatsnext.mail import maildir
from whatsnext.mail.maildir import Kept
from whatsnext.services import parts
from whatsnext.web import security
from whatsnext.web.ops import bp

ZONE = "Europe/Berlin"
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'"
)


@bp.get("/mailbox")
def mailbox() -> ResponseReturnValue:
    _only_in_the_demo()
    rows = [
        (mail, url_for("ops.mailbox_message", mail=mail.key), i18n.moment(mail.at, ZONE), _kind(mail))
        for mail in maildir.newest()
    ]
    return render_template("ops/mailbox.html", rows=rows)


@bp.get("/mailbox/<mail>")
def mailbox_message(mail: str) -> ResponseReturnValue:
    kept = _mail(mail)
    facts, description, problem = _calendar(kept)
    html = render_template(
        "ops/message.html",
        mail=kept,
        at=i18n.moment(kept.at, ZONE),
        kind=_kind(kept),
        facts=facts,
        description=description,
        problem=problem,
    )
    response = Response(html)
    response.headers["Content-Security-Policy"] = f"{security.CONTENT_SECURITY_POLICY}; frame-src 'self'"
    return response


@bp.get("/mailbox/<mail>/html")
def mailbox_html(mail: str) -> ResponseReturnValue:
    """The HTML part as it was sent, in a frame that runs nothing and reaches nothing."""
    html = _mail(mail).html.replace("<head>", '<head><base target="_blank">', 1)  # our pages refuse to be framed
    response = Response(html)
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response


@bp.get("/mailbox/<mail>/invite.ics")
def mailbox_calendar(mail: str) -> ResponseReturnValue:
    """The calendar part, to be opened by a calendar program."""
    kept = _mail(mail)
    if not kept.calendar:
        raise NotFound
    headers = {"Content-Disposition": "attachment; filename=invite.ics"}
    return Response(kept.calendar, mimetype="text/calendar", headers=headers)


def _only_in_the_demo() -> None:
    if not current_app.config["SETTINGS"].demo:
        raise NotFound


def _mail(key: str) -> Kept:
    _only_in_the_demo()
    kept = maildir.get(key)
    if kept is None:
        raise NotFound
    return kept


def _kind(mail: Kept) -> str:
    """What a mail carries for the calendar, in words."""
    return {
        "REQUEST": _("invitation or change"),
        "CANCEL": _("cancellation"),
    }.get(mail.method, _("message without calendar part"))


def _calendar(mail: Kept) -> tuple[list[tuple[str, str]], str, str]:
    """The calendar part as terms and words, its description, and what is wrong with it, if anything."""
    if not mail.calendar:
        return [], "", ""
    try:
        found = reading.in_words(mail.calendar)
    except ValueError as error:
        return [], "", str(error)
    facts = [
        (_("Method"), f"{found.method} – {_kind(mail)}"),
        (_("Title"), found.summary),
        (_("When"), i18n.span(found.start, found.end, found.zone)),
        *([(_("Repeats"), parts.rhythm_in_words(found.count, found.weeks))] if found.weeks else []),
        (_("Where"), found.location),
        (_("State"), found.status),
        (_("Version (SEQUENCE)"), str(found.sequence)),
        (_("Identifier (UID)"), found.uid),
        (_("Answers go to"), f"{found.organizer_name} <{found.organizer}>"),
        (_("For"), f"{found.attendee_name} <{found.attendee}> ({found.partstat})"),
    ]
    return facts, found.description, ""
