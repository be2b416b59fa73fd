"""Every "no" is a designed page in the reader's language that says nothing inner (experience.md §4, safety.md P14)."""

import pytest
from sqlalchemy.exc import OperationalError

from tests.factories import NOON
from tests.pages import Page
from whatsnext import errors
from whatsnext.db import db, write
from whatsnext.models import EventState, Person
from whatsnext.web import errors as pages


def _every(kind):
    for one in kind.__subclasses__():
        yield one
        yield from _every(one)


@pytest.fixture
def raising(make_app):
    """A browser at an application with one more page, which raises."""

    def build(error, methods=("GET",)):
        app = make_app()

        @app.route("/raise", methods=methods)
        def _page():
            raise error

        return app.test_client()

    return build


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (errors.NotFound(), 404, "Diese Seite gibt es nicht (mehr)."),
        (errors.Forbidden(), 403, "Diese Seite ist für die Organisation."),
        (errors.StaleVersion(), 409, "Das hat inzwischen jemand anderes geändert."),
        (errors.EventFull(), 409, "Inzwischen sind alle Plätze vergeben."),
        (errors.TooManyTries(), 429, "Zu viele Versuche."),
        (errors.LinkExpired(), 410, "Dieser Link ist abgelaufen."),
        (errors.LinkUsed(), 410, "Dieser Link wurde schon benutzt."),
        (errors.LinkInvalid(), 400, "Dieser Link ist nicht vollständig"),
        (errors.EventOver(), 422, "Diese Veranstaltung ist beendet."),
    ],
)
def test_a_no_of_the_domain_is_a_page(raising, error, status, title):
    client = raising(error)
    german, english = client.page("/raise"), client.page("/en/raise")
    assert (german.status, english.status) == (status, status)
    assert title in german.text
    assert title not in english.text
    assert f"Code {status}" in german.text
    assert "Zu den Terminen" in german.text


def test_every_no_has_a_status_that_says_so(app):
    for kind in _every(errors.DomainError):
        assert 400 <= pages.status_of(kind.__new__(kind)) < 500


def test_a_page_that_is_not_there_shows_the_next_talks(client, make):
    make.event(title="Fällt aus", state=EventState.CANCELLED)
    make.event(title="Blockchain im Grundbuch")
    page = client.page("/gibt-es-nicht")
    assert (page.status, "Blockchain im Grundbuch" in page.text) == (404, True)
    assert "Fällt aus" not in page.text


def test_a_slash_too_many_finds_its_page_and_nobody_else_s(client):
    answer = client.get("/themes/")
    assert (answer.status_code, answer.location) == (301, "/themes")
    assert client.get("/en/themes/").location == "/en/themes"
    assert client.get("//evil.example/").location is None


def test_the_wrong_method_names_the_right_ones(client):
    answer = client.post("/themes")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "Diese Adresse lässt sich so nicht aufrufen." in answer.text


def test_what_is_too_large_is_refused_with_a_page(client):
    answer = client.post("/report-barrier", data={"words": "x" * 1_100_000})
    assert (answer.status_code, "Das ist zu groß (höchstens 1 MB)." in answer.text) == (413, True)


def test_whoever_may_not_is_shown_where_to_sign_in(client, make):
    client.sign_in(make.person())
    page = client.page("/organise/")
    assert (page.status, "Diese Seite ist für die Organisation." in page.text) == (403, True)
    [way] = [href for href, words in page.links if words == "Mit einer anderen Adresse anmelden"]
    form = client.page(way)
    assert (form.status, "Mit E-Mail anmelden" in form.text or "Anmelden" in form.text) == (200, True)
    assert client.submit(form, {"email": "other@behoerde.example"}).status_code == 303


def test_a_mistake_of_ours_is_a_page_with_a_number_that_the_log_has(raising, caplog):
    page = Page(raising(RuntimeError("the secret of ada@behoerde.example")).get("/raise"))
    number = page.text.rsplit(" ", 1)[1]
    assert (page.status, len(number)) == (500, 8)
    assert "Ihre Eingabe wurde nicht gespeichert." in page.text
    assert "What you entered was not saved." in page.text
    assert "secret" not in page.html
    assert (number in caplog.text, "RuntimeError" in caplog.text, "ada@" in caplog.text) == (True, True, False)


def test_a_refused_statement_brings_no_address_into_the_log(make_app, make, caplog):
    ada, app = make.person(), make_app()

    @app.get("/raise")
    def _twice():
        with write():
            db.session.add(Person(email=ada.email, created_at=NOON))
        return ""

    assert app.test_client().get("/raise").status_code == 500
    assert "IntegrityError" in caplog.text
    assert ada.email not in caplog.text


def test_a_database_that_does_not_answer_is_said_so(raising, caplog):
    client = raising(OperationalError("SELECT 1", {}, Exception("no route to 192.0.2.1")))
    answer = client.get("/raise")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "192.0.2.1" not in answer.text + caplog.text
    assert "Zurzeit nicht erreichbar." in Page(answer).text


def test_the_page_for_mistakes_needs_no_template_and_no_database(app):
    with app.test_request_context("/"):
        html = pages.handle_unforeseen(RuntimeError()).get_data(as_text=True)
    assert "{" not in html
    assert "/static/wn." in html


@pytest.mark.parametrize(
    "path", ["/%00", "/pages/%0d%0a", "/events/" + "x" * 3000, "/sign-in/%ff", "/organise/events/9" + "9" * 30]
)
def test_hostile_addresses_are_answered_with_a_page(organiser, path):
    page = organiser.page(path)
    assert (400 <= page.status < 500, "Zu den Terminen" in page.text) == (True, True)
