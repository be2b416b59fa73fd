"""A message to all or some participants: write, see whom it reaches, send, watch it go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import Conflict, DomainError, LinkExpired, LinkInvalid
from whatsnext.i18n import gettext as _
from whatsnext.models import Event, Kind, Mode, Person
from whatsnext.services import mailings, participants, recipients
from whatsnext.services.recipients import Recipients
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, follower_messages, mail_preview, mailing_form, mailing_pages, participant_words
from whatsnext.web.organise.mailing_form import MessageForm, SendForm


@bp.route("/events/<int:event_id>/message", methods=["GET", "POST"])
def mailing_new(event_id: int) -> ResponseReturnValue:
    """Write, then look: nothing is sent here."""
    event, form, now = participants.event(event_id), MessageForm(), clock.now()
    if form.validate_on_submit() and form.means_followers:
        return follower_messages.preview(event, form)
    if form.validate_on_submit():
        try:
            chosen = recipients.choose(form.choice(event_id, now))
        except DomainError as error:
            form.refuse(error)
        else:
            seal = recipients.seal(chosen, now, (form.words.subject, form.words.body))
            return show_preview(event, mailing_form.send_form(seal, form.words), chosen)
    return mailing_pages.show_form(event, form)


@bp.post("/events/<int:event_id>/message/send")
def mailing_send(event_id: int) -> ResponseReturnValue:
    """Send what the preview has shown to whom it has shown; or test it; or write on."""
    event, form, now, author = participants.event(event_id), SendForm(), clock.now(), mailing_pages.author()
    action = request.form.get("action")
    if action == "edit" or not form.validate():
        return _write_on(event, form, now)
    try:
        if action == "test":
            return _test(event, form, author, now)
        with write():
            sent = mailings.send(event_id, form.seal.data, form.words, author, now)
    except Conflict as error:
        return _show_anew(event, form, error, now)
    except DomainError as error:
        form.refuse(error)
        return _write_on(event, form, now)
    return redirect(url_for(".mailing", event_id=event_id, mailing_id=sent.id), 303)


@bp.get("/events/<int:event_id>/messages/<int:mailing_id>")
def mailing(event_id: int, mailing_id: int) -> ResponseReturnValue:
    return _delivery(event_id, mailing_id, Form())


@bp.post("/events/<int:event_id>/messages/<int:mailing_id>/retry/<int:message_id>")
def mailing_retry(event_id: int, mailing_id: int, message_id: int) -> ResponseReturnValue:
    done = _("The mail is tried again.")
    return _do(event_id, mailing_id, done, lambda now: mailings.retry(event_id, mailing_id, message_id, now))


@bp.post("/events/<int:event_id>/messages/<int:mailing_id>/pause")
def mailing_pause(event_id: int, mailing_id: int) -> ResponseReturnValue:
    done = _("Paused. Nothing more goes out until you resume.")
    return _do(event_id, mailing_id, done, lambda now: mailings.pause(event_id, mailing_id, now))


@bp.post("/events/<int:event_id>/messages/<int:mailing_id>/resume")
def mailing_resume(event_id: int, mailing_id: int) -> ResponseReturnValue:
    done = _("Sending goes on.")
    return _do(event_id, mailing_id, done, lambda now: mailings.resume(event_id, mailing_id, now))


@bp.post("/events/<int:event_id>/messages/<int:mailing_id>/stop")
def mailing_stop(event_id: int, mailing_id: int) -> ResponseReturnValue:
    done = _("Stopped. What has not been sent stays unsent.")
    return _do(event_id, mailing_id, done, lambda now: mailings.stop(event_id, mailing_id, now))


def show_preview(event: Event, form: SendForm, chosen: Recipients, tested: str = "") -> tuple[str, int]:
    """Whom it reaches, how many, the mail, and the button with the number."""
    first = chosen.people[0]
    words = form.words.filled(event, first.name, first.mode)
    online = first.mode is Mode.ONLINE
    letter = mail_preview.to_somebody(Kind.ORGANISER_MESSAGE, event, words, clock.now(), online=online)
    page = render_template(
        "organise/mailings/preview.html",
        event=event,
        form=form,
        chosen=chosen,
        letter=letter,
        tested=tested,
        words=participant_words.act(chosen.choice.act, len(chosen.ids)),
        everyone=participants,
    )
    return page, form.status


def _test(event: Event, form: SendForm, author: Person, now: datetime) -> tuple[str, int]:
    """Owe the author the mail, and show the preview as it was."""
    choice = recipients.sealed_choice(form.seal.data, event.id, now)
    with write():
        mailings.send_test(event.id, form.words, author, now)
    return show_preview(event, form, recipients.choose(choice), tested=author.email)


def _write_on(event: Event, form: SendForm, now: datetime) -> tuple[str, int]:
    """Back to the page to write on, with every word kept and what is wrong, if anything is."""
    try:
        again = mailing_form.edit_again(form, recipients.sealed_choice(form.seal.data, event.id, now))
    except (LinkExpired, LinkInvalid):
        again = mailing_form.edit_again(form, None)
    again.form_errors = [*form.form_errors, *form.csrf_token.errors]
    again.subject.errors, again.body.errors = form.subject.errors, form.body.errors
    page, _status = mailing_pages.show_form(event, again)
    return page, form.status


def _show_anew(event: Event, form: SendForm, error: DomainError, now: datetime) -> tuple[str, int]:
    """Others than shown would get it: the new list, to be looked at before the button is pressed again."""
    form.refuse(error)
    chosen = recipients.choose(recipients.sealed_choice(form.seal.data, event.id, now))
    form.seal.data = recipients.seal(chosen, now, (form.words.subject, form.words.body))
    form.seal.raw_data = None
    return show_preview(event, form, chosen)


def _delivery(event_id: int, mailing_id: int, form: Form) -> tuple[str, int]:
    delivery = mailings.delivery(event_id, mailing_id)
    page = render_template(
        "organise/mailings/delivery.html",
        event=participants.event(event_id),
        delivery=delivery,
        troubled=mailings.troubled(delivery.mailing),
        form=form,
        words=participant_words,
    )
    return page, form.status


def _do(event_id: int, mailing_id: int, done: str, act: Callable[[datetime], object]) -> ResponseReturnValue:
    form = Form()
    if not form.validate():
        return _delivery(event_id, mailing_id, form)
    with write():
        act(clock.now())
    flash(done)
    return redirect(url_for(".mailing", event_id=event_id, mailing_id=mailing_id), 303)
