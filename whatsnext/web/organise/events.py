"""Talks in the organisers' browser: new, edit, preview, publish, duplicate."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import AlreadyPublished, DomainError, StaleVersion
from whatsnext.i18n import gettext as _
from whatsnext.links import external
from whatsnext.models import Event, EventState, Kind
from whatsnext.services import drafts, events, follows
from whatsnext.services.drafts import Draft
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, editor, mail_preview, rescheduling
from whatsnext.web.organise.editor import TALK
from whatsnext.web.organise.event_form import EventForm, VersionForm
from whatsnext.web.public import events as public_events


@bp.route("/events/new", methods=["GET", "POST"])
def event_new() -> ResponseReturnValue:
    """An empty editor; a first draft needs only a title."""
    offered = events.offered()
    if not offered.series:
        return render_template("organise/events/no_series.html")
    form = EventForm(offered, editor.blank(offered))
    if request.form.get("action") == "preview":
        return editor.show_preview(form, None)
    if request.form.get("action") == "more":
        return editor.show_more(form, None)
    if form.validate_on_submit():
        draft = form.draft()
        try:
            with write():
                event = events.create(draft, clock.now(), form.key)
        except DomainError as error:
            form.refuse_all(error, drafts.problems(draft))
        else:
            return _saved(event)
    return editor.show(form, None)


@bp.route(TALK, methods=["GET", "POST"])
def event_edit(event_id: int) -> ResponseReturnValue:
    """The editor. A published talk is saved at once only if nobody has to hear of it."""
    event = events.get(event_id)
    if event.state is EventState.CANCELLED:
        return render_template("organise/events/cancelled.html", event=event), 409 if request.method == "POST" else 200
    form = EventForm(events.offered(), Draft.of(event), event.version)
    if request.form.get("action") == "preview":
        return editor.show_preview(form, event)
    if request.form.get("action") == "more":
        return editor.show_more(form, event)
    if not form.validate_on_submit():
        return editor.show(form, event)
    if event.state is EventState.PUBLISHED:
        return rescheduling.save_or_ask(event, form)
    return _save_draft(event, form)


def _save_draft(event: Event, form: EventForm) -> ResponseReturnValue:
    draft = form.draft()
    try:
        with write():
            event = events.edit(event.id, draft, form.seen, clock.now())
    except StaleVersion as error:
        form.refuse(error)
        return editor.show_conflict(form, events.get(event.id))
    except DomainError as error:
        form.refuse_all(error, drafts.problems(draft))
        return editor.show(form, events.get(event.id))
    return _saved(event)


def _saved(event: Event) -> Response:
    if request.form.get("action") == "publish":
        return redirect(url_for(".event_publish", event_id=event.id), 303)
    if request.form.get("action") == "look":
        return redirect(url_for(".event_preview", event_id=event.id), 303)
    flash(_("The draft is saved. Only organisers see it."))
    return redirect(url_for(".event_edit", event_id=event.id), 303)


@bp.get(f"{TALK}/preview")
def event_preview(event_id: int) -> ResponseReturnValue:
    """A draft as its public page will be; what is published already has that page."""
    event = events.get(event_id)
    if event.state is not EventState.DRAFT:
        return redirect(url_for("public.event", slug=event.slug), 303)
    return public_events.page(event, preview=True)


@bp.route(f"{TALK}/publish", methods=["GET", "POST"])
def event_publish(event_id: int) -> ResponseReturnValue:
    """What is missing, what would help, and the button that shows the talk to everyone."""
    event, form = events.get(event_id), VersionForm()
    if event.state is not EventState.DRAFT:
        return redirect(url_for(".event_edit", event_id=event_id), 303)
    if form.validate_on_submit():
        try:
            with write():
                events.publish(event_id, form.seen, clock.now())
        except AlreadyPublished:
            return redirect(url_for(".event_edit", event_id=event_id), 303)
        except DomainError as error:
            form.refuse(error)
            event = events.get(event_id)
        else:
            flash(_("The talk is published. Address to share: %(url)s", url=external("public.event", slug=event.slug)))
            return redirect(url_for(".event_edit", event_id=event_id), 303)
    now = clock.now()
    missing, told = events.missing(event, now), follows.number_to_tell(event, now)
    page = render_template(
        "organise/events/publish.html",
        event=event,
        form=form,
        missing=missing,
        told=told,
        letter=mail_preview.to_somebody(Kind.NEWS, event, {}, now) if told and not missing else None,
        advised=events.advised(event),
        address=external("public.event", slug=event.slug),
    )
    return page, form.status


@bp.route(f"{TALK}/duplicate", methods=["GET", "POST"])
def event_duplicate(event_id: int) -> ResponseReturnValue:
    """A new draft with the same words, without date and people."""
    event, form = events.get(event_id), Form()
    if form.validate_on_submit():
        with write():
            copy = events.duplicate(event_id, clock.now(), form.key)
        flash(_("This is the copy. Give it a date."))
        return redirect(url_for(".event_edit", event_id=copy.id), 303)
    return render_template("organise/events/duplicate.html", event=event, form=form), form.status
