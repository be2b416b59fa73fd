"""The outbox: what mail is owed to whom. It knows nothing of SMTP.

A row is made in the transaction that causes it; delivery, later and elsewhere, reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.models import UNSETTLED, Event, EventPart, Kind, Mailing, Message, MessageState, Person, Registration

LONGEST = timedelta(hours=48)
UNPROVED = (3, 10)  # mails an hour, a day, to an address nobody has proved
PROVED = (10, 30)
TO_UNPROVED = (Kind.CONFIRMATION_REQUEST, Kind.ALREADY_REGISTERED, Kind.FOLLOW_REQUEST)


def owe(
    kind: Kind,
    now: datetime,
    *,
    registration: Registration | None = None,
    person: Person | None = None,
    event: Event | None = None,
    recipient: str = "",
    language: str = "",
    facts: dict[str, Any] | None = None,
    sequence: int | None = None,
    best_before: datetime | None = None,
    mailing: Mailing | None = None,
    part: EventPart | None = None,
) -> Message:
    """Owe one mail to one address. Call inside `write()`; `now` and `best_before` are UTC.

    The recipient is the stored address of the registration's person, of `person`, or `recipient` itself. Without
    `best_before` the mail lapses after 48 hours, or when the talk ends if that is sooner.
    """
    person = registration.person if registration else person
    event = registration.event if registration else event
    message = Message(
        kind=kind,
        state=MessageState.OWED,
        person=person,
        registration=registration,
        event=event,
        part=part,
        mailing_id=mailing.id if mailing else None,
        recipient=person.email if person else recipient,
        language=(registration.language if registration else language) or (person.language if person else "de"),
        facts=facts or {},
        sequence=sequence,
        created_at=now,
        not_before=now,
        best_before=best_before or _best_before(event, now),
        message_id=new_message_id(),
    )
    db.session.add(message)
    return message


def row(kind: Kind, now: datetime, event: Event, **columns: Any) -> dict[str, Any]:
    """The same as a plain row about one talk, for thousands at once by one INSERT."""
    return {
        "kind": kind,
        "state": MessageState.OWED,
        "event_id": event.id,
        "created_at": now,
        "not_before": now,
        "best_before": _best_before(event, now),
        "tries": 0,
        "unproved": False,
        "subject": "",
        "error": "",
        "message_id": new_message_id(),
        **columns,
    }


def owe_unproved(kind: Kind, now: datetime, registration: Registration, facts: dict[str, Any] | None = None) -> None:
    """Owe a mail that a stranger may have caused, within the limits of safety.md O5; beyond them owe nothing.

    Over the installation's brake a mail to a new address is held until someone releases it.
    """
    best_before = registration.hold_ends_at if kind is Kind.CONFIRMATION_REQUEST else None
    _owe_within_limits(registration.person, kind, now, registration=registration, facts=facts, best_before=best_before)


def owe_unasked(
    kind: Kind, now: datetime, person: Person, *, language: str, facts: dict[str, Any], best_before: datetime
) -> None:
    """The same for a mail about no registration."""
    about: dict[str, Any] = {"person": person, "language": language, "facts": facts, "best_before": best_before}
    _owe_within_limits(person, kind, now, **about)


def _owe_within_limits(owner: Person, kind: Kind, now: datetime, **about: Any) -> None:
    if owner.blocked_at or _enough(owner, now):
        return
    unproved = owner.proved_at is None
    braked = unproved and _braked(now)
    message = owe(kind, now, **about)
    message.unproved = unproved
    if braked:
        message.state = MessageState.HELD


def supersede(registration: Registration, kinds: Collection[Kind]) -> list[Message]:
    """Mark the unsent mails of these kinds as no longer true. Returns them, oldest first."""
    unsent = (
        sa.select(Message)
        .where(Message.registration_id == registration.id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED))
        .order_by(Message.id)
    )
    old = list(db.session.scalars(unsent))
    for message in old:
        message.state = MessageState.SUPERSEDED
        message.raw = None
    return old


def supersede_event(
    event_id: int, kinds: Collection[Kind], now: datetime, about: sa.ColumnElement[bool] | None = None
) -> None:
    """The same for all unsent mails of these kinds about one talk, in one statement; `about` narrows it to a part."""
    unsent = (Message.event_id == event_id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED))
    db.session.execute(
        sa.update(Message)
        .where(*unsent, about if about is not None else sa.true())
        .values(state=MessageState.SUPERSEDED, raw=None, settled_at=now)
    )


def take_unsent(
    event_id: int, kinds: Collection[Kind], now: datetime, about: sa.ColumnElement[bool]
) -> dict[tuple[int, int | None], Message]:
    """The same, and the oldest of them by registration and part."""
    unsent = db.session.scalars(
        sa.select(Message)
        .where(Message.event_id == event_id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED), about)
        .order_by(Message.id.desc())
    )
    oldest = {(m.registration_id, m.part_id): m for m in unsent if m.registration_id is not None}
    supersede_event(event_id, kinds, now, about)
    return oldest


def release_held(now: datetime) -> int:
    """Let the mails go that the brake has held. Returns how many; those past their best-before lapse later.

    What a restore holds has its reason in `error` and stays (services/restored.py).
    """
    result = db.session.execute(
        sa.update(Message)
        .where(Message.state == MessageState.HELD, Message.error == "")
        .values(state=MessageState.OWED, not_before=now)
        .returning(Message.id)
    )
    return len(result.all())


def retry_failed(message_id: int, event_id: int, now: datetime) -> None:
    """Try a mail that failed for good once more. Raises NotFound for one of another talk or not failed."""
    message = db.session.scalar(
        sa.select(Message).where(
            Message.id == message_id, Message.event_id == event_id, Message.state == MessageState.FAILED
        )
    )
    if message is None:
        raise NotFound
    message.state, message.not_before, message.tries, message.error = MessageState.OWED, now, 0, ""
    message.best_before = max(message.best_before, _best_before(message.event, now))


def _enough(person: Person, now: datetime) -> bool:
    """Whether this person has had as many unasked mails as an hour or a day may bring."""
    an_hour, a_day = UNPROVED if person.proved_at is None else PROVED
    newest = db.session.scalars(
        sa.select(Message.created_at)
        .where(
            Message.person_id == person.id, Message.created_at > now - timedelta(days=1), Message.kind.in_(TO_UNPROVED)
        )
        .order_by(Message.created_at.desc())
        .limit(a_day)
    ).all()
    return len(newest) >= a_day or sum(at > now - timedelta(hours=1) for at in newest) >= an_hour


def _braked(now: datetime) -> bool:
    """Whether mails to new addresses reach the limit of this hour; counts no further than the limit."""
    limit: int = current_app.config["SETTINGS"].new_address_mails_per_hour
    recent = (
        sa.select(Message.id)
        .where(Message.unproved, Message.created_at > now - timedelta(hours=1), Message.state != MessageState.HELD)
        .limit(limit)
    )
    return (db.session.scalar(sa.select(sa.func.count()).select_from(recent.subquery())) or 0) >= limit


def _best_before(event: Event | None, now: datetime) -> datetime:
    ends = event.ends_at if event and event.ends_at else None
    return min(now + LONGEST, ends) if ends and ends > now else now + LONGEST


def new_message_id() -> str:
    """A Message-ID of ours that nobody has used before."""
    return f"{tokens.random_base32()}@{str(current_app.config['SETTINGS'].sender).rpartition('@')[2]}"
