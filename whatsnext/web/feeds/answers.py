"""Answers of feeds: ready to send, known again by their content, packed for whoever takes it.

What was built is kept by the counters it was made of, so that a fetch costs one row; the tag is made of the bytes, so
that a sign-up, which raises the counters, sends nobody the same calendar anew.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import http_date

from whatsnext.i18n import language
from whatsnext.web.pagecache import Kept, PageCache

MOST_FEEDS = 100
SHARED = "public, max-age=300"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Built(Kept):
    """A feed ready to be sent: plain and packed, with the last moment at which it changed."""

    packed: bytes
    modified: datetime
    http_modified: str


def midnight(now: datetime) -> datetime:
    """When today began in UTC: feeds lose what is too old once a day, not from fetch to fetch."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def kept(row: Sequence[Any], now: datetime, build: Callable[[datetime], tuple[bytes, Sequence[datetime]]]) -> Built:
    """The feed made of `row` in the language spoken now, built if it is not there.

    `build` takes the midnight of today and gives the bytes and the moments at which parts of them changed.
    """
    feeds: PageCache | None = current_app.extensions.get("whatsnext.feeds")
    if feeds is None:
        feeds = current_app.extensions["whatsnext.feeds"] = PageCache(current_app, MOST_FEEDS)
    day = midnight(now)
    key = (request.endpoint, *row, language(), day, feeds.release)
    found = feeds.get(key, now)
    if not isinstance(found, Built):
        found = built(*build(day), day)
        feeds.put(key, found)
    return found


def built(body: bytes, changes: Sequence[datetime], day: datetime) -> Built:
    """`body` with its tag. It is never said to be older than today: what went by itself went at midnight."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    modified = max((*changes, day))
    return Built(body, tag, day + DAY, gzip.compress(body, 6, mtime=0), modified, http_date(modified))


def answer(feed: Built, content_type: str, cache: str = SHARED) -> Response:
    """200 or 304, packed where the reader takes it. One tag for both, hence weak."""
    if request.if_match and not request.if_match.star_tag:
        raise PreconditionFailed  # a weak tag never matches (RFC 9110 §13.1.1)
    packed = request.accept_encodings.quality("gzip") > 0
    etag = f'W/"{feed.tag}"'
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding", "ETag": etag, "Last-Modified": feed.http_modified}
    if _is_known(feed, etag):
        return Response(status=304, headers=headers, content_type=content_type)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(feed.packed if packed else feed.body, headers=headers, content_type=content_type)


def _is_known(feed: Built, etag: str) -> bool:
    """Whether the reader has it (RFC 9110 §13.2.2): by its tag, else by its date."""
    given = request.headers.get("If-None-Match")
    if given is not None:
        return given == etag or request.if_none_match.contains_weak(feed.tag)
    since = request.if_modified_since
    return since is not None and feed.modified.replace(microsecond=0) <= since
