"""Hostile and broken mails: none stops the reader, none changes a registration, each is kept aside once.

MUTATED says how many mails with random wounds are read, MUTATED_SEED which.
"""

import os
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from config import Settings
from tests.databases import Database
from tests.factories import NOON, Make
from tests.figures import Figure
from tests.mail.inbox import hostile
from tests.mail.inbox.conftest import Reader
from tests.mail.inbox.shapes import Invited
from tests.servers import Dovecot
from whatsnext.db import db
from whatsnext.inbox import Clerk
from whatsnext.models import Incoming, Message, PartStat, Registration

NUMBER = 320
MUTATED = int(os.environ.get("MUTATED", "200"))
SEED = int(os.environ.get("MUTATED_SEED", "20270116"))
COPY = 65_536


def minute(number: int) -> datetime:
    return NOON + timedelta(seconds=number + 1)


def rows(table: type[Any]) -> list[Any]:
    db.session.rollback()
    return [tuple(row) for row in db.session.execute(sa.select(table.__table__).order_by(table.id))]


@pytest.fixture
def known(make: Make, invited: Callable[[Registration], Invited]) -> Invited:
    """Ada is invited, Grace too, and one waits for a place."""
    talk = make.event(places_on_site=2)
    ada = make.registration(talk, person=make.person(email="ada@behoerde.example"))
    make.registration(talk, person=make.person(email="grace@behoerde.example"))
    return invited(ada)


@pytest.fixture
def clerk(database: Database, app: Any) -> Any:
    clerk = Clerk(database.settings(authserv_id="mx.behoerde.example"))
    yield clerk
    clerk.close()


def test_three_hundred_hostile_mails_change_nothing_and_each_is_kept_aside_once(
    known: Invited, clerk: Clerk, figure: Figure
) -> None:
    before = rows(Registration), rows(Message)
    for turn in (1, 2):  # the second time every one is known
        for case in hostile.cases(known, NUMBER, minute):
            clerk.take(case.hurt, sender=case.sender, recipients=(case.recipient,))
            db.session.rollback()
        after = rows(Registration), rows(Message)
        figure("hostile mails", mails=NUMBER, changed=int(after != before))
        assert after == before, turn
    kept = db.session.execute(sa.select(Incoming.state, Incoming.reason, sa.func.length(Incoming.raw))).all()
    assert len(kept) == NUMBER
    assert {(state, bool(reason), 0 < size <= COPY) for state, reason, size in kept} == {("aside", True, True)}


def test_the_good_twin_of_each_is_understood(known: Invited, clerk: Clerk) -> None:
    understood = []
    for case in hostile.cases(known, NUMBER, minute):
        clerk.take(case.twin, sender=case.sender, recipients=(case.recipient,))
        db.session.rollback()
        ada = db.session.scalars(sa.select(Registration).where(Registration.arrival == 1)).one()
        understood.append((ada.partstat, ada.reply_stamp))
    answers = (PartStat.ACCEPTED, PartStat.TENTATIVE)
    assert understood == [(answers[n % 2], minute(n)) for n in range(NUMBER)]


def wounded(dice: random.Random, raw: bytes) -> bytes:
    """Some bytes flipped, cut out, doubled or put in."""
    for _wound in range(dice.choice((1, 1, 2, 5, 20))):
        start = dice.randrange(len(raw))
        end = min(len(raw), start + dice.choice((1, 1, 4, 40, 400)))
        way = dice.randrange(4)
        if way == 0:
            raw = raw[:start] + bytes([raw[start] ^ 1 << dice.randrange(8)]) + raw[start + 1 :]
        elif way == 1:
            raw = raw[:start] + raw[end:] or b" "
        elif way == 2:
            raw = raw[:end] + raw[start:]
        else:
            raw = raw[:start] + dice.choice(STRANGE) + raw[start:]
    return raw


STRANGE = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b'"',
    b"(((((",
    b"<",
    b"=?utf-8?B?",
    b"--x\r\n",
    b";" * 500,
    b"A" * 9000,
)


def test_mails_with_random_wounds_stop_nothing_and_touch_nobody_else(
    known: Invited, clerk: Clerk, figure: Figure
) -> None:
    """A wound may leave Ada's own answer an answer; whoever else is at the talk stays as they are."""
    dice = random.Random(SEED)
    cases = list(hostile.cases(known, 60, minute))
    before = rows(Registration)
    raws = [wounded(dice, dice.choice((case.hurt, case.twin))) for case in dice.choices(cases, k=MUTATED)]
    for raw in raws:
        clerk.take(raw, sender="ada@behoerde.example", recipients=(cases[0].recipient,))
        db.session.rollback()
    after = rows(Registration)
    kept = len(rows(Incoming))
    figure("mutated mails", mails=len(raws), changed=int(after[1:] != before[1:]))
    assert after[1:] == before[1:], f"seed {SEED}"
    assert 0 < kept <= len(set(raws))
    last = hostile.cases(known, NUMBER, lambda number: minute(number + 9000))
    clerk.take(next(last).twin, sender="ada@behoerde.example", recipients=(cases[0].recipient,))
    assert len(rows(Incoming)) == kept + 1, "the reader goes on"


def test_a_mailbox_full_of_them_is_read_to_its_end(
    known: Invited, dovecot: Dovecot, settings: Settings, mailbox: Reader
) -> None:
    mailbox.clerk.close()
    mailbox.clerk = Clerk(settings.model_copy(update={"authserv_id": "mx.behoerde.example"}))
    before = rows(Registration)
    hurt = list(hostile.cases(known, 90, minute))
    for case in hurt:
        dovecot.deliver(case.hurt, case.recipient)
    dovecot.deliver(hurt[0].twin, hurt[0].recipient)
    assert mailbox.visit() == 91
    assert mailbox.visit() == 0
    after = rows(Registration)
    assert after[1:] == before[1:]
    states = db.session.scalars(sa.select(Incoming.state).order_by(Incoming.id)).all()
    assert states == ["aside"] * 90 + ["acted"]


def test_25_megabytes_cost_no_more_than_their_header(
    known: Invited, clerk: Clerk, dovecot: Dovecot, mailbox: Reader
) -> None:
    case = next(hostile.cases(known, 1, minute))
    raw = hostile.WOUNDS["large"].__globals__["enormous"](None, case.twin, known)
    dovecot.deliver(raw, case.recipient)
    assert mailbox.visit() == 1
    kept = db.session.scalars(sa.select(Incoming)).one()
    assert (kept.state, kept.reason, kept.size > 25_000_000, len(kept.raw or b"") <= COPY) == (
        *("aside", "size"),
        *(True, True),
    )
    clerk.take(raw, sender=case.sender, recipients=(case.recipient,))
    assert len(rows(Incoming)) == 1
