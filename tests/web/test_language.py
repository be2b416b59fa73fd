"""German at /…, English at /en/…, whatever path BASE_URL has."""

from urllib.parse import urlsplit

import pytest

from tests.pages import Page


@pytest.mark.parametrize(
    ("path", "language", "other"),
    [
        ("/themes", "de", "/en/themes"),
        ("/en/themes", "en", "/themes"),
        ("/en", "en", "/"),
        ("/en/", "en", "/"),
        ("/report-barrier?page=/themes", "de", "/en/report-barrier?page=/themes"),
        ("/no-such-page", "de", "/en/no-such-page"),
    ],
)
def test_each_page_names_its_language_and_its_twin(client, path, language, other):
    page = client.page(path)
    assert f'<html lang="{language}"' in page.html
    words = {"de": "English", "en": "Deutsch"}[language]
    assert [href for href, name in page.links if name == words] == [other]


def test_links_and_forms_keep_the_language(client):
    page = client.page("/en/themes")
    ours = [urlsplit(href).path for href, name in page.links if href.startswith("/") and name != "Deutsch"]
    assert [path for path in ours if not path.startswith("/en/")] == []
    assert {form.action for form in page.forms} == {"/en/appearance"}


def test_a_path_that_only_begins_alike_is_german(client):
    page = client.page("/english")
    assert (page.status, '<html lang="de"' in page.html) == (404, True)


def test_a_refused_form_offers_no_twin_where_its_address_answers_no_get(client):
    page = Page(client.post("/sign-out", data={}))
    assert [name for _href, name in page.links if name == "English"] == []


def test_an_address_below_a_path_keeps_the_path(make_app):
    client = make_app(base_url="http://localhost/next").test_client()
    page = client.page("/next/en/themes")
    assert page.status == 200
    links = [href for href, _name in page.links if href.startswith("/")]
    assert [href for href in links if not href.startswith("/next/")] == []
    style = page.html.split('rel="stylesheet" href="')[1].split('"')[0]
    assert style.startswith("/next/static/")
    assert client.get(style, buffered=True).status_code == 200
