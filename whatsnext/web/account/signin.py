"""Signing in by a mailed link or its code, and signing out (safety.md I2, I3, I6, I10)."""

from __future__ import annotations

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, tokens
from whatsnext.db import write
from whatsnext.errors import DomainError, LinkExpired, LinkUsed, TooManyTries, WrongBrowser
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.permissions import Right, Role, may
from whatsnext.services import signin
from whatsnext.web import guards, ratelimit
from whatsnext.web.account import bp
from whatsnext.web.forms import Form, LineField, MailField

BROWSER = "browser"
"""The entry of the cookie that tells the browser in which a sign-in began."""


class AddressForm(Form):
    email = MailField(_l("E-mail address"), render_kw={"autocomplete": "email"})


class CodeForm(Form):
    code = LineField(_l("Code from the message"), longest=40, render_kw={"autocomplete": "one-time-code"})


def browser() -> str:
    """The secret of the browser in which a sign-in began, "" if none began here."""
    return str(session.get(BROWSER, ""))


def ask(form: Form, email: str, target: str) -> ResponseReturnValue | None:
    """Send a link to this address, whoever it belongs to; None if the form must come back with its refusal."""
    secret = browser() or tokens.random_secret()
    try:
        ratelimit.spend(ratelimit.SIGN_IN, email)
        with write():
            mine = target == url_for("account.registrations")
            signin.ask(email, secret, target, clock.now(), registrations=mine)
    except DomainError as error:
        form.refuse(error)
        return None
    session[BROWSER] = secret
    return redirect(url_for("account.sign_in_sent"), 303)


@bp.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    target = guards.own_path(request.args.get("next", ""))
    again = "fresh" in request.args
    person = None if "other" in request.args else guards.viewer()
    if person and not again and request.method == "GET":
        return redirect(target or _start(), 303)
    form = AddressForm(email=person.email if person else "")
    if form.validate_on_submit() and (answer := ask(form, form.email.data, target)):
        return answer
    return render_template("account/sign_in.html", form=form, again=again), form.status


@bp.route("/sign-in/sent", methods=["GET", "POST"])
def sign_in_sent() -> ResponseReturnValue:
    secret = browser()
    if not secret:
        return redirect(url_for("account.sign_in"), 303)
    form = CodeForm()
    if form.validate_on_submit():
        try:
            ratelimit.spend(ratelimit.CODE)
            with write():
                signin.count_try(secret, clock.now())
            with write():
                entry = signin.redeem_code(form.code.data, secret, clock.now())
        except DomainError as error:
            form.refuse(error)
            if isinstance(error, TooManyTries):
                session.pop(BROWSER, None)
        else:
            return _enter(entry)
    return render_template("account/sent.html", form=form), form.status


@bp.route("/sign-in/<token>", methods=["GET", "POST"])
def sign_in_link(token: str) -> ResponseReturnValue:
    form = Form()
    try:
        link = signin.open_link(token, browser(), clock.now())
        if form.validate_on_submit():
            with write():
                entry = signin.redeem_link(token, browser(), clock.now())
            return _enter(entry)
    except WrongBrowser as error:
        return render_template("account/code.html", code=error.facts["code"])
    except (LinkExpired, LinkUsed) as error:
        return _dead_link(token, form, error)
    return render_template("account/link.html", form=form, person=link.person), form.status


def _dead_link(token: str, form: Form, error: DomainError) -> ResponseReturnValue:
    """Say why, and offer a new link to the same address that leads to the same page."""
    if form.validate_on_submit():
        email, target = signin.of_dead_link(token)
        if answer := ask(form, email, target):
            return answer
    return render_template(
        "account/link_over.html", form=form, title=error.message, printed=signin.was_printed(token)
    ), 410 if not form.errors else form.status


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    form = Form()
    if not form.validate_on_submit():
        return render_template("account/sign_out.html", form=form), form.status
    person, secret = guards.viewer(), session.get(guards.SIGNED_IN)
    person_id = person.id if person and request.form.get("action") == "everywhere" else None
    session.clear()
    with write():
        if person_id is not None:
            signin.end_everywhere(person_id)
        elif isinstance(secret, str):
            signin.sign_out(secret)
    return redirect(url_for("public.home"), 303)


def _enter(entry: signin.Entry) -> ResponseReturnValue:
    """Put the new secret in the place of all the cookie held (safety.md I11), and go on."""
    before = session.get(guards.SIGNED_IN)
    where = guards.own_path(entry.target) or _start_of(entry.person.role)
    session.clear()
    session[guards.SIGNED_IN] = entry.secret
    session.permanent = True
    if isinstance(before, str):
        with write():
            signin.sign_out(before)
    return redirect(where, 303)


def _start() -> str:
    person = guards.viewer()
    return _start_of(person.role if person else None)


def _start_of(role: Role | None) -> str:
    return url_for("organise.overview" if may(role, Right.PLAN) else "account.registrations")
