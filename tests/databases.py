"""The application on a real database: tables made by the migrations once, empty again before each test."""

import contextlib
import contextvars
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, has_app_context
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from psycopg import sql
from werkzeug.test import TestResponse

from config import Settings
from tests import servers
from tests.factories import NOON, Make
from tests.pages import Page
from whatsnext import clock, jobs
from whatsnext.app import create_app
from whatsnext.db import db, upgrade, write, written
from whatsnext.mail.wire import Courier
from whatsnext.models import Person, SignedIn
from whatsnext.tokens import digest, random_secret

SECRET = "a secret key of the tests, long enough to be taken"
OWN_CLOCK = ("browser", "load")
KEPT_TABLES = ("alembic_version",)


def new_folder() -> Path:
    """In memory where the system has such a folder: a commit then waits for no disk."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="whatsnext-", dir=memory if memory.is_dir() else None))


class _Compiled(BytecodeCache):
    """Templates are compiled once for all applications of the tests."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self.kept.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


@dataclass
class Database:
    """One kind of database. `url` may be handed to another process."""

    kind: str
    url: str
    instance: Path
    mail_port: int
    apps: list[Flask] = field(default_factory=list)

    def settings(self, **changes: Any) -> Settings:
        given = {
            "database_url": self.url,
            "secret_key": SECRET,
            "instance": self.instance,
            "worker": False,
            "mail_server": "127.0.0.1",
            "mail_port": self.mail_port,
            "mail_default_sender": "next@localhost",
            "lmtp_listen": f"unix:{self.instance}/lmtp",
        }
        return Settings(**{**given, **changes})

    def create_app(self, **changes: Any) -> Flask:
        app = create_app(self.settings(**changes))
        app.test_client_class = Visitor
        app.jinja_env.bytecode_cache = _compiled
        self.apps.append(app)
        return app

    def migrate(self) -> None:
        upgrade(self.app)
        if self.kind == "sqlite":
            shutil.copyfile(self._file, self._file.with_suffix(".empty"))

    @property
    def app(self) -> Flask:
        """The application with the settings of the tests, made once for all of them."""
        return self.apps[0] if self.apps else self.create_app()

    @property
    def _file(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    def reset(self) -> None:
        """Empty every table, forget the mails and the applications with other settings."""
        self.disconnect()
        del self.apps[1:]
        shutil.rmtree(self.instance / "mail", ignore_errors=True)
        if self.kind == "sqlite":
            self._copy_the_empty_file()
        else:
            self._delete_every_row()
        written.send(self.app)

    def disconnect(self) -> None:
        for app in self.apps:
            with app.app_context():
                db.engine.dispose()

    def _copy_the_empty_file(self) -> None:
        for leftover in self._file.parent.glob(self._file.name + "-*"):
            leftover.unlink()
        shutil.copyfile(self._file.with_suffix(".empty"), self._file)

    def _delete_every_row(self) -> None:
        """What TRUNCATE does, for a few rows in a quarter of its time: it makes new files for all tables."""
        address = self.url.replace("+psycopg", "")
        options = "-c lock_timeout=10s -c session_replication_role=replica"  # foreign keys need not be looked up
        with psycopg.connect(address, autocommit=True, options=options) as connection:
            every = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            deleted = [
                sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for (name,) in every if name not in KEPT_TABLES
            ]
            begun_anew = sql.SQL(
                "SELECT setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences"
                " WHERE schemaname = 'public' AND last_value IS NOT NULL"
            )
            connection.execute(sql.SQL("; ").join([*deleted, begun_anew]))


class Visitor(FlaskClient):
    """A browser without scripts. Each request has a context of its own, as in the server."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if has_app_context():  # not while it follows a redirect
            db.session.rollback()
        return contextvars.Context().run(super().open, *args, **kwargs)

    def sign_in(self, person: Person) -> None:
        """Be signed in as this person from now on, freshly."""
        secret, now = random_secret(), clock.now()
        with write():
            db.session.add(SignedIn(digest=digest(secret), person_id=person.id, started_at=now, seen_at=now))
        with self.session_transaction() as cookie:
            cookie["signed_in"] = secret

    def page(self, path: str, **kwargs: Any) -> Page:
        """GET this page, following redirects; a failure of ours (5xx) fails the test."""
        page = Page(self.get(path, follow_redirects=True, **kwargs))
        assert page.status < 500, f"{path} answered {page.status}, see the log below"
        return page

    def submit(self, page: "Page | str", changes: dict[str, Any] | None = None, *, form: str | int = 0) -> TestResponse:
        """Send a form of a page as a browser would: what stood in it, with these changes. Follows no redirect.

        `form` is the form's id, its action or its number on the page. A list as value sends the field several times.
        """
        if isinstance(page, str):
            page = self.page(page)
        action, values = page.form(form).filled(changes or {})
        return self.post(action, data=values, headers={"Origin": "http://localhost"})


@pytest.fixture(scope="session")
def _databases() -> Iterator[dict[str, Database]]:
    made: dict[str, Database] = {}
    yield made
    for database in made.values():
        database.disconnect()
        shutil.rmtree(database.instance, ignore_errors=True)


@pytest.fixture
def database(
    request: pytest.FixtureRequest, _databases: dict[str, Database], _mail_server: servers.MailServer
) -> Database:
    """An empty database of the kind this test runs on."""
    kind = request.param
    if kind not in _databases:
        folder = new_folder()
        file = f"sqlite:///{folder / 'whatsnext.db'}"
        url = file if kind == "sqlite" else request.getfixturevalue("postgres_url")
        made = Database(kind, url, folder, _mail_server.port)
        made.migrate()
        _databases[kind] = made
    _databases[kind].reset()
    return _databases[kind]


@pytest.fixture
def app(database: Database, request: pytest.FixtureRequest, at: Callable[[datetime], None]) -> Iterator[Flask]:
    """The application, inside an application context: services may be called as they are.

    The clock stands at NOON, but where a test starts the application as another process too (browser, load).
    """
    if not any(request.node.get_closest_marker(name) for name in OWN_CLOCK):
        at(NOON)
    with database.app.app_context():
        yield database.app
        db.session.remove()


@pytest.fixture
def make_app(database: Database, app: Flask) -> Callable[..., Flask]:
    """An application with other settings on the same database: make_app(seat_hold_minutes=15)."""
    return database.create_app


@pytest.fixture
def serve(database: Database, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start the application as a process on this database, several times if need be: address = serve(mail_port=2525).

    Settings go by their field names in config.py. The processes end with the test; each must stop cleanly.
    """
    with contextlib.ExitStack() as running:

        def start(**settings: Any) -> str:
            port = servers.free_port()
            given = {
                "database_url": database.url,
                "secret_key": SECRET,
                "instance": database.instance,
                "port": port,
                "base_url": f"http://127.0.0.1:{port}",
                "lmtp_listen": f"unix:{database.instance}/lmtp-{port}",
                **settings,
            }
            environment = {name.upper(): value for name, value in given.items()}
            running.enter_context(servers.whatsnext(environment, tmp_path / f"serve-{port}.log"))
            return f"http://127.0.0.1:{port}"

        yield start


@pytest.fixture
def client(app: Flask) -> Visitor:
    """A browser that nobody is signed in with."""
    visitor = app.test_client()
    assert isinstance(visitor, Visitor)
    return visitor


@pytest.fixture
def organiser(client: Visitor, make: Make) -> Visitor:
    """A browser in which an organiser is signed in."""
    client.sign_in(make.organiser())
    return client


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock: at(NOON)."""

    def set_clock(moment: datetime) -> None:
        assert moment.tzinfo is not None
        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setattr(clock, "wants_a_look", lambda: False)

    return set_clock


@pytest.fixture
def sent(app: Flask, smtp: servers.MailServer) -> Callable[[], list[servers.Delivered]]:
    """Let a worker deliver what is due, through a real mail server; returns what arrived by that, oldest first."""

    def deliver() -> list[servers.Delivered]:
        db.session.rollback()
        before, courier = len(smtp.mails), Courier()
        with app.app_context():
            jobs.deliver_due(courier)
        courier.close()
        return smtp.mails[before:]

    return deliver


@pytest.fixture
def query_count() -> Callable[[], contextlib.AbstractContextManager[list[str]]]:
    """Collect the statements sent meanwhile: with query_count() as queries: …; len(queries)."""
    return _statements


@contextlib.contextmanager
def _statements() -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
            sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
