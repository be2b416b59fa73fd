"""One talk as calendars see it, and the lines of what was written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from whatsnext.calendars.invitation import Entry, Invitation

BERLIN = ZoneInfo("Europe/Berlin")
STAMP = datetime(2027, 5, 3, 9, 30, 15, tzinfo=UTC)

TALK: dict[str, Any] = {
    "uid": "4f2c8a@next.example",
    "sequence": 0,
    "start": datetime(2027, 7, 15, 18, 0, tzinfo=BERLIN),
    "end": datetime(2027, 7, 15, 19, 30, tzinfo=BERLIN),
    "summary": "Blockchain in the land register",
    "description": "What works today; what does not, and why.\n\nAgenda\n18:00 Welcome",
    "location": "Invalidenstraße 44, 10115 Berlin",
    "url": "https://next.example/events/blockchain",
    "categories": ("Blockchain",),
    "join_link": "https://meet.example/j/88?pwd=a,b;c",
    "created": datetime(2027, 5, 1, 8, 0, tzinfo=UTC),
    "modified": datetime(2027, 5, 2, 8, 0, tzinfo=UTC),
}
PEOPLE = {
    "organiser_name": "What's NEXt",
    "organiser_address": "next+k7q2m5@next.example",
    "attendee_name": "Ada Lovelace",
    "attendee_address": "ada@agency.example",
}

HOSTILE = [
    "red\r\nX-EVIL:1",
    "red\nX-EVIL:1",
    "red\rX-EVIL:1",
    "red\x0bX-EVIL:1",
    "red\x0cX-EVIL:1",
    "red\x1cX-EVIL:1",
    "red\x85X-EVIL:1",
    "red\u2028X-EVIL:1",
    "red\u2029X-EVIL:1",
    "red\x00X-EVIL:1",
    "red\\\r\nX-EVIL:1",
    'red"\r\nX-EVIL:1',
    "red^nX-EVIL:1",
    "END:VEVENT\r\nBEGIN:VEVENT\r\nX-EVIL:1",
    "red\r\n X-EVIL:1\r\n\r\nX-EVIL:1",
    "red\ud800",
]
# all that text.py lets through, and line ends; most of all what iCalendar escapes, and the letters of its escapes
CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufffe\uffff")
TEXTS = st.text(CHARACTERS | st.sampled_from("\\;,:\"^nN\n\t %'"), max_size=200)


def entry(**changes: Any) -> Entry:
    return Entry(**{**TALK, **changes})


def invitation(**changes: Any) -> Invitation:
    return Invitation(**{**TALK, **PEOPLE, **changes})


def lines(data: bytes) -> list[str]:
    """The content lines, unfolded."""
    return data.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def event_lines(data: bytes) -> list[str]:
    """Those between BEGIN:VEVENT and END:VEVENT, sorted: their order says nothing."""
    every = lines(data)
    return sorted(every[every.index("BEGIN:VEVENT") + 1 : every.index("END:VEVENT")])


def value(data: bytes, name: str) -> str:
    """What follows the name, parameters included, in the only line `name` of the event."""
    (found,) = [line for line in event_lines(data) if line.startswith((f"{name}:", f"{name};"))]
    return found.removeprefix(name)
