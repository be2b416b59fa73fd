import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import db, write
from whatsnext.i18n import speaking
from whatsnext.models import (
    CancelledBy,
    EventState,
    Kind,
    Message,
    MessageState,
    PartStat,
    Registration,
    SignedIn,
    Status,
)
from whatsnext.services import participants as everyone
from whatsnext.web.organise import participant_words


@pytest.fixture
def organiser(make, client):
    person = make.organiser(name="Kim Muster", email="kim@behoerde.example")
    client.sign_in(person)
    return person


@pytest.fixture
def talk(make, organiser):
    return make.event(title="Register")


def people(talk, rest=""):
    return f"/organise/events/{talk.id}/participants{rest}"


def choose(client, talk, action, refs=(), **changes):
    return Page(client.submit(people(talk), {"p": list(refs), "action": action, **changes}, form="form"))


# --- the list --------------------------------------------------------------------------------------------


def test_the_list_shows_who_comes_and_how_far_the_invitation_is(make, client, talk):
    ada = make.registration(talk, person=make.person(name="Ada", agency="Dataport"))
    make.message(Kind.INVITATION, ada, state=MessageState.FAILED)
    make.registration(talk, Status.WAITING, person=make.person(name="Linus", agency="Stadt Köln"))
    page = client.page(people(talk))
    assert "Alle (2) Bestätigt (1) Warteliste (1) Mail nicht zugestellt (1)" in page.text
    assert "2 Anmeldungen, sortiert nach Eingang" in page.text
    assert "Einladung: Alle (2) Nie eingeladen (1) Nicht zugestellt (1)" in page.text
    assert "Ada Dataport vor Ort Bestätigt Nicht zugestellt Fassung 0 Erneut senden Mo. 5.1., 13:00 Uhr" in page.text
    assert "Linus Stadt Köln vor Ort Warteliste, Platz 1 – Mo. 5.1., 13:00 Uhr (Berlin)" in page.text


def invited(make, talk, *answers, **given):
    """People whose invitation went out, one for each answer of a calendar."""
    people = [make.registration(talk, partstat=answer, **given) for answer in answers]
    for one in people:
        make.message(Kind.INVITATION, one, state=MessageState.SENT, settled_at=NOON)
    return people


def test_the_list_is_narrowed_by_the_answer_of_the_calendar_and_the_rest_of_the_search_stays(make, client, talk):
    given = {"person": make.person(name="Ada", agency="Stadt Köln")}
    invited(make, talk, PartStat.ACCEPTED, **given)
    invited(make, talk, PartStat.TENTATIVE, person=make.person(name="Grace", agency="Stadt Köln"))
    invited(make, talk, PartStat.ACCEPTED, person=make.person(name="Linus", agency="Dataport"))
    page = client.page(people(talk, "?show=confirmed&q=köln"))
    links = {words: address for address, words in page.links}
    assert "Einladung: Alle (2) Angenommen (1) Vorläufig angenommen (1)" in page.text
    page = client.page(links["Angenommen (1)"])
    assert [name in page.text for name in ("Ada Stadt", "Grace Stadt", "Linus")] == [True, False, False]
    assert "1 Anmeldung, sortiert nach Eingang" in page.text
    links = {words: address for address, words in page.links}
    assert links["CSV herunterladen"].endswith("participants.csv?show=confirmed&invited=accepted&q=k%C3%B6ln")
    assert (
        "1 Anmeldung zu „Register“. Nur: Bestätigt, Angenommen, „köln“." in client.page(links["CSV herunterladen"]).text
    )
    assert len(client.submit(links["CSV herunterladen"], form="form").data.splitlines()) == 2
    page = client.page(people(talk, "?invited=declined"))
    assert "Hier ist niemand." in page.text
    assert "Linus" in client.page(people(talk, "?invited=explode")).text


def test_the_next_page_keeps_every_filter(make, client, talk, monkeypatch):
    monkeypatch.setattr(everyone, "PAGE", 1)
    invited(make, talk, PartStat.ACCEPTED, PartStat.TENTATIVE, PartStat.ACCEPTED)
    first = client.page(people(talk, "?show=confirmed&invited=accepted&q=e"))
    more = next(address for address, words in first.links if words == "Weitere anzeigen")
    assert "2 Anmeldungen, sortiert nach Eingang" in first.text
    assert more.endswith("after=1&show=confirmed&invited=accepted&q=e")
    assert 'id="p3"' in client.page(more).html


def test_all_of_the_list_are_those_the_invitation_filter_finds_and_the_way_back_keeps_them(make, client, owed, talk):
    lagging = invited(make, talk, PartStat.ACCEPTED, PartStat.ACCEPTED, sequence=0)
    with write():
        for one in lagging:
            one.sequence = 2
    invited(make, talk, PartStat.ACCEPTED)
    page = client.page(people(talk, "?invited=outdated"))
    assert page.text.count("Veralteter Stand Fassung 0 statt 2 Erneut senden") == 2
    page = Page(client.submit(page, {"scope": "found", "action": "message"}, form="form"))
    page = Page(client.submit(page, {"subject": "Bitte", "body": "Hallo"}, form="form"))
    assert "An 2 Personen senden" in page.text
    page = Page(client.submit(page, {"action": "edit"}, form="form"))
    page = Page(client.submit(page, form="form"))
    assert "An 2 Personen senden" in page.text
    page = client.page(people(talk, "?invited=outdated"))
    page = Page(client.submit(page, {"scope": "found", "action": "invite"}, form="form"))
    assert "Einladung an 2 Personen senden" in page.text
    assert client.submit(page, form="form").status_code == 303
    assert owed() == [(Kind.INVITATION, one) for one in lagging]


def test_a_row_sends_its_invitation_again_and_the_list_stays_as_it_was(make, client, owed, talk):
    ada, grace = invited(make, talk, PartStat.NEEDS_ACTION, PartStat.NEEDS_ACTION)
    path = people(talk, "?show=confirmed&invited=sent&q=e")
    page = client.page(path)
    buttons = re.findall(r'<button[^>]*formaction="([^"]+)"', page.html)
    assert buttons == [people(talk, f"/{one.ref}/invite") for one in (ada, grace)]
    _action, values = page.form("again").filled({})
    answer = client.post(buttons[1], data=values, headers={"Origin": "http://localhost"})
    assert (answer.status_code, answer.location, owed()) == (303, path, [(Kind.INVITATION, grace)])
    page = client.page(people(talk))
    assert f"Die Einladung an {grace.name} ist erneut unterwegs." in page.text
    assert people(talk, f"/{grace.ref}/invite") not in page.html
    assert people(talk, f"/{ada.ref}/invite") in page.html


def test_who_has_no_place_or_whose_talk_is_over_is_not_invited_again_from_the_list(make, client, at, talk):
    waiting = make.registration(talk, Status.WAITING)
    coming = make.registration(talk)
    assert re.findall(r'formaction="([^"]+)"', client.page(people(talk)).html) == [
        people(talk, f"/{coming.ref}/invite")
    ]
    client.post(people(talk, f"/{waiting.ref}/invite"), data={}, headers={"Origin": "http://localhost"})
    at(talk.starts_at)
    client.sign_in(make.organiser())
    assert "formaction" in client.page(people(talk)).html
    at(talk.ends_at)
    assert "formaction" not in client.page(people(talk)).html


def test_an_address_that_sends_mails_back_is_marked_until_an_organiser_says_it_works(make, client, owed, talk):
    ada = make.registration(talk, person=make.person(name="Ada", bounced_at=NOON + timedelta(seconds=1)))
    anew = make.registration(talk, person=make.person(name="Grace", bounced_at=NOON - timedelta(seconds=1)))
    make.message(Kind.INVITATION, ada, state=MessageState.FAILED)
    page = client.page(people(talk))
    assert page.text.count("Mails kommen zurück") == 1
    assert re.findall(r'formaction="([^"]+)"', page.html) == [people(talk, f"/{anew.ref}/invite")]
    assert "kommen zurück" not in client.page(people(talk, f"/{anew.ref}")).text
    page = client.page(people(talk, f"/{ada.ref}"))
    assert (
        "Der empfangende Server hat eine Nachricht am Mo., 5. Januar 2026, 13:00 Uhr (Berlin) zurückgeschickt."
        in page.text
    )
    assert "Erneut versuchen" not in page.text
    assert "Einladung erneut senden" not in page.text
    assert client.submit(page, form="address").status_code == 303
    assert (ada.person.bounced_at, owed()) == (None, [])
    page = client.page(people(talk, f"/{ada.ref}"))
    assert "An diese Adresse wird ab jetzt wieder gesendet." in page.text
    assert "Einladung erneut senden" in page.text
    assert "kommen zurück" not in page.text


def test_nobody_is_shown_as_coming_or_waiting_to_a_talk_that_was_called_off(make, client, organiser):
    off = make.event(state=EventState.CANCELLED, title="Abgesagtes")
    make.registration(off, person=make.person(name="Ada", agency="Dataport"))
    make.registration(off, Status.WAITING, person=make.person(name="Linus", agency="Stadt Köln"))
    page = client.page(people(off))
    assert "Hatte einen Platz (1) War auf der Warteliste (1)" in page.text
    assert "Ada Dataport vor Ort Hatte einen Platz Abgesagt" in page.text
    assert "Linus Stadt Köln vor Ort War auf der Warteliste Abgesagt" in page.text
    assert "Abgesagtes Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin) – – Abgesagt" in client.page("/organise/").text


def test_of_a_talk_that_was_called_off_nobody_is_added_moved_up_or_invited(make, client, organiser):
    talk = make.event(state=EventState.CANCELLED, cancelled_reason="Krank.")
    make.registration(talk)
    page = client.page(f"/organise/events/{talk.id}/participants")
    assert [action for action in ("invite", "promote", "remove") if f'value="{action}"' in page.html] == []
    assert [href for href, _words in page.links if href.endswith("/participants/add")] == []
    assert 'value="message"' in page.html


def test_every_mail_has_a_name(app):
    with speaking("de"):
        assert len({participant_words.mail_kind(kind) for kind in Kind}) == len(Kind)


def test_nothing_of_another_talk_is_shown_found_or_exported(make, client, talk):
    other = make.event(title="MARKER")
    ada = make.registration(talk, person=make.person(name="Ada"))
    foreign = make.registration(other, person=make.person(name="MARKER", agency="MARKER"))
    make.message(Kind.ORGANISER_MESSAGE, foreign, subject="MARKER")
    seen = [client.page(people(talk, end)) for end in ("", "?q=marker", "?show=confirmed", f"/{ada.ref}", "/add")]
    seen.append(client.page(f"/organise/events/{talk.id}/message"))
    assert [page.text.count("MARKER") for page in seen] == [0] * 6
    assert b"MARKER" not in client.submit(people(talk, ".csv"), form="form").data


@pytest.mark.parametrize("end", ["", "/remove"])
def test_a_registration_is_not_found_under_another_talk(make, client, talk, end):
    foreign = make.registration(make.event())
    assert client.page(people(talk, f"/{foreign.ref}{end}")).status == 404
    assert client.page(people(talk, f"/nobody{end}")).status == 404
    assert client.page(f"/organise/events/99/participants/{foreign.ref}{end}").status == 404


def test_an_empty_list_offers_the_link_to_share(client, talk):
    page = client.page(people(talk))
    assert "Noch keine Anmeldung. Link zum Teilen:" in page.text
    assert f"/events/{talk.slug}" in page.html


def test_a_search_for_nobody_says_so_and_nonsense_finds_everyone(make, client, talk):
    make.registration(talk)
    assert "Niemand gefunden für „zz“." in client.page(people(talk, "?q=zz")).text
    for nonsense in ("?show=evil", "?after=x", "?after=-1", f"?after={10**23}", "?q=a%00b", "?q=" + "x" * 10_000):
        assert "1 Anmeldung, sortiert nach Eingang" in client.page(people(talk, nonsense)).text


def test_the_next_page_goes_on_where_this_one_ends(make, client, talk, monkeypatch):
    monkeypatch.setattr(everyone, "PAGE", 2)
    for name in ("Ada", "Grace", "Linus"):
        make.registration(talk, person=make.person(name=name))
    first = client.page(people(talk))
    [more] = [href for href, words in first.links if words == "Weitere anzeigen"]
    second = client.page(more)
    assert [[name in page.text for name in ("Ada", "Grace", "Linus")] for page in (first, second)] == [
        [True, True, False],
        [False, False, True],
    ]


def test_people_of_a_talk_under_the_chatham_house_rule_are_seen_by_organisers_only(make, client, talk):
    with write():
        talk.chatham_house = True
    make.registration(talk, person=make.person(name="Ada Geheim"))
    assert "Ada Geheim" in client.page(people(talk)).text
    assert "Ada Geheim" not in client.page(f"/events/{talk.slug}").text


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_as_much_for_three_as_for_one(make, client, query_count, talk, number):
    for _each in range(number):
        make.message(Kind.INVITATION, make.registration(talk))
    client.page(people(talk))
    with query_count() as queries:
        assert client.page(people(talk)).status == 200
    assert len(queries) == 7


# --- one person ------------------------------------------------------------------------------------------


def test_needs_are_seen_on_the_page_of_the_person_only_and_with_consent(make, client, talk):
    consented = make.registration(talk, needs="Gebärdensprache bitte", needs_consent_at=NOON)
    silent = make.registration(talk, needs="Gebärdensprache bitte")
    seen = [client.page(people(talk, end)).text for end in ("", f"/{consented.ref}", f"/{silent.ref}")]
    assert ["Gebärdensprache bitte" in text for text in seen] == [False, True, False]


def test_the_page_of_a_person_tells_why_a_mail_did_not_arrive_and_tries_again(make, client, owed, talk):
    one = make.registration(talk)
    error = "This address does not exist."
    mail = make.message(Kind.INVITATION, one, state=MessageState.FAILED, error=error)
    page = client.page(people(talk, f"/{one.ref}"))
    assert "Rufen Sie die Person an und fragen Sie nach der richtigen Adresse." in page.text
    assert client.submit(page, form=f"retry-{mail.id}").status_code == 303
    assert owed() == [(Kind.INVITATION, one)]


def test_a_mail_of_another_talk_is_not_tried_again(make, client, owed, talk):
    one, foreign = make.registration(talk), make.registration(make.event())
    mail = make.message(Kind.INVITATION, foreign, state=MessageState.FAILED)
    token = client.page(people(talk, f"/{one.ref}")).form("invite").values
    answer = client.post(
        people(talk, f"/{one.ref}/retry/{mail.id}"), data=token, headers={"Origin": "http://localhost"}
    )
    assert answer.status_code == 404
    assert owed() == []


def test_a_person_is_added_with_a_place_and_an_invitation(client, owed, talk):
    answer = client.submit(people(talk, "/add"), {"name": "Ada", "email": "Ada@Bund.Example"}, form="form")
    assert answer.status_code == 303
    one = db.session.scalars(sa.select(Registration)).one()
    assert (one.status, one.name, one.person.email) == (Status.CONFIRMED, "Ada", "ada@bund.example")
    assert owed() == [(Kind.INVITATION, one)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "kein-at"}, "email"),
        ({"email": "a@b.example\r\nBcc: c@evil.example"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 10_000}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"agency": "a\x00b"}, "agency"),
        ({"mode": "online"}, "mode"),
        ({"mode": "everywhere"}, "mode"),
    ],
)
def test_a_wrong_entry_is_explained_at_its_field_with_everything_kept(client, owed, talk, changes, field):
    typed = {"name": "Ada", "email": "ada@bund.example", "agency": "Dataport", **changes}
    page = Page(client.submit(people(talk, "/add"), typed, form="form"))
    assert page.status == 422
    assert f'id="{field}-e"' in page.html
    kept = page.form("form").values
    assert [kept[name] for name in ("name", "agency") if name != field] == [
        [typed[name]] for name in ("name", "agency") if name != field
    ]
    assert owed() == []


def test_someone_signed_up_already_is_not_added_twice(make, client, owed, talk):
    one = make.registration(talk)
    page = Page(client.submit(people(talk, "/add"), {"name": "Ada", "email": one.person.email}, form="form"))
    assert page.status in (409, 422)
    assert owed() == []


def test_a_place_is_taken_back_after_a_question(make, client, owed, talk):
    one = make.registration(talk)
    page = client.page(people(talk, f"/{one.ref}/remove"))
    assert "Entfernen und 1 Person informieren" in page.text
    assert client.submit(page, form="form").status_code == 303
    assert (one.status, one.cancelled_by) == (Status.CANCELLED, CancelledBy.ORGANISER)
    assert owed() == [(Kind.CANCELLATION, one)]


def test_an_invitation_is_sent_again_and_someone_moves_up(make, client, owed, talk):
    one, waiting = make.registration(talk), make.registration(talk, Status.WAITING)
    assert client.submit(people(talk, f"/{one.ref}"), form="invite").status_code == 303
    assert client.submit(people(talk, f"/{waiting.ref}"), form="promote").status_code == 303
    assert waiting.status is Status.CONFIRMED
    assert owed() == [(Kind.INVITATION, one), (Kind.PROMOTION, waiting)]


def test_without_a_free_place_nobody_moves_up_and_the_page_says_why(make, client, owed):
    client.sign_in(make.organiser())
    talk = make.event(places_on_site=1)
    make.registration(talk)
    waiting = make.registration(talk, Status.WAITING)
    page = Page(client.submit(people(talk, f"/{waiting.ref}"), form="promote"))
    assert page.status == 422
    assert "Es ist kein Platz frei." in page.text
    assert owed() == []


def test_someone_in_line_who_has_not_proved_the_address_is_shown_as_such(make, client, talk):
    make.registration(talk, Status.WAITING, proved=False)
    assert "Warteliste, Platz 1, noch nicht bestätigt" in client.page(people(talk)).text


# --- some people -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "button", "kind"),
    [
        ("invite", Status.CONFIRMED, "Einladung an 2 Personen senden", Kind.INVITATION),
        ("promote", Status.WAITING, "2 Personen nachrücken lassen", Kind.PROMOTION),
        ("remove", Status.CONFIRMED, "2 Personen entfernen und informieren", Kind.CANCELLATION),
    ],
)
def test_an_act_on_some_shows_them_and_their_number_before_it_happens(
    make, client, owed, talk, action, status, button, kind
):
    first, second = (make.registration(talk, status, person=make.person(name=name)) for name in ("Ada", "Grace"))
    make.registration(talk, status, person=make.person(name="Linus"))
    page = choose(client, talk, action, [first.ref, second.ref])
    assert (page.status, owed()) == (200, [])
    assert [word in page.text for word in ("Ada", "Grace", "Linus", button)] == [True, True, False, True]
    assert client.submit(page, form="form").status_code == 303
    assert owed() == [(kind, first), (kind, second)]


def test_all_of_this_list_means_those_its_filter_finds(make, client, owed, talk):
    found = [make.registration(talk, person=make.person(agency="Stadt Köln")) for _each in range(2)]
    make.registration(talk, person=make.person(agency="Dataport"))
    page = client.page(people(talk, "?q=köln"))
    page = Page(client.submit(page, {"scope": "found", "action": "invite"}, form="form"))
    assert "2 Personen" in page.text
    client.submit(page, form="form")
    assert owed() == [(Kind.INVITATION, one) for one in found]


def test_if_others_would_be_meant_the_new_list_is_shown_and_nothing_happens(make, client, owed, talk):
    make.registration(talk)
    page = client.page(people(talk))
    page = Page(client.submit(page, {"scope": "found", "action": "remove"}, form="form"))
    make.registration(talk, person=make.person(name="Gerade eben"))
    page = Page(client.submit(page, form="form"))
    assert (page.status, owed()) == (409, [])
    assert "Gerade eben" in page.text
    assert "2 Personen entfernen und informieren" in page.text
    assert client.submit(page, form="form").status_code == 303
    assert len(owed()) == 2


def test_removing_some_who_wait_along_with_some_who_come_moves_up_only_who_stays(make, client, owed):
    client.sign_in(make.organiser())
    talk = make.event(places_on_site=1)
    coming = make.registration(talk, Status.CONFIRMED)
    waiting, staying = (make.registration(talk, Status.WAITING) for _each in range(2))
    page = choose(client, talk, "remove", [coming.ref, waiting.ref])
    assert client.submit(page, form="form").status_code == 303
    assert [one.status for one in (coming, waiting, staying)] == [Status.CANCELLED, Status.CANCELLED, Status.CONFIRMED]
    assert owed() == [(Kind.CANCELLATION, waiting), (Kind.CANCELLATION, coming), (Kind.PROMOTION, staying)]
    assert (waiting.sequence, db.session.scalars(sa.select(Message.facts).order_by(Message.id)).first()) == (
        None,
        {"by": "organiser", "had_place": False},
    )


def test_too_few_places_for_all_leave_everyone_where_they_are(make, client, owed):
    client.sign_in(make.organiser())
    talk = make.event(places_on_site=1)
    waiting = [make.registration(talk, Status.WAITING) for _each in range(2)]
    page = choose(client, talk, "promote", [one.ref for one in waiting])
    assert "Es sind weniger Plätze frei, als Personen ausgewählt sind." in page.text
    assert "2 Personen nachrücken lassen" not in page.text
    page = Page(client.submit(page, form="form"))
    assert page.status == 422
    assert ([one.status for one in waiting], owed()) == ([Status.WAITING] * 2, [])


def test_nobody_chosen_and_buttons_that_do_not_exist_are_refused(make, client, owed, talk):
    one = make.registration(talk)
    page = choose(client, talk, "invite")
    assert page.status == 422
    assert "Es ist niemand ausgewählt." in page.text
    assert choose(client, talk, "explode", [one.ref]).status == 400
    assert owed() == []


@pytest.mark.parametrize(
    ("act", "status", "said"),
    [
        ("promote", Status.CONFIRMED, "steht niemand mit bestätigter Adresse auf der Warteliste."),
        ("invite", Status.WAITING, "hat niemand einen Platz, also gibt es keine Einladung"),
        ("remove", Status.CANCELLED, "ist niemand mehr angemeldet."),
        ("message", Status.CANCELLED, "ist niemand zu erreichen:"),
    ],
)
def test_chosen_people_for_whom_an_act_means_nothing_are_told_apart_from_none(
    make, client, owed, talk, act, status, said
):
    one = make.registration(talk, status)
    page = choose(client, talk, act, [one.ref])
    assert page.status == 422
    assert f"Von den Ausgewählten {said}" in page.text
    assert owed() == []


def test_a_seal_of_another_talk_is_refused(make, client, owed, talk):
    other = make.event()
    one, foreign = make.registration(talk), make.registration(other)
    mine, theirs = choose(client, talk, "remove", [one.ref]), choose(client, other, "remove", [foreign.ref])
    seal = theirs.form("form").values["seal"][0]
    answer = client.submit(mine, {"seal": seal}, form="form")
    assert answer.status_code == 400
    assert owed() == []


# --- export ----------------------------------------------------------------------------------------------


def test_the_export_is_a_file_of_ours_and_is_told_to_whoever_made_it(make, client, owed, organiser, talk):
    make.registration(talk, person=make.person(name="=1+1"), needs="MARKER", needs_consent_at=NOON)
    page = client.page(people(talk, ".csv"))
    assert (owed(), "1 Anmeldung zu „Register“." in page.text) == ([], True)
    answer = client.submit(page, form="form")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="participants-{talk.id}.csv"'
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.data.decode().splitlines()[1].startswith("'=1+1;")
    assert b"MARKER" not in answer.data
    assert owed() == [(Kind.SECURITY_NOTICE, organiser)]


def test_the_export_asks_for_a_proof_younger_than_ten_minutes(client, owed, at, talk):
    page = client.page(people(talk, ".csv"))
    at(NOON + timedelta(minutes=11))
    answer = client.submit(page, form="form")
    assert answer.status_code == 303
    assert "/sign-in" in answer.location
    assert "/sign-in" in client.get(people(talk, ".csv")).location
    assert owed() == []


def test_whoever_lost_the_role_or_signed_out_sees_nobody(make, client, organiser, talk):
    make.registration(talk)
    with write():
        db.session.execute(sa.delete(SignedIn))
    assert "/sign-in" in client.get(people(talk)).location
    client.sign_in(make.person())
    assert client.get(people(talk)).status_code == 403
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 0
