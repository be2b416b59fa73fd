"""What an operator is told about the settings: a line for each mistake, seen with a real mail server and database."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.databases import Database
from tests.factories import NOON, Make
from tests.mail.worlds import owed
from tests.servers import MailServer, free_port
from whatsnext import checks
from whatsnext.db import db, write
from whatsnext.models import Kind, MessageState
from whatsnext.services import delivery, restored

MakeApp = Callable[..., Flask]


def said(app: Flask, what: str) -> list[tuple[bool, str]]:
    db.session.rollback()
    return [(finding.good, finding.words) for finding in checks.look(app, NOON) if finding.what == what]


def to_do(app: Flask) -> list[str]:
    db.session.rollback()
    return [finding.what for finding in checks.look(app, NOON) if not finding.good]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | None]:
    """What the resolver answers to a name: TXT records, or None for nobody answers."""
    known: dict[str, list[str] | None] = {}

    def records(name: str, begins: str, *, names_only: bool = False) -> list[str] | None:
        found = known.get(name, [])
        return found if found is None or names_only else [text for text in found if text.startswith(begins)]

    monkeypatch.setattr(checks, "_records", records)
    return known


def test_an_installation_on_one_machine_is_told_what_keeps_others_away(
    app: Flask, database: Database, smtp: MailServer
) -> None:
    unsafe = ["PostgreSQL fsync", "PostgreSQL full_page_writes"] if database.kind == "postgresql" else []
    assert [what for what in to_do(app) if what != "time zones"] == ["BASE_URL", *unsafe, "backup"]


@pytest.mark.parametrize(
    ("settings", "what", "words"),
    [
        ({"base_url": "http://localhost.localdomain"}, "BASE_URL", "is not https"),
        ({"base_url": "https://no-such-name.invalid"}, "BASE_URL", "no-such-name.invalid is not resolvable here"),
        ({"base_url": "https://localhost"}, "TRUSTED_PROXIES", "is 0 behind https"),
        ({"secret_key": "short"}, "SECRET_KEY", "is shorter than 32 characters"),
        ({"metrics_token": "short"}, "METRICS_TOKEN", "is shorter than 20 characters"),
        ({"mail_server": ""}, "MAIL_SERVER", "none: mails stay in"),
        ({"lmtp_listen": ""}, "answers", "neither IMAP_SERVER nor LMTP_LISTEN"),
    ],
)
def test_each_mistake_in_the_settings_is_named(
    make_app: MakeApp, settings: dict[str, Any], what: str, words: str
) -> None:
    assert [line for good, line in said(make_app(**settings), what) if not good and words in line]


def test_a_mail_server_that_is_right_takes_plus_addresses(app: Flask, smtp: MailServer) -> None:
    assert said(app, "MAIL_SERVER") == [(True, f"127.0.0.1:{smtp.port} answers")]
    assert said(app, "MAIL_DEFAULT_SENDER") == [(True, "next+…@localhost is taken by the mail server")]
    assert smtp.mails == []


def test_a_mail_server_that_refuses_plus_addresses_is_told(app: Flask, smtp: MailServer) -> None:
    smtp.answers[f"next+{'a' * 26}@localhost"] = "550 5.1.1 no such mailbox"
    assert said(app, "MAIL_DEFAULT_SENDER") == [(False, "next+…@localhost is refused (550): allow plus-addresses")]


@pytest.fixture
def closing() -> Iterator[int]:
    """The port of a server that hangs up at once."""

    class Bye(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.shutdown(socket.SHUT_RDWR)

    with socketserver.TCPServer(("127.0.0.1", 0), Bye) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_mail_server_that_cannot_be_used_is_told_with_the_reason(
    make_app: MakeApp, smtp: MailServer, closing: int
) -> None:
    assert said(make_app(mail_port=free_port()), "MAIL_SERVER") == [
        (False, "cannot be reached: ConnectionRefusedError"),
    ]
    assert said(make_app(mail_use_tls=True), "MAIL_SERVER") == [(False, "offers no STARTTLS or no sign-in")]
    assert said(make_app(mail_port=closing), "MAIL_SERVER") == [(False, "cannot be reached: SMTPServerDisconnected")]


def test_records_of_the_sender_are_looked_at_where_names_can_be_resolved(
    make_app: MakeApp, names: dict[str, list[str] | None]
) -> None:
    app = make_app(mail_default_sender="next@behoerde.example")

    def records() -> dict[str, bool]:
        db.session.rollback()
        return {f.what: f.good for f in checks.look(app, NOON) if f.what in ("SPF", "DMARC", "DKIM")}

    assert records() == {"SPF": False, "DMARC": False, "DKIM": False}
    names["behoerde.example"] = ["v=spf1 mx -all"]
    names["_dmarc.behoerde.example"] = ["v=DMARC1; p=reject"]
    names["_domainkey.behoerde.example"] = [""]
    assert records() == {"SPF": True, "DMARC": True, "DKIM": True}
    names["behoerde.example"] = ["v=spf1 mx -all", "v=spf1 a -all"]
    assert said(app, "SPF") == [(False, "2 records at behoerde.example: only one counts")]
    names.update(dict.fromkeys(names))
    assert said(app, "SPF") == [(True, checks.NOT_HERE)]


def test_what_waits_is_told(app: Flask, make: Make) -> None:
    assert said(app, "outbox") == [(True, "nothing waits for a worker")]
    owed(make, Kind.INVITATION, not_before=NOON - timedelta(hours=2, minutes=5))
    owed(make, Kind.WAITING, state=MessageState.HELD)
    owed(make, Kind.WAITING, state=MessageState.HELD, error=restored.HELD)
    assert said(app, "outbox") == [
        (False, "the oldest due mail waits 2 h 5 min"),
        (False, "1 mails to new addresses are held: release them on the delivery page"),
        (False, "1 mails are held since a restore or a new BASE_URL: run release"),
    ]


@pytest.mark.parametrize(("hours", "good"), [(1, True), (48, False)])
def test_the_age_of_the_last_backup_is_told(app: Flask, hours: int, good: bool) -> None:
    with write():
        delivery.note_backup(NOON - timedelta(hours=hours))
    assert said(app, "backup") == [(good, f"the last one is {hours} h 0 min old")]


def test_a_database_that_is_away_is_one_line(make_app: MakeApp) -> None:
    app = make_app(database_url="postgresql+psycopg://x@127.0.0.1:1/x")
    assert said(app, "database") == [(False, "does not answer or cannot be opened")]


@pytest.mark.parametrize(
    ("old", "new"), [("2025b", "2026.6"), ("2026.5", "2026f"), ("2026a", "2026b"), ("2025z", "2026.1")]
)
def test_releases_of_time_zones_are_put_in_order(old: str, new: str) -> None:
    assert checks._release(old) < checks._release(new)
    assert checks._release("2026f") == checks._release("2026.6")
