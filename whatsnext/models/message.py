"""The outbox: one mail owed to one address."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.event import Event, EventPart
from whatsnext.models.person import Person
from whatsnext.models.registration import Registration
from whatsnext.models.types import UtcDateTime, choice, personal


class Kind(StrEnum):
    """Every mail the application sends; each has a row in mail/kinds.py and a folder in templates/mail/."""

    CONFIRMATION_REQUEST = "confirmation_request"
    ALREADY_REGISTERED = "already_registered"
    WAITING = "waiting"
    INVITATION = "invitation"
    PROMOTION = "promotion"
    OFFER = "offer"
    UPDATE = "update"
    CANCELLATION = "cancellation"
    EVENT_CANCELLATION = "event_cancellation"
    ORGANISER_MESSAGE = "organiser_message"
    SIGN_IN = "sign_in"
    NEW_LINK = "new_link"
    BARRIER_REPORT = "barrier_report"
    SECURITY_NOTICE = "security_notice"
    FORWARD = "forward"
    COUNTER_DECLINED = "counter_declined"
    PART_CANCELLATION = "part_cancellation"
    REMINDER = "reminder"
    FOLLOW_REQUEST = "follow_request"
    NEWS = "news"
    SIGN_UP_OPENS = "sign_up_opens"
    FOLLOWER_MESSAGE = "follower_message"


class MessageState(StrEnum):
    OWED = "owed"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    LAPSED = "lapsed"
    HELD = "held"


OPEN = (MessageState.OWED, MessageState.DEFERRED, MessageState.SENDING)
UNSETTLED = (*OPEN, MessageState.HELD)
WAITED_FOR = (
    Kind.SIGN_IN,
    Kind.NEW_LINK,
    Kind.CONFIRMATION_REQUEST,
    Kind.ALREADY_REGISTERED,
    Kind.FOLLOW_REQUEST,
)
"""Kinds that somebody has just pressed a button for and needs to go on; none is ever sent to many at once."""
UNASKED = (Kind.CONFIRMATION_REQUEST, Kind.ALREADY_REGISTERED, Kind.FOLLOW_REQUEST)
"""Kinds that a stranger may cause, to whatever address (safety.md O5)."""


def _among(name: str, values: tuple[StrEnum, ...]) -> str:
    return f"{name} IN ({', '.join(repr(value.value) for value in values)})"


_STATE = "state || ''"
"""No index is looked for by it: SQLite would take the one with everything that is due."""
SOON = f"{_among(_STATE, OPEN)} AND {_among('kind', WAITED_FOR)}"
"""In words of SQL, as index and query have to say the same."""
MAY_BE_UNASKED = _among("kind", UNASKED)
"""The same."""


def _partly(name: str, *columns: str, where: str, sqlite: str = "") -> sa.Index:
    """An index over the rows that are looked up by it; thousands of mails are owed at once, and each index costs."""
    return sa.Index(name, *columns, sqlite_where=sa.text(sqlite or where), postgresql_where=sa.text(where))


class Message(Base):
    """One mail owed to one address, in the transaction that caused it.

    `not_before` is the next try or the end of a lease; `tries` says whose lease it is. `begun` tells that it may have
    been on the wire: from then on `raw` holds its bytes until it is settled, so that a retry sends the same.
    `sequence` is the SEQUENCE promised.
    `part_id` names the one part that the calendar in it is about: always in irregular talks of several parts, in a
    regular course where a part leaves the rule. `follow_id` is the number of the wish that a mail to a
    follower answers; it may be gone. Of a mail about a registration talk and person are that registration's, which one
    foreign key tells: thousands of mails are owed at once, and each key is looked up for each. Nobody deletes a
    person or a talk. No mail is found by its Message-ID, and random ones do not meet.
    """

    __tablename__ = "message"
    __table_args__ = (
        sa.Index("ix_message_due", "state", "not_before", "id"),
        sa.Index("ix_message_registration", "registration_id", "state"),
        sa.Index("ix_message_event", "event_id", "state"),
        sa.ForeignKeyConstraint(
            ["registration_id", "event_id", "person_id"],
            ["registration.id", "registration.event_id", "registration.person_id"],
        ),
        sa.CheckConstraint(
            "registration_id IS NULL OR (event_id IS NOT NULL AND person_id IS NOT NULL)", name="about_registration"
        ),
        _partly("ix_message_unasked", "person_id", "created_at", where=MAY_BE_UNASKED),
        _partly("ix_message_unproved", "created_at", where="unproved", sqlite="unproved = 1"),
        _partly("ix_message_settled", "state", "settled_at", where="settled_at IS NOT NULL"),
        _partly("ix_message_soon", "not_before", "id", where=SOON),
        _partly("ix_message_part_id", "part_id", where="part_id IS NOT NULL"),
        _partly("ix_message_mailing_id", "mailing_id", where="mailing_id IS NOT NULL"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Kind] = mapped_column(choice(Kind))
    state: Mapped[MessageState] = mapped_column(choice(MessageState), default=MessageState.OWED)
    person_id: Mapped[int | None]
    registration_id: Mapped[int | None]
    event_id: Mapped[int | None]
    part_id: Mapped[int | None] = mapped_column(sa.ForeignKey("event_part.id"))
    mailing_id: Mapped[int | None] = mapped_column(sa.ForeignKey("mailing.id"))
    follow_id: Mapped[int | None]
    recipient: Mapped[str] = mapped_column(
        sa.String(254), info=personal("to deliver the mail", "organisers and operators", "as long as the person")
    )
    language: Mapped[str] = mapped_column(sa.String(2))
    facts: Mapped[dict[str, Any]] = mapped_column(
        sa.JSON,
        default=dict,
        info=personal("what the mail says", "organisers and operators", "until the mail is settled"),
    )
    unproved: Mapped[bool] = mapped_column(default=False)
    sequence: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    best_before: Mapped[datetime] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    begun: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    message_id: Mapped[str] = mapped_column(sa.String(120))
    subject: Mapped[str] = mapped_column(
        sa.String(300),
        default="",
        info=personal("to find the mail", "organisers and operators", "as long as the person"),
    )
    raw: Mapped[bytes | None] = mapped_column(
        sa.LargeBinary,
        deferred=True,
        info=personal("to send the same bytes again", "nobody", "until the mail is settled"),
    )
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(sa.String(500), default="")

    person: Mapped[Person | None] = relationship(primaryjoin=lambda: foreign(Message.person_id) == Person.id)
    registration: Mapped[Registration | None] = relationship(
        primaryjoin=lambda: foreign(Message.registration_id) == Registration.id
    )
    event: Mapped[Event | None] = relationship(primaryjoin=lambda: foreign(Message.event_id) == Event.id)
    part: Mapped[EventPart | None] = relationship()


class Mailing(Base):
    """A message an organiser wrote to participants of one talk, or to those who follow its theme."""

    __tablename__ = "mailing"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("event.id"), index=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    subject: Mapped[str] = mapped_column(sa.String(200))
    body: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
