"""The mail as it will arrive, composed for somebody made up: no real person's links are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from whatsnext import i18n
from whatsnext.db import db
from whatsnext.i18n import gettext as _
from whatsnext.mail import compose
from whatsnext.mail.mime import Letter
from whatsnext.models import Event, EventPart, Kind, Message, Mode, PartStat, Person, Registration, Status
from whatsnext.services import differences, parts, rescheduling
from whatsnext.services.drafts import Draft


def update(event: Event, draft: Draft, text: str, now: datetime) -> Letter:
    """What confirmed people get if the draft is saved with a message. Writes nothing."""
    before = differences.facts(event)
    with rescheduling.as_if(event, draft):
        after = differences.facts(event)
        hidden = [row for row in differences.changes(before, after) if not row.public]
        touched = parts.touched(event, differences.differ(before, after), now)
        facts = {**differences.kept(before, after), "text": text}
        return _compose(
            Kind.UPDATE, event, facts, now, part=touched[0] if touched else None, prefer_online=bool(hidden)
        )


def cancellation(event: Event, reason: str, now: datetime) -> Letter:
    """What people get if the talk is called off. Writes nothing."""
    with rescheduling.as_if_cancelled(event, reason or _("(your reason stands here)"), now):
        return _compose(Kind.EVENT_CANCELLATION, event, {}, now)


def name() -> str:
    """What somebody made up is called."""
    return _("Kim Example")


def part_cancellation(event: Event, part: EventPart, reason: str, now: datetime) -> Letter:
    """What people get if this part is called off. Writes nothing."""
    with rescheduling.as_if_part_cancelled(part, reason or _("(your reason stands here)"), now):
        return _compose(Kind.PART_CANCELLATION, event, {}, now, part=part)


def _compose(
    kind: Kind,
    event: Event,
    facts: dict[str, Any],
    now: datetime,
    *,
    part: EventPart | None = None,
    prefer_online: bool = False,
) -> Letter:
    with db.session.no_autoflush:
        person = Person(email="kim.muster@behoerde.example", name=name(), agency="", language=i18n.language())
        online = event.online and (prefer_online or not event.on_site)
        registration = Registration(
            id=0,
            ref="0" * 26,
            event=event,
            person=person,
            mode=Mode.ONLINE if online else Mode.ON_SITE,
            status=Status.CONFIRMED,
            arrival=0,
            name=person.name,
            agency="",
            language=person.language,
            link_generation=0,
            reply_token="a" * 26,
            partstat=PartStat.NEEDS_ACTION,
            sequence=event.sequence + 1,
        )
        message = Message(
            id=0,
            kind=kind,
            registration=registration,
            person=person,
            event=event,
            part=part,
            recipient=person.email,
            language=person.language,
            facts=facts,
            sequence=event.sequence + 1,
            message_id="preview@localhost",
            created_at=now,
            best_before=now,
        )
        return compose.compose(message, now)


def to_somebody(kind: Kind, event: Event, facts: dict[str, Any], now: datetime, *, online: bool = False) -> Letter:
    """A mail of this kind as someone with a place, on site or `online`, would get it. Writes nothing."""
    return _compose(kind, event, facts, now, prefer_online=online)
