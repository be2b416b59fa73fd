from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.calendars.samples import BERLIN, STAMP, TALK, entry, invitation
from whatsnext.calendars.invitation import cancel, publish, request
from whatsnext.calendars.reading import Reading, in_words

READ = Reading(
    method="REQUEST",
    uid="4f2c8a@next.example",
    sequence=0,
    status="CONFIRMED",
    start=datetime(2027, 7, 15, 18, 0, tzinfo=BERLIN),
    end=datetime(2027, 7, 15, 19, 30, tzinfo=BERLIN),
    zone="Europe/Berlin",
    count=1,
    weeks=0,
    summary="Blockchain in the land register",
    location="Invalidenstraße 44, 10115 Berlin",
    description=TALK["description"],
    organizer="next+k7q2m5@next.example",
    organizer_name="What's NEXt",
    attendee="ada@agency.example",
    attendee_name="Ada Lovelace",
    partstat="NEEDS-ACTION",
)


def test_a_request_is_read_back():
    assert in_words(request(invitation(), STAMP)) == READ


def test_a_cancellation_is_read_back():
    read = in_words(cancel(invitation(sequence=3), STAMP))
    assert (read.method, read.uid, read.sequence, read.status) == ("CANCEL", READ.uid, 3, "CANCELLED")


def test_a_published_entry_is_read_back_without_people():
    read = in_words(publish(entry(), STAMP))
    assert (read.method, read.organizer, read.organizer_name, read.attendee, read.partstat) == (
        "PUBLISH",
        "",
        "",
        "",
        "",
    )


def test_times_in_utc_name_utc():
    start = datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    read = in_words(publish(entry(start=start, end=datetime(2027, 10, 31, 4, tzinfo=BERLIN)), STAMP))
    assert (read.zone, read.start.isoformat()) == ("UTC", "2027-10-31T01:30:00+00:00")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no calendar",
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270715\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    ],
)
def test_what_holds_no_event_with_its_times_is_refused(data):
    with pytest.raises(ValueError):
        in_words(data)
