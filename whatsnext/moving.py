"""From one database to another: every row carried over, counted and compared. The source stays as it is.

The target's tables come from the migrations; all rows are added in one transaction, so that a move that is cut off has
left nothing but empty tables, and starting over is all it takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Flask

from whatsnext import models, tables
from whatsnext.db import db, is_current, migrate
from whatsnext.db import init_app as bind


class MoveRefused(Exception):
    """It cannot be moved; the message says why."""


@dataclass(frozen=True)
class Moved:
    """One table: how many rows, and the check sum that both databases have."""

    table: str
    rows: int
    checksum: str


def move(source: Flask, target_url: str) -> list[Moved]:
    """Copy everything from the database of `source` to an empty one. Raises MoveRefused.

    Stop web and workers before: what is written meanwhile stays behind. Both have the tables of this release then.
    """
    target = Flask("whatsnext-target")
    bind(target, target_url, wal_backported=False)
    with source.app_context():
        if not is_current():
            raise MoveRefused("The source has tables of another release. Run upgrade first.")
        db.session.remove()
        here = db.engine
    with target.app_context():
        there = db.engine
    if here.url == there.url:
        raise MoveRefused("Source and target are the same database")
    try:
        return _move(here, there)
    except sa.exc.OperationalError as error:
        raise MoveRefused("The target does not answer or cannot be opened") from error
    finally:
        there.dispose()


def _move(here: sa.Engine, there: sa.Engine) -> list[Moved]:
    with there.connect() as connection:
        if tables.holds_data(connection):
            raise MoveRefused("The target holds data already. Move to an empty database.")
    with there.connect() as connection:
        migrate(connection, "head")
    with _steady(here) as source, there.connect() as connection:
        writing = connection.execution_options(sqlite_begin="IMMEDIATE")
        with writing.begin():
            for table in reversed(_ours()):
                writing.execute(sa.delete(table))  # counters and marks of a worker that looked in
            for table in _ours():
                _copy(source, writing, table)
            if writing.dialect.name == "postgresql":
                _set_sequences(writing)
            return [_compare(source, writing, table) for table in _ours()]


def _ours() -> list[sa.Table]:
    """Every table of the models, those that others point to first."""
    return list(models.Message.metadata.sorted_tables)


@contextlib.contextmanager
def _steady(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One state of the source, whoever writes meanwhile."""
    steady = engine.execution_options(isolation_level="REPEATABLE READ") if engine.dialect.name != "sqlite" else engine
    with steady.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        yield connection


def _copy(source: sa.Connection, target: sa.Connection, table: sa.Table) -> None:
    for rows in tables.read(source, table):
        given: list[dict[str, Any]] = [dict(row._mapping) for row in rows]  # noqa: SLF001
        target.execute(sa.insert(table), given)


def _compare(source: sa.Connection, target: sa.Connection, table: sa.Table) -> Moved:
    here, there = tables.checksum(source, table), tables.checksum(target, table)
    if here != there:
        raise MoveRefused(f"The table {table.name} differs after copying; nothing was kept")
    number: int = target.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return Moved(table.name, number, there)


def _set_sequences(connection: sa.Connection) -> None:
    """New rows get numbers above those that came along."""
    for table in _ours():
        for column in table.primary_key.columns:
            if table.autoincrement_column is column:
                name = f"'{table.name}', '{column.name}'"
                connection.execute(
                    sa.text(
                        f"SELECT setval(pg_get_serial_sequence({name}), GREATEST(max({column.name}), 1),"  # noqa: S608
                        f" max({column.name}) IS NOT NULL) FROM {table.name}"
                    )
                )
