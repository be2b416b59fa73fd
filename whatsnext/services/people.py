"""The person behind an address: made once, whoever asks first."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import make_transient_to_detached

from whatsnext.db import Handed, db, plain
from whatsnext.models import Person
from whatsnext.permissions import Role


def with_address(email: str, language: str, now: datetime) -> Person:
    """The person with this normalised address, made if new; whoever asks at the same moment gets the same one."""
    known = sa.select(Person).where(Person.email == email)
    return make_new(email, language, now) or db.session.execute(known).scalar_one()


def make_new(email: str, language: str, now: datetime) -> Person | None:
    """A new person with this normalised address, or None where it is known."""
    given: dict[str, Any] = {"email": email, "language": language, "created_at": now}
    made = plain(_insert_person(db.engine.dialect.name), given).scalar()
    if made is None:
        return None
    empty = dict.fromkeys(Person.__table__.columns.keys())
    person = Person(**{**empty, **_NEW, **given, "id": made})
    make_transient_to_detached(person)
    return db.session.merge(person, load=False)  # as if it had been read


_NEW = {"name": "", "agency": "", "role": Role.ATTENDEE}


@cache
def _insert_person(dialect: str) -> Handed:
    table = Person.__table__
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    given: dict[str, Any] = {name: sa.bindparam(name) for name in ("email", "language", "created_at")}
    new = insert(table).values(**_NEW, **given)  # type: ignore[arg-type]
    return Handed(new.on_conflict_do_nothing(index_elements=[table.c.email]).returning(table.c.id))
