from datetime import datetime, timedelta

import pytest

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import write
from whatsnext.models import Kind, MessageState, Status
from whatsnext.services import overview, pages


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


@pytest.fixture
def _pages_written(app):
    with write():
        for text in pages.all_texts():
            pages.save(text.slug, text.language, "Unser Text", 0, NOON)


def test_a_new_installation_begins_with_three_steps(make, client):
    page = client.page("/organise/")
    assert (
        "1 Reihe benennen Noch offen 2 Thema anlegen Noch offen 3 Erste Veranstaltung anlegen Noch offen" in page.text
    )
    make.series()
    page = client.page("/organise/")
    assert "Reihe benennen Erledigt 2 Thema anlegen Noch offen" in page.text
    assert ("/organise/events/new", "Erste Veranstaltung anlegen") in page.links


def test_legal_pages_that_are_still_templates_are_something_to_do(client):
    page = client.page("/organise/")
    assert "12 Texte der Seiten in der Fußzeile sind noch Mustertext; jede Sprache zählt." in page.text
    assert ("/organise/pages", "Seiten bearbeiten") in page.links


@pytest.mark.parametrize(("server", "told"), [("", True), ("mail.behoerde.example", False)])
def test_without_a_mail_server_the_folder_of_the_mails_is_told(client, app, monkeypatch, server, told):
    settings = app.config["SETTINGS"].model_copy(update={"mail_server": server})
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    folder = settings.instance / "mail"
    text = client.page("/organise/delivery").text
    assert ("„Gesendet“ heißt hier: in diesen Ordner geschrieben." in text) is told
    for path in ("/organise/", "/organise/delivery"):
        text = client.page(path).text
        assert (f"Kein Mailserver eingerichtet: Mails liegen im Ordner {folder}." in text) is told


@pytest.mark.usefixtures("_pages_written")
def test_with_nothing_to_do_it_says_so(make, client, app, monkeypatch):
    make.event(theme_id=make.theme().id)
    assert "Nichts zu tun." in client.page("/organise/").text
    settings = app.config["SETTINGS"].model_copy(update={"mail_server": ""})
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    assert "Nichts zu tun." not in client.page("/organise/").text  # a mail server is to be set up


@pytest.mark.usefixtures("_pages_written")
def test_everything_to_do_is_a_sentence_with_one_way_on(make, client):
    talk = make.event(
        title="Register",
        places_on_site=5,
        places_online=5,
        starts_local=datetime(2026, 1, 6, 9),
        address="",
        join_link="",
    )
    one = make.registration(talk, needs="x", needs_consent_at=NOON)
    make.message(Kind.INVITATION, one, state=MessageState.FAILED)
    make.registration(talk, Status.WAITING)
    draft = make.draft(title="Entwurf 9", theme_id=make.theme().id)
    page = client.page("/organise/")
    edit, people = f"/organise/events/{talk.id}", f"/organise/events/{talk.id}/participants?show="
    shown = [
        ("„Register“: Die Nachricht an 1 Person konnte nicht zugestellt werden.", people + "undelivered"),
        ("„Register“ beginnt bald und hat noch keinen Zugangslink.", edit),
        ("„Register“ beginnt bald und hat noch keine Adresse.", edit),
        ("„Register“: 1 Person wartet, obwohl ein Platz frei ist.", people + "waiting"),
        ("„Register“: 1 Person hat Bedarf zur Barrierefreiheit genannt.", people + "needs"),
        ("Der Entwurf „Entwurf 9“ hat noch keinen Gastgeber.", f"/organise/events/{draft.id}"),
        ("Im Entwurf „Entwurf 9“ fehlt noch: Zusammenfassung.", f"/organise/events/{draft.id}"),
    ]
    places = [page.text.index(sentence) for sentence, _url in shown]
    assert places == sorted(places)
    assert {url for _sentence, url in shown} <= {href for href, _words in page.links}


@pytest.mark.usefixtures("_pages_written")
def test_lost_reports_of_barriers_and_an_old_statement_are_told(make, client, at):
    at(NOON + timedelta(days=336))
    client.sign_in(make.organiser())
    make.message(Kind.BARRIER_REPORT, make.person(), state=MessageState.FAILED)
    page = client.page("/organise/")
    assert "1 Meldung einer Barriere hat niemanden erreicht." in page.text
    assert ("/organise/series", "Adresse prüfen") in page.links
    assert ("/organise/pages/barrierefreiheit/de", "Erklärung erneuern") in page.links


@pytest.mark.usefixtures("_pages_written")
def test_mails_held_by_the_brake_are_released_by_a_button(make, client, owed):
    one = make.registration(make.event(), Status.HELD)
    make.message(Kind.CONFIRMATION_REQUEST, one, state=MessageState.HELD)
    page = client.page("/organise/")
    assert "1 Nachricht an eine neue Adresse wird angehalten" in page.text
    assert owed() == []
    answer = client.submit(page, form="release")
    assert (answer.status_code, answer.location) == (303, "/organise/")
    assert owed() == [(Kind.CONFIRMATION_REQUEST, one)]
    assert "1 Nachricht ist freigegeben." in client.page("/organise/").text


def test_talks_stand_with_date_places_waiting_and_state(make, client):
    talk = make.event(title="Register", places_on_site=1, places_online=20)
    make.registration(talk)
    make.registration(talk, Status.WAITING)
    text = client.page("/organise/").text
    when = "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)"
    assert f"Register {when} 1 von 1, online 0 von 20 1 Anmeldung offen Teilnehmende" in text


def test_past_talks_are_paged_by_key_and_nonsense_begins_anew(make, client, monkeypatch):
    monkeypatch.setattr(overview, "PAST_PAGE", 1)
    for day in (1, 2):
        make.event(title=f"Tag {day}", starts_local=datetime(2025, 12, day, 9))
    page = client.page("/organise/")
    assert ("Tag 2" in page.text, "Tag 1" in page.text) == (True, False)
    [more] = [href for href, words in page.links if words == "Weitere anzeigen"]
    page = client.page(more)
    assert ("Tag 2" in page.text, "Tag 1" in page.text) == (False, True)
    for nonsense in ("x", "1-", "-1", "9" * 40 + "-1", "1-" + "9" * 40, "²-1"):
        assert "Tag 2" in client.page(f"/organise/?before={nonsense}").text


def test_a_button_without_a_token_releases_nothing(make, client, owed):
    make.message(Kind.CONFIRMATION_REQUEST, make.registration(make.event(), Status.HELD), state=MessageState.HELD)
    page = Page(client.post("/organise/mails/release", headers={"Origin": "http://localhost"}))
    assert page.status == 422
    assert owed() == []


@pytest.mark.parametrize("number", [1, 3])
def test_the_page_asks_as_much_for_three_talks_as_for_one(make, client, query_count, number):
    for _each in range(number):
        one = make.registration(make.event(), needs="x", needs_consent_at=NOON)
        make.message(Kind.INVITATION, one, state=MessageState.FAILED)
        make.draft(theme_id=make.theme().id)
        make.event(starts_local=datetime(2025, 12, 1, 9))
    client.page("/organise/")
    with query_count() as queries:
        assert client.page("/organise/").status == 200
    assert len(queries) == 15


def test_a_talk_long_over_is_not_coming(make, client, at):
    talk = make.event()
    at(talk.ends_at + timedelta(minutes=1))
    client.sign_in(make.organiser())
    assert "Keine kommende Veranstaltung." in client.page("/organise/").text


def test_incoming_mails_are_one_link_away(client):
    page = client.page("/organise/")
    assert [words for address, words in page.links if address == "/organise/incoming"] == ["Eingegangene Mails"] * 2
    assert ("/organise/incoming", "Eingegangene Mails") in client.page("/organise/themes").links
