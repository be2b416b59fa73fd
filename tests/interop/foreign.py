"""Calendars read by two programs that share no code with ours: ical.js under node, and vobject.

Both answer with one dict of the same shape, so that a test can compare them with each other and with one literal:
method, uid, sequence, status, transp, class, stamp, created, modified, start, end (aware, UTC), zone ("" for UTC),
summary, description, location, url, conference, categories, organizer and attendees ({"address", "parameters"}),
events and alarms (how many).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import vobject
from vobject.icalendar import VEvent, registerTzid

HERE = Path(__file__).parent
TIMES = ("stamp", "created", "modified", "start", "end")


def read_with_icaljs(calendars: list[bytes]) -> list[dict[str, Any]]:
    """What ical.js reads in the first VEVENT of each calendar."""
    return [
        {name: _instant(value) if name in TIMES else value for name, value in entry.items()}
        for entry in _icaljs("entries", calendars)
    ]


def starts_with_icaljs(calendars: list[bytes]) -> list[list[datetime]]:
    """The instant, in UTC, at which ical.js lets each VEVENT of each calendar start."""
    return [[datetime.fromtimestamp(start, UTC) for start in starts] for starts in _icaljs("starts", calendars)]


Shown = list[tuple[datetime, datetime, str]]
"""What a calendar shows: start and end in UTC, and the words."""


class Entry(NamedTuple):
    """One thing a calendar shows: start and end in UTC, its title, and where: location, conference, description."""

    start: datetime
    end: datetime
    title: str
    place: str


def replays_with_icaljs(calendars: list[bytes], cuts: list[int]) -> list[tuple[list[Entry], list[Entry]]]:
    """What two calendars on ical.js show, sorted, after the first so many of these mails, for each number in `cuts`.

    The first forgets single occurrences when the whole rule comes again, the second keeps them.
    """
    forgetting, keeping = (
        [
            [
                Entry(datetime.fromtimestamp(one, UTC), datetime.fromtimestamp(end, UTC), *words)
                for one, end, *words in at
            ]
            for at in _icaljs(want, calendars, cuts)
        ]
        for want in ("replaying", "keeping")
    )
    return list(zip(forgetting, keeping, strict=True))


def replay_with_icaljs(calendars: list[bytes]) -> tuple[Shown, Shown]:
    """The same after all of them: start, end and title."""
    ((forgetting, keeping),) = replays_with_icaljs(calendars, [len(calendars)])
    return [entry[:3] for entry in forgetting], [entry[:3] for entry in keeping]


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _icaljs(want: str, calendars: list[bytes], cuts: Sequence[int] = ()) -> Any:
    question = json.dumps({"want": want, "calendars": [calendar.decode() for calendar in calendars], "cuts": cuts})
    done = _run(_node(), "icaljs.mjs", said=question)
    if done.returncode:
        pytest.fail(f"ical.js cannot read a calendar:\n{done.stderr}", pytrace=False)
    return json.loads(done.stdout)


def _run(*command: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=HERE, input=said, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


@cache
def _node() -> str:
    """The path of node, ical.js installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node:
        pytest.fail("The calendar tests need Node.js 20 or newer: apt-get install nodejs npm", pytrace=False)
    if not (HERE / "node_modules" / "ical.js" / "package.json").is_file():
        if not npm:
            pytest.fail("The calendar tests need npm to install ical.js: apt-get install npm", pytrace=False)
        done = _run(npm, "ci", "--no-audit", "--no-fund")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.fail(f"`npm ci` in tests/interop could not install ical.js: {last}", pytrace=False)
    return node


# RFC 7986 §5.11 is younger than vobject, which would take CONFERENCE for a text and cut it at a comma, but knows URL.
VEvent.knownChildren["CONFERENCE"] = VEvent.knownChildren["URL"]


def read_with_vobject(calendar: bytes) -> dict[str, Any]:
    """What vobject reads in the first VEVENT of `calendar`, by the VTIMEZONE of `calendar`.

    By itself vobject keeps the first zone of a name that the process met, and takes pytz's own for London and Dublin.
    """
    text = calendar.decode()
    for zone in vobject.readOne(text).contents.get("vtimezone", []):
        registerTzid(zone.tzid.value, zone.gettzinfo())
    read = vobject.readOne(text)
    event = read.vevent
    organizer = event.contents.get("organizer")
    return {
        "method": _value(read, "method"),
        "events": len(read.vevent_list),
        "alarms": len(event.contents.get("valarm", [])),
        **{name: _value(event, name) for name in ("uid", "status", "transp", "class", "summary", "description")},
        **{name: _value(event, name) for name in ("location", "url", "conference")},
        "sequence": int(event.sequence.value),
        "stamp": _utc(event, "dtstamp"),
        "created": _utc(event, "created"),
        "modified": _utc(event, "last-modified"),
        "start": _utc(event, "dtstart"),
        "end": _utc(event, "dtend"),
        "zone": "".join(event.dtstart.params.get("X-VOBJ-ORIGINAL-TZID", [])),
        "categories": [text for line in event.contents.get("categories", []) for text in line.value],
        "organizer": _person(organizer[0]) if organizer else None,
        "attendees": [_person(line) for line in event.contents.get("attendee", [])],
    }


def _value(component: Any, name: str) -> str:
    found = component.contents.get(name)
    return str(found[0].value) if found else ""


def _utc(event: Any, name: str) -> datetime | None:
    found = event.contents.get(name)
    if not found:
        return None
    assert found[0].value.tzinfo is not None, f"{name} floats"
    moment: datetime = found[0].value.astimezone(UTC)
    return moment.replace(tzinfo=UTC)


def _person(line: Any) -> dict[str, Any]:
    return {
        "address": line.value.removeprefix("mailto:"),
        "parameters": {name: ",".join(values) for name, values in line.params.items()},
    }
