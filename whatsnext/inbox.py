"""The edge that mails come in by: from a mailbox over IMAP, from a mail server over LMTP. Both end in one service.

Each mail is noted, read apart without a transaction, and done in one transaction together with how far the mailbox
has been read. A mail that fails is logged and tried once more; after that it is put aside (safety.md M2, M6).
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass

from flask import Flask

from config import Settings
from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import SettingRefused
from whatsnext.mail import imap, lmtp
from whatsnext.mail.inbox import parsing
from whatsnext.mail.inbox.reader import Envelope, Reader, fingerprint
from whatsnext.models import IncomingState
from whatsnext.services import incoming, replies

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
LOOK_AGAIN = 2.0


@dataclass(frozen=True)
class Place:
    """Where a mail lies in a mailbox."""

    mailbox: str
    uid_validity: int
    uid: int


class Clerk:
    """Takes mails in, one at a time. `take` is called in an application context."""

    def __init__(self, settings: Settings) -> None:
        self._authserv_id = settings.authserv_id
        self._reader = Reader()
        self._reading = threading.Lock()

    def take(
        self,
        raw: bytes,
        *,
        size: int | None = None,
        sender: str | None = None,
        recipients: tuple[str, ...] = (),
        place: Place | None = None,
    ) -> IncomingState | None:
        """Do what this mail asks for, once. Returns what became of it.

        `raw` is the mail, or its beginning if it has `size` octets. Raises incoming.BeingRead while another process
        is at it, and what the database raises.
        """
        size = len(raw) if size is None else size
        digest = fingerprint(raw, size)
        with write():
            begun = incoming.begin(digest, raw, size, clock.now())
            known = incoming.state_of(digest) if begun is None else None
            if begun is None:
                _pass(place)
        if begun is None:
            return known
        envelope = Envelope(recipients=recipients, sender=sender, authserv_id=self._authserv_id)
        with self._reading:
            read = self._reader.read if size <= parsing.LARGEST else self._reader.read_head
            reading = read(raw, envelope)
        with write():
            state = replies.receive(begun, reading, clock.now(), left_in_mailbox=place is not None)
            _pass(place)
        return state

    def close(self) -> None:
        """End the process that reads."""
        with self._reading:
            self._reader.close()


def _pass(place: Place | None) -> None:
    if place is not None:
        incoming.advance(place.mailbox, place.uid_validity, place.uid)


def visit(box: imap.Mailbox, clerk: Clerk) -> int:
    """Take in what is new in a mailbox. Returns how many mails. Raises imap.Away, and what `take` raises."""
    validity = box.open()
    with write():
        start = incoming.reached(box.name, validity, clock.now())
    number = 0
    for uid in box.new_mails(start.last_uid, start.since):
        place = Place(box.name, validity, uid)
        fetched = box.fetch(uid)
        if fetched is None:
            with write():
                _pass(place)
            continue
        raw, size = fetched
        state = clerk.take(raw, size=size, place=place)
        if state is not IncomingState.LEFT:
            box.seen(uid)
        number += 1
    return number


class Inbox:
    """Both ways in, as threads of a worker, until they are stopped. Without settings for them nothing runs."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._settings: Settings = app.config["SETTINGS"]
        self._stopping = threading.Event()
        self._clerk = Clerk(self._settings)
        self._listener: lmtp.Listener | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises SettingRefused if the address for LMTP is taken."""
        if where := self._settings.lmtp_listen:
            listener = lmtp.Listener(where, self._settings.sender, self._deliver)
            try:
                listener.start()
            except OSError as error:
                listener.stop()
                raise SettingRefused(f"LMTP_LISTEN: {where} cannot be used ({error.strerror})") from None
            self._listener = listener
        if self._settings.imap_server:
            self._thread = threading.Thread(target=self._run, name="mailbox", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the mail under way and return, within seconds. Twice is the same as once."""
        self._stopping.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
        if self._thread is not None:
            self._thread.join(2.0)
        self._clerk.close()

    def _deliver(self, raw: bytes, sender: str, recipient: str) -> bool:
        """One mail over LMTP. False: the server keeps it and comes again."""
        with self._app.app_context():
            try:
                self._clerk.take(raw, sender=sender, recipients=(recipient,))
            except incoming.BeingRead:
                return False
            except Exception:
                log.exception("a mail could not be taken in and comes again")
                return False
            return True

    def _run(self) -> None:
        box, pause = imap.Mailbox(self._settings), FIRST_PAUSE
        while not self._stopping.is_set():
            if self._visit(box) and self._wait(box):
                pause = FIRST_PAUSE
            else:
                box.close()
                self._stopping.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
        box.close()

    def _visit(self, box: imap.Mailbox) -> bool:
        """False: something went wrong, pause before the next visit."""
        with self._app.app_context():
            try:
                self._visit_until_read(box)
            except imap.Away as reason:
                return self._note(box, str(reason))
            except Exception:
                log.exception("a mail could not be taken in and is tried once more")
                return False
            return True

    def _visit_until_read(self, box: imap.Mailbox) -> None:
        """A mail that another process has begun to read may be left by it: look again soon."""
        while True:
            try:
                visit(box, self._clerk)
            except incoming.BeingRead:
                if self._stopping.wait(LOOK_AGAIN):
                    return
            else:
                return

    def _wait(self, box: imap.Mailbox) -> bool:
        """Until something may have come; no transaction is open meanwhile. False: the mailbox has gone."""
        try:
            box.wait(self._stopping)
        except imap.Away as reason:
            with self._app.app_context():
                return self._note(box, str(reason))
        return True

    def _note(self, box: imap.Mailbox, reason: str) -> bool:
        """Since when the mailbox does not answer is shown to organisers and operators."""
        if not self._stopping.is_set():
            log.warning("the mailbox does not answer: %s", reason)
            try:
                with write():
                    incoming.unreachable(box.name, reason, clock.now())
            except Exception:
                log.exception("the state of the mailbox could not be kept")
        return False
