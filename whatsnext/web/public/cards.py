"""Talks as plain objects for templates/macros/event.html: every word is chosen here, nothing is worked out there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import url_for

from whatsnext import i18n
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.models import Event, Mode
from whatsnext.services import catalogue, parts
from whatsnext.services.catalogue import Standing
from whatsnext.services.waiting_list import Places

CITY = re.compile(r"\b\d{5}\s+([^,;\d]+)")
MAP = "https://www.openstreetmap.org/search?query="

AllPlaces = Mapping[Mode, Places]


@dataclass(frozen=True)
class State:
    """A badge: words, and the colour and icon that go with them."""

    words: str
    kind: str
    icon: str | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """A talk in a list."""

    title: str
    language: str
    url: str
    theme_name: str
    theme_colour: int
    when: str
    more: list[str]
    starts_iso: str
    place: str
    host: str
    state: State | None


@dataclass(frozen=True)
class PartLine:
    """A part of a talk of several; `off`: it does not take place, for `reason`, or ""."""

    words: str
    off: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Facts(Card):
    """A talk on its own page: the block "At a glance"."""

    when_lines: list[str]
    parts: list[PartLine]
    when_before: str
    where_lines: list[str]
    map_url: str
    places: str
    spoken: str


@dataclass(frozen=True)
class Month:
    """A month with talks."""

    name: str
    cards: list[Card]


def cards(events: Sequence[Event], places: Mapping[int, AllPlaces], now: datetime) -> list[Card]:
    """Cards of these talks; `places` holds those of all, by event id."""
    return [Card(**_card(event, places[event.id], now)) for event in events]


def months(events: Sequence[Event], places: Mapping[int, AllPlaces], now: datetime) -> list[Month]:
    """The same by month, in the order given; the month is that of the talk's own zone."""
    return [
        Month(name, cards(list(group), places, now))
        for name, group in groupby(events, key=lambda event: i18n.month(local_start(event).date()))
    ]


def facts(event: Event, places: AllPlaces, now: datetime) -> Facts:
    """What stands beside the title of the talk's page; a badge only where the line about places does not say it."""
    plain = catalogue.state(event, places, now) in (Standing.OPEN, Standing.FULL)
    return Facts(
        **_card(event, places, now) | ({"state": None} if plain else {}),
        when_lines=_when_lines(event),
        parts=[
            PartLine(parts.line(event, part), part.cancelled_at is not None, part.cancelled_reason)
            for part in parts.of(event)
        ],
        when_before=before(event) if catalogue.moved(event, now) else "",
        where_lines=where_lines(event),
        map_url=MAP + quote(event.address, safe="") if event.on_site and event.address else "",
        places=place_line(event, places, now),
        spoken=spoken(event.language),
    )


def local_start(event: Event) -> datetime:
    """The start in the talk's zone; a draft without a time counts as made now."""
    return (event.starts_at or event.created_at).astimezone(ZoneInfo(event.zone))


def when(event: Event) -> str:
    """ "Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)"."""
    return parts.whole(event) or _("The time is not fixed yet")


def _more(event: Event) -> list[str]:
    """The parts in a card: each of a few, of many the last."""
    if event.part_count > parts.LISTED:
        return [_("until %(when)s", when=parts.when(event, parts.live(event)[-1]))]
    return parts.lines(event)


def before(event: Event) -> str:
    """The time before the talk was moved, or ""."""
    if event.previous_starts_at is None:
        return ""
    zone = event.previous_zone or event.zone
    if event.previous_ends_at is None:
        return i18n.moment(event.previous_starts_at, zone)
    return i18n.span(event.previous_starts_at, event.previous_ends_at, zone)


def where_lines(event: Event) -> list[str]:
    """The address, and that the talk is online."""
    lines = []
    if event.on_site:
        lines.append(event.address or _("On site; the address follows"))
    if event.online:
        lines.append(_("and online") if event.on_site else _("Online"))
    return lines


def place(event: Event) -> str:
    """ "Vor Ort in Berlin und online"."""
    town = city(event)
    if event.on_site and event.online:
        return _("On site in %(city)s and online", city=town) if town else _("On site and online")
    if event.on_site:
        return _("On site in %(city)s", city=town) if town else _("On site")
    return _("Online") if event.online else ""


def city(event: Event) -> str:
    """The town in the address, else the host's, else ""."""
    if found := CITY.search(event.address):
        return found[1].strip()
    return event.host.city if event.host else ""


def way(mode: Mode) -> str:
    """How someone takes part, as the end of a sentence."""
    return _("on site") if mode is Mode.ON_SITE else _("online")


def where_for(event: Event, mode: Mode) -> str:
    """Where someone takes part: "Vor Ort: Kommandantenstraße 18, 10969 Berlin"."""
    if mode is Mode.ONLINE:
        return _("Online")
    return _("On site: %(address)s", address=event.address) if event.address else _("On site; the address follows")


def spoken(language: str) -> str:
    """The name of the language a talk is given in."""
    return {"de": _("German"), "en": _("English")}.get(language, "")


def badge(event: Event, places: AllPlaces, now: datetime) -> State:
    """How the talk stands, in a few words."""
    state = _standing_badge(event, places, now)
    if catalogue.moved(event, now):
        return State(_("Moved – %(state)s", state=state.words), "warning")
    return state


def _standing_badge(event: Event, places: AllPlaces, now: datetime) -> State:
    match catalogue.state(event, places, now):
        case Standing.OPEN:
            return State(_free(places), "success")
        case Standing.ANNOUNCED:
            return State(_announced(event), "info")
        case settled:
            words, kind, icon = {
                Standing.CANCELLED: (_("Cancelled"), "danger", None),
                Standing.PAST: (_("Over"), "info", ""),
                Standing.CLOSED: (_("Sign-up closed"), "info", None),
                Standing.FULL: (_("Full – waiting list open"), "warning", None),
            }[settled]
            return State(words, kind, icon)


def _free(places: AllPlaces) -> str:
    """How many places are left; where one way is full, that the other is not."""
    free = sum(kind.free for kind in places.values())
    full = {mode for mode, kind in places.items() if not kind.free}
    if Mode.ON_SITE in full:
        return ngettext("%(num)s place left, only online", "%(num)s places left, only online", free)
    if Mode.ONLINE in full:
        return ngettext("%(num)s place left, only on site", "%(num)s places left, only on site", free)
    return ngettext("%(num)s place left", "%(num)s places left", free)


def _announced(event: Event) -> str:
    if event.registration_opens is None:
        return _("Sign-up opens later")
    return _("Sign-up opens on %(day)s", day=_day(event.registration_opens, event.zone))


def _day(at: datetime, zone: str) -> str:
    """ "1. Februar" / "1 February"."""
    local = at.astimezone(ZoneInfo(zone))
    return i18n.short_date(local.date()).split(" ", 1)[1]


def place_line(event: Event, places: AllPlaces, now: datetime) -> str:
    """The line that says whether one can sign up (experience.md §4); "" where the state says it all."""
    match catalogue.state(event, places, now):
        case Standing.ANNOUNCED if event.registration_opens:
            return _("Sign-up opens on %(when)s", when=i18n.moment(event.registration_opens, event.zone))
        case Standing.OPEN:
            return _counts(places)
        case Standing.FULL:
            waiting = sum(kind.waiting for kind in places.values())
            if not waiting:
                return _("Full.")
            return ngettext("Full. %(num)s person is waiting.", "Full. %(num)s people are waiting.", waiting)
        case Standing.CLOSED:
            return _closed_line(event, now)
        case _:
            return ""


def _closed_line(event: Event, now: datetime) -> str:
    if event.starts_at and now >= event.starts_at:
        return _("The talk has begun. Sign-up is closed.")
    return _("Sign-up has been closed since %(day)s.", day=_day(catalogue.closes_at(event), event.zone))


def _counts(places: AllPlaces) -> str:
    """ "12 von 30 frei, online 140 von 200 frei"."""
    on_site, online = places.get(Mode.ON_SITE), places.get(Mode.ONLINE)
    if on_site and online:
        return _(
            "%(free)s of %(all)s left, online %(online_free)s of %(online_all)s left",
            free=on_site.free,
            all=on_site.capacity,
            online_free=online.free,
            online_all=online.capacity,
        )
    one = on_site or online
    if one is None:
        return ""
    return _("%(free)s of %(all)s places left", free=one.free, all=one.capacity)


def _when_lines(event: Event) -> list[str]:
    if event.starts_at is None or event.ends_at is None:
        return [when(event)]
    start = local_start(event)
    if parts.several(event):
        return [parts.rhythm(event)]
    if event.ends_at.astimezone(start.tzinfo).date() != start.date():
        return [when(event)]
    return [i18n.long_date(start.date()), when(event).split(", ")[-1]]


def _card(event: Event, places: AllPlaces, now: datetime) -> dict[str, Any]:
    return {
        "title": event.title,
        "language": event.language,
        "url": url_for("public.event", slug=event.slug),
        "theme_name": event.theme.name if event.theme else "",
        "theme_colour": event.theme.colour if event.theme else 1,
        "when": when(event),
        "more": _more(event),
        "starts_iso": local_start(event).isoformat(timespec="minutes"),
        "place": place(event),
        "host": event.host.name if event.host else "",
        "state": badge(event, places, now),
    }
