"""Public pages by conditional requests: one indexed row, whether 200 or 304 (design.md §5)."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import write
from whatsnext.models import EventState
from whatsnext.services import waiting_list
from whatsnext.web.pagecache import Kept, PageCache

PAGES = ("/", "/themes", "/themes/thema", "/events/t", "/series/reihe", "/en/events/t")


@pytest.fixture
def talk(make):
    make.series(slug="reihe")
    return make.event(slug="t", theme_id=make.theme(slug="thema").id)


def tag(client, path):
    return client.get(path).headers["ETag"]


@pytest.mark.parametrize("path", PAGES)
def test_an_unchanged_page_costs_one_row(talk, client, query_count, path):
    first = client.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["Vary"] == "Cookie"
    assert first.headers["ETag"].startswith('W/"')
    with query_count() as again:
        second = client.get(path)
    with query_count() as conditional:
        third = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.get_data()) == (200, first.get_data())
    assert (third.status_code, third.get_data()) == (304, b"")
    assert (len(again), len(conditional)) == (1, 1)
    assert third.headers["ETag"] == first.headers["ETag"]
    assert "SELECT" in conditional[0]


@pytest.mark.parametrize("path", PAGES)
def test_whatever_touches_the_talk_makes_a_new_page(talk, client, path):
    before = tag(client, path)
    with write():
        talk.title = "Neuer Titel"
        waiting_list.touch(talk)
    answer = client.get(path, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != before
    assert ("Neuer Titel" in answer.get_data(as_text=True)) == (path != "/themes")


def test_a_sign_up_changes_the_number_of_places(talk, client):
    assert "30 von 30 Plätzen frei" in client.page("/events/t").text
    client.submit(
        "/events/t", {"name": "Kim", "email": "kim@behoerde.example", "agency": "Amt"}, form="/events/t/signup"
    )
    assert "29 von 30 Plätzen frei" in client.page("/events/t").text
    assert "Plätze frei: 29" in client.page("/").text


def test_language_and_appearance_have_pages_of_their_own(talk, client):
    german = tag(client, "/events/t")
    assert tag(client, "/en/events/t") != german
    client.set_cookie("wn-appearance", "dark")
    assert tag(client, "/events/t") != german
    assert 'data-kern-theme="dark"' in client.get("/events/t").get_data(as_text=True)
    client.set_cookie("wn-appearance", "nonsense")
    assert tag(client, "/events/t") == german


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"registration_opens": NOON + timedelta(hours=1)}, timedelta(hours=1)),
        ({"registration_closes": NOON + timedelta(hours=2)}, timedelta(hours=2)),
    ],
)
def test_a_page_changes_at_the_minute_sign_up_opens_or_closes(make, client, at, given, after):
    make.event(slug="t", **given)
    before = {path: tag(client, path) for path in ("/", "/events/t")}
    at(NOON + after - timedelta(seconds=1))
    assert {path: tag(client, path) for path in before} == before
    at(NOON + after)
    later = {path: tag(client, path) for path in before}
    assert [path for path in before if later[path] == before[path]] == []


@pytest.mark.parametrize("path", ["/", "/themes", "/themes/thema", "/series/reihe"])
def test_a_list_that_a_talk_has_left_has_no_tag_of_before(make, client, at, path):
    make.series(slug="reihe")
    theme = make.theme(slug="thema")
    for hours in (1, 100):
        starts = NOON + timedelta(hours=hours)
        make.event(theme_id=theme.id, starts_at=starts, ends_at=starts + timedelta(hours=1))
    before = client.get(path)
    at(NOON + timedelta(hours=3))
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.get_data() == before.get_data()) == (200, False)


def test_a_page_is_made_anew_every_six_hours_because_its_form_ages(talk, client, at):
    before = client.get("/events/t")
    at(NOON + timedelta(hours=6))
    after = client.get("/events/t", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.get_data() != before.get_data()


def test_who_is_signed_in_is_answered_privately(talk, make, client):
    shared = tag(client, "/events/t")
    client.sign_in(make.person(name="Ada Beispiel"))
    answer = client.get("/events/t", headers={"If-None-Match": shared})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in answer.headers["Vary"]
    assert "ETag" not in answer.headers
    assert "Ada Beispiel" in answer.get_data(as_text=True)


def test_nothing_of_a_signed_in_person_reaches_the_next_visitor(talk, make, client, app):
    client.sign_in(make.person(name="Ada Beispiel"))
    client.get("/events/t")
    assert "Ada Beispiel" not in app.test_client().get("/events/t").get_data(as_text=True)


def test_the_asking_browser_shares_everybodys_page(talk, client, query_count):
    client.get("/events/t")
    client.set_cookie("wn-asked", "c" * 43)
    with query_count() as queries:
        assert client.get("/events/t").headers["Cache-Control"] == "no-cache"
    assert len(queries) == 1


def test_searches_are_not_kept(talk, client, query_count):
    client.get("/?q=x")
    with query_count() as queries:
        answer = client.get("/?q=x")
    assert len(queries) > 1
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_cancelled_talk_follows_the_next_one_of_its_theme(make, client):
    theme = make.theme()
    make.event(slug="off", theme_id=theme.id, state=EventState.CANCELLED, cancelled_at=NOON)
    following = make.event(slug="on", title="Ersatz", theme_id=theme.id)
    assert "Ersatz" in client.page("/events/off").text
    with write():
        following.title = "Anders"
        waiting_list.touch(following)
    assert "Anders" in client.page("/events/off").text


def test_head_is_answered_like_get(talk, client):
    assert client.head("/events/t").headers["ETag"] == tag(client, "/events/t")


def test_two_processes_give_one_tag(talk, client, make_app):
    other = make_app().test_client()
    assert tag(other, "/events/t") == tag(client, "/events/t")


def test_the_cache_forgets_what_was_used_least(app):
    cache, later = PageCache(app, most=2), NOON + timedelta(hours=1)
    for name in ("a", "b"):
        cache.put((name,), Kept(b"", name, later))
    cache.get(("a",), NOON)
    cache.put(("c",), Kept(b"", "c", later))
    found = [cache.get((name,), NOON) for name in ("a", "b", "c")]
    assert [kept.tag if kept else None for kept in found] == ["a", None, "c"]


def test_an_unknown_page_is_not_kept(client, query_count):
    assert client.get("/events/none").status_code == 404
    assert client.get("/events/none").status_code == 404
