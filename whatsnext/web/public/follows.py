"""Following a theme, or the opening of a talk's sign-up, by mail. A GET changes nothing; ending takes one POST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Response, current_app, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField

from whatsnext import clock, i18n, text, tokens
from whatsnext.db import write
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.i18n import language
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Event, Follow, Theme
from whatsnext.services import catalogue, follows, waiting_list
from whatsnext.services.catalogue import Standing
from whatsnext.web import asking, guards, ratelimit
from whatsnext.web.choice import ChoiceForm
from whatsnext.web.forms import Form, MailField
from whatsnext.web.public import bp, cards

ONE_CLICK = "List-Unsubscribe"
"""The one field that a mail program sends, without cookie and form token (RFC 8058 §3.2)."""

Ask = Callable[[str, follows.Asker, datetime], None]


class FollowForm(Form):
    """One address; `website` is the trap for robots, empty for every person."""

    email = MailField(_l("E-mail address"))
    website = StringField(default="")

    def validate(self, extra_validators: object = None) -> bool:
        good = super().validate(extra_validators)
        if self.website.data:
            self.website.data = ""
            self.form_errors.append(_("A hidden field of the form was filled in. We have emptied it; send once more."))
            good = False
        return good


def follow_form() -> FollowForm:
    """The form, with the address of whoever is signed in."""
    person = guards.viewer()
    return FollowForm(data={"email": person.email} if person else None)


# --- asking ----------------------------------------------------------------------------------------------


@bp.route("/themes/<slug>/follow", methods=["GET", "POST"])
def follow_theme(slug: str) -> ResponseReturnValue:
    """Ask for a mail about each new talk of a theme."""
    theme, form = catalogue.theme_named(slug), follow_form()
    return _asked(form, follows.follow_theme, slug) or (_form(form, theme=theme), form.status)


@bp.route("/events/<slug>/remind", methods=["GET", "POST"])
def follow_opening(slug: str) -> ResponseReturnValue:
    """Ask for a mail when sign-up to a talk opens; where it is open already, the talk's page says so."""
    talk, form = catalogue.published(slug), follow_form()
    standing = catalogue.state(talk, waiting_list.places([talk])[talk.id], clock.now())
    if standing is not Standing.ANNOUNCED:
        return redirect(url_for(".event", slug=talk.slug), 303)
    return _asked(form, follows.follow_opening, slug) or (_form(form, talk=talk), form.status)


def _asked(form: FollowForm, ask: Ask, slug: str) -> Response | None:
    """The way on after a form that was taken, the same for every address; None while there is something to show."""
    if not form.validate_on_submit():
        return None
    secret = asking.secret()
    try:
        ratelimit.spend(ratelimit.FOLLOW, form.email.data)
        with write():
            ask(slug, follows.Asker(form.email.data, language(), tokens.digest(secret)), clock.now())
    except DomainError as error:
        form.refuse(error)
        return None
    return asking.remember(make_response(redirect(url_for(".follow_asked"), 303)), secret)


def _form(form: FollowForm, *, theme: Theme | None = None, talk: Event | None = None) -> str:
    opens = i18n.moment(talk.registration_opens, talk.zone) if talk and talk.registration_opens else ""
    when = cards.when(talk) if talk else ""
    return render_template("public/follows/ask.html", form=form, theme=theme, event=talk, opens=opens, when=when)


@bp.get("/follow/check-your-mail")
def follow_asked() -> str:
    """Send the person to the mailbox; the same words whoever the address belongs to."""
    return render_template("public/follows/asked.html", sender=current_app.config["SETTINGS"].sender)


# --- behind the mailed links -----------------------------------------------------------------------------


@bp.route("/follow/<token>", methods=["GET", "POST"])
def follow_confirm(token: str) -> ResponseReturnValue:
    """The page behind the link that proves the wish."""
    follow, form = follows.by_confirm_token(token, clock.now()), ChoiceForm()
    if follow.proved_at is not None or follow.ended_at is not None:
        return _to_page(follow)
    if form.validate_on_submit():
        act = follows.confirm if form.choice.data == "yes" else follows.end
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            with write():
                follow = act(follow.id, clock.now())
        except DomainError as error:
            form.refuse(error)
        else:
            if follows.holds(follow):
                flash(_("Confirmed. You hear from us from now on."))
            return _to_page(follow)
    page = render_template(
        "public/follows/confirm.html", form=form, follow=follow, asked_here=asking.asked_here(follow)
    )
    return page, form.status


def _to_page(follow: Follow) -> Response:
    token = follows.follow_token(follow, clock.now())
    return make_response(redirect(url_for(".following", token=token), 303))


@bp.route("/following/<token>", methods=["GET", "POST"])
def following(token: str) -> ResponseReturnValue:
    """What is followed, and ending it: by a person's choice, or by the one click of a mail program."""
    follow = follows.by_follow_token(token, clock.now())
    if _one_click():
        with write():
            follows.end(follow.id, clock.now())
        return Response(_("Done. You get no more of these messages.") + "\n", mimetype="text/plain")
    form = ChoiceForm()
    if form.validate_on_submit():
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            if form.choice.data == "yes":
                with write():
                    follows.end(follow.id, clock.now())
        except DomainError as error:
            form.refuse(error)
        else:
            return _to_page(follow)
    page = render_template(
        "public/follows/following.html",
        form=form,
        follow=follow,
        holds=follows.holds(follow),
        masked=text.masked(follow.person.email),
        asked_here=asking.asked_here(follow),
    )
    return page, form.status


def _one_click() -> bool:
    return request.method == "POST" and request.form.to_dict(flat=False) == {ONE_CLICK: ["One-Click"]}
