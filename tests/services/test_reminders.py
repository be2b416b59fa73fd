"""Reminders: in time, once, to whoever has a place, right across a change of the clocks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from tests.mail.worlds import change, send_all
from whatsnext.db import db, write
from whatsnext.errors import RemindersUnreadable
from whatsnext.models import Kind, Message, MessageState, Mode, Reminder, Status
from whatsnext.services import drafts, registrations, reminders, rescheduling, restored

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def run(*moments):
    """The job at these moments, one after the other; how many mails each has owed."""
    owed = []
    for moment in moments:
        with write():
            owed.append(reminders.remind(moment))
    return owed


def noted():
    rows = sa.select(Reminder.registration_id, Reminder.minutes, Reminder.day)
    return sorted(map(tuple, db.session.execute(rows)))


def test_one_day_and_one_hour_before_each_confirmed_person_is_reminded_once(make, owed):
    talk = make.event()
    ada, linus = make.registration(talk, Status.CONFIRMED), make.registration(talk, Status.CONFIRMED)
    for status in (Status.HELD, Status.WAITING, Status.OFFERED, Status.CANCELLED, Status.EXPIRED):
        make.registration(talk, status)
    start = talk.starts_at
    assert run(NOON, start - DAY - MINUTE, start - DAY, start - DAY, start - DAY + MINUTE) == [0, 0, 2, 0, 0]
    assert owed() == [(Kind.REMINDER, ada), (Kind.REMINDER, linus)]
    assert run(start - HOUR - MINUTE, start - HOUR, start - HOUR + MINUTE, start, start + HOUR) == [0, 2, 0, 0, 0]
    assert noted() == [(one.id, minutes, date(2026, 1, 19)) for one in (ada, linus) for minutes in (60, 1440)]


def test_a_reminder_is_of_no_use_once_the_talk_has_begun(make, at):
    talk = make.event()
    make.registration(talk)
    run(NOON, talk.starts_at - HOUR)
    (message,) = db.session.scalars(sa.select(Message))
    assert message.best_before == talk.starts_at
    at(talk.starts_at)
    assert send_all() == 0
    assert message.state is MessageState.LAPSED


def test_the_first_run_makes_up_for_nothing(make):
    talk = make.event()
    make.registration(talk)
    assert run(talk.starts_at - HOUR / 2, talk.starts_at - MINUTE) == [0, 0]


def test_a_worker_that_was_down_makes_up_for_the_last_reminder_only(make):
    talk = make.event()
    mine = make.registration(talk)
    assert run(NOON, talk.starts_at - HOUR / 2, talk.starts_at - MINUTE) == [0, 1, 0]
    assert noted() == [(mine.id, 60, date(2026, 1, 19)), (mine.id, 1440, date(2026, 1, 19))]


def test_after_a_restore_nothing_is_made_up_for(make):
    talk = make.event()
    make.registration(talk)
    run(NOON)
    with write():
        restored.hold_everything()
    assert run(talk.starts_at - 2 * HOUR, talk.starts_at - HOUR) == [0, 1]


def test_a_clock_that_jumps_back_reminds_nobody_twice(make):
    talk = make.event()
    make.registration(talk)
    start = talk.starts_at
    assert run(NOON, start - DAY, start - DAY - HOUR, start - DAY, start - DAY + MINUTE) == [0, 1, 0, 0, 0]


def test_who_got_the_place_after_the_time_of_the_reminder_has_just_been_invited(make):
    talk = make.event()
    make.registration(talk, confirmed_at=talk.starts_at - DAY + HOUR)
    assert run(NOON, talk.starts_at - DAY + 2 * HOUR, talk.starts_at - HOUR) == [0, 0, 1]


def test_who_gives_up_the_place_before_the_mail_went_out_gets_none(make, app, at):
    talk = make.event()
    mine = make.registration(talk)
    at(talk.starts_at - DAY)
    run(NOON, talk.starts_at - DAY)
    with write():
        registrations.cancel(mine.id, talk.starts_at - DAY)
    assert send_all() == 1
    states = db.session.execute(sa.select(Message.kind, Message.state).order_by(Message.id)).all()
    assert [tuple(row) for row in states] == [
        (Kind.REMINDER, MessageState.SUPERSEDED),
        (Kind.CANCELLATION, MessageState.SENT),
    ]


def test_who_comes_back_is_not_reminded_again(make):
    talk = make.event()
    mine = make.registration(talk)
    start = talk.starts_at
    run(NOON, start - DAY)
    with write():
        registrations.cancel(mine.id, start - DAY)
    with write():
        registrations.undo(mine.id, start - DAY)
    change(mine, confirmed_at=NOON)
    assert run(start - DAY + MINUTE, start - HOUR) == [0, 1]


def move(talk, days, hours=0, now=NOON):
    draft = drafts.Draft.of(talk)
    draft = replace(draft, starts_local=talk.starts_local + timedelta(days=days, hours=hours))
    told = rescheduling.preview(talk, draft, now).told
    with write():
        rescheduling.save_and_tell(talk.id, draft, talk.version, now, expected=told)


@pytest.mark.parametrize(
    ("days", "hours", "again"), [(0, 2, 0), (-1, 5, 0), (1, 0, 1), (7, 0, 1)], ids=["later", "earlier", "next", "week"]
)
def test_a_talk_that_moves_reminds_again_only_for_a_later_day(make, days, hours, again):
    """The day before its first date it moves; of the reminders of that day only a later day makes a second one."""
    talk = make.event()
    make.registration(talk)
    moved_at = talk.starts_at - DAY
    assert run(NOON, moved_at) == [0, 1]
    move(talk, days, hours, now=moved_at)
    hourly = [moved_at + step * HOUR for step in range(1, int((talk.starts_at - moved_at) / HOUR) + 1)]
    assert sum(run(*hourly)) == again + 1
    reminded = list(db.session.scalars(sa.select(Reminder.minutes)))
    assert (reminded.count(1440), reminded.count(60)) == (1 + again, 1)


def test_a_reminder_that_is_not_out_when_the_talk_moves_to_another_day_is_not_sent(make, at):
    talk = make.event()
    make.registration(talk)
    at(talk.starts_at - DAY)
    run(NOON, talk.starts_at - DAY)
    move(talk, 7, now=talk.starts_at - DAY)
    assert send_all() == 1
    assert db.session.scalars(sa.select(Message.state).where(Message.kind == Kind.REMINDER)).all() == ["superseded"]


def test_a_talk_called_off_reminds_nobody(make):
    talk = make.event()
    make.registration(talk)
    with write():
        rescheduling.cancel(talk.id, "krank", talk.version, NOON, expected=1)
    assert run(NOON, talk.starts_at - DAY, talk.starts_at - HOUR) == [0, 0, 0]


@pytest.mark.parametrize(
    ("starts", "minutes", "due"),
    [
        (datetime(2026, 3, 29, 14), 1440, datetime(2026, 3, 28, 13, tzinfo=UTC)),  # clocks go forward in that night
        (datetime(2026, 10, 25, 14), 1440, datetime(2026, 10, 24, 12, tzinfo=UTC)),  # and back
        (datetime(2026, 3, 29, 3, 30), 60, datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),  # 2:30 there is none
        (datetime(2026, 10, 25, 3, 30), 120, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # 2:30 comes twice
        (datetime(2026, 3, 30, 2, 30), 1440, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # the day before has no 2:30
        (datetime(2026, 7, 1, 14), 1500, datetime(2026, 6, 30, 11, tzinfo=UTC)),
    ],
)
def test_a_day_is_a_day_of_the_calendar_and_an_hour_is_an_hour(make, starts, minutes, due):
    talk = make.event(starts_local=starts)
    occasion = reminders.Occasion(talk, None, talk.starts_local, talk.fold, talk.starts_at)
    assert reminders.due_at(occasion, minutes) == due


def test_across_a_change_of_the_clocks_the_reminder_comes_at_the_same_time_by_the_clock(make):
    talk = make.event(starts_local=datetime(2026, 3, 29, 14))
    make.registration(talk)
    assert run(NOON, datetime(2026, 3, 28, 12, 59, tzinfo=UTC), datetime(2026, 3, 28, 13, tzinfo=UTC)) == [0, 0, 1]


@pytest.mark.parametrize(
    ("typed", "kept"), [("60, 1440", "1440,60"), ("", ""), (" 60;60 , 5 ", "60,5"), ("43200", "43200")]
)
def test_what_organisers_type_is_kept_longest_first(typed, kept):
    assert reminders.kept(typed) == kept


@pytest.mark.parametrize("typed", ["ein Tag", "0", "-5", "43201", "1,2,3,4,5,6", "1.5", "٣"])
def test_other_words_are_refused(typed):
    with pytest.raises(RemindersUnreadable):
        reminders.kept(typed)


def test_a_series_without_reminders_sends_none(make):
    talk = make.event(series=make.series(reminders=""))
    make.registration(talk)
    assert run(NOON, talk.starts_at - DAY, talk.starts_at - HOUR) == [0, 0, 0]


def test_the_statements_are_as_many_for_three_people_as_for_one(make, query_count):
    counts = []
    for people in (1, 3):
        talk = make.event()
        for _number in range(people):
            make.registration(talk)
        run(NOON - HOUR)
        with query_count() as queries:
            run(talk.starts_at - HOUR / 2)
        counts.append(len(queries))
        change(talk, state="cancelled")
        with write():
            db.session.execute(sa.text("DELETE FROM job_run"))
    assert counts[0] == counts[1]


def test_the_mail_begins_with_the_place_and_says_who_waits(make, sent, at):
    talk = make.event(title="Register", places_on_site=1, places_online=9)
    there = make.registration(talk, mode=Mode.ON_SITE)
    online = make.registration(talk, mode=Mode.ONLINE, language="en")
    for _number in range(8):
        make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    at(talk.starts_at - DAY)
    run(NOON, talk.starts_at - DAY)
    texts = {mail.recipients[0]: (mail.subject, mail.part("text/plain")) for mail in sent()}
    subject, text = texts[there.person.email]
    assert subject == "Morgen: Register, 14:00 Uhr"
    assert text.splitlines()[0] == "Ort: Beispielstraße 1, 10115 Berlin"
    assert "Verhindert? Platz abgeben: 8 Personen warten." in text
    assert "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)" in text
    subject, text = texts[online.person.email]
    assert subject == "Tomorrow: Register, 14:00"
    assert text.splitlines()[0] == "Join online: https://video.behoerde.example/raum"
    assert "Can you not come? Give up your place, so that someone else can have it." in text


def test_each_part_that_takes_place_is_reminded_of(make, owed):
    first = datetime(2026, 1, 19, 14)
    course = make.event(starts_local=first, every=1, times=3)
    ada = make.registration(course)
    with write():
        rescheduling.cancel_part(course.id, 2, "krank", course.version, NOON, expected=1)
    start = course.starts_at
    week = 7 * DAY
    assert run(NOON, start - DAY, start - HOUR, start + week - DAY, start + 2 * week - DAY) == [0, 1, 1, 0, 1]
    reminded = db.session.scalars(sa.select(Message).where(Message.kind == Kind.REMINDER).order_by(Message.id)).all()
    assert [(one.registration_id, one.part.position) for one in reminded] == [(ada.id, 1), (ada.id, 1), (ada.id, 3)]
    assert reminded[-1].best_before == start + 2 * week


def test_two_parts_of_one_day_are_one_to_be_reminded_of_the_day_before_and_two_the_hour_before(make, owed):
    morning = datetime(2026, 1, 19, 10)
    talk = make.event(starts_local=morning, further=(morning + 6 * HOUR,))
    ada = make.registration(talk)
    one, two = (part.starts_at for part in talk.parts)
    assert run(NOON, one - DAY, two - DAY, one - HOUR, one, two - HOUR, two - HOUR, two) == [0, 1, 0, 1, 0, 1, 0, 0]
    numbers = db.session.scalars(sa.select(Reminder.position).order_by(Reminder.minutes, Reminder.position)).all()
    assert numbers == [1, 2, 0]
    assert owed() == [(Kind.REMINDER, ada)] * 3


def test_the_reminder_of_a_part_names_it_and_its_own_time(make, at, sent):
    first = datetime(2026, 1, 19, 14)
    talk = make.event(title="Register", starts_local=first, further=(datetime(2026, 1, 20, 9),))
    make.registration(talk)
    later = talk.parts[1].starts_at
    run(later - DAY - MINUTE, later - DAY)
    at(later - DAY)
    (mail,) = sent()
    assert mail.subject == "Morgen: Register (Teil 2 von 2), 9:00 Uhr"


def test_a_part_called_off_before_the_mail_went_out_is_not_reminded_of(make, at):
    first = datetime(2026, 1, 19, 14)
    course = make.event(starts_local=first, every=1, times=3)
    make.registration(course)
    second = course.parts[1].starts_at
    at(second - DAY)
    run(NOON, second - DAY)
    with write():
        rescheduling.cancel_part(course.id, 2, "krank", course.version, second - DAY, expected=1)
    send_all()
    states = db.session.scalars(sa.select(Message.state).where(Message.kind == Kind.REMINDER)).all()
    assert states == [MessageState.SUPERSEDED]
