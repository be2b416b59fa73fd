"""Changing and calling off a published talk: the page before anything is sent, and what its buttons do."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Event, EventState, Kind, Message, Status
from whatsnext.services import events
from whatsnext.services.drafts import Draft

DAY = timedelta(days=1)


def talk_with_people(make, confirmed=3, waiting=1, **given):
    """A full talk with a line, unless told otherwise."""
    full = {"places_on_site": confirmed, "title": "Register ohne Mitte", "summary": "Wer prüft?\n\n- eins\n- zwei"}
    talk = make.event(**{**full, **given})
    people = [make.registration(talk) for _ in range(confirmed)]
    line = [make.registration(talk, Status.WAITING) for _ in range(waiting)]
    return talk, people, line


def next_day(talk):
    return {"date": (talk.starts_local + DAY).date().isoformat()}


def edit(organiser, talk, changes):
    """What the editor answers to its button "Speichern"."""
    return organiser.submit(f"/organise/events/{talk.id}", {"action": "save", **changes}, form="editor")


def ask(organiser, talk, changes):
    """The page before anything is sent."""
    answer = edit(organiser, talk, changes)
    page = Page(answer)
    assert (answer.status_code, "Änderungen prüfen" in page.text) == (200, True)
    return page


def cancel_page(organiser, talk):
    return organiser.page(f"/organise/events/{talk.id}/cancel")


def test_the_page_shows_old_and_new_who_is_told_and_the_mail_and_sends_nothing(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    text = ask(organiser, talk, {**next_day(talk), "address": "Anderswo 2, 10115 Berlin"}).text
    for words in (
        "Noch ist nichts gespeichert oder verschickt",
        "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)",
        "Di., 20. Januar 2026, 14:00–15:30 Uhr (Berlin)",
        "Anderswo 2, 10115 Berlin",
        "3 Bestätigte",
        "1 Person auf der Warteliste",
        "Speichern und 4 Personen informieren",
        "Betreff: Geändert: Register ohne Mitte",
        "Ohne Nachricht zeigen Kalender weiter, was nicht mehr stimmt",
    ):
        assert words in text
    assert owed() == []
    db.session.refresh(talk)
    assert (talk.address, talk.version) == ("Beispielstraße 1, 10115 Berlin", 1)


def test_the_mail_shown_holds_no_real_persons_name_and_no_link_that_works(organiser, make):
    talk, people, _line = talk_with_people(make, confirmed=1)
    page = ask(organiser, talk, next_day(talk))
    assert people[0].name not in page.html
    assert people[0].person.email not in page.html
    links = [word for word in page.text.split() if "/registrations/" in word]
    assert links
    for link in links:
        path = "/registrations/" + link.rpartition("/registrations/")[2].split("/")[0]
        assert organiser.get(path).status_code in (400, 404, 410)


def test_the_button_saves_and_tells_everyone_once(organiser, make, owed):
    talk, people, line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    typed = {"note": "Der Raum war belegt.", "action": "tell"}
    answer = organiser.submit(page, typed, form="change")
    assert (answer.status_code, answer.location) == (303, f"/organise/events/{talk.id}")
    assert owed() == [(Kind.UPDATE, one) for one in (*people, *line)]
    assert {message.facts["text"] for message in db.session.query(Message)} == {"Der Raum war belegt."}
    assert "4 Personen werden informiert" in organiser.page(answer.location).text
    again = organiser.submit(page, typed, form="change")
    assert (again.status_code, len(owed())) == (303, 4)
    assert "Das ist schon gespeichert. Niemand wird zweimal benachrichtigt." in organiser.page(again.location).text


def test_an_agenda_that_names_times_outside_of_the_talk_is_pointed_out_before_saving(organiser, make):
    talk, _people, _line = talk_with_people(make, agenda="- 14:00 Begrüßung\n- 15:00 Fragen")
    assert "außerhalb der Veranstaltung" not in ask(organiser, talk, next_day(talk)).text
    later = ask(organiser, talk, {"time": "14:30"})
    assert "Der Ablauf nennt Uhrzeiten außerhalb der Veranstaltung: 14:00. Stimmt er noch?" in later.text


def test_old_and_new_are_the_same_words_before_saving_on_the_page_and_in_the_mail(organiser, make, sent):
    """experience.md §6, point 7; the calendar part holds the same instant."""
    talk, _people, _line = talk_with_people(make, confirmed=1, waiting=0)
    old, new = "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)", "Di., 20. Januar 2026, 14:00–15:30 Uhr (Berlin)"
    page = ask(organiser, talk, next_day(talk))
    organiser.submit(page, {"action": "tell"}, form="change")
    (mail,) = sent()
    public = organiser.page(f"/events/{talk.slug}").text
    assert [(old in text, new in text) for text in (page.text, public, mail.part("text/plain").replace("\n", " "))] == [
        (True, True)
    ] * 3
    assert "DTSTART;TZID=Europe/Berlin:20260120T140000" in mail.part("text/calendar")


def test_everything_typed_in_the_editor_arrives_through_the_page_before(organiser, make):
    talk, _people, _line = talk_with_people(make)
    typed = {
        **next_day(talk),
        "agenda": "- 14:00 „Begrüßung“ & Kaffee\r\n- 14:10 <Vortrag>\r\n\r\nEnde",
        "captions": '"live"',
        "chatham_house": "y",
    }
    organiser.submit(ask(organiser, talk, typed), {"action": "tell"}, form="change")
    db.session.refresh(talk)
    assert (talk.agenda, talk.captions, talk.chatham_house) == (
        "- 14:00 „Begrüßung“ & Kaffee\n- 14:10 <Vortrag>\n\nEnde",
        '"live"',
        True,
    )


def test_the_organisers_word_stands_in_the_preview_and_is_kept(organiser, make):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    seen = Page(organiser.submit(page, {"note": "Der Raum war belegt.", "action": "preview"}, form="change"))
    assert seen.text.count("Der Raum war belegt.") == 1
    assert seen.form("change").values["note"] == ["Der Raum war belegt."]
    answer = organiser.submit(seen, {"action": "tell"}, form="change")
    assert answer.status_code == 303


def test_what_calendars_show_is_not_saved_without_a_message(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    answer = organiser.submit(page, {"action": "silent"}, form="change")
    assert answer.status_code == 422
    assert "nicht ohne Nachricht" in Page(answer).text
    db.session.refresh(talk)
    assert (talk.version, owed()) == (1, [])


def test_a_typo_is_mended_without_a_message(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, {"title": "Register ohne Mittelpunkt"})
    assert "Ohne Nachricht speichern" in page.text
    answer = organiser.submit(page, {"action": "silent"}, form="change")
    db.session.refresh(talk)
    assert (answer.status_code, talk.title, owed()) == (303, "Register ohne Mittelpunkt", [])


def test_what_nobody_has_to_hear_of_is_saved_at_once(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    answer = edit(organiser, talk, {"step_free": "Aufzug"})
    db.session.refresh(talk)
    assert (answer.status_code, talk.step_free, owed()) == (303, "Aufzug", [])
    assert "Niemand erhält eine Nachricht" in organiser.page(answer.location).text


def test_a_talk_nobody_signed_up_for_moves_at_once(organiser, make):
    talk = make.event()
    before = talk.starts_at
    assert edit(organiser, talk, next_day(talk)).status_code == 303
    db.session.refresh(talk)
    assert (talk.starts_at, talk.previous_starts_at) == (before + DAY, before)


def test_nothing_changed_is_nothing_to_ask(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    assert (edit(organiser, talk, {}).status_code, owed()) == (303, [])


def test_going_back_keeps_everything_typed(organiser, make):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, {**next_day(talk), "title": "Neuer Titel"})
    answer = organiser.submit(page, {"action": "back"}, form="change")
    values = Page(answer).form("editor").values
    assert (answer.status_code, values["title"], values["date"]) == (200, ["Neuer Titel"], [next_day(talk)["date"]])
    db.session.refresh(talk)
    assert talk.version == 1


def test_more_places_say_how_many_move_up_in_the_button(organiser, make, owed):
    talk, _people, line = talk_with_people(make, confirmed=1, waiting=3, places_on_site=1)
    page = ask(organiser, talk, {"capacity_on_site": "3"})
    assert "Speichern und 2 Personen nachrücken lassen" in page.text
    organiser.submit(page, {"action": "silent"}, form="change")
    assert owed() == [(Kind.PROMOTION, line[0]), (Kind.PROMOTION, line[1])]


def test_recipients_are_counted_again_at_the_button(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    make.registration(talk)
    answer = organiser.submit(page, {"action": "tell", "note": "Wichtig"}, form="change")
    again = Page(answer)
    assert (answer.status_code, owed()) == (409, [])
    assert "Speichern und 5 Personen informieren" in again.text
    assert again.form("change").values["note"] == ["Wichtig"]
    assert organiser.submit(again, {"action": "tell"}, form="change").status_code == 303
    assert len(owed()) == 5


def test_two_editors_of_a_published_talk_see_both_versions(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    edit(organiser, talk, {"step_free": "Aufzug von Grace"})
    answer = organiser.submit(page, {"action": "tell"}, form="change")
    seen = Page(answer)
    assert (answer.status_code, owed()) == (409, [])
    assert "Aufzug von Grace" in seen.text
    assert seen.form("editor").values["date"] == [next_day(talk)["date"]]
    stale = organiser.page(f"/organise/events/{talk.id}")
    edit(organiser, talk, {"captions": "live"})
    assert organiser.submit(stale, {"captions": "nein"}, form="editor").status_code == 409


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"capacity_on_site": "2"}, "capacity_on_site", "3 Plätze sind schon vergeben"),
        ({"on_site": None}, "on_site", "angemeldet"),
        ({"date": "2025-12-01"}, "date", "liegt in der Vergangenheit"),
        ({"date": "", "time": ""}, "date", "noch kein Datum"),
        ({"address": ""}, "address", "Adresse des Raums fehlt"),
        ({"date": "2026-03-29", "time": "02:30"}, "time", "gibt es an diesem Tag nicht"),
        ({"registration_closes": "2026-02-01", "registration_closes_time": "12:00"}, "registration_closes", "beginnt"),
        ({"title": "x" * 10_000}, "title", "10000 Zeichen"),
    ],
)
def test_what_cannot_be_is_said_at_the_field_and_nothing_is_lost(organiser, make, owed, changes, field, said):
    talk, _people, _line = talk_with_people(make)
    before = Draft.of(events.get(talk.id))
    answer = edit(organiser, talk, {**changes, "captions": "live"})
    page = Page(answer)
    assert answer.status_code == 422
    assert said in page.text
    assert f"#{field}" in [href for href, _words in page.links]
    assert page.form("editor").values["captions"] == ["live"]
    db.session.expire_all()
    assert (Draft.of(events.get(talk.id)), owed()) == (before, [])


@pytest.mark.parametrize("hostile", [{"state": "draft"}, {"sequence": "99"}, {"title": ["Eins", "Zwei"]}])
def test_unknown_and_doubled_fields_are_refused_on_the_way_too(organiser, make, owed, hostile):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    page.form("change").names |= set(hostile)
    answer = organiser.submit(page, {**hostile, "action": "tell"}, form="change")
    assert (answer.status_code, owed()) == (422, [])


@pytest.mark.parametrize("expected", ["", "viele", "-1", "9" * 30])
def test_a_number_of_recipients_that_is_none_sends_nothing(organiser, make, owed, expected):
    talk, _people, _line = talk_with_people(make)
    page = ask(organiser, talk, next_day(talk))
    answer = organiser.submit(page, {"expected": expected, "action": "tell"}, form="change")
    assert (answer.status_code in (409, 422), owed()) == (True, [])


def test_a_past_talk_is_edited_without_a_word_to_anyone(organiser, make, owed, at):
    talk, _people, _line = talk_with_people(make)
    at(talk.ends_at + DAY)
    organiser.sign_in(make.organiser())
    answer = edit(organiser, talk, {"title": "Nachträglich", "address": "Anderswo 2"})
    db.session.refresh(talk)
    assert (answer.status_code, talk.title, owed()) == (303, "Nachträglich", [])


def test_the_page_before_is_reached_by_the_editor_only(organiser, make):
    talk = make.event()
    assert organiser.get(f"/organise/events/{talk.id}/change").location == f"/organise/events/{talk.id}"


# --- closing and opening sign-up ----------------------------------------------------------------------------


def test_sign_up_is_closed_and_opened_by_a_button_each(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    address = f"/organise/events/{talk.id}/sign-up"
    page = organiser.page(address)
    closed = organiser.submit(page, {"action": "close"}, form="sign-up")
    assert (closed.status_code, "Die Anmeldung ist geschlossen" in organiser.page(closed.location).text) == (303, True)
    db.session.refresh(talk)
    assert talk.registration_closes == NOON
    stale = organiser.submit(page, {"action": "close"}, form="sign-up")
    assert (stale.status_code, "Anmeldung wieder öffnen" in Page(stale).text) == (409, True)
    organiser.submit(address, {"action": "open"}, form="sign-up")
    db.session.refresh(talk)
    assert (talk.registration_closes, owed()) == (None, [])
    assert organiser.get(f"/organise/events/{make.draft().id}/sign-up").status_code == 422


def test_shortly_before_the_talk_the_button_offers_places(organiser, make, owed, at):
    talk, _people, line = talk_with_people(make, confirmed=1)
    at(talk.starts_at - timedelta(hours=3))
    organiser.sign_in(make.organiser())
    page = ask(organiser, talk, {"capacity_on_site": "2"})
    assert "Speichern und 1 Person einen Platz anbieten" in page.text
    organiser.submit(page, {"action": "silent"}, form="change")
    assert owed() == [(Kind.OFFER, line[0])]


# --- calling off --------------------------------------------------------------------------------------------


def test_calling_off_shows_who_is_told_and_the_mail_with_its_reason(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    make.registration(talk, Status.HELD)
    page = cancel_page(organiser, talk)
    for words in ("3 Bestätigte", "1 Person auf der Warteliste", "Veranstaltung absagen und 4 Personen informieren"):
        assert words in page.text
    assert "1 Person hat die Adresse noch nicht bestätigt" in page.text
    assert "Betreff: Abgesagt: Register ohne Mitte" in page.text
    seen = Page(organiser.submit(page, {"reason": "Der Referent ist krank.", "action": "preview"}, form="cancel"))
    assert "Der Referent ist krank." in seen.text
    assert seen.form("cancel").values["reason"] == ["Der Referent ist krank."]
    db.session.refresh(talk)
    assert (talk.state, owed()) == (EventState.PUBLISHED, [])


def test_calling_off_tells_everyone_and_leads_to_a_new_date(organiser, make, owed):
    talk, people, line = talk_with_people(make)
    page = cancel_page(organiser, talk)
    answer = organiser.submit(page, {"reason": "Der Referent ist krank.", "action": "cancel"}, form="cancel")
    assert (answer.status_code, answer.location) == (303, f"/organise/events/{talk.id}")
    assert owed() == [(Kind.EVENT_CANCELLATION, one) for one in (*people, *line)]
    after = organiser.page(answer.location)
    assert (f"/organise/events/{talk.id}/duplicate", "Ersatztermin anlegen") in [
        (href, words.strip()) for href, words in after.links
    ]
    assert "Der Referent ist krank." in after.text
    assert organiser.submit(page, {"reason": "Noch einmal", "action": "cancel"}, form="cancel").status_code == 303
    assert len(owed()) == 4
    organiser.submit(f"/organise/events/{talk.id}/duplicate", form="duplicate")
    assert [event.state for event in db.session.query(Event).order_by(Event.id)] == [
        EventState.CANCELLED,
        EventState.DRAFT,
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [("", "Grund"), ("x" * 2_001, "2001 Zeichen"), ("Krank\x07", "Steuerzeichen"), ("Kr\u202eank", "Steuerzeichen")],
)
def test_calling_off_needs_a_reason_that_can_be_read(organiser, make, owed, reason, said):
    talk, _people, _line = talk_with_people(make)
    answer = organiser.submit(cancel_page(organiser, talk), {"reason": reason, "action": "cancel"}, form="cancel")
    page = Page(answer)
    assert (answer.status_code, said in page.text, owed()) == (422, True, [])
    assert page.form("cancel").values["reason"] == [reason]


def test_calling_off_counts_again_at_the_button(organiser, make, owed):
    talk, _people, _line = talk_with_people(make)
    page = cancel_page(organiser, talk)
    make.registration(talk)
    answer = organiser.submit(page, {"reason": "Krank", "action": "cancel"}, form="cancel")
    assert (answer.status_code, owed()) == (409, [])
    assert "5 Personen informieren" in Page(answer).text
    edit(organiser, talk, {"captions": "live"})
    assert organiser.submit(Page(answer), {"action": "cancel"}, form="cancel").status_code == 409


def test_drafts_and_past_talks_cannot_be_called_off(organiser, make, at):
    draft, talk = make.draft(), make.event()
    assert organiser.get(f"/organise/events/{draft.id}/cancel").status_code == 422
    at(talk.ends_at + DAY)
    organiser.sign_in(make.organiser())
    assert organiser.get(f"/organise/events/{talk.id}/cancel").status_code == 422


def test_a_cancelled_talk_has_no_editor(organiser, make):
    off = make.event(state=EventState.CANCELLED, cancelled_reason="Krank")
    page = organiser.page(f"/organise/events/{off.id}")
    assert [form.id for form in page.forms if form.id == "editor"] == []
    assert organiser.get(f"/organise/events/{off.id}/cancel").status_code == 303
    assert organiser.post(f"/organise/events/{off.id}", headers={"Origin": "http://localhost"}).status_code == 409


def test_the_pages_ask_as_many_questions_for_three_people_as_for_one(organiser, make, query_count):
    counts = []
    for number in (1, 3):
        talk, _people, _line = talk_with_people(make, confirmed=number, waiting=number)
        page = organiser.page(f"/organise/events/{talk.id}")
        with query_count() as queries:
            organiser.submit(page, {**next_day(talk), "action": "save"}, form="editor")
            cancel_page(organiser, talk)
        counts.append(len(queries))
    assert counts[0] == counts[1]
