"""How often one address and one network may send a form; counted in the database, over all processes.

A view calls `spend` before its service, so that a refusal stands above the form and nothing typed is lost. The table
holds keyed digests, never an address.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import current_app, g, request
from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy.exc import SQLAlchemyError

from whatsnext import clock, i18n
from whatsnext.db import Handed, db
from whatsnext.errors import RateLimited
from whatsnext.models import RateLimit

ZONE = ZoneInfo("Europe/Berlin")
INCREASE = Handed(
    sa.text(
        "INSERT INTO rate_limit (key, count, ends) VALUES (:key, :amount, :ends) ON CONFLICT (key) DO UPDATE SET"
        " count = CASE WHEN rate_limit.ends <= :now THEN :amount ELSE rate_limit.count + :amount END,"
        " ends = CASE WHEN rate_limit.ends <= :now THEN :ends ELSE rate_limit.ends END RETURNING count"
    )
)


@dataclass(frozen=True)
class Allowance:
    """How often: for one mail address, and for one network (a /24 or /48)."""

    name: str
    per_address: RateLimitItem | None
    per_network: RateLimitItem


SIGN_IN = Allowance("sign-in", parse("5 per 15 minutes"), parse("60 per hour"))
CODE = Allowance("code", None, parse("60 per hour"))
SIGN_UP = Allowance("sign-up", parse("20 per hour"), parse("60 per hour"))
CONFIRM = Allowance("confirm", None, parse("120 per hour"))
FOLLOW = Allowance("follow", parse("20 per hour"), parse("60 per hour"))
RESEND = Allowance("resend", None, parse("30 per hour"))
BARRIER = Allowance("barrier", None, parse("10 per hour"))


def spend(allowance: Allowance, address: str = "") -> None:
    """Count one use by this request, and by this mail address. Raises RateLimited beyond what is allowed.

    Outside `write()` it commits by itself, on a connection of its own. Inside, it saves that commit; whoever does so
    counts again, outside, when the use case is refused and rolled back.
    """
    keys: list[tuple[RateLimitItem, str]] = []
    if address and allowance.per_address:
        keys.append((allowance.per_address, _key(address)))
    if found := network():
        keys.append((allowance.per_network, _key(found)))
    with _together():
        refused = [(item, key) for item, key in keys if not _limiter.hit(item, allowance.name, key)]
    if refused:
        ends = max(_limiter.get_window_stats(item, allowance.name, key).reset_time for item, key in refused)
        until, now = datetime.fromtimestamp(ends, UTC), clock.now()
        words = i18n.clock_time(until.astimezone(ZONE))
        raise RateLimited(
            time=f"{words} ({i18n.zone_name(ZONE.key)})", until=until, seconds=int(ends - now.timestamp())
        )


def network() -> str:
    """The /24 or /48 this request comes from; "" for an agency's exit (EXIT_NETWORKS), whose staff share an address."""
    address = ipaddress.ip_address((request.remote_addr or "0.0.0.0").partition("%")[0])  # noqa: S104
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in exit_network for exit_network in _exits(current_app.config["SETTINGS"].exit_networks)):
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


@lru_cache(maxsize=8)
def _exits(given: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(each, strict=False) for each in given]


def _key(value: str) -> str:
    secret: str = current_app.config["SECRET_KEY"]
    return hmac.new(secret.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]


# --- the table as a store of the library -----------------------------------------------------------------

_connection: ContextVar[sa.Connection | None] = ContextVar("rate limit connection", default=None)


@contextlib.contextmanager
def _together() -> Iterator[sa.Connection]:
    """Count several keys in one transaction: the one of `write()`, or one of its own.

    For its own the request's reading ends first: SQLite commits beside no reader.
    """
    if g.get("writing"):
        with _on(db.session.connection()) as connection:
            yield connection
        return
    db.session.rollback()
    immediate = db.engine.connect().execution_options(sqlite_begin="IMMEDIATE")
    with immediate as connection, connection.begin(), _on(connection):
        yield connection


@contextlib.contextmanager
def _on(connection: sa.Connection) -> Iterator[sa.Connection]:
    token = _connection.set(connection)
    try:
        yield connection
    finally:
        _connection.reset(token)


class SqlStorage(Storage):
    """Fixed windows in the table rate_limit."""

    STORAGE_SCHEME = ["whatsnext"]  # noqa: RUF012

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        connection = _connection.get()
        if connection is None:
            with _together():
                return self.incr(key, expiry, amount)
        now = clock.now().timestamp()
        given = {"key": key, "amount": amount, "now": now, "ends": now + expiry}
        return int(INCREASE.execute(connection, given).scalar_one())

    def get(self, key: str) -> int:
        row = self._row(key)
        return row.count if row and row.ends > clock.now().timestamp() else 0

    def get_expiry(self, key: str) -> float:
        row = self._row(key)
        return row.ends if row else clock.now().timestamp()

    def _row(self, key: str) -> RateLimit | None:
        return db.session.get(RateLimit, key)

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        with _together() as connection:
            return len(connection.execute(sa.delete(RateLimit).returning(RateLimit.key)).all())

    def clear(self, key: str) -> None:
        with _together() as connection:
            connection.execute(sa.delete(RateLimit).where(RateLimit.key == key))


_limiter = FixedWindowRateLimiter(SqlStorage())
