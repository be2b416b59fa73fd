"""How the mails fare: counts, a picture of two days, each failed one with what to do, and what is held."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, i18n
from whatsnext.db import write
from whatsnext.errors import DomainError, NotFound
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.mail import maildir
from whatsnext.models import MessageState
from whatsnext.permissions import Right, may
from whatsnext.services import delivery, mailings, restored
from whatsnext.services.delivery import Hour
from whatsnext.web import guards
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, participant_words, plot

ZONE = "Europe/Berlin"
KINDS = ("sent", "deferred", "failed")


@dataclass(frozen=True)
class Picture:
    """The plot, what it shows in one sentence, and the same as rows: hour, sent, deferred, failed."""

    finding: str
    plot: plot.Plot
    rows: list[tuple[str, int, int, int]]


@bp.get("/delivery")
def delivery_page() -> ResponseReturnValue:
    return _page(Form())


@bp.post("/events/<int:event_id>/delivery/<int:message_id>")
def delivery_retry(event_id: int, message_id: int) -> ResponseReturnValue:
    """Try a mail that failed once more."""
    message, form = delivery.message(event_id, message_id), Form()
    if form.validate_on_submit():
        try:
            with write():
                mailings.retry_any(event_id, message.id, clock.now())
        except NotFound:
            raise
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("The mail is tried again."))
            return redirect(url_for(".delivery_page"), 303)
    return _page(form)


@bp.post("/delivery/held")
def delivery_held() -> ResponseReturnValue:
    """Let the mails go that are held since a restore, or give them up: the operator decides (safety.md O4)."""
    if refused := guards.require(Right.OPERATE):
        return refused
    form, act = Form(), request.form.get("action")
    if not form.validate_on_submit() or act not in ("send", "drop"):
        return _page(form)
    with write():
        number = (restored.release if act == "send" else restored.drop)(clock.now())
    if act == "send":
        flash(ngettext("%(num)s mail is released.", "%(num)s mails are released.", number))
    else:
        flash(ngettext("%(num)s mail is given up.", "%(num)s mails are given up.", number))
    return redirect(url_for(".delivery_page"), 303)


def _page(form: Form) -> tuple[str, int]:
    now, person = clock.now(), guards.viewer()
    page = render_template(
        "organise/delivery/page.html",
        form=form,
        states=_states(now),
        picture=_picture(delivery.hours(now)),
        failed=[(mail, mailings.may_retry(mail, now)) for mail in delivery.not_delivered(now)],
        deferred=delivery.deferred(),
        held=restored.held(),
        braked=delivery.braked(),
        mail_folder=maildir.instead_of_a_server(),
        may_release=person is not None and may(person.role, Right.OPERATE),
        words=participant_words,
        zone=ZONE,
    )
    return page, form.status


def _states(now: datetime) -> list[tuple[str, int]]:
    """ "Gesendet 28, wartet 12, später 2, gescheitert 1"."""
    by_state = delivery.lately(now)
    return [
        (_("Sent"), by_state[MessageState.SENT]),
        (_("Waiting"), by_state[MessageState.OWED] + by_state[MessageState.SENDING]),
        (_("Tried again later"), by_state[MessageState.DEFERRED]),
        (_("Not delivered"), by_state[MessageState.FAILED]),
        (_("Came too late, not sent"), by_state[MessageState.LAPSED]),
        (_("Held back"), by_state[MessageState.HELD]),
        (_("Replaced or stopped before it was sent"), by_state[MessageState.SUPERSEDED]),
    ]


def _picture(hours: list[Hour]) -> Picture:
    columns = [(hour.sent, hour.deferred, hour.failed) for hour in hours]
    names = {number: _hour(hour.start) for number, hour in enumerate(hours) if number % 12 == 0}
    rows = [(_hour(hour.start), hour.sent, hour.deferred, hour.failed) for hour in reversed(hours) if hour.total]
    return Picture(_finding(hours), plot.stacked(KINDS, columns, names), rows)


def _hour(start: datetime) -> str:
    return i18n.brief(start.astimezone(ZoneInfo(ZONE)), ZONE)


def _finding(hours: list[Hour]) -> str:
    sent, deferred, failed = (sum(getattr(hour, kind) for hour in hours) for kind in KINDS)
    if not sent + deferred + failed:
        return _("No mail went out in the last 48 hours.")
    words = ngettext(
        "%(num)s mail was sent in the last 48 hours.", "%(num)s mails were sent in the last 48 hours.", sent
    )
    if failed:
        words += " " + ngettext("%(num)s was not delivered.", "%(num)s were not delivered.", failed)
    if deferred:
        words += " " + ngettext("%(num)s is tried again later.", "%(num)s are tried again later.", deferred)
    return words if failed or deferred else words + " " + _("None of them failed.")
