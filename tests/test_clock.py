"""Now is what the database says, whatever date the machine has (safety.md R7)."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import NOON
from whatsnext import clock
from whatsnext.db import database_now, db, write
from whatsnext.models import Mode, Registration
from whatsnext.services import holds, signup
from whatsnext.services.signup import Wish

NEAR = timedelta(minutes=1)


def machine():
    return datetime.fromtimestamp(time.time(), UTC)


@pytest.fixture
def elapsed(monkeypatch):
    """Seconds since the machine was started, to be set; nobody has asked the database yet."""
    passed = [1000.0]
    monkeypatch.setattr(clock, "_elapsed", lambda: passed[0])
    monkeypatch.setattr(clock, "_of_machine", lambda: machine() + timedelta(seconds=passed[0] - 1000))
    monkeypatch.setattr(clock._Database, "look", None)
    return passed


def test_between_two_looks_the_time_that_passes_is_added(elapsed):
    assert clock.wants_a_look()
    clock.follow(NOON)
    elapsed[0] += 30
    assert (clock.now(), clock.wants_a_look()) == (NOON + timedelta(seconds=30), False)
    elapsed[0] += 31
    assert clock.wants_a_look()
    clock.follow(NOON + timedelta(hours=1))
    assert (clock.now(), clock.wants_a_look()) == (NOON + timedelta(hours=1), False)


def test_a_date_that_somebody_sets_is_a_reason_to_look_at_once(elapsed, monkeypatch):
    clock.follow(NOON)
    assert not clock.wants_a_look()
    for hour in (-1, 1):
        monkeypatch.setattr(clock, "_of_machine", lambda hour=hour: machine() + timedelta(hours=hour))
        assert clock.wants_a_look()


def test_a_process_that_only_reads_follows_too(app, client, make, monkeypatch):
    talk = make.event(starts_local=datetime(2127, 1, 20, 14))
    monkeypatch.undo()
    monkeypatch.setattr(clock._Database, "look", None)
    clock.follow(NOON)
    monkeypatch.setattr(clock, "LOOK_AGAIN", -1.0)
    assert client.get(f"/events/{talk.slug}").status_code == 200
    assert abs(clock.now() - machine()) < NEAR


def test_before_the_first_look_the_machine_tells(elapsed):
    assert abs(clock.now() - machine()) < NEAR


@pytest.mark.parametrize("wrong", [timedelta(hours=-2), timedelta(hours=2), timedelta(days=-1), timedelta(days=1)])
def test_a_web_server_with_a_wrong_date_lets_no_hold_end_early_or_late(app, make, monkeypatch, wrong):
    monkeypatch.undo()  # the clock of the tests: this one looks at the real ones
    monkeypatch.setattr(clock, "_of_machine", lambda: machine() + wrong)
    monkeypatch.setattr(clock._Database, "look", None)
    talk = make.event(starts_local=datetime(2127, 1, 20, 14))
    ada = Wish(name="Ada", email="ada@behoerde.example", agency="Landesamt", mode=Mode.ON_SITE, form_key="k")
    with write():
        signup.sign_up(talk.slug, ada, None, clock.now())
    with write():
        now = database_now()
        held = db.session.query(Registration).one()
        assert abs(held.hold_ends_at - (now + timedelta(hours=1))) < NEAR
        assert holds.expire_holds(now) == 0
