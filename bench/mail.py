"""Mails a worker delivers, against bare smtplib on a kept connection to the same sink, which is another process."""

import contextlib
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from bench.load import Figures
from config import Settings
from tests import servers
from tests.factories import Make
from whatsnext import clock
from whatsnext.app import create_app
from whatsnext.db import db, write
from whatsnext.jobs import deliver_due
from whatsnext.mail.compose import compose
from whatsnext.mail.deliver import Courier
from whatsnext.mail.mime import build
from whatsnext.models import Kind, Message, MessageState, Status

MAILS = 200
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


def measure(settings: Settings, rounds: int, said: Callable[[str], None]) -> dict[str, Figures]:
    """Processor time a mail of this process: bare, composed only, and as the worker does it, invitations all."""
    with _sink() as port:
        app = create_app(settings.model_copy(update={"mail_server": "127.0.0.1", "mail_port": port, "mail_tls": "none"}))
        with app.app_context():
            with write():
                _owe(Make())
            raw = _one()
            works = {
                "bare smtplib": lambda: _bare(port, raw),
                "composed, not sent": _composed,
                "delivered by the worker": _delivered,
            }
            figures = {name: Figures() for name in works}
            for number in range(rounds + 1):
                said(f"mails, round {number} of {rounds}" if number else "mails, warming up")
                for name, work in works.items():
                    cpu, wall = time.process_time(), time.perf_counter()
                    work()
                    if number:
                        figures[name].cpu.append((time.process_time() - cpu) * 1000 / MAILS)
                        figures[name].rate.append(MAILS / (time.perf_counter() - wall))
            db.engine.dispose()
    return figures
