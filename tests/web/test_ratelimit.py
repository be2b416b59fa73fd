"""How often a form may be sent, over all processes, and that nothing typed is lost (safety.md I8)."""

import threading
from datetime import timedelta

import pytest
from flask import g
from sqlalchemy import select

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import db
from whatsnext.errors import RateLimited
from whatsnext.models import RateLimit
from whatsnext.web import ratelimit


def spend(app, allowance=ratelimit.SIGN_IN, address="ada@behoerde.example", peer="192.0.2.1"):
    """Whether one more use is allowed for a request from this peer."""
    with app.test_request_context("/", method="POST", environ_base={"REMOTE_ADDR": peer}):
        g.language = "de"
        try:
            ratelimit.spend(allowance, address)
        except RateLimited:
            return False
        return True


def test_one_address_may_be_asked_for_five_times_in_a_quarter_of_an_hour(app, at):
    assert [spend(app, peer=f"192.0.{n}.1") for n in range(7)] == [True] * 5 + [False] * 2
    assert spend(app, address="grace@behoerde.example")
    at(NOON + timedelta(minutes=15))
    assert spend(app)


def test_one_network_is_counted_together(app):
    limit = ratelimit.BARRIER.per_network.amount
    assert all(spend(app, ratelimit.BARRIER, peer=f"192.0.2.{n}") for n in range(limit))
    assert not spend(app, ratelimit.BARRIER, peer="192.0.2.200")
    assert spend(app, ratelimit.BARRIER, peer="192.0.3.1")
    assert spend(app, ratelimit.CODE, peer="192.0.2.1")


def test_staff_behind_an_agency_s_exit_are_not_counted_together(make_app):
    app = make_app(exit_networks="192.0.2.0/28, 2001:db8::/32")
    with app.app_context():
        assert all(spend(app, ratelimit.BARRIER, peer="192.0.2.1") for _ in range(50))
        assert all(spend(app, ratelimit.BARRIER, peer="2001:db8::7") for _ in range(50))
        assert [spend(app, peer="192.0.2.1") for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
    ],
)
def test_a_network_is_a_24_or_a_48(app, peer, network):
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": peer}):
        assert ratelimit.network() == network


def test_changing_forwarded_addresses_help_nobody(client, make):
    answers = []
    for number in range(12):
        page = client.page("/report-barrier")
        action, values = page.form("/report-barrier").filled({"words": "Zu klein"})
        forwarded = {"X-Forwarded-For": f"198.51.{number}.1"}
        answers.append(client.post(action, data=values, headers=forwarded).status_code)
    assert answers == [303] * 10 + [429] * 2


def test_a_refusal_says_when_it_works_again_and_keeps_what_was_typed(client):
    for _ in range(10):
        client.submit("/report-barrier", {"words": "Zu klein"}, form="/report-barrier")
    answer = client.submit("/report-barrier", {"words": "Der Kontrast fehlt."}, form="/report-barrier")
    page = Page(answer)
    assert (page.status, answer.headers["Retry-After"]) == (429, "3600")
    assert "Zu viele Versuche. Ab 14:00 Uhr (Berlin) wieder." in page.text
    assert "Der Kontrast fehlt." in page.html
    assert "14:00 (Berlin)" in client.submit("/en/report-barrier", {"words": "x"}, form="/en/report-barrier").text


def test_the_table_holds_no_address(app):
    spend(app)
    kept = " ".join(db.session.scalars(select(RateLimit.key)))
    assert [word for word in ("ada", "behoerde", "192.0.2") if word in kept] == []


def test_exactly_five_of_forty_at_once_pass(app):
    passed = []

    def run():
        with app.app_context():
            passed.extend(spend(app) for _ in range(10))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (passed.count(True), len(passed)) == (5, 40)


def test_counters_can_be_cleared(app):
    storage = ratelimit._limiter.storage
    with app.test_request_context("/"):
        assert storage.check()
        assert (storage.incr("key", 60), storage.get("key"), storage.get("other")) == (1, 1, 0)
        assert storage.get_expiry("other") == NOON.timestamp()
        storage.clear("key")
        db.session.rollback()
        assert storage.get("key") == 0
        storage.incr("key", 60)
        assert storage.reset() == 1
