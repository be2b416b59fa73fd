"""Feeds as programs fetch them, and the pages that lead there."""

import gzip
from datetime import timedelta
from xml.etree import ElementTree as ET

import icalendar
import pytest
import sqlalchemy as sa
from sqlalchemy import inspect

from tests.calendars.test_atom import IN
from tests.factories import NOON
from tests.web.outline import headings
from whatsnext.db import db, write
from whatsnext.models import Event, EventState, Mode, PersonFeed, Status
from whatsnext.services import feeds, waiting_list

MIDNIGHT = NOON.replace(hour=0)
DAY = timedelta(days=1)


def talks(response):
    assert response.status_code == 200
    return [str(event["SUMMARY"]) for event in icalendar.Calendar.from_ical(response.data).walk("VEVENT")]


@pytest.fixture
def paths(make):
    """One talk in every feed there is."""
    series = make.series(slug="next", name="Fachreihe")
    theme, host = make.theme(series=series, slug="cloud", name="Cloud"), make.agency(name="Bundesdruckerei")
    talk = make.event(title="Wolke", slug="wolke", series=series, theme=theme, host=host, places_online=5)
    mine = make.registration(talk, mode=Mode.ONLINE)
    with write():
        secret = feeds.renew(mine.person_id, NOON).secret
    return {
        "series": "/calendar/series/next.ics",
        "theme": "/calendar/themes/cloud.ics",
        "host": f"/calendar/agencies/{host.id}.ics",
        "news": "/news.atom",
        "mine": f"/calendar/mine/{secret}.ics",
    }


FEEDS = ("series", "theme", "host", "news", "mine")
PUBLIC = FEEDS[:4]


@pytest.mark.parametrize("name", FEEDS)
def test_who_has_the_newest_is_answered_304_in_at_most_two_statements(paths, client, query_count, name):
    first = client.get(paths[name])
    assert first.status_code == 200
    for given in ({"If-None-Match": first.headers["ETag"]}, {"If-Modified-Since": first.headers["Last-Modified"]}):
        with query_count() as queries:
            again = client.get(paths[name], headers=given)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert len(queries) <= (2 if name == "mine" else 1)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_process_that_has_built_nothing_yet_answers_304_in_two_statements(paths, app, client, query_count, name):
    first = client.get(paths[name])
    app.extensions.pop("whatsnext.feeds")
    with query_count() as queries:
        again = client.get(paths[name], headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert len(queries) == 2


@pytest.mark.parametrize("name", FEEDS)
def test_the_number_of_queries_does_not_grow_with_the_talks(paths, app, make, client, query_count, name):
    def count():
        app.extensions.pop("whatsnext.feeds", None)
        with query_count() as queries:
            assert client.get(paths[name]).status_code == 200
        return len(queries)

    one = count()
    talk = db.session.scalars(sa.select(Event)).one()
    owner = db.session.scalars(sa.select(PersonFeed)).one().person
    for _number in range(2):
        more = make.event(series=talk.series, theme=talk.theme, host=talk.host, places_online=5)
        make.registration(more, mode=Mode.ONLINE, person=owner)
    assert (one, count()) == (2, 2)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_feeds_may_be_kept_shortly_by_everyone_and_set_no_cookie(paths, client, name):
    answer = client.get(paths[name])
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Vary"] == "Accept-Encoding, Cookie"
    assert "Set-Cookie" not in answer.headers
    assert answer.last_modified == max(MIDNIGHT, NOON)
    assert answer.headers["Content-Type"] == (
        "application/atom+xml; charset=utf-8" if name == "news" else "text/calendar; charset=utf-8"
    )


@pytest.mark.parametrize("name", FEEDS)
def test_whoever_takes_gzip_gets_it_with_the_same_tag(paths, client, name):
    plain, packed = (client.get(paths[name], headers=given) for given in ({}, {"Accept-Encoding": "gzip, br"}))
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize("name", FEEDS)
def test_head_says_what_get_says_without_the_body(paths, client, name):
    get, head = client.get(paths[name]), client.head(paths[name])
    assert (head.status_code, head.data) == (200, b"")
    for header in ("ETag", "Last-Modified", "Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[header] == get.headers[header], header


@pytest.mark.parametrize("name", PUBLIC)
def test_a_change_of_the_talk_brings_a_new_feed_a_sign_up_does_not(paths, make, client, name):
    tag = client.get(paths[name]).headers["ETag"]
    talk = db.session.scalars(sa.select(Event)).one()
    with write():
        make.registration(talk, mode=Mode.ONLINE)
        waiting_list.touch(talk)
    assert client.get(paths[name], headers={"If-None-Match": tag}).status_code == 304
    with write():
        talk.title, talk.changed_at = "Neue Wolke", NOON + timedelta(hours=1)
        waiting_list.touch(talk)
    answer = client.get(paths[name], headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert "Neue Wolke" in answer.get_data(as_text=True)


def test_each_language_has_its_own_feed(paths, client):
    german, english = (client.get(prefix + paths["series"]) for prefix in ("", "/en"))
    assert german.headers["ETag"] != english.headers["ETag"]
    assert b"SOURCE;VALUE=URI:http://127.0.0.1:8000/en/calendar/series/next.ics" in english.data.replace(b"\r\n ", b"")


def test_a_cancelled_talk_stays_thirty_days_then_goes(paths, client, at):
    talk = db.session.scalars(sa.select(Event)).one()
    with write():
        talk.state, talk.cancelled_at = EventState.CANCELLED, NOON
        waiting_list.touch(talk)
    for name in ("series", "theme", "host", "mine"):
        at(NOON)
        assert b"STATUS:CANCELLED" in client.get(paths[name]).data
        at(MIDNIGHT + 31 * DAY - timedelta(seconds=1))
        assert talks(client.get(paths[name])) == ["Wolke"]
        at(MIDNIGHT + 31 * DAY)
        assert talks(client.get(paths[name])) == []


def test_absent_feeds_are_absent(paths, client):
    for path in (
        "/calendar/series/x.ics",
        "/calendar/themes/x.ics",
        "/calendar/agencies/999.ics",
        f"/calendar/mine/{'x' * 43}.ics",
        "/calendar/mine/ä.ics",
    ):
        assert client.get(path).status_code == 404


def test_ones_own_feed_is_for_nobody_to_keep_and_tells_its_address_to_nobody(paths, client):
    for path in (paths["mine"], f"/calendar/mine/{'x' * 43}.ics"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in answer.headers
    data = client.get(paths["mine"]).data
    assert b"CONFERENCE;VALUE=URI:https://video.behoerde.example/raum" in data
    assert b"ATTENDEE" not in data


def test_no_public_feed_holds_a_join_link(paths, client):
    for name in PUBLIC:
        assert b"video.behoerde.example" not in client.get(paths[name]).data, name


def test_the_news_name_the_talk_with_its_time_and_page(paths, client):
    root = ET.fromstring(client.get(paths["news"]).data)
    (entry,) = root.findall("a:entry", IN)
    assert entry.findtext("a:title", "", IN) == "Wolke"
    assert [link.get("href") for link in entry.findall("a:link", IN)] == ["http://127.0.0.1:8000/events/wolke"]
    assert entry.findtext("a:summary", "", IN).startswith("Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)")
    assert root.findtext("a:title", "", IN) == "Neue Veranstaltungen – Fachreihe"


def test_news_without_a_talk_are_a_feed_too(client):
    assert ET.fromstring(client.get("/news.atom").data).findall("a:entry", IN) == []


# --- pages -----------------------------------------------------------------------------------------------


def test_the_page_offers_every_calendar_and_each_program(paths, client):
    page = client.page("/subscribe")
    assert headings(page) == [
        (1, "Kalender abonnieren"),
        (2, "Fachreihe"),
        (2, "Schritte für jedes Kalenderprogramm"),
        (3, "Microsoft 365 und das neue Outlook"),
        (3, "Outlook.com (privates Konto)"),
        (3, "Klassisches Outlook für Windows"),
        (3, "Google Kalender"),
        (3, "Apple Kalender (iPhone, iPad, Mac)"),
        (3, "Thunderbird"),
        (3, "Nextcloud"),
        (2, "Andere Wege"),
    ]
    assert 'value="http://127.0.0.1:8000/calendar/series/next.ics" readonly' in page.html
    assert "Google aktualisiert oft erst nach einem Tag" in page.text
    assert ("webcal://127.0.0.1:8000/calendar/series/next.ics", "Auf diesem Apple-Gerät abonnieren") in page.links


@pytest.mark.parametrize("name", ["theme", "host"])
def test_the_chosen_calendar_is_the_one_shown(paths, client, name):
    value = {"theme": "themes/cloud", "host": paths["host"].removeprefix("/calendar/").removesuffix(".ics")}[name]
    page = client.page("/subscribe", query_string={"calendar": value})
    assert headings(page)[1] == (2, {"theme": "Cloud", "host": "Bundesdruckerei"}[name])
    assert f'value="http://127.0.0.1:8000{paths[name]}" readonly' in page.html


def test_a_calendar_that_is_none_shows_the_first(paths, client):
    assert headings(client.page("/subscribe?calendar=themes/x"))[1] == (2, "Fachreihe")


def test_an_installation_without_a_series_has_nothing_to_subscribe_to(client):
    page = client.page("/en/subscribe")
    assert page.status == 200
    assert "There is no calendar yet." in page.text


def test_home_and_theme_lead_to_their_calendar(paths, client):
    for path, calendar, feed in (
        ("/", "/subscribe?calendar=series/next", paths["series"]),
        ("/themes/cloud", "/subscribe?calendar=themes/cloud", paths["theme"]),
    ):
        page = client.page(path)
        assert (calendar, "Kalender abonnieren") in page.links
        assert '<link rel="alternate" type="text/calendar" title="' in page.html
        assert f'href="{feed}"' in page.html
    assert 'type="application/atom+xml"' in client.page("/").html


def test_a_person_makes_renews_and_deletes_their_own_calendar(make, client):
    mine = make.registration(make.event(title="Wolke"))
    make.registration(make.event(title="wartet"), Status.WAITING, person=mine.person)
    client.sign_in(mine.person)
    button = "/my-registrations/calendar"
    assert "Wer diesen Link hat" not in client.page("/my-registrations").text

    def address():
        html = client.page("/my-registrations").html
        return html.partition('id="own-calendar" value="http://127.0.0.1:8000')[2].partition('"')[0]

    assert address() == ""
    answer = client.submit("/my-registrations", form=button)
    assert (answer.status_code, answer.location) == (303, "/my-registrations#calendar")
    old = address()
    assert "Wer diesen Link hat, sieht Ihre Anmeldungen." in client.page("/my-registrations").text
    assert talks(client.get(old)) == ["Wolke"]
    client.submit("/my-registrations", form=button)
    new = address()
    assert client.get(old).status_code == 404
    assert talks(client.get(new)) == ["Wolke"]
    page = client.page("/my-registrations")
    action, values = page.form(button).filled({})
    client.post(action, data={**values, "action": "delete"}, headers={"Origin": "http://localhost"})
    assert address() == ""
    assert client.get(new).status_code == 404


def test_whoever_is_not_signed_in_is_asked_first(client):
    answer = client.post("/my-registrations/calendar", data={"action": "create"})
    assert (answer.status_code, answer.location) == (303, "/my-registrations")


def test_the_buttons_need_a_form_of_ours(make, client):
    ada = make.person()
    client.sign_in(ada)
    answer = client.post("/my-registrations/calendar", data={"action": "create"})
    assert answer.status_code == 422
    assert "Das Formular war zu lange offen." in answer.get_data(as_text=True)
    assert feeds.own(ada.id) is None


@pytest.mark.parametrize("name", ["series", "theme", "host"])
def test_each_list_is_read_from_an_index(paths, app, query_count, name):
    """The cost of a feed does not depend on talks that are not in it."""
    source = {
        "series": lambda: feeds.of_series("next"),
        "theme": lambda: feeds.of_theme("cloud"),
        "host": lambda: feeds.of_host(int(paths["host"].split("/")[-1][:-4])),
    }[name]()
    with query_count() as queries:
        feeds.talks(source, MIDNIGHT)
    (statement,) = queries
    index = {"series": "ix_event_coming", "theme": "ix_event_theme", "host": "ix_event_host"}[name]
    if db.engine.dialect.name == "sqlite":
        assert index in " ".join(row[-1] for row in _explain(statement))
    else:  # PostgreSQL plans by the size of the table, and this one is small
        assert index in [one["name"] for one in inspect(db.engine).get_indexes("event")]


def _explain(statement):
    count = statement.count("?")
    with db.engine.connect() as connection:
        return connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple([1] * count)).all()


def test_a_tag_that_must_match_never_does_for_the_tags_are_weak(paths, client):
    tag = client.get(paths["series"]).headers["ETag"]
    given = {tag: 412, '"x"': 412, "*": 200}
    assert {tag: client.get(paths["series"], headers={"If-Match": tag}).status_code for tag in given} == given
