"""A real mailbox, and the two ways in."""

import contextlib
import smtplib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest
from flask import Flask

from config import Settings
from tests import servers
from tests.databases import Database
from tests.factories import NOON, Make
from tests.mail.inbox.shapes import Invited
from whatsnext.db import db, write
from whatsnext.inbox import Clerk, Inbox, visit
from whatsnext.mail import imap
from whatsnext.models import Incoming, Registration
from whatsnext.services import invitations


@pytest.fixture(scope="session")
def _dovecot() -> Iterator[servers.Dovecot]:
    with servers.dovecot() as server:
        yield server


@pytest.fixture
def dovecot(_dovecot: servers.Dovecot) -> servers.Dovecot:
    """A mail server with an empty mailbox `next`."""
    _dovecot.empty()
    return _dovecot


@pytest.fixture
def settings(database: Database, dovecot: servers.Dovecot) -> Settings:
    """Those of an installation that reads its mailbox."""
    return database.settings(
        imap_server="127.0.0.1",
        imap_port=dovecot.imap_port,
        imap_use_ssl=False,
        imap_username="next",
        imap_password="secret",
    )


@dataclass
class Reader:
    """Visits the mailbox over one kept connection."""

    box: imap.Mailbox
    clerk: Clerk

    def visit(self) -> int:
        return visit(self.box, self.clerk)


@pytest.fixture
def mailbox(app: Flask, settings: Settings) -> Iterator[Reader]:
    reader = Reader(imap.Mailbox(settings), Clerk(settings))
    yield reader
    reader.box.close()
    reader.clerk.close()


Send = Callable[[bytes, str], None]


@pytest.fixture
def by_imap(dovecot: servers.Dovecot, mailbox: Reader) -> Send:
    """A mail goes into the mailbox, and the mailbox is read."""

    def send(raw: bytes, recipient: str) -> None:
        dovecot.deliver(raw, recipient)
        mailbox.visit()
        db.session.rollback()

    return send


@pytest.fixture
def by_lmtp(app: Flask, database: Database) -> Iterator[Send]:
    """A mail is handed to the application itself."""
    port = servers.free_port()
    inbox = Inbox(database.create_app(lmtp_listen=f"127.0.0.1:{port}"))
    inbox.start()

    def send(raw: bytes, recipient: str) -> None:
        db.session.rollback()
        with smtplib.LMTP("127.0.0.1", port) as line:
            line.sendmail("someone@behoerde.example", [recipient], raw)

    with contextlib.closing(contextlib.ExitStack()) as running:
        running.callback(inbox.stop)
        yield send


@pytest.fixture
def invited(make: Make, sent: Callable[[], list[servers.Delivered]]) -> Callable[[Registration], Invited]:
    """Send someone the invitation; returns what their calendar knows then."""

    def send(registration: Registration, at: datetime = NOON) -> Invited:
        with write():
            invitations.invite_again(registration, at)
        address = registration.person.email
        return Invited.by(next(mail for mail in reversed(sent()) if address in mail.recipients))

    return send


@pytest.fixture
def kept(app: Flask) -> Callable[[], list[tuple[str, str]]]:
    """State and reason of every mail that came, oldest first."""

    def look() -> list[tuple[str, str]]:
        db.session.rollback()
        return [(mail.state.value, mail.reason.value) for mail in db.session.query(Incoming).order_by(Incoming.id)]

    return look
