"""Signing in: links that work once, and who is signed in now."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from whatsnext.db import Base
from whatsnext.models.person import Person
from whatsnext.models.types import UtcDateTime


class SignInLink(Base):
    """One mailed sign-in link: found by `token_id`, good once, in the browser whose cookie has the digest `browser`.

    An empty `browser` means any browser: only the command line makes such a link. Without a person it is the row of an
    address that nobody has: asking does the same work and answers the same (safety.md I10).
    """

    __tablename__ = "sign_in_link"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[str] = mapped_column(sa.String(26), unique=True)
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"), index=True)
    browser: Mapped[str] = mapped_column(sa.String(64), default="", index=True)
    code: Mapped[str] = mapped_column(sa.String(64), default="")
    tries: Mapped[int] = mapped_column(default=0)
    target: Mapped[str] = mapped_column(sa.String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    person: Mapped[Person | None] = relationship()


class SignedIn(Base):
    """One browser that is signed in; `digest` is that of the secret in its cookie (safety.md I11)."""

    __tablename__ = "signed_in"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    person: Mapped[Person] = relationship()
