"""Participants of one talk: find, look at, add, act on one or on some, export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, links
from whatsnext.db import write
from whatsnext.errors import DomainError, NotFound
from whatsnext.i18n import gettext as _
from whatsnext.models import CancelledBy, Event, EventState
from whatsnext.services import mailings, participants_file, registrations, signup, waiting_list
from whatsnext.services import participants as everyone
from whatsnext.services.participants import Invited, Row, Search, Show
from whatsnext.web import guards
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, participant_form, participant_words
from whatsnext.web.organise.participant_form import AgainForm, BulkForm


@bp.get("/events/<int:event_id>/participants")
def participants(event_id: int) -> ResponseReturnValue:
    event = everyone.event(event_id)
    return show_list(event, participant_form.search(request.args), BulkForm())


@bp.route("/events/<int:event_id>/participants/add", methods=["GET", "POST"])
def participant_add(event_id: int) -> ResponseReturnValue:
    event = everyone.event(event_id)
    form = participant_form.add_form(event)
    if form.validate_on_submit():
        try:
            with write():
                added = registrations.add(
                    event_id,
                    clock.now(),
                    name=form.name.data,
                    email=form.email.data,
                    agency=form.agency.data,
                    mode=form.mode.data,
                )
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect(url_for(".participant", event_id=event_id, ref=added.ref), 303)
    places = waiting_list.places([event])[event.id]
    return render_template("organise/participants/add.html", event=event, form=form, places=places), form.status


@bp.get("/events/<int:event_id>/participants/<ref>")
def participant(event_id: int, ref: str) -> ResponseReturnValue:
    return _one(everyone.one(event_id, ref), Form())


@bp.route("/events/<int:event_id>/participants/<ref>/remove", methods=["GET", "POST"])
def participant_remove(event_id: int, ref: str) -> ResponseReturnValue:
    row, form = everyone.one(event_id, ref), Form()
    if form.validate_on_submit():
        try:
            with write():
                registrations.cancel(row.registration.id, clock.now(), CancelledBy.ORGANISER)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("The place is free. The person is told by mail."))
            return redirect(url_for(".participant", event_id=event_id, ref=ref), 303)
    event = everyone.event(event_id)
    return render_template("organise/participants/remove.html", event=event, row=row, form=form), form.status


@bp.post("/events/<int:event_id>/participants/<ref>/promote")
def participant_promote(event_id: int, ref: str) -> ResponseReturnValue:
    row = everyone.one(event_id, ref)
    return _act_on_one(
        row,
        _("Has a place now. The invitation is on its way."),
        lambda now: registrations.promote(row.registration.id, event_id, now),
    )


@bp.post("/events/<int:event_id>/participants/<ref>/invite")
def participant_invite(event_id: int, ref: str) -> ResponseReturnValue:
    """Send it again; pressed in a row of the list, the list is shown again."""
    row, form = everyone.one(event_id, ref), AgainForm()
    who = row.registration.name or row.registration.person.email
    return _act_on_one(
        row,
        _("The invitation is on its way again to %(name)s.", name=who),
        lambda now: registrations.resend_invitation(row.registration.id, now),
        form,
    )


@bp.post("/events/<int:event_id>/participants/<ref>/address")
def participant_address(event_id: int, ref: str) -> ResponseReturnValue:
    """Mail that came back does not count any more."""
    row = everyone.one(event_id, ref)
    done = _("Mail is sent to this address again from now on.")
    return _act_on_one(row, done, lambda _now: registrations.trust_address(row.registration.id))


@bp.post("/events/<int:event_id>/participants/<ref>/retry/<int:message_id>")
def participant_retry(event_id: int, ref: str, message_id: int) -> ResponseReturnValue:
    row = everyone.one(event_id, ref)
    done = _("The mail is tried again.")
    return _act_on_one(row, done, lambda now: mailings.retry_one(row.registration, message_id, now))


@bp.route("/events/<int:event_id>/participants.csv", methods=["GET", "POST"])
@guards.fresh
def participants_csv(event_id: int) -> ResponseReturnValue:
    event = everyone.event(event_id)
    search, form = participant_form.search(request.args), Form()
    person = guards.viewer()
    if form.validate_on_submit() and person is not None:
        with write():
            content = participants_file.export(event_id, search, person, clock.now())
        headers = {"Content-Disposition": f'attachment; filename="participants-{event_id}.csv"'}
        return content, 200, {**headers, "Content-Type": "text/csv; charset=utf-8"}
    number = everyone.count(event_id, search)
    return render_template(
        "organise/participants/export.html",
        event=event,
        form=form,
        asked=participant_form.asked(search),
        filters=participant_words.filters(search),
        number=number,
    ), form.status


def show_list(event: Event, search: Search, form: BulkForm) -> tuple[str, int]:
    """The list with what was ticked and what is wrong."""
    numbers, invited = everyone.counts(event.id, search), everyone.counts_invited(event.id, search)
    asked = participant_form.asked(search)
    page = render_template(
        "organise/participants/list.html",
        event=event,
        form=form,
        search=search,
        page=everyone.page(event.id, search, participant_form.arrived(request.args) if request.method == "GET" else 0),
        found=numbers[search.show],
        anybody=bool(asked and everyone.count(event.id, Search())) or numbers[Show.ALL] > 0,
        chips=_chips(event, search, numbers),
        invited_chips=_invited_chips(event, search, invited),
        asked=asked,
        again=AgainForm(formdata=None),
        on=signup.is_on(event, clock.now()),
        places=waiting_list.places([event])[event.id],
        link=links.external("public.event", slug=event.slug),
        words=participant_words,
        everyone=everyone,
    )
    return page, form.status


Chips = list[tuple[str, str, bool]]


def _chips(event: Event, search: Search, numbers: dict[Show, int]) -> Chips:
    """By status; the rest of the search stays."""
    shown = [show for show in Show if numbers[show] or show is Show.ALL or show is search.show]
    off = event.state is EventState.CANCELLED
    return [
        _chip(
            event,
            replace(search, show=each),
            participant_words.shown(each, off=off),
            numbers[each],
            each is search.show,
        )
        for each in shown
    ]


def _invited_chips(event: Event, search: Search, numbers: dict[Invited, int]) -> Chips:
    """By what became of the invitation; the rest of the search stays. Nothing where there is nothing to choose."""
    shown = [state for state in Invited if numbers[state] or state is search.invited]
    if search.invited is None and len(shown) < 2:
        return []
    everybody = replace(search, invited=None)
    rows = [
        _chip(
            event,
            replace(search, invited=state),
            participant_words.invited_state(state),
            numbers[state],
            state is search.invited,
        )
        for state in shown
    ]
    return [_chip(event, everybody, _("All"), sum(numbers.values()), search.invited is None), *rows]


def _chip(event: Event, search: Search, words: str, number: int, current: bool) -> tuple[str, str, bool]:
    return participant_words.chip(words, number), _address(event, search), current


def _address(event: Event, search: Search) -> str:
    return url_for(".participants", event_id=event.id, **participant_form.asked(search))


def _one(row: Row, form: Form) -> tuple[str, int]:
    event, now = everyone.event(row.registration.event_id), clock.now()
    mails = everyone.mails(row.registration)
    page = render_template(
        "organise/participants/one.html",
        event=event,
        row=row,
        form=form,
        mails=mails,
        retriable=[mail.id for mail in mails if mailings.may_retry(mail, now)],
        words=participant_words,
        everyone=everyone,
    )
    return page, form.status


def _act_on_one(
    row: Row, done: str, act: Callable[[datetime], object], again: AgainForm | None = None
) -> ResponseReturnValue:
    form, event_id, ref = again or Form(), row.registration.event_id, row.registration.ref
    if form.validate():
        try:
            with write():
                act(clock.now())
        except NotFound:
            raise
        except DomainError as error:
            form.refuse(error)
        else:
            flash(done)
            if again is not None and again.search is not None:
                return redirect(_address(row.registration.event, again.search), 303)
            return redirect(url_for(".participant", event_id=event_id, ref=ref), 303)
    return _one(everyone.one(event_id, ref), form)
