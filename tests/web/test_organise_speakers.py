import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Speaker


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


def test_a_speaker_is_added_and_changed(make, client):
    agency = make.agency()
    assert client.submit("/organise/speakers/new", {"name": "Ayşe Yılmaz"}, form="form").status_code == 303
    answer = client.submit(
        "/organise/speakers/1", {"agency_id": agency.id, "biography": "Leitet **etwas**."}, form="form"
    )
    assert answer.status_code == 303
    row = db.session.scalars(sa.select(Speaker)).one()
    assert (row.name, row.agency_id, row.biography) == ("Ayşe Yılmaz", agency.id, "Leitet **etwas**.")
    assert f"Ayşe Yılmaz {agency.name} 0" in client.page("/organise/speakers").text


def test_an_agency_nobody_knows_is_refused_at_its_field(make, client):
    speaker = make.speaker()
    for agency_id in ("99", "x"):
        page = Page(
            client.submit(f"/organise/speakers/{speaker.id}", {"agency_id": agency_id, "role": "Bleibt"}, form="form")
        )
        assert page.status == 422
        assert 'id="agency_id-e"' in page.html
        assert page.form("form").values["role"] == ["Bleibt"]


def test_a_preview_shows_and_saves_nothing(make, client):
    speaker = make.speaker(biography="Alt")
    changes = {"biography": "[x](javascript:alert(1)) *neu*", "action": "preview"}
    page = Page(client.submit(f"/organise/speakers/{speaker.id}", changes, form="form"))
    assert "<em>neu</em>" in page.html
    assert 'href="javascript' not in page.html
    assert speaker.biography == "Alt"


def test_of_two_editors_the_second_sees_both_versions(make, client):
    speaker, agency = make.speaker(), make.agency(name="Dataport")
    mine, theirs = client.page(f"/organise/speakers/{speaker.id}"), client.page(f"/organise/speakers/{speaker.id}")
    client.submit(theirs, {"agency_id": agency.id}, form="form")
    page = Page(client.submit(mine, {"agency_id": ""}, form="form"))
    assert page.status == 409
    assert "Behörde Dataport keine" in page.text


def test_whoever_speaks_stays_and_another_goes(make, client):
    used, unused = make.speaker(), make.speaker()
    make.event(speakers=(used,))
    assert "wird noch verwendet" in Page(client.submit(f"/organise/speakers/{used.id}/delete", form="form")).text
    assert client.submit(f"/organise/speakers/{unused.id}/delete", form="form").status_code == 303
    assert db.session.scalars(sa.select(Speaker.name)).all() == [used.name]
    assert client.page("/organise/speakers/99").status == 404


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_much_for_three_as_for_one(make, client, query_count, number):
    for _each in range(number):
        make.speaker(agency_id=make.agency().id)
    client.page("/organise/speakers")
    with query_count() as queries:
        assert client.page("/organise/speakers").status == 200
    assert len(queries) == 2
