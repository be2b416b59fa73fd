"""Without a mail server mails lie in instance/mail/ and can be read back."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.factories import NOON, Make
from tests.mail.worlds import owed, send_all, talk
from whatsnext.db import db
from whatsnext.mail import maildir, wire
from whatsnext.models import Kind


@pytest.fixture
def kept_here(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """The application without a mail server."""
    app = make_app(mail_server="")
    with app.app_context():
        yield app
        db.session.remove()


def test_mails_lie_in_the_instance_folder_and_read_as_they_were_sent(kept_here: Flask, make: Make) -> None:
    message = owed(make, Kind.INVITATION)
    assert send_all() == 1
    (kept,) = maildir.newest()
    assert (kept.to, kept.subject, kept.at, kept.method) == (message.recipient, message.subject, NOON, "REQUEST")
    assert kept.sender.startswith('"What\'s NEXt, die Reihe" <next+')
    assert kept.text.startswith("Sie sind dabei.")
    assert kept.html.startswith("<!doctype html>")
    assert kept.calendar.startswith(b"BEGIN:VCALENDAR\r\n")
    assert maildir.get(kept.key) == kept


def test_mails_without_a_calendar_say_so(kept_here: Flask, make: Make) -> None:
    owed(make, Kind.SIGN_IN)
    send_all()
    assert [(kept.method, kept.calendar) for kept in maildir.newest()] == [("", b"")]


def test_the_newest_come_first_and_no_more_than_asked_for(kept_here: Flask, make: Make) -> None:
    event = talk(make)
    for _number in range(3):
        owed(make, Kind.INVITATION, event=event)
    send_all()
    assert len(maildir.newest()) == 3
    assert maildir.newest(2) == maildir.newest()[:2]


def test_an_empty_mailbox_is_no_error(kept_here: Flask) -> None:
    assert maildir.newest() == []
    assert maildir.get("1.x") is None


@pytest.mark.parametrize("key", ["../../whatsnext.db", "/etc/passwd", "cur/x", ""])
def test_a_key_reaches_nothing_outside_the_mailbox(kept_here: Flask, make: Make, key: str) -> None:
    owed(make, Kind.SIGN_IN)
    send_all()
    assert maildir.get(key) is None


def test_a_folder_that_cannot_be_written_puts_the_mail_off(kept_here: Flask, make: Make) -> None:
    message = owed(make, Kind.SIGN_IN)
    maildir.folder().write_text("a file is in the way")
    try:
        assert send_all() == 0
        assert message.error == wire.NO_FOLDER
    finally:
        maildir.folder().unlink()
