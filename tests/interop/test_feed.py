"""Feeds read by ical.js and vobject: each says what was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import vobject
from dateutil import rrule
from hypothesis import given, settings

from tests.calendars.samples import BERLIN, HOSTILE, STAMP, TEXTS, entry
from tests.calendars.test_feed import feed, shown
from tests.interop.foreign import read_with_icaljs, read_with_vobject, starts_with_icaljs
from whatsnext.calendars.feed import Shown

pytestmark = pytest.mark.interop

ZONES = (BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Africa/Casablanca"))


def test_both_read_the_same_talk_that_was_written():
    data = feed(shown())
    by_icaljs, by_vobject = read_with_icaljs([data])[0], read_with_vobject(data)
    assert by_icaljs == by_vobject
    assert {
        name: by_icaljs[name] for name in ("method", "events", "alarms", "uid", "sequence", "status", "transp")
    } == {
        "method": "PUBLISH",
        "events": 1,
        "alarms": 0,
        "uid": "4f2c8a@next.example",
        "sequence": 0,
        "status": "CONFIRMED",
        "transp": "TRANSPARENT",
    }
    assert (by_icaljs["attendees"], by_icaljs["stamp"]) == ([], STAMP)
    assert by_icaljs["start"] == datetime(2027, 7, 15, 16, 0, tzinfo=UTC)


def test_a_thousand_talks_in_four_zones_start_when_they_should():
    first = datetime(2026, 1, 1, 12, tzinfo=UTC)
    days = list(rrule.rrule(rrule.DAILY, interval=3, count=1000, dtstart=first))
    talks = []
    for number, day in enumerate(days):
        start = day.astimezone(ZONES[number % 4])
        talks.append(shown(uid=f"{number}@next.example", start=start, end=start + timedelta(hours=1)))
    data = feed(*talks)
    assert starts_with_icaljs([data]) == [days]
    read = vobject.readOne(data.decode())
    assert len(read.contents["vtimezone"]) == 4
    assert [event.uid.value for event in read.vevent_list] == [f"{number}@next.example" for number in range(1000)]


def test_both_read_a_cancelled_talk_as_cancelled_and_the_join_link_of_ones_own():
    data = feed(Shown(entry=entry(), stamp=STAMP, cancelled=True, busy=True))
    for read in (read_with_icaljs([data])[0], read_with_vobject(data)):
        assert read["status"] == "CANCELLED"
        assert read["conference"] == "https://meet.example/j/88?pwd=a,b;c"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_in_their_place(text):
    data = feed(shown(summary=text, description=text, location=text, categories=(text,)), name=text)
    for read in (read_with_icaljs([data])[0], read_with_vobject(data)):
        assert (read["events"], read["uid"], read["attendees"]) == (1, "4f2c8a@next.example", [])


@settings(max_examples=25)
@given(text=TEXTS)
def test_vobject_reads_every_name_and_description_back(text):
    data = feed(shown(description=text), name=text)
    assert read_with_vobject(data)["description"] == text
