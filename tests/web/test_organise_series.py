import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Series

BAD_LINES = ["a\nb", "a\r\nb", "a\x00b", "a\u202eb", "x" * 10_000]


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


def test_a_series_is_named_and_stands_in_the_list(client):
    answer = client.submit(
        "/organise/series/new", {"name": "Werkstatt", "contact_email": "W@Behoerde.example"}, form="form"
    )
    assert (answer.status_code, answer.location) == (303, "/organise/series")
    page = client.page("/organise/series")
    assert "Gespeichert: Werkstatt" in page.text
    assert ("/organise/series/1", "Werkstatt") in page.links
    assert db.session.scalars(sa.select(Series.contact_email)).all() == ["w@behoerde.example"]


def test_a_change_is_kept(make, client):
    one = make.series(name="Alt", promotion_stops_hours=12)
    answer = client.submit(f"/organise/series/{one.id}", {"name": "Neu"}, form="form")
    assert answer.status_code == 303
    assert (one.name, one.promotion_stops_hours, one.version) == ("Neu", 12, 2)


@pytest.mark.parametrize("field", ["name", "contact_name", "contact_phone", "zone", "slug"])
@pytest.mark.parametrize("value", BAD_LINES)
def test_what_no_line_can_hold_is_refused_at_its_field_with_everything_kept(make, client, field, value):
    one = make.series()
    page = Page(client.submit(f"/organise/series/{one.id}", {"summary": "Bleibt stehen", field: value}, form="form"))
    assert page.status == 422
    assert f'id="{field}-e"' in page.html
    assert page.form("form").values["summary"] == ["Bleibt stehen"]
    assert one.version == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"contact_email": "kein-at"}, "contact_email"),
        ({"contact_email": "a@b.example <c@evil.example>"}, "contact_email"),
        ({"zone": "Europe/Atlantis"}, "zone"),
        ({"slug": "Groß und schräg"}, "slug"),
        ({"offer_hours": "0"}, "offer_hours"),
        ({"promotion_stops_hours": "-1"}, "promotion_stops_hours"),
        ({"promotion_stops_hours": "viele"}, "promotion_stops_hours"),
        ({"summary": "a\x07b"}, "summary"),
    ],
)
def test_a_wrong_entry_is_explained_at_its_field(make, client, changes, field):
    one = make.series()
    page = Page(client.submit(f"/organise/series/{one.id}", {"summary": "Bleibt", **changes}, form="form"))
    assert page.status == 422
    assert f'id="{field}-e"' in page.html
    assert f'href="#{field}"' in page.html


def test_of_two_editors_the_second_sees_both_versions_and_may_go_on(make, client):
    one = make.series(name="Alt")
    mine, theirs = client.page(f"/organise/series/{one.id}"), client.page(f"/organise/series/{one.id}")
    client.submit(theirs, {"name": "Von nebenan"}, form="form")
    page = Page(client.submit(mine, {"name": "Von mir"}, form="form"))
    assert page.status == 409
    assert "Name der Reihe Inzwischen gespeichert Von nebenan" not in page.text
    assert "Von nebenan Von mir" in page.text
    assert page.form("form").values["name"] == ["Von mir"]
    assert client.submit(page, form="form").status_code == 303
    assert (one.name, one.version) == ("Von mir", 3)


@pytest.mark.parametrize("extra", [{"role": "operator"}, {"page_version": "9"}])
def test_a_field_of_no_form_changes_nothing(make, client, extra):
    one = make.series()
    form = client.page(f"/organise/series/{one.id}").form("form")
    answer = client.post(form.action, data={**form.values, **extra}, headers={"Origin": "http://localhost"})
    assert answer.status_code == 422
    assert one.version == 1


def test_a_series_in_use_says_so_and_an_empty_one_goes(make, client):
    used, empty = make.series(name="Belegt"), make.series(name="Leer")
    make.draft(series=used)
    page = Page(client.submit(f"/organise/series/{used.id}/delete", form="form"))
    assert page.status == 422
    assert "wird noch verwendet" in page.text
    assert client.submit(f"/organise/series/{empty.id}/delete", form="form").status_code == 303
    page = client.page("/organise/series")
    assert "Belegt" in page.text
    assert "Leer" not in page.text


def test_a_series_nobody_has_is_not_found(client):
    assert [client.page(f"/organise/series/99{end}").status for end in ("", "/delete")] == [404, 404]


def test_the_first_series_is_invited_by_an_empty_list(client):
    page = client.page("/organise/series")
    assert "Es gibt noch keine Reihe" in page.text
    assert ("/organise/series/new", "Reihe benennen") in page.links


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_much_for_three_as_for_one(make, client, query_count, number):
    for _each in range(number):
        make.series()
    client.page("/organise/series")
    with query_count() as queries:
        assert client.page("/organise/series").status == 200
    assert len(queries) == 2
