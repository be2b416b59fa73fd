"""Mails read by another process: it is given 5 seconds and 256 MB, and is replaced when it fails (safety.md M2)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from whatsnext.calendars.reply import Answer
from whatsnext.mail.inbox import parsing
from whatsnext.services.incoming import Reading

SECONDS = 5.0
MAILS_PER_PROCESS = 200
LARGEST_ANSWER = 262_144
_ROOT = Path(__file__).parents[3]
_STABLE = ("from", "date", "message-id", "subject")


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What the server said of a mail. `sender` is None where it is only known from the mail itself."""

    recipients: tuple[str, ...] = ()
    sender: str | None = None
    authserv_id: str = ""


def fingerprint(raw: bytes, size: int) -> str:
    """The same for one mail however it came: what servers write above it does not count, nor do ends of lines.

    `size` is that of the whole mail; of one that is too large only the header counts.
    """
    head, _gap, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = re.sub(rb"\n[ \t]+", b" ", head[: parsing.LONGEST_HEADER]).split(b"\n")
    stable = sorted(line for line in lines if line.partition(b":")[0].strip().lower().decode("latin-1") in _STABLE)
    whole = body.rstrip(b"\n") if size <= parsing.LARGEST else b"too large"
    return hashlib.sha256(b"\n".join([*stable, b"", whole])).hexdigest()


@dataclass
class Reader:
    """One process that reads mail after mail. Not for two threads at once; close it at the end."""

    seconds: float = SECONDS
    _process: subprocess.Popen[bytes] | None = None
    _read: int = field(default=0)

    def read(self, raw: bytes, envelope: Envelope) -> Reading:
        """What this mail is. A mail that breaks or stalls the process is refused, and the next one has a new one."""
        if len(raw) > parsing.LARGEST:
            return self.read_head(raw, envelope)
        try:
            told = self._ask(raw, envelope)
        except (OSError, ValueError) as reason:
            self.close()
            return Reading(refused="time" if isinstance(reason, TimeoutError) else "crash")
        if "refused" in told:
            return Reading(refused=str(told["refused"]))
        return _reading(told)

    def read_head(self, raw: bytes, envelope: Envelope) -> Reading:
        """Who wrote a mail that is too large to be read, as far as its header says (safety.md M1)."""
        head = self.read(parsing.head_of(raw) + b"\r\n\r\n", envelope)
        return replace(head, refused="size", answer=None)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _ask(self, raw: bytes, envelope: Envelope) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None or self._read >= MAILS_PER_PROCESS:
            self.close()
            self._process, self._read = _start(), 0
        self._read += 1
        ends = time.monotonic() + self.seconds
        head = json.dumps(vars(envelope)).encode()
        _put(self._process, len(head).to_bytes(4, "big") + len(raw).to_bytes(4, "big") + head + raw, ends)
        size = int.from_bytes(_get(self._process, 4, ends), "big")
        if size > LARGEST_ANSWER:
            raise ValueError("the answer is too long")
        told: dict[str, Any] = json.loads(_get(self._process, size, ends))
        return told


def _start() -> subprocess.Popen[bytes]:
    """By its path: the package around it would bring the whole application along."""
    environment = {"PYTHONPATH": str(_ROOT), "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-P", "-W", "ignore", str(Path(parsing.__file__))],
        cwd="/",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
    return process


def _wait(pipe: IO[bytes], event: int, ends: float) -> None:
    """Until the pipe can be used. Raises TimeoutError at `ends`."""
    left = ends - time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, event)
        if left <= 0 or not selector.select(left):
            raise TimeoutError


def _put(process: subprocess.Popen[bytes], data: bytes, ends: float) -> None:
    view, pipe = memoryview(data), process.stdin
    while view and pipe is not None:
        _wait(pipe, selectors.EVENT_WRITE, ends)
        view = view[os.write(pipe.fileno(), view[:65_536]) :]


def _get(process: subprocess.Popen[bytes], size: int, ends: float) -> bytes:
    data, pipe = bytearray(), process.stdout
    while len(data) < size and pipe is not None:
        _wait(pipe, selectors.EVENT_READ, ends)
        piece = os.read(pipe.fileno(), size - len(data))
        if not piece:
            raise BrokenPipeError("the process has ended")
        data += piece
    return bytes(data)


def _reading(told: dict[str, Any]) -> Reading:
    answer = told.pop("answer")
    for name in ("recipients", "bounced", "delayed"):
        told[name] = tuple(told[name])
    return Reading(answer=_answer(answer) if answer else None, **told)


def _answer(told: dict[str, Any]) -> Answer:
    for name in ("stamp", "recurrence_at", "proposed_start", "proposed_end"):
        told[name] = datetime.fromisoformat(told[name]) if told[name] else None
    return Answer(**told)
