"""The page a message is written on, whoever is to get it."""

from __future__ import annotations

from flask import render_template

from whatsnext import clock
from whatsnext.errors import DomainError
from whatsnext.models import Event, Person
from whatsnext.services import follower_messages, mailings, recipients
from whatsnext.services.recipients import Recipients
from whatsnext.web import guards
from whatsnext.web.organise import mailing_form
from whatsnext.web.organise.mailing_form import MessageForm


def show_form(event: Event, form: MessageForm) -> tuple[str, int]:
    """The page to write on, with the people who were ticked on the list, if any of them can still be meant."""
    chosen = _ticked(event, form)
    form.name_groups(recipients.reached(event.id))
    if number := follower_messages.number(event):
        form.name_followers(event, number)
    page = render_template(
        "organise/mailings/form.html",
        event=event,
        form=form,
        chosen=chosen,
        placeholders=mailing_form.placeholders(),
        earlier=mailings.of_event(event.id),
    )
    return page, form.status


def _ticked(event: Event, form: MessageForm) -> Recipients | None:
    """Those whom the form's seal means; a seal that means nobody any more is dropped, so that others can be chosen."""
    if not form.seal.data:
        return None
    try:
        return recipients.choose(form.choice(event.id, clock.now()))
    except DomainError:
        form.seal.data, form.seal.raw_data = "", None
        return None


def author() -> Person:
    """Whoever is signed in: the guard of these pages lets nobody else in."""
    person = guards.viewer()
    if person is None:
        raise RuntimeError("the guard of the organisers' pages let nobody in")
    return person
