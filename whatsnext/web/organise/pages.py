"""The legal and help pages: a lamp for what is still template text, editing with preview."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import DomainError, StaleVersion
from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.services import pages as texts
from whatsnext.services.pages import Text
from whatsnext.web.forms import Form, TextField
from whatsnext.web.organise import bp
from whatsnext.web.organise.versions import VersionField

NAMES = {"de": _l("German"), "en": _l("English")}


class PageForm(Form):
    body = TextField(_l("Text of the page"), longest=60_000)
    version = VersionField()


@bp.get("/pages")
def pages() -> ResponseReturnValue:
    return render_template("organise/pages/list.html", texts=texts.all_texts(), names=NAMES)


@bp.route("/pages/<slug>/<language>", methods=["GET", "POST"])
def page_edit(slug: str, language: str) -> ResponseReturnValue:
    text = texts.text(slug, language)
    form = PageForm(body=text.source, version=text.version)
    newer = None
    if form.validate_on_submit() and request.form.get("action") != "preview":
        try:
            with write():
                texts.save(slug, language, form.body.data, form.version.data or 0, clock.now())
        except DomainError as error:
            newer = _refuse(form, error, slug, language)
        else:
            flash(_("Saved: %(name)s", name=f"{text.title} ({NAMES[language]})"))
            return redirect(url_for(".pages"), 303)
    shown = texts.fill(form.body.data or "") if request.form.get("action") == "preview" else ""
    page = render_template(
        "organise/pages/edit.html", text=text, form=form, newer=newer, preview=shown, name=NAMES[language]
    )
    return page, form.status


def _refuse(form: PageForm, error: DomainError, slug: str, language: str) -> Text | None:
    """For a stale version the one that was saved meanwhile, which counts as seen from now on."""
    form.refuse(error)
    if not isinstance(error, StaleVersion):
        return None
    newer = texts.text(slug, language)
    form.version.data, form.version.raw_data = newer.version, None
    return newer
