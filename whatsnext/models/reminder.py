"""Which reminders were owed, so that none is owed twice."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from whatsnext.db import Base


class Reminder(Base):
    """One reminder of one registration, `minutes` before a talk that was held on `day` (a date in the talk's zone).

    `position` is the part of a talk that it was for, where two parts on one day have one each; else 0.
    """

    __tablename__ = "reminder"
    registration_id: Mapped[int] = mapped_column(sa.ForeignKey("registration.id", ondelete="CASCADE"), primary_key=True)
    minutes: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, default=0, server_default=sa.text("0"))
