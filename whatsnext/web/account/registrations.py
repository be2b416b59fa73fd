"""My registrations: asks for the address, or shows what the signed-in person is signed up for."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock, links
from whatsnext.i18n import gettext as _
from whatsnext.models import Event, EventState, Mode, Person, Registration, Status
from whatsnext.services import attendance, feeds
from whatsnext.web import errors, guards
from whatsnext.web.account import bp
from whatsnext.web.account.signin import AddressForm, ask
from whatsnext.web.forms import Form
from whatsnext.web.public import cards


@dataclass(frozen=True)
class Row:
    """One registration in the list."""

    title: str
    language: str
    url: str
    when: str
    state: str
    kind: str


@bp.route("/my-registrations", methods=["GET", "POST"])
def registrations() -> ResponseReturnValue:
    person = guards.viewer()
    if person is None:
        return _ask()
    if request.method == "POST":  # from a page made before signing in
        return redirect(url_for("account.registrations"), 303)
    return show(person)


def _ask() -> ResponseReturnValue:
    form = AddressForm()
    if form.validate_on_submit() and (answer := ask(form, form.email.data, url_for("account.registrations"))):
        return answer
    return render_template("account/ask.html", form=form), form.status


def show(person: Person, form: Form | None = None) -> ResponseReturnValue:
    """The list, and the person's own calendar; `form` is a refused press of one of its buttons."""
    mine = attendance.of(person.id, clock.now())
    lists = [
        (_("Coming"), [_row(registration, mine.line) for registration in mine.coming]),
        (_("Waiting list"), [_row(registration, mine.line) for registration in mine.waiting]),
        (_("Past and given up"), [_row(registration, mine.line) for registration in mine.past]),
    ]
    empty = not (mine.coming or mine.waiting)
    talks = errors.next_talks(3) if empty else []
    feed = feeds.own(person.id)
    page = render_template(
        "account/registrations.html",
        person=person,
        lists=lists,
        empty=empty,
        talks=talks,
        form=form,
        calendar=links.external("feeds.mine", secret=feed.secret) if feed else "",
    )
    return page, form.status if form else 200


def _row(registration: Registration, line: dict[int, int]) -> Row:
    words, kind = _state(registration, registration.event, line)
    return Row(
        title=registration.event.title,
        language=registration.event.language,
        url=url_for("attendee.registration", key=registration.ref),
        when=cards.when(registration.event),
        state=words,
        kind=kind,
    )


def _state(registration: Registration, event: Event, line: dict[int, int]) -> tuple[str, str]:
    """How it stands, in words and with the colour of its badge."""
    if event.state is EventState.CANCELLED:
        return _("The talk is cancelled"), "danger"
    match registration.status:
        case Status.CONFIRMED:
            online = registration.mode is Mode.ONLINE
            return (_("You take part: online") if online else _("You take part: on site")), "success"
        case Status.WAITING:
            return _("Waiting list: place %(place)s", place=line[registration.id]), "info"
        case Status.OFFERED:
            return _("A place is offered to you"), "warning"
        case Status.HELD:
            return _("Not confirmed yet"), "warning"
        case Status.CANCELLED | Status.EXPIRED:
            return _("You do not take part"), "info"
