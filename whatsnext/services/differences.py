"""What a calendar shows of an event, and what differs between two such states, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from whatsnext import i18n
from whatsnext.i18n import gettext as _
from whatsnext.models import Event
from whatsnext.services import parts

WORDS_ONLY = {"title", "description"}
"""A typo in these may be mended without a message; every other change leaves a calendar stale."""

Facts = dict[str, str]


@dataclass(frozen=True)
class Change:
    """One thing that differs, in words of the language spoken now. `public`: everyone may read it."""

    label: str
    old: str
    new: str
    public: bool = True


def facts(event: Event) -> Facts:
    """What a calendar entry shows of an event, as plain JSON; instants as ISO 8601 in UTC. See `parts.facts` too."""
    return parts.facts(event) | {
        "title": event.title,
        "starts": event.starts_at.isoformat() if event.starts_at else "",
        "ends": event.ends_at.isoformat() if event.ends_at else "",
        "zone": event.zone,
        "where": event.address if event.on_site else "",
        "on_site": "yes" if event.on_site else "",
        "online": "yes" if event.online else "",
        "join_link": event.join_link if event.online else "",
        "dial_in": event.dial_in if event.online else "",
        "description": "\n\n".join(part for part in (event.summary, event.agenda) if part),
        "state": event.state.value,
    }


def kept(before: Facts, after: Facts) -> dict[str, Any]:
    """What a mail has to keep of `before`: what is another now ("" where it was not there), and the title.

    Thousands of mails keep it, each for itself. A title may be mended silently before they go, and is told then too; a
    summary mended silently is not.
    """
    differing = {key: before.get(key, "") for key in {**before, **after} if before.get(key) != after.get(key)}
    return {"old": {**differing, "title": before["title"]}}


def before(said: Mapping[str, Any], after: Facts) -> Facts:
    """The state before `after`, of which a mail has `kept` this much; mails of earlier releases kept all of it."""
    if "before" in said:
        whole: Facts = said["before"]
        return whole
    facts_then = {**after, **said.get("old", {})}
    return {key: fact for key, fact in facts_then.items() if fact or not (key == "rule" or key.startswith("part "))}


def tells(said: Mapping[str, Any]) -> bool:
    """Whether a mail has something to say about an earlier state."""
    return "before" in said or "old" in said


def joined(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """The state before two changes, of which the mails have `kept` this much: the older one is what people knew."""
    if "before" in older:
        return {"before": older["before"]}
    return {"old": {**newer.get("old", {}), **older.get("old", {})}}


def differ(before: Facts, after: Facts) -> set[str]:
    """The keys of what a calendar must show anew."""
    return {key for key in after if before.get(key, "") != after[key]}


def changes(before: Facts, after: Facts, part: int | None = None) -> list[Change]:
    """Old and new side by side: the one source of these words for editor, page, mail and calendar.

    With `part` only the time of this part of a talk that has several.
    """
    rows = [
        Change(_("Title"), before["title"], after["title"]),
        *_time_rows(before, after, part),
        Change(_("Where"), where_in_words(before), where_in_words(after)),
        Change(_("Join link"), before["join_link"] or "–", after["join_link"] or "–", public=False),
        Change(_("Dial-in by phone"), before["dial_in"] or "–", after["dial_in"] or "–", public=False),
        Change(_("Summary and agenda"), before["description"] or "–", after["description"] or "–"),
    ]
    return [row for row in rows if row.old != row.new]


def _time_rows(before: Facts, after: Facts, only: int | None) -> list[Change]:
    """One row for the time of the talk, or one for each of its parts."""
    numbers = sorted({int(key[5:]) for key in (*before, *after) if key.startswith("part ")})
    if not numbers:
        return [Change(_("When"), when_in_words(before), when_in_words(after))]
    return [
        Change(_("Part %(number)s", number=number), part_in_words(before, number), part_in_words(after, number))
        for number in numbers
        if only in (None, number)
    ]


def part_in_words(event_facts: Facts, number: int) -> str:
    """The time of one part; the only part of a talk is its first."""
    fact = event_facts.get(f"part {number}", "")
    if fact:
        return parts.fact_in_words(fact, event_facts["zone"])
    return when_in_words(event_facts) if number == 1 and "rule" not in event_facts else "–"


def when_in_words(event_facts: Facts) -> str:
    """ "Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)"."""
    if not event_facts["starts"]:
        return _("not fixed yet")
    start, end = datetime.fromisoformat(event_facts["starts"]), datetime.fromisoformat(event_facts["ends"])
    return i18n.span(start, end, event_facts["zone"])


def where_in_words(event_facts: Facts) -> str:
    """ "Kommandantenstraße 18, Berlin und online"."""
    address = event_facts["where"] or (_("on site") if event_facts["on_site"] else "")
    if address and event_facts["online"]:
        return _("%(address)s and online", address=address)
    return address or _("online")
