"""Two processes, one talk, everybody at the same moment (safety.md R1, R2, R5)."""

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.load import history
from tests.load.crowd import PATIENCE, Visitor, all_at_once, crowd
from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.models import Event, Kind, Message, Person, Registration, Status
from whatsnext.services import holds, rescheduling, signup
from whatsnext.services.drafts import Draft

pytestmark = pytest.mark.load

PLACES = 30
PEOPLE = 200


@pytest.fixture
def processes(serve, smtp):
    """Two processes; this machine counts as an agency's exit, as 200 colleagues behind one address would."""

    def start(**more):
        settings = {
            "exit_networks": "127.0.0.0/8",
            "new_address_mails_per_hour": 10_000,
            "mail_server": "127.0.0.1",
            "mail_port": smtp.port,
            "mail_default_sender": "next@localhost",
            **more,
        }
        return [serve(**settings), serve(**settings)]

    return start


@pytest.fixture
def talk(make):
    return make.event(places_on_site=PLACES)


@pytest.fixture
def recorded(talk):
    with history.recorded():
        yield


def opened(addresses, talk):
    """The talk's page as each process shows it."""
    path = f"/events/{talk.slug}"
    return {address: Visitor(address, "", Counter()).open(path) for address in addresses}


def standing(talk):
    """The arrival numbers by status, in order."""
    db.session.rollback()
    found: dict[Status, list[int]] = {}
    rows = db.session.execute(
        sa.select(Registration.status, Registration.arrival)
        .where(Registration.event_id == talk.id)
        .order_by(Registration.arrival)
    )
    for status, arrival in rows:
        found.setdefault(status, []).append(arrival)
    return found


def replayed(capacity=PLACES):
    """What the database wrote down, held against the model."""
    model = history.Model({"on_site": capacity, "online": 0})
    model.replay(history.read())
    return model


def owed_by_registration(kind):
    mails = sa.select(Message.registration_id).where(Message.kind == kind)
    return Counter(db.session.scalars(mails))


def test_of_200_people_30_hold_places_and_170_wait_in_order_of_arrival(processes, talk, recorded):
    addresses = processes()
    people = list(crowd(addresses, PEOPLE))
    pages = opened(addresses, talk)

    all_at_once(people, lambda person: person.sign_up(pages[person.address]))

    answers = people[0].answers
    assert set(answers) == {303, 409}
    assert answers[303] == PEOPLE
    assert standing(talk) == {
        Status.HELD: list(range(1, PLACES + 1)),
        Status.WAITING: list(range(PLACES + 1, PEOPLE + 1)),
    }
    model = replayed()
    assert (model.wrong, model.most_taken, model.last_arrival) == ([], PLACES, PEOPLE)
    mails = owed_by_registration(Kind.CONFIRMATION_REQUEST)
    assert (len(mails), set(mails.values())) == (PEOPLE, {1})


def test_places_given_up_refused_lapsed_and_added_go_to_those_who_came_first(processes, talk, recorded, app):
    addresses = processes(worker=False)
    people = list(crowd(addresses, PEOPLE))
    pages = opened(addresses, talk)

    def take_part(person: Visitor) -> None:
        number = int(person.email[1:].partition("@")[0])
        person.sign_up(pages[person.address])
        if number % 10 == 9:
            return  # never opens the mail
        answer = person.choose(mailed_link(app, person), "no" if number % 10 == 8 else "yes")
        if number % 10 in (0, 5):
            own = answer.location.partition("?")[0]
            person.choose(f"{own}/cancel", "yes")
            if number % 10 == 5:
                person.choose(f"{own}/undo", "yes")

    organiser = threading.Thread(target=add_places, args=(app, talk.id, people[0].answers), daemon=True)
    organiser.start()
    all_at_once(people, take_part)
    organiser.join(PATIENCE)

    assert max(people[0].answers) < 500
    model = replayed()
    assert model.wrong == []
    assert model.capacity == {"on_site": PLACES + 20, "online": 0}
    taken = standing(talk)
    assert sum(len(taken.get(status, [])) for status in (Status.HELD, Status.CONFIRMED)) == PLACES + 20
    assert model.most_taken == PLACES + 20
    assert model.moved_up >= 20


def mailed_link(app, person):
    """The path in the mail that asks to confirm."""
    with app.app_context():
        mine = db.session.scalars(sa.select(Registration).join(Person).where(Person.email == person.email)).one()
        path = f"/confirm/{signup.confirm_token(mine)}"
        db.session.remove()
    return path


def add_places(app, event_id, answers):
    """While people come and go an organiser adds 10 places twice, and holds that nobody proved run out."""
    with app.app_context():
        for changes in (PEOPLE * 3 // 4, PEOPLE * 3 // 2):
            while answers[303] < changes:
                time.sleep(0.05)
            with write():
                event = db.session.get_one(Event, event_id)
                draft = replace(Draft.of(event), capacity_on_site=event.capacity_on_site + 10)
                rescheduling.save_silently(event_id, draft, event.version, clock.now())
            with write():
                holds.expire_holds(clock.now() + timedelta(hours=2))
        db.session.remove()


def test_the_same_form_sent_twice_at_once_makes_one_registration_and_one_mail(processes, talk):
    addresses = processes()
    page = opened(addresses, talk)[addresses[0]]
    people = list(crowd([addresses[0]], 20))
    twins = [replace(person, address=addresses[1], cookies={}) for person in people]

    all_at_once(people + twins, lambda person: person.sign_up(page))

    assert people[0].answers == {303: 40}
    assert standing(talk) == {Status.HELD: list(range(1, 21))}
    mails = owed_by_registration(Kind.CONFIRMATION_REQUEST)
    assert (len(mails), set(mails.values())) == (20, {1})
