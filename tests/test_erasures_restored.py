"""Whoever was erased stays so when an older backup is put in place (safety.md D2)."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import NOON, Make
from tests.mail.worlds import send_all
from tests.servers import MailServer
from tests.services.test_erasure import OTHER, WORD, erase, naming, two
from whatsnext import backup
from whatsnext.db import db
from whatsnext.models import Erasure, Registration, Status
from whatsnext.services import erasure, restored


def take(app: Flask, tmp_path: Path) -> Path:
    db.session.rollback()
    return backup.take(app, tmp_path / "one.backup", NOON).file


def put_back(app: Flask, file: Path, erasures: Path | None = None) -> int:
    db.session.rollback()
    return backup.restore(app, file, force=True, erasures=erasures)[2]


def others() -> list[str]:
    """Somebody else's rows but for what every restore changes: what is unsent is held, and the next SEQUENCE rises."""
    rows = [row for row in naming(OTHER) if not row.startswith("message")]
    return [re.sub(r"'sequence': \d+", "", row) for row in rows]


def leftovers(app: Flask) -> list[str]:
    return [file.name for file in app.config["SETTINGS"].instance.glob("*erasures*")]


def test_an_older_backup_brings_nobody_back(app: Flask, make: Make, tmp_path: Path, smtp: MailServer, figure) -> None:
    person, _other = two(make)
    file, person_id = take(app, tmp_path), person.id
    theirs = others()
    erase(person)
    ledger = erasure.ledger()
    assert put_back(app, file) == 1
    left = naming(WORD)
    figure("people forgotten", restored=1, left=len(left))
    assert left == []
    assert others() == theirs
    assert erasure.ledger() == ledger
    assert leftovers(app) == []
    given_up = sa.select(Registration.status).where(Registration.person_id == person_id).order_by(Registration.id)
    assert db.session.scalars(given_up).all() == [Status.CANCELLED, Status.CONFIRMED]
    assert (send_all(), smtp.mails) == (0, []), "the place freed by it moves somebody up, but nothing goes out"


def test_it_holds_for_the_next_restore_too(app: Flask, make: Make, tmp_path: Path) -> None:
    person, _other = two(make)
    file = take(app, tmp_path)
    erase(person)
    assert (put_back(app, file), put_back(app, file)) == (1, 1)
    assert naming(WORD) == []


def test_where_the_database_is_gone_a_file_tells_who_was_erased(app: Flask, make: Make, tmp_path: Path) -> None:
    person, _other = two(make)
    file, told = take(app, tmp_path), tmp_path / "erasures"
    erase(person)
    backup.write_erasures(told, erasure.ledger())
    assert WORD not in told.read_text()
    db.session.execute(sa.delete(Erasure))  # as in a new, empty database
    db.session.commit()
    assert put_back(app, file) == 0
    assert naming(WORD) != []
    assert put_back(app, file, told) == 1
    assert naming(WORD) == []


def test_a_restore_that_was_cut_off_knows_the_erasures_when_it_is_begun_anew(
    app: Flask, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, _other = two(make)
    file = take(app, tmp_path)
    erase(person)

    class Cut(Exception):
        pass

    def cut() -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(restored, "forget_address", cut)
        with pytest.raises(Cut):
            put_back(app, file)
    assert erasure.ledger() == {}, "the database of the backup is in place and knows nothing"
    assert put_back(app, file) == 1
    assert (naming(WORD), leftovers(app)) == ([], [])


def test_people_of_a_backup_made_after_the_erasure_stay(app: Flask, make: Make, tmp_path: Path) -> None:
    person, _other = two(make)
    erase(person)
    make.person(email=f"{WORD}@behoerde.example", created_at=NOON + timedelta(hours=1))
    file = take(app, tmp_path)
    assert put_back(app, file) == 0
    assert len(naming(WORD)) == 1


@pytest.mark.parametrize("content", ["nonsense\n", "a" * 64 + "\n", "a" * 64 + " 99\n", "a" * 63 + " 1767614400.0\n"])
def test_another_file_is_refused_before_anything_is_replaced(app: Flask, make: Make, tmp_path: Path, content) -> None:
    make.person(email=f"{WORD}@behoerde.example")
    file = take(app, tmp_path)
    make.person(email=f"{OTHER}@behoerde.example")
    (tmp_path / "list").write_text(content)
    with pytest.raises(backup.BackupRefused, match="not a list of erasures"):
        put_back(app, file, tmp_path / "list")
    assert len(naming(OTHER)) == 1
