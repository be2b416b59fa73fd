"""A message to everyone who follows the theme of a talk: see how many it reaches, send, then watch it go."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import Conflict, DomainError
from whatsnext.models import Event, Kind
from whatsnext.services import follower_messages, mailings, participants
from whatsnext.services.follower_messages import FOLLOWERS
from whatsnext.web.organise import bp, mail_preview, mailing_form, mailing_pages
from whatsnext.web.organise.mailing_form import MessageForm, SendForm


@bp.post("/events/<int:event_id>/message/followers/send")
def followers_send(event_id: int) -> ResponseReturnValue:
    """Send what the preview has shown to as many as it has counted; or test it; or write on."""
    event, form, now, author = participants.event(event_id), SendForm(), clock.now(), mailing_pages.author()
    action = request.form.get("action")
    if action == "edit" or not form.validate():
        return _write_on(event, form)
    try:
        if action == "test":
            with write():
                mailings.send_test(event_id, form.words, author, now)
            return _show(event, form, tested=author.email)
        with write():
            sent = follower_messages.send(event_id, form.seal.data, form.words, author, now)
    except Conflict as error:
        form.refuse(error)
        return _show(event, form)
    except DomainError as error:
        form.refuse(error)
        return _write_on(event, form)
    return redirect(url_for(".mailing", event_id=event_id, mailing_id=sent.id), 303)


def preview(event: Event, form: MessageForm) -> tuple[str, int]:
    """How many, the mail, and the button with the number; back to the form if nobody follows."""
    try:
        return _show(event, mailing_form.send_form("", form.words))
    except DomainError as error:
        form.refuse(error)
        return mailing_pages.show_form(event, form)


def _show(event: Event, form: SendForm, tested: str = "") -> tuple[str, int]:
    """Sealed anew each time: what is shown now is what the button means. Raises NobodyToTell."""
    followers, now = follower_messages.choose(event), clock.now()
    form.seal.data, form.seal.raw_data = follower_messages.seal(event, followers, form.words, now), None
    facts = form.words.filled(event, mail_preview.name())
    letter = mail_preview.to_somebody(Kind.FOLLOWER_MESSAGE, event, facts, now)
    page = render_template(
        "organise/mailings/followers.html", event=event, form=form, followers=followers, letter=letter, tested=tested
    )
    return page, form.status


def _write_on(event: Event, form: SendForm) -> tuple[str, int]:
    """Back to the page to write on, with every word kept and what is wrong, if anything is."""
    again = MessageForm(formdata=None, to=FOLLOWERS, subject=form.subject.data, body=form.body.data)
    again.form_errors = [*form.form_errors, *form.csrf_token.errors]
    again.subject.errors, again.body.errors = form.subject.errors, form.body.errors
    page, _status = mailing_pages.show_form(event, again)
    return page, form.status
