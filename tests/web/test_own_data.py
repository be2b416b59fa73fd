"""The person's own data: erased by one button, after a fresh proof, by nobody else."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import db
from whatsnext.models import Person, Status
from whatsnext.permissions import Role

PATH = "/my-registrations/data"


def test_the_button_erases_and_signs_out(make, client):
    ada, number = make.registration(make.event(), Status.WAITING), "Wartelistenplatz bei 1 kommenden Veranstaltung"
    email = ada.person.email
    client.sign_in(ada.person)
    assert (
        client.page("/my-registrations").links.count((PATH, "Was wir über Sie speichern und wie Sie es löschen")) == 1
    )
    page = client.page(PATH)
    assert email in page.text
    assert number in page.text
    answer = client.submit(page, form=PATH)
    assert (answer.status_code, answer.location) == (303, "/erased")
    assert "Ihre Daten sind gelöscht" in client.page("/erased").text
    assert "E-Mail-Adresse" in client.page("/my-registrations").text, "nobody is signed in"
    db.session.expire_all()
    assert (ada.status, ada.name, ada.person.name) == (Status.CANCELLED, "", "")
    assert db.session.query(Person).filter_by(email=email).all() == []


def test_looking_erases_nothing_and_an_old_proof_is_asked_again(make, client, at):
    ada = make.person()
    client.sign_in(ada)
    page = client.page(PATH)
    at(NOON + timedelta(minutes=11))
    answer = client.submit(page, form=PATH)
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=&fresh=1")
    assert ada.name != ""


@pytest.mark.parametrize("role", [Role.ORGANISER, Role.OPERATOR])
def test_whoever_plans_talks_cannot_lock_everybody_out(make, client, role):
    person = make.person(role=role)
    client.sign_in(person)
    page = client.page(PATH)
    assert "kann nur der Betrieb" in page.text
    client.post(PATH, headers={"Origin": "http://localhost"})
    db.session.expire_all()
    assert (person.role, person.name != "") == (role, True)
