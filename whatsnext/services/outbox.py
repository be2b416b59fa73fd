"""The outbox: what mail is owed to whom. It knows nothing of SMTP.

A row is made in the transaction that causes it; delivery, later and elsewhere, reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from flask import current_app

from whatsnext import tokens
from whatsnext.db import Handed, db, plain
from whatsnext.errors import NotFound
from whatsnext.models import (
    MAY_BE_UNASKED,
    UNSETTLED,
    Event,
    EventPart,
    Kind,
    Mailing,
    Message,
    MessageState,
    Person,
    Registration,
    Status,
)

LONGEST = timedelta(hours=48)
UNPROVED = (3, 10)  # mails an hour, a day, to an address nobody has proved
PROVED = (10, 30)
NEAR_THE_BRAKE = 50
"""More transactions than ever count at the same moment: only this close to the brake they need to count in turn."""
BRAKE_LOCK = 7_341_883


class Unsent(NamedTuple):
    """What a mail was to say that a newer one has taken the place of."""

    kind: Kind
    registration_id: int | None
    part_id: int | None
    facts: dict[str, Any]


def _unasked_since(moment: str) -> sa.ScalarSelect[int]:
    """How many mails that strangers may have caused a person was owed since `moment`."""
    mine = (Message.person_id == sa.bindparam("person"), sa.text(MAY_BE_UNASKED))
    owed = sa.select(sa.func.count()).select_from(Message)
    return owed.where(*mine, Message.created_at > sa.bindparam(moment)).scalar_subquery()


def _to_new_addresses() -> sa.ScalarSelect[int]:
    """How many mails to new addresses this hour has seen; counted no further than `most`."""
    recent = sa.select(Message.id).where(
        Message.unproved, Message.created_at > sa.bindparam("an_hour_ago"), Message.state != MessageState.HELD
    )
    counted = recent.limit(sa.bindparam("most", type_=sa.Integer)).subquery()
    return sa.select(sa.func.count()).select_from(counted).scalar_subquery()


# Made once, as in waiting_list.py.
_OWED_LATELY = sa.select(_unasked_since("an_hour_ago"), _unasked_since("a_day_ago"), _to_new_addresses())
# Not the key: rows of other tables that point to the person may be written meanwhile, without a deadlock.
_ONE_AT_A_TIME = sa.select(Person.id).where(Person.id == sa.bindparam("person")).with_for_update(key_share=True)
_OWE = sa.insert(Message.__table__)  # type: ignore[arg-type]


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
        best_before=best_before or usual_best_before(event, now),
        message_id=new_message_id(),
    )
    db.session.add(message)
    return message


def row(kind: Kind, now: datetime, event: Event | None, **columns: Any) -> dict[str, Any]:
    """The same as a plain row, about one talk or none, for thousands at once by one INSERT."""
    return {
        "kind": kind,
        "state": MessageState.OWED,
        "event_id": event.id if event else None,
        "created_at": now,
        "not_before": now,
        "best_before": usual_best_before(event, now),
        "tries": 0,
        "begun": False,
        "unproved": False,
        "subject": "",
        "error": "",
        "message_id": new_message_id(),
        **columns,
    }


def owe_all(kind: Kind, now: datetime, event: Event, those: sa.ColumnElement[bool], facts: dict[str, Any]) -> int:
    """Owe one mail each to `those` registrations of one talk, in order of arrival, by one statement: thousands at once.

    Whoever has the place is promised their SEQUENCE. Returns how many.
    """
    same = {**row(kind, now, event), "facts": facts}
    del same["message_id"]
    sequence = sa.case((Registration.status == Status.CONFIRMED, Registration.sequence))
    own = {
        "registration_id": Registration.id,
        "person_id": Registration.person_id,
        "recipient": Person.email,
        "language": Registration.language,
        "sequence": sequence,
        "message_id": _random() + sa.literal(_domain()),
    }
    columns = Message.__table__.c
    written = [sa.literal(value, columns[name].type).label(name) for name, value in same.items()]
    chosen = (
        sa.select(*written, *own.values())
        .join(Registration.person)
        .where(Registration.event_id == event.id, those)
        .order_by(Registration.arrival)
    )
    owing = _OWE.from_select([*same, *own], chosen, include_defaults=False)
    counted = db.session.execute(owing.execution_options(preserve_rowcount=True))
    return cast("sa.CursorResult[Any]", counted).rowcount


def _random() -> sa.ColumnElement[str]:
    """At least 122 random bits as 32 characters, made by the database, row by row."""
    if db.engine.dialect.name == "postgresql":
        return sa.func.replace(sa.cast(sa.func.gen_random_uuid(), sa.Text), "-", "", type_=sa.Text)
    return sa.func.lower(sa.func.hex(sa.func.randomblob(16)), type_=sa.Text)


def owe_unproved(kind: Kind, now: datetime, registration: Registration, facts: dict[str, Any] | None = None) -> None:
    """Owe a mail that a stranger may have caused, within the limits of safety.md O5; beyond them owe nothing.

    It takes the place of the one of its kind that is not out yet; if it is not owed, that one stays. Over the
    installation's brake a mail to a new address is held until someone releases it.
    """
    about = {"registration_id": registration.id, "language": registration.language, "facts": facts or {}}
    if kind is Kind.CONFIRMATION_REQUEST and registration.hold_ends_at:
        about["best_before"] = registration.hold_ends_at
    _owe_within_limits(registration.person, kind, now, registration.event, about, replacing=registration)


def ask_to_confirm(
    registration_id: int,
    owner: Person,
    event: Event,
    now: datetime,
    *,
    language: str,
    best_before: datetime,
    made: bool,
) -> None:
    """The same for a registration just written, without reading it again: whether its address wanted this.

    `made`: so is the person, of whom nobody else knows yet.
    """
    about = {"registration_id": registration_id, "language": language, "facts": {}, "best_before": best_before}
    _owe_within_limits(owner, Kind.CONFIRMATION_REQUEST, now, event, about, made=made)


def owe_unasked(
    kind: Kind, now: datetime, person: Person, *, language: str, facts: dict[str, Any], best_before: datetime
) -> None:
    """The same for a mail about no registration."""
    about: dict[str, Any] = {"language": language, "facts": facts, "best_before": best_before}
    _owe_within_limits(person, kind, now, None, about)


def _owe_within_limits(
    owner: Person,
    kind: Kind,
    now: datetime,
    event: Event | None,
    about: dict[str, Any],
    *,
    replacing: Registration | None = None,
    made: bool = False,
) -> None:
    if owner.blocked_at:
        return
    unproved = owner.proved_at is None
    an_hour, a_day = UNPROVED if unproved else PROVED
    brake: int = current_app.config["SETTINGS"].new_address_mails_per_hour
    since = {"an_hour_ago": now - timedelta(hours=1), "a_day_ago": now - timedelta(days=1)}
    given = {"person": owner.id, "most": brake if unproved else 0, **since}
    side_by_side = db.engine.dialect.name == "postgresql"  # on SQLite one writes at a time
    about = {"person_id": owner.id, "recipient": owner.email, "unproved": unproved, **about}
    db.session.flush()
    if made and _owe_first(row(kind, now, event, **about), brake, brake - NEAR_THE_BRAKE * side_by_side, given):
        return
    if side_by_side and not made:
        plain(_ONE_AT_A_TIME, given)
    in_an_hour, in_a_day, to_new = plain(_OWED_LATELY, given).one()
    if side_by_side and unproved and brake - NEAR_THE_BRAKE <= to_new < brake:
        db.session.execute(sa.select(sa.func.pg_advisory_xact_lock(BRAKE_LOCK)))
        in_an_hour, in_a_day, to_new = plain(_OWED_LATELY, given).one()
    if in_an_hour >= an_hour or in_a_day >= a_day:
        return
    if replacing is not None:
        supersede(replacing, (kind,), now)
    state = MessageState.HELD if unproved and to_new >= brake else MessageState.OWED
    plain(_OWE, {**row(kind, now, event, **about), "state": state})


def _owe_first(mail: dict[str, Any], brake: int, near: int, given: dict[str, Any]) -> bool:
    """The same by one statement for a person who was never owed a mail; False, and nothing, from `near` to `brake`."""
    new = {f"new_{name}": value for name, value in mail.items()}
    return plain(_owe_unless_near(tuple(mail)), {"brake": brake, "near": near, **given, **new}).rowcount == 1


@cache
def _owe_unless_near(names: tuple[str, ...]) -> Handed:
    columns, brake = Message.__table__.c, sa.bindparam("brake", type_=sa.Integer)
    counted = sa.select(_to_new_addresses().label("number")).subquery()
    new = {name: sa.bindparam(f"new_{name}", type_=columns[name].type) for name in names}
    held = sa.literal(MessageState.HELD, columns["state"].type)
    values = {**new, "state": sa.case((counted.c.number >= brake, held), else_=new["state"])}
    far = sa.or_(counted.c.number < sa.bindparam("near", type_=sa.Integer), counted.c.number >= brake)
    return Handed(_OWE.from_select(names, sa.select(*values.values()).where(far), include_defaults=False))


def supersede(registration: Registration, kinds: Collection[Kind], now: datetime) -> list[Unsent]:
    """Mark the unsent mails of these kinds as no longer true; what they said is forgotten. Returns it, oldest first."""
    unsent = (
        sa.select(Message)
        .where(Message.registration_id == registration.id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED))
        .order_by(Message.id)
        .with_for_update(of=Message)  # one that is marked as sent just now stays so
    )
    old = list(db.session.scalars(unsent))
    said = [_unsent(message) for message in old]
    for message in old:
        message.state, message.settled_at = MessageState.SUPERSEDED, now
        message.raw, message.facts = None, {}
    return said


def _unsent(message: Message) -> Unsent:
    return Unsent(message.kind, message.registration_id, message.part_id, message.facts)


def supersede_event(
    event_id: int, kinds: Collection[Kind], now: datetime, about: sa.ColumnElement[bool] | None = None
) -> None:
    """The same for all unsent mails of these kinds about one talk, in one statement; `about` narrows it to a part."""
    unsent = (Message.event_id == event_id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED))
    db.session.execute(
        sa.update(Message)
        .where(*unsent, about if about is not None else sa.true())
        .values(state=MessageState.SUPERSEDED, raw=None, facts={}, settled_at=now)
    )


def take_unsent(
    event_id: int, kinds: Collection[Kind], now: datetime, about: sa.ColumnElement[bool]
) -> dict[tuple[int, int | None], Unsent]:
    """The same, and what the oldest of them said, by registration and part."""
    unsent = db.session.scalars(
        sa.select(Message)
        .where(Message.event_id == event_id, Message.kind.in_(kinds), Message.state.in_(UNSETTLED), about)
        .order_by(Message.id.desc())
    )
    oldest = {(m.registration_id, m.part_id): _unsent(m) for m in unsent if m.registration_id is not None}
    supersede_event(event_id, kinds, now, about)
    return oldest


def release_held(now: datetime) -> int:
    """Let the mails go that the brake has held. Returns how many; those past their best-before lapse later.

    What is held for another reason has it in `error` and stays (services/restored.py, services/mailings.py).
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
    message.begun, message.settled_at = False, None
    message.best_before = max(message.best_before, usual_best_before(message.event, now))


def usual_best_before(event: Event | None, now: datetime) -> datetime:
    """48 hours from now, or when the talk ends if that is sooner and still to come."""
    ends = event.ends_at if event and event.ends_at else None
    return min(now + LONGEST, ends) if ends and ends > now else now + LONGEST


def new_message_id() -> str:
    """A Message-ID of ours that nobody has used before."""
    return tokens.random_base32() + _domain()


def _domain() -> str:
    """As a Message-ID ends."""
    return f"@{str(current_app.config['SETTINGS'].sender).rpartition('@')[2]}"
