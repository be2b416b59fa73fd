"""Talks of several parts in calendars that are not ours: right across a change of the clocks, right after every change.

A history of changes is played through the real services and the real outbox; then its mails are replayed, in order,
into calendars on ical.js. They must show each part that takes place once, as it is now, and nothing else.
"""

import base64
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.calendars.samples import BERLIN, STAMP, invitation
from tests.factories import NOON
from tests.interop.foreign import replay_with_icaljs
from whatsnext.calendars.invitation import Repeat, cancel, publish_parts, request
from whatsnext.db import db, write
from whatsnext.errors import DomainError
from whatsnext.mail import deliver
from whatsnext.models import Event, EventState, Kind, Mode, Registration, Status
from whatsnext.services import catalogue, events, invitations, parts, registrations, rescheduling
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

pytestmark = pytest.mark.interop

FIRST = datetime(2026, 3, 16, 18, 0)
WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)
HALF = timedelta(minutes=30)


# --- the bytes -------------------------------------------------------------------------------------------


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


# --- histories -------------------------------------------------------------------------------------------


class History:
    """One attendee's talk, changed step by step; what does not apply just now is left out."""

    def __init__(self, talk: Event, own: Registration) -> None:
        self.talk_id, self.own_id = talk.id, own.id
        self.mails: list[bytes] = []
        self.done: list[str] = []

    @property
    def event(self) -> Event:
        return events.get(self.talk_id)

    @property
    def own(self) -> Registration:
        found = db.session.get(Registration, self.own_id)
        assert found is not None
        return found

    def act(self, name: str, dice: random.Random) -> None:
        try:
            with write():
                getattr(self, name)(dice)
        except DomainError as no:
            self.done.append(f"{name}: {type(no).__name__}")
        else:
            self.done.append(name)

    def deliver(self, at_most: int = 100) -> None:
        """The next mails, as a worker sends them."""
        for _round in range(100):
            if at_most == 0:
                return
            with write():
                claims = deliver.claim(1)
            if not claims:
                return
            with write():
                parcel = deliver.prepare(claims[0], NOON)
            if parcel is not None:
                self.mails += _calendars(parcel.raw)
                at_most -= 1
                with write():
                    deliver.sent(claims[0], NOON)

    def _save(self, **changes: object) -> None:
        event = self.event
        draft = replace(Draft.of(event), **changes)
        told = rescheduling.preview(event, draft, NOON).told
        rescheduling.save_and_tell(event.id, draft, event.version, NOON, expected=told)

    # what organisers do

    def rename(self, dice: random.Random) -> None:
        self._save(title=dice.choice(["Kurs", "Kurs, neu", "Werkstatt"]))

    def move_room(self, dice: random.Random) -> None:
        self._save(address=f"Beispielstraße {dice.randint(1, 9)}, 10115 Berlin")

    def move_one(self, dice: random.Random) -> None:
        event = self.event
        if not parts.several(event):
            return self.move_all(dice)
        changed, number = list(Draft.of(event).parts), dice.randrange(event.part_count)
        part = event.parts[number]
        changed[number] = replace(
            changed[number],
            starts_local=part.starts_local + dice.choice([-1, 1, 2, 5]) * HALF,
            duration_minutes=dice.choice([None, 30, 60]),
        )
        return self._save(parts=tuple(changed))

    def back_to_the_rule(self, dice: random.Random) -> None:
        changed = list(Draft.of(self.event).parts)
        if parts.regular(self.event):
            number = dice.randrange(len(changed))
            changed[number] = Part(cancelled=changed[number].cancelled)
        self._save(parts=tuple(changed))

    def move_all(self, dice: random.Random) -> None:
        start = self.event.starts_local
        assert start is not None
        self._save(starts_local=start + dice.choice([-1, 1, 2]) * HALF)

    def add_part(self, _dice: random.Random) -> None:
        event = self.event
        rest = Draft.of(event).parts or (Part(),)
        last = event.parts[-1].starts_local if rest[1:] else event.starts_local
        assert last is not None
        new = Part() if event.repeat_weeks else Part(starts_local=last + WEEK)
        self._save(parts=(*rest, new))

    def cancel_part(self, dice: random.Random) -> None:
        event, told = self.event, invitations.audience(self.event).told
        position = dice.randint(1, event.part_count)
        rescheduling.cancel_part(event.id, position, "Krankheit", event.version, NOON, expected=told)

    def call_off(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            told = invitations.audience(self.event).told
            rescheduling.cancel(self.talk_id, "Krankheit", self.event.version, NOON, expected=told)

    # what the attendee does

    def leave(self, _dice: random.Random) -> None:
        registrations.cancel(self.own_id, NOON)

    def come_back(self, _dice: random.Random) -> None:
        registrations.undo(self.own_id, NOON)

    def switch(self, _dice: random.Random) -> None:
        other = Mode.ONLINE if self.own.mode is Mode.ON_SITE else Mode.ON_SITE
        registrations.switch_mode(self.own_id, other, NOON)

    def ask_again(self, _dice: random.Random) -> None:
        registrations.resend_invitation(self.own_id, NOON)

    def meant(self) -> list[tuple[datetime, datetime, str]]:
        """What the attendee's calendar has to show now."""
        event = self.event
        if self.own.status is not Status.CONFIRMED or event.state is not EventState.PUBLISHED:
            return []
        if not parts.several(event):
            assert event.starts_at is not None
            assert event.ends_at is not None
            return [(event.starts_at, event.ends_at, event.title)]
        return [
            (
                part.starts_at,
                part.ends_at,
                event.title if event.repeat_weeks else f"{event.title} (Teil {part.position} von {event.part_count})",
            )
            for part in parts.live(event)
        ]


def _calendars(raw: bytes) -> list[bytes]:
    mail = message_from_bytes(raw)
    return [
        base64.b64decode(str(part.get_payload())) for part in mail.walk() if part.get_content_type() == "text/calendar"
    ]


ACTS = st.sampled_from(
    [
        *("rename", "move_room", "move_one", "move_one", "move_one", "back_to_the_rule", "move_all", "add_part"),
        *("cancel_part", "cancel_part", "call_off", "leave", "come_back", "switch", "ask_again"),
    ]
)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A history that fails is short enough to be read, and a step of it too slow to be tried a thousand times."""
STEPS = st.lists(st.tuples(ACTS, st.integers(0, 999), st.sampled_from([0, 1, 100])), min_size=4, max_size=9)


@pytest.mark.parametrize("kind", ["irregular", "course", "single"])
@settings(max_examples=20, phases=WITHOUT_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_history_a_calendar_shows_each_part_once_in_its_newest_state(make, kind, steps):
    shape = {"irregular": {"further": (FIRST + WEEK, FIRST + 2 * WEEK)}, "course": {"every": 1, "times": 4}}
    talk = make.event(starts_local=FIRST, title="Kurs", places_on_site=9, places_online=9, **shape.get(kind, {}))
    own = make.registration(talk, sequence=None, stamp=None)
    with write():
        invitations.invite(own, Kind.INVITATION, NOON)
    history = History(talk, own)
    for name, seed, mails in steps:
        history.act(name, random.Random(seed))
        history.deliver(mails)
    history.deliver()
    note(history.done)
    meant = history.meant()
    assert replay_with_icaljs(history.mails) == (meant, meant)
