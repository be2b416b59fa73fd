"""Files and links for calendars, and the code for the entrance."""

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import icalendar

from tests.factories import NOON
from whatsnext.models import EventState, Mode, Status
from whatsnext.services import registrations


def entry(response):
    calendar = icalendar.Calendar.from_ical(response.get_data())
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def test_anybody_downloads_the_talk_without_being_named(make, client):
    make.series(name="What's NEXt", contact_email="next@behoerde.example")
    theme = make.theme(name="Blockchain")
    talk = make.event(
        slug="register",
        title="Register",
        theme_id=theme.id,
        starts_local=datetime(2026, 7, 2, 14),
        summary="Was Register *lernen*.",
        agenda="- Vortrag",
        address="Kommandantenstraße 18, 10969 Berlin",
    )
    response = client.get("/events/register/calendar.ics")
    calendar, event = entry(response)
    assert response.headers["Content-Type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert response.headers["Content-Disposition"] == 'attachment; filename="register.ics"'
    assert calendar["METHOD"] == "PUBLISH"
    assert event["UID"] == talk.uid
    assert event["DTSTART"].dt.isoformat() == "2026-07-02T14:00:00+02:00"
    assert event["DTEND"].dt.isoformat() == "2026-07-02T15:30:00+02:00"
    assert event["SUMMARY"] == "Register"
    assert event["LOCATION"] == "Kommandantenstraße 18, 10969 Berlin"
    assert event["DESCRIPTION"] == "Was Register lernen.\n\n- Vortrag\n\nhttp://127.0.0.1:8000/events/register"
    assert event["URL"] == "http://127.0.0.1:8000/events/register"
    assert event["CATEGORIES"].cats == ["Blockchain"]
    assert "ATTENDEE" not in event
    assert "CONFERENCE" not in event


def test_the_file_is_the_same_until_the_talk_changes(make, client, at):
    make.event(slug="t")
    first = client.get("/events/t/calendar.ics").get_data()
    at(NOON + timedelta(hours=1))
    assert client.get("/events/t/calendar.ics").get_data() == first


def test_the_file_of_a_cancelled_talk_says_so(make, client):
    talk = make.event(slug="t", state=EventState.CANCELLED, cancelled_at=NOON, cancelled_reason="Krank")
    mine = make.registration(talk)
    for address in ("/events/t", f"/registrations/{registrations.manage_token(mine)}"):
        _calendar, event = entry(client.get(f"{address}/calendar.ics"))
        assert event["STATUS"] == "CANCELLED"


def test_web_calendars_get_the_same_talk(make, client):
    make.event(slug="t", title="Daten & Taten", starts_local=datetime(2026, 2, 12, 14), places_online=3)
    links = {words: href for href, words in client.page("/events/t").links}
    google = parse_qs(urlsplit(links["Google"]).query)
    assert google["text"] == ["Daten & Taten"]
    assert google["dates"] == ["20260212T130000Z/20260212T143000Z"]
    assert "video.behoerde.example" not in links["Google"]
    assert [urlsplit(links[name]).hostname for name in ("Google", "Outlook.com", "Microsoft 365")] == [
        "calendar.google.com",
        "outlook.live.com",
        "outlook.office.com",
    ]


def test_a_cancelled_talk_is_not_offered_for_calendars(make, client):
    make.event(slug="t", state=EventState.CANCELLED)
    assert "Nur in den Kalender eintragen" not in client.page("/events/t").text


def test_drafts_have_no_file(make, client):
    make.draft(slug="t")
    assert client.get("/events/t/calendar.ics").status_code == 404


def test_the_attendees_file_holds_the_join_link_and_never_falls_behind_the_invitation(make, client):
    talk = make.event(places_online=3, join_link="https://video.example/raum")
    mine = make.registration(talk, mode=Mode.ONLINE, sequence=4)
    response = client.get(f"/registrations/{registrations.manage_token(mine)}/calendar.ics")
    _calendar, event = entry(response)
    assert event["SEQUENCE"] == 4
    assert event["CONFERENCE"] == "https://video.example/raum"
    assert event["LOCATION"] == "https://video.example/raum"
    assert response.headers["Cache-Control"] == "private, no-store"


def test_whoever_waits_gets_a_file_without_the_join_link(make, client):
    talk = make.event(places_online=0, join_link="https://video.example/raum")
    mine = make.registration(talk, Status.WAITING, mode=Mode.ONLINE)
    _calendar, event = entry(client.get(f"/registrations/{registrations.manage_token(mine)}/calendar.ics"))
    assert "CONFERENCE" not in event
    assert event["LOCATION"] == "Online"


def test_the_code_is_a_picture_without_style_or_script(make, client):
    mine = make.registration(make.event())
    response = client.get(f"/registrations/{registrations.manage_token(mine)}/qr")
    assert response.mimetype == "image/svg+xml"
    assert re.findall(r"style=|<script|href", response.get_data(as_text=True)) == []
    assert response.get_data(as_text=True).startswith("<svg")


def test_the_file_of_a_protected_talk_holds_the_join_link_for_the_person_only(make, client):
    talk = make.event(places_online=3, join_link="https://video.example/raum", protected=True)
    mine = make.registration(talk, mode=Mode.ONLINE)
    by_link = f"/registrations/{registrations.manage_token(mine)}/calendar.ics"
    assert "video.example" not in client.get(by_link).get_data(as_text=True)
    client.sign_in(mine.person)
    assert "video.example" in client.get(by_link).get_data(as_text=True)
