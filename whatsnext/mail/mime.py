"""One mail as bytes, and the line they leave by: what Flask-Mail 0.10 does not do, done over its public names.

Its messages cannot carry a calendar part that every client takes for an invitation, its connection has no time-out
and verifies no certificate (docs/decisions, invitations.md "Three traps").
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from urllib.parse import urlsplit

from flask import current_app
from flask_mail import Connection, Mail, Message

TIMEOUT = 20
WIRE = policy.SMTP.clone(cte_type="7bit", refold_source="none")
"""CRLF and nothing but ASCII: a relay may lack 8BITMIME, and smtplib does not ask. Raw headers stay as they are."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What one mail says, to one address. `calendar` is its METHOD and its bytes; answers go to `reply_to`, if any.

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
    unsubscribe: str = ""


def build(letter: Letter) -> bytes:
    """The mail as it goes over the wire (RFC 6047 §2.4): CRLF, 7 bit.

    Raises ValueError for a line end in anything that becomes a header.
    """
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = letter.subject
    mail["From"] = Address(letter.sender_name, addr_spec=letter.sender)
    mail["Reply-To"] = Address(letter.sender_name, addr_spec=letter.reply_to or letter.sender)
    mail["To"] = Address(addr_spec=letter.to)
    mail["Date"] = letter.date
    mail["Message-ID"] = letter.message_id
    mail["Auto-Submitted"] = "auto-generated"
    if letter.unsubscribe:
        _offer_unsubscribing(mail, letter.unsubscribe)
    mail.set_content(letter.text)
    mail.add_alternative(letter.html, subtype="html")
    if letter.calendar:
        method, calendar = letter.calendar
        parameters = {"method": method, "charset": "UTF-8", "component": "VEVENT"}
        mail.add_alternative(calendar, "text", "calendar", cte="base64", params=parameters)
        mail.add_attachment(calendar, "application", "ics", filename="invite.ics")
    return mail.as_bytes()


def _offer_unsubscribing(mail: EmailMessage, address: str) -> None:
    """Both headers of RFC 8058 §3.1. An address longer than a line would be encoded as words, so it goes in raw."""
    if not address.isascii() or not address.isprintable() or {" ", ">"} & set(address):
        raise ValueError(f"{address!r} is no address to unsubscribe at")
    mail.set_raw("List-Unsubscribe", f"<{address}>")
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


class Post(Message):
    """Bytes built before, for Flask-Mail: a retry sends the same ones."""

    def __init__(self, *, to: str, sender: str, raw: bytes) -> None:
        super().__init__(recipients=[to])
        self.sender = sender  # after construction, which takes a comma in a name for the end of it
        self.raw = raw

    def as_bytes(self) -> bytes:
        return self.raw

    def as_string(self) -> str:
        return self.raw.decode("ascii")


class Line(Connection):
    """One kept SMTP connection with a time-out and a verified certificate (safety.md O6)."""

    def configure_host(self) -> smtplib.SMTP:
        """Connect. Raises OSError or SMTPException; where TLS is set and refused, nothing was said in the clear."""
        state, name = self.mail, _own_name()
        context = ssl.create_default_context()
        host: smtplib.SMTP
        if state.use_ssl:
            host = smtplib.SMTP_SSL(state.server, state.port, name, timeout=TIMEOUT, context=context)
        else:
            host = smtplib.SMTP(state.server, state.port, name, timeout=TIMEOUT)
        try:
            if state.use_tls:
                host.starttls(context=context)
            if state.username and state.password:
                host.login(state.username, state.password)
        except BaseException:
            host.close()
            raise
        return host

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
