"""A registration after it was made: give up, undo, change, switch, take an offer; what organisers do for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import (
    AlreadyCancelled,
    AlreadySignedUp,
    EventFull,
    LineIsOver,
    LinkExpired,
    LinkInvalid,
    LinkUsed,
    ModeNotOffered,
    NotFound,
    OfferLapsed,
)
from whatsnext.models import CancelledBy, Event, EventState, Kind, Mode, Person, Registration, Status
from whatsnext.services import invitations, outbox, people, signup, waiting_list
from whatsnext.tokens import Purpose

OLD_NUMBER_FOR = timedelta(hours=24)
LINK_LASTS = timedelta(days=30)


@dataclass(frozen=True)
class Outlook:
    """What an undo or a switch would bring, said before it happens: a place, or this place in line."""

    place: bool
    line: int


def manage_token(registration: Registration) -> str:
    """The token of the link to one registration: until 30 days after the talk, or until "new link"."""
    ends = _end_of_talk(registration) + LINK_LASTS
    return tokens.sign(Purpose.MANAGE, [registration.id, registration.link_generation], ends)


def _end_of_talk(registration: Registration) -> datetime:
    """Or a year from the sign-up, where the talk has no time."""
    return registration.event.ends_at or registration.created_at + timedelta(days=365)


def by_manage_token(token: str, now: datetime) -> Registration:
    """The registration behind a manage link; reads. Raises LinkInvalid, LinkExpired (also after "new link")."""
    registration_id, generation = tokens.read(Purpose.MANAGE, token, now)
    registration = db.session.get(Registration, registration_id)
    if registration is None:
        raise LinkInvalid
    if registration.link_generation != generation:
        raise LinkExpired
    return registration


def offer_token(registration: Registration) -> str:
    """The token of the link in an offer."""
    return tokens.sign(Purpose.OFFER, [registration.id, registration.arrival], _end_of_talk(registration))


def by_offer_token(token: str, now: datetime) -> Registration:
    """The registration a place was offered to; reads. Raises LinkInvalid, LinkExpired."""
    registration_id, arrival = tokens.read(Purpose.OFFER, token, now)
    registration = db.session.get(Registration, registration_id)
    if registration is None or registration.arrival != arrival:
        raise LinkInvalid
    return registration


def confirm_token(registration: Registration) -> str:
    """The token of the link that proves the address; the hold's end is kept in the database, not in it."""
    return tokens.sign(Purpose.CONFIRM, [registration.id, registration.arrival], _end_of_talk(registration))


def by_confirm_token(token: str, now: datetime) -> Registration:
    """The registration behind a confirm link; reads. Raises LinkInvalid, LinkExpired, LinkUsed (signed up anew)."""
    registration_id, arrival = tokens.read(Purpose.CONFIRM, token, now)
    registration = db.session.get(Registration, registration_id)
    if registration is None:
        raise LinkInvalid
    if registration.arrival != arrival:
        raise LinkUsed
    return registration


def by_ref(ref: str) -> Registration:
    """The registration with this public reference; reads, decides nothing about who may see it. Raises NotFound."""
    registration = db.session.scalar(sa.select(Registration).where(Registration.ref == ref))
    if registration is None:
        raise NotFound
    return registration


def cancel(registration_id: int, now: datetime, by: CancelledBy = CancelledBy.ATTENDEE) -> Registration:
    """Give up a place or a place in line; the next in line moves up in the same transaction.

    What nobody has proved yet is let go without a mail: a stranger may have caused it (safety.md O5).
    Raises AlreadyCancelled, EventCancelled, EventOver (the talk has ended).
    """
    registration = signup.locked(registration_id)
    event = registration.event
    if registration.status not in signup.ACTIVE:
        raise AlreadyCancelled
    signup.refuse_once_over(event, now)
    if registration.proved_at is None and by is CancelledBy.ATTENDEE:
        signup.let_go(registration, now)
        registration.cancelled_by = by
        return registration
    had_place = registration.status is Status.CONFIRMED
    registration.status, registration.cancelled_by = Status.CANCELLED, by
    registration.cancelled_at = registration.changed_at = now
    invitations.withdraw(registration, now, {"by": by.value, "had_place": had_place})
    waiting_list.touch(event)
    waiting_list.fill(event, now)
    return registration


def undo_outlook(registration: Registration, now: datetime) -> Outlook:
    """What an undo would bring now; reads."""
    kept = _keeps_number(registration, now)
    arrival = registration.arrival if kept else registration.event.last_arrival + 1
    return _outlook(registration, registration.mode, arrival)


def switch_outlook(registration: Registration, mode: Mode) -> Outlook:
    """What a switch to `mode` would bring now; reads."""
    return _outlook(registration, mode, registration.arrival)


def may_undo(registration: Registration, now: datetime) -> bool:
    """Whether the person gave up themselves, had proved the address, and the talk is to come; reads."""
    return _gave_up(registration) and signup.is_coming(registration.event, now)


def _gave_up(registration: Registration) -> bool:
    own = registration.status is Status.CANCELLED and registration.cancelled_by is CancelledBy.ATTENDEE
    return own and registration.proved_at is not None


def undo(registration_id: int, now: datetime) -> Registration:
    """Take part after all: a place if one is free, else the place in line of the old number (24 hours; then a new one).

    Raises AlreadyCancelled when an organiser had removed the person, or the address was never proved, EventCancelled,
    EventOver.
    """
    registration = signup.locked(registration_id)
    if registration.status in signup.ACTIVE:
        return registration
    if not _gave_up(registration):
        raise AlreadyCancelled
    signup.refuse_unless_coming(registration.event, now)
    if not _keeps_number(registration, now):
        registration.arrival = waiting_list.next_arrival(registration.event)
    registration.cancelled_at = registration.cancelled_by = None
    _wait_or_settle(registration, now)
    return registration


def change_details(
    registration_id: int, name: str, agency: str, needs: str, now: datetime, *, needs_consent: bool
) -> Registration:
    """Change what the attendee typed. Without consent the needs are not kept."""
    registration = signup.locked(registration_id)
    registration.name, registration.agency = name, agency
    registration.needs = needs if needs_consent else ""
    registration.needs_consent_at = (registration.needs_consent_at or now) if registration.needs else None
    registration.changed_at = now
    if registration.proved_at is not None:
        registration.person.name, registration.person.agency = name, agency
    return registration


def switch_mode(registration_id: int, mode: Mode, now: datetime, *, waiting_ok: bool = False) -> Registration:
    """Take part the other way. Someone with a place keeps it unless the other one is free (else EventFull).

    Someone waiting gets a free place there, or joins the other line with the same number if `waiting_ok`.
    Raises ModeNotOffered, AlreadyCancelled, EventCancelled, EventOver: for someone with a place once the talk has
    ended, for others once it has begun.
    """
    registration = signup.locked(registration_id)
    event = registration.event
    if registration.status not in signup.ACTIVE:
        raise AlreadyCancelled
    has_place = registration.status is Status.CONFIRMED
    (signup.refuse_once_over if has_place else signup.refuse_unless_coming)(event, now)
    if mode not in waiting_list.offered_modes(event):
        raise ModeNotOffered
    if mode is registration.mode:
        return registration
    place = _outlook(registration, mode, registration.arrival).place
    if not place and (has_place or not waiting_ok):
        raise EventFull
    before = registration.mode
    registration.mode, registration.changed_at = mode, now
    if has_place:
        db.session.flush()
        invitations.reinvite(registration, before, now)
        waiting_list.touch(event)
        waiting_list.fill(event, now)
    elif registration.proved_at is None:
        signup.move_unproved(registration, place=place)
        waiting_list.fill(event, now)
    else:
        _wait_or_settle(registration, now)
        waiting_list.fill(event, now)
    return registration


def new_link(registration_id: int, now: datetime) -> Registration:
    """End every link mailed so far and mail a new one."""
    registration = signup.locked(registration_id)
    registration.link_generation += 1
    registration.changed_at = now
    outbox.supersede(registration, (Kind.NEW_LINK,), now)
    outbox.owe(Kind.NEW_LINK, now, registration=registration)
    return registration


def resend_invitation(registration_id: int, now: datetime) -> Registration:
    """Owe the newest invitation again. Raises AlreadyCancelled without a place, EventOver, EventCancelled."""
    registration = signup.locked(registration_id)
    if registration.status is not Status.CONFIRMED:
        raise AlreadyCancelled
    signup.refuse_once_over(registration.event, now)
    invitations.invite_again(registration, now)
    return registration


def trust_address(registration_id: int) -> Registration:
    """An organiser says that mail arrives there again: the mark that a delivery status left goes."""
    registration = signup.locked(registration_id)
    registration.person.bounced_at = None
    return registration


def take_offer(registration_id: int, now: datetime) -> Registration:
    """Take the place that was offered. Twice is the same as once. Raises OfferLapsed, EventCancelled, EventOver."""
    registration = signup.locked(registration_id)
    if registration.status is Status.CONFIRMED:
        return registration
    signup.refuse_unless_coming(registration.event, now)
    if registration.status is not Status.OFFERED or not registration.offer_ends_at or registration.offer_ends_at <= now:
        raise OfferLapsed
    _give_place(registration, Kind.INVITATION, now)
    return registration


def promote(registration_id: int, event_id: int, now: datetime) -> Registration:
    """An organiser gives one waiting person a free place out of turn. Raises LineIsOver without one, NotFound."""
    registration = signup.locked(registration_id)
    if registration.event_id != event_id:
        raise NotFound
    if registration.status is Status.CONFIRMED:
        return registration
    signup.refuse_unless_coming(registration.event, now)
    if registration.status not in (Status.WAITING, Status.OFFERED) or registration.proved_at is None:
        raise AlreadyCancelled
    if registration.status is Status.WAITING and not waiting_list.free_places(registration.event, registration.mode):
        raise LineIsOver
    _give_place(registration, Kind.PROMOTION, now)
    return registration


def add(event_id: int, now: datetime, *, name: str, email: str, agency: str, mode: Mode) -> Registration:
    """An organiser signs someone up: a place if one is free, else a place in line. `email` is normalised.

    Raises AlreadySignedUp, ModeNotOffered, EventCancelled, EventOver, NotFound.
    """
    event = waiting_list.lock(event_id)
    if event.state is EventState.DRAFT:
        raise NotFound
    signup.refuse_unless_coming(event, now)
    if mode not in waiting_list.offered_modes(event):
        raise ModeNotOffered
    person = people.with_address(email, "de", now)
    registration = db.session.scalar(
        sa.select(Registration).where(Registration.event_id == event_id, Registration.person_id == person.id)
    )
    if registration and registration.status in signup.ACTIVE and registration.proved_at:
        raise AlreadySignedUp
    registration = registration or _new(event, person, mode, now)
    registration.mode, registration.name, registration.agency = mode, name, agency
    registration.arrival = waiting_list.next_arrival(event)
    registration.language = person.language
    registration.cancelled_at = registration.cancelled_by = registration.offer_lapsed_at = None
    registration.proved_at = registration.changed_at = now
    registration.network = ""
    _wait_or_settle(registration, now)
    return registration


def _keeps_number(registration: Registration, now: datetime) -> bool:
    """Whether someone who gave up gets the old place in line back: for 24 hours."""
    return registration.cancelled_at is not None and now - registration.cancelled_at <= OLD_NUMBER_FOR


def _wait_or_settle(registration: Registration, now: datetime) -> None:
    registration.status, registration.changed_at = Status.WAITING, now
    db.session.flush()
    signup.settle(registration, now)


def _give_place(registration: Registration, kind: Kind, now: datetime) -> None:
    registration.status = Status.CONFIRMED
    registration.confirmed_at = registration.changed_at = now
    outbox.supersede(registration, (Kind.WAITING, Kind.OFFER), now)
    invitations.invite(registration, kind, now)
    waiting_list.touch(registration.event)


def _outlook(registration: Registration, mode: Mode, arrival: int) -> Outlook:
    ahead = sa.select(sa.func.count()).where(
        Registration.event_id == registration.event_id,
        Registration.mode == mode,
        Registration.status == Status.WAITING,
        Registration.id != registration.id,
        Registration.arrival < arrival,
    )
    event = registration.event
    place = waiting_list.has_place(event, mode, before=arrival)
    return Outlook(place, line=1 + (db.session.scalar(ahead) or 0))


def _new(event: Event, person: Person, mode: Mode, now: datetime) -> Registration:
    """A row for someone new at this event, not yet numbered; its ref and reply token never change."""
    registration = Registration(
        ref=tokens.random_base32(),
        reply_token=tokens.random_base32(),
        event_id=event.id,
        person_id=person.id,
        mode=mode,
        created_at=now,
        changed_at=now,
    )
    db.session.add(registration)
    return registration
