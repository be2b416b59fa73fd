"""One mail as bytes, and the line they leave by: what Flask-Mail 0.10 does not do, done over its public names.

Its messages cannot carry a calendar part that every client takes for an invitation, its connection has no time-out
and verifies no certificate (docs/decisions, invitations.md "Three traps").
"""

from __future__ import annotations

import contextlib
import re
import secrets
import smtplib
import socket
import ssl
from binascii import b2a_base64, b2a_qp
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from types import TracebackType
from urllib.parse import urlsplit

from flask import current_app
from flask_mail import Connection, Mail, Message, email_dispatched

TIMEOUT = 20
BASE64_LINE = 76
_BRACKETED = re.compile("<[!-;=?-~]+>")
_ADDRESS = re.compile(r"[!-;=?-~]+")
_QUOTED = re.compile(r'["\\]')
_ENDS_LINE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What one mail says, to one address. `calendar` is its METHOD and its bytes, `stamp` the DTSTAMP in them.

    Answers go to `reply_to`, if any.

    `unsubscribe` is an address of ours that ends mails of this kind by one POST (RFC 8058); "" on all but bulk mail.
    """

    to: str
    sender: str
    sender_name: str
    subject: str
    text: str
    html: str
    message_id: str
    date: datetime
    reply_to: str = ""
    calendar: tuple[str, bytes] | None = None
    stamp: datetime | None = None
    unsubscribe: str = ""


def build(letter: Letter) -> bytes:
    """The mail as it goes over the wire (RFC 6047 §2.4): CRLF, and nothing but ASCII.

    A relay may lack 8BITMIME, and smtplib does not ask.

    Raises ValueError for a line end in anything that becomes a header.
    """
    headers = [
        _header("Subject", letter.subject),
        _address("From", letter.sender_name, letter.sender),
        _address("Reply-To", letter.sender_name, letter.reply_to or letter.sender),
        _address("To", "", letter.to),
        f"Date: {format_datetime(letter.date)}\r\n",
        _raw("Message-ID", letter.message_id),
        "Auto-Submitted: auto-generated\r\n",
    ]
    if letter.unsubscribe:  # RFC 8058 §3.1; an address longer than a line would be encoded as words
        headers.append(_raw("List-Unsubscribe", f"<{letter.unsubscribe}>"))
        headers.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    shapes = [_text("plain", letter.text), _text("html", letter.html)]
    if letter.calendar is None:
        body = _multipart("alternative", shapes)
    else:
        method, calendar = letter.calendar
        kind = f'text/calendar; method="{method}"; charset="UTF-8";\r\n component="VEVENT"'
        packed = _base64(calendar)
        shapes.append(_part(kind, "base64", packed))
        file = 'application/ics\r\nContent-Disposition: attachment; filename="invite.ics"'
        body = _multipart("mixed", [_multipart("alternative", shapes), _part(file, "base64", packed)])
    return "".join((*headers, "MIME-Version: 1.0\r\n", body)).encode("ascii")


def _header(name: str, value: str) -> str:
    """A header of words."""
    return f"{name}: {_words(name, value)}\r\n"


def _address(name: str, display_name: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} cannot stand in {name}")
    if not display_name:
        return f"{name}: {address}\r\n"
    shown = _words(name, display_name)
    if shown == display_name:
        shown = f'"{_QUOTED.sub(lambda found: chr(92) + found[0], display_name)}"'
    return f"{name}: {shown}\r\n <{address}>\r\n"


@lru_cache(maxsize=256)
def _words(name: str, value: str) -> str:
    """ASCII as it is, all else as encoded words (RFC 2047). Raises ValueError for what could end a line.

    All mails about a talk share some of them.

    The newer interface of the library decodes encoded words that stand in `value`, line ends in them included, forgets
    the quotes of a long name, and loses blanks where it folds (CPython 3.11).
    """
    if _ENDS_LINE.search(value):
        raise ValueError(f"{value!r} cannot stand in {name}")
    if value.isascii() and "=?" not in value:
        return value
    return Header(value, "utf-8", header_name=name).encode(linesep="\r\n")


def _raw(name: str, value: str) -> str:
    """A header that is no text: neither encoded nor folded. Raises ValueError unless it is visible ASCII in <>."""
    if not _BRACKETED.fullmatch(value):
        raise ValueError(f"{value!r} cannot stand in {name}")
    return f"{name}: {value}\r\n"


def _text(subtype: str, text: str) -> str:
    """As it is or nearly so for most scripts, in base64 where that is shorter."""
    given = text.replace("\n", "\r\n").encode()
    quoted = b2a_qp(given)
    if b"\r\n" not in given:  # its lines end as the first one of the text ends, or by LF alone
        quoted = quoted.replace(b"\n", b"\r\n")
    packed = (len(given) + 2) // 3 * 4
    if len(quoted) <= packed + 2 * -(-packed // BASE64_LINE):
        encoding, body = "quoted-printable", quoted.decode("ascii")
    else:
        encoding, body = "base64", _base64(given)
    return _part(f'text/{subtype}; charset="utf-8"', encoding, body)


def _base64(given: bytes) -> str:
    packed = b2a_base64(given, newline=False).decode("ascii")
    return "".join(f"{packed[at : at + BASE64_LINE]}\r\n" for at in range(0, len(packed), BASE64_LINE))


def _part(kind: str, encoding: str, body: str) -> str:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"


def _multipart(subtype: str, parts: list[str]) -> str:
    """The library builds an object for every header of every part, which took half of the time of a mail."""
    boundary = f"=_{secrets.token_hex(12)}"  # neither encoding can make "=_"
    inside = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n{inside}--{boundary}--\r\n'


class Post(Message):
    """Bytes built before, for Flask-Mail: a retry sends the same ones."""

    def __init__(self, *, to: str, sender: str, raw: bytes) -> None:
        """Past Message's own, which would ask the resolver for our name, anew for each mail.

        Raises ValueError unless both are plain addresses: whatever else stood in them would be said to the server.
        """
        for address in (to, sender):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} cannot stand in an envelope")
        self.recipients, self.sender = [to], sender
        self.envelope, self.raw = (sender, to), raw

    def as_bytes(self) -> bytes:
        return self.raw


class Line(Connection):
    """One kept SMTP connection with a time-out and a verified certificate (safety.md O6)."""

    def configure_host(self) -> smtplib.SMTP:
        """Connect. Raises OSError or SMTPException; where TLS is set and refused, nothing was said in the clear."""
        state, name = self.mail, _own_name()
        host: smtplib.SMTP
        if state.use_ssl:
            verifying = ssl.create_default_context()
            host = smtplib.SMTP_SSL(state.server, state.port, name, timeout=TIMEOUT, context=verifying)
        else:
            host = smtplib.SMTP(state.server, state.port, name, timeout=TIMEOUT)
        try:
            if state.use_tls:
                host.starttls(context=ssl.create_default_context())
            if state.username and state.password:
                host.login(state.username, state.password)
        except BaseException:
            host.close()
            raise
        return host

    def send(self, message: Post) -> None:  # type: ignore[override]
        """As Flask-Mail's own, which would read, encode and write both addresses of each mail twice more."""
        if self.host is not None:
            self.host.sendmail(*message.envelope, message.raw)
        email_dispatched.send(current_app._get_current_object(), message=message)  # type: ignore[attr-defined]  # noqa: SLF001
        self.num_emails += 1

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say goodbye; a server that is gone already has what it confirmed."""
        if self.host is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self.host.quit()
            self.host.close()

    def abort(self) -> None:
        """Cut the line from another thread: what is under way fails and is tried again later."""
        if self.host is not None and self.host.sock is not None:
            with contextlib.suppress(OSError):
                self.host.sock.shutdown(socket.SHUT_RDWR)


class PostOffice(Mail):
    """Flask-Mail with our kind of connection."""

    def connect(self) -> Line:
        return Line(current_app.extensions["mail"])


def _own_name() -> str:
    """What we call ourselves in EHLO: asking the resolver could take seconds."""
    name = urlsplit(current_app.config["BASE_URL"]).hostname or "localhost"
    return f"[{name}]" if name.replace(".", "").isdigit() else name
