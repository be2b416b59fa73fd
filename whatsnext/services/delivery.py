"""How the mails fare: counted by state and by hour, what failed and why. For organisers and operators.

Reads; the number of queries does not grow with the number of mails.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.models import UNSETTLED, JobRun, Message, MessageState, Registration, Status

NAMES = {MessageState.SENT: "sent", MessageState.FAILED: "failed", MessageState.LAPSED: "failed"}
HOURS = 48
SHOWN = 50
LOOK_BACK = timedelta(days=30)
WAITING = (MessageState.OWED, MessageState.SENDING, MessageState.DEFERRED)
SETTLED = tuple(state for state in MessageState if state not in UNSETTLED)
NOT_DELIVERED = (MessageState.FAILED, MessageState.LAPSED)
HEARTBEAT, HEARTBEAT_PERIOD = "expire_holds", 20
"""The most frequent periodic job and its seconds: while any worker runs, its last slot is no older."""
BACKUP = "backup"
"""The row in job_run whose slot is the second of the last verified backup."""


@dataclass(frozen=True)
class Hour:
    """What happened to mails in one hour that begins at `start` (UTC). `deferred`: owed then and waiting still."""

    start: datetime
    sent: int = 0
    deferred: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.deferred + self.failed


def by_state() -> dict[MessageState, int]:
    """How many mails have ever come to each state, all states named. One query, which grows with their number."""
    return _counted(sa.true())


def lately(now: datetime) -> dict[MessageState, int]:
    """The same for the mails that wait, whatever their age, and those settled in the last 30 days. Two queries."""
    settled = _counted(sa.and_(Message.state.in_(SETTLED), Message.settled_at > now - LOOK_BACK))
    waiting = _counted(Message.state.in_(UNSETTLED))
    return {state: settled[state] + waiting[state] for state in MessageState}


def _counted(those: sa.ColumnElement[bool]) -> dict[MessageState, int]:
    rows = db.session.execute(sa.select(Message.state, sa.func.count()).where(those).group_by(Message.state))
    found: dict[MessageState, int] = {state: number for state, number in rows}  # noqa: C416
    return {state: found.get(state, 0) for state in MessageState}


def oldest_owed() -> datetime | None:
    """When the mail that waits longest was owed; None if nothing waits."""
    return db.session.scalar(sa.select(sa.func.min(Message.created_at)).where(Message.state.in_(WAITING)))


def oldest_due(now: datetime) -> datetime | None:
    """Since when the mail longest due waits for a worker; None if nothing is due. It grows where no worker runs."""
    return db.session.scalar(
        sa.select(sa.func.min(Message.not_before)).where(Message.state.in_(WAITING), Message.not_before <= now)
    )


def hours(now: datetime) -> list[Hour]:
    """The last 48 hours, oldest first, the present one last. Two queries, of at most 48 rows for each state."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = last - timedelta(hours=HOURS - 1)
    found: Counter[tuple[datetime, str]] = Counter()
    for column, states in ((Message.settled_at, NAMES), (Message.created_at, {MessageState.DEFERRED: "deferred"})):
        rows = db.session.execute(
            sa.select(Message.state, _hour_of(column).label("hour"), sa.func.count())
            .where(column >= first, Message.state.in_(states))
            .group_by(Message.state, sa.text("hour"))
        )
        for state, hour, number in rows:
            found[_moment(hour), states[state]] += number
    starts = [first + timedelta(hours=number) for number in range(HOURS)]
    return [Hour(each, found[each, "sent"], found[each, "deferred"], found[each, "failed"]) for each in starts]


def _hour_of(column: InstrumentedAttribute[Any]) -> sa.ColumnElement[Any]:
    if db.engine.dialect.name == "postgresql":
        return sa.func.date_trunc("hour", column, "UTC")
    return sa.func.strftime("%Y-%m-%dT%H:00:00+00:00", column)


def _moment(hour: datetime | str) -> datetime:
    """SQLite gives instants as text."""
    return (datetime.fromisoformat(hour) if isinstance(hour, str) else hour).astimezone(UTC)


def not_delivered(now: datetime) -> list[Message]:
    """The newest mails of 30 days that did not arrive, with person, talk and registration. One query."""
    return _newest(sa.and_(Message.state.in_(NOT_DELIVERED), Message.created_at > now - LOOK_BACK))


def deferred() -> list[Message]:
    """The newest mails that are tried again later. One query."""
    return _newest(Message.state == MessageState.DEFERRED)


def _newest(those: sa.ColumnElement[bool]) -> list[Message]:
    """Sorted by a sum, so that the database finds the few by their state and does not go through all by their id."""
    newest = (
        sa.select(Message)
        .where(those)
        .order_by((Message.id + 0).desc())
        .limit(SHOWN)
        .options(joinedload(Message.event), joinedload(Message.registration), joinedload(Message.person))
    )
    return list(db.session.scalars(newest))


def message(event_id: int, message_id: int) -> Message:
    """A mail about this talk. Raises NotFound for one of another talk (safety.md P1)."""
    found = db.session.scalar(sa.select(Message).where(Message.id == message_id, Message.event_id == event_id))
    if found is None:
        raise NotFound
    return found


def braked() -> int:
    """How many mails to new addresses the brake holds (safety.md O5)."""
    held = sa.select(sa.func.count()).select_from(Message)
    return db.session.scalar(held.where(Message.state == MessageState.HELD, Message.error == "")) or 0


# --- machinery -------------------------------------------------------------------------------------------


def last_backup() -> datetime | None:
    """When the last verified backup was taken; None if there never was one."""
    return _second_of(BACKUP, 1)


def note_backup(at: datetime) -> None:
    """A backup of this instant has been verified. Call inside `write()`."""
    row = db.session.get(JobRun, BACKUP)
    if row is None:
        db.session.add(JobRun(name=BACKUP, slot=int(at.timestamp())))
    else:
        row.slot = int(at.timestamp())


def worker_seen() -> datetime | None:
    """When a worker last did its periodic work, to 20 seconds; None if none ever ran."""
    return _second_of(HEARTBEAT, HEARTBEAT_PERIOD)


def _second_of(name: str, period: int) -> datetime | None:
    slot = db.session.scalar(sa.select(JobRun.slot).where(JobRun.name == name))
    return None if slot is None else datetime.fromtimestamp(slot * period, UTC)


def registrations() -> dict[Status, int]:
    """How many registrations are in each state, over all talks."""
    rows = db.session.execute(sa.select(Registration.status, sa.func.count()).group_by(Registration.status))
    found: dict[Status, int] = {status: number for status, number in rows}  # noqa: C416
    return {status: found.get(status, 0) for status in Status}
