"""The rows of the outbox on their way out: claimed by lease, composed once, marked (docs/decisions, safety.md O).

A row is claimed by raising its `tries` and moving `not_before` to the end of the lease, both by the database's clock.
Whoever still finds its own number there may send and mark it. What is claimed together is written together; each mail
then begins alone, once nothing that it rests on has changed. No transaction is open while the network talks.
All but `anything_due` are called inside `write()`.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased, contains_eager, joinedload, undefer
from sqlalchemy.orm.attributes import set_committed_value

from whatsnext.db import as_moment, database_clock, database_now, db, plain
from whatsnext.mail import contexts
from whatsnext.mail.compose import compose, sender
from whatsnext.mail.kinds import KINDS, is_wanted
from whatsnext.mail.mime import build
from whatsnext.mail.together import batch
from whatsnext.mail.wire import BATCH, Parcel
from whatsnext.models import Event, Message, MessageState, Person, Registration
from whatsnext.services import parts

LEASE = timedelta(minutes=5)
"""Longer than all time-outs of one SMTP dialogue together; renewed before each mail."""
FIRST_PAUSE, LONGEST_PAUSE = 20, 3600
MOMENT = timedelta(milliseconds=250)


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


NOT_WRITTEN = _("This message could not be written. The operator finds the reason in the log.")
UNWANTED = _("The person wants no more messages at this address.")
TOO_LATE = _("The message was no longer of use when it could be sent.")


_UNDER_WAY = (MessageState.SENDING, MessageState.SUPERSEDED, MessageState.HELD, MessageState.OWED)
_AS_SENT: dict[str, sa.ColumnElement[Any]] = {
    "state": sa.literal(MessageState.SENT, Message.state.type),
    "error": sa.literal(""),
    "raw": sa.null(),
    "facts": sa.literal({}, Message.facts.type),
    "settled_at": sa.bindparam("settled_at", type_=Message.settled_at.type),
}


@dataclass(frozen=True)
class Claim:
    """One row lent to one worker: the lease is told by its number of tries."""

    id: int
    tries: int


def _due(now: datetime) -> sa.ColumnElement[bool]:
    open_states = (MessageState.OWED, MessageState.DEFERRED, MessageState.SENDING)
    return sa.and_(Message.state.in_(open_states), Message.not_before <= now)


def anything_due() -> bool:
    """Whether a claim would find something; reads."""
    return db.session.scalar(sa.select(Message.id).where(_due(database_now())).limit(1)) is not None


def claim(limit: int = BATCH, lease: timedelta = LEASE) -> list[Claim]:
    """Take the rows longest due, skipping those another worker is taking."""
    now = database_now()
    longest = (
        sa.select(Message.id, Message.tries)
        .where(_due(now))
        .order_by(Message.not_before, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claims = [Claim(row.id, row.tries + 1) for row in db.session.execute(longest)]
    taken = sa.update(Message).where(Message.id.in_([each.id for each in claims]))
    leased = {"state": MessageState.SENDING, "not_before": now + lease, "tries": Message.tries + 1}
    db.session.execute(taken.values(leased).execution_options(synchronize_session=False))
    return claims


# --- a batch ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """A mail that is written, what it rests on, and until when it may go."""

    parcel: Parcel
    rests_on: dict[str, Any]
    best_before: datetime


def write_all(claims: Collection[Claim], now: datetime) -> dict[int, Ready]:
    """Compose what is claimed and keep it, what the mails share only once. By id of the row.

    Left out is what `prepare` has to look at alone: what someone changes just now, what is void, what is not about a
    registration, and a talk of several parts.
    """
    tries = {each.id: each.tries for each in claims}
    rows = db.session.scalars(_those(db.engine.dialect.name), {"ids": list(tries)}).all()
    ready, written, stamped = {}, [], {}
    with db.session.no_autoflush, batch():
        for message in rows:
            own = contexts.registration_of(message)
            if message.tries != tries[message.id] or parts.several(own.event) or _reason(message, now) is not None:
                continue
            if message.begun and message.raw is not None:
                ready[message.id] = _ready(message, message.raw)
                continue
            letter = compose(message, now)
            raw = build(letter)
            ready[message.id] = _ready(message, raw)
            written.append({"written": message.id, "subject": letter.subject, "raw": raw})
            stamped[own.id] = own.stamp
            set_committed_value(own, "stamp", own.stamp)  # written below, with the others
    if written:
        plain(_WRITTEN, written)
        plain(_STAMPED, [{"stamped": id_, "stamp": stamp} for id_, stamp in stamped.items()])
    return ready


_WRITTEN = (
    sa.update(Message)
    .where(Message.id == sa.bindparam("written"))
    .values(subject=sa.bindparam("subject"), raw=sa.bindparam("raw"))
)
_STAMPED = sa.update(Registration).where(Registration.id == sa.bindparam("stamped")).values(stamp=sa.bindparam("stamp"))


def _ready(message: Message, raw: bytes) -> Ready:
    registration = contexts.registration_of(message)
    about: dict[Any, Any] = {
        Registration: registration,
        Event: registration.event,
        Person: registration.person,
    }
    rests_on = {_name(column): getattr(about[column.class_], column.key) for column in (Registration.id, *RESTS_ON)}
    parcel = Parcel(message.recipient, sender(registration), raw)
    return Ready(parcel, rests_on, KINDS[message.kind].best_before(message))


def begin(connection: sa.Connection, gone: Claim | None, claimed: Claim, ready: Ready, now: datetime) -> bool:
    """Mark the mail that has gone, renew the lease of the next: it may go if all that it rests on is as it was.

    By one statement, outside of any transaction. False if either did not come about: both have to be looked at.
    """
    if now >= ready.best_before:
        return False
    given = {
        "gone": gone.id if gone else NOBODY,
        "gone_tries": gone.tries if gone else 0,
        "claimed": claimed.id,
        "mine": claimed.tries,
        "settled_at": now,
        **ready.rests_on,
    }
    return connection.execute(_begin(db.engine.dialect.name), given).rowcount == (2 if gone else 1)


NOBODY = 0
RESTS_ON = (
    Registration.status,
    Registration.mode,
    Registration.sequence,
    Registration.proved_at,
    Registration.hold_ends_at,
    Registration.offer_ends_at,
    Registration.link_generation,
    Event.state,
    Event.version,
    Event.starts_at,
    Event.ends_at,
    Person.blocked_at,
    Person.bounced_at,
)
"""What `still_true`, `best_before` and `is_wanted` of kinds.py read of a mail that goes through `begin`; its link."""


def _name(column: Any) -> str:
    return f"seen_{column.class_.__tablename__}_{column.key}"


@cache
def _begin(_dialect: str) -> sa.Update:
    """Waits for nobody: whoever holds one of the two rows may be waiting for the other.

    The registration is named, not looked up by the row: PostgreSQL would look through everybody's.
    """
    row, gone = aliased(Message), sa.bindparam("gone", type_=sa.Integer)
    as_it_was = [column.is_not_distinct_from(sa.bindparam(_name(column), type_=column.type)) for column in RESTS_ON]
    about = sa.select(sa.literal(1)).select_from(Registration).join(Registration.event).join(Registration.person)
    same = about.where(Registration.id == sa.bindparam(_name(Registration.id)), *as_it_was).exists()
    mine = (row.id == sa.bindparam("claimed"), row.tries == sa.bindparam("mine"))
    held = (row.state == MessageState.SENDING, row.not_before > database_clock())
    went = (row.id == gone, row.tries == sa.bindparam("gone_tries"), row.state.in_(_UNDER_WAY))
    either = sa.or_(sa.and_(*went), sa.and_(*mine, *held, same))
    both = sa.select(row.id).where(row.id.in_([gone, sa.bindparam("claimed")]), either)
    free = both.with_for_update(skip_locked=True, of=row)
    settled = {
        name: sa.case((Message.id == gone, value), else_=getattr(Message, name)) for name, value in _AS_SENT.items()
    }
    leased = sa.case((Message.id == gone, Message.not_before), else_=database_clock(LEASE))
    return sa.update(Message).where(Message.id.in_(free)).values(**settled, not_before=leased, begun=True)


# --- one mail --------------------------------------------------------------------------------------------


def prepare(claimed: Claim, now: datetime, lease: timedelta = LEASE) -> Parcel | None:
    """The mail of this row, composed once and kept; None if it is not ours any more or need not go.

    Renews the lease. Waits for nobody: a row that someone changes just now is tried a moment later.
    """
    row = db.session.execute(_ours(db.engine.dialect.name), {"id": claimed.id, "tries": claimed.tries}).first()
    if row is None:
        return None
    message: Message = row.Message
    database_time = as_moment(row.now)
    if message.not_before <= database_time:
        return None
    registration = _locked_registration(message.registration_id)
    if registration is None and message.registration_id is not None:
        message.state, message.not_before = MessageState.OWED, database_time + MOMENT
        return None
    with db.session.no_autoflush:
        if _is_void(message, now):
            return None
        if (turn := _waits_until(message, database_time)) is not None:
            message.state, message.not_before = MessageState.OWED, max(turn, database_time) + MOMENT
            return None
        raw = _compose_once(message, now)
        message.not_before, message.begun = database_time + lease, True
        return Parcel(message.recipient, sender(registration), raw)


def _compose_once(message: Message, now: datetime) -> bytes:
    """The bytes that may have been on the wire already; else from the state of now, whatever a batch has written."""
    if message.raw is None or not message.begun:
        letter = compose(message, now)
        message.subject, message.raw = letter.subject, build(letter)
    return message.raw


@cache
def _ours(_dialect: str) -> sa.Select[Any]:
    """The row of a claim while it is lent to it, and the time."""
    mine = (Message.id == sa.bindparam("id"), Message.tries == sa.bindparam("tries"))
    row = sa.select(Message, database_clock().label("now")).where(*mine, Message.state == MessageState.SENDING)
    lock = row.options(undefer(Message.raw)).with_for_update(skip_locked=True, of=Message)
    return lock.execution_options(populate_existing=True)


@cache
def _those(_dialect: str) -> sa.Select[Any]:
    """The rows of a batch that are lent to somebody, in the order in which they were owed, and whom they go to.

    Their talk is mostly the same, so that it is read once and not with each. Nothing has been read before.
    """
    those = (Message.id.in_(sa.bindparam("ids", expanding=True)), Message.state == MessageState.SENDING)
    about = (contains_eager(Message.registration).contains_eager(Registration.person), undefer(Message.raw))
    joined = sa.select(Message).join(Message.registration).join(Registration.person).where(*those).options(*about)
    ordered = joined.order_by(Message.not_before, Message.id)
    return ordered.with_for_update(skip_locked=True, key_share=True, of=[Message, Registration])


def _locked_registration(registration_id: int | None) -> Registration | None:
    """Its `stamp` moves on with each calendar part; None while someone else changes it.

    Whom and what the mail is about is read along with it, and stays read as long as it is kept.
    """
    return db.session.scalar(_whose(), {"id": registration_id}) if registration_id is not None else None


@cache
def _whose() -> sa.Select[Any]:
    talk = joinedload(Registration.event, innerjoin=True)
    about = (
        talk.joinedload(Event.series, innerjoin=True),
        talk.joinedload(Event.theme),
        joinedload(Registration.person, innerjoin=True),
    )
    row = sa.select(Registration).where(Registration.id == sa.bindparam("id")).options(*about)
    lock = row.with_for_update(skip_locked=True, key_share=True, of=Registration)
    return lock.execution_options(populate_existing=True)


def _waits_until(message: Message, database_time: datetime) -> datetime | None:
    """When the mail is tried that has to go before this one: now, if just so. None if there is none.

    A part that leaves the rule of a course means nothing to a calendar that does not hold the course yet.
    """
    if message.part_id is None or message.sequence is None:
        return None
    earlier = (
        sa.select(Message.state, Message.not_before)
        .where(
            Message.registration_id == message.registration_id,
            Message.id < message.id,
            Message.part_id.is_(None),
            Message.sequence.is_not(None),
            Message.state.in_((MessageState.OWED, MessageState.DEFERRED, MessageState.SENDING)),
        )
        .order_by(Message.id)
    )
    row = db.session.execute(earlier).first()
    if row is None:
        return None
    sending: bool = row.state is MessageState.SENDING
    return database_time if sending else row.not_before


def _is_void(message: Message, now: datetime) -> bool:
    """Settle what is no longer of use; what the mail said is forgotten, its subject stays."""
    if (void := _reason(message, now)) is None:
        return False
    message.state, message.error = void
    message.settled_at, message.raw, message.facts = now, None, {}
    return True


def _reason(message: Message, now: datetime) -> tuple[MessageState, str] | None:
    """Why a mail is of no use any more: too late, no longer true, not wanted. None if it is of use."""
    kind = KINDS[message.kind]
    if now >= kind.best_before(message):
        return MessageState.LAPSED, message.error or TOO_LATE
    if not kind.still_true(message):
        return MessageState.SUPERSEDED, ""
    if not is_wanted(message):
        return MessageState.SUPERSEDED, UNWANTED
    return None


def sent(claimed: Claim, now: datetime) -> bool:
    """The server took it. What was superseded, paused or resumed while it went out was sent all the same."""
    given = {"claimed": claimed.id, "mine": claimed.tries, "settled_at": now}
    return plain(_SENT, given).rowcount == 1


_SENT = (
    sa.update(Message)
    .where(Message.id == sa.bindparam("claimed"), Message.tries == sa.bindparam("mine"), Message.state.in_(_UNDER_WAY))
    .values(**_AS_SENT)
)


def failed(claimed: Claim, reason: str, now: datetime) -> bool:
    """The server refused it for good."""
    return _mark(
        claimed, (MessageState.SENDING,), state=MessageState.FAILED, settled_at=now, error=reason, raw=None, facts={}
    )


def put_off(claimed: Claim, reason: str) -> bool:
    """Try again later: the pause doubles, and no two mails wait for the same moment."""
    pause = min(FIRST_PAUSE * 2 ** (claimed.tries - 1), LONGEST_PAUSE) if claimed.tries < 20 else LONGEST_PAUSE
    then = database_now() + timedelta(seconds=pause * random.uniform(0.8, 1.2))  # noqa: S311
    return _mark(claimed, (MessageState.SENDING,), state=MessageState.DEFERRED, error=reason, not_before=then)


def give_back(claims: Collection[Claim]) -> None:
    """Rows that were claimed and not tried: free at once for another worker."""
    now = database_now()
    for each in claims:
        _mark(each, (MessageState.SENDING,), state=MessageState.OWED, not_before=now, tries=each.tries - 1)


def free_what_was_not_begun() -> int:
    """Rows that somebody claimed and whose turn has not come yet: due at once. Returns how many.

    A worker that was killed has left such rows behind. If it lives, it finds that they are not its any more; nothing of
    them has gone out. What has begun may be on the wire: it stays lent until its lease ends.
    """
    freed = db.session.execute(
        sa.update(Message)
        .where(Message.state == MessageState.SENDING, Message.begun.is_(False))
        .values(state=MessageState.OWED, not_before=database_now())
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return len(freed.all())


def _mark(claimed: Claim, states: tuple[MessageState, ...], **values: object) -> bool:
    """Change the row if the lease is still ours. A SENT mail is marked even late: it has gone."""
    table = Message.__table__  # none of these rows is at hand as an object
    mine = (table.c.id == claimed.id, table.c.tries == claimed.tries, table.c.state.in_(states))
    marked = db.session.connection().execute(sa.update(table).where(*mine).values(**values))  # type: ignore[arg-type]
    return marked.rowcount == 1
