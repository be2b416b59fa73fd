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
from sqlalchemy.orm import joinedload, undefer

from whatsnext.db import as_moment, database_clock, database_now, db, plain
from whatsnext.mail.compose import compose, sender
from whatsnext.mail.kinds import KINDS, is_wanted
from whatsnext.mail.mime import build
from whatsnext.mail.wire import BATCH, Parcel
from whatsnext.models import OPEN, SOON, Event, Message, MessageState, Registration

LEASE = timedelta(minutes=5)
"""Longer than all time-outs of one SMTP dialogue together; that much is left whenever a mail begins."""
BATCH_LEASE = LEASE + timedelta(minutes=1)
"""What is lent with others is mostly begun within a minute: its lease need not be renewed then."""
FIRST_PAUSE, LONGEST_PAUSE = 20, 3600
MOMENT = timedelta(milliseconds=250)


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


NOT_WRITTEN = _("This message could not be written. The operator finds the reason in the log.")
UNWANTED = _("The person wants no more messages at this address.")
TOO_LATE = _("The message was no longer of use when it could be sent.")


UNDER_WAY = (MessageState.SENDING, MessageState.SUPERSEDED, MessageState.HELD, MessageState.OWED)
AS_SENT: dict[str, sa.ColumnElement[Any]] = {
    "state": sa.literal_column(f"'{MessageState.SENT}'"),
    "error": sa.literal_column("''"),
    "raw": sa.null(),
    "facts": sa.literal_column("'{}'"),
    "settled_at": sa.bindparam("settled_at", type_=Message.settled_at.type),
}
"""Constants in words of SQL: what is given with each statement has to be looked at each time."""


def stands(state: Any, those: Collection[MessageState]) -> sa.ColumnElement[bool]:
    """Whether the column `state` is one of `those`; the same as IN, in words of SQL."""
    return sa.or_(*(state == sa.literal_column(f"'{each}'") for each in those))


@dataclass(frozen=True)
class Claim:
    """One row lent to one worker: the lease is told by its number of tries."""

    id: int
    tries: int


def anything_due() -> bool:
    """Whether a claim would find something; reads."""
    dialect, given = db.engine.dialect.name, {"now": database_now(), "most": 1}
    return any(plain(_longest(dialect, state), given).first() for state in OPEN)


def claim(limit: int = BATCH, lease: timedelta = BATCH_LEASE) -> list[Claim]:
    """Take what somebody waits for, then the rows longest due, skipping those another worker is taking.

    Each state by itself is an index read from its beginning; all at once PostgreSQL would sort everything that is due.
    """
    dialect, now = db.engine.dialect.name, database_now()
    given = {"now": now, "most": limit}
    found = plain(_longest(dialect, None, lock=True), given).all()
    if len(found) < limit:
        due = [row for state in OPEN for row in plain(_longest(dialect, state, lock=True), given) if row not in found]
        found = [*found, *sorted(due, key=lambda row: (row.not_before, row.id))[: limit - len(found)]]
    claims = [Claim(row.id, row.tries + 1) for row in found]
    if claims:
        plain(_LEND, {"ids": [each.id for each in claims], "lease_ends": now + lease})
    return claims


# Made once, as in waiting_list.py.
@cache
def _longest(_dialect: str, state: MessageState | None, *, lock: bool = False) -> sa.Select[int, int, datetime]:
    """What is longest due in this state; without one, of what somebody waits for."""
    those: Any = sa.text(SOON) if state is None else Message.state == state
    due = (those, Message.not_before <= sa.bindparam("now"))
    rows = sa.select(Message.id, Message.tries, Message.not_before).where(*due)
    first = rows.order_by(Message.not_before, Message.id).limit(sa.bindparam("most", type_=sa.Integer))
    return first.with_for_update(skip_locked=True) if lock else first


_LEND = (
    sa.update(Message)
    .where(Message.id.in_(sa.bindparam("ids", expanding=True)))
    .values(state=MessageState.SENDING, not_before=sa.bindparam("lease_ends"), tries=Message.tries + 1)
)


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
    """The bytes that may have been on the wire already; else from the state of now, whatever an older release kept."""
    if message.raw is None or not message.begun:
        letter = compose(message, now)
        message.subject, message.raw = letter.subject, build(letter)
        if message.registration is not None and letter.stamp is not None:
            message.registration.stamp = letter.stamp
    return message.raw


@cache
def _ours(_dialect: str) -> sa.Select[Any]:
    """The row of a claim while it is lent to it, and the time."""
    mine = (Message.id == sa.bindparam("id"), Message.tries == sa.bindparam("tries"))
    row = sa.select(Message, database_clock().label("now")).where(*mine, Message.state == MessageState.SENDING)
    lock = row.options(undefer(Message.raw)).with_for_update(skip_locked=True, of=Message)
    return lock.execution_options(populate_existing=True)


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
    if (void := why_void(message, now)) is None:
        return False
    message.state, message.error = void
    message.settled_at, message.raw, message.facts = now, None, {}
    return True


def why_void(message: Message, now: datetime) -> tuple[MessageState, str] | None:
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
    .where(Message.id == sa.bindparam("claimed"), Message.tries == sa.bindparam("mine"))
    .where(stands(Message.state, UNDER_WAY))
    .values(**AS_SENT)
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
