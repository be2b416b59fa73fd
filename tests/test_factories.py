"""The tests' own tools: what they build, and that nothing of one test reaches the next."""

from datetime import datetime

import pytest
from flask import Flask

from tests.factories import NOON
from tests.pages import Page
from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.models import Event, Kind, Mode, Status


def test_a_talk_is_at_14_in_its_zone_two_weeks_from_now(make):
    talk = make.event(places_on_site=1)
    assert clock.now() == NOON
    assert (talk.starts_local, talk.starts_at.isoformat()) == (
        datetime(2026, 1, 19, 14),
        "2026-01-19T13:00:00+00:00",
    )
    assert (talk.on_site, talk.capacity_on_site, talk.online, talk.capacity_online) == (True, 1, False, 0)


def test_registrations_arrive_one_after_the_other_unless_told_otherwise(make, owed):
    talk = make.event(places_online=5)
    ada, grace = make.registration(talk), make.registration(talk, Status.WAITING, arrival=9)
    linus = make.registration(talk, Status.HELD)
    assert [(one.arrival, one.mode, one.status, one.proved_at) for one in (ada, grace, linus)] == [
        (1, Mode.ONLINE, Status.CONFIRMED, NOON),
        (9, Mode.ONLINE, Status.WAITING, NOON),
        (10, Mode.ONLINE, Status.HELD, None),
    ]
    make.message(Kind.INVITATION, ada)
    assert (talk.last_arrival, owed()) == (10, [(Kind.INVITATION, ada)])


@pytest.mark.parametrize("again", [1, 2])
def test_every_test_begins_with_empty_tables(make, again):
    assert make.event().id == 1


def test_several_things_are_made_in_one_transaction(make):
    with write():
        speaker = make.speaker()
        talk = make.event(speakers=(speaker,))
    assert talk.speakers == [speaker]


def test_statements_are_counted(make, query_count):
    talk = make.event()
    with query_count() as queries:
        db.session.rollback()
        assert db.session.get(Event, talk.id).title
    assert len(queries) == 1


@pytest.fixture
def page():
    """The page that answers with these bytes."""

    def answer(html):
        app = Flask("page")
        app.add_url_rule("/en/anmelden", "page", lambda: html)
        return Page(app.test_client().get("/en/anmelden?sort=name"))

    return answer


def test_a_form_is_filled_as_a_browser_would(page):
    read = page("""<form method="post" id="anmelden"><input name="csrf" type="hidden" value="t&amp;k">
        <input name="name" value="Ada"><input type="checkbox" name="needs" value="y">
        <input type="radio" name="mode" value="on_site"><input type="radio" name="mode" value="online" checked>
        <select name="zone"><option value="a">A<option value="b" selected>B</select>
        <select name="first"><option value="x">X<option value="y">Y</select><textarea name="text">
Zeile &amp; Zeile</textarea><button name="act" value="go">Los</button></form><input form="anmelden" name="beside">""")
    action, values = read.form("anmelden").filled({"name": "Grace", "act": "go", "zone": None})
    assert action == "/en/anmelden?sort=name"
    assert values == {
        "csrf": ["t&k"],
        "name": ["Grace"],
        "mode": ["online"],
        "first": ["x"],
        "text": ["Zeile & Zeile"],
        "act": ["go"],
        "beside": [""],
    }
    with pytest.raises(AssertionError, match="no field"):
        read.form().filled({"role": "operator"})


def test_a_page_is_read_as_a_person_does(page):
    read = page("""<head><title>Titel</title></head><body><h1>Vor<b>trag</b></h1><p>am <a href="/x">Do.</a> um</p>
        <script>no()</script><template>no</template><p>14 Uhr""")
    assert (read.text, read.links) == ("Vortrag am Do. um 14 Uhr", [("/x", "Do.")])


def test_what_is_owed_arrives_at_a_real_mail_server(make, owed, sent):
    ada = make.registration(make.event(title="Blockchain"), person=make.person(email="ada@behoerde.example"))
    make.message(Kind.INVITATION, ada)
    assert [(mail.recipients, "Blockchain" in mail.subject) for mail in sent()] == [(["ada@behoerde.example"], True)]
    assert (owed(), sent()) == ([], [])
