"""Whom an act on several participants is for: worked out by the server at the preview, and the same when it is done.

What was shown is sealed: the choice, who came out of it and the words to be sent. If other people would be meant at
the end, nothing happens and the new list is shown (experience.md §4, Message).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import (
    LinkInvalid,
    NobodyToInvite,
    NobodyToMoveUp,
    NobodyToRemove,
    NobodyToTell,
    NobodyToWrite,
    RecipientsChanged,
)
from whatsnext.models import Registration, Status
from whatsnext.services import participants
from whatsnext.services.participants import Invited, Search, Show
from whatsnext.tokens import Purpose

GOOD_FOR = timedelta(hours=24)


class Act(StrEnum):
    """What can be done with several participants at once."""

    MESSAGE = "message"
    INVITE = "invite"
    PROMOTE = "promote"
    REMOVE = "remove"


PROVED = Registration.proved_at.is_not(None)
POSSIBLE = {
    Act.MESSAGE: sa.and_(PROVED, Registration.status.in_((Status.CONFIRMED, Status.WAITING, Status.OFFERED))),
    Act.INVITE: Registration.status == Status.CONFIRMED,
    Act.PROMOTE: sa.and_(PROVED, Registration.status == Status.WAITING),
    Act.REMOVE: Registration.status.in_((Status.CONFIRMED, Status.WAITING, Status.OFFERED, Status.HELD)),
}

IMPOSSIBLE = {
    Act.MESSAGE: NobodyToWrite,
    Act.INVITE: NobodyToInvite,
    Act.PROMOTE: NobodyToMoveUp,
    Act.REMOVE: NobodyToRemove,
}


@dataclass(frozen=True)
class Choice:
    """Participants of one talk: those ticked (`refs`), or all that a search finds (`search`)."""

    event_id: int
    act: Act
    refs: tuple[str, ...] = ()
    search: Search | None = None


@dataclass(frozen=True)
class Recipients:
    """Who comes out of a choice now: `people` in order of arrival; `left_out` of the chosen cannot be meant."""

    choice: Choice
    people: list[Registration]
    left_out: int

    @property
    def ids(self) -> list[int]:
        return [registration.id for registration in self.people]

    @property
    def leaving(self) -> list[int]:
        """The same, those in line first: nobody is moved up by a place that is freed only to be removed as well."""
        return [registration.id for registration in sorted(self.people, key=lambda one: one.status != Status.WAITING)]


def choose(choice: Choice) -> Recipients:
    """Work out whom a choice means now. Raises NobodyToTell, or one that says why, if that is nobody. Two queries."""
    chosen = _chosen(choice)
    wanted = db.session.scalar(
        sa.select(sa.func.count()).select_from(Registration).join(Registration.person).where(*chosen)
    )
    people = list(
        db.session.scalars(
            sa.select(Registration)
            .join(Registration.person)
            .where(*chosen, POSSIBLE[choice.act])
            .order_by(Registration.arrival)
            .options(contains_eager(Registration.person))
        )
    )
    if not people:
        raise IMPOSSIBLE[choice.act] if wanted else NobodyToTell
    return Recipients(choice, people, (wanted or 0) - len(people))


def reached(event_id: int) -> dict[Status, int]:
    """How many people of this talk a message can reach, by how they stand. One query."""
    rows = db.session.execute(
        sa.select(Registration.status, sa.func.count().label("number"))
        .where(Registration.event_id == event_id, POSSIBLE[Act.MESSAGE])
        .group_by(Registration.status)
    )
    return {row.status: row.number for row in rows}


def seal(recipients: Recipients, now: datetime, words: Sequence[str] = ()) -> str:
    """What the preview has shown, as a token that comes back with the button."""
    choice = recipients.choice
    found = choice.search
    search = [found.show, found.words, found.invited] if found else None
    subject = [choice.event_id, choice.act, list(choice.refs), search, _fingerprint(recipients, words)]
    return tokens.sign(Purpose.PREVIEW, subject, now + GOOD_FOR)


def sealed_choice(token: str, event_id: int, now: datetime) -> Choice:
    """The choice that was sealed for this talk. Raises LinkInvalid, LinkExpired."""
    choice, _print = _read(token, event_id, now)
    return choice


def unseal(token: str, event_id: int, act: Act, now: datetime, words: Sequence[str] = ()) -> Recipients:
    """Whom the preview has shown. Call inside `write()`, with the event locked.

    Raises RecipientsChanged if the choice means others now or the words differ, NobodyToTell if it means nobody,
    LinkInvalid and LinkExpired.
    """
    choice, shown = _read(token, event_id, now)
    if choice.act is not act:
        raise LinkInvalid
    recipients = choose(choice)
    if not tokens.same(shown, _fingerprint(recipients, words)):
        raise RecipientsChanged
    return recipients


def _read(token: str, event_id: int, now: datetime) -> tuple[Choice, str]:
    subject = tokens.read(Purpose.PREVIEW, token, now)
    if len(subject) != 5:
        raise LinkInvalid  # made for a message to followers
    sealed_for, act, refs, search, shown = subject
    if sealed_for != event_id:
        raise LinkInvalid
    return Choice(event_id, Act(act), tuple(refs), _search(*search) if search else None), shown


def _search(show: str, words: str, invited: str | None = None) -> Search:
    """What was sealed; previews shown before an update of the application know no `invited`."""
    return Search(Show(show), words, Invited(invited) if invited else None)


def _chosen(choice: Choice) -> tuple[sa.ColumnElement[bool], ...]:
    if choice.search is not None:
        return participants.matching(choice.event_id, choice.search)
    return (Registration.event_id == choice.event_id, Registration.ref.in_(choice.refs))


def _fingerprint(recipients: Recipients, words: Sequence[str]) -> str:
    people = [f"{person.id} {person.status} {person.person.email}" for person in recipients.people]
    return tokens.digest("\n".join([*people, *words]))
