"""One talk."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.agency import Agency
from whatsnext.models.series import Series
from whatsnext.models.speaker import Speaker
from whatsnext.models.theme import Theme
from whatsnext.models.types import UtcDateTime, choice


class EventState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


class Mode(StrEnum):
    """How someone takes part; places are counted apart."""

    ON_SITE = "on_site"
    ONLINE = "online"


class Event(Base):
    """One talk: what, when, where, how many.

    The time is kept as promised, as local wall time (`starts_local`, naive) plus `zone` and `fold`; the instants
    `starts_at` and `ends_at` (UTC) stand beside it for sorting and are null until a draft has a time.
    `opens_local` and `closes_local` are those of sign-up, null where a button and not a typed time has set it.
    `sequence` is the event's SEQUENCE (RFC 5545 §3.8.7.4). `version` guards against two editors, `page_version`
    rises with whatever the public page shows. `last_arrival` is the last arrival number given.

    A talk of several parts has a row for each of them in `parts` and their number in `part_count`; one of a single
    part has none. `starts_at` is then the start of the first and `ends_at` the end of the last that takes place, while
    `starts_local` stays what the organiser wrote first: of a regular course (every `repeat_weeks` weeks) the start of
    its rule.
    """

    __tablename__ = "event"
    __table_args__ = (
        sa.Index("ix_event_coming", "series_id", "starts_at", "id"),
        sa.Index("ix_event_theme", "theme_id", "starts_at", "id"),
        sa.Index("ix_event_host", "host_id", "starts_at", "id"),
        sa.Index("ix_event_time", "starts_at", "id"),
        sa.Index("ix_event_published", "published_at"),
        sa.Index(
            "ix_event_courses",
            "ends_at",
            "starts_at",
            sqlite_where=sa.text("part_count > 1"),
            postgresql_where=sa.text("part_count > 1"),
        ),
        sa.CheckConstraint("duration_minutes > 0", name="duration"),
        sa.CheckConstraint("capacity_on_site >= 0 AND capacity_online >= 0", name="capacity"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(sa.ForeignKey("series.id"))
    theme_id: Mapped[int | None] = mapped_column(sa.ForeignKey("theme.id"))
    host_id: Mapped[int | None] = mapped_column(sa.ForeignKey("agency.id"))
    slug: Mapped[str] = mapped_column(sa.String(80), unique=True)
    state: Mapped[EventState] = mapped_column(choice(EventState), default=EventState.DRAFT)
    title: Mapped[str] = mapped_column(sa.String(200))
    summary: Mapped[str] = mapped_column(sa.Text, default="")
    agenda: Mapped[str] = mapped_column(sa.Text, default="")
    language: Mapped[str] = mapped_column(sa.String(2), default="de")

    starts_local: Mapped[datetime | None] = mapped_column(sa.DateTime())
    zone: Mapped[str] = mapped_column(sa.String(64), default="Europe/Berlin")
    fold: Mapped[int] = mapped_column(default=0)
    duration_minutes: Mapped[int] = mapped_column(default=90)
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repeat_weeks: Mapped[int] = mapped_column(default=0)
    part_count: Mapped[int] = mapped_column(default=1)
    previous_starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    previous_ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    previous_zone: Mapped[str] = mapped_column(sa.String(64), default="")

    on_site: Mapped[bool] = mapped_column(default=True)
    online: Mapped[bool] = mapped_column(default=False)
    capacity_on_site: Mapped[int] = mapped_column(default=0)
    capacity_online: Mapped[int] = mapped_column(default=0)
    address: Mapped[str] = mapped_column(sa.String(300), default="")
    join_link: Mapped[str] = mapped_column(sa.String(1000), default="")
    dial_in: Mapped[str] = mapped_column(sa.String(300), default="")
    step_free: Mapped[str] = mapped_column(sa.String(300), default="")
    induction_loop: Mapped[str] = mapped_column(sa.String(300), default="")
    sign_language: Mapped[str] = mapped_column(sa.String(300), default="")
    captions: Mapped[str] = mapped_column(sa.String(300), default="")
    quiet_room: Mapped[str] = mapped_column(sa.String(300), default="")

    registration_opens: Mapped[datetime | None] = mapped_column(UtcDateTime)
    registration_closes: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opens_local: Mapped[datetime | None] = mapped_column(sa.DateTime())
    closes_local: Mapped[datetime | None] = mapped_column(sa.DateTime())
    chatham_house: Mapped[bool] = mapped_column(default=False)
    protected: Mapped[bool] = mapped_column(default=False)

    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_reason: Mapped[str] = mapped_column(sa.Text, default="")
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)

    uid: Mapped[str] = mapped_column(sa.String(120), unique=True)
    sequence: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    page_version: Mapped[int] = mapped_column(default=1)
    last_arrival: Mapped[int] = mapped_column(default=0)

    series: Mapped[Series] = relationship()
    theme: Mapped[Theme | None] = relationship()
    host: Mapped[Agency | None] = relationship()
    speakers: Mapped[list[Speaker]] = relationship(
        secondary="event_speaker", order_by="EventSpeaker.position", viewonly=True
    )
    parts: Mapped[list[EventPart]] = relationship(order_by="EventPart.position", cascade="all, delete-orphan")


class EventPart(Base):
    """One part of a talk that has several: an afternoon, or one evening of a course.

    `uid` is its own in irregular talks (the first has the talk's); all parts of a regular course have the talk's, and
    `original_local` says which of them it is: the wall time by the rule, its RECURRENCE-ID, null in irregular talks.
    `sequence` is the talk's SEQUENCE when this part last changed alone, 0 if it never did.
    """

    __tablename__ = "event_part"
    __table_args__ = (
        sa.UniqueConstraint("event_id", "position"),
        sa.CheckConstraint("duration_minutes > 0", name="duration"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("event.id", ondelete="CASCADE"))
    position: Mapped[int]
    starts_local: Mapped[datetime] = mapped_column(sa.DateTime())
    fold: Mapped[int] = mapped_column(default=0)
    duration_minutes: Mapped[int]
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    original_local: Mapped[datetime | None] = mapped_column(sa.DateTime())
    uid: Mapped[str] = mapped_column(sa.String(120), index=True)
    sequence: Mapped[int] = mapped_column(default=0)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_reason: Mapped[str] = mapped_column(sa.Text, default="")


class EventSpeaker(Base):
    """Who speaks at a talk, in order."""

    __tablename__ = "event_speaker"
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("event.id", ondelete="CASCADE"), primary_key=True)
    speaker_id: Mapped[int] = mapped_column(sa.ForeignKey("speaker.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)
