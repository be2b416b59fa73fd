"""What an organiser waits for who moves a talk: with 10,000 attendees, and with one."""

import statistics
import time
from collections.abc import Sequence

import sqlalchemy as sa

from bench import bulk
from bench.load import BenchFailed, cpu_seconds
from bench.sample import MAKE
from config import Settings
from tests.pages import Page
from whatsnext.app import create_app
from whatsnext.db import db, write
from whatsnext.models import Message, MessageState

ATTENDEES = 10_000


def measure(settings: Settings, cookie: str, pids: Sequence[int], rounds: int) -> tuple[float, float]:
    """Processor milliseconds of the press on "save and tell", medians: with 10,000 attendees, with one."""
    app = create_app(settings)
    took: dict[int, list[float]] = {ATTENDEES: [], 1: []}
    with app.app_context():
        with write():
            talks = {people: MAKE.event(places_on_site=ATTENDEES, slug=f"moved-{people}").id for people in took}
        for people, talk in talks.items():
            bulk.attend(talk, people)
        client = app.test_client(use_cookies=False)
        given = {"base_url": settings.address, "headers": {"Cookie": cookie}}
        for number in range(rounds):
            for people, talk in talks.items():
                path = f"/organise/events/{talk}"
                editor = Page(client.get(path, **given)).form("editor")
                day = f"2031-01-{1 + number:02}"
                asked = Page(client.post(path, data=editor.filled({"date": day, "action": "save"})[1], **given))
                action, sent = asked.form("change").filled({})
                began = time.process_time() + cpu_seconds(pids)
                answer = client.post(action, data={**sent, "action": "tell"}, **given)
                took[people].append((time.process_time() + cpu_seconds(pids) - began) * 1000)
                if answer.status_code != 303:
                    raise BenchFailed(f"moving a talk was answered by {answer.status_code}")
            with write():  # what is owed has gone out when a talk is moved again
                db.session.execute(sa.update(Message).values(state=MessageState.SENT))
        db.engine.dispose()
    return statistics.median(took[ATTENDEES]), statistics.median(took[1])
