"""A batch: what is claimed together is written together, what its mails share once; then each begins alone.

That takes one statement, which also marks the mail before; it checks all that the mail rests on. `write_all` is called
inside `write()`, `begin` on a connection that is kept, outside of any transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased, contains_eager, undefer
from sqlalchemy.orm.attributes import set_committed_value

from whatsnext.db import Handed, database_clock, db, plain
from whatsnext.i18n import speaking
from whatsnext.mail import contexts
from whatsnext.mail.compose import compose, sender
from whatsnext.mail.deliver import AS_SENT, BATCH_LEASE, LEASE, UNDER_WAY, Claim, stands, why_void
from whatsnext.mail.kinds import KINDS
from whatsnext.mail.mime import build
from whatsnext.mail.together import batch
from whatsnext.mail.wire import Parcel
from whatsnext.models import Event, Message, MessageState, Person, Registration
from whatsnext.services import parts


@dataclass(frozen=True)
class Ready:
    """A mail that is written, what it rests on, and until when it may go."""

    parcel: Parcel
    subject: str
    registration_id: int
    rests_on: str
    best_before: datetime


def write_all(claims: Collection[Claim], now: datetime) -> dict[int, Ready]:
    """Compose what is claimed, what the mails share only once. By id of the row; `begin` keeps the bytes.

    Left out is what `prepare` has to look at alone: what someone changes just now, what is void, what is not about a
    registration, and a talk of several parts.
    """
    tries = {each.id: each.tries for each in claims}
    found = db.session.execute(_those(db.engine.dialect.name), {"ids": list(tries)}).all()
    rows, rests_on = [row.Message for row in found], {row.Message.id: row.rests_on for row in found}
    ready: dict[int, Ready] = {}
    stamped: dict[datetime, list[int]] = {}
    with db.session.no_autoflush, batch():
        _have_at_hand(rows)
        ours = [message for message in rows if message.tries == tries[message.id] and _is_for_a_batch(message, now)]
        for language, mails in groupby(ours, _language):  # in their order: the later is stamped later
            with speaking(language):
                for message in mails:
                    if message.begun and message.raw is not None:
                        ready[message.id] = _ready(message, message.subject, message.raw, rests_on[message.id])
                        continue
                    letter = compose(message, now)
                    ready[message.id] = _ready(message, letter.subject, build(letter), rests_on[message.id])
                    if letter.stamp is not None:
                        own = contexts.registration_of(message)
                        stamped.setdefault(letter.stamp, []).append(own.id)
                        set_committed_value(own, "stamp", letter.stamp)  # written below, with the others
    for stamp, ids in sorted(stamped.items()):  # of two mails to one person the later is the last
        plain(_STAMPED, {"stamp": stamp, "ids": ids})
    return ready


def _have_at_hand(rows: Sequence[Message]) -> None:
    """What the mails are about is read once: nobody looks for it again with each."""
    events: dict[int, Event] = {}
    for message in rows:
        own = contexts.registration_of(message)
        event = events.get(own.event_id) or events.setdefault(own.event_id, own.event)
        set_committed_value(own, "event", event)
        set_committed_value(message, "event", event)
        set_committed_value(message, "person", own.person)
        if message.part_id is None:
            set_committed_value(message, "part", None)


def _is_for_a_batch(message: Message, now: datetime) -> bool:
    return not parts.several(contexts.registration_of(message).event) and why_void(message, now) is None


def _language(message: Message) -> str:
    return message.language


_STAMPED = (
    sa.update(Registration)
    .where(Registration.id.in_(sa.bindparam("ids", expanding=True)))
    .values(stamp=sa.bindparam("stamp"))
)


def _ready(message: Message, subject: str, raw: bytes, rests_on: str) -> Ready:
    registration = contexts.registration_of(message)
    parcel = Parcel(message.recipient, sender(registration), raw)
    return Ready(parcel, subject, registration.id, rests_on, KINDS[message.kind].best_before(message))


def begin(connection: sa.Connection, gone: Claim | None, claimed: Claim, ready: Ready, now: datetime) -> bool:
    """Mark the mail that has gone, keep the bytes of the next: it may go if all that it rests on is as it was.

    By one statement, outside of any transaction, both or neither; False if neither: then both have to be looked at.
    """
    if now >= ready.best_before:
        return False
    given = {
        "gone": gone.id if gone else NOBODY,
        "gone_tries": gone.tries if gone else 0,
        "claimed": claimed.id,
        "mine": claimed.tries,
        "wanted": 2 if gone else 1,
        "settled_at": now,
        "subject": ready.subject,
        "bytes": ready.parcel.raw,
        "about": ready.registration_id,
        "as_it_was": ready.rests_on,
    }
    return _begin(db.engine.dialect.name).execute(connection, given).rowcount > 0


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


@cache
def _rests_on(dialect: str) -> sa.ColumnElement[str]:
    """All of it as one text, made by the database: it is handed back as it was read, and compared at once."""
    together = sa.func.json_build_array if dialect == "postgresql" else sa.func.json_array
    return sa.cast(together(*RESTS_ON), sa.Text)


@cache
def _begin(dialect: str) -> Handed:
    """Waits for nobody: whoever holds one of the two rows may be waiting for the other, or changing what they rest on.

    The registration is named, not looked up by the row: PostgreSQL would look through everybody's.
    """
    row, gone = aliased(Message), sa.bindparam("gone", type_=sa.Integer)
    about: sa.Select[Any] = sa.select(_rests_on(dialect)).select_from(Registration)
    own = about.join(Registration.event).join(Registration.person).where(Registration.id == sa.bindparam("about"))
    same = own.scalar_subquery() == sa.bindparam("as_it_was")
    mine = (row.id == sa.bindparam("claimed"), row.tries == sa.bindparam("mine"))
    held = (stands(row.state, [MessageState.SENDING]), row.not_before > database_clock())
    went = (row.id == gone, row.tries == sa.bindparam("gone_tries"), stands(row.state, UNDER_WAY))
    either = sa.or_(sa.and_(*went), sa.and_(*mine, *held, same))
    one_of_two = sa.or_(row.id == gone, row.id == sa.bindparam("claimed"))
    those = sa.select(row.id).where(one_of_two, either)
    free = those.with_for_update(skip_locked=True, of=row).cte("free", nesting=True)
    all_of_them = sa.select(sa.func.count()).select_from(free).scalar_subquery() == sa.bindparam("wanted")
    begun: dict[str, Any] = {
        "raw": sa.bindparam("bytes", type_=Message.raw.type),
        "subject": sa.bindparam("subject", type_=Message.subject.type),
    }
    values = {
        name: sa.case(
            (Message.id == gone, AS_SENT.get(name, getattr(Message, name))),
            else_=begun.get(name, getattr(Message, name)),
        )
        for name in {**AS_SENT, **begun}
    }
    lasts = sa.or_(Message.id == gone, Message.not_before >= database_clock(LEASE))
    leased = sa.case((lasts, Message.not_before), else_=database_clock(BATCH_LEASE))
    both = Message.id.in_(sa.select(free.c.id).where(all_of_them))
    return Handed(sa.update(Message).where(both).values(**values, not_before=leased, begun=sa.true()))


@cache
def _those(dialect: str) -> sa.Select[Message, str]:
    """The rows of a batch that are lent to somebody, in the order in which they were owed, and what they rest on.

    Their talk is mostly the same, so that it is read once and not with each. Nothing has been read before.
    """
    those = (Message.id.in_(sa.bindparam("ids", expanding=True)), Message.state == MessageState.SENDING)
    about = (contains_eager(Message.registration).contains_eager(Registration.person), undefer(Message.raw))
    rows = sa.select(Message, _rests_on(dialect).label("rests_on")).join(Message.registration)
    joined = rows.join(Registration.person).join(Registration.event).where(*those).options(*about)
    ordered = joined.order_by(Message.not_before, Message.id)
    return ordered.with_for_update(skip_locked=True, key_share=True, of=[Message, Registration])
