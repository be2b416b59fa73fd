"""All tables as they lie in a database: counted, and summed up so that two databases can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

MARK = "alembic_version"
PASSING = (MARK, "job_run", "rate_limit")
"""Tables whose rows say nothing about people or talks: a database with rows only there is empty."""
BATCH = 2_000


def reflected(connection: sa.Connection) -> sa.MetaData:
    """The tables that are there, in an order in which rows can be added."""
    found = sa.MetaData()
    found.reflect(connection)
    return found


def counts(connection: sa.Connection) -> dict[str, int]:
    """Rows by table."""
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in sorted(reflected(connection).tables.values(), key=lambda table: table.name)
    }


def holds_data(connection: sa.Connection) -> bool:
    """Whether anybody has used this database."""
    used = (name for name in sa.inspect(connection).get_table_names() if name not in PASSING)
    return any(connection.execute(sa.select(sa.literal(1)).select_from(sa.table(n)).limit(1)).first() for n in used)


def checksum(connection: sa.Connection, table: sa.Table) -> str:
    """The check sum of a table's rows, the same on both databases for the same rows."""
    total = hashlib.sha256()
    for rows in read(connection, table):
        for row in rows:
            total.update(json.dumps([_plain(value) for value in row], ensure_ascii=False).encode())
    return total.hexdigest()


def read(connection: sa.Connection, table: sa.Table) -> Iterable[Sequence[sa.Row[Any]]]:
    """The rows of a table in the order of its key, in batches."""
    key = list(table.primary_key.columns)
    order = [column.collate("C") if _is_text(connection, column) else column for column in key]
    asked = connection.execution_options(yield_per=BATCH).execute(sa.select(table).order_by(*order))
    return asked.partitions()


def _is_text(connection: sa.Connection, column: sa.Column[Any]) -> bool:
    """PostgreSQL would sort words as people do; SQLite sorts them by octets."""
    return connection.dialect.name == "postgresql" and isinstance(column.type, sa.String)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)
