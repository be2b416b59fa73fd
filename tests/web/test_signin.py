"""Signing in and out through the pages, and "My registrations" (safety.md I2, I3, I6, I10, I11, P8)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import db, write
from whatsnext.models import Message, SignedIn, Status
from whatsnext.permissions import Role
from whatsnext.services import signin


@pytest.fixture
def mail():
    """The link and the code of the newest sign-in mail."""

    def newest():
        facts = db.session.scalars(select(Message.facts).order_by(Message.id.desc())).first()
        return f"/sign-in/{facts['link_token']}", facts["code"]

    return newest


def ask(client, email, path="/sign-in"):
    return client.submit(path, {"email": email})


def test_an_attendee_signs_in_by_the_mailed_link(client, make, mail):
    ada = make.person()
    answer = ask(client, ada.email.upper())
    assert (answer.status_code, answer.location) == (303, "/sign-in/sent")
    sent = client.page("/sign-in/sent")
    assert "Wenn wir die Adresse kennen, haben Sie jetzt eine Nachricht." in sent.text
    link, _code = mail()
    page = client.page(link)
    assert (page.status, page.forms[0].action) == (200, link)
    answer = client.submit(page)
    assert (answer.status_code, answer.location) == (303, "/my-registrations")
    assert ada.email in client.page("/my-registrations").text
    assert client.page(link).status == 410


def test_an_organiser_comes_back_to_the_page_they_wanted(client, make, mail):
    kim = make.organiser()
    answer = client.get("/organise/themes?x=1")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/organise/themes?x%3D1")
    ask(client, kim.email, answer.location)
    assert client.submit(mail()[0]).location == "/organise/themes?x=1"


def test_the_language_stays_all_the_way(client, make, mail):
    kim = make.organiser()
    answer = client.get("/en/organise/")
    assert ask(client, kim.email, answer.location).location == "/en/sign-in/sent"
    assert client.submit("/en" + mail()[0]).location == "/en/organise/"


def test_another_browser_is_shown_the_code_and_stays_signed_out(app, client, make, mail):
    ada = make.person()
    ask(client, ada.email)
    link, code = mail()
    other = app.test_client()
    page = other.page(link)
    assert (page.status, code in page.text) == (200, True)
    assert [form.action for form in page.forms] == ["/appearance"]
    other.post(link, data={"csrf_token": "x"})
    assert db.session.scalars(select(SignedIn)).all() == []
    answer = client.submit("/sign-in/sent", {"code": code.lower()})
    assert (answer.status_code, answer.location) == (303, "/my-registrations")


def test_a_robot_that_submits_every_form_signs_nobody_in(app, client, make, mail):
    ask(client, make.person().email)
    robot = app.test_client()
    for form in range(len(robot.page(mail()[0]).forms)):
        robot.submit(mail()[0], form=form)
    assert db.session.scalars(select(SignedIn)).all() == []


def test_known_and_unknown_addresses_get_the_same_words(app, make):
    ada = make.person()
    pages = []
    for email in (ada.email, "nobody@behoerde.example"):
        client = app.test_client()
        answer = ask(client, email)
        wrong = client.submit("/sign-in/sent", {"code": "BBBBBBBB"})
        pages.append((answer.status_code, answer.location, client.page("/sign-in/sent").text, wrong.status_code))
    assert pages[0] == pages[1]
    assert pages[0][3] == 422


def test_after_five_wrong_codes_the_sign_in_begins_anew(app, make):
    ada = make.person()
    for email in (ada.email, "nobody@behoerde.example"):
        client = app.test_client()
        ask(client, email)
        statuses = [client.submit("/sign-in/sent", {"code": "BBBBBBBB"}).status_code for _ in range(6)]
        assert statuses == [422, 422, 422, 422, 422, 429]
        assert client.get("/sign-in/sent").location == "/sign-in"


def test_an_expired_link_offers_a_new_one_to_the_same_address_and_page(client, make, mail, at):
    ada = make.person()
    ask(client, ada.email, "/sign-in?next=/themes")
    link, _code = mail()
    at(NOON + timedelta(minutes=11))
    page = client.page(link)
    assert (page.status, "abgelaufen" in page.text) == (410, True)
    assert client.submit(page).location == "/sign-in/sent"
    new, _code = mail()
    assert new != link
    assert client.submit(new).location == "/themes"


def test_a_printed_link_that_has_expired_names_the_command_for_a_new_one(client, make, mail, at):
    ada, command = make.organiser(), "admin link"
    with write():
        printed = signin.command_line_link(ada.email, NOON)
    ask(client, ada.email)
    mailed, _code = mail()
    at(NOON + timedelta(minutes=11))
    assert command in client.page(f"/sign-in/{printed}").text
    assert command not in client.page(mailed).text


def test_signing_in_changes_the_cookie_and_ends_what_was_before(client, make, mail):
    client.sign_in(make.person())
    with client.session_transaction() as cookie:
        before = cookie["signed_in"]
    ask(client, make.organiser().email, "/sign-in?fresh=1&next=/organise/")
    client.submit(mail()[0])
    with client.session_transaction() as cookie:
        assert set(cookie) == {"signed_in", "_permanent"}
        assert cookie["signed_in"] != before
    assert len(db.session.scalars(select(SignedIn)).all()) == 1


def test_signing_out_ends_the_state_on_the_server(client, make):
    client.sign_in(make.person())
    with client.session_transaction() as cookie:
        old = cookie["signed_in"]
    page = client.page("/my-registrations")
    assert client.submit(page, form="/sign-out").location == "/"
    with client.session_transaction() as cookie:
        cookie["signed_in"] = old
    assert "E-Mail-Adresse" in client.page("/my-registrations").text


def test_signing_out_everywhere_ends_every_browser(app, client, make):
    ada = make.person()
    other, stranger = app.test_client(), app.test_client()
    for browser, person in ((client, ada), (other, ada), (stranger, make.person())):
        browser.sign_in(person)
    page = client.page("/my-registrations")
    action, values = page.form("/sign-out").filled({})
    assert client.post(action, data={**values, "action": "everywhere"}).location == "/"
    asked = ["E-Mail-Adresse" in browser.page("/my-registrations").text for browser in (client, other, stranger)]
    assert asked == [True, True, False]


def test_signing_out_with_an_old_form_asks_once_more(client, make):
    client.sign_in(make.person())
    answer = client.post("/sign-out", data={"csrf_token": "old"})
    page = Page(answer)
    assert page.status == 422
    assert client.submit(page).location == "/"


def test_an_export_asks_for_a_proof_younger_than_ten_minutes(organiser, make, mail, at):
    event = make.event()
    export = f"/organise/events/{event.id}/participants.csv"
    assert organiser.get(export).status_code == 200
    at(NOON + timedelta(minutes=10))
    answer = organiser.get(export)
    assert (answer.status_code, answer.location) == (303, f"/sign-in?next={export}&fresh=1")
    page = organiser.page(answer.location)
    assert "Zeigen Sie noch einmal, dass Sie es sind." in page.text
    organiser.submit(page, {}, form=answer.location)
    assert organiser.submit(mail()[0], form=mail()[0]).location == export
    assert organiser.get(export).status_code == 200


def test_a_revoked_role_ends_at_once(organiser, make):
    assert organiser.get("/organise/").status_code == 200
    kim = db.session.scalar(select(SignedIn)).person
    from_now_on(kim, Role.ATTENDEE)
    assert organiser.get("/organise/").status_code == 403


def from_now_on(person, role):
    person.role = role
    db.session.commit()


def test_being_seen_is_noted_every_five_minutes(client, make, at):
    client.sign_in(make.person())
    for minutes, kept in ((4, 0), (6, 6)):
        at(NOON + timedelta(minutes=minutes))
        client.get("/my-registrations")
        assert db.session.scalar(select(SignedIn.seen_at)) == NOON + timedelta(minutes=kept)


def test_a_secret_page_keeps_its_address_to_itself(client, make, mail):
    ask(client, make.person().email)
    answer = client.get(mail()[0])
    headers = ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")
    assert [answer.headers[name] for name in headers] == ["private, no-store", "no-referrer", "noindex"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "/en//evil.example",
        "/%2f%2fevil.example",
        "/nowhere",
        "themes",
        "/themes\r\nX: y",
        "/themes\x00",
        "/static/../../etc",
        "@evil.example",
        "/sign-out",
        "https:///themes",
        "/themes#\n",
        "",
    ],
)
def test_only_pages_of_ours_are_gone_back_to(client, make, mail, target):
    page = Page(client.get("/sign-in", query_string={"next": target}))
    client.submit(page, {"email": make.person().email})
    assert client.submit(mail()[0]).location == "/my-registrations"


def test_my_registrations_ask_for_the_address_and_answer_alike(client, make, owed):
    ada = make.person()
    for email in (ada.email, "nobody@behoerde.example"):
        assert ask(client, email, "/my-registrations").location == "/sign-in/sent"
    assert len(owed()) == 1
    [message] = db.session.scalars(select(Message))
    assert message.facts["registrations"]


def test_the_footer_leads_organisers_to_the_sign_in_and_the_menu_tells_its_themes_apart(client, make):
    assert ("/sign-in", "Für Veranstaltende") in client.page("/").links
    client.sign_in(make.organiser())
    links = client.page("/").links
    assert "Für Veranstaltende" not in [words for _address, words in links]
    assert {("/themes", "Themen"), ("/organise/themes", "Themen bearbeiten")} <= set(links)


def test_my_registrations_list_what_comes_what_waits_and_what_was(client, make):
    ada = make.person()
    coming, full, gone = make.event(title="Kommt"), make.event(title="Voll"), make.event(title="Abgegeben")
    make.registration(coming, Status.CONFIRMED, person=ada)
    make.registration(full, Status.WAITING)
    make.registration(full, Status.WAITING, person=ada)
    make.registration(gone, Status.CANCELLED, person=ada)
    make.registration(make.event(title="Fremd"), Status.CONFIRMED)
    client.sign_in(ada)
    page = client.page("/my-registrations")
    order = [
        page.text.index(words) for words in ("Kommt", "Sie nehmen teil: vor Ort", "Warteliste: Platz 2", "Abgegeben")
    ]
    assert order == sorted(order)
    assert "Fremd" not in page.text


def test_my_registrations_cost_the_same_with_one_and_with_three(client, make, query_count):
    ada = make.person()
    client.sign_in(ada)
    counts = []
    for _ in range(3):
        make.registration(make.event(), Status.CONFIRMED, person=ada)
        client.get("/my-registrations")
        with query_count() as queries:
            client.get("/my-registrations")
        counts.append(len(queries))
    assert counts[0] == counts[2]


def test_someone_without_registrations_sees_the_next_talks(client, make):
    make.event(title="Blockchain im Grundbuch")
    client.sign_in(make.person())
    page = client.page("/my-registrations")
    assert "Sie sind zu keiner kommenden Veranstaltung angemeldet." in page.text
    assert "Blockchain im Grundbuch" in page.text


def test_an_attendee_sees_no_menu_of_the_organisers(client, make):
    client.sign_in(make.person())
    assert [href for href, _words in client.page("/my-registrations").links if "/organise" in href] == []
