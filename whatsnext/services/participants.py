"""Who takes part in one talk, for those who plan it: found, counted, shown.

Every question names the event: no registration is found by its bare id or ref (safety.md P1, P2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased, contains_eager, defer, joinedload

from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import (
    Event,
    EventState,
    Kind,
    Message,
    MessageState,
    Mode,
    PartStat,
    Person,
    Registration,
    Status,
)
from whatsnext.services import answers, parts

PAGE = 50
WITHDRAWING = (Kind.CANCELLATION, Kind.EVENT_CANCELLATION)
CALENDAR_KINDS = answers.CALENDARS
UNDELIVERED = (MessageState.FAILED, MessageState.LAPSED)


class Show(StrEnum):
    """Which registrations of a talk are shown."""

    ALL = "all"
    CONFIRMED = "confirmed"
    WAITING = "waiting"
    OFFERED = "offered"
    HELD = "held"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    NEEDS = "needs"


class Invited(StrEnum):
    """How far the invitation has come, as the organiser reads it."""

    NONE = "none"
    ON_ITS_WAY = "on_its_way"
    LATER = "later"
    STOPPED = "stopped"
    UNDELIVERED = "undelivered"
    OUTDATED = "outdated"
    SENT = "sent"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"
    DELEGATED = "delegated"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Search:
    """A chip of each row and what was typed: part of a name, an address, an agency or a mail domain."""

    show: Show = Show.ALL
    words: str = ""
    invited: Invited | None = None


WERE_IN = {
    Status.HELD: _l("Had reserved a place"),
    Status.WAITING: _l("Was on the waiting list"),
    Status.OFFERED: _l("Had been offered a place"),
    Status.CONFIRMED: _l("Had a place"),
}
"""A talk that was called off leaves its registrations as they were; nobody comes, and nobody waits."""
ANSWERS = {
    PartStat.NEEDS_ACTION: Invited.SENT,
    PartStat.ACCEPTED: Invited.ACCEPTED,
    PartStat.TENTATIVE: Invited.TENTATIVE,
    PartStat.DECLINED: Invited.DECLINED,
    PartStat.DELEGATED: Invited.DELEGATED,
}
ON_THE_WAY = {
    MessageState.OWED: Invited.ON_ITS_WAY,
    MessageState.SENDING: Invited.ON_ITS_WAY,
    MessageState.DEFERRED: Invited.LATER,
    MessageState.HELD: Invited.STOPPED,
    MessageState.FAILED: Invited.UNDELIVERED,
    MessageState.LAPSED: Invited.UNDELIVERED,
}

LEAST_FAR = {state: number for number, state in enumerate(reversed(ON_THE_WAY))}
"""Not delivered before held back, later and on its way."""


@dataclass(frozen=True)
class Row:
    """One registration with its person, its place in line (0: not in line) and its newest calendar mail.

    `invited` is what became of that mail, and what the calendar answered.
    """

    registration: Registration
    place: int
    mail: Message | None
    invited: Invited


@dataclass(frozen=True)
class Page:
    """Some rows in order of arrival, and where the next page begins (None: nothing more)."""

    rows: list[Row]
    after: int | None


def event(event_id: int) -> Event:
    """Raises NotFound."""
    found = db.session.get(Event, event_id, options=[joinedload(Event.series)])
    if found is None:
        raise NotFound
    return found


def counts(event_id: int, search: Search | None = None) -> dict[Show, int]:
    """How many registrations each chip shows, with the rest of the search as it is. One query."""
    columns = [sa.func.count(sa.case((sa.and_(sa.true(), *shown(show, event_id)), 1))) for show in Show]
    rest = matching(event_id, replace(search or Search(), show=Show.ALL))
    row = db.session.execute(sa.select(*columns).select_from(Registration).join(Registration.person).where(*rest)).one()
    return dict(zip(Show, row, strict=True))


def counts_invited(event_id: int, search: Search) -> dict[Invited, int]:
    """How many of those found stand how with their invitation, with the rest of the search as it is. One query."""
    rest = matching(event_id, replace(search, invited=None))
    each = sa.select(_invited().label("invited")).select_from(Registration).join(Registration.person).where(*rest)
    states = each.subquery()
    found = sa.select(states.c.invited, sa.func.count()).group_by(states.c.invited)
    numbers: dict[str, int] = {state: number for state, number in db.session.execute(found)}  # noqa: C416
    return {state: numbers.get(state.value, 0) for state in Invited}


def count(event_id: int, search: Search) -> int:
    """How many registrations a search finds."""
    found = sa.select(sa.func.count()).select_from(Registration).join(Registration.person)
    return db.session.scalar(found.where(*matching(event_id, search))) or 0


def page(event_id: int, search: Search, after: int = 0) -> Page:
    """The registrations that arrived after number `after`, PAGE at most. One query."""
    found = rows(event_id, (*matching(event_id, search), Registration.arrival > after), PAGE + 1)
    more, found = len(found) > PAGE, found[:PAGE]
    return Page(found, found[-1].registration.arrival if more else None)


def one(event_id: int, ref: str) -> Row:
    """One registration of this talk. Raises NotFound for one of another talk, and for none."""
    found = rows(event_id, (Registration.event_id == event_id, Registration.ref == ref), 1)
    if not found:
        raise NotFound
    return found[0]


def invitation(registration: Registration) -> tuple[Invited, Message | None]:
    """How the invitation of one registration stands, and its newest calendar mail. One query."""
    found = (
        sa.select(_invited(), Message)
        .select_from(Registration)
        .outerjoin(Message, Message.id == _newest(newest := aliased(Message), newest.id))
        .where(Registration.id == registration.id)
        .options(defer(Message.facts))
    )
    state, mail = db.session.execute(found).one()
    return Invited(state), mail


def mails(registration: Registration) -> list[Message]:
    """What was owed to this person about this registration, newest first; nothing about other talks."""
    owed = (
        sa.select(Message)
        .where(Message.registration_id == registration.id, Message.event_id == registration.event_id)
        .order_by(Message.id.desc())
        .limit(100)
        .options(defer(Message.facts), joinedload(Message.part))
    )
    return list(db.session.scalars(owed))


def part_answers(registration: Registration) -> list[str]:
    """What the calendar answered to each part of a talk of several, in words; nothing where it has not. One query."""
    talk = registration.event
    if not parts.several(talk):
        return []
    said = answers.of_parts(registration)
    return [
        _("Part %(number)s, %(when)s: %(answer)s", number=part.position, when=parts.when(talk, part), answer=words)
        for part in parts.live(talk)
        if (words := answer_words(said.get(part.id, PartStat.NEEDS_ACTION)))
    ]


def sent_back_at(registration: Registration) -> datetime | None:
    """Since when mail to this address comes back for good; None if it does not, or was proved anew since."""
    at, proved_at = registration.person.bounced_at, registration.proved_at
    return None if at is None or (proved_at is not None and proved_at >= at) else at


def matching(event_id: int, search: Search) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on Registration joined with Person."""
    conditions = [Registration.event_id == event_id, *shown(search.show, event_id)]
    if search.invited is not None:
        conditions.append(_invited() == search.invited.value)
    if search.words:
        # SQLite folds ASCII only: the other spellings make "ü" find "Ü".
        spellings = {search.words, search.words.lower(), search.words.upper()}
        columns = (Registration.name, Registration.agency, Person.email)
        conditions.append(sa.or_(*(c.icontains(s, autoescape=True) for c in columns for s in sorted(spellings))))
    return tuple(conditions)


def shown(show: Show, event_id: int | None = None) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions on Registration for what a chip shows."""
    if show is Show.ALL:
        return ()
    if show is Show.NEEDS:
        # said as what it is not: the status is no way to search for the few of one talk
        coming = Registration.status.not_in((Status.CANCELLED, Status.EXPIRED))
        return (Registration.needs != "", Registration.needs_consent_at.is_not(None), coming)
    if show is Show.UNDELIVERED:
        return (Registration.id.in_(undelivered(event_id)), Registration.status != Status.EXPIRED)
    return (Registration.status == Status(show.value),)


def undelivered(event_id: int | None = None) -> sa.Select[int | None]:
    """Ids of registrations, of one talk or of all, whose newest mail did not arrive; of several parts one of them."""
    mail, later = aliased(Message), aliased(Message)
    newer = sa.select(later.id).where(*_replaces(later, mail))
    return sa.select(mail.registration_id).where(
        mail.state.in_(UNDELIVERED),
        mail.registration_id.is_not(None),
        mail.event_id == event_id if event_id is not None else sa.true(),
        ~newer.exists(),
    )


# --- words -----------------------------------------------------------------------------------------------


def status_words(row: Row) -> str:
    """ "Bestätigt", "Warteliste, Platz 3", …: state and place in line in words; of a talk that is off, what was."""
    if row.registration.event.state is EventState.CANCELLED and row.registration.status in WERE_IN:
        return str(WERE_IN[row.registration.status])
    if row.place and row.registration.proved_at is None:
        return str(_("Waiting list, place %(place)s, not confirmed yet", place=row.place))
    if row.place:
        return str(_("Waiting list, place %(place)s", place=row.place))
    words: dict[Status, str] = {
        Status.HELD: _("Reserved, not confirmed yet"),
        Status.WAITING: _("Waiting list"),
        Status.OFFERED: _("Offered a place"),
        Status.CONFIRMED: _("Confirmed"),
        Status.CANCELLED: _("No longer signed up"),
        Status.EXPIRED: _("Never confirmed"),
    }
    return words[row.registration.status]


def mode_words(mode: Mode) -> str:
    return str(_("on site") if mode is Mode.ON_SITE else _("online"))


def answer_words(answer: PartStat) -> str:
    """What the calendar answered, or nothing."""
    words: dict[PartStat, str] = {
        PartStat.NEEDS_ACTION: "",
        PartStat.ACCEPTED: _("Accepted"),
        PartStat.TENTATIVE: _("Tentatively accepted"),
        PartStat.DECLINED: _("Declined in the calendar"),
        PartStat.DELEGATED: _("Passed on in the calendar"),
    }
    return words[answer]


# --- queries ---------------------------------------------------------------------------------------------


def rows(event_id: int, conditions: tuple[sa.ColumnElement[bool], ...], limit: int | None) -> list[Row]:
    """Registrations of one talk under these conditions, in order of arrival; all of them without a limit. One query."""
    line = (
        sa.select(
            Registration.id,
            sa.func.row_number().over(partition_by=Registration.mode, order_by=Registration.arrival).label("place"),
        )
        .where(Registration.event_id == event_id, Registration.status == Status.WAITING)
        .subquery()
    )
    newest = aliased(Message)
    found = (
        sa.select(Registration, sa.func.coalesce(line.c.place, 0), Message, _invited())
        .join(Registration.person)
        .outerjoin(line, line.c.id == Registration.id)
        .outerjoin(Message, Message.id == _newest(newest, newest.id))
        .where(*conditions)
        .order_by(Registration.arrival)
        .options(contains_eager(Registration.person), defer(Message.facts))
        .limit(limit)
    )
    return [
        Row(registration, place, mail, Invited(invited))
        for registration, place, mail, invited in db.session.execute(found)
    ]


def _newest(mail: type[Message], wanted: Any) -> Any:
    """Something about the newest calendar mail of a registration of the query around it; null without one.

    Of several parts each has a newest one: of these the one that has come least far. The talk is left out on
    purpose: by it a database would read all mails of the talk for each of its registrations.
    """
    later = aliased(Message)
    newer = sa.select(later.id).where(
        *_replaces(later, mail), later.kind.in_(CALENDAR_KINDS), later.sequence.is_not(None)
    )
    far = sa.case(
        (mail.state.in_(LEAST_FAR) & ~newer.exists(), sa.case(LEAST_FAR, value=mail.state)), else_=len(LEAST_FAR)
    )
    chosen = (
        sa.select(wanted)
        .where(
            mail.registration_id == Registration.id,
            mail.kind.in_(CALENDAR_KINDS),
            mail.sequence.is_not(None),
            mail.state != MessageState.SUPERSEDED,
        )
        .order_by(far, mail.id.desc())
        .limit(1)
    )
    return chosen.correlate(Registration).scalar_subquery()


def _replaces(later: type[Message], mail: type[Message]) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions for `later` being about the same as `mail` and newer, so that what became of `mail` does not count.

    Of a talk of several parts each part stands alone in a calendar, and a course by its rule beside its parts.
    """
    irregular = sa.exists(sa.select(Event.id).where(Event.id == mail.event_id, Event.repeat_weeks == 0))
    same = sa.or_(
        later.part_id.is_(None),
        later.part_id == mail.part_id,
        mail.sequence.is_(None),
        later.kind.in_(WITHDRAWING) & mail.kind.not_in(WITHDRAWING),
        mail.part_id.is_(None) & irregular,
    )
    newer = (later.id > mail.id, later.state != MessageState.SUPERSEDED)
    return later.registration_id == mail.registration_id, *newer, same


def _invited() -> Any:
    """`Invited` of a registration of the query around it: the one place that knows how it is told."""
    mail = aliased(Message)
    withdrawn = sa.and_(mail.kind.in_(WITHDRAWING), Registration.partstat != PartStat.DECLINED)
    outdated = mail.sequence < sa.func.coalesce(Registration.sequence, 0)
    state = sa.case(
        *((mail.state == state, invited.value) for state, invited in ON_THE_WAY.items()),
        (outdated, Invited.OUTDATED.value),
        (withdrawn, Invited.WITHDRAWN.value),
        *((Registration.partstat == answer, invited.value) for answer, invited in ANSWERS.items()),
    )
    return sa.func.coalesce(_newest(mail, state), Invited.NONE.value)
