"""Changing and calling off a published talk: what differs, who is told, and that nobody's calendar goes stale."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from whatsnext.db import db
from whatsnext.errors import (
    CalendarWouldGoStale,
    CapacityBelowTaken,
    DomainError,
    EventCancelled,
    EventOver,
    LastPart,
    ModeInUse,
    NotFound,
    NotPublished,
    NotReady,
    PartCancelled,
    PartsFixed,
    ReasonMissing,
    RecipientsChanged,
    RuleFixed,
    StartInPast,
)
from whatsnext.models import Event, EventPart, EventState, Mode
from whatsnext.services import differences, drafts, events, invitations, parts, slots, waiting_list
from whatsnext.services.differences import Change, Facts
from whatsnext.services.drafts import Draft
from whatsnext.services.invitations import Audience
from whatsnext.services.parts import Slot

ORGANISERS_OWN = (
    "theme",
    "host",
    "speakers",
    "language",
    "chatham_house",
    "protected",
    "step_free",
    "induction_loop",
    "quiet_room",
    "sign_language",
    "captions",
    "places_on_site",
    "places_online",
    "opens",
    "closes",
)
"""Fields that no calendar shows: changing them owes nobody a mail."""
Span = tuple[datetime | None, datetime | None]
FIELDS = {Mode.ON_SITE: ("on_site", "capacity_on_site"), Mode.ONLINE: ("online", "capacity_online")}


@dataclass(frozen=True)
class Preview:
    """What saving a draft over a published talk would do.

    `changes` in words of the language spoken now, what calendars show first. `audience` are those who would be told
    (nobody, if no calendar shows a difference). `moving_up` is how many in line would get a place, or, if `by_offer`,
    be asked whether they want it. `needs_message`: a calendar would go stale without one. `mails` is how many messages
    each of those with a place would get: of several parts one for each that changes.
    """

    changes: list[Change]
    audience: Audience
    moving_up: int
    by_offer: bool
    needs_message: bool
    mails: int = 1

    @property
    def told(self) -> int:
        """How many people would get the message."""
        return self.audience.told

    @property
    def asks(self) -> bool:
        """Whether anyone would hear of it, so that the organiser has to see that first."""
        return bool(self.told or self.moving_up)


def preview(event: Event, draft: Draft, now: datetime) -> Preview:
    """Reads. Raises the first of `problems`."""
    if wrong := problems(event, draft, now):
        raise wrong[0]
    before, old = differences.facts(event), Draft.of(event)
    with as_if(event, draft):
        after = differences.facts(event)
        differing = differences.differ(before, after)
        mails = len(parts.touched(event, differing, now))
    hears = bool(differing) and not _over(event, now)
    audience = invitations.audience(event) if hears else Audience()
    rows = differences.changes(before, after) + drafts.changes_of(old, draft, ORGANISERS_OWN)
    needed = bool(audience.told and differing - differences.WORDS_ONLY)
    return Preview(rows, audience, _moving_up(event, draft, now), _by_offer(event, draft, now), needed, mails)


def problems(event: Event, draft: Draft, now: datetime) -> list[DomainError]:
    """Everything that keeps a draft from being saved over a published talk. Reads."""
    if event.state is not EventState.PUBLISHED:
        return [EventCancelled() if event.state is EventState.CANCELLED else NotPublished()]
    found = drafts.problems(replace(draft, series_id=event.series_id))
    if not found:
        found += _part_problems(event, draft) or _time_problems(event, draft, now)
    found += _place_problems(event, draft)
    if not found and not _over(event, now):
        with as_if(event, draft):
            found += [_named(field, sentence) for field, sentence in events.lacking(event)]
    return found


@contextlib.contextmanager
def as_if(event: Event, draft: Draft) -> Iterator[Event]:
    """The talk as it would be with this draft, for reading only: nothing is written, afterwards it is as before."""
    kept = {name: getattr(event, name) for name in events.ASSIGNED}
    present = parts.of(event)
    kept_parts = [{name: getattr(part, name) for name in parts.ASSIGNED} for part in present]
    with db.session.no_autoflush:
        try:
            events.assign(event, draft)
            yield event
        finally:
            if parts.several(event) or present:
                event.parts = present
            for part, values in zip(present, kept_parts, strict=True):
                for name, value in values.items():
                    setattr(part, name, value)
            for name, value in kept.items():
                setattr(event, name, value)


@contextlib.contextmanager
def as_if_cancelled(event: Event, reason: str, now: datetime) -> Iterator[Event]:
    """The same for a talk that is called off."""
    kept = (event.state, event.cancelled_at, event.cancelled_reason)
    with db.session.no_autoflush:
        try:
            event.state, event.cancelled_at, event.cancelled_reason = EventState.CANCELLED, now, reason
            yield event
        finally:
            event.state, event.cancelled_at, event.cancelled_reason = kept


@contextlib.contextmanager
def as_if_part_cancelled(part: EventPart, reason: str, now: datetime) -> Iterator[EventPart]:
    """The same for one part that is called off."""
    kept = (part.cancelled_at, part.cancelled_reason)
    with db.session.no_autoflush:
        try:
            part.cancelled_at, part.cancelled_reason = now, reason
            yield part
        finally:
            part.cancelled_at, part.cancelled_reason = kept


def save_and_tell(
    event_id: int, draft: Draft, version: int, now: datetime, *, expected: int, text: str = ""
) -> tuple[Event, int]:
    """Change a published talk and owe everyone concerned one update; `text` is the organiser's word in it.

    `expected` is how many recipients the organiser was shown. Returns the talk and how many are told. Raises
    NotFound, StaleVersion, RecipientsChanged and what `problems` finds.
    """
    event = events.locked(event_id, version)
    seen = preview(event, draft, now)
    if seen.told != expected:
        raise RecipientsChanged
    before = _save(event, draft, now)
    told = invitations.tell_change(event, before, now, text) if seen.told else 0
    waiting_list.fill(event, now)
    return event, told


def save_silently(event_id: int, draft: Draft, version: int, now: datetime) -> Event:
    """Change a published talk and tell nobody; those in line still get the places that are added.

    Raises CalendarWouldGoStale where a calendar would go on showing what is no longer so, NotFound, StaleVersion and
    what `problems` finds.
    """
    event = events.locked(event_id, version)
    if preview(event, draft, now).needs_message:
        raise CalendarWouldGoStale
    _save(event, draft, now)
    waiting_list.fill(event, now)
    return event


def cancel(event_id: int, reason: str, version: int, now: datetime, *, expected: int) -> tuple[Event, int]:
    """Call a published talk off and owe everyone concerned the news; nobody moves up.

    Returns the talk and how many are told. Raises NotFound, StaleVersion, NotPublished, EventCancelled, EventOver,
    ReasonMissing, RecipientsChanged.
    """
    event = events.locked(event_id, version)
    check_cancellable(event, now)
    if not reason:
        raise ReasonMissing
    if invitations.audience(event).told != expected:
        raise RecipientsChanged
    event.state = EventState.CANCELLED
    event.cancelled_at, event.cancelled_reason = now, reason
    events.saved(event, now)
    return event, invitations.tell_cancellation(event, now)


def cancel_part(
    event_id: int, position: int, reason: str, version: int, now: datetime, *, expected: int
) -> tuple[Event, int]:
    """Call one of several parts off and owe everyone concerned the news; the others stay.

    Returns the talk and how many are told. Raises as `cancel`, and what `cancellable_part` raises.
    """
    event = events.locked(event_id, version)
    part = cancellable_part(event, position, now)
    if not reason:
        raise ReasonMissing
    if invitations.audience(event).told != expected:
        raise RecipientsChanged
    part.cancelled_at, part.cancelled_reason = now, reason
    parts.span_over(event)
    events.saved(event, now)
    told = invitations.tell_part_cancellation(event, part, now)
    waiting_list.fill(event, now)
    return event, told


def cancellable_part(event: Event, position: int, now: datetime) -> EventPart:
    """Raises NotFound without such a part, PartCancelled, LastPart, EventOver, and as `check_cancellable`."""
    check_cancellable(event, now)
    part = next((part for part in parts.of(event) if part.position == position), None)
    if part is None:
        raise NotFound
    if part.cancelled_at is not None:
        raise PartCancelled
    if now >= part.ends_at:
        raise EventOver
    if not any(other is not part and now < other.ends_at for other in parts.live(event)):
        raise LastPart
    return part


def check_cancellable(event: Event, now: datetime) -> None:
    """Raises NotPublished for a draft, EventCancelled, EventOver."""
    if event.state is EventState.DRAFT:
        raise NotPublished
    if event.state is EventState.CANCELLED:
        raise EventCancelled
    if _over(event, now):
        raise EventOver


def close_sign_up(event_id: int, version: int, now: datetime) -> Event:
    """Let nobody sign up from now on. Raises NotFound, StaleVersion, NotPublished, EventCancelled, EventOver."""
    event = _coming(event_id, version, now)
    event.registration_closes = now.replace(second=0, microsecond=0)
    event.closes_local = None
    if event.registration_opens and event.registration_opens >= event.registration_closes:
        event.registration_opens = event.opens_local = None
    events.saved(event, now)
    return event


def reopen_sign_up(event_id: int, version: int, now: datetime) -> Event:
    """Let people sign up until the talk begins. Raises as `close_sign_up`."""
    event = _coming(event_id, version, now)
    event.registration_closes = event.closes_local = None
    events.saved(event, now)
    return event


def _coming(event_id: int, version: int, now: datetime) -> Event:
    event = events.locked(event_id, version)
    check_cancellable(event, now)
    if event.starts_at is not None and now >= event.starts_at:
        raise EventOver
    return event


def _save(event: Event, draft: Draft, now: datetime) -> Facts:
    """Put the draft into the talk. Returns what calendars showed before."""
    before = differences.facts(event)
    was = (event.starts_at, None if parts.several(event) else event.ends_at, event.zone)
    events.assign(event, draft)
    if event.starts_at != was[0]:
        _remember(event, *was)
    events.saved(event, now)
    db.session.flush()
    events.set_speakers(event, draft.speaker_ids)
    return before


def _remember(event: Event, starts_at: datetime | None, ends_at: datetime | None, zone: str) -> None:
    """Keep the time that was promised until now; a talk that is back at its earlier time is not moved."""
    back = event.starts_at == event.previous_starts_at
    event.previous_starts_at = None if back else starts_at
    event.previous_ends_at = None if back else ends_at
    event.previous_zone = "" if back else zone


def _over(event: Event, now: datetime) -> bool:
    return event.ends_at is not None and now >= event.ends_at


def _part_problems(event: Event, draft: Draft) -> list[DomainError]:
    """A published talk keeps its rule, and its parts are cancelled, not removed."""
    if draft.repeat_weeks != event.repeat_weeks:
        return [RuleFixed()]
    if parts.several(event) and len(draft.parts) < event.part_count:
        return [PartsFixed()]
    return []


def _time_problems(event: Event, draft: Draft, now: datetime) -> list[DomainError]:
    """A talk that is over keeps its time, and no other moves into the past; the same for each part of several."""
    at = drafts.times(draft)
    if at.slots:
        return _slot_problems(event, at.slots, now)
    return _moment_problems((event.starts_at, event.ends_at), (at.starts_at, at.ends_at), now, "date")


def _slot_problems(event: Event, laid: tuple[Slot, ...], now: datetime) -> list[DomainError]:
    old: dict[int, Span] = {1: (event.starts_at, event.ends_at)}
    old |= {part.position: (part.starts_at, part.ends_at) for part in parts.of(event)}
    found: list[DomainError] = []
    for slot in laid:
        if not slot.cancelled:
            by_hand = parts.regular(event) or slot.position > 1
            field = slots.part_field(slot.position, "date") if by_hand else "date"
            new = (slot.starts_at, slot.ends_at)
            found += _moment_problems(old.get(slot.position, (None, None)), new, now, field)
    return found


def _moment_problems(old: Span, new: Span, now: datetime, field: str) -> list[DomainError]:
    if new == old:
        return []
    if old[1] is not None and now >= old[1]:
        return [_at(EventOver(), field)]
    if new[0] is not None and new[0] <= now and new[0] != old[0]:
        return [_at(StartInPast(), field)]
    return []


def _place_problems(event: Event, draft: Draft) -> list[DomainError]:
    """Lowering a number of places, or ending a way of taking part, throws nobody out."""
    found: list[DomainError] = []
    for mode, places in waiting_list.places([event])[event.id].items():
        offered, capacity = FIELDS[mode]
        people = places.taken + places.waiting
        if not getattr(draft, offered):
            if people:
                found.append(_at(ModeInUse(people=people), offered))
        elif getattr(draft, capacity) < min(places.taken, places.capacity):
            found.append(_at(CapacityBelowTaken(taken=places.taken), capacity))
    return found


def _moving_up(event: Event, draft: Draft, now: datetime) -> int:
    """How many in line would get one of the places this draft adds, or be offered it."""
    starts_at, total = drafts.times(draft).starts_at, 0
    for mode, places in waiting_list.places([event])[event.id].items():
        capacity: int = getattr(draft, FIELDS[mode][1])
        if capacity > places.capacity:
            in_line = waiting_list.next_in_line(event, mode, starts_at, now)
            total += min(in_line, max(0, capacity - places.taken))
    return total


def _by_offer(event: Event, draft: Draft, now: datetime) -> bool:
    """Whether `waiting_list.fill` would ask first, so shortly before the talk."""
    starts_at = drafts.times(draft).starts_at
    return starts_at is not None and waiting_list.asks_first(event.series, starts_at, now)


def _named(field: str, sentence: str) -> DomainError:
    """A published talk may not lose what it needed to be published."""
    error = NotReady([(field, sentence)])
    error.text, error.field = sentence, field
    return error


def _at(error: DomainError, field: str) -> DomainError:
    error.field = field
    return error
