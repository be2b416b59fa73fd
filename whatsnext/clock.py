"""The only source of now: the database's clock, carried on from one look at it to the next (safety.md R7).

In between counts the time since the machine was started, which no change of its date moves. So a web server whose date
is wrong, or jumps, lets no hold end early, and no two machines disagree.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

LOOK_AGAIN = 60.0
"""Seconds from one look at the database's clock to the next."""

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is one, a clock that goes on while the machine sleeps."""


class _Look(NamedTuple):
    moment: datetime
    at: float


class _Database:
    """The last look at the database's clock, by this process."""

    look: _Look | None = None


def now() -> datetime:
    """The present instant in UTC, to the microsecond; that of the machine until the database was asked."""
    look = _Database.look
    if look is None:
        return _of_machine()
    return look.moment + timedelta(seconds=_elapsed() - look.at)


def wants_a_look() -> bool:
    """Whether it is time to ask the database."""
    look = _Database.look
    return look is None or _elapsed() - look.at > LOOK_AGAIN


def follow(moment: datetime) -> None:
    """The database says that it is `moment` (UTC)."""
    _Database.look = _Look(moment, _elapsed())


def _of_machine() -> datetime:
    return datetime.now(UTC)


def _elapsed() -> float:
    return time.clock_gettime(_ELAPSED)
