import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Page as Kept

ADDRESS = "/organise/pages/impressum/de"


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


def kept():
    return list(db.session.execute(sa.select(Kept.slug, Kept.language, Kept.body, Kept.version)))


def test_the_lamp_tells_what_is_still_a_template(client):
    page = client.page("/organise/pages")
    assert page.text.count("noch Mustertext") == 12
    client.submit(ADDRESS, {"body": "Unser Impressum"}, form="form")
    page = client.page("/organise/pages")
    assert "Gespeichert: Impressum (Deutsch)" in page.text
    assert (page.text.count("noch Mustertext"), page.text.count("bearbeitet")) == (11, 1)


def test_a_saved_page_is_what_the_public_reads_in_that_language(client):
    client.submit(ADDRESS, {"body": "Unser **Impressum**"}, form="form")
    assert "<strong>Impressum</strong>" in client.page("/pages/impressum").html
    assert "Unser Impressum" not in client.page("/en/pages/impressum").text
    assert kept() == [("impressum", "de", "Unser **Impressum**", 1)]


def test_a_preview_shows_sanitised_text_and_saves_nothing(client):
    typed = "# Wer\n\n<img src=x onerror=alert(1)> [x](javascript:alert(1)) **wir**"
    page = Page(client.submit(ADDRESS, {"body": typed, "action": "preview"}, form="form"))
    assert page.status == 200
    assert "<strong>wir</strong>" in page.html
    assert "<img" not in page.html
    assert 'href="javascript' not in page.html
    assert page.form("form").values["body"] == [typed]
    assert kept() == []


def test_of_two_editors_the_second_sees_both_texts_and_may_go_on(client):
    mine, theirs = client.page(ADDRESS), client.page(ADDRESS)
    client.submit(theirs, {"body": "Von nebenan"}, form="form")
    page = Page(client.submit(mine, {"body": "Von mir"}, form="form"))
    assert page.status == 409
    assert "Von nebenan" in page.text
    assert page.form("form").values["body"] == ["Von mir"]
    assert client.submit(page, form="form").status_code == 303
    assert kept() == [("impressum", "de", "Von mir", 2)]


@pytest.mark.parametrize("body", ["", "a\x00b", "a\u202eb", "x" * 60_001])
def test_what_cannot_be_kept_is_refused_at_the_field(client, body):
    page = Page(client.submit(ADDRESS, {"body": body}, form="form"))
    assert page.status == 422
    assert 'id="body-e"' in page.html
    assert kept() == []


@pytest.mark.parametrize("address", ["impressum/fr", "passwort/de", "impressum"])
def test_there_is_no_other_page_to_edit(client, address):
    assert client.page(f"/organise/pages/{address}").status == 404
