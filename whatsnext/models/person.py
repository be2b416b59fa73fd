"""One human, known by one mail address."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from whatsnext.db import Base
from whatsnext.models.types import UtcDateTime, choice, personal
from whatsnext.permissions import Role

_OWN = "the person and organisers of their talks"
_LIFE = "until erased, or 6 months after the last talk"


class Person(Base):
    """Attendee, organiser, operator alike; no password. `email` is normalised (text.mail_address)."""

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True, info=personal("to send invitations", _OWN, _LIFE))
    name: Mapped[str] = mapped_column(sa.String(120), default="", info=personal("to address the person", _OWN, _LIFE))
    agency: Mapped[str] = mapped_column(
        sa.String(160), default="", info=personal("to see who comes from where", _OWN, _LIFE)
    )
    language: Mapped[str] = mapped_column(sa.String(2), default="de")
    role: Mapped[Role] = mapped_column(choice(Role), default=Role.ATTENDEE)
    proved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    bounced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
