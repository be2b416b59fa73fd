"""Workers as processes, killed or frozen at any moment: nothing is lost, no news comes twice (safety.md O1, O2).

KILL_MAILS says how many invitations, KILLS how often the worker is killed, KILL_SEED when.
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import servers
from tests.databases import Database
from tests.factories import Make
from tests.figures import Figure
from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.models import Kind, Message, MessageState

MAILS = int(os.environ.get("KILL_MAILS", "90"))
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("KILL_SEED", "20270115"))
PATIENCE = 60 + MAILS / 5

pytestmark = pytest.mark.load


def owe_many(make: Make) -> set[str]:
    """An invitation each, to people with a place."""
    with write():
        talk = make.event(places_on_site=MAILS)
        for _number in range(MAILS):
            make.message(Kind.INVITATION, make.registration(talk, stamp=None))
    ids = set(db.session.scalars(sa.select(Message.message_id)))
    db.session.rollback()  # a read left open keeps every worker from committing
    return ids


def end_leases() -> None:
    """As if the time of the leases had passed."""
    with write():
        due = sa.update(Message).where(Message.state == MessageState.SENDING)
        db.session.execute(due.values(not_before=clock.now() - timedelta(minutes=1)))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def all_settled() -> bool:
    left = db.session.scalar(sa.select(Message.id).where(Message.state != MessageState.SENT).limit(1))
    db.session.rollback()
    return left is None


def come(smtp: servers.MailServer) -> Counter[str]:
    return Counter(str(mail.message["Message-ID"]) for mail in smtp.mails)


@pytest.fixture
def settings(database: Database, smtp: servers.MailServer) -> dict[str, object]:
    given = database.settings(mail_port=smtp.port)
    names = ("database_url", "instance", "mail_server", "mail_port", "mail_default_sender")
    return {name.upper(): getattr(given, name) for name in names}


def kill_after(mails: int, wait: float, smtp: servers.MailServer, settings: dict[str, object], output: Path) -> None:
    """SIGKILL when so many more mails have come, `wait` seconds later: at any point of the next one's way."""
    wanted = len(smtp.mails) + mails
    with contextlib.suppress(AssertionError), servers.whatsnext(settings, output, "worker") as worker:
        until(lambda: len(smtp.mails) >= wanted)
        time.sleep(wait)
        worker.kill()
    assert worker.returncode == -signal.SIGKILL, output.read_text()


def test_a_worker_killed_while_it_sends_loses_nothing(
    app: Flask,
    make: Make,
    smtp: servers.MailServer,
    settings: dict[str, object],
    tmp_path: Path,
    figure: Figure,
) -> None:
    dice = random.Random(SEED)
    owed = owe_many(make)
    for number in range(KILLS):
        mails = dice.randint(1, MAILS // (KILLS + 1))
        kill_after(mails, dice.uniform(0, 0.05), smtp, settings, tmp_path / f"killed-{number}")
        end_leases()
    with servers.whatsnext(settings, tmp_path / "log", "worker"):
        until(all_settled)
    times = come(smtp)
    figure(
        "mails over kills",
        mails=MAILS,
        kills=KILLS,
        lost=len(owed - set(times)),
        repeated=sum(times.values()) - MAILS,
        differing=len({mail.raw for mail in smtp.mails}) - MAILS,
    )
    assert set(times) == owed
    assert sum(times.values()) <= MAILS + KILLS, f"seed {SEED}"
    assert len({mail.raw for mail in smtp.mails}) == MAILS


def test_a_worker_frozen_past_its_lease_sends_no_news_when_it_goes_on(
    app: Flask,
    make: Make,
    smtp: servers.MailServer,
    settings: dict[str, object],
    tmp_path: Path,
    figure: Figure,
) -> None:
    """Two workers at once; one is killed and started anew, the other one stopped until its lease is over."""
    owed = owe_many(make)
    with servers.whatsnext(settings, tmp_path / "first", "worker") as frozen:
        until(lambda: len(smtp.mails) >= MAILS // 6)
        freeze(frozen)
        end_leases()
        kill_after(MAILS // 6, 0, smtp, settings, tmp_path / "killed")
        end_leases()
        with servers.whatsnext(settings, tmp_path / "second", "worker"):
            until(all_settled)
        frozen.send_signal(signal.SIGCONT)
        time.sleep(1)
        assert all_settled()
    times = come(smtp)
    figure("two workers", mails=MAILS, lost=len(owed - set(times)), repeated=sum(times.values()) - MAILS)
    assert set(times) == owed
    assert sum(times.values()) <= MAILS + 2
    assert len({mail.raw for mail in smtp.mails}) == MAILS


def freeze(worker: subprocess.Popen[bytes]) -> None:
    """Stop the process outside a transaction: within one the database itself would keep everyone out."""
    for _try in range(500):
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)  # until then its threads run on, into a transaction
        if nobody_holds_a_lock():
            return
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the worker was never outside a transaction")


def nobody_holds_a_lock() -> bool:
    url = db.engine.url
    try:
        if db.engine.dialect.name == "sqlite":
            with contextlib.closing(
                sqlite3.connect(str(url.database), timeout=0.05, isolation_level=None)
            ) as connection:
                connection.execute("BEGIN EXCLUSIVE").close()  # also a reader would keep others from committing
        else:
            with db.engine.connect() as connection:
                connection.exec_driver_sql("SELECT id FROM message FOR UPDATE NOWAIT").close()
    except (sqlite3.OperationalError, sa.exc.OperationalError):
        return False
    return True
