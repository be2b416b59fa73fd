"""Changing and calling off a published talk: what differs, who is told, the mail, and the number in the button."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import DomainError, EventCancelled, LastPart, PartCancelled, StaleVersion
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.models import Event, EventState
from whatsnext.services import drafts, events, invitations, parts, rescheduling
from whatsnext.services.drafts import Draft
from whatsnext.services.invitations import Audience
from whatsnext.web.organise import bp, editor, mail_preview
from whatsnext.web.organise.editor import TALK
from whatsnext.web.organise.event_form import CancelForm, ChangeForm, EventForm, VersionForm


def save_or_ask(event: Event, form: EventForm) -> ResponseReturnValue:
    """Save what nobody has to hear of; else show first who would hear what. `form` is valid."""
    if form.seen != event.version:
        return _stale(event, form, StaleVersion())
    draft = form.draft()
    try:
        if rescheduling.preview(event, draft, clock.now()).asks:
            return _ask(event, form)
        with write():
            rescheduling.save_silently(event.id, draft, event.version, clock.now())
    except DomainError as error:
        return _refused(event.id, form, error)
    return _done(event.id, 0)


@bp.route(f"{TALK}/change", methods=["GET", "POST"])
def event_change(event_id: int) -> ResponseReturnValue:
    """The page before anything is sent. What was typed travels in the form; nothing waits on the server."""
    event = events.get(event_id)
    if request.method == "GET" or event.state is not EventState.PUBLISHED:
        return redirect(url_for(".event_edit", event_id=event_id), 303)
    form, action = ChangeForm(events.offered(), Draft.of(event), event.version), request.form.get("action")
    if action == "back" or not form.validate_on_submit():
        return editor.show(form, event)
    if form.seen != event.version:
        return _stale(event, form, StaleVersion())
    try:
        if action not in ("tell", "silent"):
            return _ask(event, form)
        return _save(event_id, form, silently=action == "silent")
    except DomainError as error:
        return _refused(event_id, form, error)


@bp.route(f"{TALK}/cancel", methods=["GET", "POST"])
def event_cancel(event_id: int) -> ResponseReturnValue:
    """Call a talk off: the reason, who is told, the mail."""
    event, form = events.get(event_id), CancelForm()
    if event.state is EventState.CANCELLED:
        return redirect(url_for(".event_edit", event_id=event_id), 303)
    rescheduling.check_cancellable(event, clock.now())
    if request.form.get("action") != "preview" and form.validate_on_submit():
        try:
            with write():
                _event, told = rescheduling.cancel(
                    event_id, form.reason.data, form.seen, clock.now(), expected=form.expected.data or 0
                )
        except EventCancelled:
            return redirect(url_for(".event_edit", event_id=event_id), 303)
        except DomainError as error:
            form.refuse(error)
            event = events.get(event_id)
        else:
            flash(_told(told))
            return redirect(url_for(".event_edit", event_id=event_id), 303)
    audience = invitations.audience(event)
    page = render_template(
        "organise/events/cancel.html",
        event=event,
        form=form,
        audience=audience,
        who=_who(audience),
        letter=mail_preview.cancellation(event, form.reason.data or "", clock.now()),
    )
    return page, form.status


@bp.route(f"{TALK}/parts/<int:position>/cancel", methods=["GET", "POST"])
def event_cancel_part(event_id: int, position: int) -> ResponseReturnValue:
    """Call one of several parts off: the reason, who is told, the mail."""
    event, form, now = events.get(event_id), CancelForm(), clock.now()
    try:
        part = rescheduling.cancellable_part(event, position, now)
    except PartCancelled:
        return redirect(url_for(".event_edit", event_id=event_id), 303)
    except LastPart as error:
        flash(error.message)
        return redirect(url_for(".event_cancel", event_id=event_id), 303)
    if request.form.get("action") != "preview" and form.validate_on_submit():
        try:
            with write():
                _event, told = rescheduling.cancel_part(
                    event_id, position, form.reason.data, form.seen, now, expected=form.expected.data or 0
                )
        except PartCancelled:
            return redirect(url_for(".event_edit", event_id=event_id), 303)
        except DomainError as error:
            form.refuse(error)
            event = events.get(event_id)
            part = rescheduling.cancellable_part(event, position, now)
        else:
            flash(_part_off(position, told))
            return redirect(url_for(".event_edit", event_id=event_id), 303)
    audience = invitations.audience(event)
    page = render_template(
        "organise/events/cancel_part.html",
        event=event,
        number=position,
        part_when=parts.when(event, part),
        name=parts.name(event, part),
        form=form,
        audience=audience,
        who=_who(audience),
        letter=mail_preview.part_cancellation(event, part, form.reason.data or "", now),
    )
    return page, form.status


@bp.route(f"{TALK}/sign-up", methods=["GET", "POST"])
def event_sign_up(event_id: int) -> ResponseReturnValue:
    """Close sign-up now, or open it again until the talk begins; nobody is told."""
    event, form, now = events.get(event_id), VersionForm(), clock.now()
    rescheduling.check_cancellable(event, now)
    closing = request.form.get("action") == "close"
    if form.validate_on_submit():
        try:
            with write():
                (rescheduling.close_sign_up if closing else rescheduling.reopen_sign_up)(event_id, form.seen, now)
        except DomainError as error:
            form.refuse(error)
            event = events.get(event_id)
        else:
            flash(_("Sign-up is closed.") if closing else _("Sign-up is open until the talk begins."))
            return redirect(url_for(".event_edit", event_id=event_id), 303)
    closed = event.registration_closes is not None and event.registration_closes <= now
    return render_template("organise/events/sign_up.html", event=event, form=form, closed=closed), form.status


def _save(event_id: int, form: ChangeForm, *, silently: bool) -> Response:
    draft, version, now = form.draft(), form.seen, clock.now()
    with write():
        if silently:
            rescheduling.save_silently(event_id, draft, version, now)
            told = 0
        else:
            _event, told = rescheduling.save_and_tell(
                event_id, draft, version, now, expected=form.expected.data or 0, text=form.note.data
            )
    return _done(event_id, told)


def _ask(event: Event, form: EventForm) -> ResponseReturnValue:
    """The table of changes, the people, the mail, the buttons."""
    draft, now = form.draft(), clock.now()
    seen = rescheduling.preview(event, draft, now)
    if not isinstance(form, ChangeForm):
        form = ChangeForm(events.offered(), Draft.of(event), event.version)
    page = render_template(
        "organise/events/change.html",
        event=event,
        form=form,
        seen=seen,
        outside=drafts.outside_the_talk(draft),
        who=_who(seen.audience),
        letter=mail_preview.update(event, draft, form.note.data or "", now) if seen.told else None,
    )
    return page, form.status


def _refused(event_id: int, form: EventForm, error: DomainError) -> ResponseReturnValue:
    """Back to the page that the "no" belongs to, with everything kept."""
    event = events.get(event_id)
    if isinstance(error, StaleVersion):
        return _stale(event, form, error)
    if wrong := rescheduling.problems(event, form.draft(), clock.now()):
        form.refuse_all(wrong[0], wrong)
        return editor.show(form, event)
    form.refuse(error)
    return _ask(event, form)


def _stale(event: Event, form: EventForm, error: StaleVersion) -> ResponseReturnValue:
    """A form that came twice finds its own values saved; anything else is somebody else's."""
    if not drafts.differences(Draft.of(event), editor.completed(form.draft(), event)):
        flash(_("This is saved already. Nobody is told twice."))
        return redirect(url_for(".event_edit", event_id=event.id), 303)
    form.refuse(error)
    return editor.show_conflict(form, event)


def _done(event_id: int, told: int) -> Response:
    flash(_told(told) if told else _("The changes are saved. Nobody gets a message."))
    return redirect(url_for(".event_edit", event_id=event_id), 303)


def _told(people: int) -> str:
    if not people:
        return _("Saved. Nobody is signed up, so nobody gets a message.")
    return ngettext("Saved. %(num)s person is being told.", "Saved. %(num)s people are being told.", people)


def _part_off(number: int, people: int) -> str:
    """ "Teil 3 ist abgesagt. 30 Personen werden informiert."."""
    told = ngettext("%(num)s person is being told.", "%(num)s people are being told.", people)
    return " ".join(
        [
            _("Part %(number)s is cancelled.", number=number),
            told if people else _("Nobody is signed up, so nobody gets a message."),
        ]
    )


def _who(audience: Audience) -> list[str]:
    """ "30 Bestätigte", "8 auf der Warteliste"."""
    groups = (
        (audience.confirmed, ngettext("%(num)s confirmed", "%(num)s confirmed people", audience.confirmed)),
        (audience.waiting, ngettext("%(num)s on the waiting list", "%(num)s on the waiting list", audience.waiting)),
        (audience.offered, ngettext("%(num)s with an offer", "%(num)s with an offer", audience.offered)),
    )
    return [words for number, words in groups if number]
