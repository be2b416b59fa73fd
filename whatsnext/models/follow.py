"""Who wants to hear of the new talks of a theme, or that sign-up to one talk has opened."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.event import Event
from whatsnext.models.person import Person
from whatsnext.models.theme import Theme
from whatsnext.models.types import UtcDateTime


class Follow(Base):
    """One wish of one person: a theme (every new talk, until ended) or a talk (once, when its sign-up opens).

    It holds from `proved_at`, when the person pressed the button behind the mailed link, until `ended_at`. `asked_at`
    is when it was last asked for; a link mailed before that proves nothing. `told_at` is when the opening was told.
    `browser` is the digest of the asking browser's cookie.
    """

    __tablename__ = "follow"
    __table_args__ = (
        sa.UniqueConstraint("person_id", "theme_id"),
        sa.UniqueConstraint("person_id", "event_id"),
        sa.CheckConstraint("theme_id IS NOT NULL OR event_id IS NOT NULL", name="meant"),
        sa.Index("ix_follow_theme", "theme_id", "ended_at"),
        sa.Index("ix_follow_event", "event_id", "told_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"))
    theme_id: Mapped[int | None] = mapped_column(sa.ForeignKey("theme.id", ondelete="CASCADE"))
    event_id: Mapped[int | None] = mapped_column(sa.ForeignKey("event.id", ondelete="CASCADE"))
    language: Mapped[str] = mapped_column(sa.String(2), default="de")
    browser: Mapped[str] = mapped_column(sa.String(64), default="")
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    proved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    person: Mapped[Person] = relationship()
    theme: Mapped[Theme | None] = relationship()
    event: Mapped[Event | None] = relationship()
