"""Mails that a worker delivers, against bare smtplib on a kept connection to the same sink, another process.

Sender and sink take turns, so what counts is the processor time of both, and of the database's server: on a machine of
its own that is what a mail takes, and the commits to the disk.
"""

import contextlib
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import sqlalchemy as sa
from flask import Flask

from bench.load import BenchFailed, Figures, cpu_seconds
from bench.sample import MAKE
from config import Settings
from tests import servers
from whatsnext import clock
from whatsnext.app import create_app
from whatsnext.db import connected, db, whole, write
from whatsnext.jobs import deliver_due
from whatsnext.mail import batches, deliver
from whatsnext.mail.compose import compose
from whatsnext.mail.mime import build
from whatsnext.mail.wire import Courier
from whatsnext.models import Kind, Message, MessageState
from whatsnext.starting import keep_what_is_there

MAILS = 150
ROUNDS = 4
"""To one of the pages: one takes two seconds only, and on a shared machine they differ by a fifth."""
BARE, MARKED = "bare smtplib", "bare smtplib, each marked by one UPDATE and COMMIT"
COMPOSED, DELIVERED = "claimed and composed, not sent", "delivered by the worker"
BEGUN = "claimed, composed, kept and marked one by one, not sent"
SINK = """
import asyncio, sys
from aiosmtpd.smtp import SMTP

class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink()), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def measure(settings: Settings, pids: Sequence[int], rounds: int, said: Callable[[str], None]) -> dict[str, Figures]:
    """Processor time for an invitation: bare, composed only, and as the worker delivers it."""
    with _sink() as (port, sink):
        below = [sink, *pids]
        app = create_app(settings.model_copy(update={"mail_server": "127.0.0.1", "mail_port": port}))
        with app.app_context():
            _settle()  # what the sign-ups before this owe
            with write():
                raw = _owe()
            keep_what_is_there()
            works = {
                BARE: lambda: _bare(port, raw),
                MARKED: lambda: _marked(port, raw),
                COMPOSED: _composed,
                BEGUN: _begun,
                DELIVERED: lambda: _delivered(app),
            }
            figures = {name: Figures() for name in works}
            for number in range(rounds * ROUNDS + 1):
                said(f"mails, round {number} of {rounds * ROUNDS}" if number else "mails, warming up")
                for name, work in works.items():
                    _owe_anew()
                    cpu, wall = time.process_time() + cpu_seconds(below), time.perf_counter()
                    work()
                    if number:
                        used = time.process_time() + cpu_seconds(below) - cpu
                        figures[name].cpu.append(used * 1000 / MAILS)
                        figures[name].rate.append(MAILS / (time.perf_counter() - wall))
            _settle()
            db.engine.dispose()
    return figures


@contextlib.contextmanager
def _sink() -> Iterator[tuple[int, int]]:
    """Its port and its process."""
    port = servers.free_port()
    process = subprocess.Popen([sys.executable, "-c", SINK, str(port)])
    try:
        for _try in range(200):
            with contextlib.suppress(OSError), smtplib.SMTP("127.0.0.1", port, timeout=5):
                break
            time.sleep(0.05)
        else:
            raise BenchFailed("the mail sink does not answer")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _owe() -> bytes:
    """Invitations to one talk. Returns one of them as it goes over the wire."""
    talk = MAKE.event(title="Register ohne Mitte", summary="Ein Vortrag mit Fragen. " * 20, places_on_site=MAILS)
    owed = [MAKE.message(Kind.INVITATION, MAKE.registration(talk)) for _number in range(MAILS)]
    db.session.flush()
    return build(compose(owed[0], clock.now()))


def _owe_anew() -> None:
    with write():
        now = clock.now()
        mine = sa.update(Message).where(Message.kind == Kind.INVITATION)
        db.session.execute(
            mine.values(state=MessageState.OWED, not_before=now, tries=0, raw=None, begun=False, settled_at=None)
        )


def _settle() -> None:
    with write():
        db.session.execute(sa.update(Message).values(state=MessageState.SENT))


def _bare(port: int, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as line:
        for _number in range(MAILS):
            line.sendmail("next@behoerde.example", ["ada@behoerde.example"], raw)


def _marked(port: int, raw: bytes) -> None:
    """What is sent is committed before the next goes (safety.md O1), by the driver alone."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as line, connected() as connection:
        rows = connection.execute(sa.select(Message.id).where(Message.kind == Kind.INVITATION)).scalars().all()
        mark = connection.connection.cursor()
        for number in rows:
            line.sendmail("next@behoerde.example", ["ada@behoerde.example"], raw)
            mark.execute(f"UPDATE message SET state = 'sent' WHERE id = {number}")
        mark.close()


def _composed() -> None:
    number = 0
    while claims := whole(deliver.claim):
        number += len(whole(partial(batches.write_all, claims, clock.now())))
    if number != MAILS:
        raise BenchFailed(f"{number} of {MAILS} mails were written")


def _begun() -> None:
    """As the worker does it, mail after mail, but for the line to the server."""
    number = 0
    while claims := whole(deliver.claim):
        ready, gone = whole(partial(batches.write_all, claims, clock.now())), None
        with connected() as connection:
            for claim in claims:
                number += batches.begin(connection, gone, claim, ready[claim.id], clock.now())
                gone = claim
        whole(partial(deliver.sent, gone, clock.now()))
    if number != MAILS:
        raise BenchFailed(f"{number} of {MAILS} mails were begun")


def _delivered(app: Flask) -> None:
    courier = Courier()
    number = deliver_due(courier)
    courier.close()
    if number != MAILS:
        raise BenchFailed(f"{number} of {MAILS} mails went out of {app.name}")
