"""A copy of an installation, and an installation that has moved (safety.md O4)."""

import pytest

from tests.factories import NOON
from whatsnext.db import write
from whatsnext.models import Kind, MessageState
from whatsnext.services import mailings, overview, restored

OURS = "https://next.behoerde.example"


def start(address):
    with write():
        return restored.hold_if_moved(address)


@pytest.mark.parametrize(
    ("first", "second", "held"),
    [
        (OURS, OURS, 0),
        (OURS, f"{OURS}/", 0),
        (OURS, "https://test.behoerde.example", 1),
        (OURS, "http://next.behoerde.example", 1),
        (OURS, "http://127.0.0.1:8000", 1),
        ("http://127.0.0.1:8000", "http://localhost:9000", 0),
        ("http://127.0.0.1:8000", OURS, 1),
    ],
)
def test_unsent_mails_are_held_where_the_address_is_another_one(make, first, second, held):
    start(first)
    mail = make.message(Kind.INVITATION, make.registration(make.event()))
    before = mail.message_id
    assert [start(second), start(second)] == [held, 0]
    expected = (MessageState.HELD, restored.MOVED, True) if held else (MessageState.OWED, "", False)
    assert (mail.state, mail.error, mail.message_id != before) == expected


def test_the_first_start_holds_nothing(make):
    mail = make.message(Kind.INVITATION, make.registration(make.event()))
    assert (start(OURS), mail.state) == (0, MessageState.OWED)


def test_what_is_held_is_seen_and_released_or_given_up(make, owed):
    start(OURS)
    mine = make.registration(make.event())
    make.message(Kind.INVITATION, mine)
    make.message(Kind.WAITING, mine)
    start("https://test.behoerde.example")
    assert [(held.kind, held.number) for held in restored.held()] == [(Kind.INVITATION, 1), (Kind.WAITING, 1)]
    found = [todo for todo in overview.to_do([], [], NOON) if todo.need is not overview.Need.PAGES]
    assert [(todo.need, todo.number) for todo in found] == [(overview.Need.RESTORED, 2)]
    with write():
        assert restored.drop(NOON, [Kind.WAITING]) == 1
        assert restored.release(NOON) == 1
    assert owed() == [(Kind.INVITATION, mine)]


def test_what_an_organiser_has_paused_is_nothing_to_do_for_the_operator(make):
    make.message(
        Kind.ORGANISER_MESSAGE, make.registration(make.event()), state=MessageState.HELD, error=mailings.PAUSED
    )
    assert [
        todo for todo in overview.to_do([], [], NOON) if todo.need in (overview.Need.HELD, overview.Need.RESTORED)
    ] == []


def test_what_an_organiser_paused_stays_paused_and_what_the_brake_held_waits_with_the_rest(make):
    start(OURS)
    mine = make.registration(make.event())
    kept = {mailings.PAUSED: mailings.PAUSED, "": restored.HELD}
    mails = [
        make.message(Kind.ORGANISER_MESSAGE, mine, state=MessageState.HELD, error=reason, message_id=f"<{number}@x>")
        for number, reason in enumerate(kept)
    ]
    with write():
        assert restored.hold_everything() == 2
    assert [mail.error for mail in mails] == list(kept.values())
    assert not {"<0@x>", "<1@x>"} & {mail.message_id for mail in mails}
    with write():
        assert restored.release(NOON) == 1
    assert [mail.state for mail in mails] == [MessageState.HELD, MessageState.OWED]
