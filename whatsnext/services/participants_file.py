"""Those who take part in one talk as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from whatsnext.i18n import gettext as _
from whatsnext.models import Event, Kind, Person
from whatsnext.services import outbox, participants
from whatsnext.services.participants import Row, Search

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def export(event_id: int, search: Search, by: Person, now: datetime) -> bytes:
    """Those found as CSV: UTF-8 with a byte order mark and semicolons, as a spreadsheet set to German opens it.

    Cells that a spreadsheet would take for a formula begin with an apostrophe (safety.md P12). Accessibility needs
    are not in it (D3). Owes the person who exports a notice (I12). Raises NotFound.
    """
    talk = participants.event(event_id)
    rows = list(participants.rows(event_id, participants.matching(event_id, search), None))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(_headings())
    for row in rows:
        writer.writerow([neutral(cell) for cell in _cells(row, talk)])
    facts = {"what": "export", "event": talk.title, "number": len(rows)}
    outbox.owe(Kind.SECURITY_NOTICE, now, person=by, facts=facts)
    return ("\ufeff" + out.getvalue()).encode()


def neutral(cell: str) -> str:
    """The same text, which no spreadsheet takes for a formula (safety.md P12)."""
    return f"'{cell}" if cell.startswith(DANGEROUS) else cell


def _headings() -> list[str]:
    return [
        _("Name"),
        _("Mail address"),
        _("Agency or organisation"),
        _("Attendance"),
        _("Status"),
        _("Answer of the calendar"),
        _("Language"),
        _("Arrived"),
    ]


def _cells(row: Row, talk: Event) -> Iterator[str]:
    registration = row.registration
    yield registration.name
    yield registration.person.email
    yield registration.agency
    yield participants.mode_words(registration.mode)
    yield participants.status_words(row)
    yield participants.answer_words(registration.partstat)
    yield registration.language
    yield f"{registration.created_at.astimezone(ZoneInfo(talk.zone)):%Y-%m-%d %H:%M}"
