"""What the log says: lines for people or JSON, with the number of the request, never what people typed (safety.md D4).

An exception is told by its type and where it arose: its message may quote an address or a token.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from flask import g, has_request_context

FACTS = "facts"
"""`log.info("request", extra={FACTS: {…}})`: facts of a line, by name."""

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def places(error: BaseException | None) -> Iterator[str]:
    """Where an error and its causes arose, without their messages."""
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}\n"
        yield from traceback.format_tb(error.__traceback__)
        error = error.__cause__ or error.__context__


class Lines(logging.Formatter):
    """One line for a person at a terminal."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        facts: dict[str, Any] = getattr(record, FACTS, {})
        return " ".join([line, *(f"{name}={value}" for name, value in facts.items())])

    def formatException(self, ei: ErrorInfo) -> str:  # noqa: N802
        return "".join(places(ei[1])).rstrip()


class JsonLines(logging.Formatter):
    """One JSON object a line, for whatever collects logs."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context() and "request_id" in g:
            line["request"] = g.request_id
        line |= getattr(record, FACTS, {})
        if record.exc_info:
            line["error"] = "".join(places(record.exc_info[1])).rstrip()
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(*, as_json: bool) -> None:
    """Log to standard error in one of both shapes. Calling it again changes the shape."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("whatsnext").setLevel(logging.INFO)
