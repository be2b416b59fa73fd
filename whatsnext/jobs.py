"""The worker: delivers what is owed, takes in mails, does what is due; a thread of `serve` or a process of its own.

However many workers there are, a mail goes out by one of them (its lease) and a periodic job is done by one of them
(its row in job_run). A failing mail or job is logged and comes again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import psycopg
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from whatsnext import clock
from whatsnext.calendars import timezone
from whatsnext.db import connected, database_now, db, whole, write, written
from whatsnext.inbox import Inbox
from whatsnext.mail import batches, deliver, wire
from whatsnext.models import JobRun, RateLimit, SignedIn, SignInLink
from whatsnext.services import clocks, follows, holds, incoming, reminders

log = logging.getLogger(__name__)

CHANNEL = "whatsnext_owed"
"""On PostgreSQL each commit that owes mails is told there, by the database itself (migration 0012)."""
LONGEST_SLEEP = 5.0
PATIENCE = 3.0
"""Seconds a mail under way has to finish when the worker stops; then its line is cut and it is tried again later."""
TRIES_TO_WRITE = 5
SIGNED_IN_AT_MOST = timedelta(days=14)
LINKS_KEPT = timedelta(days=1)


# --- periodic work ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Something done once in every `period` seconds, by whichever worker comes first."""

    name: str
    period: int
    do: Callable[[datetime], object]


def clean_up(now: datetime) -> None:
    """Forget what is of no use any more: counters past their window, old sign-in links, sign-ins that have ended."""
    db.session.execute(sa.delete(RateLimit).where(RateLimit.ends < now.timestamp()))
    db.session.execute(sa.delete(SignInLink).where(SignInLink.ends_at < now - LINKS_KEPT))
    db.session.execute(sa.delete(SignedIn).where(SignedIn.started_at < now - SIGNED_IN_AT_MOST))


def expire_holds(_now: datetime) -> None:
    """Holds end by the database's clock, as leases do: a machine whose clock jumps lets none go early (R7)."""
    holds.expire_holds(database_now())


def remind(_now: datetime) -> None:
    """The same for reminders: none is sent early."""
    reminders.remind(database_now())


def read_clocks_anew(now: datetime) -> None:
    """New time-zone data may have come while this process ran."""
    timezone.forget()
    clocks.recompute(now)


JOBS = (
    Job("expire_holds", 20, expire_holds),
    Job("clean_up", 3600, clean_up),
    Job("forget_incoming", 3600, incoming.forget),
    Job(reminders.JOB, 60, remind),
    Job("tell_opened", 60, follows.tell_opened),
    Job("clocks", 86_400, read_clocks_anew),
)


def won(job: Job) -> bool:
    """Whether this slot of the job is ours. Call inside `write()`: if the job fails, the slot is free again."""
    slot = int(database_now().timestamp() // job.period)
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    taking = insert(JobRun).values(name=job.name, slot=slot)
    newer = taking.on_conflict_do_update(
        index_elements=[JobRun.name], set_={"slot": taking.excluded.slot}, where=JobRun.slot < taking.excluded.slot
    )
    return db.session.execute(newer.returning(JobRun.name)).first() is not None


def _waiting_jobs() -> list[Job]:
    """Jobs whose present slot nobody has taken yet; reads."""
    seconds = database_now().timestamp()
    last = {run.name: run.slot for run in db.session.scalars(sa.select(JobRun))}
    return [job for job in JOBS if last.get(job.name, -1) < seconds // job.period]


def run_jobs() -> None:
    """Do what is due, each in a transaction of its own."""
    for job in _waiting_jobs():
        try:
            whole(partial(_run, job))
        except Exception:
            log.exception("the job %s failed and comes again", job.name)


def _run(job: Job) -> None:
    if won(job):
        job.do(clock.now())


# --- delivery --------------------------------------------------------------------------------------------


def deliver_due(courier: wire.Courier, stopping: threading.Event | None = None) -> int:
    """Send what is due until nothing is left or `stopping` is set. Returns how many mails went out."""
    number = 0
    while not (stopping and stopping.is_set()) and not courier.rests() and deliver.anything_due():
        claims = deque(whole(lambda: deliver.claim(courier.most)))
        if not claims:
            break  # another worker was faster
        number += _deliver(claims, courier, stopping)
    return number


def _deliver(claims: deque[deliver.Claim], courier: wire.Courier, stopping: threading.Event | None) -> int:
    """Each mail is sent outside of any transaction; what has gone is marked in the one that begins the next."""
    ready = _written(claims)
    with connected() as connection:
        number, gone = _send(claims, ready, connection, courier, stopping)
    if gone or claims:
        whole(lambda: _end(gone, claims))
    return number


def _send(
    claims: deque[deliver.Claim],
    ready: dict[int, batches.Ready],
    connection: sa.Connection,
    courier: wire.Courier,
    stopping: threading.Event | None,
) -> tuple[int, deliver.Claim | None]:
    """Returns how many went out, and the last of them, not marked yet."""
    number, gone = 0, None
    while claims and not (stopping and stopping.is_set()):
        claim = claims.popleft()
        last, gone = gone, None
        try:
            parcel = _next(connection, last, claim, ready.get(claim.id))
            if parcel is not None and _carry(claim, parcel, courier):
                number, gone = number + 1, claim
        except wire.Unreachable as reason:
            _put_off(claim, str(reason))
            break
        except _NotMarked:
            log.exception("a message has gone and could not be marked: it goes once more when its lease has ended")
            claims.appendleft(claim)
            break
        except Exception:
            log.exception("message %s could not be delivered", claim.id)
            _give_up_on(claim)
    return number, gone


def _written(claims: Collection[deliver.Claim]) -> dict[int, batches.Ready]:
    """The mails of a batch. If one cannot be written, each is written alone, and that one is named."""
    try:
        return whole(lambda: batches.write_all(claims, clock.now()))
    except Exception:
        log.exception("%s messages could not be written together", len(claims))
        return {}


class _NotMarked(Exception):
    """The fault lies with the mail before, not with the one whose turn it is."""


def _next(
    connection: sa.Connection, gone: deliver.Claim | None, claim: deliver.Claim, ready: batches.Ready | None
) -> wire.Parcel | None:
    """Mark the mail that has gone, if any, whatever becomes of the next one; then that. Raises _NotMarked."""
    try:
        if ready is not None and _begun(connection, gone, claim, ready):
            return ready.parcel
        return whole(lambda: _mark_and_prepare(gone, claim))
    except Exception:
        if gone is None:
            raise
        try:
            whole(lambda: deliver.sent(gone, clock.now()))
        except Exception as error:
            raise _NotMarked from error
        raise


def _begun(connection: sa.Connection, gone: deliver.Claim | None, claim: deliver.Claim, ready: batches.Ready) -> bool:
    """Mark, and whether the next mail may go as it is written already. What was marked stays so if it may not.

    False also where the database failed, neither done: whoever asks then does both on another connection. One that
    broke is not used again: made anew, it would leave transactions open.
    """
    if connection.invalidated:
        return False
    try:
        return batches.begin(connection, gone, claim, ready, clock.now())
    except DBAPIError as error:
        log.warning("message %s could not begin, and is looked at once more: %s", claim.id, type(error).__name__)
        return False


def _mark_and_prepare(gone: deliver.Claim | None, claim: deliver.Claim) -> wire.Parcel | None:
    """The same for a mail that has to be looked at, or once more since something has changed."""
    if gone is not None:
        deliver.sent(gone, clock.now())
    return deliver.prepare(claim, clock.now())


def _end(gone: deliver.Claim | None, left: Collection[deliver.Claim]) -> None:
    if gone is not None:
        deliver.sent(gone, clock.now())
    deliver.give_back(left)


def _carry(claim: deliver.Claim, parcel: wire.Parcel, courier: wire.Courier) -> bool:
    """Whether the server took the mail. Raises Unreachable."""
    try:
        courier.carry(parcel)
    except wire.Failed as reason:
        words = str(reason)
        log.warning("message %s was refused for good: %s", claim.id, words)
        whole(lambda: deliver.failed(claim, words, clock.now()))
        return False
    except wire.Unreachable:
        raise
    except wire.PutOff as reason:
        _put_off(claim, str(reason))
        return False
    return True


def _put_off(claim: deliver.Claim, reason: str) -> None:
    log.warning("message %s is put off: %s", claim.id, reason)
    whole(lambda: deliver.put_off(claim, reason))


def _give_up_on(claim: deliver.Claim) -> None:
    """A mail that cannot be written does not stop the others, and is not tried for ever."""
    with write():
        if claim.tries < TRIES_TO_WRITE:
            deliver.put_off(claim, deliver.NOT_WRITTEN)
        else:
            deliver.failed(claim, deliver.NOT_WRITTEN, clock.now())


# --- the worker ------------------------------------------------------------------------------------------


class Worker:
    """Delivers and does what is due until it is stopped; sleeps until something is written, at most 5 seconds."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._courier = wire.Courier()
        self._looked_back = False
        self._inbox = Inbox(app)
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._listener: _Listener | None = None

    def start(self) -> None:
        """Begin in a thread. Raises SettingRefused for an address that cannot be listened at."""
        self._inbox.start()
        written.connect(self._written, sender=self.app)
        with self.app.app_context():
            if db.engine.dialect.name == "postgresql":
                address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
                self._listener = _Listener(address, self._wake)
                self._listener.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish the mail under way, give back the rest, and return: within 5 seconds."""
        written.disconnect(self._written, sender=self.app)
        self._stopping.set()
        self._wake.set()
        self._inbox.stop()
        if self._listener:
            self._listener.stop()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._courier.abort()
            self._thread.join(5.0 - PATIENCE)

    def run_forever(self) -> None:
        """Work until the process is told to end (an exception raised by its signal handler)."""
        self.start()
        try:
            while self._thread.is_alive():
                self._thread.join(1.0)
        finally:
            self.stop()

    def _written(self, _app: Flask) -> None:
        if threading.current_thread() is not self._thread:
            self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            with self.app.app_context():
                self._round()
            if not self._stopping.is_set():
                self._wake.wait(LONGEST_SLEEP)

    def _round(self) -> None:
        """Everything that is due now. Whatever happens, the next round comes."""
        try:
            if not self._looked_back:
                whole(deliver.free_what_was_not_begun)
                self._looked_back = True
            run_jobs()
            deliver_due(self._courier, self._stopping)
        except Exception:
            log.exception("the worker goes on after a pause")
        finally:
            self._courier.close()


class _Listener:
    """Waits for NOTIFY on a connection of its own and wakes the worker; reconnects, and polling covers the gaps."""

    def __init__(self, address: str, wake: threading.Event) -> None:
        self._address, self._wake = address, wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.OperationalError as error:
                log.warning("waiting for the database: %s", type(error).__name__)
                self._stopping.wait(LONGEST_SLEEP)

    def _listen(self) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._wake.set()
            while not self._stopping.is_set():
                for _notification in connection.notifies(timeout=0.5, stop_after=1):
                    self._wake.set()
