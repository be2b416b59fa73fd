"""The two ways in: each mail is done once, whatever is killed, reset, repeated or away."""

import contextlib
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests import servers
from tests.databases import Database
from tests.factories import NOON, Make
from tests.mail.inbox import shapes
from tests.mail.inbox.conftest import Reader, Send
from tests.mail.inbox.shapes import Invited, Said
from whatsnext.db import db, write
from whatsnext.inbox import Clerk, Inbox
from whatsnext.mail import imap
from whatsnext.models import Incoming, Kind, Mailbox, PartStat, Registration, Status
from whatsnext.services import incoming

Owed = Callable[[], list[tuple[Kind, Any]]]
Kept = Callable[[], list[tuple[str, str]]]


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


@pytest.fixture
def ada(make: Make) -> Registration:
    return make.registration(make.event())


@pytest.fixture
def known(ada: Registration, invited: Callable[[Registration], Invited]) -> Invited:
    return invited(ada)


@pytest.fixture
def declined(known: Invited) -> bytes:
    return shapes.outlook(known, Said(partstat="DECLINED", at=minute(1)))


def flags(dovecot: servers.Dovecot) -> list[bytes]:
    """Of the mails in the mailbox, whether each is read."""
    with dovecot.mailbox() as client:
        _kind, found = client.fetch("1:*", "(FLAGS)")
    return [b"\\Seen" in item for item in found if isinstance(item, bytes)]  # type: ignore[misc]


def until(happened: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
        db.session.rollback()
    return True


# --- once ------------------------------------------------------------------------------------------------


def test_the_same_mail_by_imap_and_lmtp_acts_once(
    known: Invited, declined: bytes, by_imap: Send, by_lmtp: Send, owed: Owed, kept: Kept, ada: Registration
) -> None:
    by_imap(declined, known.organiser)
    by_lmtp(declined, known.organiser)
    by_imap(declined.replace(b"\r\n", b"\n"), known.organiser)
    assert kept() == [("acted", "")]
    assert owed() == [(Kind.CANCELLATION, ada)]


def test_a_mail_is_done_once_though_the_process_ended_before_it_was_marked_as_read(
    known: Invited, declined: bytes, dovecot: servers.Dovecot, mailbox: Reader, owed: Owed, ada: Registration
) -> None:
    dovecot.deliver(declined, known.organiser)
    mailbox.box.seen = _killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        mailbox.visit()
    assert flags(dovecot) == [False]
    del mailbox.box.seen
    assert mailbox.visit() == 0
    assert owed() == [(Kind.CANCELLATION, ada)]


def _killed(_uid: int) -> None:
    raise KeyboardInterrupt


def test_a_mail_is_done_though_the_process_ended_while_it_was_read(
    known: Invited,
    declined: bytes,
    dovecot: servers.Dovecot,
    mailbox: Reader,
    owed: Owed,
    ada: Registration,
    at: Callable[[datetime], None],
) -> None:
    dovecot.deliver(declined, known.organiser)
    real = mailbox.clerk._reader
    mailbox.clerk._reader = Ends()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        mailbox.visit()
    mailbox.clerk._reader = real
    with pytest.raises(incoming.BeingRead):  # another process might still be at it
        mailbox.visit()
    at(minute(2))
    assert mailbox.visit() == 1
    assert owed() == [(Kind.CANCELLATION, ada)]


class Ends:
    """A reader that ends the whole process."""

    def read(self, *_given: Any) -> None:
        raise KeyboardInterrupt

    read_head = read


def test_a_mail_that_ended_the_process_twice_is_put_aside_and_the_next_one_read(
    known: Invited,
    declined: bytes,
    dovecot: servers.Dovecot,
    mailbox: Reader,
    kept: Kept,
    at: Callable[[datetime], None],
) -> None:
    dovecot.deliver(declined, known.organiser)
    dovecot.deliver(shapes.apple(known, Said(at=minute(1))), known.organiser)
    real, mailbox.clerk._reader = mailbox.clerk._reader, Ends()  # type: ignore[assignment]
    for turn in (0, 2):
        at(minute(turn))
        with pytest.raises(KeyboardInterrupt):
            mailbox.visit()
    mailbox.clerk._reader = real
    at(minute(4))
    mailbox.visit()
    assert kept() == [("aside", "unreadable"), ("acted", "")]


def test_when_the_mailbox_numbers_its_mails_anew_nothing_is_done_again(
    known: Invited, declined: bytes, dovecot: servers.Dovecot, mailbox: Reader, owed: Owed, ada: Registration
) -> None:
    dovecot.deliver(declined, known.organiser)
    mailbox.visit()
    first = db.session.scalars(sa.select(Mailbox)).one()
    assert (first.last_uid > 0, first.uid_validity > 0) == (True, True)
    with write():
        db.session.execute(sa.update(Mailbox).values(uid_validity=first.uid_validity + 1))
    assert mailbox.visit() == 1
    assert owed() == [(Kind.CANCELLATION, ada)]
    assert mailbox.visit() == 0


def test_two_workers_at_the_same_mail_do_it_once(
    known: Invited,
    declined: bytes,
    dovecot: servers.Dovecot,
    mailbox: Reader,
    settings: Settings,
    app: Flask,
    owed: Owed,
) -> None:
    dovecot.deliver(declined, known.organiser)
    other = Reader(imap.Mailbox(settings), Clerk(settings))
    together = threading.Barrier(2)
    errors: list[str] = []

    def work(reader: Reader) -> None:
        with app.app_context():
            together.wait()
            try:
                reader.visit()
            except incoming.BeingRead:
                errors.append("being read")

    threads = [threading.Thread(target=work, args=(reader,)) for reader in (mailbox, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    other.box.close()
    other.clerk.close()
    db.session.rollback()
    assert [kind for kind, _registration in owed()] == [Kind.CANCELLATION]
    assert len(errors) <= 1


# --- the mailbox -----------------------------------------------------------------------------------------


def test_mails_that_a_person_has_read_before_us_are_read_all_the_same(
    known: Invited, declined: bytes, dovecot: servers.Dovecot, mailbox: Reader, kept: Kept
) -> None:
    mailbox.visit()
    dovecot.deliver(shapes.apple(known, Said(at=minute(1))), known.organiser)
    mailbox.visit()
    dovecot.deliver(declined.replace(b"120100Z", b"120200Z"), known.organiser)
    with dovecot.mailbox() as client:
        client.store("1:*", "+FLAGS", r"(\Seen)")
    mailbox.visit()
    assert len(kept()) == 2


def test_old_read_mail_is_not_touched_when_we_come_first(dovecot: servers.Dovecot, mailbox: Reader, kept: Kept) -> None:
    dovecot.deliver(b"From: a@b.example\r\nSubject: alt\r\n\r\nx", "next@localhost")
    with dovecot.mailbox() as client:
        client.store("1:*", "+FLAGS", r"(\Seen)")
    assert mailbox.visit() == 0
    assert kept() == []


def test_what_a_human_writes_to_the_mailbox_stays_unread_there(
    dovecot: servers.Dovecot, mailbox: Reader, kept: Kept, owed: Owed, make: Make
) -> None:
    make.series(contact_email="kontakt@behoerde.example")
    dovecot.deliver(b"From: Kim <kim@behoerde.example>\r\nSubject: Frage\r\n\r\nGibt es Netz?", "next@localhost")
    mailbox.visit()
    assert flags(dovecot) == [False]
    assert (kept(), owed()) == ([("left", "human")], [])
    mail = db.session.scalars(sa.select(Incoming)).one()
    assert (mail.sender, mail.subject, mail.comment, mail.raw) == ("", "", "", None)


def test_nothing_taken_from_a_mail_becomes_a_command(
    known: Invited, dovecot: servers.Dovecot, mailbox: Reader, kept: Kept
) -> None:
    """IMAP commands in the Message-ID, the UID and the subject: every mail is still there (safety.md M5)."""
    inject = b"x>\r\n UID STORE 1:* +FLAGS (\\Deleted)\r\n EXPUNGE\r\nX-A: y"
    raw = shapes.nextcloud(known, Said(at=minute(1)))
    dovecot.deliver(raw.replace(b"Message-ID: ", b"Message-ID: <" + inject, 1), known.organiser)
    dovecot.deliver(raw, known.organiser)
    assert mailbox.visit() == 2
    assert flags(dovecot) == [True, True]


@pytest.mark.parametrize("capability", ["+", "IMAP4rev1 LITERAL+ UIDPLUS"], ids=["IDLE", "polling"])
def test_a_mail_is_noticed_while_we_wait(
    known: Invited, declined: bytes, dovecot: servers.Dovecot, settings: Settings, capability: str
) -> None:
    with contextlib.ExitStack() as running:
        server = dovecot if capability == "+" else running.enter_context(servers.dovecot(capability))
        box = imap.Mailbox(settings.model_copy(update={"imap_port": server.imap_port}))
        running.callback(box.close)
        box.open()
        stopping = threading.Event()
        later = threading.Timer(0.3, server.deliver, (declined, known.organiser))
        later.start()
        began = time.monotonic()
        box.wait(stopping, poll=1.0, renew=20.0)
        later.join()
        assert time.monotonic() - began < 10
        box.open()
        assert len(box.new_mails(0, None)) == 1


def test_a_mailbox_that_does_not_answer_is_noted_until_it_does(
    database: Database, app: Flask, settings: Settings, mailbox: Reader
) -> None:
    inbox = Inbox(database.create_app(**_imap(settings, servers.free_port())))
    inbox.start()
    try:
        assert until(lambda: db.session.scalar(sa.select(Mailbox.error)) is not None)
    finally:
        inbox.stop()
    away = db.session.scalars(sa.select(Mailbox)).one()
    assert (away.error, away.failing_since, away.seen_at) == (imap.NO_SERVER, NOON, None)
    with write():
        incoming.unreachable(mailbox.box.name, imap.NO_SERVER, NOON)
    mailbox.visit()
    back = db.session.get_one(Mailbox, mailbox.box.name, populate_existing=True)
    assert (back.error, back.failing_since, back.seen_at) == ("", None, NOON)


def test_a_wrong_password_is_said_in_words(app: Flask, settings: Settings) -> None:
    wrong = settings.model_copy(update={"imap_folder": "Gibt es nicht"})
    box = imap.Mailbox(wrong)
    with pytest.raises(imap.Away, match=imap.NOT_LET_IN.replace(".", r"\.")):
        box.open()
    box.close()


def _imap(settings: Settings, port: int) -> dict[str, Any]:
    names = ("imap_server", "imap_use_ssl", "imap_username", "imap_password", "imap_folder")
    return {name: getattr(settings, name) for name in names} | {"imap_port": port}


def test_a_worker_reads_the_mailbox_by_itself(
    database: Database, app: Flask, settings: Settings, dovecot: servers.Dovecot, known: Invited, ada: Registration
) -> None:
    inbox = Inbox(database.create_app(**_imap(settings, dovecot.imap_port)))
    inbox.start()
    try:
        assert until(lambda: db.session.scalar(sa.select(Mailbox.seen_at)) is not None)
        dovecot.deliver(shapes.outlook(known, Said(at=minute(1))), known.organiser)
        assert until(lambda: db.session.scalar(sa.select(Registration.partstat)) is PartStat.ACCEPTED)
    finally:
        began = time.monotonic()
        inbox.stop()
        assert time.monotonic() - began < 10


# --- LMTP ------------------------------------------------------------------------------------------------


@pytest.fixture
def listening(app: Flask, database: Database) -> Iterator[int]:
    port = servers.free_port()
    inbox = Inbox(database.create_app(lmtp_listen=f"127.0.0.1:{port}"))
    inbox.start()
    yield port
    inbox.stop()


def talk(port: int, *lines: bytes) -> list[bytes]:
    """Say this to the server; returns its answers, LHLO's left out."""
    with socket.create_connection(("127.0.0.1", port), 10) as line, line.makefile("rb") as answers:
        answers.readline()
        line.sendall(b"LHLO here\r\n")
        while answers.readline()[3:4] == b"-":
            pass
        heard = []
        for each in lines:
            line.sendall(each)
            heard.append(answers.readline().strip())
        return heard


def test_only_our_mailbox_is_delivered_to_and_one_address_at_a_time(listening: int) -> None:
    heard = talk(
        listening,
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<other@localhost>\r\n",
        b"RCPT TO:<next@elsewhere.example>\r\n",
        b"RCPT TO:<NEXT+abc@localhost>\r\n",
        b"RCPT TO:<next+def@localhost>\r\n",
    )
    assert [answer[:3] for answer in heard] == [b"250", b"550", b"550", b"250", b"452"]


def test_an_alias_may_take_the_token_out_of_the_envelope(
    listening: int, known: Invited, declined: bytes, kept: Kept, owed: Owed, ada: Registration
) -> None:
    """Without plus-addresses an alias or a catch-all delivers to the bare mailbox: To still has the token."""
    own = known.attendee.encode()
    heard = talk(
        listening,
        b"MAIL FROM:<" + own + b">\r\n",
        b"RCPT TO:<next@localhost>\r\n",
        b"DATA\r\n",
        b"Delivered-To: next@localhost\r\n" + declined + b"\r\n.\r\n",
    )
    assert heard[-1][:3] == b"250"
    assert (kept(), owed()) == ([("acted", "")], [(Kind.CANCELLATION, ada)])


def test_a_line_feed_alone_ends_no_mail(listening: int, known: Invited, declined: bytes, kept: Kept) -> None:
    """A mail smuggled behind a dot between bare line feeds is part of the first one (safety.md M9)."""
    smuggled = b"From: a@b.example\r\n\r\nx\n.\nMAIL FROM:<x@y.example>\nRCPT TO:<next@localhost>\nDATA\n" + declined
    heard = talk(
        listening,
        b"MAIL FROM:<a@b.example>\r\n",
        b"RCPT TO:<" + known.organiser.encode() + b">\r\n",
        b"DATA\r\n",
        smuggled + b"\n.\r\n\r\n.\r\n",
    )
    assert heard[-1][:3] == b"250"
    assert len(kept()) == 1


def test_the_server_is_asked_to_come_again_while_the_database_is_away(
    app: Flask, database: Database, known: Invited, declined: bytes
) -> None:
    away = Inbox(database.create_app(database_url="sqlite:////nowhere/at/all.db", lmtp_listen="127.0.0.1:1"))
    assert away._deliver(declined, "a@b.example", known.organiser) is False


def test_an_address_in_use_is_a_wrong_setting(app: Flask, database: Database, listening: int) -> None:
    with pytest.raises(Exception, match=f"LMTP_LISTEN: 127.0.0.1:{listening} cannot be used"):
        Inbox(database.create_app(lmtp_listen=f"127.0.0.1:{listening}")).start()


def test_a_socket_in_the_file_system_will_do(
    app: Flask, database: Database, known: Invited, declined: bytes, tmp_path: Any, ada: Registration
) -> None:
    path = tmp_path / "lmtp"
    inbox = Inbox(database.create_app(lmtp_listen=f"unix:{path}"))
    inbox.start()
    try:
        with smtplib.LMTP(str(path)) as line:
            line.sendmail("a@behoerde.example", [known.organiser], declined)
    finally:
        inbox.stop()
    db.session.refresh(ada)
    assert ada.status is Status.CANCELLED
    assert not path.exists()
