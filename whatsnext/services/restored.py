"""After a restore or on a copy: nothing goes out until someone has looked, and what does wins in every calendar (O4).

Between the backup and the restore mails may have gone out that the database no longer knows of. So everything unsent is
held, each with a new Message-ID, and the next SEQUENCE of every talk lies far above any that may have been sent.
The same where the installation has another address than at its last start: it may be a copy, and the original goes on
sending.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config import LOOPBACK_NAMES
from whatsnext import tokens
from whatsnext.db import db
from whatsnext.models import UNSETTLED, Event, EventState, JobRun, Kind, Message, MessageState, Registration, Status
from whatsnext.services import invitations, outbox, reminders

FAR_ABOVE = 1000
"""More changes than one talk sees between two backups."""


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


HELD = _("Held back because a backup was restored.")
MOVED = _("Held back because the address of this installation has changed.")
DROPPED = _("Dropped after a backup was restored.")
REASONS = (HELD, MOVED)
ADDRESS = "address"
"""Which address this database was last used under: a mark in job_run, as a number that stands for it."""


@dataclass(frozen=True)
class Held:
    """How many mails of one kind are held since then, and when the oldest and the newest were owed."""

    kind: Kind
    number: int
    oldest: datetime
    newest: datetime


def hold_if_moved(address: str) -> int:
    """Hold everything if this database was last used under another address. Call inside `write()` at each start.

    All addresses of this machine alone are one: another port is no other installation. Returns how many are held.
    """
    name = urlsplit(address).hostname or ""
    place = "loopback" if name in LOOPBACK_NAMES else address.rstrip("/")
    mark = int(tokens.digest(place)[:15], 16)
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    db.session.execute(insert(JobRun).values(name=ADDRESS, slot=mark).on_conflict_do_nothing())
    row = db.session.get_one(JobRun, ADDRESS, with_for_update=True, populate_existing=True)
    if row.slot == mark:
        return 0
    row.slot = mark
    return hold_everything(MOVED)


def forget_address() -> None:
    """What is restored is held already, whatever address it comes from."""
    db.session.execute(sa.delete(JobRun).where(JobRun.name == ADDRESS))


def hold_everything(reason: str = HELD) -> int:
    """Hold what is unsent and raise SEQUENCE. Call inside `write()` on a database just restored. Returns how many.

    What an organiser has paused stays paused; what the brake has held waits for this release now.

    A registration's own SEQUENCE stays unless a mail for it is held: answers to what its calendar shows still count.
    """
    db.session.execute(sa.update(Event).values(sequence=Event.sequence + FAR_ABOVE))
    reminders.forget_the_past()
    waiting = (
        sa.select(Message.registration_id)
        .where(Message.state.in_(UNSETTLED), Message.sequence.is_not(None), Message.registration_id.is_not(None))
        .distinct()
    )
    db.session.execute(
        sa.update(Registration)
        .where(Registration.id.in_(waiting), Registration.sequence.is_not(None))
        .values(sequence=Registration.sequence + FAR_ABOVE)
        .execution_options(synchronize_session=False)
    )
    held_for = sa.case((Message.state == MessageState.HELD, Message.error), else_="")
    held = db.session.execute(
        sa.select(Message.id, Message.sequence, held_for).where(Message.state.in_(UNSETTLED)).order_by(Message.id)
    ).all()
    rows = [
        {
            "id": message_id,
            "state": MessageState.HELD,
            "raw": None,
            "begun": False,
            "error": kept or reason,
            "message_id": outbox.new_message_id(),
            "sequence": None if sequence is None else sequence + FAR_ABOVE,
        }
        for message_id, sequence, kept in held
    ]
    if rows:
        db.session.execute(sa.update(Message), rows)
    return len(rows)


def held() -> list[Held]:
    """What is held since a restore or a change of the address, by kind. Reads, one query."""
    rows = db.session.execute(
        sa.select(Message.kind, sa.func.count(), sa.func.min(Message.created_at), sa.func.max(Message.created_at))
        .where(Message.state == MessageState.HELD, Message.error.in_(REASONS))
        .group_by(Message.kind)
        .order_by(Message.kind)
    )
    return [Held(kind, number, oldest, newest) for kind, number, oldest, newest in rows]


def release(now: datetime, kinds: Collection[Kind] = tuple(Kind)) -> int:
    """Let the held mails of these kinds go. Returns how many; those past their best-before lapse by themselves."""
    return _settle(kinds, {"state": MessageState.OWED, "not_before": now, "error": ""})


def drop(now: datetime, kinds: Collection[Kind] = tuple(Kind)) -> int:
    """Give the held mails of these kinds up: they count as not delivered. Returns how many."""
    gone = {"state": MessageState.LAPSED, "settled_at": now, "error": DROPPED, "facts": {}}
    return _settle(kinds, gone)


def _settle(kinds: Collection[Kind], values: dict[str, object]) -> int:
    ours = sa.update(Message).where(
        Message.state == MessageState.HELD, Message.error.in_(REASONS), Message.kind.in_(list(kinds))
    )
    changed = ours.values(**values).returning(Message.id).execution_options(synchronize_session=False)
    return len(db.session.execute(changed).all())


def invite_again(now: datetime) -> int:
    """Owe everyone with a place at a coming talk the invitation once more: calendars then show what is true here.

    Returns how many.
    """
    registrations = list(
        db.session.scalars(
            sa.select(Registration)
            .join(Registration.event)
            .where(Registration.status == Status.CONFIRMED, Event.state == EventState.PUBLISHED)
            .where(sa.or_(Event.starts_at > now, sa.and_(Event.part_count > 1, Event.ends_at > now)))
            .order_by(Event.starts_at, Registration.arrival)
        )
    )
    for registration in registrations:
        invitations.invite_again(registration, now)
    return len(registrations)
