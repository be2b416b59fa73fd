"""The personal calendar address of one person."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.person import Person
from whatsnext.models.types import UtcDateTime, personal


class PersonFeed(Base):
    """Whoever knows `secret` reads what the person is signed up for; gone when the person deletes it.

    The secret is kept as it is, because its owner sees it again (docs/decisions/0015).
    """

    __tablename__ = "person_feed"
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(
        sa.String(43),
        unique=True,
        info=personal("to open the person's own calendar", "the person", "until the person deletes or renews it"),
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    person: Mapped[Person] = relationship()
