"""A worker that is killed again and again while it reads its mailbox: every answer acts once."""

import random
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config import Settings
from tests.databases import SECRET, Database
from tests.factories import Make
from tests.mail.inbox import shapes
from tests.mail.inbox.shapes import Invited, Said
from tests.servers import Dovecot, whatsnext
from whatsnext import clock
from whatsnext.db import db
from whatsnext.models import Kind, Message, Registration, Status

NUMBER, KILLS = 20, 2


@pytest.mark.load  # its worker has the clock of the machine
def test_every_answer_acts_once_however_often_the_worker_is_killed(
    database: Database, app: Any, make: Make, settings: Settings, dovecot: Dovecot, tmp_path: Path
) -> None:
    now = clock.now()
    talk = make.event(places_on_site=NUMBER)
    people = [make.registration(talk) for _number in range(NUMBER)]
    for one in people:
        known = Invited(talk.uid, 0, f"next+{one.reply_token}@localhost", one.person.email, talk.starts_at or now)
        said = Said(partstat="DECLINED", at=now - timedelta(minutes=1))
        dovecot.deliver(shapes.outlook(known, said), known.organiser)
    environment = {
        "DATABASE_URL": database.url,
        "SECRET_KEY": SECRET,
        "INSTANCE": database.instance,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": database.mail_port,
        "MAIL_DEFAULT_SENDER": "next@localhost",
        "IMAP_SERVER": "127.0.0.1",
        "IMAP_PORT": dovecot.imap_port,
        "IMAP_USE_SSL": "false",
        "IMAP_USERNAME": "next",
        "IMAP_PASSWORD": "secret",
    }
    dice = random.Random(4)
    for turn in range(KILLS):
        with pytest.raises(AssertionError, match="ended with -9"):
            _work_and_be_killed(environment, tmp_path / f"{turn}.log", dice.random() * 0.1)
    with whatsnext(environment, tmp_path / "last.log", "worker"):
        assert _until(lambda: _cancelled() == NUMBER, 60), (tmp_path / "last.log").read_text()
    db.session.rollback()
    mails = db.session.execute(
        sa.select(Message.registration_id, sa.func.count())
        .where(Message.kind == Kind.CANCELLATION)
        .group_by(Message.registration_id)
    ).all()
    assert sorted(tuple(row) for row in mails) == [(one.id, 1) for one in people]


def _work_and_be_killed(environment: dict[str, Any], output: Path, pause: float) -> None:
    before = _cancelled()
    with whatsnext(environment, output, "worker") as process:
        _until(lambda: _cancelled() > before or before == NUMBER, 45)
        time.sleep(pause)
        process.kill()
        process.wait()


def _cancelled() -> int:
    db.session.rollback()
    found = sa.select(sa.func.count()).where(Registration.status == Status.CANCELLED)
    number = db.session.scalar(found) or 0
    db.session.rollback()
    return number


def _until(happened: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
