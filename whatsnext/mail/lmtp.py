"""Mail delivered straight into the application by a mail server of the same machine, over LMTP (RFC 2033).

A mail is answered with 250 after it is in the database, with 451 if that is not possible now (safety.md M9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiosmtpd.controller import Controller, UnixSocketController
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

LARGEST = 33_554_432
LONGEST_LINE = 1_048_576
ONE_AT_A_TIME = "452 4.5.3 One recipient at a time"
NOT_OURS = "550 5.1.1 No such mailbox here"
TAKEN = "250 2.0.0 Taken"
LATER = "451 4.3.0 Not now, try again later"

Take = Callable[[bytes, str, str], bool]
"""A mail, its sender and its one recipient; False if it cannot be kept now."""


class _Server(LMTP):
    line_length_limit = LONGEST_LINE


class _Handler:
    """One recipient a mail: LMTP wants an answer for each, and an answer has one registration."""

    def __init__(self, mailbox: str, take: Take, pool: ThreadPoolExecutor) -> None:
        self._mailbox, self._take, self._pool = mailbox.lower(), take, pool

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if envelope.rcpt_tos:
            return ONE_AT_A_TIME
        if not self._is_ours(address):
            return NOT_OURS
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        loop = asyncio.get_running_loop()
        sender, recipient = envelope.mail_from or "", envelope.rcpt_tos[0]
        return TAKEN if await loop.run_in_executor(self._pool, self._take, raw, sender, recipient) else LATER

    def _is_ours(self, address: str) -> bool:
        local, _at, domain = address.lower().rpartition("@")
        own, _at, host = self._mailbox.rpartition("@")
        return domain == host and local.partition("+")[0] == own


class Listener:
    """Listens at `where` ("127.0.0.1:8024" or "unix:/path") for mail to `mailbox` and its plus-addresses."""

    def __init__(self, where: str, mailbox: str, take: Take) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="lmtp")
        handler = _Handler(mailbox, take, self._pool)
        self._controller: _TcpController | _UnixController
        if where.startswith("unix:"):
            self._path: Path | None = Path(where.removeprefix("unix:"))
            self._controller = _UnixController(handler, str(self._path), data_size_limit=LARGEST)
        else:
            host, _colon, port = where.rpartition(":")
            self._path = None
            self._controller = _TcpController(handler, host.strip("[]"), int(port), data_size_limit=LARGEST)

    def start(self) -> None:
        """Raises OSError if the address is taken."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._controller.start()

    def stop(self) -> None:
        """What is being taken in is finished first."""
        self._controller.stop(no_assert=True)
        self._controller.loop.close()
        self._pool.shutdown()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _TcpController(Controller):
    def factory(self) -> LMTP:
        return _Server(self.handler, **self.SMTP_kwargs)


class _UnixController(UnixSocketController):
    def factory(self) -> LMTP:
        return _Server(self.handler, **self.SMTP_kwargs)
