"""Everything carried from one kind of database to the other and back, compared, and usable there.

MOVED says how many registrations are carried beside the demo.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.databases import Database
from tests.factories import NOON, Make
from tests.figures import Figure
from tests.mail.worlds import change, owed
from whatsnext import demo, jobs, moving, tables
from whatsnext.db import db, write
from whatsnext.mail.wire import Courier
from whatsnext.models import Event, Kind, Person, Registration, Status

Target = Callable[[], str]
MOVED = int(os.environ.get("MOVED", "300"))


@pytest.fixture
def target(database: Database, postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """An empty database of the other kind."""
    if database.kind == "postgresql":
        yield f"sqlite:///{tmp_path / 'target.db'}"
        return
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE moved"))
    yield sa.make_url(postgres_url).set(database="moved").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE moved WITH (FORCE)"))
    engine.dispose()


@contextlib.contextmanager
def opened(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def sums(url: str) -> dict[str, str]:
    with opened(url) as connection:
        return {table.name: tables.checksum(connection, table) for table in Person.metadata.sorted_tables}


@pytest.fixture
def filled(make: Make) -> None:
    """Every column type with something in it, and texts that sort differently in both databases."""
    message = owed(make, Kind.UPDATE)
    change(message, raw=b"\x00\xff bytes", error="Ärger")
    for name in ("ä", "Z", "a", "ß", "É"):
        make.agency(name=f"{name}-Amt")
    with write():
        db.session.execute(
            sa.text("INSERT INTO rate_limit (key, count, ends) VALUES ('a', 1, 1.5), ('Z', 2, 0.1), ('ä', 3, 9)")
        )


@pytest.mark.usefixtures("filled")
def test_all_rows_arrive_and_both_sides_have_the_same_check_sums(app: Flask, database: Database, target: str) -> None:
    db.session.rollback()
    moved = moving.move(app, target)
    assert {each.table: each.checksum for each in moved} == sums(database.url) == sums(target)
    assert {each.table: each.rows for each in moved if each.table in ("message", "agency", "rate_limit")} == {
        "message": 1,
        "agency": 5,
        "rate_limit": 3,
    }


def test_the_demo_and_many_registrations_are_equal_on_both_sides(
    app: Flask, database: Database, target: str, make: Make, figure: Figure
) -> None:
    courier = Courier()
    demo.fill(NOON, lambda: jobs.deliver_due(courier))
    courier.close()
    sign_up_many(make.event(places_on_site=MOVED))
    moved = moving.move(app, target)
    here, there = sums(database.url), sums(target)
    figure(
        "database moved",
        rows=sum(each.rows for each in moved),
        tables=len(moved),
        differing=sum(here[name] != there[name] for name in here),
    )
    assert {each.table: each.rows for each in moved}["registration"] > MOVED
    assert {each.table: each.checksum for each in moved} == here == there


def sign_up_many(talk: Event) -> None:
    people = [
        {"email": f"p{n}@behoerde.example", "name": f"Ä {n}", "agency": "Amt", "language": "de", "created_at": NOON}
        for n in range(MOVED)
    ]
    talk_id = talk.id
    with write():
        ids = db.session.scalars(sa.insert(Person).returning(Person.id, sort_by_parameter_order=True), people).all()
        rows = [
            {
                "event_id": talk_id,
                "person_id": person_id,
                "arrival": number,
                "mode": "on_site",
                "status": Status.CONFIRMED,
                "ref": f"moved{number}",
                "reply_token": f"moved{number}",
                "name": f"Ä {number}",
                "agency": "Amt",
                "language": "de",
                "created_at": NOON,
                "changed_at": NOON,
            }
            for number, person_id in enumerate(ids, 1)
        ]
        db.session.execute(sa.insert(Registration), rows)
    db.session.rollback()


@pytest.mark.usefixtures("filled")
def test_the_application_goes_on_there_with_numbers_of_its_own(
    database: Database, app: Flask, target: str, make: Make
) -> None:
    db.session.rollback()
    moving.move(app, target)
    there = database.create_app(database_url=target)
    with there.app_context():
        before = db.session.scalar(sa.select(sa.func.max(Person.id)))
        person = make.person()
        assert (person.id, person.created_at) == ((before or 0) + 1, NOON)
        db.session.remove()
        db.engine.dispose()


@pytest.mark.usefixtures("filled")
def test_a_target_that_holds_data_is_refused_and_left_alone(app: Flask, target: str) -> None:
    db.session.rollback()
    moving.move(app, target)
    before = sums(target)
    with pytest.raises(moving.MoveRefused, match="holds data already"):
        moving.move(app, target)
    assert sums(target) == before


@pytest.mark.usefixtures("filled")
def test_a_move_that_is_cut_off_starts_over(app: Flask, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.rollback()

    class Cut(Exception):
        pass

    copy = moving._copy

    def cut(source: sa.Connection, target: sa.Connection, table: sa.Table) -> None:
        if table.name == "message":
            raise Cut
        copy(source, target, table)

    monkeypatch.setattr(moving, "_copy", cut)
    with pytest.raises(Cut):
        moving.move(app, target)
    monkeypatch.undo()
    assert {each.table for each in moving.move(app, target) if each.rows} >= {"person", "message"}


def test_a_database_is_not_moved_to_itself_nor_to_nowhere(app: Flask, database: Database, tmp_path: Path) -> None:
    with pytest.raises(moving.MoveRefused, match="same database"):
        moving.move(app, database.url)
    for nowhere in ("postgresql+psycopg://x@127.0.0.1:1/x", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(moving.MoveRefused, match="does not answer"):
            moving.move(app, nowhere)
