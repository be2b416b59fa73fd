"""A person's place, or place in line, at one event."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.event import Event, Mode
from whatsnext.models.person import Person
from whatsnext.models.types import UtcDateTime, choice, personal

_SEEN = "the person and organisers of the talk"
_LIFE = "6 months after the talk"


class Status(StrEnum):
    """Where a registration stands. HELD, OFFERED and CONFIRMED take a place."""

    HELD = "held"
    WAITING = "waiting"
    OFFERED = "offered"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PartStat(StrEnum):
    """The attendee's answer (RFC 5545 §3.2.12)."""

    NEEDS_ACTION = "NEEDS-ACTION"
    ACCEPTED = "ACCEPTED"
    TENTATIVE = "TENTATIVE"
    DECLINED = "DECLINED"
    DELEGATED = "DELEGATED"


class CancelledBy(StrEnum):
    ATTENDEE = "attendee"
    ORGANISER = "organiser"
    EVENT = "event"


class Registration(Base):
    """One row per person and event.

    `arrival` is given once under the event's lock and orders the line. `proved_at` is when the address was proved
    for this registration; until `hold_ends_at` an unproven one is kept. `held_at` is when it last held a place
    unproven (one such hold in 24 hours, safety.md R3). `sequence` is the highest SEQUENCE owed to this attendee,
    null before the first invitation; `stamp` the last DTSTAMP. `reply_token` routes calendar answers and never changes.
    `partstat` is the calendar's answer, `partstat_at` when it came; `reply_sequence` and `reply_stamp` are SEQUENCE and
    DTSTAMP of the newest one, `reply_comment` what the person wrote with it.
    """

    __tablename__ = "registration"
    __table_args__ = (
        sa.UniqueConstraint("event_id", "person_id"),
        sa.UniqueConstraint("event_id", "arrival"),
        sa.Index("ix_registration_about", "id", "event_id", "person_id", unique=True),  # what a message points to
        sa.Index("ix_registration_line", "event_id", "mode", "status", "arrival"),
        sa.Index("ix_registration_hold", "status", "hold_ends_at"),
        sa.Index("ix_registration_network", "event_id", "network"),
        {"postgresql_with": {"fillfactor": 50}},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(sa.String(26), unique=True)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("event.id"))
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    mode: Mapped[Mode] = mapped_column(choice(Mode))
    status: Mapped[Status] = mapped_column(choice(Status))
    arrival: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(120), info=personal("to address the person", _SEEN, _LIFE))
    agency: Mapped[str] = mapped_column(sa.String(160), info=personal("to see who comes from where", _SEEN, _LIFE))
    language: Mapped[str] = mapped_column(sa.String(2), default="de")
    needs: Mapped[str] = mapped_column(
        sa.Text,
        default="",
        info=personal("to arrange what the person needs", "organisers of the talk", "14 days after the talk"),
    )
    needs_consent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notice_version: Mapped[int] = mapped_column(default=0)
    network: Mapped[str] = mapped_column(
        sa.String(45), default="", info=personal("to stop hoarding of places", "nobody", "until proved")
    )
    form_key: Mapped[str] = mapped_column(sa.String(43), default="")
    browser: Mapped[str] = mapped_column(sa.String(64), default="")

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    proved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hold_ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    offer_ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    offer_lapsed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_by: Mapped[CancelledBy | None] = mapped_column(choice(CancelledBy))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)

    reply_token: Mapped[str] = mapped_column(sa.String(26), unique=True)
    link_generation: Mapped[int] = mapped_column(default=0)
    sequence: Mapped[int | None]
    stamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    partstat: Mapped[PartStat] = mapped_column(choice(PartStat), default=PartStat.NEEDS_ACTION)
    partstat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reply_sequence: Mapped[int | None]
    reply_stamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reply_comment: Mapped[str] = mapped_column(
        sa.Text, default="", info=personal("to know what the person answered", _SEEN, _LIFE)
    )

    event: Mapped[Event] = relationship()
    person: Mapped[Person] = relationship()


class PartAnswer(Base):
    """What a calendar answered to one part of a talk of several: as PARTSTAT, SEQUENCE and DTSTAMP of a registration.

    Of a regular course there is a row only for a part that was answered alone.
    """

    __tablename__ = "part_answer"
    registration_id: Mapped[int] = mapped_column(sa.ForeignKey("registration.id", ondelete="CASCADE"), primary_key=True)
    part_id: Mapped[int] = mapped_column(
        sa.ForeignKey("event_part.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    partstat: Mapped[PartStat] = mapped_column(choice(PartStat), default=PartStat.NEEDS_ACTION)
    sequence: Mapped[int]
    stamp: Mapped[datetime] = mapped_column(UtcDateTime)
