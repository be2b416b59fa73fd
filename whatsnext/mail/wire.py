"""The way out: mails carried to the mail server over one kept line, and what its answers mean. Knows no rows."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from time import monotonic

from flask import current_app

from config import Settings
from whatsnext.mail import maildir
from whatsnext.mail.mime import Line, Post, PostOffice

BATCH = 50
"""Mails that one worker takes at a time."""
MAILS_PER_LINE = 100
FIRST_REST, LONGEST_REST, SLOW_DOMAIN_RESTS = 2.0, 60.0, 120.0
"""Seconds without a try: for the whole server while it is away, for a domain that let us wait."""


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


NO_SUCH_ADDRESS = _("This address does not exist.")
MAILBOX_FULL = _("The mailbox is full.")
REFUSED = _("The receiving server refused the message.")
SLOW = _("The receiving server takes very long to answer.")
LATER = _("The receiving server asks to try again later.")
NO_SERVER = _("The mail server cannot be reached.")
NO_FOLDER = _("The folder for mails cannot be written to.")
NO_TLS = _("The mail server offers no encryption, so nothing was sent.")
NO_TRUST = _("The certificate of the mail server cannot be verified, so nothing was sent.")
NOT_LET_IN = _("The mail server does not accept our account or our sender address.")
CUT_OFF = _("The mail server closed the connection.")


class Failed(Exception):
    """The server said no for good."""


class PutOff(Exception):
    """Not now; worth another try."""


class Unreachable(PutOff):
    """No mail of ours gets through now."""


@dataclass(frozen=True)
class Parcel:
    """One mail ready to go."""

    to: str
    sender: str
    raw: bytes


class Courier:
    """Carries mails one by one: over one kept line to the mail server, or into the maildir.

    While the server cannot be reached it rests, longer each time, then tries a single mail; a domain that let us wait
    until the time-out rests apart, so that its mails delay no others (safety.md O9).
    """

    def __init__(self) -> None:
        self._line: Line | None = None
        self._failures = 0
        self._rests_until = 0.0
        self._slow: dict[str, float] = {}

    def rests(self) -> bool:
        """Whether it is too early for another try."""
        return monotonic() < self._rests_until

    @property
    def most(self) -> int:
        """How many mails to claim: one as a probe after the server was away."""
        return 1 if self._failures else BATCH

    def carry(self, parcel: Parcel) -> None:
        """Returns when the server has taken the mail. Raises Failed, PutOff, Unreachable with the reason."""
        domain = parcel.to.rpartition("@")[2]
        if monotonic() < self._slow.get(domain, 0.0):
            raise PutOff(SLOW)
        try:
            self._carry(parcel)
        except Unreachable:
            pause = min(FIRST_REST * 2**self._failures, LONGEST_REST)
            self._failures, self._rests_until = min(self._failures + 1, 10), monotonic() + pause
            raise
        except PutOff as error:
            self._failures = 0
            if _timed_out(error.__cause__):
                self._slow[domain] = monotonic() + SLOW_DOMAIN_RESTS
            raise
        self._failures = 0

    def _carry(self, parcel: Parcel) -> None:
        settings: Settings = current_app.config["SETTINGS"]
        if not settings.mail_server or settings.holds_demo:
            self._keep(parcel)
            return
        line = self._connected()
        try:
            line.send(Post(to=parcel.to, sender=parcel.sender, raw=parcel.raw))
        except smtplib.SMTPRecipientsRefused as error:
            raise _verdict(*error.recipients[parcel.to]) from error
        except smtplib.SMTPSenderRefused as error:
            raise PutOff(NOT_LET_IN if error.smtp_code >= 500 else LATER) from error
        except smtplib.SMTPResponseException as error:
            raise _verdict(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise PutOff(CUT_OFF) from error
        if line.num_emails >= MAILS_PER_LINE:
            self.close()

    def _keep(self, parcel: Parcel) -> None:
        try:
            maildir.keep(parcel.raw)
        except OSError as error:
            raise Unreachable(NO_FOLDER) from error

    def _connected(self) -> Line:
        """The line, opened if need be."""
        if self._line is not None and self._line.host is not None and self._line.host.sock is not None:
            return self._line
        line = PostOffice().connect()
        try:
            self._line = line.__enter__()
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(NO_TRUST) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Unreachable(NO_TLS) from error
        except smtplib.SMTPAuthenticationError as error:
            raise Unreachable(NOT_LET_IN) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(NO_SERVER) from error
        return line

    def close(self) -> None:
        """Say goodbye to the server."""
        line, self._line = self._line, None
        if line is not None:
            line.__exit__(None, None, None)

    def abort(self) -> None:
        """Cut the line from another thread: a mail under way fails and is tried again later."""
        if (line := self._line) is not None:
            line.abort()


def _timed_out(error: BaseException | None) -> bool:
    """smtplib says "disconnected" for a time-out too; what it met stands behind."""
    return error is not None and (isinstance(error, TimeoutError) or _timed_out(error.__context__))


def _verdict(code: int, answer: bytes | str) -> Failed | PutOff:
    """What an answer of the server means (RFC 5321 §4.2, RFC 3463)."""
    words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    full = code in (452, 552) or "5.2.2" in words or "4.2.2" in words
    if code < 500:
        return PutOff(MAILBOX_FULL if full else LATER)
    if full:
        return Failed(MAILBOX_FULL)
    unknown = code in (550, 551, 553) and ("5.7." not in words)
    return Failed(NO_SUCH_ADDRESS if unknown else REFUSED)
