"""The database is away, gives a transaction up, or belongs to a newer release: 503 or once more, nothing half done."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from config import Settings
from tests import servers
from tests.databases import SECRET, Database, Visitor
from tests.factories import NOON, Make
from tests.pages import Page
from whatsnext.app import create_app
from whatsnext.db import alembic_config, db, upgrade, whole, write
from whatsnext.errors import NotMigrated
from whatsnext.models import Person, Speaker


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
