"""Speakers: list, new, edit, delete."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.services import speakers as all_speakers
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, speaker_form, versions
from whatsnext.web.organise.speaker_form import SpeakerForm


@bp.get("/speakers")
def speakers() -> ResponseReturnValue:
    rows = all_speakers.listed()
    return render_template("organise/speakers/list.html", rows=rows)


@bp.route("/speakers/new", methods=["GET", "POST"])
def speaker_new() -> ResponseReturnValue:
    form = speaker_form.form_for()
    if form.validate_on_submit() and not _previews():
        try:
            with write():
                speaker = all_speakers.create(form.details())
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Saved: %(name)s", name=speaker.name))
            return redirect(url_for(".speakers"), 303)
    return _page(form), form.status


@bp.route("/speakers/<int:speaker_id>", methods=["GET", "POST"])
def speaker_edit(speaker_id: int) -> ResponseReturnValue:
    form = speaker_form.form_for(all_speakers.one(speaker_id))
    stale = None
    if form.validate_on_submit() and not _previews():
        try:
            with write():
                all_speakers.change(speaker_id, form.details(), form.version.data or 0)
        except DomainError as error:
            stale = versions.refuse(form, error, lambda: all_speakers.one(speaker_id), speaker_form.FIELDS)
        else:
            flash(_("Saved: %(name)s", name=form.name.data))
            return redirect(url_for(".speakers"), 303)
    return _page(form, speaker_id, stale), form.status


@bp.route("/speakers/<int:speaker_id>/delete", methods=["GET", "POST"])
def speaker_delete(speaker_id: int) -> ResponseReturnValue:
    speaker = all_speakers.one(speaker_id)
    form = Form()
    if form.validate_on_submit():
        try:
            with write():
                all_speakers.delete(speaker_id)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Deleted."))
            return redirect(url_for(".speakers"), 303)
    return render_template("organise/speakers/delete.html", form=form, speaker=speaker), form.status


def _previews() -> bool:
    return request.form.get("action") == "preview"


def _page(form: SpeakerForm, speaker_id: int | None = None, stale: list[versions.Row] | None = None) -> str:
    return render_template(
        "organise/speakers/form.html", form=form, speaker_id=speaker_id, stale=stale, previews=_previews()
    )
