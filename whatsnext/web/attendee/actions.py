"""What an attendee can do: each a page that says what will happen, and a button (GET changes nothing).

Behind a mailed link the page asks for a choice with nothing preselected; where a person has chosen before, one button
is enough (safety.md I2). After the button the address holds the ref instead of the secret (I6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, text
from whatsnext.db import write
from whatsnext.errors import DomainError, NotFound
from whatsnext.i18n import gettext as _
from whatsnext.models import Mode, Registration, Status
from whatsnext.services import registrations, waiting_list
from whatsnext.services.signup import ACTIVE
from whatsnext.web import access, ratelimit
from whatsnext.web.access import Access
from whatsnext.web.attendee import bp
from whatsnext.web.attendee.registration import other_way
from whatsnext.web.attendee.registration_form import DetailsForm
from whatsnext.web.choice import ChoiceForm
from whatsnext.web.public import cards


@dataclass(frozen=True)
class Act:
    """The words of one page: heading, what will happen, the two answers, the button.

    `waiting`: it promises a line; `way`: the way to take part that it promises.
    """

    heading: str
    says: list[str]
    question: str
    yes: str
    no: str
    button: str
    possible: bool = True
    waiting: bool = False
    way: Mode | None = None


Words = Callable[[Registration], Act]


@bp.route("/cancel", methods=["GET", "POST"])
def cancel(key: str) -> ResponseReturnValue:
    """Give up the place, or leave the line."""
    opened = access.opened(key)
    if request.method == "GET" and opened.registration.status not in ACTIVE:
        return _as_it_is(key)
    done = "cancelled" if opened.registration.status is Status.CONFIRMED else "left"
    return _act(key, opened, _cancelling, done, _cancel)


@bp.route("/undo", methods=["GET", "POST"])
def undo(key: str) -> ResponseReturnValue:
    """Take part after all; the page says beforehand what that will bring."""
    opened = access.opened(key)
    return _act(key, opened, _undoing, "undone", _undo)


@bp.route("/switch", methods=["GET", "POST"])
def switch(key: str) -> ResponseReturnValue:
    """Take part the other way."""
    opened = access.opened(key)
    if not opened.own:
        return _prove_first(key, opened)
    other = other_way(opened.registration)
    if other is None:
        raise NotFound

    def act(registration_id: int, form: ChoiceForm) -> Registration:
        waiting_ok = form.waiting.data == "yes"
        wanted = Mode(form.way.data) if form.way.data in list(Mode) else other
        return registrations.switch_mode(registration_id, wanted, clock.now(), waiting_ok=waiting_ok)

    return _act(key, opened, lambda mine: _switching(mine, other), "switched", act)


@bp.route("/resend-invitation", methods=["GET", "POST"])
def resend_invitation(key: str) -> ResponseReturnValue:
    """Send the newest invitation again."""
    opened = access.opened(key)
    words = Act(
        heading=_("Send the invitation again"),
        says=[
            _("We send the newest invitation to %(address)s.", address=text.masked(opened.registration.person.email))
        ],
        question=_("Send the invitation again?"),
        yes=_("Yes, send it again"),
        no=_("No, change nothing"),
        button=_("Send the invitation again"),
    )
    return _act(key, opened, lambda _mine: words, "resent", _resend)


@bp.route("/new-link", methods=["GET", "POST"])
def new_link(key: str) -> ResponseReturnValue:
    """End every link mailed so far and mail a new one."""
    if request.args.get("sent"):
        return render_template("attendee/new_link_sent.html")
    opened = access.opened(key)
    words = Act(
        heading=_("Have a new link sent"),
        says=[_("Has someone else got your link? We send a new one to your address; all earlier links stop working.")],
        question=_("Have a new link sent?"),
        yes=_("Yes, send a new link"),
        no=_("No, change nothing"),
        button=_("Send a new link"),
    )
    return _act(key, opened, lambda _mine: words, "new-link", _new_link)


@bp.route("/change", methods=["GET", "POST"])
def change(key: str) -> ResponseReturnValue:
    """Change what was typed at sign-up. Whoever only has the link does not even see it (safety.md I5)."""
    opened = access.opened(key)
    mine = opened.registration
    if request.method == "GET" and mine.status not in ACTIVE:
        return _as_it_is(key)
    if not opened.own:
        return _prove_first(key, opened)
    form = DetailsForm(data={**_details(mine), "needs_consent": bool(mine.needs)})
    if form.validate_on_submit():
        typed = {"name": form.name.data, "agency": form.agency.data, "needs": form.needs.data or ""}
        if typed == _details(mine):
            return _done(mine, opened, "kept")
        with write():
            mine = registrations.change_details(
                mine.id, **typed, now=clock.now(), needs_consent=bool(form.needs_consent.data)
            )
        return _done(mine, opened, "changed")
    return render_template("attendee/change.html", form=form, key=key, event=mine.event), form.status


def _as_it_is(key: str) -> ResponseReturnValue:
    """There is nothing to do any more: the page says why, and what can be done instead."""
    return redirect(url_for(".registration", key=key), 303)


def _details(mine: Registration) -> dict[str, str]:
    return {"name": mine.name, "agency": mine.agency, "needs": mine.needs}


# --- one page for all of them ----------------------------------------------------------------------------


def _act(
    key: str, opened: Access, words: Words, done: str, act: Callable[[int, ChoiceForm], Registration]
) -> ResponseReturnValue:
    mine, form = opened.registration, ChoiceForm()
    if form.validate_on_submit():
        if form.choice.data == "no":
            return redirect(url_for(".registration", key=key, done="kept"), 303)
        try:
            ratelimit.spend(ratelimit.CONFIRM)
            with write():
                mine = act(mine.id, form)
        except DomainError as error:
            form.refuse(error)
        else:
            return _done(mine, opened, done)
    said = words(mine)
    form.waiting.data, form.way.data = "yes" if said.waiting else "", said.way or ""
    page = render_template(
        "attendee/act.html",
        key=key,
        sure=opened.sure,
        words=said,
        form=form,
        event=mine.event,
        when=cards.when(mine.event),
        where=cards.where_for(mine.event, mine.mode),
    )
    return page, form.status


def _done(mine: Registration, opened: Access, done: str) -> ResponseReturnValue:
    if done == "new-link" and not opened.own:
        return redirect(url_for(".new_link", key=mine.ref, sent=1), 303)
    access.remember(mine, own=opened.own)
    return redirect(url_for(".registration", key=mine.ref, done=done), 303)


def _prove_first(key: str, opened: Access) -> ResponseReturnValue:
    """More than the link allows: sign in with the registered address first."""
    back = (request.script_root + request.path).replace(key, opened.registration.ref)
    return render_template(
        "attendee/prove.html",
        event=opened.registration.event,
        masked=text.masked(opened.registration.person.email),
        sign_in=url_for("account.sign_in", next=back),
        back=url_for(".registration", key=key),
    )


def _cancel(registration_id: int, _form: ChoiceForm) -> Registration:
    return registrations.cancel(registration_id, clock.now())


def _undo(registration_id: int, _form: ChoiceForm) -> Registration:
    return registrations.undo(registration_id, clock.now())


def _resend(registration_id: int, _form: ChoiceForm) -> Registration:
    return registrations.resend_invitation(registration_id, clock.now())


def _new_link(registration_id: int, _form: ChoiceForm) -> Registration:
    return registrations.new_link(registration_id, clock.now())


# --- their words -----------------------------------------------------------------------------------------


def _cancelling(mine: Registration) -> Act:
    keep = _("No, I keep it")
    if mine.status is Status.CONFIRMED:
        return Act(
            heading=_("Give up my place"),
            says=[_whose_it_becomes(mine, clock.now())],
            question=_("Do you want to give up your place?"),
            yes=_("Yes, I give it up"),
            no=keep,
            button=_("Give up my place"),
        )
    return Act(
        heading=_("Leave the waiting list"),
        says=[_("You give up your place in line.")],
        question=_("Do you want to leave the waiting list?"),
        yes=_("Yes, I leave the waiting list"),
        no=keep,
        button=_("Leave the waiting list"),
    )


def _whose_it_becomes(mine: Registration, now: datetime) -> str:
    event = mine.event
    if event.starts_at is None or not waiting_list.next_in_line(event, mine.mode, event.starts_at, now):
        return _("Your place becomes free, and the entry leaves your calendar.")
    if waiting_list.asks_first(event.series, event.starts_at, now):
        return _("Your place is offered to the next in line, and the entry leaves your calendar.")
    return _("Your place goes to the next in line, and the entry leaves your calendar.")


def _undoing(mine: Registration) -> Act:
    outlook = registrations.undo_outlook(mine, clock.now())
    says = (
        _("A place is free. You get it back, and a new invitation.")
        if outlook.place
        else _("The place has been taken. You get on the waiting list, number %(number)s.", number=outlook.line)
    )
    return Act(
        heading=_("Take part after all"),
        says=[says],
        question=_("Do you want to take part after all?"),
        yes=_("Yes, I take part"),
        no=_("No, change nothing"),
        button=_("Take part after all"),
    )


def _switching(mine: Registration, other: Mode) -> Act:
    outlook = registrations.switch_outlook(mine, other)
    online = other is Mode.ONLINE
    confirmed = mine.status is Status.CONFIRMED
    if outlook.place:
        says = _("A place is free. You get an invitation with the new details.")
    elif confirmed:
        says = _("All places are taken there. You keep the place you have.")
    else:
        says = _(
            "All places are taken there too. You get on the other waiting list, number %(number)s.", number=outlook.line
        )
    return Act(
        heading=_("Take part online instead") if online else _("Take part on site instead"),
        says=[says],
        question=_("Do you want to take part online instead?") if online else _("Do you want to come instead?"),
        yes=_("Yes, online") if online else _("Yes, on site"),
        no=_("No, change nothing"),
        button=_("Take part online instead") if online else _("Take part on site instead"),
        possible=outlook.place or not confirmed,
        waiting=not outlook.place and not confirmed,
        way=other,
    )
