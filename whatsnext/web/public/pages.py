"""Legal and help pages, "Report a barrier", and how the pages shall look."""

from __future__ import annotations

from flask import current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField

from whatsnext import clock, i18n
from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.services import pages
from whatsnext.web import guards, ratelimit
from whatsnext.web.forms import Form, LineField, TextField
from whatsnext.web.public import bp

APPEARANCE = "wn-appearance"
APPEARANCES = ("light", "dark", "system")
A_YEAR = 365 * 24 * 3600


class BarrierForm(Form):
    page = LineField(_l("Which page?"), longest=300, optional=True)
    words = TextField(_l("What does not work?"), longest=4000)
    contact = LineField(_l("How can we reach you?"), longest=200, optional=True, render_kw={"autocomplete": "email"})
    website = LineField(_l("Website"), optional=True)


class AppearanceForm(Form):
    appearance = SelectField(_l("Appearance"), choices=list(APPEARANCES))
    next = LineField(longest=2000, optional=True)


@bp.get("/pages/<slug>")
def page(slug: str) -> ResponseReturnValue:
    return render_template("public/pages/page.html", page=pages.text(slug, i18n.language()))


@bp.route("/report-barrier", methods=["GET", "POST"])
def report_barrier() -> ResponseReturnValue:
    if "sent" in request.args:
        return render_template("public/pages/barrier_sent.html")
    form = BarrierForm(page=request.args.get("page", "")[:300])
    if form.validate_on_submit():
        try:
            ratelimit.spend(ratelimit.BARRIER)
            if not form.website.data:  # a robot fills every field
                with write():
                    pages.report_barrier(form.page.data, form.words.data, form.contact.data, clock.now())
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect(url_for("public.report_barrier", sent=1), 303)
    return render_template("public/pages/barrier.html", form=form), form.status


@bp.route("/appearance", methods=["GET", "POST"])
def appearance() -> ResponseReturnValue:
    form = AppearanceForm()
    if not form.validate_on_submit():
        return render_template("public/pages/appearance.html", form=form), form.status
    response = redirect(guards.own_path(form.next.data) or url_for("public.home"), 303)
    secure = current_app.config["SETTINGS"].secure
    response.set_cookie(APPEARANCE, form.appearance.data, max_age=A_YEAR, secure=secure, httponly=True, samesite="Lax")
    return response
