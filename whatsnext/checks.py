"""What is misconfigured: one line each for the operator, good or to do. Opens connections to configured hosts only."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import re
import shutil
import smtplib
import socket
import sqlite3
import ssl
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dns.exception
import dns.resolver
import sqlalchemy as sa
from flask import Flask, current_app

from config import DEMO_MARK, LOOPBACK_NAMES, Settings
from whatsnext.db import MILLISECONDS, db, is_current, journal_mode
from whatsnext.mail.mime import Line, PostOffice
from whatsnext.services import delivery, incoming, restored

RESOLVER_SECONDS = 3.0
LEAST_SPACE = 500_000_000
LONGEST_WAIT = timedelta(minutes=10)
OLDEST_BACKUP = timedelta(hours=36)
OLDEST_SERVER = 130_000
NOT_HERE = "not resolvable here"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `good`: nothing to do."""

    what: str
    good: bool
    words: str

    def __str__(self) -> str:
        return f"{'OK   ' if self.good else 'to do'}  {self.what}: {self.words}"


def look(app: Flask, now: datetime) -> Iterator[Finding]:
    """Every finding, in the order of an installation: settings, mail, time, database, what runs."""
    with app.app_context():
        settings: Settings = current_app.config["SETTINGS"]
        for check in (*SETTINGS, *MAIL):
            yield from check(settings)
        yield from _database(settings, now)


# --- settings --------------------------------------------------------------------------------------------


def _base_url(settings: Settings) -> Iterator[Finding]:
    name = urlsplit(settings.address).hostname or ""
    if name in LOOPBACK_NAMES:
        yield Finding("BASE_URL", False, f"{settings.address} is reachable on this machine only")
        return
    if not settings.secure:
        yield Finding("BASE_URL", False, "is not https: cookies and links travel in the clear, no HSTS is sent")
    resolved = _resolves(name)
    words = settings.address if resolved else f"the name {name} is {NOT_HERE}"
    yield Finding("BASE_URL", resolved, words)


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return False


def _secret(settings: Settings) -> Iterator[Finding]:
    if not settings.secret_key.get_secret_value():
        words = "made by itself in INSTANCE; keep a copy apart from the backups, give it to every machine"
        yield Finding("SECRET_KEY", True, words)
    else:
        long = len(settings.secret_key.get_secret_value()) >= 32
        yield Finding("SECRET_KEY", long, "given" if long else "is shorter than 32 characters")


def _demo(settings: Settings) -> Iterator[Finding]:
    if settings.demo or (settings.instance / DEMO_MARK).exists():
        yield Finding("DEMO", False, "the sample series is in place: every mail is shown on a page, none leaves")


def _metrics(settings: Settings) -> Iterator[Finding]:
    token = settings.metrics_token.get_secret_value()
    words = "/metrics is closed" if not token else "/metrics is open to who knows the token"
    short = bool(token) and len(token) < 20
    yield Finding("METRICS_TOKEN", not short, "is shorter than 20 characters" if short else words)


def _space(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.instance).free
    words = f"{free / 1e9:.1f} GB free in INSTANCE"
    yield Finding("disk", free >= LEAST_SPACE, words)


def _zones(_settings: Settings) -> Iterator[Finding]:
    """zoneinfo takes the system's files first."""
    package = importlib.metadata.version("tzdata")
    system = next((folder for folder in zoneinfo.TZPATH if (Path(folder) / "Europe/Berlin").is_file()), None)
    if system is None:
        yield Finding("time zones", True, f"tzdata {package}")
        return
    version = _system_zones(Path(system))
    words = f"of the system ({version or 'version unknown'}); the package tzdata has {package}"
    old = bool(version) and _release(version) < _release(package)
    advice = ": renew those of the system, or set PYTHONTZPATH= empty" if old else ""
    yield Finding("time zones", not old, words + advice)


def _release(version: str) -> tuple[int, int]:
    """ "2026f" and "2026.6" are the same one."""
    year, last = int(version[:4]), version[4:].lstrip(".")
    return year, int(last) if last.isdecimal() else ord(last[:1] or "`") - ord("`")


def _system_zones(folder: Path) -> str:
    for name, pattern in (("tzdata.zi", r"# version (\S+)"), ("+VERSION", r"(\S+)")):
        file = folder / name
        if file.is_file() and (found := re.match(pattern, file.read_text("ascii", "replace")[:200])):
            return found[1]
    return ""


# --- mail ------------------------------------------------------------------------------------------------


def _mail_server(settings: Settings) -> Iterator[Finding]:
    if not settings.mail_server:
        yield Finding("MAIL_SERVER", False, f"none: mails stay in {settings.instance / 'mail'}")
        return
    encrypted = settings.mail_use_tls or settings.mail_use_ssl or settings.mail_server in LOOPBACK_NAMES
    if not encrypted:
        yield Finding("MAIL_USE_TLS", False, "mails leave this machine in the clear")
    words = _talk(PostOffice().connect())
    where = f"{settings.mail_server}:{settings.mail_port}"
    yield Finding("MAIL_SERVER", not words, words or f"{where} answers{_how(settings)}")


def _how(settings: Settings) -> str:
    how = " over TLS, its certificate is right" if settings.mail_use_tls or settings.mail_use_ssl else ""
    return how + (", lets our account in" if settings.mail_username else "")


def _talk(line: Line) -> str:
    """What is wrong with the server, "" if nothing is. Connects, encrypts, signs in, says EHLO; sends nothing."""
    try:
        with line:
            if line.host is None or line.host.ehlo()[0] >= 400:
                return "answers EHLO with an error"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not right: {error.verify_message}"
    except smtplib.SMTPNotSupportedError:
        return "offers no STARTTLS or no sign-in"
    except smtplib.SMTPAuthenticationError:
        return "does not let our account in: MAIL_USERNAME, MAIL_PASSWORD"
    except (smtplib.SMTPException, OSError) as error:
        return f"cannot be reached: {type(error).__name__}"
    return ""


def _sender(settings: Settings) -> Iterator[Finding]:
    """Whether plus-addresses arrive shows only in the mailbox; whether the server takes them can be asked."""
    if not settings.mail_server:
        return
    local, _at, domain = settings.sender.partition("@")
    plus = f"{local}+{'a' * 26}@{domain}"
    try:
        with PostOffice().connect() as line:
            answer = _asked(line, plus)
    except (smtplib.SMTPException, OSError):
        return  # said above
    if answer >= 500:
        yield Finding("MAIL_DEFAULT_SENDER", False, f"{local}+…@{domain} is refused ({answer}): allow plus-addresses")
    else:
        yield Finding("MAIL_DEFAULT_SENDER", True, f"{local}+…@{domain} is taken by the mail server")


def _asked(line: Line, address: str) -> int:
    """How the server answers to a mail from and to this address; none is sent."""
    if line.host is None:
        return 0
    line.host.ehlo_or_helo_if_needed()
    code, _words = line.host.mail(address)
    if code < 400:
        code, _words = line.host.rcpt(address)
    line.host.rset()
    return code


def _domain(settings: Settings) -> Iterator[Finding]:
    """SPF, DKIM and DMARC of the sender's domain, as far as this machine can ask."""
    domain = settings.sender.rpartition("@")[2]
    if not settings.mail_server or domain in LOOPBACK_NAMES:
        return
    spf = _records(domain, "v=spf1")
    yield _about("SPF", spf, domain, f"no record at {domain}: invitations land in spam")
    dmarc = _records(f"_dmarc.{domain}", "v=DMARC1")
    yield _about("DMARC", dmarc, domain, f"no record at _dmarc.{domain}")
    keys = _records(f"_domainkey.{domain}", "", names_only=True)
    words = "keys are published" if keys else "no keys found; ask whoever runs the mail server"
    yield Finding("DKIM", keys != [], f"{NOT_HERE}" if keys is None else words)


def _about(what: str, records: list[str] | None, domain: str, lacking: str) -> Finding:
    if records is None:
        return Finding(what, True, NOT_HERE)
    if len(records) > 1:
        return Finding(what, False, f"{len(records)} records at {domain}: only one counts")
    return Finding(what, bool(records), records[0] if records else lacking)


def _records(name: str, begins: str, *, names_only: bool = False) -> list[str] | None:
    """TXT records of this name that begin so; None where nobody answers. `names_only`: whether the name is there."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=RESOLVER_SECONDS, search=False)
    except dns.resolver.NoAnswer:
        return [name] if names_only else []
    except dns.resolver.NXDOMAIN:
        return []
    except (dns.exception.DNSException, OSError):
        return None
    found = [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [text for text in found if text.lower().startswith(begins.lower())]


def _proxies(settings: Settings) -> Iterator[Finding]:
    outside = settings.host not in LOOPBACK_NAMES
    if settings.secure and settings.trusted_proxies == 0:
        yield Finding("TRUSTED_PROXIES", False, "is 0 behind https: every visitor counts as the same address")
    if outside and _is_everywhere(settings.host) and settings.trusted_proxies:
        yield Finding("HOST", True, "listens on every address: let only the proxy reach the port")


def _is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _answers(settings: Settings) -> Iterator[Finding]:
    if not settings.reads_answers:
        yield Finding("answers", False, "neither IMAP_SERVER nor LMTP_LISTEN: what calendars answer is not read")
        return
    if not (settings.imap_server or settings.lmtp_listen):
        yield Finding("answers", True, "none come in: the demo shows only what would be said of them")
        return
    box = incoming.failing()
    silent = f"does not answer since {box.failing_since:%Y-%m-%d %H:%M} UTC: {box.error}" if box else ""
    yield Finding("answers", box is None, silent or "are read")


SETTINGS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _base_url,
    _proxies,
    _secret,
    _demo,
    _metrics,
    _space,
    _zones,
)
MAIL: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_mail_server, _sender, _domain)


# --- database --------------------------------------------------------------------------------------------


def _database(settings: Settings, now: datetime) -> Iterator[Finding]:
    try:
        yield from (_postgresql() if db.engine.dialect.name == "postgresql" else _sqlite(settings))
        if not is_current():
            yield Finding("tables", False, "of another release: run upgrade, or update")
            return
        yield Finding("tables", True, "of this release")
        yield from _answers(settings)
        yield from _running(now)
    except sa.exc.OperationalError:
        yield Finding("database", False, "does not answer or cannot be opened")
    finally:
        db.session.rollback()


def _sqlite(settings: Settings) -> Iterator[Finding]:
    mode = db.session.execute(sa.text("PRAGMA journal_mode")).scalar_one()
    meant = journal_mode(sqlite3.sqlite_version_info, wal_backported=settings.sqlite_wal_backported)
    words = f"{sqlite3.sqlite_version}, journal {mode}"
    if meant != "wal":
        words += " (WAL needs 3.51.3, 3.50.7 or 3.44.6, or SQLITE_WAL_BACKPORTED)"
    yield Finding("SQLite", mode == meant, words)


def _postgresql() -> Iterator[Finding]:
    def shown(name: str) -> str:
        return str(db.session.execute(sa.text(f"SHOW {name}")).scalar_one())

    number = int(shown("server_version_num"))
    yield Finding("PostgreSQL", number >= OLDEST_SERVER, shown("server_version"))
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        value = shown(name)
        yield Finding(f"PostgreSQL {name}", value != "off", value if value != "off" else "off: may lose commits")
    for name in MILLISECONDS:
        yield Finding(f"PostgreSQL {name}", shown(name) != "0", shown(name))


def _running(now: datetime) -> Iterator[Finding]:
    due = delivery.oldest_due(now)
    waits = now - due if due else timedelta()
    words = f"the oldest due mail waits {_span(waits)}" if waits > LONGEST_WAIT else "nothing waits for a worker"
    yield Finding("outbox", waits <= LONGEST_WAIT, words)
    if number := delivery.braked():
        yield Finding("outbox", False, f"{number} mails to new addresses are held: release them on the delivery page")
    if held := sum(kind.number for kind in restored.held()):
        yield Finding("outbox", False, f"{held} mails are held since a restore or a new BASE_URL: run release")
    backup = delivery.last_backup()
    if backup is None:
        yield Finding("backup", False, "none was ever taken: run backup every day")
    else:
        age = now - backup
        yield Finding("backup", age <= OLDEST_BACKUP, f"the last one is {_span(age)} old")


def _span(time: timedelta) -> str:
    minutes = max(int(time.total_seconds()) // 60, 0)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
