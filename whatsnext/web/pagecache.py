"""Public pages kept ready: a page that nobody changed costs one indexed row, whether answered by 200 or 304.

The row holds version counters; the tag is made of them, the language, the appearance, the release, the six hours
(the form tokens on the page age) and the next instant at which the page changes by itself. Browsers may keep the
page and ask again; a proxy may not answer for us without asking. Whoever brings a session is answered privately,
past all of this.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, request

from whatsnext import clock
from whatsnext.db import db
from whatsnext.i18n import language
from whatsnext.web import guards

MOST_PAGES = 500
SLOT = timedelta(hours=6)
EPOCH = datetime.fromtimestamp(0, UTC)
APPEARANCE_COOKIE = "wn-appearance"
APPEARANCES = ("light", "dark")
SOURCES = (Path(__file__).parents[2] / "templates", Path(__file__).parents[1])


@dataclass(frozen=True)
class Shown:
    """A rendered page and the instants at which it changes with nobody writing anything."""

    html: str
    turning_points: Sequence[datetime] = ()


@dataclass(frozen=True)
class Kept:
    """A page ready to be sent, good until `until`."""

    body: bytes
    tag: str
    until: datetime


class PageCache:
    """Rendered pages by what they were made of; of more than `most` the least used goes. Empty for a new database."""

    def __init__(self, app: Flask, most: int = MOST_PAGES) -> None:
        self.release = _release(app)
        self._most = most
        self._pages: OrderedDict[tuple[Any, ...], Kept] = OrderedDict()
        self._lock = threading.Lock()
        sa.event.listen(db.engine, "engine_disposed", self._clear)

    def get(self, key: tuple[Any, ...], now: datetime) -> Kept | None:
        """The page made of `key`, unless its time is over."""
        with self._lock:
            kept = self._pages.get(key)
            if kept is None or now >= kept.until:
                return None
            self._pages.move_to_end(key)
            return kept

    def put(self, key: tuple[Any, ...], kept: Kept) -> None:
        """Keep a page."""
        with self._lock:
            self._pages[key] = kept
            self._pages.move_to_end(key)
            while len(self._pages) > self._most:
                self._pages.popitem(last=False)

    def _clear(self, _engine: sa.Engine) -> None:
        with self._lock:
            self._pages.clear()


def shared(
    row: Callable[..., tuple[Any, ...]],
) -> Callable[[Callable[..., Shown]], Callable[..., Response]]:
    """Serve what the view shows from the cache to whoever is not known.

    `row` takes the view's arguments and reads the page's version counters in one query; it raises NotFound.
    """

    def wrap(view: Callable[..., Shown]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**arguments: Any) -> Response:
            if is_private():
                return privately(view(**arguments).html)
            if request.query_string:
                return _publicly(view(**arguments).html.encode())
            return _from_cache(lambda: view(**arguments), (request.endpoint, *arguments.values(), *row(**arguments)))

        return answer

    return wrap


def is_private() -> bool:
    """Whether the visitor brings a session, so that the page may differ from everybody's."""
    return current_app.config["SESSION_COOKIE_NAME"] in request.cookies


def privately(html: str) -> Response:
    """An answer for one person only (safety.md P13)."""
    response = Response(html, mimetype="text/html")
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Cookie"
    return response


def _publicly(body: bytes, status: int = 200, etag: str = "") -> Response:
    g.pop(guards.SIGNED_IN, None)  # nobody can be signed in here, though the page asked
    headers = {"Cache-Control": "no-cache", "Vary": "Cookie"}
    return Response(body, status, {**headers, "ETag": etag} if etag else headers, mimetype="text/html")


def _from_cache(render: Callable[[], Shown], row: tuple[Any, ...]) -> Response:
    now = clock.now()
    cache: PageCache | None = current_app.extensions.get("pagecache")
    if cache is None:
        cache = current_app.extensions["pagecache"] = PageCache(current_app)
    slot = int((now - EPOCH) / SLOT)
    chosen = request.cookies.get(APPEARANCE_COOKIE)
    key = (row, language(), chosen if chosen in APPEARANCES else "", slot, cache.release)
    kept = cache.get(key, now)
    if kept is None:
        kept = _keep(render(), key, now, EPOCH + (slot + 1) * SLOT)
        cache.put(key, kept)
    etag = f'W/"{kept.tag}"'
    given = request.headers.get("If-None-Match")
    if given and (given == etag or request.if_none_match.contains_weak(kept.tag)):
        return _publicly(b"", 304, etag)
    return _publicly(kept.body, 200, etag)


def _keep(shown: Shown, key: tuple[Any, ...], now: datetime, slot_ends: datetime) -> Kept:
    """The tag names the instant until which the page holds: a talk that has left a list is not in it to be named."""
    until = min((point for point in shown.turning_points if now < point < slot_ends), default=slot_ends)
    tag = hashlib.sha256(repr((key, until)).encode()).hexdigest()[:32]
    return Kept(shown.html.encode(), tag, until)


def _release(app: Flask) -> str:
    """What else a page is made of: the code, the templates, the texts, the settings. The same in every process."""
    settings = app.config["SETTINGS"].model_dump(exclude={"secret_key", "mail_password"})
    made_of = (_newest_source(), settings, app.config["SECRET_KEY"])
    return hashlib.sha256(repr(made_of).encode()).hexdigest()


@functools.cache
def _newest_source() -> int:
    files = (file for folder in SOURCES for file in folder.rglob("*") if file.suffix in (".html", ".py", ".mo"))
    return max(file.stat().st_mtime_ns for file in files)
