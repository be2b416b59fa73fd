"""Agencies that host talks and send speakers: listed, created, changed, deleted while unused."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from whatsnext.db import db
from whatsnext.errors import NameTaken, NotFound, StaleVersion, StillUsed
from whatsnext.models import Agency, Event, EventSpeaker, Speaker
from whatsnext.services import series as all_series


@dataclass(frozen=True)
class AgencyDetails:
    """What an organiser types about an agency."""

    name: str
    short_name: str = ""
    city: str = ""
    url: str = ""


@dataclass(frozen=True)
class AgencyRow:
    """One line of the list of agencies."""

    id: int
    name: str
    short_name: str
    city: str
    talks: int
    speakers: int


def listed() -> list[AgencyRow]:
    """Every agency by name, with the talks it hosts and the speakers it sends."""
    talks = all_series.talks_counted(Event.host_id == Agency.id)
    speakers = sa.select(sa.func.count()).where(Speaker.agency_id == Agency.id).scalar_subquery()
    rows = db.session.execute(
        sa.select(Agency.id, Agency.name, Agency.short_name, Agency.city, talks, speakers).order_by(
            Agency.name, Agency.id
        )
    )
    return [AgencyRow(*row) for row in rows]


def one(agency_id: int) -> Agency:
    """Raises NotFound."""
    agency = db.session.get(Agency, agency_id)
    if agency is None:
        raise NotFound
    return agency


def create(details: AgencyDetails) -> Agency:
    """Add an agency. Raises NameTaken."""
    _check(details, None)
    agency = Agency(**asdict(details))
    db.session.add(agency)
    _flush()
    return agency


def change(agency_id: int, details: AgencyDetails, version: int) -> None:
    """Save what an editor typed over `version`. Raises NotFound, StaleVersion, NameTaken."""
    agency = db.session.get(Agency, agency_id, with_for_update=True)
    if agency is None:
        raise NotFound
    if agency.version != version:
        raise StaleVersion
    _check(details, agency_id)
    all_series.assign(agency, asdict(details))
    agency.version += 1
    _flush()
    sent = sa.select(EventSpeaker.event_id).join(Speaker).where(Speaker.agency_id == agency_id)
    all_series.touch(sa.or_(Event.host_id == agency_id, Event.id.in_(sent)))


def delete(agency_id: int) -> None:
    """Raises NotFound; StillUsed while it hosts a talk or a speaker belongs to it."""
    agency = db.session.get(Agency, agency_id, with_for_update=True)
    if agency is None:
        raise NotFound
    uses = (
        sa.select(Event.id).where(Event.host_id == agency_id).limit(1),
        sa.select(Speaker.id).where(Speaker.agency_id == agency_id).limit(1),
    )
    if any(db.session.scalar(use) is not None for use in uses):
        raise StillUsed
    db.session.delete(agency)
    db.session.flush()


def _check(details: AgencyDetails, own_id: int | None) -> None:
    own = Agency.id != own_id if own_id is not None else sa.true()
    if db.session.scalar(sa.select(Agency.id).where(Agency.name == details.name, own).limit(1)) is not None:
        raise NameTaken


def _flush() -> None:
    """Two organisers can save the same name at the same moment; the table refuses the second."""
    try:
        db.session.flush()
    except IntegrityError:
        raise NameTaken from None
