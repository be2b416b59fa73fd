"""Every request: its number, how long it took, and by which route. No address or query: they hold secrets."""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Histogram

from whatsnext.logs import FACTS

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
ROUTE = "X-Route"
"""For the log of a proxy of ours, which keeps it to itself (deploy/nginx.conf)."""
GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""A proxy's number is kept if it is nothing but one."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
REGISTRY = "whatsnext.registry"


def registry() -> CollectorRegistry:
    """The numbers this process has counted."""
    found: CollectorRegistry = current_app.extensions[REGISTRY]
    return found


def _begin() -> None:
    g.began = perf_counter()
    given = request.headers.get(HEADER, "") if current_app.config["SETTINGS"].trusted_proxies else ""
    g.request_id = given if GIVEN.fullmatch(given) else secrets.token_hex(8)


def route() -> str:
    """The name of the page: never its address."""
    return request.endpoint or "none"


def _end(response: Response) -> Response:
    took = perf_counter() - g.began if "began" in g else 0.0
    durations: Histogram = current_app.extensions["whatsnext.durations"]
    durations.labels(route(), request.method if request.method in METHODS else "other", response.status_code).observe(
        took
    )
    response.headers[HEADER] = g.get("request_id", "")
    if current_app.config["SETTINGS"].trusted_proxies:
        response.headers[ROUTE] = route()
    if current_app.config["SETTINGS"].access_log:
        facts = {"route": route(), "method": request.method, "status": response.status_code}
        log.info("request", extra={FACTS: {**facts, "milliseconds": round(took * 1000, 1)}})
    return response


METHODS = ("GET", "HEAD", "POST", "OPTIONS")


def init_app(app: Flask) -> None:
    """Call before the other parts of the web: what is registered first begins first and ends last."""
    app.extensions[REGISTRY] = numbers = CollectorRegistry()
    app.extensions["whatsnext.durations"] = Histogram(
        "whatsnext_request_seconds",
        "Requests answered, by route name, method and status",
        ("route", "method", "status"),
        registry=numbers,
        buckets=BUCKETS,
    )
    app.before_request(_begin)
    app.after_request(_end)
