"""Shows the editor of a talk: empty, filled, refused, or beside what someone else has saved meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from whatsnext import clock, markdown
from whatsnext.models import Event, EventState
from whatsnext.services import drafts, events, parts
from whatsnext.services.drafts import Draft
from whatsnext.web.organise.event_form import EventForm
from whatsnext.web.organise.versions import Row

TALK = "/events/<int:event_id>"
"""The part of the address that names a talk."""


@dataclass(frozen=True)
class Preview:
    """Summary and agenda as the public page will show them."""

    summary: str
    agenda: str


def show(form: EventForm, event: Event | None, *, conflict: list[Row] | None = None) -> ResponseReturnValue:
    """The editor with what `form` holds. `conflict` sets the saved version beside the typed one."""
    page = render_template("organise/events/editor.html", conflict=conflict, **_around(form, event))
    return page, form.status


def show_more(form: EventForm, event: Event | None) -> ResponseReturnValue:
    """The same with one more row for a part; nothing is checked, saved or lost."""
    form.add_row()
    return show(form, event)


def show_preview(form: EventForm, event: Event | None) -> ResponseReturnValue:
    """The same with summary and agenda rendered above; nothing is checked, saved or lost."""
    preview = Preview(markdown.to_html(form.summary.data or ""), markdown.to_html(form.agenda.data or ""))
    return render_template("organise/events/editor.html", preview=preview, **_around(form, event))


def show_conflict(form: EventForm, event: Event) -> ResponseReturnValue:
    """Both versions side by side, the typed one kept; saving again puts it over the one shown (safety.md R6)."""
    differing = drafts.differences(Draft.of(event), completed(form.draft(), event))
    rows = [(row.label, row.old, row.new) for row in differing]
    form.version.data, form.version.raw_data = event.version, None
    return show(form, event, conflict=rows)


def completed(draft: Draft, event: Event) -> Draft:
    """With the address that the editor of a published talk leaves out."""
    return replace(draft, slug=draft.slug or event.slug)


def blank(offered: events.Offered) -> Draft:
    """What a new talk starts with. There is a series."""
    return Draft(title="", series_id=offered.series[0][0], zone=offered.zone)


def _parts(event: Event | None) -> list[tuple[int, str, bool]]:
    """The saved parts of several: number, words, and whether it can be called off."""
    if event is None or not parts.several(event):
        return []
    now = clock.now()
    coming = [part for part in parts.live(event) if now < part.ends_at]
    can = coming if len(coming) > 1 and event.state is EventState.PUBLISHED else []
    return [
        (part.position, words, part in can) for part, words in zip(parts.of(event), parts.lines(event), strict=True)
    ]


def _around(form: EventForm, event: Event | None) -> dict[str, Any]:
    """What the page needs besides; a draft may have a past date, which only publishing refuses."""
    draft = event if event is not None and event.state is EventState.DRAFT else None
    past = draft is not None and draft.starts_at is not None and draft.starts_at <= clock.now()
    several, its_parts = _several(form), _parts(event)
    return {"form": form, "event": event, "several_series": several, "parts": its_parts, "date_is_past": past}


def _several(form: EventForm) -> bool:
    return len(form.series_id.choices) > 1
