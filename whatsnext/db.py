"""The database: one session, one way to write, migrations at start.

SQLite is opened so that no update is lost: the driver sends no BEGIN of its own, reads are deferred and
`write()` begins IMMEDIATE (docs/decisions/0003).
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from blinker import Signal
from flask import Flask, current_app, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from whatsnext import clock
from whatsnext.errors import NotMigrated, SettingRefused

MIGRATIONS = Path(__file__).parent / "migrations"
WAL_SAFE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
MIGRATION_LOCK = 7_341_882
PATIENCE = 30_000
"""Milliseconds that a writer waits for SQLite's one place to write: it goes to whoever asks at the right moment, not to
whoever has waited longest, so the unlucky ones of a crowd wait much longer than the others."""
MILLISECONDS = {"statement_timeout": 30_000, "lock_timeout": 15_000, "idle_in_transaction_session_timeout": 60_000}

IDLE = 0.02
"""Seconds after which a connection to PostgreSQL may have lost its server."""
WHOLE_TRIES = 3
GIVEN_UP = ("40001", "40P01")
"""SQLSTATE of a serialisation failure and of a deadlock."""

written = Signal("written")
"""Sent after a commit that may have left something to do; jobs wake on it."""


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


def init_app(app: Flask, url: str, *, wal_backported: bool) -> None:
    """Bind the database to `app`. `url` is an SQLAlchemy URL; the engine opens no connection yet."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _prepare_sqlite(db.engine, wal_backported=wal_backported)
        else:
            event.listen(db.engine, "first_connect", _refuse_unsafe_postgresql)
            event.listen(db.engine, "checkin", _note_when)
            event.listen(db.engine, "checkout", _refuse_dead)


def _engine_options(url: str) -> dict[str, Any]:
    """Errors name no values: they would bring addresses and tokens into the log (safety.md D4)."""
    if url.startswith("sqlite"):
        return {"hide_parameters": True, "connect_args": {"timeout": PATIENCE / 1000}}
    options = " ".join(f"-c {name}={value}" for name, value in {**MILLISECONDS, "TimeZone": "UTC"}.items())
    pool = {"pool_size": 8, "max_overflow": 4, "pool_use_lifo": True}
    return {"hide_parameters": True, **pool, "connect_args": {"options": options}}


def journal_mode(version: tuple[int, int, int], *, wal_backported: bool) -> str:
    """`wal` where the linked SQLite cannot lose a commit at a checkpoint, else a rollback journal (safety.md B1).

    That one is emptied and synced at each commit. Deleted, as SQLite does by itself, it may be there again after a
    power cut, and undo what was confirmed.
    """
    fixed = wal_backported or version >= WAL_SAFE[0] or any(version[:2] == v[:2] and version >= v for v in WAL_SAFE)
    return "wal" if fixed else "truncate"


def _prepare_sqlite(engine: sa.Engine, *, wal_backported: bool) -> None:
    mode = journal_mode(sqlite3.sqlite_version_info, wal_backported=wal_backported)

    @event.listens_for(engine, "connect")
    def _open(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={PATIENCE}"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if how := connection.get_execution_options().get("sqlite_begin", "DEFERRED"):
            connection.exec_driver_sql(f"BEGIN {how}")


def _refuse_unsafe_postgresql(connection: Any, _record: object) -> None:
    """A server that may forget a commit is refused (safety.md B2). A cluster of the tests says so itself."""
    for name in ("fsync", "synchronous_commit"):
        value = connection.execute(f"SHOW {name}").fetchone()[0]
        allowed = connection.execute("SELECT current_setting('whatsnext.throwaway', true)").fetchone()[0] == "on"
        if value == "off" and not allowed:
            raise SettingRefused(f"DATABASE_URL: the PostgreSQL server has {name}=off and may lose what it confirmed")
    connection.rollback()  # whoever asked for this connection gets it outside of any transaction


def _note_when(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _refuse_dead(connection: Any, record: Any, _proxy: Any) -> None:
    """Ask whether the server still knows a connection that nobody has used for a moment; if not, all are made anew.

    A restart takes longer than the moment, so none fails a request; asking each time cost every page a round trip.
    """
    if time.monotonic() - record.info.get("used", 0.0) < IDLE:
        return
    try:
        db.engine.dialect.do_ping(connection)
    except db.engine.dialect.loaded_dbapi.Error as error:
        if db.engine.dialect.is_disconnect(error, connection, None):
            raise InvalidatePoolError from error
        raise


def database_now() -> datetime:
    """The database's clock: leases and holds stand when a machine's own clock jumps (safety.md R7)."""
    return as_moment(db.session.execute(sa.select(database_clock())).scalar_one())


def database_clock(ahead: timedelta = timedelta()) -> sa.ColumnElement[Any]:
    """The same inside of a statement, so much ahead; `as_moment` reads it."""
    seconds = f"{ahead.total_seconds()} seconds"
    if db.engine.dialect.name == "postgresql":
        return sa.literal_column(f"clock_timestamp() + interval '{seconds}'" if ahead else "clock_timestamp()")
    return sa.literal_column(f"strftime('%Y-%m-%d %H:%M:%f', 'now', '+{seconds}')")


def as_moment(value: datetime | str) -> datetime:
    """What the database's clock said, in UTC; SQLite says it as text."""
    return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)


@contextlib.contextmanager
def write() -> Iterator[None]:
    """One use case, one transaction: commits at the end, rolls back on any error, refuses to nest.

    On SQLite it holds the write lock from the beginning. Sends `written` after the commit.
    """
    if g.get("writing"):
        raise RuntimeError("write() does not nest: one use case, one transaction")
    g.writing = True
    db.session.rollback()
    try:
        db.session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        if clock.wants_a_look():
            clock.follow(database_now())
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        g.writing = False
    written.send(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001


class Handed:
    """A statement on columns that the driver is given in its own words, made once, where many of the same follow.

    SQLAlchemy looks for these words anew each time, by all that the statement is made of. What comes back is as the
    driver gives it, and no value may be a list. A column that only a default of Python's would fill raises TypeError; a
    value that is missing whatever the driver, or the type, says of it.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._made: dict[str, tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]] = {}

    def execute(self, connection: sa.Connection, values: dict[str, Any]) -> sa.CursorResult[*tuple[Any, ...]]:
        """On this connection, with these values."""
        words, constants, ways = self._made.get(connection.dialect.name) or self._make(connection.dialect)
        given = {**constants, **values}
        given.update({name: way(given[name]) for name, way in ways.items()})
        return connection.exec_driver_sql(words, given)

    def _make(self, dialect: sa.Dialect) -> tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]:
        """Its words, what never changes, and what the driver cannot take as it is."""
        named: Any = sqlite_dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
        compiled: Any = self._statement.compile(dialect=named)  # type: ignore[attr-defined]
        if compiled.prefetch:
            raise TypeError(f"{compiled.prefetch[0]} would stay empty")
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        constants = {name: bind.value for name, bind in binds.items() if not bind.required}
        ways = {name: bind.type.dialect_impl(named).bind_processor(named) for name, bind in binds.items()}
        made = str(compiled), constants, {name: way for name, way in ways.items() if way}
        return self._made.setdefault(dialect.name, made)


def plain(statement: sa.Executable | Handed, given: dict[str, Any]) -> sa.CursorResult[*tuple[Any, ...]]:
    """Execute a statement on columns in the session's transaction, past its objects: none is looked through or read."""
    connection = db.session.connection()
    return (
        statement.execute(connection, given) if isinstance(statement, Handed) else connection.execute(statement, given)
    )


def connected() -> sa.Connection:
    """A connection to keep for many plain statements, each of which is a transaction of its own; to be closed.

    What the session was reading ends: on SQLite a commit would wait for it.
    """
    db.session.rollback()
    return _without_transaction(db.engine.connect())


def _without_transaction(connection: sa.Connection) -> sa.Connection:
    """Nothing is begun and ended around a statement: it stands alone."""
    sqlite = connection.dialect.name == "sqlite"
    options: dict[str, Any] = {"sqlite_begin": ""} if sqlite else {"isolation_level": "AUTOCOMMIT"}
    return connection.execution_options(**options)


def glance(statement: sa.Select[*tuple[Any, ...]], given: dict[str, Any]) -> tuple[Any, ...] | None:
    """The first row of a single statement, or None; outside of any transaction: nothing is begun and ended for it."""
    with db.engine.connect() as connection:
        outside = _without_transaction(connection)
        row = outside.execute(statement, given).first()
        if clock.wants_a_look():  # a process that only reads follows too
            clock.follow(as_moment(outside.execute(sa.select(database_clock())).scalar_one()))
    return tuple(row) if row is not None else None


Result = TypeVar("Result")


def whole(work: Callable[[], Result]) -> Result:
    """Do `work` in one transaction; anew, three times at most, if another transaction was in its way (safety.md B2)."""
    for left in range(WHOLE_TRIES - 1, -1, -1):
        try:
            with write():
                return work()
        except OperationalError as error:
            if not left or not was_in_the_way(error):
                raise
            pause_before_next_try()
    raise AssertionError("unreachable")


def was_in_the_way(error: DBAPIError) -> bool:
    """Whether PostgreSQL gave this transaction up for the sake of another: done anew, it may well succeed."""
    return getattr(error.orig, "sqlstate", None) in GIVEN_UP


def pause_before_next_try() -> None:
    """So that two which met do not meet again."""
    time.sleep(random.uniform(0.01, 0.1))  # noqa: S311


def upgrade(app: Flask) -> None:
    """Bring the tables to the newest revision, once, whoever starts at the same moment (docs/decisions/0004)."""
    with app.app_context():
        engine = db.engine
        with engine.connect() as connection:
            migrate(connection, "head")
        engine.dispose()


def migrate(connection: sa.Connection, revision: str) -> None:
    """Move the tables to `revision` (up or down) in one transaction under a lock; on failure nothing has changed.

    Foreign keys are off while SQLite rebuilds tables, else child rows would be deleted, and are checked before
    the commit.
    """
    sqlite = connection.dialect.name == "sqlite"
    raw = connection.connection.driver_connection
    if sqlite and raw is not None:
        raw.execute("PRAGMA foreign_keys=OFF")
    connection = connection.execution_options(sqlite_begin="IMMEDIATE")
    with connection.begin():
        if not sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config = alembic_config()
        config.attributes["connection"] = connection
        down = revision == "base" or revision.startswith("-")
        _refuse_newer(connection)
        (command.downgrade if down else command.upgrade)(config, revision)
        if sqlite and (orphans := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
            raise NotMigrated(f"{len(orphans)} rows point to nothing after the migration")
    if sqlite and raw is not None:
        raw.execute("PRAGMA foreign_keys=ON")


def _refuse_newer(connection: sa.Connection) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if not set(MigrationContext.configure(connection).get_current_heads()) <= known:
        raise NotMigrated("The database belongs to a newer release. Update this one.")


def is_current() -> bool:
    """Whether the tables have the shape of this release; asks the database."""
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()
    return set(MigrationContext.configure(db.session.connection()).get_current_heads()) == set(heads)


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
