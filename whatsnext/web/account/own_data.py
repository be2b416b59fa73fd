"""The person's own data: what is kept, and the button that erases all of it."""

from __future__ import annotations

from flask import redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.services import erasure
from whatsnext.web import guards
from whatsnext.web.account import bp
from whatsnext.web.forms import Form


@bp.route("/my-registrations/data", methods=["GET", "POST"])
@guards.fresh
def own_data() -> ResponseReturnValue:
    """Whoever plans talks is erased by an operator: the last one would lock everybody out."""
    person, form = guards.viewer(), Form()
    if person is None:
        return redirect(url_for("account.registrations"), 303)
    if form.validate_on_submit() and not guards.may_plan():
        with write():
            erasure.erase(person.id, clock.now())
        session.clear()
        return redirect(url_for("account.erased"), 303)
    given_up = erasure.coming(person.email, clock.now()).given_up
    return render_template("account/own_data.html", form=form, person=person, given_up=given_up), form.status


@bp.route("/erased")
def erased() -> str:
    """After the erasure; nobody is known here any more."""
    return render_template("account/erased.html")
