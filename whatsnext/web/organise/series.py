"""Series: list, new, edit, delete."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.services import series as all_series
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, series_form, versions
from whatsnext.web.organise.series_form import SeriesForm


@bp.get("/series")
def series_list() -> ResponseReturnValue:
    return render_template("organise/series/list.html", rows=all_series.listed(), many=all_series.MANY)


@bp.route("/series/new", methods=["GET", "POST"])
def series_new() -> ResponseReturnValue:
    form = series_form.form_for()
    if form.validate_on_submit():
        try:
            with write():
                series = all_series.create(form.details())
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Saved: %(name)s", name=series.name))
            return redirect(url_for(".series_list"), 303)
    return _page(form), form.status


@bp.route("/series/<int:series_id>", methods=["GET", "POST"])
def series_edit(series_id: int) -> ResponseReturnValue:
    series = all_series.one(series_id)
    form = series_form.form_for(series)
    stale = None
    if form.validate_on_submit():
        try:
            with write():
                all_series.change(series_id, form.details(), form.version.data or 0)
        except DomainError as error:
            stale = versions.refuse(form, error, lambda: all_series.one(series_id), series_form.FIELDS)
        else:
            flash(_("Saved: %(name)s", name=form.name.data))
            return redirect(url_for(".series_list"), 303)
    return _page(form, series_id, stale), form.status


@bp.route("/series/<int:series_id>/delete", methods=["GET", "POST"])
def series_delete(series_id: int) -> ResponseReturnValue:
    series = all_series.one(series_id)
    form = Form()
    if form.validate_on_submit():
        try:
            with write():
                all_series.delete(series_id)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Deleted."))
            return redirect(url_for(".series_list"), 303)
    return render_template("organise/series/delete.html", form=form, series=series), form.status


def _page(form: SeriesForm, series_id: int | None = None, stale: list[versions.Row] | None = None) -> str:
    zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
    return render_template("organise/series/form.html", form=form, series_id=series_id, stale=stale, zones=zones)
