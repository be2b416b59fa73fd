"""The organiser's first page: what needs someone today, then the talks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from whatsnext import clock
from whatsnext.db import write
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.mail import maildir
from whatsnext.models import Event, EventState, Mode
from whatsnext.services import outbox, pages, parts
from whatsnext.services import overview as desk
from whatsnext.services.catalogue import Standing
from whatsnext.services.overview import Key, Missing, Need, Steps, Talk, ToDo
from whatsnext.services.participants import Show
from whatsnext.web.forms import Form
from whatsnext.web.organise import bp


@dataclass(frozen=True)
class Line:
    """One thing to do: a sentence and the words of its link; without a link it is a button that releases mails."""

    sentence: str
    link: str
    url: str = ""


@dataclass(frozen=True)
class Row:
    """A talk in a table."""

    title: str
    language: str
    url: str
    people_url: str
    when: str
    places: str
    waiting: str
    state: SimpleNamespace


@bp.get("/")
def overview() -> ResponseReturnValue:
    return _page(Form())


@bp.post("/mails/release")
def mails_release() -> ResponseReturnValue:
    """Let the mails go that the brake holds back (safety.md O5)."""
    form = Form()
    if not form.validate():
        return _page(form)
    with write():
        released = outbox.release_held(clock.now())
    flash(ngettext("%(num)s mail is released.", "%(num)s mails are released.", released))
    return redirect(url_for(".overview"), 303)


def _page(form: Form) -> tuple[str, int]:
    now = clock.now()
    coming, drafts = desk.coming(now), desk.drafts()
    past, older = desk.past(now, _key(request.args.get("before", "")))
    begun = desk.steps()
    page = render_template(
        "organise/overview/page.html",
        form=form,
        to_do=[_line(item) for item in desk.to_do(coming, drafts, now)],
        mail_folder=maildir.instead_of_a_server(),
        coming=[_row(talk) for talk in coming],
        drafts=drafts,
        past=[_row(talk) for talk in past],
        older=f"{older[0].timestamp():.0f}-{older[1]}" if older else "",
        steps=[] if begun.done else _steps(begun),
    )
    return page, form.status


def _key(typed: str) -> Key | None:
    """Where the list of past talks goes on; nonsense begins anew."""
    seconds, _dash, number = typed.partition("-")
    if not (seconds.isdecimal() and number.isdecimal() and len(seconds) < 12 and len(number) < 12):
        return None
    return datetime.fromtimestamp(int(seconds), UTC), int(number)


def _steps(begun: Steps) -> list[tuple[str, str, str, str]]:
    """The first three steps of a new installation."""
    todo, done = (_("Still to do"), "warning"), (_("Done"), "success")
    return [
        (
            _("Name the series"),
            url_for(".series_new") if not begun.series else url_for(".series_list"),
            *(done if begun.series else todo),
        ),
        (
            _("Add a theme"),
            url_for(".theme_new") if not begun.themes else url_for(".themes"),
            *(done if begun.themes else todo),
        ),
        (_("Create the first talk"), url_for(".event_new") if begun.series else "", *todo),
    ]


def _line(item: ToDo) -> Line:
    if item.event is not None:
        return _about_talk(item, item.event)
    return _GENERAL[item.need](item.number)


def _held(n: int) -> Line:
    sentence = ngettext(
        "%(num)s mail to a new address is held back, because very many were asked for within an hour.",
        "%(num)s mails to new addresses are held back, because very many were asked for within an hour.",
        n,
    )
    return Line(sentence, ngettext("Release %(num)s mail", "Release %(num)s mails", n))


def _unedited(n: int) -> Line:
    sentence = ngettext(
        "%(num)s text of the pages in the footer is still the template; each language counts.",
        "%(num)s texts of the pages in the footer are still the template; each language counts.",
        n,
    )
    return Line(sentence, _("Edit pages"), url_for(".pages"))


def _reports(n: int) -> Line:
    sentence = ngettext(
        "%(num)s report of a barrier reached nobody. Is the mail address of the organisers right?",
        "%(num)s reports of barriers reached nobody. Is the mail address of the organisers right?",
        n,
    )
    return Line(sentence, _("Check the address"), url_for(".series_list"))


def _statement(_n: int) -> Line:
    sentence = _("The statement on accessibility is to be renewed every year; the last change was 11 months ago.")
    return Line(sentence, _("Renew the statement"), url_for(".page_edit", slug=pages.STATEMENT, language="de"))


def _mailbox(_n: int) -> Line:
    sentence = _("The mailbox does not answer; what calendars answer is not read.")
    return Line(sentence, _("Show since when"), url_for(".incoming"))


def _incoming(n: int) -> Line:
    sentence = ngettext(
        "%(num)s incoming mail has changed nothing and waits for you.",
        "%(num)s incoming mails have changed nothing and wait for you.",
        n,
    )
    return Line(sentence, _("Look at the mails"), url_for(".incoming"))


def _held_since_restore(n: int) -> Line:
    sentence = ngettext(
        "%(num)s mail is held back, because a backup was restored or the address has changed.",
        "%(num)s mails are held back, because a backup was restored or the address has changed.",
        n,
    )
    return Line(sentence, _("Look at the mails"), url_for(".delivery_page"))


_GENERAL = {
    Need.HELD: _held,
    Need.RESTORED: _held_since_restore,
    Need.PAGES: _unedited,
    Need.REPORTS: _reports,
    Need.STATEMENT: _statement,
    Need.MAILBOX: _mailbox,
    Need.INCOMING: _incoming,
}


def _about_talk(item: ToDo, event: Event) -> Line:
    title, n = event.title, item.number
    edit = url_for(".event_edit", event_id=event.id)
    lines = {
        Need.UNDELIVERED: lambda: Line(
            ngettext(
                "“%(title)s”: the mail to %(num)s person could not be delivered.",
                "“%(title)s”: the mails to %(num)s people could not be delivered.",
                n,
                title=title,
            ),
            _("Show who"),
            _people(event, Show.UNDELIVERED),
        ),
        Need.NO_HOST: lambda: Line(_("The draft “%(title)s” has no host yet.", title=title), _("Choose a host"), edit),
        Need.INCOMPLETE: lambda: Line(
            _("The draft “%(title)s” is not complete: %(missing)s.", title=title, missing=_missing(item.missing)),
            _("Go on with the draft"),
            edit,
        ),
        Need.NO_JOIN_LINK: lambda: Line(
            _("“%(title)s” is about to begin and has no join link.", title=title), _("Enter the join link"), edit
        ),
        Need.NO_ADDRESS: lambda: Line(
            _("“%(title)s” is about to begin and has no address.", title=title), _("Enter the address"), edit
        ),
        Need.ACCESSIBILITY: lambda: Line(
            ngettext(
                "“%(title)s”: %(num)s person has stated accessibility needs.",
                "“%(title)s”: %(num)s people have stated accessibility needs.",
                n,
                title=title,
            ),
            _("Look at the needs"),
            _people(event, Show.NEEDS),
        ),
        Need.WAITING: lambda: Line(
            ngettext(
                "“%(title)s”: %(num)s person waits though a place is free.",
                "“%(title)s”: %(num)s people wait though places are free.",
                n,
                title=title,
            ),
            _("Show who waits"),
            _people(event, Show.WAITING),
        ),
    }
    return lines[item.need]()


def _missing(missing: tuple[Missing, ...]) -> str:
    names = {
        Missing.TIME: _("date and time"),
        Missing.THEME: _("theme"),
        Missing.SUMMARY: _("summary"),
        Missing.PLACES: _("places"),
    }
    return ", ".join(names[one] for one in missing)


def _people(event: Event, show: Show) -> str:
    return url_for(".participants", event_id=event.id, show=show.value)


def _row(talk: Talk) -> Row:
    event = talk.event
    return Row(
        title=event.title,
        language=event.language,
        url=url_for(".event_edit", event_id=event.id),
        people_url=url_for(".participants", event_id=event.id),
        when=parts.whole(event),
        places=_places(talk),
        waiting="–" if talk.event.state is EventState.CANCELLED else str(talk.waiting),
        state=_state(talk),
    )


def _places(talk: Talk) -> str:
    """ "12 von 30, online 140 von 200"; nobody comes to a talk that is off."""
    if talk.event.state is EventState.CANCELLED:
        return "–"
    words = [
        _("%(taken)s of %(capacity)s", taken=place.taken, capacity=place.capacity)
        if mode is Mode.ON_SITE
        else _("online %(taken)s of %(capacity)s", taken=place.taken, capacity=place.capacity)
        for mode, place in talk.places.items()
    ]
    return ", ".join(words)


def _state(talk: Talk) -> SimpleNamespace:
    words, kind = {
        Standing.ANNOUNCED: (_("Sign-up not open yet"), "info"),
        Standing.OPEN: (_("Sign-up open"), "success"),
        Standing.FULL: (_("Full"), "warning"),
        Standing.CLOSED: (_("Sign-up closed"), "info"),
        Standing.CANCELLED: (_("Cancelled"), "danger"),
        Standing.PAST: (_("Over"), "info"),
    }[talk.standing]
    return SimpleNamespace(words=_("%(state)s, moved", state=words) if talk.moved else words, kind=kind)
