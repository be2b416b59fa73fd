"""Themes: list, new, edit, delete."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.models import Theme
from whatsnext.services import themes as all_themes
from whatsnext.services.series import MANY
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp, theme_form, versions
from whatsnext.web.organise.theme_form import ThemeForm


@bp.get("/themes")
def themes() -> ResponseReturnValue:
    colours = dict(theme_form.COLOURS)
    rows = all_themes.listed()
    return render_template("organise/themes/list.html", rows=rows, colours=colours, many=MANY)


@bp.route("/themes/new", methods=["GET", "POST"])
def theme_new() -> ResponseReturnValue:
    form = theme_form.form_for()
    if not form.series_id.choices:
        flash(_("Create a series first; every theme belongs to one."))
        return redirect(url_for(".series_new"), 303)
    if form.validate_on_submit() and not _previews():
        try:
            with write():
                theme = all_themes.create(form.details(form.series_id.data))
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Saved: %(name)s", name=theme.name))
            return redirect(url_for(".themes"), 303)
    return _page(form), form.status


@bp.route("/themes/<int:theme_id>", methods=["GET", "POST"])
def theme_edit(theme_id: int) -> ResponseReturnValue:
    theme = all_themes.one(theme_id)
    form = theme_form.form_for(theme)
    stale = None
    if form.validate_on_submit() and not _previews():
        try:
            with write():
                all_themes.change(theme_id, form.details(theme.series_id), form.version.data or 0)
        except DomainError as error:
            stale = versions.refuse(form, error, lambda: all_themes.one(theme_id), theme_form.FIELDS)
        else:
            flash(_("Saved: %(name)s", name=form.name.data))
            return redirect(url_for(".themes"), 303)
    return _page(form, theme, stale), form.status


@bp.route("/themes/<int:theme_id>/delete", methods=["GET", "POST"])
def theme_delete(theme_id: int) -> ResponseReturnValue:
    theme = all_themes.one(theme_id)
    form = Form()
    if form.validate_on_submit():
        try:
            with write():
                all_themes.delete(theme_id)
        except DomainError as error:
            form.refuse(error)
        else:
            flash(_("Deleted."))
            return redirect(url_for(".themes"), 303)
    return render_template("organise/themes/delete.html", form=form, theme=theme), form.status


def _previews() -> bool:
    return request.form.get("action") == "preview"


def _page(form: ThemeForm, theme: Theme | None = None, stale: list[versions.Row] | None = None) -> str:
    return render_template("organise/themes/form.html", form=form, theme=theme, stale=stale, previews=_previews())
