"""Legal and help pages that organisers edit."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from whatsnext.db import Base
from whatsnext.models.types import UtcDateTime


class Page(Base):
    """The text of one page in one language, newest version; absent while the template is unedited."""

    __tablename__ = "page"
    __table_args__ = (sa.UniqueConstraint("slug", "language"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(40))
    language: Mapped[str] = mapped_column(sa.String(2))
    body: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(default=1)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
