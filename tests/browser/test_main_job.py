"""The main job through the pages alone: plan, publish, sign up, confirm, move, give up, move up, undo."""

from datetime import timedelta

import pytest

from tests.browser import people
from tests.browser.people import Human, Look
from whatsnext import clock
from whatsnext.permissions import Role

pytestmark = pytest.mark.browser

LOOKS = [Look("de", 390, scripts=False), Look("en", 1280, scripts=True)]


@pytest.fixture
def site(serve, smtp):
    return serve(mail_server="127.0.0.1", mail_port=smtp.port, mail_default_sender="next@behoerde.example")


@pytest.mark.parametrize("look", LOOKS, ids=["German, 390 px, no scripts", "English, 1280 px, scripts"])
def test_a_talk_from_its_plan_to_the_calendar_of_who_comes(site, smtp, browser, look, make):
    make.person(email="kim@behoerde.example", name="Kim Muster", role=Role.ORGANISER)
    kim, ada, grace = (
        Human(browser, site, smtp, look, f"{name.split()[0].lower()}@behoerde.example", name)
        for name in ("Kim Muster", "Ada Beispiel", "Grace Beispiel")
    )
    day = clock.now() + timedelta(days=30)
    people.organiser_signs_in(kim)
    talk = people.organiser_plans_blockchain(kim, day)

    people.attendee_signs_up(ada, talk)
    invited = people.entry(ada.mail())
    assert (invited.method, invited.sequence, invited.attendee) == ("REQUEST", 0, ada.email)
    assert ada.reads(ada.words("You take part: on site"))

    people.attendee_signs_up(grace, talk, waiting=True)
    waiting = grace.mail()
    assert "text/calendar" not in [part.get_content_type() for part in waiting.message.walk()]

    people.organiser_moves_by_a_day(kim, 1, day, 2)
    moved = people.entry(ada.mail())
    assert (moved.method, moved.uid, moved.sequence) == ("REQUEST", invited.uid, 1)
    assert moved.starts - invited.starts == timedelta(days=1)
    grace.mail()

    ada.follow("Give up my place")
    ada.press(ada.words("Give up my place"))
    cancelled = ada.mail()
    assert (people.entry(cancelled).method, people.entry(cancelled).sequence) == ("CANCEL", 2)

    promoted = people.entry(grace.mail())
    assert (promoted.method, promoted.uid, promoted.starts) == ("REQUEST", invited.uid, moved.starts)

    ada.open(people.link(cancelled, "/undo"))
    ada.press(ada.words("Take part after all"))
    assert ada.reads(ada.words("Waiting list: number %(number)s of %(all)s", number=1, all=1))
    ada.mail()

    for person in (kim, ada, grace):
        assert person.no_more_mail()
        person.close()
