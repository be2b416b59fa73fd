"""Links that open a web calendar with a talk filled in, for people who do not want a file.

None of them says who comes. None is documented by its maker: the parameters are those that
InteractionDesignFoundation/add-event-to-calendar-docs collects.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from urllib.parse import quote, urlencode

from whatsnext.calendars import texts
from whatsnext.calendars.invitation import Entry

LONGEST_DESCRIPTION = 2000  # octets as escaped, in HTML up to 2.7 times that; links over some 8,000 are refused


def _link(base: str, **parameters: str) -> str:
    """Blanks as %20: Outlook shows a + as it is."""
    return f"{base}?{urlencode(parameters, quote_via=quote, safe='', errors='replace')}"


def _details(entry: Entry) -> str:
    """The description, shortened, with the talk's page at the end."""
    whole = text = texts.lines(entry.description)
    while len(quote(text, safe="")) > LONGEST_DESCRIPTION:
        text = text[: len(text) * 9 // 10]
    if text != whole:
        text = f"{text.rstrip()}…"
    return text if entry.url in text else f"{text}\n\n{entry.url}".lstrip()


def _compact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _extended(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def google(entry: Entry) -> str:
    """Google Calendar, any account."""
    return _link(
        "https://calendar.google.com/calendar/render",
        action="TEMPLATE",
        text=texts.line(entry.summary),
        dates=f"{_compact(entry.start)}/{_compact(entry.end)}",
        details=_details(entry),
        location=texts.line(entry.location, ", "),
    )


def _outlook(host: str, entry: Entry) -> str:
    """Outlook on the web takes the body for HTML."""
    return _link(
        f"https://{host}/calendar/deeplink/compose",
        path="/calendar/action/compose",
        rru="addevent",
        startdt=_extended(entry.start),
        enddt=_extended(entry.end),
        subject=texts.line(entry.summary),
        body=escape(_details(entry)).replace("\n", "<br>"),
        location=texts.line(entry.location, ", "),
    )


def outlook_com(entry: Entry) -> str:
    """Outlook.com, private accounts."""
    return _outlook("outlook.live.com", entry)


def microsoft365(entry: Entry) -> str:
    """Microsoft 365, accounts of an organisation."""
    return _outlook("outlook.office.com", entry)
