"""What an attendee's calendar holds, and what it has answered: of a talk, or of each of its parts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from whatsnext.db import db
from whatsnext.models import EventPart, Kind, Message, PartAnswer, PartStat, Registration
from whatsnext.services import parts
from whatsnext.services.parts import Target

CALENDARS = (
    Kind.INVITATION,
    Kind.PROMOTION,
    Kind.UPDATE,
    Kind.CANCELLATION,
    Kind.EVENT_CANCELLATION,
    Kind.PART_CANCELLATION,
)
"""Mails that change what a calendar holds."""


def newest_sequence(registration: Registration, part: Target) -> int | None:
    """The highest SEQUENCE owed for this entry of the attendee's calendar, None before the first.

    A part of a course is renewed by every mail about the whole course too.
    """
    event = registration.event
    if not parts.several(event):
        return registration.sequence
    about = Message.part_id == part.id if part else Message.part_id.is_(None)
    if part and parts.regular(event):
        about = sa.or_(about, Message.part_id.is_(None))
    highest = sa.select(sa.func.max(Message.sequence)).where(
        Message.registration_id == registration.id, Message.kind.in_(CALENDARS), about
    )
    return db.session.scalar(highest)


def last(registration: Registration, part: Target) -> PartAnswer | None:
    """The last answer to this part; None if there was none."""
    return db.session.get(PartAnswer, (registration.id, part.id), populate_existing=True) if part else None


def partstat(registration: Registration, part: Target) -> PartStat:
    """What was said to the talk, or to one part of it."""
    if part is None:
        return registration.partstat
    answer = last(registration, part)
    return answer.partstat if answer else PartStat.NEEDS_ACTION


def of_parts(registration: Registration) -> dict[int, PartStat]:
    """What was said to single parts, by the number of their row. One query."""
    given = sa.select(PartAnswer.part_id, PartAnswer.partstat).where(PartAnswer.registration_id == registration.id)
    return {part_id: said for part_id, said in db.session.execute(given)}  # noqa: C416


def of_all(registration: Registration) -> PartStat:
    """One answer for all parts: what was said to any of them, a yes before a no."""
    said = {partstat(registration, part) for part in parts.live(registration.event)}
    order = (PartStat.ACCEPTED, PartStat.TENTATIVE, PartStat.DELEGATED, PartStat.NEEDS_ACTION)
    return next((one for one in order if one in said), PartStat.DECLINED)


def declines_the_rest(registration: Registration, part: EventPart, said: PartStat) -> bool:
    """Whether nothing of the talk would be left that this person has not declined."""
    others = [other for other in parts.live(registration.event) if other is not part]
    return said is PartStat.DECLINED and all(partstat(registration, other) is PartStat.DECLINED for other in others)


def note(registration: Registration, part: EventPart, said: PartStat, sequence: int, stamp: datetime) -> None:
    """Keep the newest answer to one part."""
    answer = last(registration, part) or PartAnswer(registration_id=registration.id, part_id=part.id)
    answer.partstat, answer.sequence, answer.stamp = said, sequence, stamp
    db.session.add(answer)
    db.session.flush()


def void_for(registration: Registration) -> None:
    """Whoever is invited anew is asked anew about every part; when an answer came still counts."""
    _void(PartAnswer.registration_id == registration.id)


def void(all_parts: Collection[EventPart]) -> None:
    """These parts have another time: everybody is asked anew."""
    if all_parts:
        _void(PartAnswer.part_id.in_([part.id for part in all_parts]))


def _void(which: sa.ColumnElement[bool]) -> None:
    db.session.execute(
        sa.update(PartAnswer)
        .where(which)
        .values(partstat=PartStat.NEEDS_ACTION)
        .execution_options(synchronize_session=False)
    )
