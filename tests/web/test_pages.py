"""Legal pages, "Report a barrier", and how the pages look."""

import pytest
from sqlalchemy import select

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.models import Message
from whatsnext.services import pages


@pytest.mark.parametrize("prefix", ["", "/en"])
@pytest.mark.parametrize("slug", pages.TITLES)
def test_each_page_is_one_click_from_every_page(client, slug, prefix):
    home = client.page(f"{prefix}/")
    assert f"{prefix}/pages/{slug}" in [href for href, _words in home.links]
    page = client.page(f"{prefix}/pages/{slug}")
    assert (page.status, page.html.count("<h1")) == (200, 1)


def test_only_organisers_see_that_a_text_is_the_template(client, make):
    assert "Noch Mustertext" not in client.page("/pages/hilfe").text
    client.sign_in(make.organiser())
    page = client.page("/pages/hilfe")
    assert "Noch Mustertext" in page.text
    assert "/organise/pages/hilfe/de" in [href for href, _words in page.links]
    with write():
        pages.save("hilfe", "de", "Rufen Sie an.", 0, NOON)
    page = client.page("/pages/hilfe")
    assert ("Noch Mustertext" in page.text, "Rufen Sie an." in page.text) == (False, True)


def test_what_is_typed_into_a_page_is_no_markup(client, make):
    with write():
        pages.save(
            "hilfe", "de", "<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://evil.example/y)", 0, NOON
        )
    html = client.page("/pages/hilfe").html
    assert [part for part in ("<script>alert", 'href="javascript', "<img") if part in html] == []


def test_an_unknown_page_is_not_found(client):
    assert client.page("/pages/agb").status == 404


def test_a_barrier_is_reported_without_signing_in_and_names_its_page(client, make):
    make.series(contact_email="hilfe@behoerde.example")
    link = next(href for href, words in client.page("/themes").links if words == "Barriere melden")
    page = client.page(link)
    assert page.form("/report-barrier").values["page"] == ["/themes"]
    answer = client.submit(page, {"words": "Der Kontrast ist zu gering."}, form="/report-barrier")
    assert (answer.status_code, answer.location) == (303, "/report-barrier?sent=1")
    assert "Ihre Meldung ist unterwegs" in client.page(answer.location).text
    mail = db.session.scalars(select(Message)).one()
    assert (mail.recipient, mail.facts["page"]) == ("hilfe@behoerde.example", "/themes")


def test_a_robot_that_fills_every_field_reports_nothing_and_is_thanked(client, owed):
    answer = client.submit("/report-barrier", {"words": "Buy", "website": "https://x.example"}, form="/report-barrier")
    assert (answer.status_code, owed()) == (303, [])


def test_an_empty_report_is_asked_for_its_words(client):
    answer = client.submit("/report-barrier", {"contact": "030 123"}, form="/report-barrier")
    assert (answer.status_code, "Was funktioniert nicht: Diese Angabe fehlt noch." in answer.text) == (422, True)
    assert 'value="030 123"' in answer.text


def test_a_secret_page_is_not_named_in_the_report(client):
    link = next(href for href, words in client.page("/sign-in/secret").links if words == "Barriere melden")
    assert link == "/report-barrier"


@pytest.mark.parametrize(
    ("choice", "attribute"), [("dark", 'data-kern-theme="dark"'), ("light", 'data-kern-theme="light"')]
)
def test_the_appearance_is_kept_in_a_cookie_and_leads_back(client, choice, attribute):
    page = client.page("/en/themes?q=x")
    action, values = page.form("/en/appearance").filled({})
    answer = client.post(action, data={**values, "appearance": choice})
    assert (answer.status_code, answer.location) == (303, "/en/themes?q=x")
    cookie = client.get_cookie("wn-appearance")
    assert (cookie.value, cookie.http_only, cookie.same_site, cookie.max_age) == (choice, True, "Lax", 31536000)
    assert attribute in client.page("/").html


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/nowhere", ""])
def test_the_appearance_leads_nowhere_else(client, target):
    _action, values = client.page("/").form("/appearance").filled({})
    answer = client.post("/appearance", data={**values, "appearance": "dark", "next": target})
    assert answer.location == "/"


def test_the_appearance_has_three_values(client):
    _action, values = client.page("/").form("/appearance").filled({})
    answer = client.post("/appearance", data={**values, "appearance": "pink"})
    assert (answer.status_code, client.get_cookie("wn-appearance")) == (422, None)
    assert client.page("/appearance").status == 200
