"""A theme of a series."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.series import Series


class Theme(Base):
    """A theme such as Blockchain. `colour` is one of the eight named pairs, 1 to 8."""

    __tablename__ = "theme"
    __table_args__ = (
        sa.UniqueConstraint("series_id", "name"),
        sa.CheckConstraint("colour BETWEEN 1 AND 8", name="colour"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(sa.ForeignKey("series.id"))
    slug: Mapped[str] = mapped_column(sa.String(80), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    description_en: Mapped[str] = mapped_column(sa.Text, default="")
    colour: Mapped[int] = mapped_column(default=1)
    position: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    series: Mapped[Series] = relationship()
