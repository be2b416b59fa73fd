"""Talks of several parts in calendars that are not ours: right across a change of the clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.calendars.samples import BERLIN, STAMP, invitation
from tests.interop.foreign import replay_with_icaljs
from whatsnext.calendars.invitation import Repeat, cancel, publish_parts, request
from whatsnext.db import db, write
from whatsnext.models import Event
from whatsnext.services import catalogue, events
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

pytestmark = pytest.mark.interop

FIRST = datetime(2026, 3, 16, 18, 0)
WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)


def course(zone, start, repeat, **changes):
    start = start.replace(tzinfo=ZoneInfo(zone))
    given = {"summary": "Kurs", "start": start, "end": start + HOUR, "repeat": repeat, **changes}
    return invitation(**given)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/Dublin", "America/New_York", "Africa/Cairo", "Asia/Tokyo"])
@pytest.mark.parametrize("weeks", [1, 2])
def test_a_course_stays_at_its_time_of_day_in_spring_and_in_autumn(zone, weeks):
    for month in (3, 10):
        start = datetime(2027, month, 1, 18, 0)
        data = request(course(zone, start, Repeat(weeks=weeks, count=8)), STAMP)
        walls = [(start + number * weeks * WEEK).replace(tzinfo=ZoneInfo(zone)) for number in range(8)]
        meant = [(wall.astimezone(UTC), wall.astimezone(UTC) + HOUR, "Kurs") for wall in walls]
        assert replay_with_icaljs([data]) == (meant, meant)


def test_what_is_left_out_and_what_left_the_rule_is_read_so():
    starts = [(FIRST + number * WEEK).replace(tzinfo=BERLIN) for number in range(4)]
    repeat = Repeat(weeks=1, count=4, left_out=(starts[0], starts[2]))
    own = datetime(2026, 3, 24, 9, 0, tzinfo=BERLIN)
    one = course("Europe/Berlin", own.replace(tzinfo=None), None, recurrence=starts[1], sequence=1)
    mails = [request(course("Europe/Berlin", FIRST, repeat), STAMP), request(one, STAMP)]
    meant = [(at.astimezone(UTC), at.astimezone(UTC) + HOUR, "Kurs") for at in (own, starts[3])]
    assert replay_with_icaljs(mails) == (meant, meant)
    off = cancel(replace(one, sequence=2), STAMP)
    assert replay_with_icaljs([*mails, off]) == (meant[1:], meant[1:])


def test_the_file_of_a_talk_holds_every_part_that_takes_place(make):
    for talk in (
        make.event(starts_local=FIRST, further=(FIRST + WEEK,), title="Kurs"),
        make.event(starts_local=FIRST, every=1, times=4, title="Kurs"),
    ):
        with write():
            event = db.session.get(Event, talk.id)
            draft = Draft.of(event)
            events.assign(event, replace(draft, parts=(*draft.parts[:-1], Part(starts_local=FIRST + 9 * WEEK))))
        data = publish_parts(catalogue.entries(event), event.changed_at)
        shown = [(start, end) for start, end, _words in replay_with_icaljs([data])[0]]
        assert shown == [(part.starts_at, part.ends_at) for part in event.parts]
