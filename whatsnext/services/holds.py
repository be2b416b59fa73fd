"""Unproven holds and open offers: how many there may be, and letting them go in time (safety.md R3)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from whatsnext.db import db
from whatsnext.models import Event, Kind, Registration, Status
from whatsnext.services import outbox, waiting_list

HOLDS_PER_NETWORK = 10

_OF_NETWORK = sa.select(sa.func.count()).where(
    Registration.event_id == sa.bindparam("event"),
    Registration.network == sa.bindparam("network"),
    Registration.status == Status.HELD,
    Registration.proved_at.is_(None),
)


def expire_holds(now: datetime) -> int:
    """Let go what nobody proved or took in time: unproven registrations and offers. Returns how many."""
    late = sa.or_(
        sa.and_(
            Registration.status.in_((Status.HELD, Status.WAITING)),
            Registration.proved_at.is_(None),
            Registration.hold_ends_at <= now,
        ),
        sa.and_(Registration.status == Status.OFFERED, Registration.offer_ends_at <= now),
    )
    event_ids = db.session.scalars(sa.select(Registration.event_id).where(late).distinct()).all()
    gone = 0
    for event_id in sorted(event_ids):
        event = waiting_list.lock(event_id)
        rows = db.session.scalars(sa.select(Registration).where(Registration.event_id == event_id, late)).all()
        for registration in rows:
            expire(registration, now)
        waiting_list.touch(event)
        waiting_list.fill(event, now)
        gone += len(rows)
    return gone


def expire_late(event: Event, now: datetime) -> None:
    """What ran out since the last sweep counts as free already."""
    late = db.session.scalars(
        sa.select(Registration).where(
            Registration.event_id == event.id,
            Registration.status == Status.HELD,
            Registration.proved_at.is_(None),
            Registration.hold_ends_at <= now,
        )
    ).all()
    for registration in late:
        expire(registration, now)
    if late:
        waiting_list.fill(event, now)


def network_is_full(event: Event, network: str) -> bool:
    """Whether as many unproven places of this talk are held from one network as may be."""
    if not network:
        return False
    holds = db.session.scalar(_OF_NETWORK, {"event": event.id, "network": network})
    return (holds or 0) >= HOLDS_PER_NETWORK


def expire(registration: Registration, now: datetime) -> None:
    """Let go one unproven registration, or put one whose offer ran out back into the line."""
    registration.changed_at = now
    if registration.status is Status.OFFERED:
        registration.status, registration.offer_lapsed_at = Status.WAITING, now
        outbox.supersede(registration, (Kind.OFFER,), now)
        return
    registration.status = Status.EXPIRED
    registration.network = ""
    outbox.supersede(registration, (Kind.CONFIRMATION_REQUEST,), now)
