"""New time-zone data: the local time of a talk stays as promised, its instant is found anew (safety.md R8)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from whatsnext.db import db
from whatsnext.models import Event, EventPart, EventState
from whatsnext.services import invitations, parts, waiting_list

log = logging.getLogger(__name__)


def stale(now: datetime) -> list[int]:
    """Numbers of the talks that are not over and whose stored instants are not those of their local times. Reads."""
    whole = sa.select(Event.id, Event.starts_local, Event.zone, Event.fold, Event.starts_at).where(
        Event.ends_at > now, Event.part_count == 1, Event.starts_local.is_not(None)
    )
    in_parts = (
        sa.select(EventPart.event_id, EventPart.starts_local, Event.zone, EventPart.fold, EventPart.starts_at)
        .join(Event, Event.id == EventPart.event_id)
        .where(Event.ends_at > now, Event.part_count > 1)
    )
    rows = [*db.session.execute(whole), *db.session.execute(in_parts)]
    return sorted({number for number, local, zone, fold, kept in rows if instant(local, zone, fold) != kept})


def instant(starts_local: datetime, zone: str, fold: int) -> datetime:
    """The instant (UTC) of a local time; of one that clocks now jump over, the one they would have shown (PEP 495)."""
    return starts_local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def recompute(now: datetime) -> int:
    """Find the instants of all coming talks anew; whoever's calendar shows one of them gets one update.

    Call inside `write()`. Logs one line if anything has changed. Returns how many talks have another instant.
    """
    moved, told = 0, 0
    for event_id in stale(now):
        event = waiting_list.lock(event_id)
        before = invitations.facts(event)
        if not _set_right(event):
            continue
        event.changed_at = now
        waiting_list.touch(event)
        moved += 1
        if event.state is EventState.PUBLISHED:
            told += invitations.tell_clocks(event, before, now)
    if moved:
        log.info("new time-zone data: %d talks have another instant, %d people get an update", moved, told)
    return moved


def _set_right(event: Event) -> bool:
    """Give the talk and its parts the instants of their local times; whether one of them was another."""
    if event.starts_local is None:
        return False
    every: list[Event | EventPart] = [event] if not parts.several(event) else [*event.parts]
    kept = [each.starts_at for each in every]
    for each in every:
        if each.starts_local is not None:
            each.starts_at = instant(each.starts_local, event.zone, each.fold)
            each.ends_at = each.starts_at + timedelta(minutes=each.duration_minutes)
    parts.span_over(event)
    return [each.starts_at for each in every] != kept
