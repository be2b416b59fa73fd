"""Erasing a person: places given up, every personal column emptied, a keyed hash left (safety.md D1, D2).

What is emptied comes from what the models declare (`info=personal(...)`): a new personal column of a table named here
is emptied too, one of another table fails the tests until it is named. No mail goes out (docs/decisions/0018).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from whatsnext import tokens
from whatsnext.db import Base, db
from whatsnext.errors import NotFound
from whatsnext.models import (
    UNSETTLED,
    Erasure,
    Event,
    EventState,
    Follow,
    Incoming,
    Kind,
    Message,
    MessageState,
    Person,
    PersonFeed,
    Registration,
    SignedIn,
    SignInLink,
    Status,
)
from whatsnext.permissions import Role
from whatsnext.services import registrations, signup

USE = "erasure"
NOWHERE = "@erased.invalid"
"""A domain that no mail reaches and nobody can type here (RFC 2606)."""
ABOUT_OTHERS = (Kind.FORWARD, Kind.BARRIER_REPORT)
"""Mails to organisers that tell what somebody else wrote."""
ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]*\w", re.ASCII)


@dataclass(frozen=True)
class Erased:
    """What an erasure did: places or places in line given up, and how many of them stand in the person's calendar."""

    given_up: int
    in_calendar: int


@dataclass(frozen=True)
class Whom:
    """Whose rows: those of the person (0: nobody), and those up to `until` that only name the address."""

    person_id: int
    address: str
    until: datetime


# --- the rules: table by table ---------------------------------------------------------------------------


def _own_registrations(person_id: int) -> sa.Select[int]:
    return sa.select(Registration.id).where(Registration.person_id == person_id)


def _mails(whom: Whom) -> sa.ColumnElement[bool]:
    to_address = sa.func.lower(Message.recipient) == whom.address
    told = [message_id for message_id, found in _addresses_told() if whom.address in found]
    return sa.or_(
        Message.person_id == whom.person_id,
        Message.registration_id.in_(_own_registrations(whom.person_id)),
        sa.and_(Message.created_at <= whom.until, sa.or_(to_address, Message.id.in_(told))),
    )


def _incoming(whom: Whom) -> sa.ColumnElement[bool]:
    named = [sa.func.lower(column) == whom.address for column in (Incoming.sender, Incoming.delegate)]
    inside = [mail_id for mail_id, found in _addresses_in_incoming() if whom.address in found]
    return sa.or_(
        Incoming.registration_id.in_(_own_registrations(whom.person_id)),
        sa.and_(Incoming.received_at <= whom.until, sa.or_(*named, Incoming.id.in_(inside))),
    )


EMPTIED: dict[type[Base], Callable[[Whom], sa.ColumnElement[bool]]] = {
    Message: _mails,
    Incoming: _incoming,
    Registration: lambda whom: Registration.person_id == whom.person_id,
    Person: lambda whom: Person.id == whom.person_id,
}
"""Tables whose rows stay for the counts, without anything personal; those that others are found by come last."""
DELETED: dict[type[Base], Callable[[Whom], sa.ColumnElement[bool]]] = {
    Follow: lambda whom: Follow.person_id == whom.person_id,
    PersonFeed: lambda whom: PersonFeed.person_id == whom.person_id,
    SignInLink: lambda whom: SignInLink.person_id == whom.person_id,
    SignedIn: lambda whom: SignedIn.person_id == whom.person_id,
}
KEPT = {
    "speaker": "announced to everyone; known by no address; an organiser deletes the speaker",
    "mailing": "what an organiser wrote to others; its author has no name any more",
    "erasure": "the keyed hash that restoring an older backup needs",
}
"""Tables with something personal, or that point to a person, which an erasure leaves, and why."""


EMPTY: tuple[tuple[type, Any], ...] = ((sa.String, ""), (sa.LargeBinary, None), (sa.JSON, {}))


def blanks(model: type[Base]) -> dict[str, Any]:
    """The personal columns of a table, each with its value when it is empty. Raises LookupError for a type without."""
    return {column.name: _blank(column) for column in model.__table__.columns if "personal" in column.info}


def _blank(column: sa.ColumnElement[Any]) -> Any:
    for kind, value in EMPTY:
        if isinstance(column.type, kind):
            return value
    raise LookupError(f"How is {column} emptied?")


def _besides(model: type[Base], whom: Whom, now: datetime) -> dict[str, Any]:
    """What else changes in a row that is emptied: it must lead nowhere and nothing may go out for it."""
    others: dict[type[Base], dict[str, Any]] = {
        Person: {
            "email": f"erased-{whom.person_id}{NOWHERE}",
            "role": Role.ATTENDEE,
            "proved_at": None,
            "bounced_at": None,
            "blocked_at": now,
        },
        Registration: {
            "form_key": "",
            "browser": "",
            "needs_consent_at": None,
            "proved_at": None,
            "link_generation": Registration.link_generation + 1,
        },
        Message: {
            "state": sa.case((Message.state.in_(UNSETTLED), MessageState.SUPERSEDED), else_=Message.state),
            "settled_at": sa.func.coalesce(Message.settled_at, sa.bindparam("now", now, Message.settled_at.type)),
            "error": "",
        },
        Incoming: {"done_at": sa.func.coalesce(Incoming.done_at, sa.bindparam("now", now, Incoming.done_at.type))},
    }
    return others[model]


# --- erasing ---------------------------------------------------------------------------------------------


def erase(person_id: int, now: datetime) -> Erased:
    """Erase a person. Call inside `write()`. Twice is the same as once. Raises NotFound."""
    person = db.session.get(Person, person_id)
    if person is None:
        raise NotFound
    if person.email.endswith(NOWHERE):
        return Erased(0, 0)
    return erase_address(person.email, now)


def erase_address(address: str, now: datetime) -> Erased:
    """Erase whoever has this address, and what else names it. `address` is normalised. Raises NotFound if nothing does.

    Call inside `write()`. What others wrote in free text stays.
    """
    erased = _erase_until(address, now, now)
    if erased is None:
        raise NotFound
    _note(tokens.keyed_digests(USE, address)[0], now)
    return erased


def coming(address: str, now: datetime) -> Erased:
    """What an erasure would give up; reads."""
    return _count(_coming(db.session.scalar(sa.select(Person.id).where(Person.email == address)) or 0, now))


def _erase_until(address: str, until: datetime, now: datetime) -> Erased | None:
    """None if nothing is there that is as old as `until`. Whoever came back later under the address stays."""
    mine = sa.select(Person.id).where(Person.email == address, Person.created_at <= until)
    person_id = db.session.scalar(mine.with_for_update()) or 0
    whom = Whom(person_id, address, until)
    places = _coming(person_id, now)
    for registration_id, *_rest in places:
        registrations.cancel(registration_id, now)
    db.session.flush()
    changed = [_delete(model, those(whom)) for model, those in DELETED.items()]
    changed += [_empty(model, those(whom), _besides(model, whom, now)) for model, those in EMPTIED.items()]
    _cut_off(person_id)
    db.session.expire_all()
    return _count(places) if any(changed) else None


def _coming(person_id: int, now: datetime) -> list[sa.Row[int, Status, int | None]]:
    """Registrations that take or await a place at a talk to come, in the order in which talks are locked."""
    active = (Registration.person_id == person_id, Registration.status.in_(signup.ACTIVE))
    ahead = (Event.state != EventState.CANCELLED, sa.or_(Event.ends_at.is_(None), Event.ends_at > now))
    chosen = sa.select(Registration.id, Registration.status, Registration.sequence).join(Registration.event)
    return list(db.session.execute(chosen.where(*active, *ahead).order_by(Registration.event_id)))


def _count(places: list[sa.Row[int, Status, int | None]]) -> Erased:
    return Erased(len(places), sum(row.status is Status.CONFIRMED and row.sequence is not None for row in places))


def _delete(model: type[Base], those: sa.ColumnElement[bool]) -> int:
    return _changed(sa.delete(model).where(those))


def _empty(model: type[Base], those: sa.ColumnElement[bool], besides: dict[str, Any]) -> int:
    return _changed(sa.update(model).where(those).values({**blanks(model), **besides}))


def _changed(statement: sa.Update | sa.Delete) -> int:
    done = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast("sa.CursorResult[Any]", done).rowcount


def _cut_off(person_id: int) -> None:
    """Mails and calendars that the person still has name no row here any more."""
    for registration_id in db.session.scalars(_own_registrations(person_id)).all():
        new = {"ref": tokens.random_base32(), "reply_token": tokens.random_base32()}
        _changed(sa.update(Registration).where(Registration.id == registration_id).values(**new))


# --- the ledger ------------------------------------------------------------------------------------------


def ledger() -> dict[str, datetime]:
    """When each keyed hash was last erased; reads."""
    rows = db.session.execute(sa.select(Erasure.digest, Erasure.erased_at).order_by(Erasure.digest))
    return {digest: erased_at for digest, erased_at in rows}  # noqa: C416


def replay(known: Mapping[str, datetime], now: datetime) -> int:
    """Erase again whom a restored database brought back. Call inside `write()`. Returns how many.

    Only what is older than the erasure goes: people may have signed up anew since.
    """
    number = 0
    for address in sorted(set(_addresses())) if known else ():
        times = [known[digest] for digest in tokens.keyed_digests(USE, address) if digest in known]
        if times and _erase_until(address, max(times), now):
            number += 1
    for digest, erased_at in known.items():
        _note(digest, erased_at)
    return number


def _note(digest: str, erased_at: datetime) -> None:
    row = db.session.get(Erasure, digest)
    if row is None:
        db.session.add(Erasure(digest=digest, erased_at=erased_at))
    else:
        row.erased_at = max(row.erased_at, erased_at)


def _addresses() -> Iterator[str]:
    """Every address that stands in a row as such."""
    for column in (Person.email, Message.recipient, Incoming.sender, Incoming.delegate):
        yield from db.session.scalars(sa.select(sa.func.lower(column)).distinct().where(column != "")).all()
    for _row_id, found in itertools.chain(_addresses_told(), _addresses_in_incoming()):
        yield from found


def _addresses_told() -> Iterator[tuple[int, set[str]]]:
    """Which addresses stand in each unsent mail that tells an organiser what somebody else wrote."""
    unsent = (Message.kind.in_(ABOUT_OTHERS), Message.state.in_(UNSETTLED))
    for message_id, facts in db.session.execute(sa.select(Message.id, Message.facts).where(*unsent)).all():
        yield message_id, set(ADDRESS.findall(json.dumps(facts).lower()))


def _addresses_in_incoming() -> Iterator[tuple[int, set[str]]]:
    """Which addresses stand in each mail kept: those of mails too broken to say who sent them are found so."""
    kept = sa.select(Incoming.id, Incoming.raw).where(Incoming.raw.is_not(None))
    for mail_id, raw in db.session.execute(kept).all():
        yield mail_id, set(ADDRESS.findall((raw or b"").decode("utf-8", "replace").lower()))
