"""Answers of calendars to one of several parts: the place stays, unless nothing of the talk would be left."""

from datetime import datetime, timedelta

from flask import Flask

from tests.factories import Make
from tests.services.test_parts import call_off, course, two_evenings
from tests.services.test_replies import Post, answers, standing
from whatsnext.db import db, write
from whatsnext.models import Kind, PartStat, Reason, Registration, Status
from whatsnext.services import answers as all_answers
from whatsnext.services import invitations, replies


def invited(make: Make, talk) -> Registration:
    """Someone whose calendar has got every part; the mails count as sent."""
    registration = make.registration(talk, sequence=None)
    with write():
        invitations.invite(registration, Kind.INVITATION, datetime(2026, 1, 5, 12, tzinfo=talk.created_at.tzinfo))
    return registration


def said(registration: Registration) -> list[PartStat]:
    return [all_answers.partstat(registration, part) for part in registration.event.parts]


def test_each_irregular_part_is_answered_for_itself(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    first, second = (part.uid for part in ada.event.parts)
    assert post.take(answers(ada, uid=second, at=2)) == ("acted", "")
    assert post.take(answers(ada, "TENTATIVE", uid=first, at=1)) == ("acted", "")
    assert (said(ada), standing(ada)) == (
        [PartStat.TENTATIVE, PartStat.ACCEPTED],
        (Status.CONFIRMED, PartStat.ACCEPTED),
    )
    assert post.take(answers(ada, "DECLINED", uid=second, at=2)) == ("aside", Reason.REPLAYED)


def test_declining_one_part_keeps_the_place_and_shows_it_to_the_organisers(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    assert post.take(answers(ada, "DECLINED", uid=ada.event.parts[0].uid)) == ("acted", "one_part")
    assert post.last.part is ada.event.parts[0]
    assert standing(ada) == (Status.CONFIRMED, PartStat.NEEDS_ACTION)


def test_declining_every_part_gives_the_place_up_and_accepting_one_takes_it_back(app: Flask, make: Make, owed) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    first, second = (part.uid for part in ada.event.parts)
    post.take(answers(ada, "DECLINED", uid=second))
    assert post.take(answers(ada, "DECLINED", uid=first)) == ("acted", "")
    assert standing(ada) == (Status.CANCELLED, PartStat.DECLINED)
    assert owed() == [(Kind.CANCELLATION, ada), (Kind.CANCELLATION, ada)]
    assert post.take(answers(ada, "ACCEPTED", uid=first, at=2)) == ("acted", "")
    assert standing(ada) == (Status.CONFIRMED, PartStat.ACCEPTED)
    assert owed() == [(Kind.INVITATION, ada), (Kind.INVITATION, ada)]


def test_a_part_that_is_off_no_longer_counts(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    first, second = (part.uid for part in ada.event.parts)
    call_off(ada.event, 1)
    assert post.take(answers(ada, "DECLINED", uid=first)) == ("aside", "talk_off")
    assert post.take(answers(ada, "DECLINED", uid=second)) == ("acted", "")
    assert standing(ada)[0] is Status.CANCELLED


def test_one_part_of_a_course_is_named_by_its_instant_or_its_day(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, course(make))
    third = ada.event.parts[2]
    for minute, named in enumerate(
        (
            {"recurrence": "20260330T160000Z", "recurrence_at": third.starts_at},
            {"recurrence": "20260330T180000", "recurrence_at": None},
        ),
        start=1,
    ):
        assert post.take(answers(ada, "DECLINED", at=minute, **named)) == ("acted", "one_part")
        assert post.last.part is third
    assert said(ada) == [PartStat.NEEDS_ACTION, PartStat.NEEDS_ACTION, PartStat.DECLINED]
    no_part = {"recurrence": "20260331T160000Z", "recurrence_at": third.starts_at + timedelta(days=1)}
    assert post.take(answers(ada, at=3, **no_part)) == ("aside", "other_attendee")


def test_a_course_is_answered_as_a_whole(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, course(make))
    assert post.take(answers(ada)) == ("acted", "")
    assert standing(ada) == (Status.CONFIRMED, PartStat.ACCEPTED)
    assert post.take(answers(ada, "DECLINED", at=2)) == ("acted", "")
    assert standing(ada) == (Status.CANCELLED, PartStat.DECLINED)


def test_a_change_of_one_part_makes_no_answer_to_another_old(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    first = ada.event.parts[0].uid
    call_off(ada.event, 2)
    assert db.session.get(Registration, ada.id).sequence == 1
    assert post.take(answers(ada, uid=first)) == ("acted", "")


def test_a_proposal_for_one_part_is_answered_for_this_part(app: Flask, make: Make) -> None:
    post, ada = Post(), invited(make, two_evenings(make))
    second = ada.event.parts[1]
    proposal = {"proposed_start": second.starts_at + timedelta(hours=1)}
    assert post.take(answers(ada, method="COUNTER", uid=second.uid, **proposal)) == ("acted", "counter")
    with write():
        message = replies.decline_counter(post.last.id, ada.event.created_at)
    assert (message.kind, message.part) == (Kind.COUNTER_DECLINED, second)
