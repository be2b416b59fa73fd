"""What mails written one after the other share, made once: a talk in words, a text but for the links in it.

Kept for one batch only, in which nothing that they say can change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

Made = TypeVar("Made")
_kept: ContextVar[dict[Hashable, Any] | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def batch() -> Iterator[None]:
    """While it lasts, `once` remembers."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def once(key: Hashable, make: Callable[[], Made]) -> Made:
    """What was made for this key in this batch; outside of one it is made each time. Nobody may change it."""
    kept = _kept.get()
    if kept is None:
        return make()
    if key not in kept:
        kept[key] = make()
    made: Made = kept[key]
    return made
