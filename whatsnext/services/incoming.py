"""Mails that came in: each done once, whatever way it came; what changed nothing is kept aside for the organisers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import joinedload

from whatsnext.calendars.reply import Answer
from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.models import Incoming, IncomingState, Mailbox, Reason, Registration

COPY = 65_536
MOST_TRIES = 2
READING_TAKES = timedelta(seconds=10)
OVERLAP = timedelta(days=2)
KEPT = timedelta(days=30)
PAGE = 50
TO_DECIDE = (Reason.COUNTER, Reason.DELEGATED, Reason.ONE_PART)
REFUSALS = {
    "size": Reason.SIZE,
    "header size": Reason.SIZE,
    "parts": Reason.SIZE,
    "sender": Reason.SENDER,
    "broken part": Reason.BROKEN,
    "twice": Reason.CONTRADICTORY,
    "attendee": Reason.CONTRADICTORY,
    "method": Reason.METHOD,
    "date": Reason.DATE,
    "time": Reason.UNREADABLE,
    "crash": Reason.UNREADABLE,
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a mail is. `refused` says why it was not read; then nothing else is known of it.

    `robot` says why nobody must answer it, `problem` why its calendar part is none, `authentic` what our own server
    found: "pass", "fail" or "". `bounced` and `delayed` are addresses that a delivery status speaks of.
    """

    refused: str = ""
    sender: str = ""
    name: str = ""
    subject: str = ""
    message_id: str = ""
    recipients: tuple[str, ...] = ()
    robot: str = ""
    answer: Answer | None = None
    problem: str = ""
    authentic: str = ""
    text: str = ""
    bounced: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()


class BeingRead(Exception):
    """Somebody else has just begun to read this mail: look again a little later."""


@dataclass(frozen=True)
class Start:
    """Where to go on in a mailbox: after `last_uid`, or with mails since a day, or (both empty) with unread ones."""

    last_uid: int
    since: datetime | None


def why(word: str) -> Reason:
    """The reason for what the reader said."""
    return REFUSALS.get(word, Reason.BROKEN)


def begin(digest: str, raw: bytes, size: int, now: datetime) -> int | None:
    """Note that this mail is about to be read. Returns its number, None if it is done already.

    A mail whose reading was begun twice and never done is put aside unread (safety.md M2). Raises BeingRead while
    another process may be at it.
    """
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    new = {"state": IncomingState.READING, "reason": Reason.NONE, "size": size, "received_at": now, "raw": raw[:COPY]}
    texts = dict.fromkeys(("method", "sender", "sender_name", "subject", "comment", "delegate"), "")
    counts = {"tries": 0, "sequence": 0, "answered": False}
    db.session.execute(
        insert(Incoming)
        .values(digest=digest, **new, **texts, **counts)
        .on_conflict_do_nothing(index_elements=["digest"])
    )
    mail = db.session.scalars(sa.select(Incoming).where(Incoming.digest == digest).with_for_update()).one()
    if mail.state is not IncomingState.READING:
        return None
    if mail.tried_at is not None and timedelta() <= now - mail.tried_at < READING_TAKES:
        raise BeingRead
    if mail.tries >= MOST_TRIES:
        mail.state, mail.reason = IncomingState.ASIDE, Reason.UNREADABLE
        return None
    mail.tries, mail.tried_at = mail.tries + 1, now
    return mail.id


def state_of(digest: str) -> IncomingState | None:
    """What became of this mail; reads."""
    return db.session.scalar(sa.select(Incoming.state).where(Incoming.digest == digest))


def locked(incoming_id: int) -> Incoming:
    """The mail, locked until the transaction ends."""
    found = sa.select(Incoming).where(Incoming.id == incoming_id).with_for_update()
    return db.session.scalars(found.execution_options(populate_existing=True)).one()


def put_aside(mail: Incoming, reason: Reason) -> None:
    """It changes nothing; organisers see it with the reason and a bounded copy."""
    mail.state, mail.reason = IncomingState.ASIDE, reason


def settle(mail: Incoming, state: IncomingState, reason: Reason = Reason.NONE) -> None:
    """It is done. No copy is needed any more but of what a human wrote."""
    mail.state, mail.reason = state, reason
    if state is not IncomingState.FORWARDED:
        mail.raw = None


def addressee(recipients: tuple[str, ...], mailbox: str) -> Registration | None:
    """The registration whose token one of these addresses of `mailbox` carries; None for none, or for two of them."""
    local, _at, domain = mailbox.lower().rpartition("@")
    found = set()
    for address in recipients:
        name, _at, host = address.lower().rpartition("@")
        base, plus, token = name.partition("+")
        if plus and base == local and host == domain and len(token) <= 64:
            found.add(token)
    rows = db.session.scalars(
        sa.select(Registration).where(Registration.reply_token.in_(found)).options(joinedload(Registration.person))
    ).all()
    return rows[0] if len(rows) == 1 else None


# --- for organisers --------------------------------------------------------------------------------------


def _open() -> tuple[sa.ColumnElement[bool], ...]:
    waits = sa.or_(
        Incoming.state == IncomingState.ASIDE,
        sa.and_(Incoming.state == IncomingState.ACTED, Incoming.reason.in_(TO_DECIDE)),
    )
    return (waits, Incoming.done_at.is_(None))


def open_ones(before: int | None = None) -> tuple[list[Incoming], int | None]:
    """What an organiser may want to look at, newest first, PAGE at a time; and where the next page begins."""
    rows = (
        sa.select(Incoming)
        .where(*_open(), Incoming.id < before if before else sa.true())
        .order_by(Incoming.id.desc())
        .limit(PAGE + 1)
        .options(
            joinedload(Incoming.registration).joinedload(Registration.person),
            joinedload(Incoming.event),
            joinedload(Incoming.part),
        )
    )
    found = list(db.session.scalars(rows))
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def number_open() -> int:
    """How many wait for an organiser."""
    return db.session.scalar(sa.select(sa.func.count()).select_from(Incoming).where(*_open())) or 0


def standing() -> tuple[bool, int]:
    """Whether a mailbox does not answer, and how many mails wait for an organiser. One query."""
    failing = sa.exists(sa.select(Mailbox.name).where(_failing()))
    waiting = sa.select(sa.func.count()).select_from(Incoming).where(*_open()).scalar_subquery()
    row = db.session.execute(sa.select(failing, waiting)).one()
    return bool(row[0]), int(row[1])


def one(incoming_id: int) -> Incoming:
    """One of those that wait. Raises NotFound."""
    found = db.session.scalar(sa.select(Incoming).where(Incoming.id == incoming_id, *_open()))
    if found is None:
        raise NotFound
    return found


def done(incoming_id: int, now: datetime) -> None:
    """An organiser has seen it and has nothing more to do with it. Raises NotFound."""
    one(incoming_id).done_at = now


def forget(now: datetime) -> None:
    """After 30 days only the check sum stays, so that the mail is still done once."""
    nothing = dict.fromkeys(("sender", "sender_name", "subject", "comment", "delegate"), "")
    db.session.execute(
        sa.update(Incoming)
        .where(Incoming.received_at < now - KEPT, sa.or_(Incoming.raw.is_not(None), Incoming.sender != ""))
        .values(raw=None, done_at=sa.func.coalesce(Incoming.done_at, now), **nothing)
        .execution_options(synchronize_session=False)
    )


# --- mailboxes -------------------------------------------------------------------------------------------


def mailbox(name: str) -> Mailbox | None:
    """How far this mailbox has been read; reads."""
    return db.session.get(Mailbox, name, populate_existing=True)


def _failing() -> sa.ColumnElement[bool]:
    """What earlier settings named does not count any more."""
    return sa.and_(Mailbox.name == current_app.config["SETTINGS"].imap_name, Mailbox.failing_since.is_not(None))


def failing() -> Mailbox | None:
    """The mailbox, if it does not answer; reads."""
    return db.session.scalars(sa.select(Mailbox).where(_failing())).first()


def reached(name: str, uid_validity: int, now: datetime) -> Start:
    """The mailbox answers. Another UIDVALIDITY means that its UIDs begin anew: then two days are read again."""
    found = _mailbox(name)
    since = found.seen_at - OVERLAP if found.seen_at else None
    if found.uid_validity != uid_validity:
        found.uid_validity, found.last_uid = uid_validity, 0
    found.seen_at, found.failing_since, found.error = now, None, ""
    return Start(found.last_uid, since)


def advance(name: str, uid_validity: int, uid: int) -> None:
    """Mails up to this UID are done: in the transaction of what the last of them did (safety.md M6)."""
    db.session.execute(
        sa.update(Mailbox)
        .where(Mailbox.name == name, Mailbox.uid_validity == uid_validity, Mailbox.last_uid < uid)
        .values(last_uid=uid)
        .execution_options(synchronize_session=False)
    )


def unreachable(name: str, error: str, now: datetime) -> None:
    """The mailbox does not answer; since when is kept."""
    found = _mailbox(name)
    found.failing_since, found.error = found.failing_since or now, error[:200]


def _mailbox(name: str) -> Mailbox:
    """Its row, locked; made by whoever comes first."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    adding = insert(Mailbox).values(name=name, uid_validity=0, last_uid=0, error="")
    db.session.execute(adding.on_conflict_do_nothing(index_elements=["name"]))
    return db.session.scalars(sa.select(Mailbox).where(Mailbox.name == name).with_for_update()).one()
