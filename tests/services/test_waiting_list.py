"""Places and the line, under any order of what people and organisers do (safety.md R1, R2)."""

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from tests.factories import NOON, Make
from whatsnext.db import db, write
from whatsnext.errors import AlreadyCancelled, EventFull, LineIsOver
from whatsnext.models import CancelledBy, Event, Kind, Message, MessageState, Mode, Person, Registration, Status
from whatsnext.services import holds, registrations, signup, waiting_list
from whatsnext.services.waiting_list import Places

MINUTE = timedelta(minutes=1)
PEOPLE = 7
ACTS = st.one_of(
    st.tuples(st.just("sign up"), st.integers(0, PEOPLE - 1), st.booleans()),
    st.tuples(st.just("confirm"), st.integers(0, PEOPLE - 1)),
    st.tuples(st.just("give up"), st.integers(0, PEOPLE - 1)),
    st.tuples(st.just("undo"), st.integers(0, PEOPLE - 1)),
    st.tuples(st.just("remove"), st.integers(0, PEOPLE - 1)),
    st.tuples(st.just("raise"), st.integers(1, 2)),
    st.tuples(st.just("expire"), st.integers(1, 90)),
)


class Story:
    """Acts one after the other on one talk, each in its own transaction, and checks what must hold after each."""

    def __init__(self, make: Make, places: int) -> None:
        self.event_id = make.event(places_on_site=places).id
        self.now = NOON
        self.key = 0

    def registration(self, number: int) -> Registration | None:
        return (
            db.session.query(Registration)
            .join(Person)
            .filter(Person.email == f"p{number}@behoerde.example", Registration.event_id == self.event_id)
            .one_or_none()
        )

    def act(self, name: str, *how: int) -> None:
        self.now += MINUTE
        try:
            with write():
                self.do(name, *how)
        except (AlreadyCancelled, EventFull, LineIsOver):
            pass

    def do(self, name: str, number: int = 0, waiting_ok: bool = True) -> None:
        registration = self.registration(number)
        if name == "sign up":
            self.key += 1
            slug = db.session.get_one(Event, self.event_id).slug
            wish = signup.Wish("P", f"p{number}@behoerde.example", "A", Mode.ON_SITE, waiting_ok=waiting_ok)
            signup.sign_up(slug, wish, None, self.now)
        elif name == "expire":
            self.now += number * MINUTE
            holds.expire_holds(self.now)
        elif name == "raise":
            event = waiting_list.lock(self.event_id)
            event.capacity_on_site += number
            waiting_list.fill(event, self.now)
        elif registration is not None:
            {
                "confirm": lambda: signup.confirm(registration.id, self.now, renew=True),
                "give up": lambda: registrations.cancel(registration.id, self.now),
                "remove": lambda: registrations.cancel(registration.id, self.now, by=CancelledBy.ORGANISER),
                "undo": lambda: registrations.undo(registration.id, self.now),
            }[name]()

    def check(self) -> None:
        event = db.session.get_one(Event, self.event_id)
        rows = db.session.query(Registration).filter_by(event_id=event.id).order_by(Registration.arrival).all()
        taken = [row for row in rows if row.status in waiting_list.TAKING]
        waiting = [row for row in rows if row.status is Status.WAITING and row.proved_at]
        assert len(taken) <= event.capacity_on_site
        assert not waiting or len(taken) == event.capacity_on_site
        assert len({row.arrival for row in rows}) == len(rows)
        assert all(row.proved_at for row in rows if row.status is Status.CONFIRMED)
        self.check_mails(rows)

    def check_mails(self, rows: list[Registration]) -> None:
        """Each person is owed at most one mail about a place that is true, beside the CANCEL of an earlier one."""
        owed = db.session.query(Message).filter_by(state=MessageState.OWED).all()
        for row in rows:
            kinds = [m.kind for m in owed if m.registration_id == row.id and m.kind in TELLING]
            assert len(kinds) <= 1
            assert set(kinds) <= TRUE.get(row.status, set())


TRUE = {Status.HELD: {Kind.CONFIRMATION_REQUEST}, Status.WAITING: {Kind.CONFIRMATION_REQUEST, Kind.WAITING}}
TRUE[Status.CONFIRMED] = {Kind.INVITATION, Kind.PROMOTION}
TELLING = set().union(*TRUE.values())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.integers(1, 3), acts=st.lists(ACTS, min_size=5, max_size=25))
def test_any_history_keeps_places_and_line(make_story, places, acts):
    story = make_story(places)
    for act in acts:
        story.act(*act)
        story.check()


def test_promotions_follow_the_order_of_arrival(make):
    story = Story(make, 2)
    for number in range(6):
        story.act("sign up", number)
    for number in (5, 3, 0, 1, 4, 2):
        story.act("confirm", number)
    for number in (1, 0, 2):
        story.act("give up", number)
    promoted = db.session.query(Message).filter_by(kind=Kind.PROMOTION).order_by(Message.id).all()
    assert [message.recipient for message in promoted] == [f"p{n}@behoerde.example" for n in (2, 3, 4)]


def test_places_are_counted_apart_by_one_query(make, query_count):
    talk = make.event(places_on_site=2, places_online=5)
    other = make.event(places_on_site=1)
    make.registration(talk, Status.CONFIRMED, mode=Mode.ON_SITE)
    make.registration(talk, Status.HELD, mode=Mode.ON_SITE)
    make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    make.registration(talk, Status.CANCELLED, mode=Mode.ONLINE)
    make.registration(other, Status.OFFERED)
    events = [talk, other]
    _loaded = [(event.id, event.on_site) for event in events]
    with query_count() as queries:
        counted = waiting_list.places(events)
    assert len(queries) == 1
    assert counted == {
        talk.id: {Mode.ON_SITE: Places(2, 2, 1), Mode.ONLINE: Places(5, 0, 0)},
        other.id: {Mode.ON_SITE: Places(1, 1, 0)},
    }


def test_more_taken_than_there_are_leaves_none_free():
    assert Places(capacity=1, taken=3, waiting=0).free == 0


def test_the_place_in_line_counts_everyone_before(make):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    grace, linus = make.registration(talk, Status.WAITING), make.registration(talk, Status.WAITING)
    assert [waiting_list.place_in_line(row) for row in (ada, grace, linus)] == [0, 1, 2]


def test_raising_the_capacity_promotes_as_many_as_fit(make, owed):
    talk = make.event(places_on_site=0)
    waiting = [make.registration(talk, Status.WAITING) for _number in range(3)]
    with write():
        event = waiting_list.lock(talk.id)
        event.capacity_on_site = 2
        waiting_list.fill(event, NOON)
    assert owed() == [(Kind.PROMOTION, waiting[0]), (Kind.PROMOTION, waiting[1])]
