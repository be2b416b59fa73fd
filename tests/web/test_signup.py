"""Signing up on the talk's page, without scripts and without cookies (experience.md §4, safety.md R5, I10)."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.factories import NOON
from tests.pages import Page
from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.mail.compose import compose
from whatsnext.models import EventState, Kind, Message, MessageState, Mode, Registration, Status
from whatsnext.services import waiting_list
from whatsnext.tokens import digest

FILLED = {"name": "Kim Muster", "email": "kim.muster@behoerde.example", "agency": "Landesamt"}
FORM = "/events/t/signup"


def everyone():
    return list(db.session.scalars(select(Registration).order_by(Registration.id)))


def test_a_stranger_types_three_things_and_is_sent_to_the_mailbox(make, client, owed):
    make.event(slug="t", title="Register")
    answer = client.submit("/events/t", FILLED, form=FORM)
    assert answer.status_code == 303
    (mine,) = everyone()
    assert (mine.name, mine.agency, mine.person.email, mine.mode, mine.status, mine.language) == (
        "Kim Muster",
        "Landesamt",
        "kim.muster@behoerde.example",
        Mode.ON_SITE,
        Status.HELD,
        "de",
    )
    assert owed() == [(Kind.CONFIRMATION_REQUEST, mine)]
    page = client.page(answer.location)
    assert "Fast fertig" in page.text
    assert "Wir haben Ihnen an k…r@behoerde.example geschrieben." in page.text
    assert "bis Mo., 5. Januar 2026, 14:00 Uhr (Berlin)" in page.text
    assert "Nichts angekommen?" in page.text
    assert page.response.headers["Cache-Control"] == "private, no-store"
    assert "kim.muster" not in answer.location


def test_only_the_sign_up_sets_a_cookie_and_its_digest_stands_with_the_registration(make, client):
    make.event(slug="t")
    answer = client.submit("/events/t", FILLED, form=FORM)
    (cookie,) = answer.headers.getlist("Set-Cookie")
    secret = re.match(r"wn-asked=([\w-]{43});", cookie)[1]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert everyone()[0].browser == digest(secret)


def test_a_second_sign_up_in_the_same_browser_keeps_the_cookie(make, client):
    make.event(slug="t")
    make.event(slug="u")
    client.submit("/events/t", FILLED, form=FORM)
    client.submit("/events/u", FILLED, form="/events/u/signup")
    assert len({mine.browser for mine in everyone()}) == 1


def test_it_works_in_a_browser_that_takes_no_cookies(make, app, owed):
    make.event(slug="t")
    browser = app.test_client(use_cookies=False)
    answer = browser.submit("/events/t", FILLED, form=FORM)
    assert answer.status_code == 303
    assert "Fast fertig" in browser.page(answer.location).text


@pytest.mark.parametrize(
    ("changes", "complaints"),
    [
        (
            {},
            [
                "Name: Diese Angabe fehlt noch.",
                "E-Mail-Adresse: Diese Angabe fehlt noch.",
                "Behörde oder Organisation: Diese Angabe fehlt noch.",
            ],
        ),
        ({**FILLED, "email": "kim@"}, ["E-Mail-Adresse: Es fehlt der Teil nach dem @-Zeichen."]),
        (
            {**FILLED, "needs": "Ein Platz ohne Stufen"},
            ["Willigen Sie in die Nutzung ein oder löschen Sie die Angabe zum Bedarf."],
        ),
        ({**FILLED, "mode": "on_the_moon"}, ["Wie nehmen Sie teil? Wählen Sie eine der beiden Möglichkeiten."]),
        (
            {**FILLED, "mode": "online"},
            ["Die Veranstaltung wird so nicht angeboten. Wählen Sie eine andere Art der Teilnahme."],
        ),
    ],
)
def test_errors_say_what_to_do_and_keep_everything(make, client, owed, changes, complaints):
    make.event(slug="t")
    answer = client.submit("/events/t", changes, form=FORM)
    page = Page(answer)
    assert answer.status_code == 422
    assert "<title>Fehler: " in page.html
    summary = re.search(r'id="errors".*?</ul>', page.html, re.DOTALL)[0]
    items = [" ".join(re.sub("<[^>]+>", " ", item).split()) for item in re.findall(r"<li>(.*?)</li>", summary)]
    assert items == complaints
    kept = page.form(FORM).values
    assert {name: kept[name] for name in changes if name in kept} == {name: [value] for name, value in changes.items()}
    assert (everyone(), owed()) == ([], [])


def test_both_ways_are_offered_with_their_places_and_nothing_preselected(make, client):
    talk = make.event(slug="t", places_on_site=2, places_online=3)
    make.registration(talk)
    page = client.page("/events/t")
    assert "Vor Ort (Plätze frei: 1)" in page.text.replace(" in Berlin", "")
    assert "mode" not in page.form(FORM).values
    answer = client.submit(page, {**FILLED, "mode": "online"}, form=FORM)
    assert answer.status_code == 303
    assert everyone()[-1].mode is Mode.ONLINE


def test_the_needs_are_kept_with_their_own_consent(make, client):
    make.event(slug="t")
    client.submit("/events/t", {**FILLED, "needs": "Ein Platz ohne Stufen", "needs_consent": "y"}, form=FORM)
    (mine,) = everyone()
    assert (mine.needs, mine.needs_consent_at) == ("Ein Platz ohne Stufen", NOON)


def test_the_notice_is_a_tick_only_where_the_operator_needs_it(make, make_app, client):
    make.event(slug="t")
    assert "notice" not in client.page("/events/t").form(FORM).names
    visitor = make_app(notice_needs_consent=True).test_client()
    refused = visitor.submit("/events/t", FILLED, form=FORM)
    assert refused.status_code == 422
    assert (
        "Willigen Sie in die Nutzung Ihrer Angaben ein; ohne sie können wir Sie nicht einladen." in Page(refused).text
    )
    assert visitor.submit(Page(refused), {"notice": "y"}, form=FORM).status_code == 303


def test_a_robot_that_fills_the_hidden_field_signs_nobody_up(make, client, owed):
    make.event(slug="t")
    answer = client.submit("/events/t", {**FILLED, "website": "https://spam.example"}, form=FORM)
    assert answer.status_code == 422
    assert "Ein verborgenes Feld des Formulars war ausgefüllt." in Page(answer).text
    assert (everyone(), owed()) == ([], [])
    assert client.submit(Page(answer), form=FORM).status_code == 303


def test_sold_out_meanwhile_keeps_the_details_and_the_button_joins_the_line(make, client):
    talk = make.event(slug="t", places_on_site=1)
    stale = client.page("/events/t")
    make.registration(talk)
    with write():
        waiting_list.touch(talk)
    answer = client.submit(stale, FILLED, form=FORM)
    page = Page(answer)
    assert answer.status_code == 409
    assert "Inzwischen sind alle Plätze vergeben. Wir haben Ihre Angaben behalten. Auf die Warteliste?" in page.text
    assert page.form(FORM).values["email"] == ["kim.muster@behoerde.example"]
    assert re.findall(r'<button[^>]*>.*?"kern-label">([^<]+)<', page.html)[0] == "Auf die Warteliste"
    assert client.submit(page, form=FORM).status_code == 303
    assert everyone()[-1].status is Status.WAITING


def test_one_way_full_and_the_other_free_is_told_beside_the_choice(make, client):
    talk = make.event(slug="t", places_on_site=1, places_online=9)
    make.registration(talk)
    page = client.page("/events/t")
    assert "Vor Ort in Berlin (ausgebucht, Warteliste offen)" in page.text
    assert client.submit(page, {**FILLED, "mode": "on_site"}, form=FORM).status_code == 303
    assert everyone()[-1].status is Status.WAITING


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"registration_opens": NOON + timedelta(days=2)},
            "Die Anmeldung zu dieser Veranstaltung beginnt am Mi., 7. Januar 2026, 13:00 Uhr (Berlin).",
        ),
        ({"registration_closes": NOON - timedelta(hours=1)}, "Die Anmeldung zu dieser Veranstaltung ist geschlossen."),
        ({"state": EventState.CANCELLED}, "Diese Veranstaltung fällt aus."),
    ],
)
def test_a_stale_form_of_a_talk_that_takes_nobody_says_why(make, client, owed, given, words):
    talk = make.event(slug="t")
    stale = client.page("/events/t")
    with write():
        for name, value in given.items():
            setattr(talk, name, value)
    answer = client.submit(stale, FILLED, form=FORM)
    assert answer.status_code == 422
    page = Page(answer)
    assert words in page.text
    assert page.form(FORM).values["name"] == ["Kim Muster"]
    assert (everyone(), owed()) == ([], [])


def test_a_talk_that_has_begun_takes_nobody(make, client, at):
    make.event(slug="t")
    stale = client.page("/events/t")
    at(NOON + timedelta(days=14, hours=2))
    assert client.submit(stale, FILLED, form=FORM).status_code == 422
    assert everyone() == []


def test_a_form_open_for_a_day_comes_back_filled(make, client, at, owed):
    make.event(slug="t")
    stale = client.page("/events/t")
    at(NOON + timedelta(hours=25))
    answer = client.submit(stale, FILLED, form=FORM)
    page = Page(answer)
    assert answer.status_code == 422
    assert "Das Formular war zu lange offen. Einfach noch einmal absenden." in page.text
    assert owed() == []
    assert client.submit(page, form=FORM).status_code == 303


def test_a_form_from_another_site_signs_nobody_up(make, client, owed):
    make.event(slug="t")
    action, values = client.page("/events/t").form(FORM).filled(FILLED)
    answer = client.post(action, data=values, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 422
    assert owed() == []


def test_unknown_and_doubled_fields_are_refused(make, client, owed):
    make.event(slug="t")
    action, values = client.page("/events/t").form(FORM).filled(FILLED)
    assert client.post(action, data={**values, "status": "confirmed"}).status_code == 422
    assert client.post(action, data={**values, "name": ["A", "B"]}).status_code == 422
    assert owed() == []


def test_the_same_form_twice_makes_one_registration_and_one_mail(make, client, owed):
    make.event(slug="t")
    page = client.page("/events/t")
    first, second = (client.submit(page, FILLED, form=FORM) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert [kind for kind, _about in owed()] == [Kind.CONFIRMATION_REQUEST]


def test_new_known_blocked_free_and_full_are_answered_alike(make, client, app):
    """I10: nobody learns who is registered."""
    free, full = make.event(slug="free"), make.event(slug="full", places_on_site=1)
    known = make.person(email="known@behoerde.example")
    make.registration(free, person=known)
    make.registration(full)
    make.person(email="blocked@behoerde.example", blocked_at=NOON)

    def answer(slug, email):
        visitor = app.test_client()
        sent = visitor.submit(f"/events/{slug}", {**FILLED, "email": email}, form=f"/events/{slug}/signup")
        text = visitor.page(sent.location).text
        masked = f"{email[0]}…{email.partition('@')[0][-1]}@"
        return sent.status_code, sent.location.partition("?")[0].replace(slug, "…"), text.replace(masked, "…@")

    new = answer("free", "new.one@behoerde.example")
    for slug, email in (("free", "known@behoerde.example"), ("free", "blocked@behoerde.example")):
        assert answer(slug, email) == new
    status, path, text = answer("full", "other@behoerde.example")
    assert (status, path) == new[:2]
    assert text.replace(full.title, free.title) == new[2]


def test_someone_signed_in_is_proved_at_once(make, client, owed):
    make.event(slug="t")
    person = make.person(name="Ada Beispiel", agency="Landesamt")
    client.sign_in(person)
    page = client.page("/events/t")
    assert page.form(FORM).values["name"] == ["Ada Beispiel"]
    assert "email" not in page.form(FORM).names
    answer = client.submit(page, form=FORM)
    (mine,) = everyone()
    assert (mine.status, mine.person_id) == (Status.CONFIRMED, person.id)
    assert owed() == [(Kind.INVITATION, mine)]
    assert answer.location == f"/registrations/{mine.ref}"
    assert "Sie nehmen teil: vor Ort" in client.page(answer.location).text


def test_the_mail_is_sent_again_after_a_minute(make, client, owed, at):
    make.event(slug="t")
    location = client.submit("/events/t", FILLED, form=FORM).location
    early = client.submit(location, form="/events/t/resend")
    assert early.status_code == 429
    assert "Die Nachricht ist gerade erst unterwegs." in Page(early).text
    at(NOON + timedelta(seconds=61))
    again = client.submit(location, form="/events/t/resend")
    assert again.status_code == 303
    assert "Wir haben die Nachricht noch einmal gesendet." in client.page(again.location).text
    assert [kind for kind, _about in owed()] == [Kind.CONFIRMATION_REQUEST]
    assert db.session.scalar(select(func.count()).select_from(Registration)) == 1


def test_a_second_sign_up_is_answered_by_words_that_are_true_of_the_first_hold_too(make, client, at):
    make.event(slug="t")
    client.submit("/events/t", FILLED, form=FORM)
    at(NOON + timedelta(minutes=20))
    page = client.page(client.submit("/events/t", FILLED, form=FORM).location)
    assert "Öffnen Sie die Nachricht bis Mo., 5. Januar 2026, 14:20 Uhr (Berlin)" in page.text
    assert "Nennt die Nachricht eine frühere Zeit, dann gilt diese." in page.text
    [message] = db.session.scalars(select(Message).where(Message.state == MessageState.OWED))
    assert "14:00 Uhr (Berlin)" in compose(message, clock.now()).text


@pytest.mark.parametrize("seal", ["", "x", "eyJh.b.c"])
def test_a_forged_seal_is_a_designed_page(make, client, seal):
    make.event(slug="t")
    page = client.page("/events/t/check-your-mail", query_string={"seal": seal})
    assert page.status == 400
    assert "Dieser Link" in page.text


def test_a_draft_takes_nobody(make, client):
    make.draft(slug="t")
    assert client.post("/events/t/signup", data=FILLED).status_code == 404


def test_too_many_sign_ups_from_one_network_are_refused_with_everything_kept(make, client):
    make.event(slug="t", places_on_site=200)
    page = client.page("/events/t")
    for number in range(60):
        client.submit(page, {**FILLED, "email": f"p{number}@behoerde.example"}, form=FORM)
    answer = client.submit(page, {**FILLED, "email": "last@behoerde.example"}, form=FORM)
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    assert Page(answer).form(FORM).values["email"] == ["last@behoerde.example"]


def test_reloading_a_refused_form_finds_the_form_again(make, client):
    make.event(slug="t")
    assert client.get("/events/t/signup").location == "/events/t#anmelden"


def test_attempts_that_are_refused_are_counted_too_though_nothing_else_of_them_stays(make, client):
    talk = make.event(slug="t", places_on_site=1)
    page = client.page("/events/t")
    make.registration(talk)
    answers = [client.submit(page, FILLED, form=FORM).status_code for _attempt in range(21)]
    assert answers == [409] * 20 + [429]
    assert len(everyone()) == 1
