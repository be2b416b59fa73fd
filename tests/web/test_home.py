"""The series home: find the next talk worth going to (experience.md §4)."""

import re
from datetime import datetime

import pytest

from tests.web.outline import headings
from whatsnext.models import EventState, Mode, Status


def test_talks_stand_by_month_with_date_place_host_and_state(make, client):
    make.series(summary="Fachvorträge aus der Verwaltung.")
    theme = make.theme(name="Blockchain")
    host = make.agency(name="Bundesdruckerei")
    make.event(
        title="Register",
        starts_local=datetime(2026, 2, 12, 14),
        theme_id=theme.id,
        host_id=host.id,
        places_on_site=12,
        places_online=5,
        address="Kommandantenstraße 18, 10969 Berlin",
    )
    make.event(title="Später", starts_local=datetime(2026, 3, 5, 10), places_online=3)
    page = client.page("/")
    assert headings(page) == [
        (1, "Termine"),
        (2, "Februar 2026"),
        (3, "Register"),
        (2, "März 2026"),
        (3, "Später"),
    ]
    for words in (
        "Fachvorträge aus der Verwaltung.",
        "Do., 12. Februar 2026, 14:00–15:30 Uhr (Berlin)",
        "Vor Ort in Berlin und online",
        "Gastgeber: Bundesdruckerei",
        "Plätze frei: 17",
        "Plätze frei: 3",
    ):
        assert words in page.text


def test_english_pages_speak_english(make, client):
    make.series(summary="Fachvorträge.", summary_en="Talks for the administration.")
    make.event(starts_local=datetime(2026, 2, 12, 14), places_on_site=1)
    text = client.page("/en/").text
    assert "Talks for the administration." in text
    assert "Thu 12 February 2026, 14:00–15:30 (Berlin)" in text
    assert "1 place left" in text


def test_a_german_summary_on_an_english_page_says_its_language(make, client):
    make.series(summary="Fachvorträge.")
    assert '<p class="kern-body kern-body--large" lang="de">Fachvorträge.</p>' in client.page("/en/").html


def test_drafts_are_not_shown(make, client):
    make.draft(title="Noch geheim")
    page = client.page("/")
    assert "Noch geheim" not in page.html
    assert "Zurzeit ist kein Termin geplant." in page.text


def test_an_installation_without_anything_is_no_error(client):
    page = client.page("/")
    assert page.status == 200
    assert "Zurzeit ist kein Termin geplant." in page.text


def test_cancelled_moved_full_and_announced_talks_say_so(make, client, app):
    make.event(title="A", state=EventState.CANCELLED)
    make.event(title="B", previous_starts_at=datetime.fromisoformat("2026-01-07T13:00+00:00"))
    make.registration(make.event(title="C", places_on_site=1))
    make.event(title="D", registration_opens=datetime.fromisoformat("2026-01-10T08:00+00:00"))
    make.event(title="E", registration_closes=datetime.fromisoformat("2026-01-04T08:00+00:00"))
    found = re.findall(r'kern-label--small">([^<]+)<', client.page("/").html)
    assert found == [
        "Abgesagt",
        "Verschoben – Plätze frei: 30",
        "Ausgebucht – Warteliste offen",
        "Anmeldung ab 10. Januar",
        "Anmeldung geschlossen",
    ]


def test_a_talk_that_is_full_one_way_says_which_way_is_left(make, client):
    full_on_site = make.event(title="A", places_on_site=1, places_online=5)
    make.registration(full_on_site, mode=Mode.ON_SITE)
    full_online = make.event(title="B", places_on_site=5, places_online=1)
    make.registration(full_online, mode=Mode.ONLINE)
    make.event(title="C", places_on_site=5, places_online=1)
    found = re.findall(r'kern-label--small">([^<]+)<', client.page("/").html)
    assert found == ["Plätze frei: 5, nur online", "Plätze frei: 5, nur vor Ort", "Plätze frei: 6"]


def test_past_talks_come_last_and_page_by_key(make, client):
    for day in range(1, 9):
        make.event(title=f"Alt {day}", starts_local=datetime(2025, 11, day, 14))
    make.event(title="Neu")
    page = client.page("/")
    titles = [words for level, words in headings(page) if level == 3]
    assert titles == ["Neu", "Alt 8", "Alt 7", "Alt 6", "Alt 5", "Alt 4", "Alt 3"]
    (further,) = [href for href, words in page.links if words == "Weitere frühere Veranstaltungen anzeigen"]
    assert [words for level, words in headings(client.page(further)) if level == 3] == ["Alt 2", "Alt 1"]


@pytest.mark.parametrize("key", ["", "x", "20260101T000000-x", "20269999T000000-1", "20260101T000000-99999999999999"])
def test_a_key_that_is_none_shows_the_first_page(make, client, key):
    make.event(title="Neu")
    assert "Neu" in client.page(f"/?before={key}").text or key.startswith("20260101T000000-9")


def test_the_search_finds_titles_speakers_hosts_and_towns(make, client):
    host = make.agency(name="Übersee-Amt")
    speaker = make.speaker(name="Ayşe Yılmaz")
    make.event(title="Eins", host_id=host.id)
    make.event(title="Zwei", speakers=(speaker,))
    make.event(title="Drei", address="Adenauerallee 1, 53113 Bonn")
    make.event(title="100 % Cloud")
    for words, found in (
        ("eins", ["Eins"]),
        ("yılmaz", ["Zwei"]),
        ("übersee", ["Eins"]),
        ("bonn allee", ["Drei"]),
        ("100 %", ["100 % Cloud"]),
        ("_", []),
    ):
        page = client.page("/", query_string={"q": words})
        assert [title for level, title in headings(page) if level == 3] == found, words


def test_a_search_without_result_shows_the_way_back(make, client):
    make.event(title="Register")
    page = client.page("/?q=Quanten")
    assert "Nichts gefunden für „Quanten“." in page.text
    assert ("/", "Alle Termine anzeigen") in page.links
    assert "<details" in page.html
    assert "open>" in page.html
    assert 'value="Quanten"' in page.html


def test_the_search_can_be_narrowed_to_a_theme(make, client):
    theme = make.theme(name="Cloud", slug="cloud")
    make.event(title="Wolke", theme_id=theme.id)
    make.event(title="Kette")
    page = client.page("/?q=&theme=cloud")
    assert [title for level, title in headings(page) if level == 3] == ["Wolke"]
    assert 'data-count="1 Veranstaltung gefunden"' in page.html


def test_several_series_have_a_page_each(make, client):
    one, two = make.series(name="What's NEXt", slug="next"), make.series(name="Mittagsrunde", slug="mittag")
    make.event(title="Register", series=one)
    make.event(title="Suppe", series=two)
    assert [t for level, t in headings(client.page("/")) if level == 3] == ["Register", "Suppe"]
    page = client.page("/series/mittag")
    assert headings(page)[0] == (1, "Mittagsrunde")
    assert [t for level, t in headings(page) if level == 3] == ["Suppe"]
    assert client.get("/series/none").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_talks(make, client, query_count):
    theme, host = make.theme(), make.agency()
    make.registration(make.event(theme_id=theme.id, host_id=host.id))
    with query_count() as one:
        client.page("/?q=")
    for number in range(2):
        event = make.event(
            theme_id=make.theme().id, host_id=make.agency().id, starts_local=datetime(2026, 2, 3, number)
        )
        make.registration(event, Status.WAITING)
        make.event(starts_local=datetime(2025, 2, 3 + number))
    with query_count() as three:
        client.page("/?q=")
    assert len(three) == len(one)
