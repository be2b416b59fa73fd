"""Speakers: listed, created, changed, deleted while they speak nowhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from whatsnext.db import db
from whatsnext.errors import NameTaken, NotFound, StaleVersion, StillUsed
from whatsnext.models import Agency, Event, EventSpeaker, Speaker
from whatsnext.services import series as all_series


@dataclass(frozen=True)
class SpeakerDetails:
    """What an organiser types about a speaker. `agency_id` is None for someone of no agency."""

    name: str
    role: str = ""
    agency_id: int | None = None
    biography: str = ""


@dataclass(frozen=True)
class SpeakerRow:
    """One line of the list of speakers."""

    id: int
    name: str
    role: str
    agency: str
    talks: int


def listed() -> list[SpeakerRow]:
    """Every speaker by name, with the number of talks given or planned."""
    talks = sa.select(sa.func.count()).where(EventSpeaker.speaker_id == Speaker.id).scalar_subquery()
    rows = db.session.execute(
        sa.select(Speaker.id, Speaker.name, Speaker.role, sa.func.coalesce(Agency.name, ""), talks)
        .outerjoin(Speaker.agency)
        .order_by(Speaker.name, Speaker.id)
    )
    return [SpeakerRow(*row) for row in rows]


def one(speaker_id: int) -> Speaker:
    """Raises NotFound."""
    speaker = db.session.get(Speaker, speaker_id, options=[joinedload(Speaker.agency)])
    if speaker is None:
        raise NotFound
    return speaker


def create(details: SpeakerDetails) -> Speaker:
    """Add a speaker. Raises NameTaken if someone of this name and agency exists, NotFound for an unknown agency."""
    _check(details, None)
    speaker = Speaker(**asdict(details))
    db.session.add(speaker)
    db.session.flush()
    return speaker


def change(speaker_id: int, details: SpeakerDetails, version: int) -> None:
    """Save what an editor typed over `version`. Raises NotFound, StaleVersion, NameTaken."""
    speaker = db.session.get(Speaker, speaker_id, with_for_update=True)
    if speaker is None:
        raise NotFound
    if speaker.version != version:
        raise StaleVersion
    _check(details, speaker_id)
    all_series.assign(speaker, asdict(details))
    speaker.version += 1
    db.session.flush()
    all_series.touch(Event.id.in_(sa.select(EventSpeaker.event_id).where(EventSpeaker.speaker_id == speaker_id)))


def delete(speaker_id: int) -> None:
    """Raises NotFound; StillUsed while a talk names them."""
    speaker = db.session.get(Speaker, speaker_id, with_for_update=True)
    if speaker is None:
        raise NotFound
    if db.session.scalar(sa.select(EventSpeaker.event_id).where(EventSpeaker.speaker_id == speaker_id).limit(1)):
        raise StillUsed
    db.session.delete(speaker)
    db.session.flush()


def _check(details: SpeakerDetails, own_id: int | None) -> None:
    """Two people may share a name, but not within one agency: nobody could tell them apart when choosing."""
    if details.agency_id is not None and db.session.get(Agency, details.agency_id) is None:
        raise NotFound
    own = Speaker.id != own_id if own_id is not None else sa.true()
    same = sa.and_(Speaker.name == details.name, Speaker.agency_id.is_not_distinct_from(details.agency_id))
    if db.session.scalar(sa.select(Speaker.id).where(same, own).limit(1)) is not None:
        raise NameTaken
