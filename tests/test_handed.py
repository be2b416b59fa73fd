"""Statements that the driver is given in its own words do what SQLAlchemy would have done."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import NOON, Make
from whatsnext.db import Handed, db, plain, write
from whatsnext.models import Event, EventState, Registration, Status


def test_values_reach_the_columns_as_their_types_write_them(app: Flask, make: Make) -> None:
    """Moments and choices, none, and what the statement brings itself."""
    ids = [make.registration(make.event(), hold_ends_at=NOON).id for _number in range(2)]
    change = (
        sa.update(Registration)
        .where(Registration.id == sa.bindparam("which"))
        .values(
            status=sa.bindparam("status"),
            proved_at=sa.bindparam("proved_at"),
            hold_ends_at=sa.bindparam("ends_at"),
            sequence=Registration.sequence + 3,
        )
    )
    given = {"status": Status.CONFIRMED, "proved_at": NOON, "ends_at": None}
    with write():
        by_the_driver = plain(Handed(change), {**given, "which": ids[0]}).rowcount
        assert by_the_driver == plain(change, {**given, "which": ids[1]}).rowcount == 1
    stored = "SELECT status, proved_at, hold_ends_at, sequence FROM registration ORDER BY id"
    one, other = db.session.connection().exec_driver_sql(stored).all()
    assert one == other
    read = sa.select(Registration.status, Registration.proved_at, Registration.hold_ends_at, Registration.sequence)
    assert db.session.execute(read).first() == (Status.CONFIRMED, NOON, None, 3)


def test_what_comes_back_is_what_was_asked_for(app: Flask, make: Make) -> None:
    event = make.event()
    named = Handed(sa.select(Event.id).where(Event.title == sa.bindparam("title"), Event.state == EventState.DRAFT))
    for title, found in ((event.title, []), ("%(title)s :title ?", [])):
        assert plain(named, {"title": title}).all() == found
    either = Handed(sa.select(Event.id, Event.slug).where(Event.title == sa.bindparam("title")))
    assert plain(either, {"title": event.title}).all() == [(event.id, event.slug)]


def test_a_value_that_is_missing_is_no_null(app: Flask, make: Make) -> None:
    event = make.event()
    with write(), pytest.raises((KeyError, sa.exc.DBAPIError)):
        plain(Handed(sa.update(Event).values(dial_in=sa.bindparam("number"))), {})
    assert db.session.scalar(sa.select(Event.dial_in)) == event.dial_in


def test_what_stands_in_a_savepoint_goes_with_it(app: Flask, make: Make) -> None:
    event = make.event(dial_in="030 1")
    change = Handed(sa.update(Event).values(dial_in=sa.bindparam("number")))
    with write():
        with db.session.begin_nested() as undone:
            plain(change, {"number": "030 2"})
            undone.rollback()
        assert db.session.scalar(sa.select(Event.dial_in)) == "030 1"
        plain(change, {"number": "030 3"})
    db.session.refresh(event)
    assert event.dial_in == "030 3"


def test_a_column_that_would_stay_empty_is_refused(app: Flask) -> None:
    """Python's own defaults are filled in by SQLAlchemy alone."""
    table: Any = Registration.__table__
    assert [column for column in table.c if column.default is not None]
    with write(), pytest.raises(TypeError, match="would stay empty"):
        plain(Handed(sa.insert(table).values(ref=sa.bindparam("ref"))), {"ref": "x"})
