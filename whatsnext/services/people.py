"""The person behind an address: made once, whoever asks first."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from whatsnext.db import db
from whatsnext.models import Person
from whatsnext.permissions import Role


def with_address(email: str, language: str, now: datetime) -> Person:
    """The person with this normalised address, made if new; whoever asks at the same moment gets the same one."""
    known = sa.select(Person).where(Person.email == email)
    return make_new(email, language, now) or db.session.execute(known).scalar_one()


def make_new(email: str, language: str, now: datetime) -> Person | None:
    """A new person with this normalised address, or None where it is known."""
    given = {"email": email, "language": language, "created_at": now}
    made: Person | None = db.session.scalar(_insert_person(db.engine.dialect.name), given)
    return made


@cache
def _insert_person(dialect: str) -> sa.Executable:
    table = Person.__table__
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    new = insert(table).values(  # type: ignore[arg-type]
        email=sa.bindparam("email"),
        name="",
        agency="",
        language=sa.bindparam("language"),
        role=Role.ATTENDEE,
        created_at=sa.bindparam("created_at"),
    )
    made = new.on_conflict_do_nothing(index_elements=[table.c.email]).returning(*table.c)
    return sa.select(Person).from_statement(made)
