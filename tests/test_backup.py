"""Backups: consistent while others write, refused if a bit is wrong, mails nobody until somebody lets them go."""

import contextlib
import os
import random
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.databases import Database
from tests.factories import NOON, Make
from tests.figures import Figure
from tests.mail.worlds import change, owed, send_all
from tests.servers import MailServer
from whatsnext import backup, tables
from whatsnext.db import db, write
from whatsnext.models import Event, Kind, Message, MessageState, Person, Registration
from whatsnext.services import delivery, differences, invitations, restored

Take = Callable[[], Path]
LOAD = int(os.environ.get("BACKUP_LOAD", "5"))
"""How many of each are there when the backup begins."""


@pytest.fixture
def take(app: Flask, tmp_path: Path) -> Take:
    """Take a backup of what is there now."""

    def taken() -> Path:
        db.session.rollback()
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.backup"
        assert backup.take(app, file, NOON).tried
        return file

    return taken


def put_back(app: Flask, file: Path, *, force: bool = True) -> int:
    db.session.rollback()
    return backup.restore(app, file, force=force)[1]


def rows() -> dict[str, list[Any]]:
    """All rows of tables that hold what people did."""
    db.session.rollback()
    names = [table for table in Person.metadata.sorted_tables if table.name not in tables.PASSING]
    found = {table.name: sorted(map(repr, db.session.execute(sa.select(table)).all())) for table in names}
    db.session.rollback()
    return found


def states() -> list[MessageState]:
    return list(db.session.scalars(sa.select(Message.state).order_by(Message.id)))


# --- taken and put back ----------------------------------------------------------------------------------


def test_what_was_there_comes_back_and_what_came_later_is_gone(app: Flask, make: Make, take: Take) -> None:
    talk = make.event(title="Schlüssel „für“ alle")
    make.registration(talk)
    before = rows()
    file = take()
    make.registration(talk)
    change(talk, title="Anders")
    put_back(app, file)
    after = rows()
    assert after.pop("event") != before.pop("event")  # its SEQUENCE was raised
    assert after == before
    assert db.session.scalars(sa.select(Event.title)).all() == ["Schlüssel „für“ alle"]
    make.registration(db.session.scalars(sa.select(Event)).one())  # numbers go on above those restored


def test_a_database_put_back_still_wakes_the_workers(app: Flask, make: Make, take: Take, database: Database) -> None:
    if database.kind != "postgresql":
        return  # SQLite wakes nobody
    named = sa.text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname")
    file = take()
    put_back(app, file)
    assert db.session.scalars(named).all() == ["message_inserted", "message_owed_again"]


def test_it_says_what_it_holds_and_is_for_its_owner_only(app: Flask, make: Make, take: Take) -> None:
    make.registration(make.event())
    file = take()
    manifest = backup.unpack(file)
    assert (manifest.kind, manifest.at) == (db.engine.dialect.name, NOON)
    assert {name: number for name, number in manifest.counts.items() if number} == {
        "alembic_version": 1,
        "event": 1,
        "person": 1,
        "registration": 1,
        "series": 1,
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert app.config["SECRET_KEY"].encode() not in file.read_bytes()
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_the_time_of_the_last_one_is_kept_in_the_database(app: Flask, make: Make, take: Take) -> None:
    assert delivery.last_backup() is None
    take()
    take()
    assert delivery.last_backup() == NOON


def test_a_backup_under_load_is_one_moment_and_mails_nobody(
    app: Flask, make: Make, take: Take, smtp: MailServer, figure: Figure
) -> None:
    """A writer adds a person, a talk and a mail at once: in the backup there are as many of each."""
    make.event()
    stop, written = threading.Event(), [0]

    def add() -> None:
        with app.app_context():
            while not stop.is_set():
                number = written[0] + 1
                with write():
                    db.session.add(_person(number))
                    db.session.flush()
                    db.session.add(_copy_of_the_event(number))
                    make.message(Kind.SIGN_IN, _newest_person(), facts={"link_token": "x", "code": "y"})
                written[0] = number  # only now anybody else sees it
                time.sleep(0.002)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        while written[0] < LOAD:
            time.sleep(0.01)
        file = take()
    finally:
        stop.set()
        thread.join()
    counts = backup.unpack(file).counts
    differing = len({counts["event"] - 1, counts["person"], counts["message"]}) - 1
    held = put_back(app, file)
    mailed = send_all()
    figure("backup under load", rows=sum(counts.values()), differing=differing, held=held, mailed=mailed)
    assert counts["event"] - 1 == counts["person"] == counts["message"] == held >= LOAD
    assert (mailed, smtp.mails) == (0, [])
    with write():
        assert restored.release(NOON) == held
    assert send_all() == held


def _newest_person() -> Person:
    return db.session.scalars(sa.select(Person).order_by(Person.id.desc()).limit(1)).one()


def _person(number: int) -> Person:
    return Person(email=f"p{number}@behoerde.example", name="P", agency="", proved_at=NOON, created_at=NOON)


def _copy_of_the_event(number: int) -> Event:
    series_id = db.session.scalars(sa.select(Event.series_id).limit(1)).one()
    return Event(
        series_id=series_id, slug=f"kopie-{number}", uid=f"kopie-{number}", title="T", created_at=NOON, changed_at=NOON
    )


# --- what is wrong is refused ----------------------------------------------------------------------------


def test_a_backup_that_is_cut_short_or_has_one_wrong_bit_is_refused(app: Flask, make: Make, take: Take) -> None:
    make.registration(make.event())
    file = take()
    good, before = file.read_bytes(), rows()
    chance = random.Random(7)
    broken = [good[: len(good) * part // 7] for part in range(7)] + [good + b"\0", good[:-1]]
    for place in [*range(0, 120, 7), *(chance.randrange(len(good)) for _ in range(40))]:
        flipped = bytearray(good)
        flipped[place] ^= 1 << chance.randrange(8)
        broken.append(bytes(flipped))
    for content in broken:
        file.write_bytes(content)
        with pytest.raises(backup.BackupRefused):
            put_back(app, file)
    assert rows() == before


def test_an_installation_in_use_is_replaced_only_by_force(app: Flask, make: Make, take: Take) -> None:
    make.event()
    file, before = take(), rows()
    with pytest.raises(backup.BackupRefused, match="--force"):
        put_back(app, file, force=False)
    assert rows() == before


def test_a_backup_of_another_database_or_a_newer_release_is_refused(app: Flask, make: Make, take: Take) -> None:
    file = take()
    database = file.with_suffix(".database")
    manifest = backup.unpack(file, database)
    for changes, words in (({"kind": "oracle"}, "backup of oracle"), ({"revision": "9999"}, "newer release")):
        other = file.with_suffix(f".{words[:3]}")
        backup._pack(database, backup.Manifest(**{**manifest.__dict__, **changes}), other)
        with pytest.raises(backup.BackupRefused, match=words):
            put_back(app, other)


def test_a_backup_never_overwrites_a_file(app: Flask, take: Take) -> None:
    file = take()
    with pytest.raises(backup.BackupRefused, match="exists already"):
        backup.take(app, file, NOON)


def test_a_database_that_is_damaged_gives_no_backup(app: Flask, database: Database, make: Make, tmp_path: Path) -> None:
    if database.kind != "sqlite":
        return  # the server checks its pages itself
    for _each in range(200):
        make.speaker()
    db.session.rollback()
    db.engine.dispose()
    path = Path(database.url.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(path)) as raw:
        [page] = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'speaker'").fetchone()
        [size] = raw.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + 8)
        file.write(b"\xff" * 40)
    with pytest.raises(backup.BackupRefused, match="damaged"):
        backup.take(app, tmp_path / "x.backup", NOON)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_client_of_postgresql_is_said_so(
    app: Flask, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.kind == "sqlite":
        return  # needs no program
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(backup.BackupRefused, match="apt-get install postgresql-client"):
        backup.take(app, tmp_path / "x.backup", NOON)


def test_an_account_that_may_make_no_database_reads_the_backup_whole(
    app: Flask, database: Database, make: Make, tmp_path: Path
) -> None:
    if database.kind == "sqlite":
        return
    make.event()
    with _account(database.url) as url:
        other = database.create_app(database_url=url)
        assert not backup.take(other, tmp_path / "x.backup", NOON).tried
        with other.app_context():
            db.engine.dispose()


@contextlib.contextmanager
def _account(url: str) -> Iterator[str]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE ROLE plain LOGIN IN ROLE pg_read_all_data, pg_write_all_data"))
        yield sa.make_url(url).set(username="plain").render_as_string(hide_password=False)
        connection.execute(sa.text("DROP ROLE plain"))
    engine.dispose()


# --- mails after a restore (O4) --------------------------------------------------------------------------


def test_nobody_is_mailed_after_a_restore_until_the_mails_are_released(
    app: Flask, make: Make, take: Take, smtp: MailServer
) -> None:
    messages = [owed(make, Kind.INVITATION), owed(make, Kind.WAITING)]
    change(messages[1], state=MessageState.DEFERRED, not_before=NOON, raw=b"as it was", error="later")
    old = [message.message_id for message in messages]
    file = take()
    assert put_back(app, file) == 2
    assert send_all() == 0
    assert [(held.kind, held.number, held.oldest) for held in restored.held()] == [
        (Kind.INVITATION, 1, NOON),
        (Kind.WAITING, 1, NOON),
    ]
    with write():
        assert restored.release(NOON, [Kind.INVITATION]) == 1
    assert send_all() == 1
    [mail] = smtp.mails
    assert f"SEQUENCE:{restored.FAR_ABOVE}\n" in mail.part("text/calendar")
    assert mail.message["Message-ID"] not in old
    with write():
        assert restored.drop(NOON) == 1
    assert send_all() == 0
    assert states() == [MessageState.SENT, MessageState.LAPSED]


def test_the_database_as_it_is_put_in_place_holds_no_mail_to_send(
    app: Flask, make: Make, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that looks between both steps of a restore finds nothing, even if the second one never comes."""
    owed(make, Kind.INVITATION)
    file = take()

    class Cut(Exception):
        pass

    def cut() -> int:
        raise Cut

    monkeypatch.setattr(restored, "hold_everything", cut)
    with pytest.raises(Cut):
        put_back(app, file)
    assert (states(), send_all()) == ([MessageState.HELD], 0)


def test_what_is_sent_after_a_restore_wins_over_what_was_sent_before_it(
    app: Flask, make: Make, take: Take, smtp: MailServer
) -> None:
    """Moved after the backup, restored to before: calendars have SEQUENCE 1, the next mail lies far above."""
    talk = make.event()
    make.registration(talk)
    file = take()
    _move(talk.id)
    assert send_all() == 1
    put_back(app, file)
    with write():
        assert restored.invite_again(NOON) == 1
    assert send_all() == 1
    sequences = [_sequence(mail.part("text/calendar")) for mail in smtp.mails]
    assert sequences == [1, restored.FAR_ABOVE]


def test_an_answer_to_what_the_calendar_shows_still_counts_after_a_restore(app: Flask, make: Make, take: Take) -> None:
    one = make.registration(make.event())
    file, number = take(), one.id
    put_back(app, file)
    registration = db.session.get(Registration, number)
    assert registration is not None
    assert (registration.sequence, registration.event.sequence) == (0, restored.FAR_ABOVE)


def _move(event_id: int) -> None:
    with write():
        talk = db.session.get(Event, event_id)
        assert talk is not None
        assert talk.starts_at is not None
        assert talk.ends_at is not None
        before = differences.facts(talk)
        talk.starts_at, talk.ends_at = talk.starts_at + timedelta(days=1), talk.ends_at + timedelta(days=1)
        invitations.tell_change(talk, before, NOON)


def _sequence(calendar: str) -> int:
    return int(calendar.split("SEQUENCE:")[1].split("\n", maxsplit=1)[0])
