"""New time-zone data: the local time of a talk stays as promised, its instant is found anew (safety.md R8)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from whatsnext.db import db
from whatsnext.models import Event, EventPart, EventState
from whatsnext.services import differences, invitations, parts, waiting_list

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


def stale_sign_up(now: datetime) -> dict[int, tuple[datetime | None, datetime | None]]:
    """Talks, drafts included, whose sign-up opens or closes at another instant by the new rules, with both. Reads."""
    kinds = ("opens", "closes")
    chosen = sa.select(
        Event.id,
        Event.zone,
        *(getattr(Event, f"registration_{kind}").label(kind) for kind in kinds),
        *(getattr(Event, f"{kind}_local") for kind in kinds),
    ).where(
        sa.or_(Event.ends_at > now, Event.ends_at.is_(None)),
        sa.or_(*(getattr(Event, f"{kind}_local").is_not(None) for kind in kinds)),
    )
    found = {}
    for row in db.session.execute(chosen):
        # As resolved when typed: of a time that comes twice sign-up opens at the earlier and closes at the later.
        opens = instant(row.opens_local, row.zone, 0) if row.opens_local else row.opens
        closes = instant(row.closes_local, row.zone, 1) if row.closes_local else row.closes
        if (opens, closes) != (row.opens, row.closes):
            found[row.id] = (opens, closes)
    return found


def _recompute_sign_up(now: datetime) -> int:
    """Set the sign-up of talks right; nobody's calendar shows it, so nobody is told. Returns of how many."""
    found = stale_sign_up(now)
    for event_id, (opens, closes) in sorted(found.items()):
        event = waiting_list.lock(event_id)
        event.registration_opens, event.registration_closes = opens, closes
        event.changed_at = now
        waiting_list.touch(event)
    return len(found)


def recompute(now: datetime) -> int:
    """Find the instants of all coming talks anew; whoever's calendar shows one of them gets one update.

    Call inside `write()`. Logs it if anything has changed. Returns how many talks have another instant.
    """
    moved, told = 0, 0
    for event_id in stale(now):
        event = waiting_list.lock(event_id)
        before = differences.facts(event)
        if not _set_right(event):
            continue
        event.changed_at = now
        waiting_list.touch(event)
        moved += 1
        if event.state is EventState.PUBLISHED:
            told += invitations.tell_clocks(event, before, now)
    if sign_up := _recompute_sign_up(now):
        log.info("new time-zone data: sign-up of %d talks opens or closes at another instant", sign_up)
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
