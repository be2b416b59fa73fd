"""Backups by the database's own means: taken while everything runs, verified by a restore, restored with mails held.

A backup is one file: a line with the check sum of all that follows, a line of JSON that says what it is, and the
database (an SQLite file, or what `pg_dump --format=custom` writes). The signing key is not in it (safety.md B4, B5).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from whatsnext import clock, tables
from whatsnext.db import alembic_config, db, upgrade, write
from whatsnext.models import UNSETTLED, MessageState
from whatsnext.services import delivery, erasure, restored
from whatsnext.tokens import random_base32

MAGIC = b"whatsnext-backup 1 "
CHUNK = 1 << 20
PLAIN = ("--no-owner", "--no-privileges", "--schema=public")
ERASURE = re.compile(r"([0-9a-f]{64}) (\d{1,11}\.\d{1,6})")
CLIENT = "The PostgreSQL client is missing: apt-get install postgresql-client"


class BackupRefused(Exception):
    """It cannot be taken or restored; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """What a backup is. `counts`: rows by table."""

    kind: str
    made_at: str
    revision: str
    counts: dict[str, int]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @property
    def rows(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Taken:
    """A backup that is there. `tried`: it was restored into a database of its own and compared."""

    file: Path
    manifest: Manifest
    tried: bool


# --- taking ----------------------------------------------------------------------------------------------


def take(app: Flask, file: Path, now: datetime) -> Taken:
    """Write a backup to a new file, read it back, restore it beside and compare. Raises BackupRefused, OSError.

    Call outside an application context; web and workers may go on running.
    """
    if file.exists():
        raise BackupRefused(f"{file} exists already")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with app.app_context(), _folder(file.parent) as folder:
        dump = folder / "database"
        dumped = _dump_sqlite if _is_sqlite() else _dump_postgresql
        revision, counts = dumped(dump)
        made_at = now.astimezone(UTC).isoformat(timespec="seconds")
        manifest = Manifest(db.engine.dialect.name, made_at, revision, counts)
        written = folder / "backup"
        _pack(dump, manifest, written)
        dump.unlink()
        found = unpack(written, dump)
        tried = _verify(dump, found)
        written.rename(file)
        with write():
            delivery.note_backup(now)
    return Taken(file, found, tried)


@contextlib.contextmanager
def _folder(beside: Path) -> Iterator[Path]:
    """A folder on the same disk that only we can read; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=".backup-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def _dump_sqlite(target: Path) -> tuple[str, dict[str, int]]:
    """SQLite's own backup: one consistent state, however many write meanwhile."""
    with db.engine.connect() as connection, contextlib.closing(sqlite3.connect(target)) as copy:
        source = connection.connection.driver_connection
        if source is None:
            raise BackupRefused("The database has no connection")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file is all there is
    return _look_at_sqlite(target)


def _look_at_sqlite(file: Path) -> tuple[str, dict[str, int]]:
    """Revision and counts of an SQLite file. Raises BackupRefused if it is damaged."""
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            if (words := connection.exec_driver_sql("PRAGMA integrity_check").scalar()) != "ok":
                raise BackupRefused(f"The database in the backup is damaged: {words}")
            if orphans := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise BackupRefused(f"{len(orphans)} rows in the backup point to nothing")
            return _revision(connection), tables.counts(connection)
    except sa.exc.DatabaseError as error:
        raise BackupRefused("The database in the backup is damaged") from error
    finally:
        engine.dispose()


def _dump_postgresql(target: Path) -> tuple[str, dict[str, int]]:
    """What pg_dump sees of one snapshot, and the counts of the same snapshot."""
    with db.engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
        revision, counts = _revision(connection), tables.counts(connection)
        what = ("--format=custom", f"--snapshot={snapshot}", f"--file={target}")
        _postgresql("pg_dump", *PLAIN, *what, f"--dbname={_libpq(db.engine.url)}")
    return revision, counts


def _revision(connection: sa.Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _pack(dump: Path, manifest: Manifest, target: Path) -> None:
    line = json.dumps(asdict(manifest), sort_keys=True).encode() + b"\n"
    with dump.open("rb") as source:
        total = _sum(source, hashlib.sha256(line))
    with (
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as packed,
        dump.open("rb") as source,
    ):
        packed.write(MAGIC + total.encode() + b"\n" + line)
        shutil.copyfileobj(source, packed, CHUNK)
        packed.flush()
        os.fsync(packed.fileno())


def _sum(source: IO[bytes], total: Any) -> str:
    while chunk := source.read(CHUNK):
        total.update(chunk)
    return str(total.hexdigest())


def unpack(file: Path, target: Path | None = None) -> Manifest:
    """What a backup says it is, its database copied to `target`. Raises BackupRefused if a bit of it is wrong."""
    with file.open("rb") as packed:
        first, line = packed.readline(200), packed.readline(CHUNK)
        start = packed.tell()
        if not first.startswith(MAGIC) or not line.endswith(b"\n"):
            raise BackupRefused(f"{file} is not a backup of What's NEXt")
        if first != MAGIC + _sum(packed, hashlib.sha256(line)).encode() + b"\n":
            raise BackupRefused(f"{file} is damaged or cut short: its check sum is another one")
        if target is not None:
            packed.seek(start)
            with target.open("xb") as copy:
                shutil.copyfileobj(packed, copy, CHUNK)
    return Manifest(**json.loads(line))


def _verify(dump: Path, manifest: Manifest) -> bool:
    """Restore it beside and compare. False where PostgreSQL lets us make no database: then it was only read whole."""
    if manifest.kind == "sqlite":
        found = _look_at_sqlite(dump)
    else:
        with _database_beside() as url:
            if url is None:
                _postgresql("pg_restore", "--file=/dev/null", str(dump))
                return False
            _postgresql("pg_restore", "--exit-on-error", *PLAIN, f"--dbname={_libpq(url)}", str(dump))
            found = _look_at_postgresql(url)
    if found != (manifest.revision, manifest.counts):
        raise BackupRefused("The restored copy differs from the database; the backup is not kept")
    return True


@contextlib.contextmanager
def _database_beside() -> Iterator[sa.URL | None]:
    """An empty database on the same server, gone afterwards; None if our account may not make one."""
    name = f"whatsnext_verify_{random_base32()[:8]}"
    engine = sa.create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            allowed = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            if not connection.execute(sa.text(allowed)).scalar():
                yield None
                return
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0"))
        try:
            yield db.engine.url.set(database=name)
        finally:
            with engine.connect() as connection:
                connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()


def _look_at_postgresql(url: sa.URL) -> tuple[str, dict[str, int]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = _revision(connection), tables.counts(connection)
    engine.dispose()
    return found


# --- restoring -------------------------------------------------------------------------------------------


def restore(app: Flask, file: Path, *, force: bool, erasures: Path | None = None) -> tuple[Manifest, int, int]:
    """Put a backup in place of what is there, whole or not at all, and hold its unsent mails.

    Whoever was erased since stays so: the erasures of the database that is replaced, and those of the file `erasures`,
    are done again. Returns how many mails are held and how many people were erased again. `app` has its tables.
    Raises BackupRefused, OSError. Stop web and workers before.
    """
    underway = app.config["SETTINGS"].instance / "erasures-to-do"
    with app.app_context(), tempfile.TemporaryDirectory(prefix="whatsnext-restore-") as folder:
        dump = Path(folder) / "database"
        manifest = unpack(file, dump)
        _refuse_unless_fitting(manifest, force=force)
        known = erasure.ledger()
        db.session.remove()
        for given in filter(None, (erasures, underway if underway.exists() else None)):
            known = _newest(known, read_erasures(given))
        write_erasures(underway, known)  # a restore that is cut off here knows them when it is begun anew
        (_put_sqlite if _is_sqlite() else _put_postgresql)(dump, manifest)
        db.engine.dispose()
    upgrade(app)
    with app.app_context(), write():
        erased = erasure.replay(known, clock.now())
        restored.forget_address()
        held = restored.hold_everything()
    underway.unlink()
    return manifest, held, erased


def write_erasures(file: Path, known: dict[str, datetime]) -> None:
    """A line for each: the keyed hash and when. Takes the place of an earlier one, whole."""
    beside = file.with_name(f".{file.name}")
    with beside.open("w", encoding="ascii") as lines:
        lines.writelines(f"{digest} {at.timestamp()}\n" for digest, at in known.items())
        lines.flush()
        os.fsync(lines.fileno())
    beside.replace(file)


def read_erasures(file: Path) -> dict[str, datetime]:
    """The erasures of such a file. Raises BackupRefused for another one, OSError."""
    known: dict[str, datetime] = {}
    for line in file.read_text("ascii", "replace").splitlines():
        if not (found := ERASURE.fullmatch(line)):
            raise BackupRefused(f"{file} is not a list of erasures")
        known = _newest(known, {found[1]: datetime.fromtimestamp(float(found[2]), UTC)})
    return known


def _newest(one: dict[str, datetime], other: dict[str, datetime]) -> dict[str, datetime]:
    return {digest: max(filter(None, (one.get(digest), other.get(digest)))) for digest in {**one, **other}}


def _refuse_unless_fitting(manifest: Manifest, *, force: bool) -> None:
    if manifest.kind != db.engine.dialect.name:
        raise BackupRefused(
            f"It is a backup of {manifest.kind}, this installation uses {db.engine.dialect.name}."
            " Restore it there, then use move-database."
        )
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if manifest.revision not in known:
        raise BackupRefused("The backup was made by a newer release. Update first.")
    with db.engine.connect() as connection:
        if tables.holds_data(connection) and not force:
            raise BackupRefused("This installation holds data already. With --force they are replaced.")


_UNSETTLED = ", ".join(f"'{state}'" for state in UNSETTLED)
_HOLD = f"UPDATE {{schema}}message SET state = '{MessageState.HELD}', error = '{restored.HELD}', raw = NULL"  # noqa: S608
_HOLD += f" WHERE state IN ({_UNSETTLED})"
"""In the step that puts the rows in place, so that no worker ever sees a mail to send. Both texts are our own."""


def _put_sqlite(dump: Path, manifest: Manifest) -> None:
    """By SQLite's own backup, the other way round: other processes see the old state or the new one."""
    if _look_at_sqlite(dump) != (manifest.revision, manifest.counts):
        raise BackupRefused("The database in the backup is not what it says it is")
    with contextlib.closing(sqlite3.connect(dump, isolation_level=None)) as copy, db.engine.connect() as connection:
        copy.execute(_HOLD.format(schema=""))
        target = connection.connection.driver_connection
        if target is None:
            raise BackupRefused("The database has no connection")
        copy.backup(target)


def _put_postgresql(dump: Path, manifest: Manifest) -> None:
    """Three scripts in one transaction: the old tables away, the backup's in, its unsent mails held."""
    before, script, after = (dump.with_suffix(f".{number}.sql") for number in range(3))
    _postgresql("pg_restore", *PLAIN, f"--file={script}", str(dump))
    with db.engine.connect() as connection:
        old = [f'DROP TABLE public."{name}" CASCADE;' for name in sa.inspect(connection).get_table_names("public")]
    old.append("DROP FUNCTION IF EXISTS public.whatsnext_wake();")
    before.write_text("\n".join(["SET lock_timeout = '15s';", "SET client_min_messages = error;", *old, ""]))
    after.write_text(_HOLD.format(schema="public.") + ";\n")
    scripts = [f"--file={each}" for each in (before, script, after)]
    options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
    _postgresql("psql", *options, *scripts, _libpq(db.engine.url))
    with db.engine.connect() as connection:
        if tables.counts(connection) != manifest.counts:
            raise BackupRefused("The restored database is not what the backup says; restore again")


def _postgresql(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's client. The password goes by its environment, not by the list of processes."""
    found = shutil.which(program)
    if found is None:
        raise BackupRefused(CLIENT)
    environment = {**os.environ, "PGPASSWORD": db.engine.url.password or "", "PGCONNECT_TIMEOUT": "15"}
    done = subprocess.run(  # noqa: S603
        [found, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise BackupRefused(f"{program} failed: {reason[0]}")


def _libpq(url: sa.URL) -> str:
    """The address for PostgreSQL's own programs, without the password."""
    return url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
