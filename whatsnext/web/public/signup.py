"""Signing up, proving the address, taking an offered place, asking for silence. A GET changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField

from whatsnext import clock, i18n, text, tokens
from whatsnext.db import db, write
from whatsnext.errors import DomainError, EventFull, LinkExpired, LinkInvalid, TooManyTries, TooSoon
from whatsnext.models import Mode, Person, Registration, Status
from whatsnext.services import blocking, catalogue, registrations, signup, waiting_list
from whatsnext.services.signup import Receipt
from whatsnext.tokens import Purpose
from whatsnext.web import access, asking, guards, ratelimit
from whatsnext.web.choice import ChoiceForm
from whatsnext.web.forms import Form
from whatsnext.web.public import bp, cards, events
from whatsnext.web.public.signup_form import SignUpForm, bare_form, sign_up_form

RESEND_AFTER = timedelta(minutes=1)
SEAL_LASTS = timedelta(hours=24)


class ResendForm(Form):
    """One button; the seal says whose mail."""

    seal = HiddenField()


# --- the form --------------------------------------------------------------------------------------------


@bp.post("/events/<slug>/signup")
def sign_up(slug: str) -> ResponseReturnValue:
    """Take what was typed; a refusal comes back on the talk's page with everything kept."""
    person = guards.viewer()
    form = bare_form(person)
    if form.validate_on_submit():
        secret = asking.secret()
        try:
            receipt = _send(slug, form, person, secret)
        except DomainError as error:
            form.refuse(error)
        else:
            return asking.remember(_answer(slug, receipt), secret)
    return _refused(slug, form), form.status


@bp.get("/events/<slug>/signup")
def sign_up_page(slug: str) -> ResponseReturnValue:
    """Whoever reloads the address of a refused form finds the form again."""
    return redirect(url_for(".event", slug=catalogue.published(slug).slug, _anchor="anmelden"), 303)


def _send(slug: str, form: SignUpForm, person: Person | None, secret: str) -> Receipt:
    """One transaction; what is refused is rolled back and only counted (safety.md: attempts are limited)."""
    address = form.email.data if form.email else ""
    try:
        with write():
            ratelimit.spend(ratelimit.SIGN_UP, address)
            wish = form.wish(browser=tokens.digest(secret), network=ratelimit.network())
            return signup.sign_up(slug, wish, person, clock.now())
    except TooManyTries:
        raise
    except DomainError as error:
        ratelimit.spend(ratelimit.SIGN_UP, address)
        if isinstance(error, EventFull):
            form.show_full({*(form.full.data or "").split(), Mode(form.mode.data)})
        raise


def _refused(slug: str, form: SignUpForm) -> str:
    """The talk's page as it is now, with what was typed: choices and places are counted anew."""
    talk = catalogue.published(slug)
    now_full = sign_up_form(talk, waiting_list.places([talk])[talk.id], guards.viewer())
    form.mode.choices = now_full.mode.choices
    return events.page(talk, form)


def _answer(slug: str, receipt: Receipt) -> Response:
    if receipt.proved:
        return _redirect("attendee.registration", key=receipt.ref)
    return _redirect(".check_mail", slug=slug, seal=_seal(receipt.ref, receipt.masked, receipt.until, clock.now()))


def _redirect(endpoint: str, **values: Any) -> Response:
    response = redirect(url_for(endpoint, **values), 303)
    return current_app.make_response(response)


# --- check your mail -------------------------------------------------------------------------------------


def _seal(ref: str, masked: str, until: datetime, asked: datetime, *, again: bool = False) -> str:
    subject = [ref, masked, until.timestamp(), asked.timestamp(), again]
    return tokens.sign(Purpose.CHECK_MAIL, subject, until + SEAL_LASTS)


def _unsealed(seal: str) -> tuple[str, str, datetime, datetime, bool]:
    g.secret_page = True
    ref, masked, until, asked, again = tokens.read(Purpose.CHECK_MAIL, seal, clock.now())
    return ref, masked, _instant(until), _instant(asked), again


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, clock.now().tzinfo)


@bp.get("/events/<slug>/check-your-mail")
def check_mail(slug: str) -> ResponseReturnValue:
    """Send the person to the mailbox; the same words whoever the address belongs to."""
    return _check_mail(slug, request.args.get("seal", ""), ResendForm())


@bp.post("/events/<slug>/resend")
def resend(slug: str) -> ResponseReturnValue:
    """Send the mail again, after a minute."""
    form = ResendForm()
    ref, masked, until, asked, _again = _unsealed(form.seal.data or "")
    if form.validate_on_submit():
        now = clock.now()
        try:
            if now < asked + RESEND_AFTER:
                raise TooSoon
            ratelimit.spend(ratelimit.RESEND, ref)
            with write():
                signup.resend(ref, now)
        except DomainError as error:
            form.refuse(error)
        else:
            seal = _seal(ref, masked, until, now, again=True)
            return redirect(url_for(".check_mail", slug=slug, seal=seal), 303)
    return _check_mail(slug, form.seal.data or "", form)


def _check_mail(slug: str, seal: str, form: ResendForm) -> ResponseReturnValue:
    _ref, masked, until, _asked, again = _unsealed(seal)
    talk = catalogue.published(slug)
    form.seal.data = seal
    page = render_template(
        "public/signup/check_mail.html",
        event=talk,
        form=form,
        masked=masked,
        until=i18n.moment(until, talk.zone),
        sender=current_app.config["SETTINGS"].sender,
        resent=again and not form.errors,
    )
    return page, form.status


# --- confirm ---------------------------------------------------------------------------------------------


@bp.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    """The page behind the link that proves the address."""
    registration = registrations.by_confirm_token(token, clock.now())
    if registration.proved_at is not None:
        return _known_already(registration)
    form = ChoiceForm()
    if form.validate_on_submit():
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            if form.choice.data == "no":
                return _decline(registration)
            with write():
                registration = signup.confirm(registration.id, clock.now(), renew=form.renew.data == "yes")
        except DomainError as error:
            form.refuse(error)
        else:
            access.remember(registration, own=True)
            done = "waiting" if registration.status is Status.WAITING else "confirmed"
            return redirect(url_for("attendee.registration", key=registration.ref, done=done), 303)
    late, ends = signup.hold_is_over(registration, clock.now()), registration.hold_ends_at
    form.renew.data = "yes" if late else ""
    more = {
        "late": late,
        "declined": signup.was_declined(registration, clock.now()),
        "expired_at": i18n.moment(ends, registration.event.zone) if ends else "",
        "in_line": not late and signup.would_wait(registration),
    }
    return _choice("public/signup/confirm.html", registration, form, **more)


def _decline(registration: Registration) -> Response:
    with write():
        signup.decline_request(registration.id, clock.now())
    return _redirect(".declined")


@bp.get("/declined")
def declined() -> str:
    """After "that was not me"."""
    return render_template("public/signup/declined.html")


def _known_already(registration: Registration) -> Response:
    """A used link shows how the registration stands; one that "new link" has ended shows nothing."""
    if registration.link_generation:
        raise LinkExpired
    return _redirect("attendee.registration", key=registrations.manage_token(registration))


def _choice(template: str, registration: Registration, form: ChoiceForm, **more: Any) -> tuple[str, int]:
    """A page with yes and no: one button where it was asked, else a choice with nothing preselected."""
    talk = registration.event
    places = waiting_list.places([talk])[talk.id]
    page = render_template(
        template,
        form=form,
        registration=registration,
        event=talk,
        standing=catalogue.state(talk, places, clock.now()).value,
        when=cards.when(talk),
        where=cards.where_for(talk, registration.mode),
        asked_here=asking.asked_here(registration),
        **more,
    )
    return page, form.status


# --- an offered place ------------------------------------------------------------------------------------


@bp.route("/offer/<token>", methods=["GET", "POST"])
def offer(token: str) -> ResponseReturnValue:
    """A free place shortly before the talk: take it, or leave the line."""
    now = clock.now()
    registration = registrations.by_offer_token(token, now)
    if registration.status is not Status.OFFERED:
        return _redirect("attendee.registration", key=registrations.manage_token(registration))
    form = ChoiceForm()
    if form.validate_on_submit():
        act = registrations.take_offer if form.choice.data == "yes" else registrations.cancel
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            with write():
                registration = act(registration.id, now)
        except DomainError as error:
            form.refuse(error)
        else:
            access.remember(registration, own=False)
            done = "taken" if form.choice.data == "yes" else "left"
            return redirect(url_for("attendee.registration", key=registration.ref, done=done), 303)
    ends = registration.offer_ends_at or now
    return _choice("public/signup/offer.html", registration, form, until=i18n.moment(ends, registration.event.zone))


# --- no more mails ---------------------------------------------------------------------------------------


@bp.route("/no-more-mails/<token>", methods=["GET", "POST"])
def block(token: str) -> ResponseReturnValue:
    """Whoever gets mails that a stranger caused can end them."""
    now = clock.now()
    person = db.session.get(Person, tokens.read(Purpose.BLOCK, token, now))
    if person is None:
        raise LinkInvalid
    form = ChoiceForm()
    if form.validate_on_submit():
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            if form.choice.data == "yes":
                with write():
                    blocking.block(token, now)
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect(url_for(".blocked" if form.choice.data == "yes" else ".home"), 303)
    page = render_template("public/signup/block.html", form=form, masked=text.masked(person.email))
    return page, form.status


@bp.get("/no-more-mails")
def blocked() -> str:
    """After asking for silence."""
    return render_template("public/signup/blocked.html")
