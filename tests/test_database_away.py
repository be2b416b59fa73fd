"""The database is away, gives a transaction up, or belongs to a newer release: 503 or once more, nothing half done."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from config import Settings
from tests import servers
from tests.databases import SECRET, Database, Visitor
from tests.factories import NOON, Make
from tests.pages import Page
from whatsnext import jobs
from whatsnext.app import create_app
from whatsnext.db import alembic_config, db, upgrade, whole, write
from whatsnext.errors import NotMigrated
from whatsnext.models import Kind, Message, MessageState, Person, Registration, Speaker


def names() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Speaker.name).order_by(Speaker.name)))


# --- given up for another's sake (B2) --------------------------------------------------------------------


def test_a_deadlock_costs_nobody_anything(app: Flask, database: Database, make: Make) -> None:
    """Two transactions take two rows in opposite order: PostgreSQL gives one up, and it is done anew."""
    if database.kind != "postgresql":
        return  # SQLite has one writer at a time
    first, second = make.speaker(name="A").id, make.speaker(name="B").id
    meet = threading.Barrier(2, timeout=10)
    runs: list[int] = []

    def rename(one: int, other: int, mark: str) -> None:
        def work() -> None:
            runs.append(one)
            for number, row in enumerate((one, other)):
                statement = sa.update(Speaker).where(Speaker.id == row).values(name=Speaker.name + mark)
                db.session.execute(statement)
                if number == 0 and len(runs) <= 2:
                    meet.wait()

        with app.app_context():
            whole(work)

    threads = [threading.Thread(target=rename, args=given) for given in ((first, second, "1"), (second, first, "2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 3
    assert {name[0]: sorted(name[1:]) for name in names()} == {"A": ["1", "2"], "B": ["1", "2"]}


def failing(times: int, sqlstate: str) -> Callable[[], None]:
    """Adds a speaker, then fails as a database does, the first times it is called."""
    left = [times]

    class Given(Exception):
        pass

    def work() -> None:
        db.session.add(Speaker(name=f"Versuch {left[0]}"))
        db.session.flush()
        if left[0]:
            left[0] -= 1
            error = Given()
            error.sqlstate = sqlstate  # type: ignore[attr-defined]
            raise OperationalError("UPDATE", {}, error)

    return work


@pytest.mark.parametrize(("times", "state", "done"), [(2, "40001", True), (3, "40P01", False), (1, "57P01", False)])
def test_a_transaction_is_done_anew_three_times_at_most(app: Flask, times: int, state: str, done: bool) -> None:
    try:
        whole(failing(times, state))
    except OperationalError:
        assert not done
    assert names() == (["Versuch 0"] if done else [])


@pytest.mark.parametrize(("times", "status"), [(2, 200), (3, 503)])
def test_a_page_is_done_anew_as_a_whole(make_app: Callable[..., Flask], times: int, status: int) -> None:
    app, work = make_app(), failing(times, "40P01")

    @app.post("/write")
    def _write() -> str:
        with write():
            work()
        return "done"

    assert app.test_client().post("/write").status_code == status
    assert names() == (["Versuch 0"] if status == 200 else [])


def test_whoever_is_let_in_by_nobody_is_not_let_in_by_an_error(make_app: Callable[..., Flask], make: Make) -> None:
    """The guard itself is given up: what is done anew is the whole request, guard included."""
    app, work = make_app(), failing(1, "40P01")
    app.before_request_funcs.setdefault("organise", []).insert(0, lambda: _within_write(work))
    answer = app.test_client().get("/organise/delivery")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/organise/delivery")


def _within_write(work: Callable[[], None]) -> None:
    with write():
        work()


# --- another release (B6) --------------------------------------------------------------------------------


@pytest.fixture
def newer(app: Flask) -> Iterator[None]:
    """The tables of a release to come: another revision, and a column is gone."""
    with write():
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        db.session.execute(sa.text("ALTER TABLE speaker RENAME COLUMN role TO task"))
    yield
    db.session.rollback()
    with write():
        revision = {"known": ScriptDirectory.from_config(alembic_config()).get_current_head()}
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = :known"), revision)
        db.session.execute(sa.text("ALTER TABLE speaker RENAME COLUMN task TO role"))


@pytest.mark.usefixtures("newer")
def test_old_code_answers_503_to_newer_tables(client: Visitor, make: Make) -> None:
    organiser = make.organiser()
    client.sign_in(organiser)
    answer = client.get("/organise/speakers")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "Zurzeit nicht erreichbar." in Page(answer).text
    assert client.get("/health/ready").status_code == 503


@pytest.mark.usefixtures("newer")
def test_old_code_does_not_start_on_newer_tables(app: Flask) -> None:
    db.session.rollback()
    with pytest.raises(NotMigrated, match="newer release"):
        upgrade(app)


# --- away and back (B3) ----------------------------------------------------------------------------------


def test_pages_come_back_by_themselves_after_the_database_was_away(at: Callable[..., None], tmp_path: Path) -> None:
    """A PostgreSQL server of its own is stopped and started under an application that goes on running."""
    at(NOON)
    with servers.postgresql_to_stop() as cluster:
        app = create_app(Settings(database_url=cluster.url, secret_key=SecretStr(SECRET), instance=tmp_path))
        upgrade(app)
        client = app.test_client()
        assert client.get("/").status_code == 200
        cluster.stop()
        for path in ("/", "/themes", "/pages/hilfe"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "30"), path
        assert (client.get("/health/live").status_code, client.get("/health/ready").status_code) == (200, 503)
        cluster.start()
        assert client.get("/").status_code == 200
        assert client.get("/health/ready").status_code == 200
        with app.app_context():
            assert db.session.scalar(sa.select(sa.func.count()).select_from(Person)) == 0
            db.session.remove()
            db.engine.dispose()


def test_mails_go_on_by_themselves_after_the_database_was_restarted(
    at: Callable[..., None], tmp_path: Path, smtp: servers.MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker sends, PostgreSQL is stopped and started: all arrive, at most one of them twice."""
    at(NOON)
    monkeypatch.setattr(jobs, "LONGEST_SLEEP", 0.2)
    with servers.postgresql_to_stop() as cluster:
        mail = {"mail_server": "127.0.0.1", "mail_port": smtp.port, "mail_default_sender": "next@localhost"}
        app = create_app(Settings(database_url=cluster.url, secret_key=SecretStr(SECRET), instance=tmp_path, **mail))
        upgrade(app)
        with app.app_context():
            owe(60)
            worker = jobs.Worker(app)
            worker.start()
            try:
                until(lambda: len(smtp.mails) >= 5)
                cluster.stop()
                cluster.start()
                end_leases()
                until(lambda: len({str(mail.message["Message-ID"]) for mail in smtp.mails}) == 60)
                until(lambda: not unsent())
            finally:
                worker.stop()
            assert len(smtp.mails) <= 61
            db.session.remove()
            db.engine.dispose()


def owe(number: int) -> None:
    make = Make()
    with write():
        person, event = make.person(), make.event(places_on_site=number)
        for each in range(number):  # half of them are written in batches
            if each % 2:
                make.message(Kind.INVITATION, make.registration(event), sequence=0)
            else:
                make.message(Kind.SIGN_IN, person, facts={"link_token": "x", "code": "y"})
    db.session.rollback()


def end_leases() -> None:
    """As if the time of the leases had passed."""
    with write():
        sending = sa.update(Message).where(Message.state == MessageState.SENDING)
        db.session.execute(sending.values(not_before=NOON))


def unsent() -> int:
    found = sa.select(sa.func.count()).select_from(Message).where(Message.state != MessageState.SENT)
    number = db.session.scalar(found) or 0
    db.session.rollback()
    return number


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


# --- the disk is full (B3) -------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(database: Database) -> Iterator[None]:
    """No page of the database may be added; PostgreSQL is made to say what it says then (53100) at a mail's row."""
    if database.kind == "postgresql":
        with write():
            db.session.execute(
                sa.text(
                    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                    " RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
                )
            )
            trigger = "CREATE TRIGGER full_disk BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION full_disk()"
            db.session.execute(sa.text(trigger))
        yield
        with write():
            db.session.execute(sa.text("DROP TRIGGER full_disk ON message"))
            db.session.execute(sa.text("DROP FUNCTION full_disk()"))
        return
    limit = [db.session.execute(sa.text("PRAGMA page_count")).scalar_one()]
    db.session.rollback()

    def keep_small(connection: sa.Connection) -> None:
        connection.connection.driver_connection.execute(f"PRAGMA max_page_count={limit[0]}").close()

    sa.event.listen(db.engine, "begin", keep_small)
    yield
    limit[0] = 1_000_000
    with write():
        pass
    sa.event.remove(db.engine, "begin", keep_small)


def test_while_the_disk_is_full_writes_are_refused_whole_and_reads_go_on(
    app: Flask, database: Database, client: Visitor, make: Make
) -> None:
    talk = make.event(places_on_site=500)
    path = f"/events/{talk.slug}"
    db.session.rollback()
    with full_disk(database):
        signed_up, status = 0, 303
        while status == 303:  # what pages are there already may still be filled
            status = sign_up(client, path, signed_up).status_code
            signed_up += status == 303
            assert signed_up < 200
        assert (status, rows()) == (503, (signed_up, signed_up))
        assert client.get(path).status_code == 200
    assert sign_up(client, path, 500).status_code == 303
    assert rows() == (signed_up + 1, signed_up + 1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_on_a_file_system_that_is_full_nothing_acknowledged_is_lost(tmp_path: Path, kind: str) -> None:
    """A real one; making one of our own is a right that some machines do not give, for PostgreSQL only to root."""
    alone = ["unshare", "--mount"] if kind == "postgresql" else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        return  # this machine lets nobody mount a small file system: the test above has to do
    folder = "/mnt" if kind == "postgresql" else str(tmp_path)  # of the account postgres, too
    command = [*alone, sys.executable, "-m", "tests.full_disk", folder, kind]
    ended = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    counted = json.loads(ended.stdout)
    told = counted["told"]
    assert told > 0
    assert counted == {
        "told": told,
        "kept": told,
        "mails": told,
        "kept_after": told + 1,
        "full": 503,
        "page": 200,
        "after": 303,
        "check": "ok",
    }


def sign_up(client: Visitor, path: str, number: int) -> TestResponse:
    typed = {"name": "Ada", "email": f"p{number}@behoerde.example", "agency": "Landesamt für Beispiele " * 4}
    return client.submit(path, typed, form=f"{path}/signup")


def rows() -> tuple[int, int]:
    db.session.rollback()
    tables = (Registration, Message)
    people, mails = (db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables)
    return people, mails
