import re

import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Theme
from whatsnext.services import series as all_series


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


def test_a_theme_is_added_with_one_of_eight_named_colours(make, client):
    make.series()
    page = client.page("/organise/themes/new")
    colours = "Petrol Violett Himbeere Blau Grün Orange Braun Grau"
    assert colours in page.text
    assert client.submit(page, {"name": "Blockchain", "colour": "5"}, form="form").status_code == 303
    assert "Blockchain" in client.page("/organise/themes").text
    assert db.session.execute(sa.select(Theme.slug, Theme.colour)).all() == [("blockchain", 5)]


@pytest.mark.parametrize("colour", ["0", "9", "#ff0000", ""])
def test_a_colour_of_no_pair_is_refused(make, client, colour):
    theme = make.theme(colour=3)
    page = Page(client.submit(f"/organise/themes/{theme.id}", {"colour": colour, "name": "Bleibt stehen"}, form="form"))
    assert page.status == 422
    assert 'id="colour-e"' in page.html
    assert page.form("form").values["name"] == ["Bleibt stehen"]
    assert theme.colour == 3


def test_a_theme_of_no_series_is_refused(make, client):
    make.series()
    page = Page(client.submit("/organise/themes/new", {"name": "Blockchain", "series_id": "99"}, form="form"))
    assert page.status == 422
    assert 'id="series_id-e"' in page.html


def test_without_a_series_the_way_leads_to_one(client):
    answer = client.get("/organise/themes/new")
    assert (answer.status_code, answer.location) == (303, "/organise/series/new")
    assert "Legen Sie zuerst eine Reihe an; jedes Thema gehört zu einer." in client.page(answer.location).text


def test_a_preview_shows_and_saves_nothing(make, client):
    theme = make.theme(description="Alt")
    page = client.page(f"/organise/themes/{theme.id}")
    page = Page(
        client.submit(page, {"description": "**Neu** <script>alert(1)</script>", "action": "preview"}, form="form")
    )
    assert page.status == 200
    assert "<strong>Neu</strong>" in page.html
    assert "<script>alert" not in page.html
    assert theme.description == "Alt"


def test_a_name_twice_in_a_series_is_refused_at_its_field(make, client):
    theme, other = make.theme(), make.theme()
    page = Page(client.submit(f"/organise/themes/{theme.id}", {"name": other.name}, form="form"))
    assert page.status == 422
    assert 'id="name-e"' in page.html


def test_of_two_editors_the_second_sees_both_versions(make, client):
    theme = make.theme(colour=1)
    mine, theirs = client.page(f"/organise/themes/{theme.id}"), client.page(f"/organise/themes/{theme.id}")
    client.submit(theirs, {"colour": "2"}, form="form")
    page = Page(client.submit(mine, {"colour": "4"}, form="form"))
    assert page.status == 409
    assert "Farbe Violett Blau" in page.text


def test_a_theme_in_use_says_so_and_another_goes(make, client):
    used, unused = make.theme(), make.theme()
    make.draft(theme_id=used.id)
    assert "wird noch verwendet" in Page(client.submit(f"/organise/themes/{used.id}/delete", form="form")).text
    assert client.submit(f"/organise/themes/{unused.id}/delete", form="form").status_code == 303
    assert db.session.scalars(sa.select(Theme.name)).all() == [used.name]
    assert client.page("/organise/themes/99").status == 404


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_much_for_three_as_for_one(make, client, query_count, number):
    for _each in range(number):
        make.theme()
    client.page("/organise/themes")
    with query_count() as queries:
        assert client.page("/organise/themes").status == 200
    assert len(queries) == 2


def test_talks_are_counted_so_far_and_no_further(client, make, monkeypatch):
    monkeypatch.setattr(all_series, "MANY", 2)
    monkeypatch.setattr("whatsnext.web.organise.themes.MANY", 2)
    for name, talks in (("Eins", 1), ("Zwei", 2), ("Drei", 3)):
        theme = make.theme(name=name)
        for _number in range(talks):
            make.event(series=theme.series, theme_id=theme.id)
    html = client.page("/organise/themes").html
    counted = re.findall(r'data-label="Termine">([^<]*)<', html)
    assert sorted(counted) == ["1", "2+", "2+"]
