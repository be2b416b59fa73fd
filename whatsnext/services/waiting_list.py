"""Places and the line: the only file that counts places (design.md §3, safety.md R1, R2).

HELD, OFFERED and CONFIRMED registrations take a place. The line is ordered by `arrival`, a number given once under
the event's lock. Whoever has proved the address comes first; someone unproven keeps the number and is passed over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.attributes import set_committed_value

from whatsnext.db import Handed, db, plain
from whatsnext.errors import NotFound
from whatsnext.models import Event, EventState, Kind, Mode, Registration, Series, Status
from whatsnext.services import invitations, outbox

TAKING = (Status.HELD, Status.OFFERED, Status.CONFIRMED)
ONE_HOLD_IN = timedelta(hours=24)
SHORT_HOLD = timedelta(minutes=15)

# Statements of every sign-up are made once: making one anew takes longer than SQLite does to answer it.
_OF_MODE = (Registration.event_id == sa.bindparam("event"), Registration.mode == sa.bindparam("mode"))
_TAKES_A_PLACE = sa.or_(*(Registration.status == status for status in TAKING))
_TAKEN = sa.select(sa.func.count()).select_from(Registration).where(*_OF_MODE, _TAKES_A_PLACE)
_IN_LINE = sa.select(Registration.id).where(
    *_OF_MODE,
    Registration.status == Status.WAITING,
    Registration.proved_at.is_not(None),
    Registration.offer_lapsed_at.is_(None),
    Registration.arrival < sa.bindparam("before"),
)
_STANDING = Handed(sa.select(_TAKEN.scalar_subquery(), _IN_LINE.exists()))
_LOCKED = sa.select(Event).with_for_update().execution_options(populate_existing=True)
_LOCKED_BY_ID = _LOCKED.where(Event.id == sa.bindparam("event"))
_LOCKED_BY_SLUG = _LOCKED.where(Event.slug == sa.bindparam("slug"))
_TOUCHED = Handed(
    sa.update(Series).where(Series.id == sa.bindparam("series")).values(page_version=Series.page_version + 1)
)
_NUMBERED = Handed(
    sa.update(Event)
    .where(Event.id == sa.bindparam("event"))
    .values(last_arrival=sa.bindparam("number"), page_version=Event.page_version + 1)
)
_LAST = 2**31 - 1
"""A number in line that nobody reaches."""


@dataclass(frozen=True)
class Places:
    """How the places of one kind stand: `capacity` of them, `taken`, and how many people wait."""

    capacity: int
    taken: int
    waiting: int

    @property
    def free(self) -> int:
        """Places nobody has; 0 also when more are taken than there are."""
        return max(0, self.capacity - self.taken)


def lock(event_id: int) -> Event:
    """The event, locked until the transaction ends; whoever counts places holds this lock. Raises NotFound."""
    return _lock(_LOCKED_BY_ID, {"event": event_id})


def lock_named(slug: str) -> Event:
    """The same by the address of its page."""
    return _lock(_LOCKED_BY_SLUG, {"slug": slug})


def _lock(which: sa.Select[Event], given: dict[str, Any]) -> Event:
    event = db.session.scalar(which, given)
    if event is None:
        raise NotFound
    return event


def touch(event: Event) -> None:
    """Raise the versions of the pages that show this event, so that nobody is answered with an old one."""
    event.page_version += 1
    plain(_TOUCHED, {"series": event.series_id})


def offered_modes(event: Event) -> list[Mode]:
    """The ways the event is held."""
    return [mode for mode, offered in ((Mode.ON_SITE, event.on_site), (Mode.ONLINE, event.online)) if offered]


def capacity(event: Event, mode: Mode) -> int:
    """How many places of this kind there are; 0 where the event is not held that way."""
    if mode is Mode.ON_SITE:
        return event.capacity_on_site if event.on_site else 0
    return event.capacity_online if event.online else 0


def places(events: Collection[Event]) -> dict[int, dict[Mode, Places]]:
    """How the places of these events stand, by event id and the modes each is held in. One query."""
    counts = _counts([event.id for event in events])
    return {
        event.id: {
            mode: Places(
                capacity(event, mode),
                sum(counts.get((event.id, mode, status), 0) for status in TAKING),
                counts.get((event.id, mode, Status.WAITING), 0),
            )
            for mode in offered_modes(event)
        }
        for event in events
    }


def free_places(event: Event, mode: Mode) -> int:
    """Places nobody has. Only under the event's lock does the number hold."""
    taken = db.session.scalar(_TAKEN, {"event": event.id, "mode": mode})
    return max(0, capacity(event, mode) - (taken or 0))


def has_place(event: Event, mode: Mode, before: int = _LAST) -> bool:
    """Whether a place is free and nobody with a proved address is in line for it (with a number below `before`)."""
    db.session.flush()
    taken, waits = plain(_STANDING, {"event": event.id, "mode": mode, "before": before}).one()
    return taken < capacity(event, mode) and not waits


def place_in_line(registration: Registration) -> int:
    """1 for the next to move up; 0 for someone who is not in line."""
    if registration.status is not Status.WAITING:
        return 0
    before = sa.select(sa.func.count()).where(
        Registration.event_id == registration.event_id,
        Registration.mode == registration.mode,
        Registration.status == Status.WAITING,
        Registration.arrival < registration.arrival,
    )
    return 1 + (db.session.scalar(before) or 0)


def next_arrival(event: Event) -> int:
    """A new number in order of arrival. Call under the event's lock; never given twice."""
    event.last_arrival += 1
    return event.last_arrival


def take_number(event: Event) -> int:
    """`next_arrival` and `touch` at once, as every sign-up needs both: by statements on columns."""
    number = event.last_arrival + 1
    plain(_NUMBERED, {"event": event.id, "number": number})
    plain(_TOUCHED, {"series": event.series_id})
    set_committed_value(event, "last_arrival", number)
    set_committed_value(event, "page_version", event.page_version + 1)
    return number


def fill(event: Event, now: datetime) -> list[Registration]:
    """Give free places to those longest in line, in every mode, and owe each what tells them.

    Call with the event locked, after anything that frees or adds places. Until `promotion_stops_hours` before the
    talk the next one is promoted; after that the next one is asked (an offer); nothing moves once the talk has
    begun. Returns those who moved, in order.
    """
    if event.state is not EventState.PUBLISHED or event.starts_at is None or now >= event.starts_at:
        return []
    db.session.flush()
    asking = asks_first(event.series, event.starts_at, now)
    moved: list[Registration] = []
    for mode in offered_modes(event):
        free = free_places(event, mode)
        if not free:
            continue
        proved = _next(event, mode, free, asking=asking)
        for registration in proved:
            (_ask if asking else _promote)(registration, now)
        moved += proved
        moved += _hold_for_unproved(event, mode, free - len(proved), now)
    if moved:
        touch(event)
    return moved


def asks_first(series: Series, starts_at: datetime, now: datetime) -> bool:
    """Whether it is so shortly before a talk at `starts_at` that the next in line is asked instead of promoted."""
    return now >= starts_at - timedelta(hours=series.promotion_stops_hours)


def next_in_line(event: Event, mode: Mode, starts_at: datetime | None, now: datetime) -> int:
    """How many people `fill` could give a place, or ask, if the talk began at `starts_at`. Reads.

    Someone who has yet to prove the address is not one of them.
    """
    if event.state is not EventState.PUBLISHED or starts_at is None or now >= starts_at:
        return 0
    line = _proved_line(event, mode, asking=asks_first(event.series, starts_at, now)).subquery()
    return db.session.scalar(sa.select(sa.func.count()).select_from(line)) or 0


def shorten_holds(event: Event, mode: Mode) -> None:
    """While someone proved waits, unproven holds last 15 minutes from their start (safety.md R3)."""
    held = db.session.scalars(
        sa.select(Registration).where(
            Registration.event_id == event.id, Registration.mode == mode, Registration.status == Status.HELD
        )
    )
    for registration in held:
        if registration.held_at and registration.hold_ends_at:
            registration.hold_ends_at = min(registration.hold_ends_at, registration.held_at + SHORT_HOLD)


def may_hold(registration: Registration, now: datetime) -> bool:
    """Whether this address may hold a place unproven: once per talk in 24 hours (safety.md R3)."""
    return registration.held_at is None or registration.held_at <= now - ONE_HOLD_IN


def _line(event: Event, mode: Mode) -> sa.Select[Registration]:
    return sa.select(Registration).where(
        Registration.event_id == event.id, Registration.mode == mode, Registration.status == Status.WAITING
    )


def _proved_line(event: Event, mode: Mode, *, asking: bool) -> sa.Select[Registration]:
    proved = _line(event, mode).where(Registration.proved_at.is_not(None))
    if asking:  # whoever let an offer lapse is not asked again
        proved = proved.where(Registration.offer_lapsed_at.is_(None))
    return proved


def _next(event: Event, mode: Mode, number: int, *, asking: bool) -> list[Registration]:
    line = _proved_line(event, mode, asking=asking)
    return list(db.session.scalars(line.order_by(Registration.arrival).limit(number)))


def _promote(registration: Registration, now: datetime) -> None:
    registration.status = Status.CONFIRMED
    registration.confirmed_at = registration.changed_at = now
    outbox.supersede(registration, (Kind.WAITING, Kind.OFFER), now)
    invitations.invite(registration, Kind.PROMOTION, now)


def _ask(registration: Registration, now: datetime) -> None:
    event = registration.event
    ends = now + timedelta(hours=event.series.offer_hours)
    registration.status = Status.OFFERED
    registration.offer_ends_at = min(ends, event.starts_at) if event.starts_at else ends
    registration.changed_at = now
    outbox.supersede(registration, (Kind.WAITING,), now)
    outbox.owe(Kind.OFFER, now, registration=registration, best_before=registration.offer_ends_at)


def _hold_for_unproved(event: Event, mode: Mode, number: int, now: datetime) -> list[Registration]:
    """Places nobody proved waits for are held for those who have yet to prove their address, in order."""
    if number <= 0:
        return []
    unproved = (
        _line(event, mode)
        .where(
            Registration.proved_at.is_(None),
            Registration.hold_ends_at > now,
            sa.or_(Registration.held_at.is_(None), Registration.held_at <= now - ONE_HOLD_IN),
        )
        .order_by(Registration.arrival)
        .limit(number)
    )
    held = list(db.session.scalars(unproved))
    for registration in held:
        registration.status = Status.HELD
        registration.held_at = registration.changed_at = now
    return held


def _counts(event_ids: list[int]) -> dict[tuple[int, Mode, Status], int]:
    """Over the index of the line: the status, said as what it is not, is no way to search through all talks."""
    rows = db.session.execute(
        sa.select(Registration.event_id, Registration.mode, Registration.status, sa.func.count())
        .where(Registration.event_id.in_(event_ids), Registration.status.not_in((Status.CANCELLED, Status.EXPIRED)))
        .group_by(Registration.event_id, Registration.mode, Registration.status)
    )
    return {(event_id, mode, status): number for event_id, mode, status, number in rows}
