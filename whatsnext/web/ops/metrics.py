"""Numbers for Prometheus, closed unless METRICS_TOKEN is set (safety.md B7). Nothing about people is in them."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric

from whatsnext import clock, tokens
from whatsnext.errors import NotFound
from whatsnext.models import MessageState
from whatsnext.services import delivery, incoming
from whatsnext.web import traffic
from whatsnext.web.ops import bp


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """What this process counted, and what the database knows of mails, sign-ups and workers."""
    _only_with_the_token()
    stored = CollectorRegistry()
    stored.register(_Stored())
    body = generate_latest(traffic.registry()) + generate_latest(stored)
    return Response(body, 200, {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def _only_with_the_token() -> None:
    token = current_app.config["SETTINGS"].metrics_token.get_secret_value()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not tokens.same(given, token):
        raise NotFound


class _Stored:
    """Read anew at each look: the same whichever process is asked."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = clock.now()
        yield from _mails(now.timestamp())
        sign_ups = GaugeMetricFamily("whatsnext_registrations", "Registrations by state", labels=["state"])
        for status, number in delivery.registrations().items():
            sign_ups.add_metric([status.value], number)
        yield sign_ups
        for name, words, moment in (
            ("whatsnext_worker_seen_timestamp_seconds", "When a worker was last at work", delivery.worker_seen()),
            ("whatsnext_backup_timestamp_seconds", "When the last verified backup was taken", delivery.last_backup()),
        ):
            if moment is not None:
                yield GaugeMetricFamily(name, words, value=moment.timestamp())
        failing = 0 if incoming.failing() is None else 1
        yield GaugeMetricFamily("whatsnext_mailbox_failing", "1 if the mailbox of answers is silent", value=failing)


def _mails(now: float) -> Iterator[Metric]:
    """How many mails are in each state (sent and failed only grow), and how long the oldest waits."""
    mails = GaugeMetricFamily("whatsnext_mails", "Mails by state", labels=["state"])
    by_state = delivery.by_state()
    for state in MessageState:
        mails.add_metric([state.value], by_state[state])
    yield mails
    owed, due = delivery.oldest_owed(), delivery.oldest_due(clock.now())
    age = GaugeMetricFamily("whatsnext_oldest_owed_seconds", "Age of the mail that is owed for longest, 0 if none")
    age.add_metric([], max(now - owed.timestamp(), 0) if owed else 0)
    yield age
    wait = GaugeMetricFamily("whatsnext_oldest_due_seconds", "How long the mail longest due waits for a worker")
    wait.add_metric([], max(now - due.timestamp(), 0) if due else 0)
    yield wait
