"""Signing up: take a place or a place in line, prove the address, let unproven holds go (safety.md R3, R5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app

from whatsnext import text, tokens
from whatsnext.db import db, plain
from whatsnext.errors import (
    EventCancelled,
    EventFull,
    EventOver,
    HoldExpired,
    ModeNotOffered,
    NotFound,
    RegistrationClosed,
    RegistrationNotOpen,
)
from whatsnext.models import Event, EventState, Kind, Message, Mode, Person, Registration, Status
from whatsnext.services import holds, invitations, outbox, pages, people, waiting_list

ACTIVE = (Status.HELD, Status.WAITING, Status.OFFERED, Status.CONFIRMED)
RESEND_AFTER = timedelta(minutes=1)

# Made once, as in waiting_list.py.
_AT_THIS_TALK = Registration.event_id == sa.bindparam("event")
_MINE = sa.select(Registration).where(_AT_THIS_TALK, Registration.person_id == sa.bindparam("person"))
_THEIRS = (
    sa.select(Person, Registration)
    .outerjoin(Registration, sa.and_(Registration.person_id == Person.id, _AT_THIS_TALK))
    .where(Person.email == sa.bindparam("email"))
)
_REGISTER = (
    sa.insert(Registration.__table__)  # type: ignore[arg-type]
    .values(notice_version=pages.notice_version(sa.bindparam("spoken", type_=sa.String)))
    .returning(Registration.__table__.c.id)
)


@dataclass(frozen=True)
class Wish:
    """What someone typed. `email` is normalised; `network` is the /24 or /48 it came from, empty for an exempt one.

    `form_key` is the random key of the form, `browser` the digest of the asking browser's cookie.
    """

    name: str
    email: str
    agency: str
    mode: Mode
    language: str = "de"
    waiting_ok: bool = False
    needs: str = ""
    needs_consent: bool = False
    network: str = ""
    form_key: str = ""
    browser: str = ""

    @property
    def key(self) -> str:
        """The same for the same form sent twice; nothing can be learned from it without knowing all of it."""
        typed = repr((self.form_key, self.name, self.email, self.agency, self.mode.value, self.needs))
        return hashlib.sha256(typed.encode()).hexdigest()[:43] if self.form_key else ""


@dataclass(frozen=True)
class Receipt:
    """What the page may say: the same for new, known and blocked addresses. `proved`: no mail needs to be opened."""

    ref: str
    masked: str
    until: datetime
    proved: bool


def sign_up(slug: str, wish: Wish, person: Person | None, now: datetime) -> Receipt:
    """Take a place, or a place in line if `wish.waiting_ok`, for `person` (signed in) or for the address typed.

    Raises NotFound (draft or absent), EventCancelled, EventOver, RegistrationNotOpen, RegistrationClosed,
    ModeNotOffered, EventFull. Owes the invitation, the waiting mail or the request to confirm.
    """
    event = waiting_list.lock_named(slug)
    _refuse_unless_open(event, now)
    if wish.mode not in waiting_list.offered_modes(event):
        raise ModeNotOffered
    email = person.email if person else wish.email
    until = now + _hold_time()
    made = None if person else people.make_new(email, wish.language, now)
    owner, registration = (made, None) if made else _known(event, person, email)
    if registration and wish.key and registration.form_key == wish.key and registration.status in ACTIVE:
        return Receipt(registration.ref, text.masked(email), until, registration.proved_at is not None and bool(person))
    if registration and registration.status in ACTIVE and hold_is_over(registration, now):
        let_go(registration, now)  # the sweep has not come by yet
    place = _has_place(event, wish.mode, now) or (person is not None and _holds(registration, wish.mode))
    if not place and not wish.waiting_ok:
        raise EventFull
    if owner.blocked_at and not person:
        return Receipt(tokens.random_base32(), text.masked(email), until, proved=False)
    if registration and registration.status in ACTIVE:
        _again(registration, wish, now, place=place, signed_in=person is not None)
        ref = registration.ref
    else:
        about = {"place": place, "proved": person is not None, "made": made is not None}
        ref = _register(event, owner, registration, wish, now, **about)
    return Receipt(ref, text.masked(email), until, proved=person is not None)


def resend(ref: str, now: datetime) -> None:
    """Send the newest mail about a registration again, at most once a minute; nothing happens for an unknown one."""
    registration = db.session.scalar(sa.select(Registration).where(Registration.ref == ref))
    if registration is None or registration.status not in ACTIVE:
        return
    kind = Kind.CONFIRMATION_REQUEST if registration.proved_at is None else Kind.ALREADY_REGISTERED
    recent = sa.select(Message.id).where(
        Message.registration_id == registration.id, Message.created_at > now - RESEND_AFTER
    )
    if db.session.scalar(recent.limit(1)) is None:
        outbox.owe_unproved(kind, now, registration)


def hold_is_over(registration: Registration, now: datetime) -> bool:
    """Whether the time to prove the address has run out."""
    late = registration.hold_ends_at is not None and registration.hold_ends_at <= now
    return registration.status is Status.EXPIRED or (registration.proved_at is None and late)


def was_declined(registration: Registration, now: datetime) -> bool:
    """Whether it ended before its time: somebody said that it was not them; reads."""
    early = registration.hold_ends_at is not None and now < registration.hold_ends_at
    return registration.status is Status.EXPIRED and early


def would_wait(registration: Registration) -> bool:
    """Whether proving the address now brings a place in line; reads."""
    return registration.status is Status.WAITING and not _is_next_with_place(registration)


def confirm(registration_id: int, now: datetime, *, renew: bool = False) -> Registration:
    """Prove the address of a registration: a held place becomes a place, a place in line stays one.

    Twice is the same as once. Raises HoldExpired when the hold is over, unless `renew`: then the person signs up
    anew with the same details and the link as proof (RegistrationClosed if it is too late for that). Raises
    EventCancelled, EventOver.
    """
    registration = locked(registration_id)
    event = registration.event
    if registration.proved_at is not None or registration.status is Status.CANCELLED:
        return registration
    refuse_unless_coming(event, now)
    if hold_is_over(registration, now):
        if not renew:
            raise HoldExpired
        _refuse_unless_open(event, now)
        if registration.status is Status.EXPIRED:
            registration.arrival = waiting_list.next_arrival(event)
        registration.status, registration.changed_at = Status.WAITING, now
        db.session.flush()
    prove(registration, now)
    settle(registration, now)
    return registration


def decline_request(registration_id: int, now: datetime) -> None:
    """ "That was not me": an unproven hold goes at once. A proved registration stays as it is."""
    registration = locked(registration_id)
    if registration.proved_at is None and registration.status in ACTIVE:
        let_go(registration, now)


def let_go(registration: Registration, now: datetime) -> None:
    """End an unproved registration; the next in line gets what it held."""
    holds.expire(registration, now)
    waiting_list.touch(registration.event)
    waiting_list.fill(registration.event, now)


def prove(registration: Registration, now: datetime) -> None:
    """The address is proved: what was typed becomes the person's own, the network is forgotten."""
    person = registration.person
    registration.proved_at = registration.changed_at = now
    registration.network = ""
    person.proved_at = person.proved_at or now
    person.blocked_at = None
    person.name, person.agency, person.language = registration.name, registration.agency, registration.language


def settle(registration: Registration, now: datetime) -> None:
    """Give a proved registration what is due: its place, or its place in line, and the mail that says so."""
    event = registration.event
    if registration.status is Status.HELD or _is_next_with_place(registration):
        registration.status = Status.CONFIRMED
        registration.confirmed_at = registration.changed_at = now
        invitations.invite(registration, Kind.INVITATION, now)
    else:
        registration.status = Status.WAITING
        waiting_list.fill(event, now)
        if registration.status is Status.WAITING:
            outbox.supersede(registration, (Kind.CONFIRMATION_REQUEST,), now)
            outbox.owe(Kind.WAITING, now, registration=registration)
            waiting_list.shorten_holds(event, registration.mode)
    waiting_list.touch(event)


def locked(registration_id: int) -> Registration:
    """A registration under its event's lock, as it is now."""
    event_id = db.session.scalar(sa.select(Registration.event_id).where(Registration.id == registration_id))
    if event_id is None:
        raise NotFound
    waiting_list.lock(event_id)
    return db.session.get_one(Registration, registration_id, populate_existing=True)


def is_coming(event: Event, now: datetime) -> bool:
    """Published and not begun yet."""
    return event.state is EventState.PUBLISHED and event.starts_at is not None and now < event.starts_at


def is_on(event: Event, now: datetime) -> bool:
    """Published and not over yet: whoever has a place still needs it."""
    return event.state is EventState.PUBLISHED and event.ends_at is not None and now < event.ends_at


def refuse_once_over(event: Event, now: datetime) -> None:
    """Raise EventCancelled for a talk that is off, EventOver once it has ended."""
    if event.state is EventState.CANCELLED:
        raise EventCancelled
    if event.ends_at is not None and now >= event.ends_at:
        raise EventOver


def refuse_unless_coming(event: Event, now: datetime) -> None:
    """Raise EventCancelled for a talk that is off, EventOver once it has begun."""
    if event.state is EventState.CANCELLED:
        raise EventCancelled
    if event.starts_at is None or now >= event.starts_at:
        raise EventOver


def _refuse_unless_open(event: Event, now: datetime) -> None:
    if event.state is EventState.DRAFT:
        raise NotFound
    refuse_unless_coming(event, now)
    if event.registration_opens and now < event.registration_opens:
        raise RegistrationNotOpen(event.registration_opens, event.zone)
    if event.registration_closes and now >= event.registration_closes:
        raise RegistrationClosed


def _hold_time() -> timedelta:
    return timedelta(minutes=current_app.config["SETTINGS"].seat_hold_minutes)


def _has_place(event: Event, mode: Mode, now: datetime) -> bool:
    if waiting_list.has_place(event, mode):
        return True
    holds.expire_late(event, now)
    return waiting_list.has_place(event, mode)


def _holds(registration: Registration | None, mode: Mode) -> bool:
    return (
        registration is not None
        and registration.status in (Status.HELD, Status.CONFIRMED)
        and registration.mode is mode
    )


def _known(event: Event, person: Person | None, email: str) -> tuple[Person, Registration | None]:
    """Who is signed in, or the person with this address, and what they have at this talk."""
    if person is not None:
        return person, db.session.scalar(_MINE, {"event": event.id, "person": person.id})
    owner, registration = db.session.execute(_THEIRS, {"event": event.id, "email": email}).one()
    return owner, registration


def _again(registration: Registration, wish: Wish, now: datetime, *, place: bool, signed_in: bool) -> None:
    """Signing up again shows or re-sends what exists, by mail only, so that nobody learns who is registered.

    Until the address is proved, what was typed last counts, from the browser that asked first or from whoever is signed
    in; number and end of the hold stay (safety.md R3). A form from elsewhere changes nothing: whoever knows the address
    could take the place away that somebody holds, or speak in their name.
    """
    if registration.proved_at is not None:
        outbox.owe_unproved(Kind.ALREADY_REGISTERED, now, registration)
        return
    if signed_in or (wish.browser and wish.browser == registration.browser):
        _correct(registration, wish, now, place=place)
    if signed_in:
        prove(registration, now)
        settle(registration, now)
    else:
        outbox.owe_unproved(Kind.CONFIRMATION_REQUEST, now, registration)


def _correct(registration: Registration, wish: Wish, now: datetime, *, place: bool) -> None:
    """A need that was named stays if the same person leaves the field empty now, which may be for any reason."""
    same_browser = wish.browser and wish.browser == registration.browser
    for name, value in {**_typed(wish, now), "notice_version": pages.notice_version(wish.language)}.items():
        if not (same_browser and not wish.needs and name.startswith("needs")):
            setattr(registration, name, value)
    registration.changed_at = now
    if registration.mode is not wish.mode:
        registration.mode = wish.mode
        move_unproved(registration, place=place)
        waiting_list.fill(registration.event, now)


def _register(
    event: Event,
    person: Person,
    old: Registration | None,
    wish: Wish,
    now: datetime,
    *,
    place: bool,
    proved: bool,
    made: bool,
) -> str:
    """A new row, or the old one used again. Returns its ref. The new one is read only where more is to be done."""
    may_hold = place and not proved and (old is None or waiting_list.may_hold(old, now))
    holds_it = may_hold and not holds.network_is_full(event, wish.network)
    said: dict[str, Any] = {
        "mode": wish.mode,
        "status": Status.HELD if holds_it else Status.WAITING,
        "arrival": (waiting_list.next_arrival if proved else waiting_list.take_number)(event),
        **_typed(wish, now),
        "network": wish.network,
        "created_at": now,
        "changed_at": now,
        "hold_ends_at": now + _hold_time(),
    }
    if holds_it:
        said["held_at"] = now
    registration_id, ref = _anew(old, said) if old else _first(event, person, said)
    if proved:
        registration = db.session.get_one(Registration, registration_id)
        prove(registration, now)
        db.session.flush()
        settle(registration, now)
    else:
        about = {"language": wish.language, "best_before": said["hold_ends_at"], "made": made}
        outbox.ask_to_confirm(registration_id, person, event, now, **about)
    return ref


def _typed(wish: Wish, now: datetime) -> dict[str, Any]:
    """What a form says of a person; needs without consent are not kept."""
    return {
        "name": wish.name,
        "agency": wish.agency,
        "language": wish.language,
        "needs": wish.needs if wish.needs_consent else "",
        "needs_consent_at": now if wish.needs and wish.needs_consent else None,
        "form_key": wish.key,
        "browser": wish.browser,
    }


def move_unproved(registration: Registration, *, place: bool) -> None:
    """An unproved person chose the other way of taking part: a hold moves along only if a `place` is free there."""
    if registration.status is Status.HELD and not place:
        registration.status = Status.WAITING
    db.session.flush()
    waiting_list.touch(registration.event)


def _anew(registration: Registration, said: dict[str, Any]) -> tuple[int, str]:
    """The person's row as it was, but for what belongs to the earlier sign-up. Returns its id and ref."""
    for name, value in {**said, "notice_version": pages.notice_version(said["language"])}.items():
        setattr(registration, name, value)
    registration.proved_at = registration.cancelled_at = registration.cancelled_by = registration.offer_ends_at = None
    registration.offer_lapsed_at = registration.confirmed_at = None
    return registration.id, registration.ref


def _first(event: Event, person: Person, said: dict[str, Any]) -> tuple[int, str]:
    """A row for someone new at this talk; its ref and reply token never change. Returns its id and ref."""
    ref, reply_token = tokens.random_base32(), tokens.random_base32()
    own = {"ref": ref, "reply_token": reply_token, "event_id": event.id, "person_id": person.id}
    return plain(_REGISTER, {**own, **said, "spoken": said["language"]}).scalar_one(), ref


def _is_next_with_place(registration: Registration) -> bool:
    """Whether a place is free and nobody proved has waited longer."""
    return waiting_list.has_place(registration.event, registration.mode, before=registration.arrival)
