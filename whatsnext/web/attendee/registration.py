"""The page of one registration: how it stands, when and where, what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import current_app, render_template, request, url_for

from config import Settings
from whatsnext import clock, i18n, text
from whatsnext.errors import NotFound
from whatsnext.i18n import gettext as _
from whatsnext.models import CancelledBy, Event, Mode, PartStat, Registration, Status
from whatsnext.services import catalogue, participants, registrations, signup, waiting_list
from whatsnext.services.catalogue import Standing
from whatsnext.services.participants import Invited
from whatsnext.services.signup import ACTIVE
from whatsnext.web import access
from whatsnext.web.attendee import bp
from whatsnext.web.public import cards

NOT_OUT = (Invited.ON_ITS_WAY, Invited.LATER, Invited.STOPPED)


@dataclass(frozen=True)
class Standings:
    """How a registration stands, in words."""

    words: str
    kind: str
    more: str = ""


@bp.get("")
def registration(key: str) -> tuple[str, int]:
    """All about one place. Who may not open it learns nothing, not even whether it exists."""
    try:
        opened = access.opened(key)
    except NotFound:
        return render_template("attendee/closed.html"), 404
    return show(opened.registration, key, own=opened.own), 200


def show(mine: Registration, key: str, *, own: bool) -> str:
    """The page; `key` is what stands in the address."""
    talk, now = mine.event, clock.now()
    places = waiting_list.places([talk])[talk.id]
    standing = catalogue.state(talk, places, now)
    joins = mine.status is Status.CONFIRMED and mine.mode is Mode.ONLINE and standing is not Standing.CANCELLED
    coming, confirmed = signup.is_coming(talk, now), mine.status is Status.CONFIRMED
    on = signup.is_on(talk, now) if confirmed else coming
    other = other_way(mine) if on and mine.proved_at else None
    return render_template(
        "attendee/registration.html",
        key=key,
        own=own,
        mine=mine,
        event=talk,
        facts=cards.facts(talk, places, now),
        standing=standing.value,
        moved=catalogue.moved(talk, now),
        stands=_off() if standing is Standing.CANCELLED and mine.status in ACTIVE else stands(mine, places),
        done=_done().get(request.args.get("done", ""), ""),
        active=mine.status in ACTIVE and standing is not Standing.CANCELLED,
        confirmed=confirmed,
        on=on,
        joins=joins and (own or not talk.protected),
        shielded=joins and talk.protected and not own,
        can_undo=registrations.may_undo(mine, now),
        coming=coming,
        over=standing is Standing.PAST,
        other=other,
        other_taken=other is not None and confirmed and not registrations.switch_outlook(mine, other).place,
        invitation=_invitation(mine, talk) if on and confirmed else "",
        answers=participants.part_answers(mine) if confirmed else [],
        rules=_line_rules(talk, now) if mine.status is Status.WAITING else "",
        offer_url=_offer_url(mine),
        masked=text.masked(mine.person.email),
        cards=cards,
        code=" ".join(mine.ref[start : start + 4].upper() for start in range(0, len(mine.ref), 4)),
    )


def stands(mine: Registration, places: cards.AllPlaces) -> Standings:
    """ "Sie nehmen teil: vor Ort", "Warteliste: Platz 3 von 8", …"""
    talk = mine.event
    match mine.status:
        case Status.CONFIRMED:
            return Standings(_("You take part: %(way)s", way=cards.way(mine.mode)), "success")
        case Status.WAITING if mine.proved_at:
            number, of = waiting_list.place_in_line(mine), places[mine.mode].waiting if mine.mode in places else 0
            return Standings(_("Waiting list: number %(number)s of %(all)s", number=number, all=of), "warning")
        case Status.HELD | Status.WAITING:
            ends = i18n.moment(mine.hold_ends_at or mine.created_at, talk.zone)
            return Standings(
                _("Not confirmed yet"),
                "warning",
                _("Press the button behind the link in our message by %(until)s.", until=ends),
            )
        case Status.OFFERED:
            ends = i18n.moment(mine.offer_ends_at or mine.changed_at, talk.zone)
            return Standings(_("A place is kept for you"), "warning", _("Until %(until)s.", until=ends))
        case Status.EXPIRED if mine.cancelled_by is None:
            return Standings(_("Your sign-up was not confirmed in time"), "info")
        case _:
            return _gone(mine)


def _off() -> Standings:
    return Standings(_("The talk is cancelled"), "danger")


def _gone(mine: Registration) -> Standings:
    if mine.cancelled_by is CancelledBy.ORGANISER:
        more = _("The organisers have ended your sign-up. Ask them if this surprises you.")
        return Standings(_("You do not take part"), "info", more)
    if mine.cancelled_by is CancelledBy.ATTENDEE and mine.partstat is PartStat.DECLINED:
        return Standings(_("You do not take part"), "info", _("You have declined the invitation in your calendar."))
    return Standings(_("You do not take part"), "info")


def other_way(mine: Registration) -> Mode | None:
    """The other way to take part, if the talk is held that way too."""
    others = [mode for mode in waiting_list.offered_modes(mine.event) if mode is not mine.mode]
    return others[0] if others and mine.status in (Status.CONFIRMED, Status.WAITING) else None


def _invitation(mine: Registration, talk: Event) -> str:
    """What became of the invitation, as the organisers see it too."""
    state, mail = participants.invitation(mine)
    if mail is None or state in NOT_OUT:
        return "" if mail is None else _("The invitation is on its way.")
    if state is Invited.UNDELIVERED:
        return " ".join(
            [
                _("The invitation could not be delivered. Have it sent again, or ask the organisers."),
                _("Your calendar may show an older state.") if mail.sequence else "",
            ]
        ).strip()
    if state is Invited.OUTDATED:
        return _("Your calendar may show an older state. Have the invitation sent again.")
    if mail.settled_at is None:
        return ""
    sent = i18n.moment(mail.settled_at, talk.zone)
    return " ".join([_("The invitation was sent on %(when)s.", when=sent), _answer(mine)]).strip()


def _answer(mine: Registration) -> str:
    return {
        PartStat.ACCEPTED: _("You have accepted it in your calendar."),
        PartStat.TENTATIVE: _("You have accepted it tentatively in your calendar."),
        PartStat.DECLINED: _("You have declined it in your calendar."),
        PartStat.DELEGATED: _("You have passed it on in your calendar; your place stays with you."),
    }.get(mine.partstat, _("No answer from your calendar yet.") if _settings().reads_answers else "")


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def _line_rules(talk: Event, now: datetime) -> str:
    """What happens to those in line, and until when."""
    if talk.starts_at is None or now >= talk.starts_at:
        return _("The talk has begun; nobody moves up any more.")
    hours = talk.series.promotion_stops_hours
    return _(
        "If a place becomes free, you are in automatically and receive the invitation. You need not do anything. This "
        "holds until %(hours)s hours before the talk; after that we ask you first. Nobody moves up once it has begun.",
        hours=hours,
    )


def _offer_url(mine: Registration) -> str:
    if mine.status is not Status.OFFERED:
        return ""
    return url_for("public.offer", token=registrations.offer_token(mine))


def _done() -> dict[str, str]:
    """What a pressed button has brought, said once above the page."""
    return {
        "confirmed": _("Your sign-up is confirmed."),
        "waiting": _("Your address is confirmed. You are on the waiting list."),
        "taken": _("You have taken the place."),
        "left": _("You have left the waiting list."),
        "cancelled": _("You have given up your place. By mistake? You can take part after all."),
        "undone": _("You are back."),
        "changed": _("Your details are saved."),
        "switched": _("The change is saved."),
        "resent": _("The invitation is sent again."),
        "new-link": _("A new link is on its way to you. The earlier ones no longer work."),
        "kept": _("Nothing has changed."),
    }
