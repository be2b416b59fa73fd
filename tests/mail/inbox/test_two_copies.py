"""Two copies of the application that know each other as attendees and as contacts never talk to each other."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from tests.databases import Database, new_folder
from tests.factories import NOON, Make
from tests.servers import MailServer
from whatsnext import jobs
from whatsnext.db import db, write
from whatsnext.inbox import Clerk
from whatsnext.mail.wire import Courier
from whatsnext.models import Status
from whatsnext.services import invitations, registrations

OURS, THEIRS = "next@localhost", "other@elsewhere.example"


@pytest.fixture
def elsewhere(smtp: MailServer) -> Iterator[Flask]:
    """Another installation, with another mailbox."""
    folder = new_folder()
    database = Database("sqlite", f"sqlite:///{folder / 'other.db'}", folder, smtp.port)
    app = database.create_app(mail_default_sender=THEIRS)
    database.migrate()
    yield app
    database.disconnect()
    shutil.rmtree(folder)


def test_two_copies_answer_each_other_with_one_mail_at_most(
    app: Flask, elsewhere: Flask, smtp: MailServer, make: Make, at: Callable[[datetime], None]
) -> None:
    copies = {"localhost": (app, THEIRS), "elsewhere.example": (elsewhere, OURS)}
    for copy, other in copies.values():
        with copy.app_context():
            talk = make.event(series=make.series(contact_email=other), places_on_site=1)
            own = make.registration(talk, person=make.person(email=other))
            make.registration(talk, Status.WAITING)
            with write():
                invitations.invite_again(own, NOON)
                registrations.cancel(own.id, NOON)
                registrations.undo(own.id, NOON)
    clerks = {host: Clerk(copy.config["SETTINGS"]) for host, (copy, _other) in copies.items()}
    first = _round(copies, clerks, smtp)
    assert first > 0
    for number in range(1, 60):
        at(NOON + timedelta(minutes=number))
        assert _round(copies, clerks, smtp) == 0, f"after {number} minutes"

    human = f"From: kim@behoerde.example\r\nTo: {OURS}\r\nSubject: Frage\r\n\r\nHallo".encode()
    with app.app_context():
        clerks["localhost"].take(human, sender="kim@behoerde.example", recipients=(OURS,))
    assert [_round(copies, clerks, smtp) for _turn in range(3)] == [1, 0, 0]
    for clerk in clerks.values():
        clerk.close()


def _round(copies: dict[str, tuple[Flask, str]], clerks: dict[str, Clerk], smtp: MailServer) -> int:
    """Deliver what is owed, hand each mail to the copy it is for. Returns how many mails went from one to the other."""
    del smtp.mails[:]
    for copy, _other in copies.values():
        with copy.app_context():
            db.session.rollback()
            courier: Any = Courier()
            jobs.deliver_due(courier)
            courier.close()
    number = 0
    for mail in smtp.mails:
        host = mail.recipients[0].rpartition("@")[2]
        if host in copies:
            number += 1
            with copies[host][0].app_context():
                clerks[host].take(mail.raw, sender=mail.sender, recipients=tuple(mail.recipients))
    return number
