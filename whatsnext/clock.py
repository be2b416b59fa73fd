"""The only source of now: the database's clock, carried on from one look at it to the next (safety.md R7).

A process looks once a minute, and at once when somebody has set the date of the machine. In between counts the time
since the machine was started, which no change of its date moves. So a web server whose date is wrong, or jumps, lets no
hold end early, and no two machines disagree.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

LOOK_AGAIN = 60.0
"""Seconds from one look at the database's clock to the next."""

DATE_SET = timedelta(seconds=2)
"""Where the date moves by so much more or less than has passed, somebody has set it, often the database's as well."""

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is one, a clock that goes on while the machine sleeps."""


class _Look(NamedTuple):
    """What the database said, and what the machine said then: seconds since its start, and its date."""

    moment: datetime
    at: float
    of_machine: datetime


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
    if look is None:
        return True
    passed = _elapsed() - look.at
    return passed > LOOK_AGAIN or abs(_of_machine() - look.of_machine - timedelta(seconds=passed)) > DATE_SET


def follow(moment: datetime) -> None:
    """The database says that it is `moment` (UTC)."""
    _Database.look = _Look(moment, _elapsed(), _of_machine())


def _of_machine() -> datetime:
    return datetime.now(UTC)


def _elapsed() -> float:
    return time.clock_gettime(_ELAPSED)
