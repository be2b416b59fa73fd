"""Mails that go nowhere: without a mail server they lie in instance/mail/, where the demo's mailbox page reads them."""

from __future__ import annotations

import contextlib
import mailbox
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from flask import current_app

from config import Settings


@dataclass(frozen=True)
class Kept:
    """One mail read back. `calendar` is the iCalendar part's bytes, empty if it has none; `at` is UTC."""

    key: str
    to: str
    sender: str
    subject: str
    at: datetime
    text: str
    html: str
    method: str
    calendar: bytes


def folder() -> Path:
    """Where the mails lie."""
    settings: Settings = current_app.config["SETTINGS"]
    return settings.instance / "mail"


def instead_of_a_server() -> str:
    """Where mails lie that nobody sends; "" where a server sends them, and in the demo, which says so itself."""
    settings: Settings = current_app.config["SETTINGS"]
    return "" if settings.mail_server or settings.demo else str(folder())


def keep(raw: bytes) -> str:
    """Put one mail into the maildir, on the disk when this returns. Returns its key."""
    folder().parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(_open()) as box:
        return box.add(raw)


def newest(limit: int = 200) -> list[Kept]:
    """The mails kept, newest first."""
    if not folder().is_dir():
        return []
    with contextlib.closing(_open()) as box:
        # a mailbox iterates over mails, not over keys
        found = [_read(key, box.get_bytes(key)) for key in box.keys()]  # noqa: SIM118
    return sorted(found, key=lambda kept: (kept.at, kept.key), reverse=True)[:limit]


def get(key: str) -> Kept | None:
    """One mail by its key; None if there is none."""
    if not folder().is_dir():
        return None
    with contextlib.closing(_open()) as box:
        return _read(key, box.get_bytes(key)) if key in box else None


def _open() -> mailbox.Maildir:
    return mailbox.Maildir(folder(), create=True)


def _read(key: str, raw: bytes) -> Kept:
    mail = message_from_bytes(raw, policy=policy.default)
    parts = {part.get_content_type(): part for part in reversed(list(mail.walk())) if not part.is_multipart()}
    calendar = parts.get("text/calendar")
    return Kept(
        key=key,
        to=str(mail["To"]),
        sender=str(mail["From"]),
        subject=str(mail["Subject"]),
        at=parsedate_to_datetime(str(mail["Date"])).astimezone(UTC),
        text=_words(parts.get("text/plain")),
        html=_words(parts.get("text/html")),
        method=str(calendar.get_param("method", "")) if calendar else "",
        calendar=_bytes(calendar),
    )


def _bytes(part: EmailMessage | None) -> bytes:
    payload = part.get_payload(decode=True) if part is not None else b""
    return payload if isinstance(payload, bytes) else b""


def _words(part: EmailMessage | None) -> str:
    return _bytes(part).decode("utf-8", "replace").replace("\r\n", "\n")
