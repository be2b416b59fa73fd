"""The worker: woken by what is written, one of them for each periodic job, stopped in time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import NOON, Make
from tests.servers import MailServer
from whatsnext import jobs
from whatsnext.db import database_now, db, write
from whatsnext.models import JobRun, Kind, Message, MessageState, RateLimit, Registration, SignedIn, SignInLink, Status
from whatsnext.services import outbox, reminders, restored

TALK = {"subject": "Hallo", "body": "Text"}


@pytest.fixture
def running() -> Iterator[Callable[[Flask], jobs.Worker]]:
    """Start workers that are stopped whatever happens."""
    workers: list[jobs.Worker] = []

    def start(app: Flask) -> jobs.Worker:
        workers.append(jobs.Worker(app))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def until(true: Callable[[], bool], seconds: float = 10) -> float:
    """How long it took."""
    began = time.monotonic()
    while not true():
        db.session.rollback()
        assert time.monotonic() - began < seconds, "nothing happened"
        time.sleep(0.01)
    db.session.rollback()
    return time.monotonic() - began


def asleep(worker: jobs.Worker) -> None:
    """Until it has nothing to do."""
    last = len(jobs.JOBS)
    until(lambda: (db.session.scalar(sa.select(sa.func.count()).select_from(JobRun)) or 0) == last)
    time.sleep(0.3)


# --- waking ----------------------------------------------------------------------------------------------


def test_a_worker_sends_what_was_owed_before_it_started(
    app: Flask, make: Make, smtp: MailServer, running: Callable[[Flask], jobs.Worker]
) -> None:
    for _number in range(25):
        make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    running(app)
    until(lambda: len(smtp.mails) == 25)


def test_what_a_killed_worker_had_claimed_goes_out_when_one_starts_again(
    app: Flask, make: Make, smtp: MailServer, running: Callable[[Flask], jobs.Worker]
) -> None:
    """Nobody waits for the lease, but where the mail may have been on the wire."""
    mails = [make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"}) for _n in range(3)]
    ids = [mail.message_id for mail in mails]
    with write():
        claims = jobs.deliver.claim()
    with write():
        assert jobs.deliver.prepare(claims[0], NOON)
    worker = running(app)
    until(lambda: len(smtp.mails) == 2)
    asleep(worker)
    assert [mail.message["Message-ID"] for mail in smtp.mails] == ids[1:]
    with write():  # the one that had claimed them lives after all
        assert [jobs.deliver.prepare(claim, NOON) is not None for claim in claims] == [True, False, False]


def test_a_commit_of_the_same_process_wakes_it_at_once(
    app: Flask, make: Make, smtp: MailServer, running: Callable[[Flask], jobs.Worker]
) -> None:
    asleep(running(app))
    make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    assert until(lambda: len(smtp.mails) == 1) < 2


def test_a_commit_of_another_process_wakes_it_at_once_on_postgresql(
    app: Flask,
    make: Make,
    make_app: Callable[..., Flask],
    smtp: MailServer,
    running: Callable[[Flask], jobs.Worker],
) -> None:
    """Nothing but the database connects two applications; on SQLite the worker looks every five seconds."""
    asleep(running(make_app()))
    make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    assert until(lambda: len(smtp.mails) == 1) < (2 if db.engine.dialect.name == "postgresql" else 8)


def test_only_owed_mails_are_notified_once_per_transaction(app: Flask, make: Make) -> None:
    if db.engine.dialect.name != "postgresql":
        return
    event = make.event()
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(f"LISTEN {jobs.CHANNEL}")
        make.registration(event)
        with write():
            for _number in range(3):
                make.message(Kind.ORGANISER_MESSAGE, make.registration(event), facts=TALK)
                db.session.flush()
        assert [each.channel for each in other.notifies(timeout=0.5)] == [jobs.CHANNEL]


def test_mails_that_are_owed_again_wake_the_workers_too(app: Flask, make: Make) -> None:
    if db.engine.dialect.name != "postgresql":
        return
    one, now = make.registration(make.event()), NOON
    mails = [make.message(Kind.ORGANISER_MESSAGE, one, facts=TALK) for _number in range(3)]
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(f"LISTEN {jobs.CHANNEL}")
        with write():
            mails[0].state, mails[1].state = MessageState.HELD, MessageState.FAILED
            mails[2].state, mails[2].error = MessageState.HELD, restored.HELD
        assert list(other.notifies(timeout=0.2)) == []
        for again in (
            lambda: outbox.release_held(now),
            lambda: outbox.retry_failed(mails[1].id, one.event_id, now),
            lambda: restored.release(now),
        ):
            with write():
                again()
            assert [each.channel for each in other.notifies(timeout=0.2)] == [jobs.CHANNEL]


def test_a_database_that_restarts_does_not_end_the_listening(
    app: Flask, make: Make, smtp: MailServer, running: Callable[[Flask], jobs.Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    if db.engine.dialect.name != "postgresql":
        return
    monkeypatch.setattr(jobs, "LONGEST_SLEEP", 0.5)
    asleep(running(app))
    with db.engine.connect() as connection:
        ended = connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = :query"),
            {"query": f"LISTEN {jobs.CHANNEL}"},
        )
        assert ended.all() == [(True,)]
    time.sleep(1)
    make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    until(lambda: len(smtp.mails) == 1)


# --- stopping --------------------------------------------------------------------------------------------


def test_a_worker_with_nothing_to_do_stops_at_once(app: Flask, running: Callable[[Flask], jobs.Worker]) -> None:
    worker = running(app)
    asleep(worker)
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 10
    assert [thread.name for thread in threading.enumerate() if thread.name in ("worker", "listener")] == []


def test_what_was_claimed_and_not_sent_is_given_back(app: Flask, make: Make, smtp: MailServer) -> None:
    messages = [make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"}) for _n in range(3)]
    stopping = threading.Event()

    class Stopping(jobs.wire.Courier):
        """The signal to stop comes while the first mail is on its way."""

        def carry(self, parcel: jobs.wire.Parcel) -> None:
            super().carry(parcel)
            stopping.set()

    courier = Stopping()
    assert jobs.deliver_due(courier, stopping) == 1
    courier.close()
    db.session.rollback()
    for message in messages:
        db.session.refresh(message)
    assert [(message.state.value, message.tries) for message in messages] == [("sent", 1), ("owed", 0), ("owed", 0)]


def test_run_forever_ends_with_the_exception_of_a_signal(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = jobs.Worker(app)

    def told_to_end(_seconds: float | None = None) -> None:
        monkeypatch.undo()
        raise SystemExit(0)

    monkeypatch.setattr(worker._thread, "join", told_to_end)
    with pytest.raises(SystemExit):
        worker.run_forever()
    assert not worker._thread.is_alive()


# --- periodic work ---------------------------------------------------------------------------------------


def test_holds_run_out_by_themselves(
    app: Flask, make: Make, smtp: MailServer, running: Callable[[Flask], jobs.Worker]
) -> None:
    event = make.event(places_on_site=1, starts_local=datetime(2127, 1, 20, 14))  # after the database's present
    held = make.registration(event, Status.HELD, hold_ends_at=NOON - timedelta(minutes=1))
    waiting = make.registration(event, Status.WAITING)
    running(app)
    until(lambda: db.session.scalar(sa.select(Registration.status).where(Registration.id == held.id)) is Status.EXPIRED)
    until(lambda: len(smtp.to(waiting.person.email)) == 1)
    assert smtp.to(waiting.person.email)[0].subject.startswith("Sie haben einen Platz")


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=1), -timedelta(hours=1), -timedelta(days=1)])
def test_a_clock_that_jumps_lets_no_hold_go_early_or_late_and_lends_no_mail_twice(
    app: Flask, make: Make, at: Callable[[datetime], None], jump: timedelta
) -> None:
    event, now = make.event(places_on_site=2, starts_local=datetime(2127, 1, 20, 14)), database_now()
    kept = make.registration(event, Status.HELD, hold_ends_at=now + timedelta(minutes=30))
    over = make.registration(event, Status.HELD, hold_ends_at=now - timedelta(minutes=1))
    make.message(Kind.SIGN_IN, kept.person, not_before=now)
    with write():
        (claim,) = jobs.deliver.claim()
    at(now + jump)
    jobs.run_jobs()
    with write():
        assert jobs.deliver.claim() == [], "the lease of the first worker holds"
    db.session.refresh(kept)
    db.session.refresh(over)
    assert (kept.status, over.status, claim.tries) == (Status.HELD, Status.EXPIRED, 1)


def test_when_the_jobs_are_forgotten_nothing_is_lost_and_nothing_done_twice(
    app: Flask, make: Make, smtp: MailServer, at: Callable[[datetime], None]
) -> None:
    """All that is kept of periodic work is wiped between two rounds; the outbox is the truth."""
    now = database_now()
    at(now)
    talk = make.event(
        starts_local=(now + timedelta(minutes=59)).astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
    )
    make.registration(talk, confirmed_at=now - timedelta(days=1))
    with write():
        reminders.remind(now - timedelta(minutes=5))
    courier = jobs.wire.Courier()
    for _round in range(3):
        jobs.run_jobs()
        jobs.deliver_due(courier)
        make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
        with write():
            db.session.execute(sa.delete(JobRun))
    jobs.deliver_due(courier)
    courier.close()
    kinds = Counter(db.session.scalars(sa.select(Message.kind).where(Message.state == MessageState.SENT)))
    assert kinds == {Kind.REMINDER: 1, Kind.SIGN_IN: 3}
    assert len(smtp.mails) == 4


def test_a_failing_job_is_logged_leaves_nothing_and_comes_again(
    app: Flask, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def fail_once(_now: object) -> None:
        db.session.add(RateLimit(key=f"try {len(tries)}", count=1, ends=1))
        db.session.flush()
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("the first time")

    other: list[int] = []
    two = (jobs.Job("fails", 86400, fail_once), jobs.Job("other", 86400, lambda _now: other.append(1)))
    monkeypatch.setattr(jobs, "JOBS", two)
    for _round in range(3):
        jobs.run_jobs()
    assert (len(tries), len(other)) == (2, 1)
    assert [row.key for row in db.session.scalars(sa.select(RateLimit))] == ["try 1"]
    assert "the job fails failed and comes again" in caplog.text


def test_old_rows_of_the_machinery_are_forgotten(app: Flask, make: Make) -> None:
    person = make.person()
    hour, seconds = timedelta(hours=1), NOON.timestamp()
    with write():
        for name, age in (("old", 25 * hour), ("new", 23 * hour)):
            link = SignInLink(token_id=name, person_id=person.id, created_at=NOON - age, ends_at=NOON - age)
            started = NOON - age * 14
            db.session.add_all([link, SignedIn(digest=name, person_id=person.id, started_at=started, seen_at=started)])
        db.session.add_all(
            [RateLimit(key="old", count=1, ends=seconds - 1), RateLimit(key="new", count=1, ends=seconds + 1)]
        )
    with write():
        jobs.clean_up(NOON)
    assert list(db.session.scalars(sa.select(RateLimit.key))) == ["new"]
    assert list(db.session.scalars(sa.select(SignInLink.token_id))) == ["new"]
    assert list(db.session.scalars(sa.select(SignedIn.digest))) == ["new"]


def test_a_worker_survives_a_round_that_fails(
    app: Flask,
    make: Make,
    smtp: MailServer,
    running: Callable[[Flask], jobs.Worker],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(jobs, "LONGEST_SLEEP", 0.1)
    real, failures = jobs.run_jobs, [ValueError("database away"), ValueError("still")]

    def fail_twice() -> None:
        if failures:
            raise failures.pop()
        real()

    monkeypatch.setattr(jobs, "run_jobs", fail_twice)
    make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    running(app)
    until(lambda: len(smtp.mails) == 1)
    assert caplog.text.count("the worker goes on after a pause") == 2
