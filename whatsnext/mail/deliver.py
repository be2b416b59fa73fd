"""From the outbox to the mail server: rows claimed by lease, composed once, sent, marked (docs/decisions, safety.md O).

A row is claimed by raising its `tries` and moving `not_before` to the end of the lease, both by the database's clock.
Whoever still finds its own number there may send and mark it. No transaction is open while the network talks.
The functions that touch rows are called inside `write()`.
"""

from __future__ import annotations

import random
import smtplib
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import joinedload, undefer

from config import Settings
from whatsnext.db import database_now, db
from whatsnext.mail import maildir
from whatsnext.mail.compose import compose, sender
from whatsnext.mail.kinds import KINDS, is_wanted
from whatsnext.mail.mime import Line, Post, PostOffice, build
from whatsnext.models import Event, Message, MessageState, Registration

LEASE = timedelta(minutes=5)
"""Longer than all time-outs of one SMTP dialogue together; renewed before each mail."""
BATCH = 10
MAILS_PER_LINE = 50
FIRST_PAUSE, LONGEST_PAUSE = 20, 3600
FIRST_REST, LONGEST_REST, SLOW_DOMAIN_RESTS = 2.0, 60.0, 120.0
"""Seconds without a try: for the whole server while it is away, for a domain that let us wait."""
MOMENT = timedelta(milliseconds=250)


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


NO_SUCH_ADDRESS = _("This address does not exist.")
MAILBOX_FULL = _("The mailbox is full.")
REFUSED = _("The receiving server refused the message.")
SLOW = _("The receiving server takes very long to answer.")
LATER = _("The receiving server asks to try again later.")
NO_SERVER = _("The mail server cannot be reached.")
NO_FOLDER = _("The folder for mails cannot be written to.")
NO_TLS = _("The mail server offers no encryption, so nothing was sent.")
NO_TRUST = _("The certificate of the mail server cannot be verified, so nothing was sent.")
NOT_LET_IN = _("The mail server does not accept our account or our sender address.")
CUT_OFF = _("The mail server closed the connection.")
NOT_WRITTEN = _("This message could not be written. The operator finds the reason in the log.")
UNWANTED = _("The person wants no more messages at this address.")
TOO_LATE = _("The message was no longer of use when it could be sent.")


class Failed(Exception):
    """The server said no for good."""


class PutOff(Exception):
    """Not now; worth another try."""


class Unreachable(PutOff):
    """No mail of ours gets through now."""


@dataclass(frozen=True)
class Claim:
    """One row lent to one worker: the lease is told by its number of tries."""

    id: int
    tries: int


@dataclass(frozen=True)
class Parcel:
    """One mail ready to go."""

    claim: Claim
    to: str
    sender: str
    raw: bytes


# --- rows ------------------------------------------------------------------------------------------------


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
    db.session.execute(
        taken.values(state=MessageState.SENDING, not_before=now + lease, tries=Message.tries + 1).execution_options(
            synchronize_session=False
        )
    )
    return claims


def prepare(claimed: Claim, now: datetime, lease: timedelta = LEASE) -> Parcel | None:
    """The mail of this row, composed once and kept; None if it is not ours any more or need not go.

    Renews the lease. Waits for nobody: a row that someone changes just now is tried a moment later.
    """
    message = db.session.scalar(
        sa.select(Message)
        .where(Message.id == claimed.id, Message.state == MessageState.SENDING, Message.tries == claimed.tries)
        .options(undefer(Message.raw))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if message is None:
        return None
    database_time = database_now()
    if message.not_before <= database_time:
        return None
    if not _lock_registration(message.registration_id):
        message.state, message.not_before = MessageState.OWED, database_time + MOMENT
        return None
    if _is_void(message, now):
        return None
    if (turn := _waits_until(message, database_time)) is not None:
        message.state, message.not_before = MessageState.OWED, max(turn, database_time) + MOMENT
        return None
    message.not_before = database_time + lease
    if message.raw is None:
        letter = compose(message, now)
        message.subject, message.raw = letter.subject, build(letter)
    return Parcel(claimed, message.recipient, sender(message.registration), message.raw)


def _lock_registration(registration_id: int | None) -> bool:
    """Its `stamp` moves on with each calendar part; False while someone else changes it.

    Whom and what the mail is about is read along with it.
    """
    if registration_id is None:
        return True
    talk = joinedload(Registration.event, innerjoin=True)
    about = (
        talk.joinedload(Event.series, innerjoin=True),
        talk.joinedload(Event.theme),
        joinedload(Registration.person, innerjoin=True),
    )
    row = sa.select(Registration).where(Registration.id == registration_id).options(*about)
    lock = row.with_for_update(skip_locked=True, key_share=True, of=Registration)
    locked = lock.execution_options(populate_existing=True)
    return db.session.scalar(locked) is not None


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
    """Settle what is no longer of use: too late, no longer true, not wanted."""
    kind = KINDS[message.kind]
    if now >= kind.best_before(message):
        _settle(message, MessageState.LAPSED, now, message.error or TOO_LATE)
    elif not kind.still_true(message):
        _settle(message, MessageState.SUPERSEDED, now, "")
    elif not is_wanted(message):
        _settle(message, MessageState.SUPERSEDED, now, UNWANTED)
    else:
        return False
    return True


def _settle(message: Message, state: MessageState, now: datetime, error: str) -> None:
    """Nothing more happens to this row; what the mail said is forgotten, its subject stays."""
    message.state, message.settled_at, message.error = state, now, error
    message.raw, message.facts = None, {}


def sent(claimed: Claim, now: datetime) -> bool:
    """The server took it. What was superseded, paused or resumed while it went out was sent all the same."""
    return _mark(
        claimed,
        (MessageState.SENDING, MessageState.SUPERSEDED, MessageState.HELD, MessageState.OWED),
        state=MessageState.SENT,
        settled_at=now,
        error="",
        raw=None,
        facts={},
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
    """Rows that somebody claimed and has not composed yet: due at once. Returns how many.

    A worker that was killed has left such rows behind. If it lives, it finds that they are not its any more; nothing of
    them has gone out. What is composed may be on the wire: it stays lent until its lease ends.
    """
    freed = db.session.execute(
        sa.update(Message)
        .where(Message.state == MessageState.SENDING, Message.raw.is_(None))
        .values(state=MessageState.OWED, not_before=database_now())
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return len(freed.all())


def _mark(claimed: Claim, states: tuple[MessageState, ...], **values: object) -> bool:
    """Change the row if the lease is still ours. A SENT mail is marked even late: it has gone."""
    ours = sa.update(Message).where(Message.id == claimed.id, Message.tries == claimed.tries, Message.state.in_(states))
    marked = db.session.execute(
        ours.values(**values).returning(Message.id).execution_options(synchronize_session=False)
    )
    return marked.first() is not None


# --- the way out -----------------------------------------------------------------------------------------


class Courier:
    """Carries mails one by one: over one kept line to the mail server, or into the maildir.

    While the server cannot be reached it rests, longer each time, then tries a single mail; a domain that let us wait
    until the time-out rests apart, so that its mails delay no others (safety.md O9).
    """

    def __init__(self) -> None:
        self._line: Line | None = None
        self._failures = 0
        self._rests_until = 0.0
        self._slow: dict[str, float] = {}

    def rests(self) -> bool:
        """Whether it is too early for another try."""
        return monotonic() < self._rests_until

    @property
    def most(self) -> int:
        """How many mails to claim: one as a probe after the server was away."""
        return 1 if self._failures else BATCH

    def carry(self, parcel: Parcel) -> None:
        """Returns when the server has taken the mail. Raises Failed, PutOff, Unreachable with the reason."""
        domain = parcel.to.rpartition("@")[2]
        if monotonic() < self._slow.get(domain, 0.0):
            raise PutOff(SLOW)
        try:
            self._carry(parcel)
        except Unreachable:
            pause = min(FIRST_REST * 2**self._failures, LONGEST_REST)
            self._failures, self._rests_until = min(self._failures + 1, 10), monotonic() + pause
            raise
        except PutOff as error:
            self._failures = 0
            if _timed_out(error.__cause__):
                self._slow[domain] = monotonic() + SLOW_DOMAIN_RESTS
            raise
        self._failures = 0

    def _carry(self, parcel: Parcel) -> None:
        settings: Settings = current_app.config["SETTINGS"]
        if not settings.mail_server or settings.holds_demo:
            self._keep(parcel)
            return
        line = self._connected()
        try:
            line.send(Post(to=parcel.to, sender=parcel.sender, raw=parcel.raw))
        except smtplib.SMTPRecipientsRefused as error:
            raise _verdict(*error.recipients[parcel.to]) from error
        except smtplib.SMTPSenderRefused as error:
            raise PutOff(NOT_LET_IN if error.smtp_code >= 500 else LATER) from error
        except smtplib.SMTPResponseException as error:
            raise _verdict(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise PutOff(CUT_OFF) from error
        if line.num_emails >= MAILS_PER_LINE:
            self.close()

    def _keep(self, parcel: Parcel) -> None:
        try:
            maildir.keep(parcel.raw)
        except OSError as error:
            raise Unreachable(NO_FOLDER) from error

    def _connected(self) -> Line:
        """The line, opened if need be."""
        if self._line is not None and self._line.host is not None and self._line.host.sock is not None:
            return self._line
        line = PostOffice().connect()
        try:
            self._line = line.__enter__()
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(NO_TRUST) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Unreachable(NO_TLS) from error
        except smtplib.SMTPAuthenticationError as error:
            raise Unreachable(NOT_LET_IN) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(NO_SERVER) from error
        return line

    def close(self) -> None:
        """Say goodbye to the server."""
        line, self._line = self._line, None
        if line is not None:
            line.__exit__(None, None, None)

    def abort(self) -> None:
        """Cut the line from another thread: a mail under way fails and is tried again later."""
        if (line := self._line) is not None:
            line.abort()


def _timed_out(error: BaseException | None) -> bool:
    """smtplib says "disconnected" for a time-out too; what it met stands behind."""
    return error is not None and (isinstance(error, TimeoutError) or _timed_out(error.__context__))


def _verdict(code: int, answer: bytes | str) -> Failed | PutOff:
    """What an answer of the server means (RFC 5321 §4.2, RFC 3463)."""
    words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    full = code in (452, 552) or "5.2.2" in words or "4.2.2" in words
    if code < 500:
        return PutOff(MAILBOX_FULL if full else LATER)
    if full:
        return Failed(MAILBOX_FULL)
    unknown = code in (550, 551, 553) and ("5.7." not in words)
    return Failed(NO_SUCH_ADDRESS if unknown else REFUSED)
