"""Someone who gives talks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.agency import Agency
from whatsnext.models.types import personal

_SHOWN = personal("to announce the talk", "everyone", "until an organiser deletes the speaker")


class Speaker(Base):
    """A speaker as announced on public pages."""

    __tablename__ = "speaker"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), info=_SHOWN)
    role: Mapped[str] = mapped_column(sa.String(160), default="", info=_SHOWN)
    agency_id: Mapped[int | None] = mapped_column(sa.ForeignKey("agency.id"), index=True)
    biography: Mapped[str] = mapped_column(sa.Text, default="", info=_SHOWN)
    version: Mapped[int] = mapped_column(default=1)
    agency: Mapped[Agency | None] = relationship()
