"""Talks as organisers plan them: created, edited while a draft, published, duplicated.

What changes after publishing goes through services/rescheduling.py, where people are told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import (
    AlreadyPublished,
    EventCancelled,
    NotFound,
    NotReady,
    SeriesMissing,
    SlugTaken,
    StaleVersion,
)
from whatsnext.i18n import gettext as _
from whatsnext.models import Agency, Event, EventSpeaker, EventState, Series, Speaker, Theme
from whatsnext.services import drafts, follows, parts, waiting_list
from whatsnext.services import series as all_series
from whatsnext.services.drafts import Draft

ASSIGNED = (
    *drafts.COPIED,
    "starts_local",
    "fold",
    "starts_at",
    "ends_at",
    "part_count",
    "registration_opens",
    "registration_closes",
    "opens_local",
    "closes_local",
)
"""The columns that `assign` sets."""

ATTEMPTS = 5
"""How often an address is made anew when others take it at the same moment."""

Missing = list[tuple[str, str]]
"""(field of the editor, sentence for the organiser), in the editor's order."""


@dataclass(frozen=True)
class Offered:
    """What the editor offers to choose from: ids and words, in the order shown. `zone` is that of new talks."""

    zone: str
    series: list[tuple[int, str]]
    themes: list[tuple[int, str]]
    hosts: list[tuple[int, str]]
    speakers: list[tuple[int, str]]


def get(event_id: int) -> Event:
    """A talk in any state, with its series, theme, host and speakers. Raises NotFound."""
    whole = (joinedload(Event.series), joinedload(Event.theme), joinedload(Event.host))
    event = db.session.scalar(
        sa.select(Event)
        .where(Event.id == event_id)
        .options(*whole, selectinload(Event.speakers).joinedload(Speaker.agency))
    )
    if event is None:
        raise NotFound
    return event


def offered() -> Offered:
    """Reads, four queries. Where there are several series, themes name theirs."""
    every = db.session.execute(
        sa.select(Series.id, Series.name, Series.zone).order_by(Series.position, Series.id)
    ).all()
    series = [(row.id, row.name) for row in every]
    themes = sa.select(Theme.id, Theme.name, Series.name).join(Theme.series).order_by(Theme.position, Theme.name)
    hosts = sa.select(Agency.id, Agency.name).order_by(Agency.name, Agency.id)
    several = len(series) > 1
    speakers = (
        sa.select(Speaker.id, Speaker.name, Agency.name).outerjoin(Speaker.agency).order_by(Speaker.name, Speaker.id)
    )
    return Offered(
        every[0].zone if every else "Europe/Berlin",
        series,
        [(number, f"{name} ({of})" if several else name) for number, name, of in db.session.execute(themes)],
        [(row.id, row.name) for row in db.session.execute(hosts)],
        [(number, f"{name} ({agency})" if agency else name) for number, name, agency in db.session.execute(speakers)],
    )


def create(draft: Draft, now: datetime, form_key: str = "") -> Event:
    """A new draft; the same one for the same `form_key` (safety.md R5: a double click makes one talk).

    Raises what `drafts.problems` finds, SeriesMissing, SlugTaken, NotFound for an unknown id.
    """
    series_id, uid = draft.series_id or _first_series(), _uid(form_key)
    draft = replace(draft, series_id=series_id)
    _refuse(draft)
    for _attempt in range(ATTEMPTS):
        if made := db.session.scalar(sa.select(Event).where(Event.uid == uid)):
            return made
        event = Event(series_id=series_id, slug=_slug(draft), uid=uid, version=1, created_at=now, changed_at=now)
        event.part_count = 1
        event.state = EventState.DRAFT
        assign(event, draft)
        if _added(event):
            set_speakers(event, draft.speaker_ids)
            return event
    raise SlugTaken


def edit(event_id: int, draft: Draft, version: int, now: datetime) -> Event:
    """Save what an editor typed over `version` of a draft.

    Raises NotFound, StaleVersion, AlreadyPublished, SlugTaken and what `drafts.problems` finds.
    """
    event = locked(event_id, version)
    if event.state is not EventState.DRAFT:
        raise AlreadyPublished
    series_id = draft.series_id or event.series_id
    draft = replace(draft, series_id=series_id)
    _refuse(draft)
    event.series_id = series_id
    if draft.slug != event.slug:
        event.slug = _slug(draft)
    assign(event, draft)
    saved(event, now)
    _flush()
    set_speakers(event, draft.speaker_ids)
    return event


def missing(event: Event, now: datetime) -> Missing:
    """What keeps a talk from being published; empty if nothing does."""
    found = lacking(event)
    if event.starts_at is not None and event.starts_at <= now:
        found.insert(0, ("date", _("This date is in the past. Choose a coming one.")))
    if event.registration_closes and event.registration_closes <= now:
        found.append(("registration_closes", _("Sign-up would be closed from the start. Choose a later time.")))
    return found


def lacking(event: Event) -> Missing:
    """What every published talk must have and this one has not."""
    needed = (
        ("date", event.starts_at, _("The talk has no date and time yet.")),
        ("on_site", event.on_site or event.online, _("Say whether the talk is held on site, online or both.")),
        ("address", event.address or not event.on_site, _("The address of the room is missing.")),
        (
            "capacity_on_site",
            event.capacity_on_site or not event.on_site,
            _("The number of places on site is missing."),
        ),
        ("capacity_online", event.capacity_online or not event.online, _("The number of places online is missing.")),
    )
    return [(field, sentence) for field, there, sentence in needed if not there]


def advised(event: Event) -> Missing:
    """What a talk can be published without, though readers will look for it."""
    wanted = (
        ("theme_id", event.theme_id, _("Choose a theme, so that people find the talk.")),
        ("host_id", event.host_id, _("Name the host agency.")),
        ("speaker_1", event.speakers, _("Name who speaks.")),
        ("summary", event.summary, _("Say in a few sentences what the talk is about.")),
        ("join_link", event.join_link or not event.online, _("Add the join link; only confirmed people see it.")),
        ("step_free", event.step_free or not event.on_site, _("Say whether the room can be reached without steps.")),
    )
    return [(field, sentence) for field, there, sentence in wanted if not there]


def publish(event_id: int, version: int, now: datetime) -> Event:
    """Show a draft to everyone; whoever follows its theme is told.

    Raises NotFound, StaleVersion, AlreadyPublished, EventCancelled, NotReady.
    """
    event = locked(event_id, version)
    if event.state is EventState.CANCELLED:
        raise EventCancelled
    if event.state is not EventState.DRAFT:
        raise AlreadyPublished
    if lacks := missing(event, now):
        raise NotReady(lacks)
    event.state = EventState.PUBLISHED
    event.published_at = now
    saved(event, now)
    follows.tell_published(event, now)
    return event


def duplicate(event_id: int, now: datetime, form_key: str = "") -> Event:
    """A new draft with everything of a talk but its times and its people; one for each `form_key`. Raises NotFound."""
    original = get(event_id)
    fresh = replace(
        Draft.of(original),
        slug="",
        starts_local=None,
        fold=None,
        parts=(),
        repeat_weeks=0,
        registration_opens=None,
        registration_closes=None,
    )
    return create(fresh, now, form_key)


def locked(event_id: int, version: int) -> Event:
    """The talk under its lock, if it still is at `version` (safety.md R6). Raises NotFound, StaleVersion."""
    event = waiting_list.lock(event_id)
    if event.version != version:
        raise StaleVersion
    return event


def saved(event: Event, now: datetime) -> None:
    """Count a change: other editors and other people's pages are out of date."""
    event.version += 1
    event.changed_at = now
    waiting_list.touch(event)


def assign(event: Event, draft: Draft) -> None:
    """Put a draft without problems into the talk; not its address, series and speakers. Raises NotFound."""
    for kind, number in ((Theme, draft.theme_id), (Agency, draft.host_id)):
        if number is not None and db.session.get(kind, number) is None:
            raise NotFound
    at = drafts.times(draft)
    for name in drafts.COPIED:
        setattr(event, name, getattr(draft, name))
    event.starts_local, event.fold = draft.starts_local, at.fold
    event.starts_at, event.ends_at = at.starts_at, at.ends_at
    event.registration_opens, event.registration_closes = at.opens, at.closes
    event.opens_local, event.closes_local = draft.registration_opens, draft.registration_closes
    parts.assign(event, at.slots)


def set_speakers(event: Event, speaker_ids: tuple[int, ...]) -> None:
    """Who speaks, in this order. Raises NotFound for someone unknown."""
    wanted = list(dict.fromkeys(speaker_ids))
    rows = sa.select(EventSpeaker).where(EventSpeaker.event_id == event.id).order_by(EventSpeaker.position)
    present = {row.speaker_id: row for row in db.session.scalars(rows)}
    if list(present) == wanted:
        return
    known = set(db.session.scalars(sa.select(Speaker.id).where(Speaker.id.in_(wanted)))) if wanted else set()
    if known != set(wanted):
        raise NotFound
    for speaker_id, row in present.items():
        if speaker_id not in known:
            db.session.delete(row)
    for position, speaker_id in enumerate(wanted):
        row = present.get(speaker_id) or EventSpeaker(event_id=event.id, speaker_id=speaker_id)
        row.position = position
        db.session.add(row)
    db.session.flush()
    db.session.expire(event, ["speakers"])


def _first_series() -> int:
    first = db.session.scalar(sa.select(Series.id).order_by(Series.position, Series.id).limit(1))
    if first is None:
        raise SeriesMissing
    return first


def _refuse(draft: Draft) -> None:
    if wrong := drafts.problems(draft):
        raise wrong[0]


def _slug(draft: Draft) -> str:
    return all_series.wanted_slug(Event.slug, draft.slug, draft.title, "vortrag")


def _added(event: Event) -> bool:
    """Whether nobody took the address, or sent the same form, at the same moment."""
    try:
        with db.session.begin_nested():
            db.session.add(event)
    except IntegrityError:
        return False
    return True


def _flush() -> None:
    """Two organisers can take the same address at the same moment; the table refuses the second."""
    try:
        db.session.flush()
    except IntegrityError:
        raise SlugTaken from None


def _uid(form_key: str) -> str:
    """A UID that no other talk has; made from the form's key, where there is one, and the mailbox's domain."""
    unique = tokens.digest(form_key)[:26] if form_key else tokens.random_base32()
    return f"{unique}@{str(current_app.config['SETTINGS'].sender).rpartition('@')[2]}"
