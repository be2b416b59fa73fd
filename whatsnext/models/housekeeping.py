"""Small tables of the machinery: attempts counted, periodic work won, erasures remembered."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from whatsnext.db import Base
from whatsnext.models.types import UtcDateTime, personal


class RateLimit(Base):
    """How often a key was used in its window; `ends` in seconds since 1970."""

    __tablename__ = "rate_limit"
    key: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    count: Mapped[int]
    ends: Mapped[float] = mapped_column(index=True)


class JobRun(Base):
    """The last slot in which a periodic job ran, so that it runs once however many workers there are.

    Also when the last backup was verified, as a slot of one second (services/delivery.py).
    `done_until` is up to when a job that goes on where it stopped has done its work.
    """

    __tablename__ = "job_run"
    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    slot: Mapped[int] = mapped_column(sa.BigInteger)
    done_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Erasure(Base):
    """Somebody was erased: a keyed hash of the address, good for nothing but to know it again (safety.md D2)."""

    __tablename__ = "erasure"
    digest: Mapped[str] = mapped_column(
        sa.String(64),
        primary_key=True,
        info=personal(
            "to erase again what an older backup brings back", "nobody", "as long as backups may be restored"
        ),
    )
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime)
