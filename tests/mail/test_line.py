"""The line to the mail server: what was said in the clear, whose certificate was believed (safety.md O6, O9)."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from flask import Flask

from tests.factories import Make
from tests.mail.worlds import owed, send_all
from tests.servers import MailServer
from whatsnext import jobs
from whatsnext.db import db, write
from whatsnext.mail import mime, wire
from whatsnext.models import Kind, Message, MessageState


@dataclass(frozen=True)
class Certificate:
    file: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, name: str) -> Certificate:
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    files = ["-addext", f"subjectAltName={name}", "-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture(scope="module")
def of_another(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "DNS:other.example")


@contextlib.contextmanager
def server(**options: Any) -> Iterator[MailServer]:
    sink = MailServer()
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, **options)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@contextlib.contextmanager
def posting(make_app: Callable[..., Flask], port: int, **settings: Any) -> Iterator[Flask]:
    app = make_app(mail_port=port, **settings)
    with app.app_context():
        yield app
        db.session.remove()


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


def outcome(message: Message) -> tuple[MessageState, str]:
    db.session.rollback()
    db.session.refresh(message)
    seen = message.state, message.error
    db.session.rollback()  # a read left open would keep a worker from committing
    return seen


def test_a_line_carries_so_many_mails_and_is_opened_anew(
    app: Flask, make: Make, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers end a line that carries too many."""
    monkeypatch.setattr(wire, "MAILS_PER_LINE", 2)
    opened: list[mime.Line] = []
    connect = mime.PostOffice.connect

    def note(office: mime.PostOffice) -> mime.Line:
        opened.append(connect(office))
        return opened[-1]

    monkeypatch.setattr(mime.PostOffice, "connect", note)
    for _number in range(5):
        owed(make, Kind.SIGN_IN)
    assert send_all() == 5
    assert [line.num_emails for line in opened] == [2, 2, 1]
    assert len(smtp.mails) == 5


def test_a_trusted_certificate_is_taken(
    make_app: Callable[..., Flask], make: Make, ours: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    with server(tls_context=ours.context, require_starttls=True) as sink:
        with posting(make_app, sink.port, mail_use_tls=True):
            message = owed(make, Kind.SIGN_IN)
            assert send_all() == 1
            assert outcome(message) == (MessageState.SENT, "")
        assert len(sink.mails) == 1


def test_a_certificate_nobody_vouches_for_stops_every_mail(
    make_app: Callable[..., Flask], make: Make, ours: Certificate
) -> None:
    with server(tls_context=ours.context) as sink:
        with posting(make_app, sink.port, mail_use_tls=True):
            message = owed(make, Kind.SIGN_IN)
            assert send_all() == 0
            assert outcome(message) == (MessageState.DEFERRED, wire.NO_TRUST)
        assert sink.mails == []


def test_a_certificate_of_another_name_stops_every_mail(
    make_app: Callable[..., Flask], make: Make, of_another: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(of_another.file))
    with server(tls_context=of_another.context) as sink:
        with posting(make_app, sink.port, mail_use_tls=True):
            message = owed(make, Kind.SIGN_IN)
            assert send_all() == 0
            assert outcome(message) == (MessageState.DEFERRED, wire.NO_TRUST)
        assert sink.mails == []


@pytest.mark.parametrize("by", ["starttls", "tls from the first byte"])
def test_a_server_without_tls_gets_no_mail_and_no_password(make_app: Callable[..., Flask], make: Make, by: str) -> None:
    heard: list[str] = []
    tls = {"mail_use_tls": True} if by == "starttls" else {"mail_use_ssl": True}
    with (
        talking({"EHLO": "250 hello", "AUTH": "235 in"}, heard) as port,
        posting(make_app, port, mail_username="next", mail_password="geheim", **tls),
    ):
        message = owed(make, Kind.SIGN_IN)
        assert send_all() == 0
        state, error = outcome(message)
    assert state is MessageState.DEFERRED
    assert error in (wire.NO_TLS, wire.NO_SERVER)
    assert [line for line in heard if line.startswith(("AUTH", "MAIL"))] == []


def test_starttls_offered_and_then_refused_sends_nothing(make_app: Callable[..., Flask], make: Make) -> None:
    heard: list[str] = []
    answers = {"EHLO": "250-hello\r\n250 STARTTLS", "STARTTLS": "454 not now", "MAIL": "250 ok"}
    with talking(answers, heard) as port, posting(make_app, port, mail_use_tls=True):
        message = owed(make, Kind.SIGN_IN)
        assert send_all() == 0
        assert outcome(message) == (MessageState.DEFERRED, wire.NO_SERVER)
    assert [line.split()[0] for line in heard if not line.startswith("EHLO")] == ["STARTTLS"]


def test_a_wrong_password_is_said_and_not_shown(
    make_app: Callable[..., Flask],
    make: Make,
    ours: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == b"richtig", handled=False)

    options = {"tls_context": ours.context, "require_starttls": True, "authenticator": check, "auth_required": True}
    for password, sent in (("falsch-geheim", 0), ("richtig", 1)):
        with (
            server(**options) as sink,
            posting(make_app, sink.port, mail_use_tls=True, mail_username="next", mail_password=password),
        ):
            message = owed(make, Kind.SIGN_IN)
            assert send_all() == sent
            expected = (MessageState.SENT, "") if sent else (MessageState.DEFERRED, wire.NOT_LET_IN)
            assert outcome(message) == expected
    assert "falsch-geheim" not in caplog.text


def test_a_sender_that_is_refused_is_for_the_operator_to_mend(make_app: Callable[..., Flask], make: Make) -> None:
    answers = {"EHLO": "250 hello", "MAIL": "550 not your domain", "RSET": "250 ok"}
    with talking(answers, []) as port, posting(make_app, port):
        message = owed(make, Kind.SIGN_IN)
        assert send_all() == 0
        assert outcome(message) == (MessageState.DEFERRED, wire.NOT_LET_IN)


def test_a_server_that_hangs_up_after_the_data_gets_the_mail_again(make_app: Callable[..., Flask], make: Make) -> None:
    answers = {"EHLO": "250 hello", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", ".": ""}
    with talking(answers, []) as port, posting(make_app, port):
        message = owed(make, Kind.SIGN_IN)
        assert send_all() == 0
        assert outcome(message) == (MessageState.DEFERRED, wire.CUT_OFF)


def test_a_data_refusal_is_for_good(make_app: Callable[..., Flask], make: Make) -> None:
    answers = {
        "EHLO": "250 hello",
        "MAIL": "250 ok",
        "RCPT": "250 ok",
        "DATA": "354 go",
        ".": "554 looks like spam",
        "RSET": "250",
    }
    with talking(answers, []) as port, posting(make_app, port):
        message = owed(make, Kind.SIGN_IN)
        assert send_all() == 0
        assert outcome(message) == (MessageState.FAILED, wire.REFUSED)


def test_a_server_that_says_nothing_costs_the_time_out_once(
    make_app: Callable[..., Flask], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mime, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, posting(make_app, silent.getsockname()[1]):
        messages = [owed(make, Kind.SIGN_IN) for _number in range(4)]
        assert send_all() == 0
        tried, *others = [outcome(message) for message in messages]
        assert (tried, others) == ((MessageState.DEFERRED, wire.NO_SERVER), [(MessageState.OWED, "")] * 3)


def test_while_the_server_is_away_one_mail_is_a_probe_and_when_it_is_back_all_go(
    make_app: Callable[..., Flask], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(wire, "monotonic", lambda: now[0])
    sink = MailServer()
    with posting(make_app, sink.port), contextlib.closing(wire.Courier()) as courier:
        messages = [owed(make, Kind.SIGN_IN) for _number in range(30)]
        for tries in (1, 2):
            assert jobs.deliver_due(courier) == 0
            assert jobs.deliver_due(courier) == 0  # it rests
            states = sorted(outcome(message)[0] for message in messages)
            assert states == [MessageState.DEFERRED] * tries + [MessageState.OWED] * (30 - tries)
            now[0] += wire.LONGEST_REST
        controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
        controller.start()
        try:
            assert jobs.deliver_due(courier) == 28
        finally:
            controller.stop()


def test_a_domain_that_lets_us_wait_delays_its_own_mails_only(
    make_app: Callable[..., Flask], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten mails to a domain whose recipients are answered never: one time-out, then the others go (O9)."""
    monkeypatch.setattr(mime, "TIMEOUT", 0.5)

    class Slow(MailServer):
        async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
            if address.endswith("@slow.example"):
                await asyncio.sleep(5)
            envelope.rcpt_tos.append(address)
            return "250 OK"

    sink = Slow()
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        with posting(make_app, sink.port):
            slow = [one(make, f"p{number}@slow.example") for number in range(10)]
            quick = [one(make, f"q{number}@quick.example") for number in range(5)]
            assert send_all() == 5
            found = [outcome(message) for message in slow]
            assert found == [(MessageState.DEFERRED, reason) for reason in (wire.CUT_OFF, *[wire.SLOW] * 9)]
            assert [outcome(message)[0] for message in quick] == [MessageState.SENT] * 5
    finally:
        controller.stop()


def one(make: Make, address: str) -> Message:
    facts = {"link_token": "x", "code": "y"}
    return make.message(Kind.SIGN_IN, make.person(email=address), facts=facts)


def is_begun(message: Message) -> bool:
    db.session.rollback()
    begun: bool | None = db.session.scalar(sa.select(Message.begun).where(Message.id == message.id))
    db.session.rollback()
    return bool(begun)


def test_a_tarpit_does_not_keep_a_worker_from_stopping(
    make_app: Callable[..., Flask], make: Make, running: Callable[[Flask], jobs.Worker]
) -> None:
    with talking({"EHLO": "250 hello", "MAIL": None}, []) as port, posting(make_app, port) as app:
        message = owed(make, Kind.SIGN_IN)
        worker = running(app)
        deadline = time.monotonic() + 10
        while not is_begun(message) and time.monotonic() < deadline:  # one only claimed would be given back
            time.sleep(0.02)
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 15
        assert outcome(message) == (MessageState.DEFERRED, wire.CUT_OFF)


def test_we_call_ourselves_by_the_name_of_our_pages(make_app: Callable[..., Flask], make: Make) -> None:
    heard: list[str] = []
    with talking({"EHLO": "250 hello", "MAIL": "451 later", "RSET": "250"}, heard) as port:
        for base in ("https://next.behoerde.example", "http://127.0.0.1:8000"):
            with posting(make_app, port, base_url=base):
                owed(make, Kind.SIGN_IN)
                send_all()
    assert [line for line in heard if line.startswith("EHLO")] == ["EHLO next.behoerde.example", "EHLO [127.0.0.1]"]


def test_no_transaction_is_open_while_the_network_talks(
    make_app: Callable[..., Flask], make: Make, running: Callable[[Flask], jobs.Worker]
) -> None:
    """Another one can write at any moment of a dialogue that stands still."""
    go_on = threading.Event()
    answers = {"EHLO": "250 hello", "MAIL": go_on, "RCPT": "250 ok", "DATA": "354 go", ".": "250 ok"}
    heard: list[str] = []
    with talking(answers, heard) as port, posting(make_app, port) as app:
        message = owed(make, Kind.SIGN_IN)
        worker = running(app)
        deadline = time.monotonic() + 10
        while not any(line.startswith("MAIL") for line in heard) and time.monotonic() < deadline:
            time.sleep(0.02)
        began = time.monotonic()
        with write():
            message.subject = "geschrieben"
        assert time.monotonic() - began < 9
        go_on.set()
        while outcome(message)[0] is not MessageState.SENT and time.monotonic() < deadline:
            time.sleep(0.02)
        worker.stop()
        assert outcome(message) == (MessageState.SENT, "")
        assert message.subject == "geschrieben"


@dataclass
class _Dialogue:
    """A server that answers by the first word of a line: None never answers, "" hangs up, an Event is waited for."""

    answers: dict[str, Any]
    heard: list[str]
    ending: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while not self.ending.is_set():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection, connection.makefile("rwb") as file:
                file.write(b"220 hello\r\n")
                file.flush()
                self._talk(file)

    def _talk(self, file: Any) -> None:
        data = False
        while raw := file.readline(4096):
            word, _blank, rest = raw.decode("latin-1").rstrip("\r\n").partition(" ")
            if data and word != ".":
                continue
            word = word.upper()
            self.heard.append(f"{word} {rest}".rstrip())
            answer = self.answers.get(word, "221 bye" if word == "QUIT" else "502 what")
            if isinstance(answer, threading.Event):
                answer.wait(10)
                answer = "250 ok"
            if answer is None:
                self.ending.wait(20)
            if not answer:
                return
            data = word == "DATA"
            file.write(f"{answer}\r\n".encode())
            file.flush()


@contextlib.contextmanager
def talking(answers: dict[str, Any], heard: list[str]) -> Iterator[int]:
    dialogue = _Dialogue(answers, heard)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=dialogue.serve, args=(listener,), daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield int(port)
    finally:
        dialogue.ending.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
        listener.close()
        thread.join(5)


def test_no_mail_asks_the_resolver_for_our_name(
    make_app: Callable[..., Flask], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not answer would hold up each mail for seconds. The server of this test asks too, in its thread."""
    asked: list[int] = []
    name_of_machine, ours = socket.getfqdn, threading.get_ident()
    with server() as sink, posting(make_app, sink.port):

        def look_up(name: str = "") -> str:
            asked.append(threading.get_ident())
            return name_of_machine(name)

        monkeypatch.setattr(socket, "getfqdn", look_up)
        owed(make, Kind.INVITATION)
        assert send_all() == 1
    assert ours not in asked
