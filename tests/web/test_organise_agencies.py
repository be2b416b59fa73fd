import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Agency


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


def test_an_agency_is_added_and_changed(client):
    assert (
        client.submit("/organise/agencies/new", {"name": "Dataport", "city": "Altenholz"}, form="form").status_code
        == 303
    )
    assert (
        client.submit(
            "/organise/agencies/1", {"short_name": "DP", "url": "https://dp.example"}, form="form"
        ).status_code
        == 303
    )
    assert "Dataport (DP)" in client.page("/organise/agencies").text
    row = db.session.scalars(sa.select(Agency)).one()
    assert (row.name, row.city, row.url, row.version) == ("Dataport", "Altenholz", "https://dp.example", 2)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "www.amt.example", "ftp://amt.example", "https://", "https://[", "https://a b"]
)
def test_only_what_opens_as_a_page_is_a_website(client, url):
    page = Page(client.submit("/organise/agencies/new", {"name": "Amt", "url": url}, form="form"))
    assert page.status == 422
    assert 'id="url-e"' in page.html
    assert page.form("form").values["url"] == [url]


def test_a_name_is_given_once(make, client):
    agency = make.agency()
    page = Page(client.submit("/organise/agencies/new", {"name": agency.name, "city": "Köln"}, form="form"))
    assert page.status == 422
    assert 'id="name-e"' in page.html
    assert page.form("form").values["city"] == ["Köln"]


def test_of_two_editors_the_second_sees_both_versions(make, client):
    agency = make.agency(name="Alt")
    mine, theirs = client.page(f"/organise/agencies/{agency.id}"), client.page(f"/organise/agencies/{agency.id}")
    client.submit(theirs, {"name": "Ihres"}, form="form")
    page = Page(client.submit(mine, {"name": "Meins"}, form="form"))
    assert page.status == 409
    assert "Ihres Meins" in page.text
    assert client.submit(page, form="form").status_code == 303
    assert agency.name == "Meins"


def test_an_agency_in_use_says_so_and_another_goes(make, client):
    used, unused = make.agency(), make.agency()
    make.speaker(agency_id=used.id)
    assert "wird noch verwendet" in Page(client.submit(f"/organise/agencies/{used.id}/delete", form="form")).text
    assert client.submit(f"/organise/agencies/{unused.id}/delete", form="form").status_code == 303
    assert db.session.scalars(sa.select(Agency.name)).all() == [used.name]
    assert client.page("/organise/agencies/99").status == 404


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_much_for_three_as_for_one(make, client, query_count, number):
    for _each in range(number):
        make.agency()
    client.page("/organise/agencies")
    with query_count() as queries:
        assert client.page("/organise/agencies").status == 200
    assert len(queries) == 2
