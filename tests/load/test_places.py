"""Two processes, one talk, everybody at the same moment (safety.md R1, R2, R5).

CROWD says how many people, CROWD_PLACES for how many places, CROWD_SEEDS how often, each time in another order.
"""

import os
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.load import history
from tests.load.crowd import PATIENCE, Visitor, all_at_once, crowd
from tests.pages import Page
from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.models import Event, Kind, Message, Person, Registration, Status
from whatsnext.services import holds, registrations, rescheduling
from whatsnext.services.drafts import Draft

pytestmark = pytest.mark.load

PLACES = int(os.environ.get("CROWD_PLACES", "30"))
PEOPLE = int(os.environ.get("CROWD", "200"))
SEEDS = range(int(os.environ.get("CROWD_SEEDS", "1")))


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
    pages = {address: Visitor(address, "", Counter()).open(path) for address in addresses}
    for page in pages.values():
        assert page.status_code == 200, page.body
        assert Page(page).forms, page.body
    return pages


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


def shuffled(addresses, seed):
    """Who comes to which process, and when of the first second."""
    dice = random.Random(f"crowd {seed}")
    people = list(crowd(addresses, PEOPLE))
    dice.shuffle(people)
    waits = {person.email: dice.uniform(0, 1) if seed else 0 for person in people}
    return people, waits


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_at_once_the_first_hold_places_and_the_rest_wait_in_order_of_arrival(
    processes, talk, recorded, figure, seed
):
    addresses = processes()
    people, waits = shuffled(addresses, seed)
    pages = opened(addresses, talk)

    def sign_up(person):
        time.sleep(waits[person.email])
        person.sign_up(pages[person.address])

    all_at_once(people, sign_up)

    answers, model = people[0].answers, replayed()
    figure(
        "sign-ups at once", seeds=1, people=PEOPLE, places=PLACES, wrong=len(model.wrong), failures=failures(answers)
    )
    assert set(answers) <= {303, 409}
    assert answers[303] == PEOPLE
    assert standing(talk) == {
        Status.HELD: list(range(1, PLACES + 1)),
        Status.WAITING: list(range(PLACES + 1, PEOPLE + 1)),
    }
    assert (model.wrong, model.most_taken, model.last_arrival) == ([], PLACES, PEOPLE)
    mails = owed_by_registration(Kind.CONFIRMATION_REQUEST)
    assert (len(mails), set(mails.values())) == (PEOPLE, {1})


@pytest.mark.parametrize("seed", SEEDS)
def test_places_added_and_given_up_meanwhile_are_all_taken_in_order(processes, talk, recorded, app, figure, seed):
    """An organiser adds 30 while everybody signs up, and ten of those with a place give it up again."""
    addresses = processes(worker=False)
    people, waits = shuffled(addresses, seed)
    pages = opened(addresses, talk)
    gone = []

    def sign_up(person):
        time.sleep(waits[person.email])
        answer = person.sign_up(pages[person.address])
        if answer.status_code == 303 and len(gone) < 10:
            gone.append(person.email)
            answer = person.choose(mailed_link(app, person), "yes")
            person.choose(f"{answer.location.partition('?')[0]}/cancel", "yes")

    organiser = threading.Thread(target=add_30_places, args=(app, talk.id, people[0].answers), daemon=True)
    organiser.start()
    all_at_once(people, sign_up)
    organiser.join(PATIENCE)

    model, seen, answers = replayed(), standing(talk), people[0].answers
    taken = sum(len(seen.get(status, [])) for status in (Status.HELD, Status.CONFIRMED))
    figure(
        "sign-ups, places and cancellations at once",
        seeds=1,
        people=PEOPLE,
        places=PLACES + 30,
        wrong=len(model.wrong),
        failures=failures(answers),
    )
    assert max(answers) < 500
    assert (len(gone), len(seen[Status.CANCELLED])) == (10, 10)
    assert (model.wrong, model.capacity["on_site"], taken) == ([], PLACES + 30, PLACES + 30)


def failures(answers):
    return sum(number for status, number in answers.items() if status >= 500)


def add_30_places(app, event_id, answers):
    with app.app_context():
        while answers[303] < PEOPLE // 3:
            time.sleep(0.02)
        more_places(event_id, 30)
        db.session.remove()


def more_places(event_id, number):
    with write():
        event = db.session.get_one(Event, event_id)
        draft = replace(Draft.of(event), capacity_on_site=event.capacity_on_site + number)
        rescheduling.save_silently(event_id, draft, event.version, clock.now())


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
        path = f"/confirm/{registrations.confirm_token(mine)}"
        db.session.remove()
    return path


def add_places(app, event_id, answers):
    """While people come and go an organiser adds 10 places twice, and holds that nobody proved run out."""
    with app.app_context():
        for changes in (PEOPLE * 3 // 4, PEOPLE * 3 // 2):
            while answers[303] < changes:
                time.sleep(0.05)
            more_places(event_id, 10)
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
