"""A series of talks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from whatsnext.db import Base


class Series(Base):
    """A series: its words, its contact, its defaults. `page_version` rises with whatever its home page shows.

    `reminders` is how many minutes before a talk people are reminded, as "1440,60"; "" for never.
    """

    __tablename__ = "series"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(80), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    summary: Mapped[str] = mapped_column(sa.Text, default="")
    summary_en: Mapped[str] = mapped_column(sa.Text, default="")
    contact_name: Mapped[str] = mapped_column(sa.String(120), default="")
    contact_email: Mapped[str] = mapped_column(sa.String(254), default="")
    contact_phone: Mapped[str] = mapped_column(sa.String(60), default="")
    zone: Mapped[str] = mapped_column(sa.String(64), default="Europe/Berlin")
    position: Mapped[int] = mapped_column(default=0)
    promotion_stops_hours: Mapped[int] = mapped_column(default=24)
    offer_hours: Mapped[int] = mapped_column(default=4)
    reminders: Mapped[str] = mapped_column(sa.String(60), default="1440,60")
    version: Mapped[int] = mapped_column(default=1)
    page_version: Mapped[int] = mapped_column(default=1)
