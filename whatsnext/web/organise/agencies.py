"""Agencies: list, new, edit, delete."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.services import agencies as all_agencies
from whatsnext.services.series import MANY
from whatsnext.web.forms import Form
from whatsnext.web.organise import agency_form, bp, versions
from whatsnext.web.organise.agency_form import AgencyForm


@bp.get("/agencies")
def agencies() -> ResponseReturnValue:
    rows = all_agencies.listed()
    return render_template("organise/agencies/list.html", rows=rows, many=MANY)


@bp.route("/agencies/new", methods=["GET", "POST"])
def agency_new() -> ResponseReturnValue:
    form = AgencyForm()
    if form.validate_on_submit():
        try:
            with write():
                agency = all_agencies.create(form.details())
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Saved: %(name)s", name=agency.name))
            return redirect(url_for(".agencies"), 303)
    return render_template("organise/agencies/form.html", form=form), form.status


@bp.route("/agencies/<int:agency_id>", methods=["GET", "POST"])
def agency_edit(agency_id: int) -> ResponseReturnValue:
    form = AgencyForm(obj=all_agencies.one(agency_id))
    stale = None
    if form.validate_on_submit():
        try:
            with write():
                all_agencies.change(agency_id, form.details(), form.version.data or 0)
        except DomainError as error:
            stale = versions.refuse(form, error, lambda: all_agencies.one(agency_id), agency_form.FIELDS)
        else:
            flash(_("Saved: %(name)s", name=form.name.data))
            return redirect(url_for(".agencies"), 303)
    return render_template("organise/agencies/form.html", form=form, agency_id=agency_id, stale=stale), form.status


@bp.route("/agencies/<int:agency_id>/delete", methods=["GET", "POST"])
def agency_delete(agency_id: int) -> ResponseReturnValue:
    agency = all_agencies.one(agency_id)
    form = Form()
    if form.validate_on_submit():
        try:
            with write():
                all_agencies.delete(agency_id)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Deleted."))
            return redirect(url_for(".agencies"), 303)
    return render_template("organise/agencies/delete.html", form=form, agency=agency), form.status
