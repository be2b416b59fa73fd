"""Periodic work with three workers in processes of their own: once a slot (safety.md R7).

PERIODIC_SECONDS says for how long they work. A slot may be missed where the machine itself stands still for a second.
"""

import multiprocessing
import os
import time
from collections import Counter
from datetime import datetime

import pytest
import sqlalchemy as sa

from config import Settings
from whatsnext import jobs
from whatsnext.app import create_app
from whatsnext.db import database_now, db
from whatsnext.models import RateLimit
from whatsnext.tokens import random_secret

SECONDS = int(os.environ.get("PERIODIC_SECONDS", "4"))
SLOT = 1
WORKERS = 3

pytestmark = pytest.mark.load


def note(_now: datetime) -> None:
    """The work: one row each time it is done, by whomever, with the slot it was done in."""
    slot = database_now().timestamp() // SLOT
    db.session.add(RateLimit(key=random_secret(), count=1, ends=slot))


def work(settings: Settings, seconds: float) -> None:
    jobs.JOBS = (jobs.Job("note", SLOT, note),)
    app, end = create_app(settings), time.monotonic() + seconds
    while time.monotonic() < end:
        with app.app_context():
            jobs.run_jobs()
        time.sleep(0.1)


def test_periodic_work_is_done_once_a_slot_by_three_processes(database, app, figure):
    db.session.rollback()
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(database.settings(), SECONDS)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS + 60)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    done = Counter(db.session.scalars(sa.select(RateLimit.ends)))
    missed = int(max(done) - min(done)) + 1 - len(done)
    twice = sum(number - 1 for number in done.values())
    figure("periodic work", slots=len(done), twice=twice, missed=missed)
    assert (twice, len(done) >= 2) == (0, True)
