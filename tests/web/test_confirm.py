"""Links in mails: proving the address, taking an offer, asking for silence. Only a person's press counts."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.pages import Page
from tests.web import robot
from whatsnext import tokens
from whatsnext.db import db, write
from whatsnext.models import EventState, Kind, Registration, Status
from whatsnext.services import blocking, registrations, signup
from whatsnext.tokens import Purpose

SECRET = "a" * 43


def fresh(registration):
    db.session.rollback()
    return db.session.get(Registration, registration.id, populate_existing=True)


def asking(client):
    client.set_cookie("wn-asked", SECRET)
    return client


@pytest.fixture
def held(make):
    """A place held for an address not proved yet, asked for by the browser with SECRET."""
    return make.registration(make.event(title="Register", slug="t"), Status.HELD, browser=tokens.digest(SECRET))


@pytest.fixture
def link(held):
    return f"/confirm/{registrations.confirm_token(held)}"


def test_the_asking_browser_needs_one_press(held, link, client, owed):
    page = asking(client).page(link)
    assert "Register" in page.text
    assert held.name in page.text
    answer = client.submit(page, form=link)
    assert answer.status_code == 303
    assert answer.location == f"/registrations/{held.ref}?done=confirmed"
    assert fresh(held).status is Status.CONFIRMED
    assert owed() == [(Kind.INVITATION, held)]
    page = client.page(answer.location)
    assert "Ihre Anmeldung ist bestätigt. Meine Anmeldung" in page.text or "Sie nehmen teil: vor Ort" in page.text
    assert held.name in page.text


def test_another_browser_must_choose_and_nothing_is_preselected(held, link, client, owed):
    page = client.page(link)
    assert "choice" not in page.form(link).values
    answer = client.submit(page, form=link)
    assert answer.status_code == 422
    assert "Wählen Sie eine der beiden Antworten." in Page(answer).text
    assert fresh(held).status is Status.HELD
    assert client.submit(page, {"choice": "yes"}, form=link).status_code == 303
    assert fresh(held).status is Status.CONFIRMED


def test_that_was_not_me_gives_the_place_back(held, link, client, owed):
    answer = client.submit(link, {"choice": "no"}, form=link)
    assert answer.status_code == 303
    assert "Die Anmeldung ist entfernt." in client.page(answer.location).text
    assert fresh(held).status is Status.EXPIRED
    assert owed() == []


def test_the_link_of_a_sign_up_that_was_declined_says_so_and_lets_it_be_a_mistake(held, link, client):
    client.submit(link, {"choice": "no"}, form=link)
    page = client.page(link)
    assert "Sie haben angegeben, dass Sie das nicht waren. Die Anmeldung ist entfernt." in page.text
    assert "abgelaufen" not in page.text
    assert client.submit(page, {"choice": "yes"}, form=link).status_code == 303
    assert fresh(held).status is Status.CONFIRMED


def test_opening_the_link_ten_times_changes_no_row(held, link, client):
    before = robot.rows()
    for _ in range(10):
        client.page(link)
    assert robot.rows() == before


def test_an_expired_hold_is_explained_and_one_button_signs_up_again(held, link, client, at):
    at(NOON + timedelta(minutes=61))
    page = asking(client).page(link)
    assert "Die Reservierung ist abgelaufen: Mo., 5. Januar 2026, 14:00 Uhr (Berlin)." in page.text
    assert client.submit(page, form=link).status_code == 303
    assert fresh(held).status is Status.CONFIRMED


def test_a_hold_that_expires_while_the_page_is_open_comes_back_explained(held, link, client, at):
    page = asking(client).page(link)
    at(NOON + timedelta(minutes=61))
    answer = client.submit(page, form=link)
    assert answer.status_code == 422
    assert "Die Zeit zum Bestätigen ist abgelaufen." in Page(answer).text
    assert fresh(held).status is Status.HELD
    assert client.submit(Page(answer), form=link).status_code == 303


def test_a_used_link_shows_how_the_registration_stands(held, link, client):
    client.submit(link, {"choice": "yes"}, form=link)
    page = client.page(link)
    assert page.status == 200
    assert "Sie nehmen teil: vor Ort" in page.text


def test_new_link_ends_the_confirm_link_too(held, link, client, app):
    with write():
        signup.confirm(held.id, NOON)
        registrations.new_link(held.id, NOON)
    assert app.test_client().page(link).status == 410


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x" + t, lambda t: t.replace(".", "")])
def test_a_forged_link_is_a_designed_page(held, client, change):
    page = client.page(f"/confirm/{change(registrations.confirm_token(held))}")
    assert page.status == 400
    assert "Termine" in page.text


def test_a_token_works_at_its_own_place_only(held, client):
    for token in (registrations.manage_token(held), registrations.offer_token(held)):
        assert client.page(f"/confirm/{token}").status == 400


def test_a_cancelled_talk_cannot_be_confirmed(held, link, client):
    stale = client.page(link)
    with write():
        held.event.state = EventState.CANCELLED
    page = client.page(link)
    assert "Diese Veranstaltung fällt aus." in page.text
    assert [form.action for form in page.forms if "confirm" in form.action] == []
    assert client.submit(stale, {"choice": "yes"}, form=link).status_code == 422


def test_secret_pages_tell_nobody_their_address(held, link, client):
    headers = client.get(link).headers
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "private, no-store")


# --- offers ----------------------------------------------------------------------------------------------


@pytest.fixture
def offered(make):
    return make.registration(make.event(places_on_site=1), Status.OFFERED)


def test_an_offer_is_taken_by_choice(offered, client, owed):
    link = f"/offer/{registrations.offer_token(offered)}"
    page = client.page(link)
    assert "Er ist für Sie vorgemerkt bis Mo., 5. Januar 2026, 17:00 Uhr (Berlin)" in page.text
    assert client.submit(page, form=link).status_code == 422
    answer = client.submit(page, {"choice": "yes"}, form=link)
    assert fresh(offered).status is Status.CONFIRMED
    assert owed() == [(Kind.INVITATION, offered)]
    assert "Sie nehmen teil: vor Ort" in client.page(answer.location).text
    assert "Sie nehmen teil: vor Ort" in client.page(link).text


def test_an_offer_can_be_declined_for_the_next_in_line(make, offered, client):
    link = f"/offer/{registrations.offer_token(offered)}"
    following = make.registration(offered.event, Status.WAITING)
    client.submit(link, {"choice": "no"}, form=link)
    assert (fresh(offered).status, fresh(following).status) == (Status.CANCELLED, Status.CONFIRMED)


def test_a_lapsed_offer_says_so(offered, client, at):
    link = f"/offer/{registrations.offer_token(offered)}"
    page = client.page(link)
    at(NOON + timedelta(hours=5))
    answer = client.submit(page, {"choice": "yes"}, form=link)
    assert answer.status_code == 422
    assert fresh(offered).status is Status.OFFERED


# --- silence ---------------------------------------------------------------------------------------------


def test_no_more_mails_needs_a_choice_in_any_browser(make, client):
    person = make.person(email="kim.muster@behoerde.example", proved_at=None)
    link = f"/no-more-mails/{blocking.token(person, NOON)}"
    page = asking(client).page(link)
    assert "k…r@behoerde.example" in page.text
    assert client.submit(page, form=link).status_code == 422
    assert client.submit(page, {"choice": "no"}, form=link).status_code == 303
    assert person.blocked_at is None
    answer = client.submit(page, {"choice": "yes"}, form=link)
    assert "Erledigt." in client.page(answer.location).text
    db.session.refresh(person)
    assert person.blocked_at == NOON


# --- robots ----------------------------------------------------------------------------------------------


def test_a_robot_that_submits_every_form_as_served_changes_nothing(make, held, link, offered, app):
    block = f"/no-more-mails/{blocking.token(held.person, NOON)}"
    offer = f"/offer/{registrations.offer_token(offered)}"
    before = robot.rows()
    assert [robot.scan(app.test_client(), start) for start in (link, offer, block)] == [1, 1, 1]
    assert robot.rows() == before


def test_a_token_of_another_purpose_is_refused_everywhere(held, client):
    made = {purpose: tokens.sign(purpose, [held.id, 1], NOON + timedelta(hours=1)) for purpose in Purpose}
    for path, own in (("confirm", Purpose.CONFIRM), ("offer", Purpose.OFFER), ("registrations", Purpose.MANAGE)):
        for purpose, token in made.items():
            if purpose is not own:
                assert client.page(f"/{path}/{token}").status == 400, (path, purpose)


def test_whoever_confirms_into_the_line_is_told_so_and_not_of_a_place(make, client):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    waiting = make.registration(talk, Status.WAITING, proved=False)
    path = f"/confirm/{registrations.confirm_token(waiting)}"
    answer = client.submit(path, {"choice": "yes"}, form=path)
    text = client.page(answer.location).text
    assert ("Sie stehen auf der Warteliste." in text, "Ihre Anmeldung ist bestätigt." in text) == (True, False)


def test_whoever_will_wait_reads_so_before_confirming(client, make):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    waiting = make.registration(talk, Status.WAITING, proved=False, browser=tokens.digest(SECRET))
    page = asking(client).page(f"/confirm/{registrations.confirm_token(waiting)}")
    assert "Alle Plätze sind belegt. Sie kommen auf die Warteliste" in page.text


def test_whoever_has_a_place_held_reads_nothing_of_a_line(held, link, client):
    assert "Warteliste" not in asking(client).page(link).text
