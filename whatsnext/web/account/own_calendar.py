"""The person's own calendar address: made, renewed and deleted by buttons on "My registrations"."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.services import feeds
from whatsnext.web import guards
from whatsnext.web.account import bp
from whatsnext.web.account.registrations import show
from whatsnext.web.forms import Form


@bp.post("/my-registrations/calendar")
def own_calendar() -> ResponseReturnValue:
    person = guards.viewer()
    if person is None:
        return redirect(url_for("account.registrations"), 303)
    form = Form()
    if not form.validate_on_submit():
        return show(person, form)
    with write():
        if request.form.get("action") == "delete":
            feeds.delete(person.id)
        else:
            feeds.renew(person.id, clock.now())
    return redirect(url_for("account.registrations", _anchor="calendar"), 303)
