"""Mails about talks of several parts: what they say, what their calendar holds, and in which order they go."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.calendars.samples import event_lines
from tests.factories import NOON, Make
from tests.mail.worlds import change, send_all
from whatsnext.db import db, write
from whatsnext.mail import deliver
from whatsnext.mail.compose import compose
from whatsnext.mail.mime import Letter
from whatsnext.models import Event, Kind, Message, MessageState, Mode, Registration
from whatsnext.services import differences, events, invitations, rescheduling
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

FIRST = datetime(2026, 3, 16, 18, 0)
WEEK = timedelta(weeks=1)


def evenings(make: Make, **given: object) -> Event:
    return make.event(starts_local=FIRST, further=(FIRST + WEEK,), title="Register", places_online=5, **given)


def course(make: Make) -> Event:
    return make.event(starts_local=FIRST, every=1, times=4, title="Register", places_online=5)


def invite(make: Make, talk: Event, language: str = "de") -> Registration:
    own = make.registration(talk, sequence=None, mode=Mode.ONLINE, language=language)
    with write():
        invitations.invite(own, Kind.INVITATION, NOON)
    return own


def owed() -> list[Message]:
    return list(db.session.query(Message).filter_by(state=MessageState.OWED).order_by(Message.id))


def letter(message: Message) -> Letter:
    with write():
        return compose(message, NOON)


def lines(message: Message, *names: str) -> list[str]:
    calendar = letter(message).calendar
    assert calendar is not None
    return [line for line in event_lines(calendar[1]) if line.startswith(names)]


def test_each_irregular_part_has_a_mail_that_says_which_it_is_and_lists_all(make: Make) -> None:
    talk = evenings(make)
    invite(make, talk)
    first, second = owed()
    assert [letter(message).subject for message in (first, second)] == [
        "Einladung: Register (Teil 1 von 2), Mo. 16.3., 18:00 Uhr",
        "Einladung: Register (Teil 2 von 2), Mo. 23.3., 18:00 Uhr",
    ]
    for words in (
        "Register (Teil 2 von 2)",
        "Wann: Mo., 23. März 2026, 18:00–19:30 Uhr (Berlin)",
        "Alle Teile",
        "Teil 1: Mo., 16. März 2026, 18:00–19:30 Uhr (Berlin)",
        "Teil 2: Mo., 23. März 2026, 18:00–19:30 Uhr (Berlin)",
    ):
        assert words in letter(second).text
    assert lines(second, "UID", "SUMMARY", "DTSTART", "RRULE", "RECURRENCE-ID") == [
        "DTSTART;TZID=Europe/Berlin:20260323T180000",
        "SUMMARY:Register (Teil 2 von 2)",
        f"UID:{talk.parts[1].uid}",
    ]


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.PROMOTION, Kind.UPDATE])
def test_the_mail_of_one_part_does_not_say_that_declining_it_gives_up_the_place(make: Make, kind: Kind) -> None:
    talk, single = evenings(make), make.event()
    own = make.registration(talk, sequence=0)
    for part_id, about in ((talk.parts[0].id, own), (None, make.registration(single, sequence=0))):
        make.message(kind, about, part_id=part_id, sequence=0)
    part, whole = (letter(message) for message in owed())
    for text in (part.text, part.html):
        assert "Ihren Platz für die anderen" in text
        assert "gibt Ihren Platz frei" not in text
    assert "für die anderen" not in whole.text


def test_a_course_is_one_mail_with_its_rule(make: Make) -> None:
    talk = course(make)
    invite(make, talk, "en")
    (message,) = owed()
    assert "When: Mon 16 March 2026, 18:00–19:30 (Berlin) (4 parts, every week)" in letter(message).text
    assert lines(message, "UID", "SUMMARY", "DTSTART", "RRULE") == [
        "DTSTART;TZID=Europe/Berlin:20260316T180000",
        "RRULE:FREQ=WEEKLY;COUNT=4;INTERVAL=1",
        "SUMMARY:Register",
        f"UID:{talk.uid}",
    ]


def test_a_moved_part_of_a_course_travels_alone(make: Make) -> None:
    talk = course(make)
    make.registration(talk, mode=Mode.ONLINE)
    with write():
        event = events.get(talk.id)
        moved = (Part(), Part(starts_local=FIRST + WEEK + timedelta(days=1)), Part(), Part())
        draft = replace(Draft.of(event), parts=moved)
        rescheduling.save_and_tell(talk.id, draft, event.version, NOON, expected=1)
    (message,) = owed()
    assert letter(message).subject == "Geändert: Register (Teil 2 von 4) – jetzt Di. 24.3., 18:00 Uhr"
    text = letter(message).text
    assert "Di., 24. März 2026, 18:00–19:30 Uhr (Berlin) (bisher: Mo., 23. März 2026, 18:00–19:30 Uhr (Berlin))" in text
    assert lines(message, "SEQUENCE", "RECURRENCE-ID", "DTSTART", "RRULE", "SUMMARY") == [
        "DTSTART;TZID=Europe/Berlin:20260324T180000",
        "RECURRENCE-ID;TZID=Europe/Berlin:20260323T180000",
        "SEQUENCE:1",
        "SUMMARY:Register",
    ]


@pytest.mark.parametrize("shape", [evenings, course])
def test_a_part_that_is_off_is_taken_out_alone(make: Make, shape) -> None:
    talk = shape(make)
    make.registration(talk, mode=Mode.ONLINE)
    with write():
        rescheduling.cancel_part(talk.id, 2, "Der Raum ist gesperrt.", talk.version, NOON, expected=1)
    (message,) = owed()
    composed = letter(message)
    assert composed.calendar is not None
    assert composed.calendar[0] == "CANCEL"
    for words in (
        "Dieser Teil der Veranstaltung fällt aus. Die anderen Teile bleiben.",
        "Der Raum ist gesperrt.",
        "Teil 2: Mo., 23. März 2026, 18:00–19:30 Uhr (Berlin), abgesagt",
    ):
        assert words in composed.text
    recurrence = [] if shape is evenings else ["RECURRENCE-ID;TZID=Europe/Berlin:20260323T180000"]
    assert lines(message, "UID", "STATUS", "SEQUENCE", "RECURRENCE-ID") == [
        *recurrence,
        "SEQUENCE:1",
        "STATUS:CANCELLED",
        f"UID:{talk.parts[1].uid}",
    ]


def test_a_part_that_left_the_rule_waits_for_the_course(make: Make, sent) -> None:
    talk = course(make)
    change(
        talk.parts[1], starts_local=FIRST + WEEK + timedelta(hours=1), starts_at=talk.parts[1].starts_at + WEEK / 168
    )
    invite(make, talk)
    whole, alone = owed()
    with write():
        claims = deliver.claim()
    assert [each.id for each in claims] == [whole.id, alone.id]
    with write():
        assert deliver.prepare(claims[1], NOON) is None
    assert [message.id for message in owed()] == [alone.id]
    assert owed()[0].not_before < db.session.get(Message, whole.id).not_before
    with write():
        deliver.put_off(claims[0], "later")
    change(whole, not_before=NOON)
    change(alone, not_before=NOON)
    assert [mail.subject for mail in sent()] == [
        "Einladung: Register, Mo. 16.3., 18:00 Uhr",
        "Einladung: Register (Teil 2 von 4), Mo. 23.3., 19:00 Uhr",
    ]


def test_an_older_mail_about_the_course_does_not_go_after_a_newer_one_about_all(make: Make) -> None:
    talk = course(make)
    own = make.registration(talk, mode=Mode.ONLINE, sequence=3)
    old = make.message(
        Kind.UPDATE, own, part_id=talk.parts[1].id, sequence=2, facts={"before": differences.facts(talk)}
    )
    make.message(Kind.UPDATE, own, sequence=3, state=MessageState.SENT)
    send_all()
    db.session.refresh(old)
    assert old.state is MessageState.SUPERSEDED
