"""The page of one talk, and its file for calendars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Response, render_template, url_for

from whatsnext import clock
from whatsnext.calendars import invitation, links
from whatsnext.calendars.invitation import Entry
from whatsnext.i18n import gettext as _
from whatsnext.models import Event, EventState, Registration
from whatsnext.services import catalogue, parts, waiting_list
from whatsnext.services.catalogue import Standing
from whatsnext.web import access, guards, pagecache
from whatsnext.web.pagecache import Shown
from whatsnext.web.public import bp, cards
from whatsnext.web.public.signup_form import SignUpForm, sign_up_form

OPEN = (Standing.OPEN, Standing.FULL)


@dataclass(frozen=True)
class CalendarLink:
    """One way into a calendar."""

    words: str
    url: str
    elsewhere: bool = True


@bp.get("/events/<slug>")
@pagecache.shared(catalogue.event_version)
def event(slug: str) -> Shown:
    """The page of a published talk."""
    talk = catalogue.published(slug)
    following = _following(talk, clock.now())
    points = [*catalogue.turning_points(talk), *(catalogue.turning_points(following) if following else ())]
    return Shown(page(talk), points)


@bp.get("/events/<slug>/calendar.ics")
def event_ics(slug: str) -> Response:
    """The talk as a file for any calendar: nobody is asked, nobody is named."""
    talk = catalogue.published(slug)
    return calendar_file(talk, catalogue.entries(talk), talk.changed_at)


def calendar_file(talk: Event, entries: list[Entry], stamp: datetime) -> Response:
    """A download named after the talk, which says so if the talk is off."""
    content = invitation.publish_parts(entries, stamp, cancelled=talk.state is EventState.CANCELLED)
    response = Response(content, content_type="text/calendar; charset=utf-8; method=PUBLISH")
    response.headers["Content-Disposition"] = f'attachment; filename="{talk.slug}.ics"'
    return response


def page(talk: Event, form: SignUpForm | None = None, *, preview: bool = False) -> str:
    """The page of a talk; `form` is a refused sign-up. A preview shows a draft, and its form sends nothing."""
    now = clock.now()
    places = waiting_list.places([talk])[talk.id]
    standing = catalogue.state(talk, places, now)
    person = None if preview else guards.viewer()
    if form is None and standing in OPEN:
        form = sign_up_form(talk, places, person)
    return render_template(
        "public/events/event.html",
        event=talk,
        talk=cards.facts(talk, places, now),
        standing=standing.value,
        moved_to=cards.when(talk) if catalogue.moved(talk, now) else "",
        form=form,
        person=person,
        single=len(waiting_list.offered_modes(talk)) == 1,
        line=form is not None and joins_line(form),
        mine=None if preview else _mine(talk),
        access=_access(talk),
        following=_following(talk, now),
        calendars=_calendars(talk)
        if not preview and standing not in (Standing.CANCELLED, Standing.PAST) and talk.starts_at
        else [],
        cards=cards,
        preview=preview,
    )


def joins_line(form: SignUpForm) -> bool:
    """Whether the form's button means the waiting list: all ways are full, or the chosen one is."""
    full = (form.full.data or "").split()
    ways = [value for value, _words in form.mode.choices]
    return bool(full) and (form.mode.data in full or all(way in full for way in ways))


def _mine(talk: Event) -> Registration | None:
    """The registration of whoever looks, if this browser may know of it."""
    person = guards.viewer()
    return catalogue.registration_of(talk, person.id if person else None, access.refs())


def _following(talk: Event, now: datetime) -> Event | None:
    return catalogue.next_of_theme(talk, now) if talk.cancelled_at else None


def _access(talk: Event) -> list[tuple[str, list[tuple[str, str]]]]:
    """What room and stream offer, in words; "" where nobody has said."""
    room = [
        (_("Step-free access"), talk.step_free),
        (_("Induction loop"), talk.induction_loop),
        (_("Quiet room"), talk.quiet_room),
    ]
    both = [(_("Sign language"), talk.sign_language), (_("Captions"), talk.captions)]
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    if talk.on_site:
        groups.append((_("In the room"), room if talk.online else [*room, *both]))
    if talk.online:
        groups.append((_("In the stream"), both))
    return groups


def _calendars(talk: Event) -> list[CalendarLink]:
    file = CalendarLink(_("Calendar file (.ics)"), url_for(".event_ics", slug=talk.slug), elsewhere=False)
    if parts.several(talk):  # the links of the others hold one date only
        return [file]
    entry = catalogue.entry(talk)
    return [
        file,
        CalendarLink("Google", links.google(entry)),
        CalendarLink("Outlook.com", links.outlook_com(entry)),
        CalendarLink("Microsoft 365", links.microsoft365(entry)),
    ]
