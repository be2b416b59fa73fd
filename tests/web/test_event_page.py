"""The page of one talk in every state (experience.md §4)."""

import re
from datetime import datetime, timedelta

import pytest

from tests.factories import NOON
from tests.web.outline import headings
from whatsnext.models import EventState, Status


def at_utc(text):
    return datetime.fromisoformat(f"{text}+00:00")


def test_an_open_talk_shows_when_where_places_and_the_form(make, client):
    make.series(contact_name="Kim Muster", contact_email="next@behoerde.example", contact_phone="030 123")
    theme, host = make.theme(name="Blockchain"), make.agency(name="Bundesdruckerei")
    speaker = make.speaker(name="Ayşe Yılmaz", role="Referat 12", agency_id=host.id, biography="Forscht **viel**.")
    talk = make.event(
        title="Register",
        slug="register",
        starts_local=datetime(2026, 2, 12, 14),
        theme_id=theme.id,
        host_id=host.id,
        places_on_site=30,
        places_online=200,
        address="Kommandantenstraße 18, 10969 Berlin",
        summary="Was Register *lernen*.",
        agenda="1. Vortrag\n2. Fragen",
        step_free="Aufzug vorhanden",
        chatham_house=True,
        speakers=(speaker,),
    )
    for _ in range(18):
        make.registration(talk)
    page = client.page("/events/register")
    assert headings(page) == [
        (1, "Register"),
        (2, "Auf einen Blick"),
        (2, "Ablauf"),
        (2, "Referierende"),
        (3, "Ayşe Yılmaz"),
        (2, "Chatham-House-Regel"),
        (2, "Barrierefreiheit"),
        (3, "Im Raum"),
        (3, "Im Stream"),
        (2, "Kontakt"),
        (2, "Anmelden"),
    ]
    for words in (
        "Donnerstag, 12. Februar 2026 14:00–15:30 Uhr (Berlin)",
        "Kommandantenstraße 18, 10969 Berlin und online",
        "12 von 30 frei, online 200 von 200 frei",
        "Gastgeber Bundesdruckerei Sprache Deutsch",
        "Zugang ohne Stufen Aufzug vorhanden",
        "Induktionsschleife nicht bekannt",
        "Referat 12, Bundesdruckerei",
        "Vor Ort in Berlin (Plätze frei: 12)",
        "Online (Plätze frei: 200)",
    ):
        assert words in page.text
    assert ("#anmelden", "Anmelden") in page.links
    assert (
        "https://www.openstreetmap.org/search?query=Kommandantenstra%C3%9Fe%2018%2C%2010969%20Berlin",
        "Auf einer Karte zeigen",
    ) in page.links


def test_nobody_learns_the_join_link_or_who_comes(make, client):
    talk = make.event(places_online=3, join_link="https://video.example/geheim", dial_in="030 99", slug="t")
    person = make.person(name="Grace Hopper", email="grace@behoerde.example")
    make.registration(talk, person=person)
    for path in ("/events/t", "/en/events/t", "/events/t/calendar.ics", "/"):
        body = client.get(path).get_data(as_text=True)
        assert [part for part in ("geheim", "030 99", "Hopper", "grace") if part in body] == []


@pytest.mark.parametrize(
    ("given", "line", "button"),
    [
        (
            {"registration_opens": at_utc("2026-02-02T08:00")},
            "Anmeldung ab Mo., 2. Februar 2026, 9:00 Uhr (Berlin)",
            None,
        ),
        ({}, "30 von 30 Plätzen frei", "Anmelden"),
        ({"registration_closes": at_utc("2026-01-04T08:00")}, "Anmeldung seit 4. Januar geschlossen.", None),
        ({"starts_local": datetime(2026, 1, 5, 12, 30)}, "Die Veranstaltung hat begonnen.", None),
        ({"starts_local": datetime(2025, 12, 5, 12)}, "Diese Veranstaltung ist beendet.", None),
        (
            {"state": EventState.CANCELLED, "cancelled_reason": "Krank."},
            "Diese Veranstaltung fällt aus. Grund: Krank.",
            None,
        ),
    ],
)
def test_each_state_has_its_line_and_a_button_only_where_it_does_something(make, client, given, line, button):
    make.event(slug="t", **given)
    page = client.page("/events/t")
    assert line in page.text
    buttons = [words for href, words in page.links if href == "#anmelden"]
    assert buttons == ([button] if button else [])
    assert ('id="anmelden"' in page.html) == bool(button)


def test_a_full_talk_says_how_many_wait_and_offers_the_line(make, client):
    talk = make.event(slug="t", places_on_site=1)
    make.registration(talk)
    make.registration(talk, Status.WAITING)
    make.registration(talk, Status.WAITING)
    page = client.page("/events/t")
    assert "Ausgebucht. 2 Personen warten." in page.text
    assert ("#anmelden", "Auf die Warteliste") in page.links
    assert "Wird einer frei, sind Sie automatisch dabei" in page.text


def test_a_moved_talk_shows_the_old_time_struck_through_and_in_words(make, client):
    make.event(
        slug="t",
        starts_local=datetime(2026, 2, 13, 14),
        previous_starts_at=at_utc("2026-02-12T13:00"),
        previous_ends_at=at_utc("2026-02-12T14:30"),
        previous_zone="Europe/Berlin",
    )
    page = client.page("/events/t")
    assert "Neuer Termin: Fr., 13. Februar 2026, 14:00–15:30 Uhr (Berlin)" in page.text
    assert "bisher: Do., 12. Februar 2026, 14:00–15:30 Uhr (Berlin)" in page.text
    assert "<del>Do., 12. Februar 2026, 14:00–15:30 Uhr (Berlin)</del>" in page.html


def test_a_cancelled_talk_names_the_next_one_of_its_theme(make, client):
    theme = make.theme()
    make.event(slug="t", theme_id=theme.id, state=EventState.CANCELLED, cancelled_at=NOON)
    make.event(slug="later", title="Später", theme_id=theme.id, starts_local=datetime(2026, 3, 3, 14))
    make.event(slug="next", title="Als Nächstes", theme_id=theme.id, starts_local=datetime(2026, 2, 3, 14))
    page = client.page("/events/t")
    assert "Nächste Veranstaltung zu diesem Thema: Als Nächstes, Di., 3. Februar 2026" in page.text


def test_drafts_and_absent_talks_answer_alike(make, client):
    make.draft(slug="entwurf")
    draft, absent = client.page("/events/entwurf"), client.page("/events/nie")
    assert (draft.status, absent.status) == (404, 404)
    assert draft.text == absent.text


def test_an_english_talk_says_so_on_a_german_page(make, client):
    make.event(slug="t", language="en", title="Ledgers", summary="About ledgers.", agenda="Talk")
    html = client.page("/events/t").html
    assert '<h1 class="kern-heading-large" lang="en">Ledgers</h1>' in html
    assert html.count('<div class="wn-prose" lang="en">') == 2
    assert "Sprache Englisch" in client.page("/events/t").text
    assert '<div class="wn-prose" lang="en">' not in client.page("/en/events/t").html


def test_whoever_is_signed_up_sees_that_instead_of_the_form(make, client):
    talk, person = make.event(slug="t"), make.person()
    mine = make.registration(talk, person=person)
    client.sign_in(person)
    page = client.page("/events/t")
    assert "Sie sind angemeldet." in page.text
    assert (f"/registrations/{mine.ref}", "Zu meiner Anmeldung") in page.links
    assert 'id="anmelden"' not in page.html
    assert page.response.headers["Cache-Control"] == "private, no-store"


def test_texts_are_sanitised(make, client):
    make.event(
        slug="t", title="<b>T</b>", summary="<script>x()</script> [x](javascript:x())", agenda="![](//evil.example)"
    )
    html = client.page("/events/t").html
    assert "&lt;b&gt;T&lt;/b&gt;" in html
    assert re.findall(r"<script(?! src=)|href=\"javascript:|src=\"[^\"]*evil", html) == []


def test_a_talk_over_midnight_names_both_days(make, client):
    make.event(slug="t", starts_local=datetime(2026, 2, 12, 20), duration_minutes=1440)
    assert (
        "Do., 12. Februar 2026, 20:00 Uhr – Fr., 13. Februar 2026, 20:00 Uhr (Berlin)" in client.page("/events/t").text
    )


def test_the_number_of_queries_does_not_grow_with_speakers_and_sign_ups(make, client, query_count):
    def seen(slug):
        with query_count() as queries:
            client.page(f"/events/{slug}?x=1")
        return len(queries)

    make.registration(make.event(slug="one", speakers=(make.speaker(agency_id=make.agency().id),)))
    speakers = tuple(make.speaker(agency_id=make.agency().id) for _ in range(3))
    three = make.event(slug="three", speakers=speakers)
    for _ in range(3):
        make.registration(three)
    client.page("/")
    assert seen("one") == seen("three")


def test_the_public_page_sets_no_cookie(make, client):
    make.event(slug="t")
    for path in ("/", "/themes", "/events/t", "/events/t?x=1", "/events/t/calendar.ics"):
        assert client.get(path).headers.getlist("Set-Cookie") == [], path


def test_the_page_is_the_same_an_hour_before_and_another_one_after_it_began(make, client, at):
    make.event(slug="t", starts_local=datetime(2026, 1, 5, 14))
    assert "30 von 30 Plätzen frei" in client.page("/events/t").text
    at(NOON + timedelta(minutes=61))
    assert "Die Veranstaltung hat begonnen." in client.page("/events/t").text
    at(NOON + timedelta(minutes=151))
    assert "Diese Veranstaltung ist beendet." in client.page("/events/t").text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.WAITING, "Sie stehen auf der Warteliste."),
        (Status.HELD, "Ihre Anmeldung ist noch nicht bestätigt."),
    ],
)
def test_whoever_waits_or_has_not_confirmed_reads_that(make, client, status, words):
    talk, person = make.event(slug="t"), make.person()
    make.registration(talk, status, person=person)
    client.sign_in(person)
    assert words in client.page("/events/t").text


def test_a_move_whose_old_end_nobody_kept_names_the_old_start(make, client):
    make.event(slug="t", previous_starts_at=at_utc("2026-02-12T13:00"))
    assert "bisher: Do., 12. Februar 2026, 14:00 Uhr (Berlin)" in client.page("/events/t").text


def test_a_draft_with_nothing_but_a_title_can_be_looked_at(make, organiser):
    draft = make.draft(title="Nur ein Titel", starts_at=None, on_site=False)
    page = organiser.page(f"/organise/events/{draft.id}/preview")
    assert "Die Zeit steht noch nicht fest" in page.text
    assert "Anmeldung öffnet später" in page.text


def test_the_form_of_a_preview_sends_nothing(make, organiser):
    draft = make.draft()
    page = organiser.page(f"/organise/events/{draft.id}/preview")
    assert "In der Vorschau sendet das Formular nichts." in page.text
    assert [form.action for form in page.forms if form.action.endswith("/signup")] == []
