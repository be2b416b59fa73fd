"""A talk as plain values: what the editor knows, what is wrong with it, how it differs from another version."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from whatsnext import i18n
from whatsnext.calendars import timezone
from whatsnext.db import db
from whatsnext.errors import (
    CapacityBelowZero,
    ClosesAfterStart,
    DomainError,
    EndsBeforeStart,
    JoinLinkRefused,
    OpensAfterCloses,
    PartsMeet,
    ThemeOfOtherSeries,
    TitleMissing,
    UnknownZone,
)
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.models import Agency, Event, Speaker, Theme
from whatsnext.services import slots
from whatsnext.services.differences import Change
from whatsnext.services.parts import Slot
from whatsnext.services.slots import Part

COPIED = (
    "title",
    "theme_id",
    "host_id",
    "summary",
    "agenda",
    "language",
    "zone",
    "duration_minutes",
    "repeat_weeks",
    "on_site",
    "online",
    "capacity_on_site",
    "capacity_online",
    "address",
    "join_link",
    "dial_in",
    "step_free",
    "induction_loop",
    "sign_language",
    "captions",
    "quiet_room",
    "chatham_house",
    "protected",
)
"""Columns of an event that a draft holds under the same name."""


_HOUR = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything the editor knows of a talk; a draft needs only its title.

    `starts_local`, `registration_opens` and `registration_closes` are naive wall times in `zone`. `fold` is the answer
    where clocks show the start twice: 0 the earlier, 1 the later, None not asked. Without `series_id` it is the first
    series, without `slug` the address is made from the title. `parts` are all parts of a talk that has several, with
    the first; with `repeat_weeks` they follow each other in so many weeks.
    """

    title: str
    slug: str = ""
    series_id: int | None = None
    theme_id: int | None = None
    host_id: int | None = None
    speaker_ids: tuple[int, ...] = ()
    summary: str = ""
    agenda: str = ""
    language: str = "de"
    starts_local: datetime | None = None
    zone: str = "Europe/Berlin"
    fold: int | None = None
    duration_minutes: int = 90
    repeat_weeks: int = 0
    parts: tuple[Part, ...] = ()
    on_site: bool = True
    online: bool = False
    capacity_on_site: int = 0
    capacity_online: int = 0
    address: str = ""
    join_link: str = ""
    dial_in: str = ""
    step_free: str = ""
    induction_loop: str = ""
    sign_language: str = ""
    captions: str = ""
    quiet_room: str = ""
    registration_opens: datetime | None = None
    registration_closes: datetime | None = None
    chatham_house: bool = False
    protected: bool = False

    @classmethod
    def of(cls, event: Event) -> Draft:
        """The saved state of a talk."""
        zone = ZoneInfo(event.zone)
        return cls(
            **{name: getattr(event, name) for name in COPIED},
            slug=event.slug,
            series_id=event.series_id,
            speaker_ids=tuple(speaker.id for speaker in event.speakers),
            starts_local=event.starts_local,
            fold=event.fold,
            parts=slots.saved(event),
            registration_opens=_local(event.registration_opens, zone),
            registration_closes=_local(event.registration_closes, zone),
        )


@dataclass(frozen=True)
class Times:
    """The instants a draft stands for, in UTC, the fold of its start, and its parts if it has several."""

    starts_at: datetime | None
    ends_at: datetime | None
    fold: int
    opens: datetime | None
    closes: datetime | None
    slots: tuple[Slot, ...] = ()


def times(draft: Draft) -> Times:
    """Raises UnknownZone, DateOutOfRange, EndsBeforeStart, TimeSkipped, TimeTwice, PartWithoutTime or TooManyParts.

    Of a time that comes twice sign-up opens at the earlier and closes at the later: nobody is shut out by it.
    """
    if not timezone.is_zone(draft.zone):
        raise UnknownZone
    if draft.duration_minutes < 1:
        raise EndsBeforeStart
    zone = ZoneInfo(draft.zone)
    start = slots.resolve(draft.starts_local, zone, 0 if draft.repeat_weeks else draft.fold, ("date", "time"))
    starts_at = start.astimezone(UTC) if start else None
    ends_at = starts_at + timedelta(minutes=draft.duration_minutes) if starts_at else None
    laid = slots.lay_out(draft.parts, start, draft.repeat_weeks, draft.duration_minutes)
    if there := [slot for slot in laid if not slot.cancelled]:
        starts_at, ends_at = there[0].starts_at, there[-1].ends_at
    opens = slots.resolve(draft.registration_opens, zone, 0, ("registration_opens", "registration_opens_time"))
    closes = slots.resolve(draft.registration_closes, zone, 1, ("registration_closes", "registration_closes_time"))
    return Times(
        starts_at,
        ends_at,
        start.fold if start else 0,
        opens.astimezone(UTC) if opens else None,
        closes.astimezone(UTC) if closes else None,
        laid,
    )


def problems(draft: Draft) -> list[DomainError]:
    """Everything that is wrong with a draft by itself; empty if it can be saved."""
    found: list[DomainError] = [] if draft.title else [TitleMissing()]
    try:
        found += _order_problems(times(draft))
    except DomainError as error:
        found.append(error)
    found += [
        slots.beside(CapacityBelowZero(), name)
        for name in ("capacity_on_site", "capacity_online")
        if getattr(draft, name) < 0
    ]
    if draft.join_link and not _opens_as_page(draft.join_link):
        found.append(JoinLinkRefused())
    theme = db.session.get(Theme, draft.theme_id) if draft.theme_id else None
    if theme and draft.series_id and theme.series_id != draft.series_id:
        found.append(ThemeOfOtherSeries())
    return found


def differences(before: Draft, after: Draft) -> list[Change]:
    """Field by field in words of the language spoken now, the fields of the editor in its order."""
    return changes_of(before, after, tuple(_WORDS))


def changes_of(before: Draft, after: Draft, fields: tuple[str, ...]) -> list[Change]:
    """The same for some of the fields, by their names in `_WORDS`."""
    rows = []
    for name in fields:
        label, words = _WORDS[name]
        old, new = words(before), words(after)
        if old != new:
            rows.append(Change(str(label), old, new))
    return rows


def _order_problems(at: Times) -> list[DomainError]:
    found: list[DomainError] = []
    if at.closes and at.starts_at and at.closes > at.starts_at:
        found.append(ClosesAfterStart())
    until = at.closes or at.starts_at
    if at.opens and until and at.opens >= until:
        found.append(OpensAfterCloses())
    there = [slot for slot in at.slots if not slot.cancelled]
    for before, after in pairwise(there):
        if after.starts_at < before.ends_at:
            error = PartsMeet(number=after.position, before=before.position)
            found.append(slots.beside(error, slots.part_field(after.position, "date")))
    return found


def _opens_as_page(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not any(map(str.isspace, address))
    except ValueError:
        return False


def _local(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return at.astimezone(zone).replace(tzinfo=None, fold=0) if at else None


def _yes(value: bool) -> str:
    return _("yes") if value else _("no")


def _when(draft: Draft) -> str:
    """The time with weekday and zone; what was typed where it stands for no instant."""
    if draft.starts_local is None:
        return ""
    try:
        at = times(draft)
    except DomainError:
        return f"{draft.starts_local:%Y-%m-%d %H:%M} ({draft.zone}), {_minutes(draft)}"
    return i18n.span(at.starts_at, at.ends_at, draft.zone) if at.starts_at and at.ends_at else ""


def _parts(draft: Draft) -> str:
    """One line for each part."""
    try:
        laid = times(draft).slots
    except DomainError:
        return "\n".join(f"{part.starts_local:%Y-%m-%d %H:%M}" for part in draft.parts if part.starts_local)
    return "\n".join(i18n.span(slot.starts_at, slot.ends_at, draft.zone) for slot in laid)


def _rhythm(draft: Draft) -> str:
    if not draft.repeat_weeks:
        return _("not by a rule")
    return ngettext("every week", "every %(num)s weeks", draft.repeat_weeks)


def _minutes(draft: Draft) -> str:
    return ngettext("%(num)s minute", "%(num)s minutes", draft.duration_minutes)


def _at(name: str) -> Callable[[Draft], str]:
    def words(draft: Draft) -> str:
        local: datetime | None = getattr(draft, name)
        if local is None:
            return ""
        if not timezone.is_zone(draft.zone) or not slots.YEARS[0] <= local.year <= slots.YEARS[1]:
            return f"{local:%Y-%m-%d %H:%M} ({draft.zone})"
        return i18n.moment(local.replace(tzinfo=ZoneInfo(draft.zone)), draft.zone)

    return words


def _text(name: str) -> Callable[[Draft], str]:
    return lambda draft: str(getattr(draft, name))


def _theme(draft: Draft) -> str:
    theme = db.session.get(Theme, draft.theme_id) if draft.theme_id else None
    return theme.name if theme else ""


def _host(draft: Draft) -> str:
    host = db.session.get(Agency, draft.host_id) if draft.host_id else None
    return host.name if host else ""


def _speakers(draft: Draft) -> str:
    if not draft.speaker_ids:
        return ""
    rows = db.session.execute(sa.select(Speaker.id, Speaker.name).where(Speaker.id.in_(draft.speaker_ids)))
    names = {row.id: row.name for row in rows}
    return ", ".join(names.get(number, "") for number in draft.speaker_ids)


def _spoken(draft: Draft) -> str:
    return {"de": _("German"), "en": _("English")}.get(draft.language, draft.language)


def _places_on_site(draft: Draft) -> str:
    return str(draft.capacity_on_site) if draft.on_site else ""


def _places_online(draft: Draft) -> str:
    return str(draft.capacity_online) if draft.online else ""


_l = i18n.lazy_gettext
_WORDS: dict[str, tuple[object, Callable[[Draft], str]]] = {
    "title": (_l("Title"), _text("title")),
    "slug": (_l("Address of the page"), _text("slug")),
    "theme": (_l("Theme"), _theme),
    "host": (_l("Host"), _host),
    "speakers": (_l("Speakers"), _speakers),
    "summary": (_l("Summary"), _text("summary")),
    "agenda": (_l("Agenda"), _text("agenda")),
    "language": (_l("Language of the talk"), _spoken),
    "chatham_house": (_l("Chatham House Rule"), lambda draft: _yes(draft.chatham_house)),
    "protected": (_l("Protected talk"), lambda draft: _yes(draft.protected)),
    "when": (_l("When"), _when),
    "repeat_weeks": (_l("Repeats"), _rhythm),
    "parts": (_l("Parts"), _parts),
    "on_site": (_l("On site"), lambda draft: _yes(draft.on_site)),
    "address": (_l("Address of the room"), _text("address")),
    "online": (_l("Online"), lambda draft: _yes(draft.online)),
    "join_link": (_l("Join link"), _text("join_link")),
    "dial_in": (_l("Dial-in by phone"), _text("dial_in")),
    "step_free": (_l("Step-free access"), _text("step_free")),
    "induction_loop": (_l("Induction loop"), _text("induction_loop")),
    "quiet_room": (_l("Quiet room"), _text("quiet_room")),
    "sign_language": (_l("Sign language"), _text("sign_language")),
    "captions": (_l("Captions"), _text("captions")),
    "places_on_site": (_l("Places on site"), _places_on_site),
    "places_online": (_l("Places online"), _places_online),
    "opens": (_l("Sign-up opens"), _at("registration_opens")),
    "closes": (_l("Sign-up closes"), _at("registration_closes")),
}


def outside_the_talk(draft: Draft) -> list[str]:
    """Times that the agenda of a single talk names, "14:00", at which it has not begun or is over."""
    start = draft.starts_local
    if start is None or draft.parts:
        return []
    first, last = start, start + timedelta(minutes=draft.duration_minutes)
    named = {f"{int(hour):02}:{minute}": time(int(hour), int(minute)) for hour, minute in _HOUR.findall(draft.agenda)}
    days = {first.date(), last.date()}
    return sorted(
        words for words, at in named.items() if not any(first <= datetime.combine(day, at) <= last for day in days)
    )
