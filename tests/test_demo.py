"""The sample series."""

from sqlalchemy import select

from config import DEMO_MARK
from tests.factories import NOON
from whatsnext import demo, jobs
from whatsnext.db import db
from whatsnext.mail import maildir, wire
from whatsnext.models import Event, EventState, Kind, Message, MessageState, Registration, Status, Theme
from whatsnext.services import waiting_list


def _fill() -> None:
    courier = wire.Courier()
    demo.fill(NOON, lambda: jobs.deliver_due(courier))
    courier.close()


def test_the_demo_shows_every_state_a_talk_can_be_in(make):
    assert not demo.is_filled()
    _fill()
    assert demo.is_filled()
    talks = db.session.scalars(select(Event).order_by(Event.starts_at)).all()
    assert [talk.state for talk in talks].count(EventState.CANCELLED) == 1
    assert [talk.state for talk in talks].count(EventState.DRAFT) == 1
    assert sum(talk.ends_at < NOON for talk in talks) == 3
    assert [talk.title for talk in talks if talk.previous_starts_at] == ["Cloud-Verträge ohne Lock-in"]
    assert db.session.scalars(select(Theme.name).order_by(Theme.id)).all() == [
        "Blockchain",
        "Cloud Computing",
        "Data Analytics / Big Data",
    ]
    assert len({talk.host_id for talk in talks}) == 6


def test_the_full_talk_has_a_line_that_has_moved_once(make):
    _fill()
    full = select(Registration.status).join(Event).where(Event.title == demo.FULL.title, Registration.mode == "on_site")
    line = db.session.scalars(full.order_by(Registration.arrival)).all()
    assert line == [Status.CONFIRMED, Status.CANCELLED] + [Status.CONFIRMED] * 5 + [Status.WAITING] * 3


def test_one_talk_is_fully_booked_with_people_in_line(make):
    _fill()
    booked = db.session.scalars(select(Event).where(Event.title == demo.BOOKED.title)).one()
    places = waiting_list.places([booked])[booked.id]
    assert [(each.free, each.waiting) for each in places.values()] == [(0, 3)]


def test_one_is_a_course_of_three_afternoons_of_working_days(make):
    _fill()
    course = db.session.scalars(select(Event).where(Event.part_count > 1)).one()
    assert course.repeat_weeks == 1
    days = [part.starts_local.date() for part in course.parts]
    assert [(day - days[0]).days for day in days] == [0, 7, 14]
    assert all(day.weekday() < 5 and (day.month, day.day) not in demo.HOLIDAYS for day in days)


def test_the_agenda_is_in_the_language_of_its_talk(make):
    _fill()
    agendas = db.session.execute(select(Event.language, Event.agenda).where(Event.part_count == 1).distinct()).all()
    assert sorted(map(tuple, agendas)) == sorted(demo.AGENDAS.items())


def test_the_mails_of_the_demo_lie_in_the_maildir(make_app):
    db.session.rollback()
    with make_app(mail_server="", mail_default_sender="").app_context():
        _fill()
        kept = maildir.newest()
    sent = db.session.scalars(select(Message).where(Message.state == MessageState.SENT)).all()
    assert {message.kind for message in sent} == {
        Kind.CONFIRMATION_REQUEST,
        Kind.INVITATION,
        Kind.PROMOTION,
        Kind.WAITING,
        Kind.UPDATE,
        Kind.CANCELLATION,
        Kind.EVENT_CANCELLATION,
    }
    assert db.session.scalars(select(Message.id).where(Message.state == MessageState.OWED)).all() == []
    assert len(kept) == sum(bool(message.subject) for message in sent)


def test_the_mails_of_the_demo_go_nowhere_even_if_a_mail_server_is_set(app, make, smtp, sent):
    """A server that was running before the samples came must not send them to anybody."""
    mark = app.config["SETTINGS"].instance / DEMO_MARK
    make.message(Kind.NEW_LINK, make.registration(make.event()))
    mark.touch()
    try:
        assert sent() == []
        assert len(maildir.newest()) == 1
    finally:
        mark.unlink()
    make.message(Kind.NEW_LINK, make.registration(make.event()))
    assert len(sent()) == 1
