"""Calendars to subscribe to, as lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given

from tests.calendars.samples import BERLIN, HOSTILE, STAMP, TEXTS, entry, event_lines, invitation, lines, value
from whatsnext.calendars import invitation as mails
from whatsnext.calendars import subscribing
from whatsnext.calendars.feed import COLOURS, Feed, Shown, publish

ABOUT: dict[str, Any] = {
    "name": "What's NEXt",
    "source": "https://next.example/calendar/series/next.ics",
    "url": "https://next.example/series/next",
    "colour": 1,
}


def feed(*talks: Shown, **changes: Any) -> bytes:
    return publish(Feed(**{**ABOUT, **changes}), list(talks))


def shown(**changes: Any) -> Shown:
    return Shown(entry=entry(**{"join_link": None, **changes}), stamp=STAMP)


def names(data: bytes) -> list[str]:
    """The names of all content lines, however generously a reader splits them."""
    return [line.split(":")[0].split(";")[0] for line in data.decode().replace("\r\n ", "").splitlines()]


def test_a_feed_says_what_it_is_and_when_to_ask_again():
    every = lines(feed(shown()))
    assert every[:3] == ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//What's NEXt//Feeds//EN"]
    assert sorted(every[3 : every.index("BEGIN:VTIMEZONE")]) == [
        "COLOR:teal",
        "METHOD:PUBLISH",
        "NAME:What's NEXt",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "SOURCE;VALUE=URI:https://next.example/calendar/series/next.ics",
        "URL:https://next.example/series/next",
        "X-PUBLISHED-TTL:PT1H",
        "X-WR-CALNAME:What's NEXt",
    ]
    assert every[-1] == "END:VCALENDAR"


def test_without_a_colour_none_is_said():
    assert "COLOR" not in names(feed(shown(), colour=0))


def test_each_pair_of_colours_has_a_name_of_css3():
    assert [value.isalpha() and value.islower() for value in COLOURS] == [True] * 8
    assert len(set(COLOURS)) == 8


def test_a_talk_names_no_attendee_rings_nobody_and_leaves_the_time_free():
    found = event_lines(feed(shown()))
    assert [line.split(":")[0].split(";")[0] for line in found] == [
        *("CATEGORIES", "CLASS", "CREATED", "DESCRIPTION", "DTEND", "DTSTAMP", "DTSTART", "LAST-MODIFIED"),
        *("LOCATION", "SEQUENCE", "STATUS", "SUMMARY", "TRANSP", "UID", "URL"),
    ]
    assert [line for line in found if line.startswith(("STATUS", "TRANSP", "DTSTAMP"))] == [
        "DTSTAMP:20270503T093015Z",
        "STATUS:CONFIRMED",
        "TRANSP:TRANSPARENT",
    ]


def test_even_of_an_invitation_the_attendee_is_not_named():
    data = feed(Shown(entry=invitation(), stamp=STAMP))
    assert b"ATTENDEE" not in data
    assert b"ada@" not in data


def test_the_uid_is_that_of_the_invitation():
    assert value(feed(shown()), "UID") == value(mails.request(invitation(), STAMP), "UID")


def test_ones_own_talk_takes_the_time_unless_it_is_cancelled():
    own = Shown(entry=entry(), stamp=STAMP, busy=True)
    off = Shown(entry=entry(), stamp=STAMP, busy=True, cancelled=True)
    assert [(value(feed(one), "TRANSP"), value(feed(one), "STATUS")) for one in (own, off)] == [
        (":OPAQUE", ":CONFIRMED"),
        (":TRANSPARENT", ":CANCELLED"),
    ]


def test_zones_stand_there_once_each_and_reach_back_to_the_first_talk():
    york = ZoneInfo("America/New_York")
    talks = [
        shown(uid=f"{year}-{zone.key[:3]}@next.example", start=start, end=start + timedelta(hours=1))
        for zone in (BERLIN, york)
        for year in (2027, 2025, 2031)
        for start in [datetime(year, 7, 15, 18, tzinfo=zone)]
    ]
    every = lines(feed(*talks))
    assert [line for line in every if line.startswith("TZID:")] == ["TZID:America/New_York", "TZID:Europe/Berlin"]
    assert every.count("BEGIN:VEVENT") == 6
    data = feed(*talks)
    read = [event.decoded("DTSTART") for event in icalendar.Calendar.from_ical(data).walk("VEVENT")]
    assert read == [talk.entry.start for talk in talks]


def test_the_same_talks_are_written_the_same_in_the_order_given():
    one, two = shown(), shown(uid="b@next.example")
    assert feed(one, two) == feed(shown(), shown(uid="b@next.example"))
    uids = [line for line in lines(feed(two, one)) if line.startswith("UID:")]
    assert uids == ["UID:b@next.example", "UID:4f2c8a@next.example"]


def test_the_same_instant_in_another_zone_is_another_entry():
    berlin, york = (
        datetime(2027, 7, 15, 18, tzinfo=BERLIN),
        datetime(2027, 7, 15, 12, tzinfo=ZoneInfo("America/New_York")),
    )
    assert berlin == york
    written = [value(feed(shown(start=start, end=start + timedelta(hours=1))), "DTSTART") for start in (berlin, york)]
    assert written == [";TZID=Europe/Berlin:20270715T180000", ";TZID=America/New_York:20270715T120000"]


def test_the_two_readings_of_a_repeated_hour_are_two_entries():
    start, end = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN), datetime(2027, 10, 31, 5, tzinfo=BERLIN)
    written = [value(feed(shown(start=one, end=end)), "DTSTART") for one in (start, start.replace(fold=1))]
    assert written == [";TZID=Europe/Berlin:20271031T023000", ":20271031T013000Z"]


def test_a_feed_without_talks_is_a_calendar():
    every = lines(feed())
    assert (every[0], every[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    assert [line for line in every if line.startswith("BEGIN:")] == ["BEGIN:VCALENDAR"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_begins_a_line(text):
    named = feed(shown(), name=text, source=text, url=text)
    assert names(named) == names(feed(shown()))
    told = shown(summary=text, description=text, location=text, url=text, categories=(text,))
    assert names(feed(told)) == names(feed(shown()))


def test_a_backslash_before_n_stays_a_backslash_in_the_name():
    data = feed(name=r"C:\New, or; C:\new")
    assert r"NAME:C:\\New\, or\; C:\\new" in lines(data)
    assert r"X-WR-CALNAME:C:\\New\, or\; C:\\new" in lines(data)


@given(text=TEXTS)
def test_lines_end_with_crlf_and_fold_at_75_octets(text):
    data = feed(shown(summary=text, description=text), name=text)
    physical = data.removesuffix(b"\r\n").split(b"\r\n")
    assert [line for line in physical if len(line) > 75 or b"\n" in line or b"\r" in line or not line] == []


def test_one_press_addresses_carry_the_address_whole():
    address = "https://next.example/calendar/series/a.ics?x=1&y=2"
    assert subscribing.webcal(address) == "webcal://next.example/calendar/series/a.ics?x=1&y=2"
    escaped = "next.example%2Fcalendar%2Fseries%2Fa.ics%3Fx%3D1%26y%3D2"
    assert subscribing.google(address) == f"https://calendar.google.com/calendar/r?cid=webcal%3A%2F%2F{escaped}"
    for maker, host in (
        (subscribing.outlook_com, "outlook.live.com"),
        (subscribing.microsoft365, "outlook.office.com"),
    ):
        link = f"https://{host}/calendar/0/addfromweb?url=https%3A%2F%2F{escaped}&name=A%26B%20C"
        assert maker(address, "A&B C") == link
