"""Histories of one attendee's talk, in calendars that are not ours (invitations.md).

Each step goes through the real services, each mail through the real outbox. Whenever all mails of the moment are out,
they are replayed, in order, into calendars on ical.js: these must show each entry once, as it is now, and nothing else.
"""

import base64
import os
import random
import re
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from tests.factories import NOON
from tests.interop.foreign import Entry, replays_with_icaljs
from whatsnext.calendars.reply import Answer
from whatsnext.db import db, write
from whatsnext.errors import DomainError
from whatsnext.mail import deliver
from whatsnext.models import CancelledBy, Event, EventState, Mode, Person, Registration, Status
from whatsnext.services import events, incoming, invitations, parts, registrations, replies, rescheduling, signup
from whatsnext.services.drafts import Draft
from whatsnext.services.incoming import Reading
from whatsnext.services.signup import Wish
from whatsnext.services.slots import Part

pytestmark = pytest.mark.interop

FIRST = datetime(2026, 3, 16, 18, 0)
WEEK = timedelta(weeks=1)
HALF = timedelta(minutes=30)

SHAPES = {
    "single": {},
    "waiting": {"places_on_site": 1},
    "irregular": {"further": (FIRST + WEEK, FIRST + 2 * WEEK)},
    "course": {"every": 1, "times": 4},
}
EXAMPLES = {"sqlite": int(os.environ.get("HISTORIES", "10")), "postgresql": 3}
"""Histories of each kind of talk; the rules are the same whatever keeps the rows."""


class History:
    """One attendee's talk, changed step by step; what does not apply just now is left out.

    A rival waits for the place; in the talk "waiting" she has it, and the attendee waits.
    """

    def __init__(self, talk: Event, own: Registration, rival: Registration) -> None:
        self.talk_id, self.own_id, self.rival_id = talk.id, own.id, rival.id
        self.said = 0
        self.mails: list[bytes] = []
        self.done: list[str] = []
        self.checks: list[tuple[int, list[Entry]]] = []

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
        """The next mails, as a worker sends them; if all are out, what a calendar must show now."""
        while at_most:
            with write():
                claims = deliver.claim(1)
            if not claims:
                self.checks.append((len(self.mails), self.meant()))
                return
            with write():
                parcel = deliver.prepare(claims[0], NOON)
            if parcel is not None:
                if parcel.to == self.own.person.email:
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

    def change_link(self, dice: random.Random) -> None:
        self._save(join_link=f"https://konferenz.example/{dice.randint(1, 9)}")

    def add_places(self, dice: random.Random) -> None:
        self._save(capacity_on_site=dice.choice([1, 2, 3]))

    def promote(self, _dice: random.Random) -> None:
        registrations.promote(self.own_id, self.talk_id, NOON)

    def take_out(self, _dice: random.Random) -> None:
        registrations.cancel(self.own_id, NOON, CancelledBy.ORGANISER)

    # what others do

    def rival_leaves(self, _dice: random.Random) -> None:
        registrations.cancel(self.rival_id, NOON)

    def rival_comes_back(self, _dice: random.Random) -> None:
        registrations.undo(self.rival_id, NOON)

    # what the attendee does

    def leave(self, _dice: random.Random) -> None:
        registrations.cancel(self.own_id, NOON)

    def come_back(self, _dice: random.Random) -> None:
        registrations.undo(self.own_id, NOON)

    def sign_up_again(self, dice: random.Random) -> None:
        person = db.session.get(Person, self.own.person_id)
        mode = dice.choice([Mode.ON_SITE, Mode.ONLINE])
        wish = Wish(name="Ada", email="", agency="", mode=mode, form_key=f"k{self.said}", waiting_ok=True)
        self.said += 1
        signup.sign_up(self.event.slug, wish, person, NOON)

    def switch(self, _dice: random.Random) -> None:
        other = Mode.ONLINE if self.own.mode is Mode.ON_SITE else Mode.ON_SITE
        registrations.switch_mode(self.own_id, other, NOON)

    def ask_again(self, _dice: random.Random) -> None:
        registrations.resend_invitation(self.own_id, NOON)

    # what the attendee's calendar does

    def accept(self, dice: random.Random) -> None:
        self._answer("ACCEPTED", dice)

    def tentative(self, dice: random.Random) -> None:
        self._answer("TENTATIVE", dice)

    def decline(self, dice: random.Random) -> None:
        self._answer("DECLINED", dice)

    def _answer(self, partstat: str, dice: random.Random) -> None:
        """About an entry that it was sent last, as it was sent; of a course also about the whole, or about one part."""
        held = dict(map(_held, self.mails))
        if not held:
            return
        uid, sequence = dice.choice(list(held.items()))
        self.said += 1
        own = self.own.person.email
        stamp = NOON + timedelta(minutes=self.said)
        answer = Answer(method="REPLY", uid=uid, attendee=own, partstat=partstat, sequence=sequence, stamp=stamp)
        starts = [part.original_local for part in self.event.parts if part.original_local]
        if starts and dice.random() < 0.5:
            start = dice.choice(starts).replace(tzinfo=ZoneInfo(self.event.zone))
            answer = replace(answer, recurrence=f"{start:%Y%m%dT%H%M%S}", recurrence_at=start)
        reading = Reading(sender=own, recipients=(f"next+{self.own.reply_token}@localhost",), answer=answer)
        begun = incoming.begin(f"{self.own_id}-{self.said}", b"raw", 3, NOON)
        assert begun is not None
        self.done.append(replies.receive(begun, reading, NOON, left_in_mailbox=False).value)

    def meant(self) -> list[Entry]:
        """What the attendee's calendar has to show now."""
        event, own = self.event, self.own
        if own.status is not Status.CONFIRMED or event.state is not EventState.PUBLISHED:
            return []
        place = event.address if own.mode is Mode.ON_SITE else event.join_link
        if not parts.several(event):
            assert event.starts_at is not None
            assert event.ends_at is not None
            return [Entry(event.starts_at, event.ends_at, event.title, place)]
        return [
            Entry(
                part.starts_at,
                part.ends_at,
                event.title if event.repeat_weeks else f"{event.title} (Teil {part.position} von {event.part_count})",
                place,
            )
            for part in parts.live(event)
        ]


def _held(mail: bytes) -> tuple[str, int]:
    """UID and SEQUENCE of a calendar."""
    text = mail.decode().replace("\r\n ", "")
    return re.findall(r"\nUID:(.*)\r", text)[0], int(re.findall(r"\nSEQUENCE:(\d+)", text)[0])


def _calendars(raw: bytes) -> list[bytes]:
    mail = message_from_bytes(raw)
    return [
        base64.b64decode(str(part.get_payload())) for part in mail.walk() if part.get_content_type() == "text/calendar"
    ]


ACTS = st.sampled_from(
    [
        *("rename", "move_room", "change_link", "move_one", "move_one", "back_to_the_rule", "move_all", "add_part"),
        *("cancel_part", "cancel_part", "call_off", "add_places", "promote", "take_out", "rival_leaves"),
        *("rival_comes_back", "leave", "come_back", "sign_up_again", "switch", "ask_again", "accept", "tentative"),
        *("decline", "decline"),
    ]
)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A history that fails is short enough to be read, and a step of it too slow to be tried a thousand times."""
STEPS = st.lists(st.tuples(ACTS, st.integers(0, 999), st.sampled_from([0, 1, 100, 100])), min_size=4, max_size=10)


@pytest.mark.parametrize("kind", SHAPES)
def test_after_every_step_a_calendar_shows_each_entry_once_in_its_newest_state(make, database, kind):
    @settings(max_examples=EXAMPLES[database.kind], phases=WITHOUT_SHRINKING)
    @given(steps=STEPS)
    def play(steps):
        given = {"places_on_site": 2, "places_online": 9, "starts_local": FIRST, "title": "Kurs", **SHAPES[kind]}
        talk = make.event(address="Am Anfang 1", join_link="https://konferenz.example/0", **given)
        first, second = (make.registration(talk, Status.WAITING, sequence=None, stamp=None) for _number in range(2))
        own, rival = (second, first) if kind == "waiting" else (first, second)
        with write():
            registrations.promote(first.id, talk.id, NOON)
        history = History(talk, own, rival)
        for name, seed, mails in steps:
            history.act(name, random.Random(seed))
            history.deliver(mails)
        history.deliver()
        note(history.done)
        told = [number for number, _meant in history.checks]
        for (number, meant), shown in zip(history.checks, replays_with_icaljs(history.mails, told), strict=True):
            for one in shown:
                assert [entry[:3] for entry in one] == [entry[:3] for entry in meant], number
                assert all(right.place in entry.place for entry, right in zip(one, meant, strict=True)), number

    play()
