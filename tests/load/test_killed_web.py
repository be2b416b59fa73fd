"""The web process killed while people sign up: whoever was answered is in the database (safety.md B1, O1, R4).

KILLS says how often, KILL_SEED when.
"""

import http.client
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from tests import servers
from tests.databases import SECRET
from tests.load.crowd import Visitor
from whatsnext.db import db
from whatsnext.models import Kind, Message, Person, Registration

KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("KILL_SEED", "20270115"))
AT_ONCE = 4

pytestmark = pytest.mark.load


@pytest.fixture
def settings(database, smtp):
    port = servers.free_port()
    return {
        "DATABASE_URL": database.url,
        "SECRET_KEY": SECRET,
        "INSTANCE": database.instance,
        "PORT": port,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "EXIT_NETWORKS": "127.0.0.0/8",
        "NEW_ADDRESS_MAILS_PER_HOUR": 1_000_000,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": smtp.port,
        "MAIL_DEFAULT_SENDER": "next@localhost",
        "WORKER": "true",
    }


class Crowd:
    """People who sign up one after the other, `AT_ONCE` at a time, until the process is gone. `told` were answered."""

    def __init__(self, address, path):
        self.address, self.path = address, path
        self.told, self.number, self.lock = [], 0, threading.Lock()

    def run(self, process, after):
        """Sign up until `after` more are told, then kill the process in the middle of what the others do."""
        wanted = len(self.told) + after
        page = Visitor(self.address, "", Counter()).open(self.path)
        threads = [threading.Thread(target=self._sign_up_for_ever, args=(page,), daemon=True) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 60
        while len(self.told) < wanted:
            assert time.monotonic() < end, "nobody is answered"
            assert any(thread.is_alive() for thread in threads), "everybody has given up"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        for thread in threads:
            thread.join(20)

    def _sign_up_for_ever(self, page):
        while True:
            with self.lock:
                self.number += 1
                person = Visitor(self.address, f"p{self.number}@behoerde.example", Counter())
            try:
                answer = person.sign_up(page)
            except (OSError, http.client.HTTPException):
                return  # killed before it answered: whether it was written nobody has promised
            assert answer.status_code == 303, answer.status_code
            self.told.append(person.email)


def test_no_acknowledged_write_is_lost_when_the_process_is_killed(settings, app, make, tmp_path, figure):
    dice = random.Random(SEED)
    talk = make.event(places_on_site=100_000)
    crowd = Crowd(settings["BASE_URL"], f"/events/{talk.slug}")
    db.session.rollback()
    db.engine.dispose()
    for number in range(KILLS):
        output = tmp_path / f"serve-{number}"
        with servers.whatsnext(settings, output, ends=(-signal.SIGKILL,)) as process:
            crowd.run(process, dice.randint(1, 25))
    there = set(db.session.scalars(sa.select(Person.email).join(Registration, Registration.person_id == Person.id)))
    owed = set(db.session.scalars(sa.select(Message.recipient).where(Message.kind == Kind.CONFIRMATION_REQUEST)))
    lost = set(crowd.told) - (there & owed)
    figure("writes over kills", kills=KILLS, acknowledged=len(crowd.told), lost=len(lost))
    assert lost == set(), f"seed {SEED}"
    assert there == owed, "someone is signed up without a mail, or the other way round"
    arrivals = list(db.session.scalars(sa.select(Registration.arrival).order_by(Registration.arrival)))
    assert arrivals == list(range(1, len(arrivals) + 1))
    db.session.rollback()
    if db.engine.dialect.name == "sqlite":
        with sqlite3.connect(str(db.engine.url.database)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        raw.close()
