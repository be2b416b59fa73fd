"""Invitations read by ical.js and vobject: each says what was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calendars.samples import BERLIN, HOSTILE, STAMP, TALK, TEXTS, entry, invitation
from tests.interop.foreign import read_with_icaljs, read_with_vobject
from whatsnext.calendars.invitation import Invitation, cancel, publish, request
from whatsnext.calendars.timezone import zones

pytestmark = pytest.mark.interop

ASKED: dict[str, Any] = {
    "method": "REQUEST",
    "events": 1,
    "alarms": 0,
    "uid": "4f2c8a@next.example",
    "sequence": 0,
    "status": "CONFIRMED",
    "transp": "OPAQUE",
    "class": "PUBLIC",
    "stamp": STAMP,
    "created": datetime(2027, 5, 1, 8, 0, tzinfo=UTC),
    "modified": datetime(2027, 5, 2, 8, 0, tzinfo=UTC),
    "start": datetime(2027, 7, 15, 16, 0, tzinfo=UTC),
    "end": datetime(2027, 7, 15, 17, 30, tzinfo=UTC),
    "zone": "Europe/Berlin",
    "summary": "Blockchain in the land register",
    "description": TALK["description"],
    "location": "Invalidenstraße 44, 10115 Berlin",
    "url": "https://next.example/events/blockchain",
    "conference": "https://meet.example/j/88?pwd=a,b;c",
    "categories": ["Blockchain"],
    "organizer": {"address": "next+k7q2m5@next.example", "parameters": {"CN": "What's NEXt"}},
    "attendees": [
        {
            "address": "ada@agency.example",
            "parameters": {
                "CN": "Ada Lovelace",
                "CUTYPE": "INDIVIDUAL",
                "PARTSTAT": "NEEDS-ACTION",
                "ROLE": "REQ-PARTICIPANT",
                "RSVP": "TRUE",
            },
        }
    ],
}


def read(data: bytes) -> list[dict[str, Any]]:
    return [*read_with_icaljs([data]), read_with_vobject(data)]


def test_a_request_is_read_whole():
    assert read(request(invitation(), STAMP)) == [ASKED, ASKED]


def test_a_cancellation_is_read_whole():
    cancelled = ASKED | {"method": "CANCEL", "status": "CANCELLED", "sequence": 4}
    assert read(cancel(invitation(sequence=4), STAMP)) == [cancelled, cancelled]


def test_a_published_entry_is_read_whole():
    published = ASKED | {"method": "PUBLISH", "organizer": None, "attendees": [], "conference": ""}
    assert read(publish(entry(join_link=None), STAMP)) == [published, published]


def test_a_protected_talk_is_read_as_private():
    private = ASKED | {"class": "PRIVATE"}
    assert read(request(invitation(protected=True), STAMP)) == [private, private]


def test_names_with_signs_are_read_as_names():
    name = "Dr. Ada Löwe, Amt; Referat: 3 🙂"
    for said in read(request(invitation(attendee_name=name, organiser_name=name), STAMP)):
        assert said["organizer"]["parameters"] == {"CN": name}
        assert said["attendees"][0]["parameters"]["CN"] == name


def test_the_second_of_a_repeated_hour_is_read_as_the_second():
    start = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN, fold=1)
    end = datetime(2027, 10, 31, 4, 0, tzinfo=BERLIN)
    for said in read(request(invitation(start=start, end=end), STAMP)):
        assert (said["start"], said["end"]) == (start.astimezone(UTC), end.astimezone(UTC))


@pytest.mark.parametrize("make", [request, cancel, publish])
def test_hostile_texts_are_read_as_texts_and_change_nothing_else(make):
    """Nothing but the texts themselves may differ from the harmless talk."""
    texts = ("summary", "description", "location", "conference", "url", "categories", "organizer", "attendees")
    plain = {name: value for name, value in read(make(invitation(), STAMP))[0].items() if name not in texts}
    written = [
        make(
            invitation(
                **dict.fromkeys(["summary", "description", "location", "url", "join_link"], text),
                **dict.fromkeys(["organiser_name", "attendee_name"], text),
                categories=(text,),
            ),
            STAMP,
        )
        for text in HOSTILE
    ]
    for said in [*read_with_icaljs(written), *map(read_with_vobject, written)]:
        assert {name: value for name, value in said.items() if name not in texts} == plain


def one_line(text: str) -> str:
    return " ".join(part for part in map(str.strip, text.split("\n")) if part)


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(TEXTS, min_size=20, max_size=40))
def test_every_text_survives(texts):
    """Many texts in one example: node starts once for all of them."""
    written = [request(_spoken(text), STAMP) for text in texts]
    for readings in (read_with_icaljs(written), [read_with_vobject(data) for data in written]):
        assert [said["description"] for said in readings] == texts
        assert [said["summary"] for said in readings] == [one_line(text) for text in texts]
        assert [said["categories"] for said in readings] == [[one_line(text)] for text in texts]


def _spoken(text: str) -> Invitation:
    return invitation(summary=text, description=text, categories=(text,))


def test_an_invitation_to_any_zone_is_read_at_the_right_instant():
    asked = [
        invitation(start=start, end=start + timedelta(hours=1))
        for key in zones()
        for start in (datetime(2027, month, 15, 18, 0, tzinfo=ZoneInfo(key)) for month in (1, 7))
    ]
    written = [request(each, STAMP) for each in asked]
    meant = [(each.start.astimezone(UTC), each.end.astimezone(UTC)) for each in asked]
    assert [(said["start"], said["end"]) for said in read_with_icaljs(written)] == meant


@pytest.mark.parametrize("key", ["Europe/Berlin", "Europe/Dublin", "Africa/Casablanca", "Africa/Cairo", "Asia/Tokyo"])
def test_vobject_reads_the_right_instant_in_summer_and_winter(key):
    for year, month in ((2026, 7), (2027, 1), (2045, 7)):
        start = datetime(year, month, 15, 18, 0, tzinfo=ZoneInfo(key))
        said = read_with_vobject(request(invitation(start=start, end=start + timedelta(hours=1)), STAMP))
        assert (said["start"], said["end"]) == (start.astimezone(UTC), (start + timedelta(hours=1)).astimezone(UTC))
