"""Languages: which one is spoken now, texts marked for the catalogue, dates and times in words.

German pages live at `/…`, English ones at `/en/…`; mails are written in the attendee's language.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import flask_babel
from babel import Locale
from babel.dates import format_date, format_datetime, format_time, get_timezone_location
from flask import g, has_app_context
from flask_babel import Babel, force_locale, lazy_gettext

__all__ = ["LANGUAGES", "babel", "gettext", "language", "lazy_gettext", "ngettext", "speaking"]

LANGUAGES = ("de", "en")
babel = Babel()


def gettext(message: str, **facts: Any) -> str:
    """A text in the language spoken now, its named placeholders filled in."""
    return str(flask_babel.gettext(message, **facts))


def ngettext(one: str, many: str, num: int, **facts: Any) -> str:
    """The same by number; `%(num)s` is the number itself."""
    return str(flask_babel.ngettext(one, many, num, **facts))


def language() -> str:
    """The language spoken now: "de" or "en"."""
    return str(g.get("language", "de")) if has_app_context() else "de"


def locale() -> Locale:
    return Locale.parse("de_DE" if language() == "de" else "en_GB")


@contextlib.contextmanager
def speaking(name: str) -> Iterator[None]:
    """Speak another language for a while, for instance an attendee's while a mail is composed."""
    before, wanted = g.get("language"), name if name in LANGUAGES else "de"
    if before == wanted and flask_babel.get_locale().language == wanted:
        yield
        return
    g.language = wanted
    try:
        with force_locale(wanted):
            yield
    finally:
        g.pop("language") if before is None else setattr(g, "language", before)


def zone_name(zone: str) -> str:
    """What people call a zone: "Berlin" for Europe/Berlin, "UTC" for UTC."""
    if "/" not in zone:
        return zone
    return str(get_timezone_location(zone, locale=locale(), return_city=True))


def long_date(day: date) -> str:
    """ "Donnerstag, 14. Januar 2027" / "Thursday, 14 January 2027"."""
    return format_date(day, "EEEE, d. MMMM y" if language() == "de" else "EEEE, d MMMM y", locale=locale())


def short_date(day: date) -> str:
    """ "Do., 14. Januar" / "Thu 14 January"."""
    if language() == "de":
        return format_date(day, "EEE, d. MMMM", locale=locale())
    return format_date(day, "EEE d MMMM", locale=locale())


def month(day: date) -> str:
    """ "Januar 2027"."""
    return format_date(day, "LLLL y", locale=locale())


def clock_time(moment: datetime) -> str:
    """ "14:00 Uhr" / "14:00", of a moment already in its zone."""
    text = format_time(moment, "H:mm", locale=locale())
    return f"{text} Uhr" if language() == "de" else text


def span(start: datetime, end: datetime, zone: str) -> str:
    """ "Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)": weekday and zone always named. Both aware, any zone."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    day = f"{short_date(first)} {first.year}"
    if last.date() == first.date() or last - first < timedelta(hours=12):
        return f"{day}, {format_time(first, 'H:mm', locale=locale())}–{clock_time(last)} ({zone_name(zone)})"
    return f"{day}, {clock_time(first)} – {short_date(last)} {last.year}, {clock_time(last)} ({zone_name(zone)})"


def moment(at: datetime, zone: str) -> str:
    """ "Mo., 1. Februar 2027, 9:00 Uhr (Berlin)". `at` is aware."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{short_date(local)} {local.year}, {clock_time(local)} ({zone_name(zone)})"


def brief(at: datetime, zone: str) -> str:
    """ "Do. 14.1., 14:00 Uhr" / "Thu 14 Jan, 14:00" for subjects. `at` is aware."""
    local = at.astimezone(ZoneInfo(zone))
    if language() == "de":
        return format_datetime(local, "EEE d.M., ", locale=locale()).replace("..", ".") + clock_time(local)
    return format_datetime(local, "EEE d MMM, ", locale=locale()) + clock_time(local)
