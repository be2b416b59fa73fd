"""The parts of a talk that has several: two afternoons, or a course every week.

A talk of one part is its own only part. Irregular parts are entries of their own in a calendar; a regular course is one
entry with a rule, and a part that leaves the rule one more, named by its time under the rule (invitations.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm.attributes import set_committed_value

from whatsnext import i18n, tokens
from whatsnext.calendars.invitation import Repeat
from whatsnext.db import db
from whatsnext.i18n import gettext as _
from whatsnext.models import Event, EventPart

MOST = 30
RULES = (0, 1, 2, 3, 4)
"""Weeks from one part to the next; 0 is no rule."""
LISTED = 4
"""Cards name each part of at most so many."""

ASSIGNED = (
    "position",
    "starts_local",
    "fold",
    "duration_minutes",
    "starts_at",
    "ends_at",
    "original_local",
    "uid",
)
"""The columns of a part that `assign` sets."""

Target = EventPart | None
"""What one mail's calendar is about: a part, or the talk as a whole, a rule included."""


@dataclass(frozen=True)
class Slot:
    """When one part is: wall time in the talk's zone and instants in UTC; `original_local` only by a rule."""

    position: int
    starts_local: datetime
    fold: int
    duration_minutes: int
    starts_at: datetime
    ends_at: datetime
    original_local: datetime | None
    cancelled: bool


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a calendar needs of a target besides its words; `start` and `end` in the talk's zone."""

    uid: str
    start: datetime
    end: datetime
    repeat: Repeat | None = None
    recurrence: datetime | None = None


def several(event: Event) -> bool:
    """Whether the talk has more parts than one."""
    return event.part_count > 1


def regular(event: Event) -> bool:
    """Whether its parts follow a rule."""
    return several(event) and event.repeat_weeks > 0


def of(event: Event) -> list[EventPart]:
    """Its parts in order; none of a talk that has only one."""
    return list(event.parts) if several(event) else []


def live(event: Event) -> list[EventPart]:
    """Those that take place."""
    return [part for part in of(event) if part.cancelled_at is None]


def load(events: Iterable[Event]) -> None:
    """Read the parts of all these talks at once; no query where none has several."""
    wanted = {event.id: event for event in events if several(event)}
    if not wanted:
        return
    rows = sa.select(EventPart).where(EventPart.event_id.in_(wanted)).order_by(EventPart.position)
    found: dict[int, list[EventPart]] = {number: [] for number in wanted}
    for part in db.session.scalars(rows):
        found[part.event_id].append(part)
    for number, event in wanted.items():
        set_committed_value(event, "parts", found[number])


def facts(event: Event) -> dict[str, str]:
    """ "part 1", "part 2", …: start, end and whether it is off; and the "rule". Empty for a talk of one part."""
    found = {
        f"part {part.position}": " ".join(
            [part.starts_at.isoformat(), part.ends_at.isoformat(), *(["off"] if part.cancelled_at else [])]
        )
        for part in of(event)
    }
    if regular(event):
        found["rule"] = f"{event.starts_local} {event.duration_minutes} {event.repeat_weeks} {event.part_count}"
    elif found:
        found["rule"] = f"{event.part_count}"
    return found


def assign(event: Event, slots: Sequence[Slot]) -> None:
    """Give the talk these parts; those that stay keep their row and, of their kind, their UID."""
    if not slots and not several(event):
        return
    present = {part.position: part for part in event.parts}
    kept = []
    for slot in slots:
        part = present.get(slot.position) or EventPart(
            position=slot.position, uid="", sequence=0, cancelled_at=None, cancelled_reason=""
        )
        part.starts_local, part.fold, part.duration_minutes = slot.starts_local, slot.fold, slot.duration_minutes
        part.starts_at, part.ends_at, part.original_local = slot.starts_at, slot.ends_at, slot.original_local
        part.uid = _uid(event, part)
        kept.append(part)
    event.parts = kept
    event.part_count = len(kept) or 1


def _uid(event: Event, part: EventPart) -> str:
    if part.position == 1 or part.original_local is not None:
        return event.uid
    if part.uid and part.uid != event.uid:
        return part.uid
    return f"{tokens.random_base32()}@{str(current_app.config['SETTINGS'].sender).rpartition('@')[2]}"


def span_over(event: Event) -> None:
    """The talk begins with its first part that takes place and ends with its last."""
    if there := live(event):
        event.starts_at, event.ends_at = there[0].starts_at, there[-1].ends_at


# --- what calendars hold ---------------------------------------------------------------------------------


def left_rule(event: Event, part: EventPart) -> bool:
    """Whether a calendar needs an entry of its own for this part of a course."""
    by_rule = part.starts_local == part.original_local and part.duration_minutes == event.duration_minutes
    return part.sequence > 0 or not by_rule


def entries(event: Event, now: datetime | None = None) -> list[Target]:
    """All that a calendar holds of this talk, or holds from now on: what an invitation brings, in this order."""
    coming: list[Target] = [part for part in live(event) if now is None or now < part.ends_at]
    if not regular(event):
        return coming or [None]
    return [None, *(part for part in coming if part is not None and left_rule(event, part))]


def uids(event: Event, now: datetime) -> list[Target]:
    """One target for each UID of it: what takes the talk out of a calendar again."""
    return [None] if regular(event) else entries(event, now)


def touched(event: Event, keys: Collection[str], now: datetime) -> list[Target]:
    """The targets that must be told when these facts of the talk have changed (`differences.differ`)."""
    every = entries(event, now)
    if not several(event):
        return every
    alone = {int(key.removeprefix("part ")) for key in keys if key.startswith("part ")}
    whole = {key for key in keys if not key.startswith("part ")} - {"starts", "ends"}
    if whole:
        return every
    coming = (part for part in live(event) if now < part.ends_at)
    return [part for part in coming if part.position in alone]


def shape(event: Event, target: Target) -> Shape | None:
    """Where in time the target stands; None for a talk without a time."""
    zone = ZoneInfo(event.zone)
    if target is None and regular(event):
        return _course(event, zone)
    if target is None and several(event):
        target = event.parts[0]
    if target is not None:
        start, end = target.starts_at.astimezone(zone), target.ends_at.astimezone(zone)
        original = target.original_local
        recurrence = original.replace(tzinfo=zone) if original and regular(event) else None
        return Shape(uid=target.uid, start=start, end=end, recurrence=recurrence)
    if event.starts_at is None or event.ends_at is None:
        return None
    return Shape(uid=event.uid, start=event.starts_at.astimezone(zone), end=event.ends_at.astimezone(zone))


def _course(event: Event, zone: ZoneInfo) -> Shape:
    originals = [(part, part.original_local.replace(tzinfo=zone)) for part in event.parts if part.original_local]
    start = originals[0][1]
    end = (start.astimezone(UTC) + timedelta(minutes=event.duration_minutes)).astimezone(zone)
    left_out = tuple(original for part, original in originals if part.cancelled_at is not None)
    repeat = Repeat(weeks=event.repeat_weeks, count=event.part_count, left_out=left_out)
    return Shape(uid=event.uid, start=start, end=end, repeat=repeat)


def answered(event: Event, uid: str, at: datetime | None, written: str) -> tuple[bool, Target]:
    """Whether the talk has this UID, and which part is meant by UID or RECURRENCE-ID.

    `at` is the instant of RECURRENCE-ID, None in a zone that only the sender knows: then its day, as `written`, tells.
    """
    if not several(event):
        return uid == event.uid and not written, None
    if not regular(event):
        return next(((True, part) for part in event.parts if part.uid == uid and not written), (False, None))
    if uid != event.uid or not written:
        return uid == event.uid, None
    zone = ZoneInfo(event.zone)
    for part in event.parts:
        original = part.original_local
        if original and (original.replace(tzinfo=zone) == at if at else f"{original:%Y%m%d}" == written[:8]):
            return True, part
    return False, None


# --- words -----------------------------------------------------------------------------------------------


def name(event: Event, part: EventPart) -> str:
    """ "Teil 1 von 2"."""
    return _("part %(number)s of %(all)s", number=part.position, all=event.part_count)


def title(event: Event, part: Target) -> str:
    """ "Titel (Teil 1 von 2)"; the title alone for the talk as a whole."""
    return f"{event.title} ({name(event, part)})" if part else event.title


def when(event: Event, part: EventPart) -> str:
    """ "Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)"."""
    return i18n.span(part.starts_at, part.ends_at, event.zone)


def whole(event: Event) -> str:
    """When the talk is; of several parts the first that takes place, and how many there are. "" without a time."""
    if there := live(event):
        return f"{when(event, there[0])} ({rhythm(event)})"
    if event.starts_at is None or event.ends_at is None:
        return ""
    return i18n.span(event.starts_at, event.ends_at, event.zone)


def fact_in_words(fact: str, zone: str) -> str:
    """The same of one of `facts`."""
    start, end, *off = fact.split(" ")
    words = i18n.span(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)
    return _("%(when)s, cancelled", when=words) if off else words


def lines(event: Event) -> list[str]:
    """Every part with its number and time, and which do not take place; none of a talk that has only one."""
    return [
        _("Part %(number)s: %(when)s, cancelled", number=part.position, when=when(event, part))
        if part.cancelled_at
        else line(event, part)
        for part in of(event)
    ]


def line(event: Event, part: EventPart) -> str:
    """The same of one part, without whether it takes place."""
    return _("Part %(number)s: %(when)s", number=part.position, when=when(event, part))


def rhythm(event: Event) -> str:
    """ "3 Teile", "6 Teile, jede Woche", "6 Teile, alle 2 Wochen, 1 abgesagt"; "" for a talk of one part."""
    if not several(event):
        return ""
    words = rhythm_in_words(event.part_count, event.repeat_weeks)
    off = event.part_count - len(live(event))
    return _("%(parts)s, %(number)s cancelled", parts=words, number=off) if off else words


def rhythm_in_words(count: int, weeks: int) -> str:
    """The same of `count` parts, one every `weeks` weeks; 0 without a rule."""
    if not weeks:
        return _("%(number)s parts", number=count)
    if weeks == 1:
        return _("%(number)s parts, every week", number=count)
    return _("%(number)s parts, every %(weeks)s weeks", number=count, weeks=weeks)
