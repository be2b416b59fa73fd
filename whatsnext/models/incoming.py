"""Mails that others sent: each one done once, what changed nothing kept aside with its reason."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.event import Event, EventPart
from whatsnext.models.registration import Registration
from whatsnext.models.types import UtcDateTime, choice, personal

_ORGANISERS = "organisers"
_MONTH = "30 days after it came"


class IncomingState(StrEnum):
    """What became of a mail. READING: begun and not yet done, or the process ended meanwhile."""

    READING = "reading"
    ACTED = "acted"
    ASIDE = "aside"
    NOTED = "noted"
    FORWARDED = "forwarded"
    LEFT = "left"


class Reason(StrEnum):
    """Why a mail changed nothing, or what an organiser has to decide."""

    NONE = ""
    SIZE = "size"
    UNREADABLE = "unreadable"
    BROKEN = "broken"
    SENDER = "sender"
    CONTRADICTORY = "contradictory"
    METHOD = "method"
    DATE = "date"
    NO_TOKEN = "no_token"  # noqa: S105
    FOREIGN = "foreign"
    UNAUTHENTIC = "unauthentic"
    OTHER_UID = "other_uid"
    OTHER_ATTENDEE = "other_attendee"
    NOT_INVITED = "not_invited"
    OLD = "old"
    REPLAYED = "replayed"
    TALK_OFF = "talk_off"
    OVER = "over"
    NOT_SIGNED_UP = "not_signed_up"
    TOO_OFTEN = "too_often"
    ROBOT = "robot"
    HUMAN = "human"
    BOUNCE = "bounce"
    COUNTER = "counter"
    DELEGATED = "delegated"
    ONE_PART = "one_part"


class Incoming(Base):
    """One mail by the check sum of what its sender wrote, however often and by whichever way it comes.

    `tries` counts how often its reading was begun, `tried_at` is when last. `answered`: it made us mail somebody. `raw`
    is its beginning. `done_at` is when an organiser had nothing more to do with it. Texts are for people only, never
    acted on. `part_id` is the part of a talk of several that it answers to.
    """

    __tablename__ = "incoming"
    __table_args__ = (
        sa.Index("ix_incoming_open", "state", "done_at", "id"),
        sa.Index("ix_incoming_registration", "registration_id", "received_at"),
        sa.Index("ix_incoming_received", "received_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    state: Mapped[IncomingState] = mapped_column(choice(IncomingState), default=IncomingState.READING)
    reason: Mapped[Reason] = mapped_column(choice(Reason), default=Reason.NONE)
    method: Mapped[str] = mapped_column(sa.String(16), default="")
    tries: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    size: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered: Mapped[bool] = mapped_column(default=False)
    registration_id: Mapped[int | None] = mapped_column(sa.ForeignKey("registration.id"))
    event_id: Mapped[int | None] = mapped_column(sa.ForeignKey("event.id"), index=True)
    part_id: Mapped[int | None] = mapped_column(sa.ForeignKey("event_part.id"))
    sender: Mapped[str] = mapped_column(
        sa.String(254), default="", info=personal("to see who wrote", _ORGANISERS, _MONTH)
    )
    sender_name: Mapped[str] = mapped_column(
        sa.String(120), default="", info=personal("to see who wrote", _ORGANISERS, _MONTH)
    )
    subject: Mapped[str] = mapped_column(
        sa.String(300), default="", info=personal("to know what it is about", _ORGANISERS, _MONTH)
    )
    comment: Mapped[str] = mapped_column(
        sa.Text, default="", info=personal("to read what the person wrote", _ORGANISERS, _MONTH)
    )
    delegate: Mapped[str] = mapped_column(
        sa.String(254), default="", info=personal("to invite whom the place was passed on to", _ORGANISERS, _MONTH)
    )
    sequence: Mapped[int] = mapped_column(default=0)
    proposed_start: Mapped[datetime | None] = mapped_column(UtcDateTime)
    proposed_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    raw: Mapped[bytes | None] = mapped_column(
        sa.LargeBinary, deferred=True, info=personal("to find out what went wrong", "operators", _MONTH)
    )

    registration: Mapped[Registration | None] = relationship()
    event: Mapped[Event | None] = relationship()
    part: Mapped[EventPart | None] = relationship()


class Mailbox(Base):
    """How far one mailbox has been read: by UID within UIDVALIDITY (RFC 9051 §2.3.1.1), and whether it answers."""

    __tablename__ = "mailbox"
    name: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    uid_validity: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    last_uid: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(sa.String(200), default="")
