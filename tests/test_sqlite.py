"""How SQLite is opened, so that what it confirmed is still there after a crash and a power cut (safety.md B1)."""

import sqlite3

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.databases import Database
from whatsnext.db import db, journal_mode

EMPTIED = "truncate"


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), EMPTIED),
        ((3, 44, 5), EMPTIED),
        ((3, 44, 6), "wal"),
        ((3, 45, 9), EMPTIED),
        ((3, 50, 6), EMPTIED),
        ((3, 50, 7), "wal"),
        ((3, 51, 2), EMPTIED),
        ((3, 51, 3), "wal"),
        ((3, 52, 0), "wal"),
        ((4, 0, 0), "wal"),
    ],
)
def test_the_write_ahead_log_is_used_only_where_no_checkpoint_can_lose_a_commit(version, mode):
    assert journal_mode(version, wal_backported=False) == mode
    assert journal_mode(version, wal_backported=True) == "wal"


def test_every_connection_syncs_each_commit_and_checks_foreign_keys(app: Flask, database: Database) -> None:
    """A journal that is deleted, not emptied, may be there again after a power cut: that is not synced."""
    if database.kind != "sqlite":
        return
    meant = journal_mode(sqlite3.sqlite_version_info, wal_backported=False)
    with db.engine.connect() as one, db.engine.connect() as other:
        for connection in (one, other):
            found = [
                connection.execute(sa.text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert found == [meant, 2, 1]
