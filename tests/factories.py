"""Builds the world of a test: `make.event(places_on_site=1)` shows what matters and fills what does not."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, g
from sqlalchemy import select

from whatsnext import clock
from whatsnext.db import Base, db, write
from whatsnext.models import (
    Agency,
    CancelledBy,
    Event,
    EventSpeaker,
    EventState,
    Follow,
    Kind,
    Message,
    MessageState,
    Mode,
    Person,
    Registration,
    Series,
    Speaker,
    Status,
    Theme,
)
from whatsnext.permissions import Role
from whatsnext.services import drafts, parts
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

Thing = TypeVar("Thing", bound=Base)

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
"""The present of the tests; a Monday, always earlier than the database's own clock."""

FIRST_NAMES = ("Ada", "Grace", "Linus", "Margaret", "Konrad", "Radia", "Donald", "Barbara", "Edsger", "Frances")


class Make:
    """Each method adds one thing and commits it, or joins the `write()` it is called in."""

    def __init__(self) -> None:
        self._number = itertools.count(1)

    def series(self, **given: Any) -> Series:
        number = next(self._number)
        words = {"slug": f"reihe-{number}", "name": f"Reihe {number}", "contact_email": "next@behoerde.example"}
        return self._add(Series(**{**words, **given}))

    def theme(self, **given: Any) -> Theme:
        number = next(self._number)
        series = given.pop("series", None) or self._only(Series, self.series)
        filled = {"series_id": series.id, "slug": f"thema-{number}", "name": f"Thema {number}"}
        return self._add(Theme(**{**filled, **given}))

    def agency(self, **given: Any) -> Agency:
        return self._add(Agency(**{"name": f"Landesamt {next(self._number)}", "city": "Berlin", **given}))

    def speaker(self, **given: Any) -> Speaker:
        return self._add(Speaker(**{"name": f"Kim Muster {next(self._number)}", "role": "Referat 12", **given}))

    def person(self, **given: Any) -> Person:
        number = next(self._number)
        name = FIRST_NAMES[number % len(FIRST_NAMES)]
        now = clock.now()
        filled = {
            "email": f"{name.lower()}.{number}@behoerde.example",
            "name": f"{name} Beispiel",
            "agency": "Landesamt für Beispiele",
            "proved_at": now,
            "created_at": now,
        }
        return self._add(Person(**{**filled, **given}))

    def organiser(self, **given: Any) -> Person:
        return self.person(**{"role": Role.ORGANISER, **given})

    def event(
        self,
        *,
        places_on_site: int | None = None,
        places_online: int | None = None,
        starts_local: datetime | None = None,
        speakers: tuple[Speaker, ...] = (),
        further: tuple[datetime, ...] = (),
        every: int = 0,
        times: int = 1,
        **given: Any,
    ) -> Event:
        """A published talk two weeks from now at 14:00 in its zone, on site with 30 places unless told otherwise.

        `starts_local` is naive wall time in the talk's zone; None for a number of places means not offered, or, if
        neither is given, 30 on site. `further` are the starts of further parts; or it is held `times` times `every` so
        many weeks.
        """
        number, now = next(self._number), clock.now()
        if places_on_site is None and places_online is None:
            places_on_site = 30
        series = given.pop("series", None) or self._only(Series, self.series)
        zone = given.get("zone", "Europe/Berlin")
        day = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=14)
        filled = {
            "series_id": series.id,
            "slug": f"vortrag-{number}",
            "uid": f"vortrag-{number}@next.behoerde.example",
            "title": f"Vortrag {number}",
            "state": EventState.PUBLISHED,
            "address": "Beispielstraße 1, 10115 Berlin" if places_on_site is not None else "",
            "join_link": "https://video.behoerde.example/raum" if places_online is not None else "",
            "on_site": places_on_site is not None,
            "online": places_online is not None,
            "capacity_on_site": places_on_site or 0,
            "capacity_online": places_online or 0,
            "published_at": now if given.get("state", EventState.PUBLISHED) is not EventState.DRAFT else None,
            "created_at": now,
            "changed_at": now,
        }
        event = Event(**{**filled, **given})
        if "starts_at" not in given:
            _set_time(event, starts_local or datetime.combine(day, time(14)), zone)
        event.part_count, event.repeat_weeks = 1, every
        if event.starts_local and (further or times > 1):
            _set_parts(event, tuple(Part(starts_local=start) for start in (None, *further)) + (Part(),) * (times - 1))
        self._add(event)
        for position, speaker in enumerate(speakers):
            self._add(EventSpeaker(event_id=event.id, speaker_id=speaker.id, position=position))
        return event

    def draft(self, **given: Any) -> Event:
        return self.event(**{"state": EventState.DRAFT, **given})

    def registration(
        self,
        event: Event,
        status: Status = Status.CONFIRMED,
        *,
        person: Person | None = None,
        mode: Mode | None = None,
        arrival: int | None = None,
        proved: bool | None = None,
        **given: Any,
    ) -> Registration:
        """A registration in the state `status`, with the times that go with it.

        Its address is proved unless the place is only held, or as `proved` says. Those confirmed have been invited:
        their `sequence` is the event's. No mail is owed.
        """
        person = person or self.person()
        now = given.pop("now", clock.now())
        arrival = arrival or event.last_arrival + 1
        proved = status is not Status.HELD if proved is None else proved
        number = next(self._number)
        filled = {
            "ref": f"ref{number:023}",
            "reply_token": f"reply{number:021}",
            "event_id": event.id,
            "person_id": person.id,
            "mode": mode or (Mode.ON_SITE if event.on_site else Mode.ONLINE),
            "status": status,
            "arrival": arrival,
            "name": person.name,
            "agency": person.agency,
            "language": person.language,
            "created_at": now,
            "changed_at": now,
            "proved_at": now if proved else None,
            "hold_ends_at": None if proved else now + timedelta(minutes=60),
            "held_at": now if status is Status.HELD else None,
            **_times_of(status, event, now),
        }
        with _open():
            event.last_arrival = max(event.last_arrival, arrival)
            registration = Registration(**{**filled, **given})
            db.session.add(registration)
        return registration

    def follow(self, person: Person | None = None, **given: Any) -> Follow:
        """Someone follows a theme (`theme_id`) or a talk's opening (`event_id`), proved unless told otherwise."""
        person, now = person or self.person(), clock.now()
        filled = {"person_id": person.id, "language": person.language, "asked_at": now, "proved_at": now}
        return self._add(Follow(**{**filled, **given}))

    def message(self, kind: Kind, about: Registration | Person, **given: Any) -> Message:
        """A mail owed to a registration's or a person's address."""
        now, number = clock.now(), next(self._number)
        registration = about if isinstance(about, Registration) else None
        person = about.person if isinstance(about, Registration) else about
        filled = {
            "kind": kind,
            "person_id": person.id,
            "registration_id": registration.id if registration else None,
            "event_id": registration.event_id if registration else None,
            "recipient": person.email,
            "language": registration.language if registration else person.language,
            "sequence": registration.sequence if registration else None,
            "created_at": now,
            "not_before": now,
            "best_before": now + timedelta(hours=48),
            "message_id": f"<{number}@next.behoerde.example>",
        }
        return self._add(Message(**{**filled, **given}))

    def _only(self, kind: type[Thing], make: Callable[[], Thing]) -> Thing:
        """The first of its kind, made if there is none."""
        return db.session.scalars(select(kind).limit(1)).first() or make()

    def _add(self, thing: Thing) -> Thing:
        with _open():
            db.session.add(thing)
        return thing


@contextlib.contextmanager
def _open() -> Iterator[None]:
    """A `write()` of its own, or the one around it."""
    if not g.get("writing"):
        with write():
            yield
    else:
        yield
        db.session.flush()


def _set_time(event: Event, starts_local: datetime, zone: str) -> None:
    starts = starts_local.replace(tzinfo=ZoneInfo(zone), fold=event.fold or 0).astimezone(UTC)
    event.starts_local, event.starts_at = starts_local, starts
    event.ends_at = starts + timedelta(minutes=event.duration_minutes or 90)


def _set_parts(event: Event, all_parts: tuple[Part, ...]) -> None:
    minutes = event.duration_minutes = event.duration_minutes or 90
    draft = Draft(title="", starts_local=event.starts_local, zone=event.zone or "Europe/Berlin", parts=all_parts)
    at = drafts.times(replace(draft, duration_minutes=minutes, repeat_weeks=event.repeat_weeks))
    parts.assign(event, at.slots)
    event.starts_at, event.ends_at = at.starts_at, at.ends_at


def _times_of(status: Status, event: Event, now: datetime) -> dict[str, Any]:
    """What else a row in this state has."""
    if status is Status.CONFIRMED:
        return {"confirmed_at": now, "sequence": event.sequence, "stamp": now}
    if status is Status.OFFERED:
        return {"offer_ends_at": now + timedelta(hours=4)}
    if status is Status.CANCELLED:
        return {"cancelled_at": now, "cancelled_by": CancelledBy.ATTENDEE}
    return {}


@pytest.fixture
def make(app: Flask) -> Make:
    """Builds what a test needs: make.event(), make.registration(talk, Status.WAITING), make.person(), …"""
    return Make()


@pytest.fixture
def owed(app: Flask) -> Callable[[], list[tuple[Kind, Registration | Person | None]]]:
    """What is owed and not sent, oldest first: [(Kind.PROMOTION, registration)]; a person where no talk is meant."""

    def look() -> list[tuple[Kind, Registration | Person | None]]:
        messages = select(Message).where(Message.state == MessageState.OWED).order_by(Message.id)
        return [(message.kind, message.registration or message.person) for message in db.session.scalars(messages)]

    return look
