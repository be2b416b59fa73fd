"""Real servers that the tests start for themselves and stop again: PostgreSQL, mail servers, a mailbox."""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- PostgreSQL ------------------------------------------------------------------------------------------


def _postgresql_programs() -> Path:
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = max(installed, key=lambda path: int(path.parts[4]), default=None) or shutil.which("initdb")
    if not found:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql, or --database=sqlite", pytrace=False)
    return Path(found).resolve().parent


@dataclass
class Cluster:
    """A PostgreSQL server that can be away for a while."""

    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The SQLAlchemy address of the empty database of a throw-away cluster."""
    with postgresql_to_stop() as cluster:
        yield cluster.url


@contextlib.contextmanager
def postgresql_to_stop() -> Iterator[Cluster]:
    """A throw-away cluster, as root handed to the account `postgres` because PostgreSQL refuses root.

    Nothing is synced to the disk, and `whatsnext.throwaway`
    tells our own check at start that this is meant.
    """
    programs = _postgresql_programs()
    home = Path(tempfile.mkdtemp(prefix="whatsnext-postgresql-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(home, account.pw_uid, account.pw_gid)
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": home, **who}
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        home / "data",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(initdb, check=True, **quiet)
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": home,
        "max_connections": 200,
        "fsync": "off",
        "full_page_writes": "off",
        "whatsnext.throwaway": "on",
    }
    given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [programs / "postgres", "-D", home / "data", "-p", str(port), *given]
        running.append(subprocess.Popen(command, **quiet))
        _wait_for_postgresql(running[-1], port)

    def stop() -> None:
        while running:
            server = running.pop()
            server.send_signal(signal.SIGINT)  # "fast": SIGTERM would wait for every client
            server.wait(20)

    try:
        start()
        yield Cluster(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres", start, stop)
    finally:
        stop()
        shutil.rmtree(home, ignore_errors=True)


def _wait_for_postgresql(server: subprocess.Popen[bytes], port: int) -> None:
    """Until a connection works: the port is open earlier."""
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


# --- mail ------------------------------------------------------------------------------------------------


@dataclass
class Delivered:
    """One mail as the server took it: its envelope and the bytes."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, kind: str) -> str:
        """The text of the part of this type, for instance "text/plain"; its lines end with LF."""
        for part in self.message.walk():
            if part.get_content_type() == kind:
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload.decode(part.get_content_charset("utf-8")).replace("\r\n", "\n")
        raise AssertionError(f"no part {kind} in {[part.get_content_type() for part in self.message.walk()]}")


@dataclass
class MailServer:
    """An SMTP server on loopback that keeps what it takes.

    `answers` maps a recipient to the line it is refused with, for instance "550 5.1.1 no such mailbox".
    """

    port: int = field(default_factory=free_port)
    mails: list[Delivered] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    def reset(self) -> None:
        self.mails.clear()
        self.answers.clear()

    def to(self, address: str) -> list[Delivered]:
        """What this address got, oldest first."""
        return [mail for mail in self.mails if address in mail.recipients]

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refused := self.answers.get(address):
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(Delivered(envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return "250 OK"


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    sink = MailServer()
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


# --- Dovecot: the mailbox that answers come to -----------------------------------------------------------

DOVECOT = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_location = maildir:{home}/mail/%n
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
recipient_delimiter = +
mail_max_userip_connections = 50
imap_capability = {capability}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service stats {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%n
}}
"""


@dataclass
class Dovecot:
    """An IMAP and LMTP server on loopback. Every account exists, its password is "secret"; `next+TOKEN` is `next`."""

    home: Path
    imap_port: int
    lmtp_port: int

    def deliver(self, raw: bytes, recipient: str, sender: str = "sender@behoerde.example") -> None:
        """Put a mail into the mailbox as a mail server does."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port) as line:
            line.sendmail(sender, [recipient], raw)

    @contextlib.contextmanager
    def mailbox(self, name: str = "next") -> Iterator[imaplib.IMAP4]:
        """What a person's own mail program sees."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port) as client:
            client.login(name, "secret")
            client.select("INBOX")
            yield client

    def empty(self, name: str = "next") -> None:
        with self.mailbox(name) as client:
            if client.response("EXISTS")[1] != [b"0"]:
                client.store("1:*", "+FLAGS", r"(\Deleted)")
                client.expunge()


@contextlib.contextmanager
def dovecot(capability: str = "+") -> Iterator[Dovecot]:
    """Started as an account that is not root, in a folder of its own. `capability`: what it says it can do."""
    program = Path("/usr/sbin/dovecot")
    if not program.exists():
        pytest.fail("Dovecot is missing: apt-get install dovecot-imapd dovecot-lmtpd", pytrace=False)
    home = Path(tempfile.mkdtemp(prefix="whatsnext-dovecot-"))
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(home, account.pw_uid, account.pw_gid)
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    server = Dovecot(home, free_port(), free_port())
    names = {"user": account.pw_name, "group": grp.getgrgid(account.pw_gid).gr_name, "capability": capability}
    file = home / "dovecot.conf"
    file.write_text(DOVECOT.format(home=home, imap=server.imap_port, lmtp=server.lmtp_port, **names))
    file.chmod(0o644)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home, **who}
    process = subprocess.Popen([program, "-F", "-c", file], **quiet)
    try:
        _wait_for_dovecot(process, server)
        yield server
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for_dovecot(process: subprocess.Popen[bytes], server: Dovecot) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with server.mailbox():
                return
        except (OSError, imaplib.IMAP4.error):
            if process.poll() is not None or time.monotonic() > end:
                log = server.home / "log"
                pytest.fail(f"Dovecot does not start:\n{log.read_text() if log.exists() else ''}", pytrace=False)
            time.sleep(0.05)


# --- the application itself ------------------------------------------------------------------------------


@contextlib.contextmanager
def whatsnext(
    settings: Mapping[str, Any], output: Path, command: str = "serve", ends: tuple[int, ...] = (0,)
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m whatsnext <command>` as a process with these settings; ends it as an operator would, by SIGTERM.

    `settings` go by their environment names. What it prints goes to the file `output`. Waits until it answers if it
    serves, and fails if it ends with another code than those in `ends`.
    """
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    environment |= {name: str(value) for name, value in settings.items()}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "whatsnext", command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        if "PORT" in settings:
            _wait_for_answer(process, int(settings["PORT"]), output)
        yield process
        process.terminate()
        code = process.wait(30)
        assert code in ends, f"{command} ended with {code}:\n{output.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the application does not answer:\n{output.read_text()}", pytrace=False)


# --- what must not leave the machine ---------------------------------------------------------------------


class ConnectionElsewhere(AssertionError):
    """A test, or the code it runs, opened a connection to another machine."""


def guard_connections(allowed: tuple[str, ...]) -> None:
    """From now on this process connects only to these hosts and to sockets in the file system."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in allowed:
            raise ConnectionElsewhere(f"a connection to {arguments[1][0]} was opened")

    sys.addaudithook(look)
