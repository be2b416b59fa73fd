"""Every migration goes up and comes back with rows in every table; the models equal the newest one."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from whatsnext.db import Base, alembic_config, db, init_app, migrate, upgrade

SCRIPTS = ScriptDirectory.from_config(alembic_config())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
SET_ASIDE = "migrations_tried"


@pytest.fixture
def fresh(database: Any, tmp_path: Any) -> Iterator[Flask]:
    """An application on a database without any table, apart from the one of the other tests."""
    app = Flask("migrations")
    with contextlib.ExitStack() as cleaning:
        if database.kind == "sqlite":
            url = f"sqlite:///{tmp_path / 'fresh.db'}"
        else:
            url = cleaning.enter_context(_empty_postgresql(database.url))
        init_app(app, url, wal_backported=False)
        with app.app_context():
            yield app
            db.engine.dispose()


@contextlib.contextmanager
def _empty_postgresql(url: str) -> Iterator[str]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {SET_ASIDE}"))
    yield sa.engine.make_url(url).set(database=SET_ASIDE).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {SET_ASIDE} WITH (FORCE)"))
    engine.dispose()


def go(revision: str) -> None:
    with db.engine.connect() as connection:
        migrate(connection, revision)


def tables() -> sa.MetaData:
    found = sa.MetaData()
    with db.engine.connect() as connection:
        found.reflect(connection)
    return found


def fill() -> None:
    """Two rows in every table there is now, each foreign key pointing to the first row of its table."""
    found = tables()
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        for table in found.sorted_tables:
            if table.name != "alembic_version":
                for number in (1, 2):
                    connection.execute(table.insert().values({c.name: value(c, number) for c in table.columns}))


def value(column: sa.Column[Any], number: int) -> Any:
    kind = column.type
    if column.foreign_keys:
        return number
    makers: dict[type, Callable[[], Any]] = {
        sa.Boolean: lambda: True,
        sa.JSON: lambda: {"key": "Wert"},
        sa.LargeBinary: lambda: b"\x00raw",
        sa.Date: lambda: date(2027, 1, number),
        sa.DateTime: lambda: datetime(2027, 1, number, 14, tzinfo=UTC if getattr(kind, "timezone", False) else None),
        sa.Float: lambda: float(number),
        sa.Integer: lambda: number,
        sa.String: lambda: f"ä{number}",
    }
    return next(make() for known, make in makers.items() if isinstance(kind, known))


def content() -> dict[str, list[tuple[Any, ...]]]:
    found = tables()
    with db.engine.connect() as connection:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in connection.execute(sa.select(table)))
            for table in found.sorted_tables
            if table.name != "alembic_version"
        }


def test_there_is_one_head():
    assert len(SCRIPTS.get_heads()) == 1


def test_pages_of_registrations_have_room_as_the_model_says(fresh):
    """So that all of a talk can be changed in place; alembic compares no such options."""
    go("head")
    if db.engine.dialect.name != "postgresql":
        return  # SQLite writes a row where it stood
    with db.engine.connect() as connection:
        found = dict(connection.exec_driver_sql("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r'").all())
    wanted = {table.name: table.dialect_options["postgresql"].get("with") for table in Base.metadata.sorted_tables}
    for name, options in wanted.items():
        assert found[name] == ([f"{key}={value}" for key, value in options.items()] if options else None)
    assert found["registration"] == ["fillfactor=50"]


def test_the_models_equal_the_newest_migration(fresh):
    upgrade(fresh)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize(("before", "after"), [("base", REVISIONS[0]), *itertools.pairwise(REVISIONS)])
def test_a_migration_goes_up_and_comes_back_with_every_row(fresh, before, after):
    if before != "base":
        go(before)
        fill()
    old = content()
    go(after)
    kept = content()
    assert {name: len(rows) for name, rows in kept.items() if name in old} == {n: len(r) for n, r in old.items()}
    with db.engine.connect() as connection:
        migrate(connection, f"-{1}")
    assert content() == old
    go(after)
    assert content() == kept


def test_sign_up_times_get_the_wall_time_they_were_typed_as(fresh):
    go("0005")
    fill()
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        connection.execute(
            sa.update(tables().tables["event"]).values(
                zone="Europe/Berlin",
                registration_opens=datetime(2027, 7, 1, 7, tzinfo=UTC),
                # the first 2:30 of that night, which only a button can have set: typed, the later one would be meant
                registration_closes=datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
            )
        )
    go("0006")
    event = tables().tables["event"]
    with db.engine.connect() as connection:
        rows = connection.execute(sa.select(event.c.opens_local, event.c.closes_local)).all()
    assert [tuple(row) for row in rows] == [(datetime(2027, 7, 1, 9), None)] * 2


def test_the_tables_take_rows_and_go_whole(fresh):
    upgrade(fresh)
    fill()
    assert {len(rows) for rows in content().values()} == {2}
    go("base")
    assert content() == {}


def test_four_starts_at_once_migrate_once(fresh):
    url = db.engine.url.render_as_string(hide_password=False)
    failed: list[Exception] = []

    def start() -> None:
        app = Flask("another start")
        init_app(app, url, wal_backported=False)
        try:
            upgrade(app)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=start) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    with db.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == REVISIONS[-1]


def test_a_failed_migration_leaves_the_old_tables(fresh, monkeypatch):
    go(REVISIONS[0])
    fill()
    before = content()

    def half(config: Any, _revision: str) -> None:
        config.attributes["connection"].exec_driver_sql("DROP TABLE job_run")
        raise RuntimeError("the power went")

    monkeypatch.setattr("whatsnext.db.command.upgrade", half)
    with pytest.raises(RuntimeError):
        go("head")
    assert content() == before


def test_a_message_is_about_the_talk_and_the_person_of_its_registration(fresh):
    """Where an older release left them out, or said something else, they are the registration's."""
    go("0014")
    fill()
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        connection.exec_driver_sql("UPDATE message SET event_id = NULL, person_id = 2 WHERE id = 1")
        connection.exec_driver_sql("UPDATE message SET registration_id = NULL, person_id = NULL WHERE id = 2")
    go("0015")
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT registration_id, event_id, person_id FROM message ORDER BY id").all()
    assert [tuple(row) for row in rows] == [(1, 1, 1), (None, 2, None)]
