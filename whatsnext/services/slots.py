"""When the parts of a talk are: from what was written, a first time and a rule, to instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from whatsnext import i18n
from whatsnext.calendars import timezone
from whatsnext.errors import (
    DateOutOfRange,
    DomainError,
    LaterPartWithoutTime,
    PartWithoutTime,
    TimeSkipped,
    TimeTwice,
    TooManyParts,
)
from whatsnext.models import Event, EventPart
from whatsnext.services import parts
from whatsnext.services.parts import Slot

YEARS = (2000, 2100)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of several; without a time it is where the rule has it, or, the first, where the talk begins.

    `starts_local` is naive wall time in the talk's zone; of a time that comes twice the earlier is meant. Without
    `duration_minutes` it is as long as the first.
    """

    starts_local: datetime | None = None
    duration_minutes: int | None = None
    cancelled: bool = False


def part_field(position: int, what: str) -> str:
    """The name in the editor of a part's "date", "time" or "duration"."""
    return f"part_{position}_{what}"


def lay_out(written: tuple[Part, ...], start: datetime | None, weeks: int, minutes: int) -> tuple[Slot, ...]:
    """One slot for each part, none for a talk of one; `start` is aware. Raises as `drafts.times`."""
    if len(written) < 2:
        return ()
    if len(written) > parts.MOST:
        raise TooManyParts(most=parts.MOST)
    if start is None:
        raise PartWithoutTime
    first = start.replace(tzinfo=None, fold=0)
    return tuple(
        _slot(part, position, start, first + timedelta(weeks=weeks * (position - 1)) if weeks else None, minutes)
        for position, part in enumerate(written, start=1)
    )


def _slot(part: Part, position: int, start: datetime, original: datetime | None, minutes: int) -> Slot:
    """`start` is that of the first part in the talk's zone; `original` the naive time by a rule."""
    zone, first = ZoneInfo(str(start.tzinfo)), start.replace(tzinfo=None, fold=0)
    if original:
        resolve(original, zone, 0, ("date", "time"))
    local = part.starts_local or original or (first if position == 1 else None)
    own = (part_field(position, "date"), part_field(position, "time"))
    fold = start.fold if position == 1 and local == first else 0
    resolved = resolve(local, zone, fold, own if part.starts_local else ("date", "time"))
    if local is None or resolved is None:
        raise beside(LaterPartWithoutTime(number=position) if position > 1 else PartWithoutTime(), own[0])
    long = part.duration_minutes or minutes
    starts_at = resolved.astimezone(UTC)
    ends_at = starts_at + timedelta(minutes=long)
    return Slot(position, local, resolved.fold, long, starts_at, ends_at, original, part.cancelled)


def saved(event: Event) -> tuple[Part, ...]:
    """The saved parts; without a time where that is what the rule, or the talk itself, says."""
    return tuple(
        Part(
            starts_local=None if _follows(event, part) else part.starts_local,
            duration_minutes=None if part.duration_minutes == event.duration_minutes else part.duration_minutes,
            cancelled=part.cancelled_at is not None,
        )
        for part in parts.of(event)
    )


def _follows(event: Event, part: EventPart) -> bool:
    return part.starts_local == (part.original_local or (event.starts_local if part.position == 1 else None))


def resolve(local: datetime | None, zone: ZoneInfo, fold: int | None, fields: tuple[str, str]) -> datetime | None:
    """The aware time; `fields` are those of the date and of the time in the editor."""
    if local is None:
        return None
    if not YEARS[0] <= local.year <= YEARS[1]:
        raise beside(DateOutOfRange(first=YEARS[0], last=YEARS[1]), fields[0])
    try:
        return timezone.resolve(local, zone, fold)
    except timezone.SkippedTime:
        raise beside(TimeSkipped(time=i18n.clock_time(local)), fields[1]) from None
    except timezone.RepeatedTime:
        raise TimeTwice(time=i18n.clock_time(local)) from None


def beside(error: DomainError, field: str) -> DomainError:
    """The same "no" beside another field."""
    error.field = field
    return error
