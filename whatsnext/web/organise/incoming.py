"""Mails that came in and changed nothing, proposals of another time: seen, decided, put away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, i18n
from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.models import Incoming, IncomingState, Reason
from whatsnext.services import incoming as mails
from whatsnext.services import parts, replies
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp

ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class Row:
    """One mail. `invite` is the address that may be invited, `counter`: a proposed time can be answered.

    `copy`: its beginning was kept.
    """

    id: int
    received: str
    sender: str
    name: str
    talk: str
    talk_url: str
    what: str
    why: str
    comment: str
    invite: str
    counter: bool
    copy: bool


@bp.get("/incoming")
def incoming() -> ResponseReturnValue:
    return _page(Form())


@bp.get("/incoming/<int:incoming_id>/copy")
def incoming_copy(incoming_id: int) -> ResponseReturnValue:
    """The beginning of the mail as it came, to be kept as a file: nothing in it is shown as a page."""
    raw = mails.one(incoming_id).raw or b""
    words = raw.decode("utf-8", "replace")
    kept = {"Content-Disposition": 'attachment; filename="mail.txt"', "Cache-Control": "private, no-store"}
    return Response(words, mimetype="text/plain", headers=kept)


@bp.post("/incoming/<int:incoming_id>/invite")
def incoming_invite(incoming_id: int) -> ResponseReturnValue:
    """Sign up whoever answered a forwarded invitation, or was named as delegate."""
    done = _("Invited. The invitation is on its way.")
    return _do(incoming_id, done, lambda now: replies.invite(incoming_id, now))


@bp.post("/incoming/<int:incoming_id>/decline")
def incoming_decline(incoming_id: int) -> ResponseReturnValue:
    """Tell whoever proposed another time that it stays."""
    done = _("Answered: the talk stays at its time.")
    return _do(incoming_id, done, lambda now: replies.decline_counter(incoming_id, now))


@bp.post("/incoming/<int:incoming_id>/done")
def incoming_done(incoming_id: int) -> ResponseReturnValue:
    return _do(incoming_id, _("Put away."), lambda now: mails.done(incoming_id, now))


def _do(incoming_id: int, done: str, act: Callable[[datetime], object]) -> ResponseReturnValue:
    mails.one(incoming_id)
    form = Form()
    if form.validate_on_submit():
        try:
            with write():
                act(clock.now())
        except DomainError as error:
            form.refuse(error)
        else:
            flash(done)
            return redirect(url_for(".incoming"), 303)
    return _page(form)


def _page(form: Form) -> tuple[str, int]:
    before = request.args.get("before", "")
    rows, older = mails.open_ones(int(before) if before.isdecimal() and len(before) < 10 else None)
    page = render_template(
        "organise/incoming/list.html",
        form=form,
        rows=[_row(mail) for mail in rows],
        older=older,
        mailbox=mails.failing(),
    )
    return page, form.status


def _row(mail: Incoming) -> Row:
    event = mail.event
    return Row(
        id=mail.id,
        received=i18n.moment(mail.received_at, event.zone if event else ZONE),
        sender=mail.sender,
        name=mail.sender_name,
        talk=parts.title(event, mail.part) if event else "",
        talk_url=url_for(".participants", event_id=event.id) if event else "",
        what=_what(mail),
        why=why(mail.reason),
        comment=mail.comment,
        invite=replies.may_invite(mail),
        counter=mail.reason is Reason.COUNTER,
        copy=mail.state is IncomingState.ASIDE,
    )


def _what(mail: Incoming) -> str:
    """What kind of mail it was; of a proposal, the time."""
    if mail.reason is Reason.COUNTER and mail.proposed_start and mail.event:
        return _("Proposes another time: %(time)s", time=i18n.moment(mail.proposed_start, mail.event.zone))
    names = {
        "REPLY": _("Answer of a calendar"),
        "COUNTER": _("Proposes another time"),
        "REFRESH": _("Asks for the invitation again"),
    }
    return names.get(mail.method) or mail.subject or _("Mail without a subject")


def why(reason: Reason) -> str:
    """Why a mail changed nothing, or what there is to decide."""
    words = {
        Reason.SIZE: _("It is larger than any answer and was not read."),
        Reason.UNREADABLE: _("It could not be read."),
        Reason.BROKEN: _("It is damaged, or holds no complete answer."),
        Reason.SENDER: _("It does not say plainly who sent it."),
        Reason.CONTRADICTORY: _("It says two things at once."),
        Reason.METHOD: _("It is no answer to an invitation."),
        Reason.DATE: _("Its date cannot be right."),
        Reason.NO_TOKEN: _("It was not sent to the address of an invitation."),
        Reason.FOREIGN: _("Another person answered than the one who was invited; the invitation was passed on."),
        Reason.UNAUTHENTIC: _("Our mail server doubts that it is from this address."),
        Reason.OTHER_UID: _("It is about another talk than the address it was sent to."),
        Reason.OTHER_ATTENDEE: _("It answers for somebody else, or for a part of a series."),
        Reason.NOT_INVITED: _("This person has not been invited yet."),
        Reason.OLD: _("It answers an older state of the invitation."),
        Reason.REPLAYED: _("It is not newer than the last answer."),
        Reason.TALK_OFF: _("The talk has been cancelled."),
        Reason.OVER: _("The talk has begun already."),
        Reason.NOT_SIGNED_UP: _("This person is no longer signed up."),
        Reason.TOO_OFTEN: _("This calendar has changed its answer too often within a day."),
        Reason.ROBOT: _("It was sent by a machine."),
        Reason.HUMAN: _("A person wrote it, and it could not be forwarded."),
        Reason.COUNTER: _("The talk stays at its time unless you move it."),
        Reason.ONE_PART: _("One part was declined. The place stays with the person for the others."),
        Reason.DELEGATED: _("The place was passed on in the calendar. It stays with the person until you decide."),
    }
    return words.get(reason, "")
