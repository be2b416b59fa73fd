"""Acts on several participants: first the page that shows whom, how many and what; then the act."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import DomainError, LinkInvalid, NobodyToTell
from whatsnext.models import CancelledBy, Event, Kind
from whatsnext.services import participants, recipients, registrations, waiting_list
from whatsnext.services.recipients import Act, Recipients
from whatsnext.web.organise import bp, mail_preview, participant_words
from whatsnext.web.organise.mailing_form import message_form
from whatsnext.web.organise.mailing_pages import show_form
from whatsnext.web.organise.participant_form import BulkForm, SealedForm
from whatsnext.web.organise.participants import show_list

LETTERS: dict[Act, tuple[Kind, dict[str, Any]]] = {
    Act.INVITE: (Kind.INVITATION, {}),
    Act.PROMOTE: (Kind.PROMOTION, {}),
    Act.REMOVE: (Kind.CANCELLATION, {"by": CancelledBy.ORGANISER.value, "had_place": True}),
}


@bp.post("/events/<int:event_id>/participants/selected")
def participants_selected(event_id: int) -> ResponseReturnValue:
    """Show for whom an act would be; nothing happens yet."""
    event, form, now = participants.event(event_id), BulkForm(), clock.now()
    if not form.validate():
        return show_list(event, form.search, form)
    try:
        chosen = recipients.choose(form.choice(event_id))
    except NobodyToTell as error:
        form.refuse(error)
        return show_list(event, form.search, form)
    if chosen.choice.act is Act.MESSAGE:
        return show_form(event, message_form(recipients.seal(chosen, now)))
    return _preview(event, chosen, SealedForm(formdata=None, seal=recipients.seal(chosen, now)), now)


@bp.post("/events/<int:event_id>/participants/<any(invite, promote, remove):act>")
def participants_act(event_id: int, act: str) -> ResponseReturnValue:
    """Do it for exactly those the preview has shown; with others it shows the new list instead."""
    event, form, now = participants.event(event_id), SealedForm(), clock.now()
    if form.validate():
        try:
            with write():
                waiting_list.lock(event_id)
                chosen = recipients.unseal(form.seal.data, event_id, Act(act), now)
                for number in chosen.leaving if act == Act.REMOVE else chosen.ids:
                    _act(Act(act), number, event_id, now)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(participant_words.done(Act(act), len(chosen.ids)))
            return redirect(url_for(".participants", event_id=event_id), 303)
    choice = recipients.sealed_choice(form.seal.data, event_id, now)
    if choice.act is not Act(act):
        raise LinkInvalid
    chosen = recipients.choose(choice)
    form.seal.data, form.seal.raw_data = recipients.seal(chosen, now), None
    return _preview(event, chosen, form, now)


def _act(act: Act, registration_id: int, event_id: int, now: datetime) -> None:
    if act is Act.INVITE:
        registrations.resend_invitation(registration_id, now)
    elif act is Act.PROMOTE:
        registrations.promote(registration_id, event_id, now)
    else:
        registrations.cancel(registration_id, now, CancelledBy.ORGANISER)


def _preview(event: Event, chosen: Recipients, form: SealedForm, now: datetime) -> tuple[str, int]:
    kind, facts = LETTERS[chosen.choice.act]
    page = render_template(
        "organise/participants/preview.html",
        event=event,
        chosen=chosen,
        form=form,
        letter=mail_preview.to_somebody(kind, event, facts, now),
        words=participant_words.act(chosen.choice.act, len(chosen.ids)),
        short=chosen.choice.act is Act.PROMOTE and _is_short(event, chosen),
    )
    return page, form.status


def _is_short(event: Event, chosen: Recipients) -> bool:
    """Whether fewer places are free than people are to have one."""
    places = waiting_list.places([event])[event.id]
    wanted = Counter(person.mode for person in chosen.people)
    return any(mode not in places or number > places[mode].free for mode, number in wanted.items())
