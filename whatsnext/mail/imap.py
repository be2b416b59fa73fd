"""The mailbox that answers come to, over IMAP (RFC 9051): mails named by UID within UIDVALIDITY, by nothing else.

Nothing taken from a mail goes into a command (safety.md M5); nothing is fetched that is not needed, and no mail is
marked as read by fetching it.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from imap_tools.errors import ImapToolsError, MailboxTaggedResponseError
from imap_tools.mailbox import BaseMailBox, MailBox, MailBoxUnencrypted

from config import Settings
from whatsnext.mail.inbox import parsing

TIMEOUT = 30
RENEW = 9 * 60.0
"""IDLE is begun anew long before the 29 minutes of RFC 2177."""
POLL = 60.0
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


NO_SERVER = _("The mailbox cannot be reached.")
NO_TRUST = _("The certificate of the mailbox's server cannot be verified.")
NOT_LET_IN = _("The mailbox does not accept our account or has no such folder.")


class Away(Exception):  # it is a state, and passes
    """The mailbox cannot be read now; the message says why."""


class Mailbox:
    """One kept connection. Every method but `close` raises Away when the server does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._box: BaseMailBox | None = None
        self.name = settings.imap_name

    def open(self) -> int:
        """Connect if need be and choose the folder. Returns its UIDVALIDITY."""
        with _errors():
            if self._box is None:
                self._box = self._connect()
            self._box.folder.set(self._settings.imap_folder)
            _kind, values = self._box.client.response("UIDVALIDITY")
        first = next((value for value in values or [] if isinstance(value, bytes)), b"0")
        return int(first) if first.isdigit() else 0

    def new_mails(self, last_uid: int, since: datetime | None) -> list[int]:
        """UIDs above `last_uid`, lowest first; without one those of mails since a day, or the unread ones."""
        if last_uid:
            criteria = f"UID {last_uid + 1}:*"
        else:
            criteria = f"SINCE {since.day}-{MONTHS[since.month - 1]}-{since.year}" if since else "UNSEEN"
        with _errors():
            found = self._opened.uids(criteria)
        return sorted(uid for uid in map(int, found) if uid > last_uid)

    def fetch(self, uid: int) -> tuple[bytes, int] | None:
        """A mail and its size; of one that is too large its header only. None if it has gone meanwhile."""
        with _errors():
            size = self._size(uid)
            part = "BODY.PEEK[]" if size <= parsing.LARGEST else f"BODY.PEEK[HEADER]<0.{parsing.LONGEST_HEADER}>"
            _kind, answer = self._opened.client.uid("FETCH", str(uid), f"({part})")
        raw = next((item[1] for item in answer or [] if isinstance(item, tuple) and isinstance(item[1], bytes)), None)
        return None if raw is None or not size else (raw, size)

    def _size(self, uid: int) -> int:
        """Octets of a mail, 0 if it is not there."""
        _kind, answer = self._opened.client.uid("FETCH", str(uid), "(RFC822.SIZE)")
        items = [item if isinstance(item, bytes) else item[0] for item in answer or [] if item]
        return next((int(found[1]) for item in items if (found := _SIZE.search(item))), 0)

    def seen(self, uid: int) -> None:
        """Mark a mail as read, after our database has it as done (safety.md M6)."""
        with _errors():
            self._opened.client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")

    def wait(self, stopping: threading.Event, poll: float = POLL, renew: float = RENEW) -> None:
        """Until something may have come: told by the server where it offers IDLE, else after `poll` seconds."""
        with _errors():
            if "IDLE" not in self._opened.client.capabilities:
                stopping.wait(poll)
                self._opened.client.noop()
                return
            self._opened.client.noop()
            _kind, come = self._opened.client.response("EXISTS")
            if come == [None]:
                self._idle(stopping, time.monotonic() + renew)

    def _idle(self, stopping: threading.Event, ends: float) -> None:
        """Until the server tells of a mail."""
        idle = self._opened.idle
        try:
            idle.start()  # type: ignore[no-untyped-call]
            while not stopping.is_set() and time.monotonic() < ends:
                if any(b"EXISTS" in line for line in idle.poll(0.5)):
                    break
        except MailboxTaggedResponseError:
            pass  # a mail came just as we asked to be told
        finally:
            idle.stop()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Say goodbye; a server that is gone already is not waited for."""
        box, self._box = self._box, None
        if box is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
                box.logout()
            with contextlib.suppress(OSError):
                box.client.shutdown()

    @property
    def _opened(self) -> BaseMailBox:
        if self._box is None:
            raise Away(NO_SERVER)
        return self._box

    def _connect(self) -> BaseMailBox:
        """TLS with a verified certificate, but on loopback where the operator says so (safety.md O6)."""
        given = self._settings
        box: BaseMailBox
        if given.imap_use_ssl:
            context = ssl.create_default_context()
            box = MailBox(given.imap_server, given.imap_port, timeout=TIMEOUT, ssl_context=context)
        else:
            box = MailBoxUnencrypted(given.imap_server, given.imap_port, timeout=TIMEOUT)
        try:
            box.login(given.imap_username, given.imap_password.get_secret_value(), initial_folder=None)
        except BaseException:
            box.client.shutdown()
            raise
        return box


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Whatever goes wrong between us and the server is Away, without a word of what was said to it."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Away(NO_TRUST) from error
    except ImapToolsError as error:
        raise Away(NOT_LET_IN) from error
    except (OSError, imaplib.IMAP4.error, EOFError) as error:
        raise Away(NO_SERVER) from error
