"""A message an organiser writes to participants of one talk, and how its delivery stands."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, defer, joinedload

from whatsnext import i18n
from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.models import UNSETTLED, Event, Kind, Mailing, Message, MessageState, Mode, Person, Registration
from whatsnext.services import differences, outbox, parts, recipients, waiting_list
from whatsnext.services.recipients import Act

SAME_WITHIN = timedelta(hours=24)
PLACEHOLDERS = {
    "name": "name",
    "titel": "title",
    "title": "title",
    "wann": "when",
    "when": "when",
    "ort": "where",
    "where": "where",
}
PLACEHOLDER = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")
BRACED = re.compile(r"(?<!{){[^\W\d_][\w -]*}(?!})")
"""A word in single braces: meant as a placeholder, whether there is such a one or not."""
WAITING_TO_GO = (MessageState.OWED, MessageState.SENDING, MessageState.HELD)
CAN_BE_PAUSED = (MessageState.OWED, MessageState.SENDING, MessageState.DEFERRED)


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


PAUSED = _("Paused by an organiser.")
STOPPED = _("Stopped by an organiser.")


@dataclass(frozen=True)
class Words:
    """What an organiser writes, as plain text with placeholders."""

    subject: str
    body: str

    @property
    def unknown(self) -> list[str]:
        """What stands in braces like a placeholder and is none, as it was written."""
        found = dict.fromkeys(BRACED.findall(f"{self.subject}\n{self.body}"))
        return [word for word in found if not PLACEHOLDER.fullmatch(word)]

    def filled(self, event: Event, name: str, mode: Mode | None = None) -> dict[str, str]:
        """What the mail to someone of this name says, in the language spoken now; see `fill`."""
        return {"subject": fill(self.subject, event, name, mode), "body": fill(self.body, event, name, mode)}


@dataclass(frozen=True)
class Delivery:
    """How a mailing stands: how many mails were sent, wait, are tried later, are paused, failed, were not sent."""

    mailing: Mailing
    sent: int
    waiting: int
    later: int
    paused: int
    failed: int
    dropped: int

    @property
    def all(self) -> int:
        return self.settled + self.waiting + self.later + self.paused

    @property
    def settled(self) -> int:
        return self.sent + self.failed + self.dropped

    @property
    def running(self) -> bool:
        """Whether something may still change by itself."""
        return self.waiting + self.later > 0


def fill(words: str, event: Event, name: str, mode: Mode | None = None) -> str:
    """Put the facts in place of {name}, {titel}, {wann}, {ort}; anything else in braces stays text (safety.md P9).

    The place is that of whoever takes part by `mode`; None: every place the talk has.
    """
    facts = differences.facts(event)
    if mode is not None:
        facts |= {"online": ""} if mode is Mode.ON_SITE else {"where": "", "on_site": ""}
    values = {
        "name": name,
        "title": event.title,
        "when": parts.whole(event) or differences.when_in_words(facts),
        "where": differences.where_in_words(facts),
    }
    return PLACEHOLDER.sub(lambda match: values[PLACEHOLDERS[match[1]]], words)


def send(event_id: int, seal: str, words: Words, author: Person, now: datetime) -> Mailing:
    """Owe one mail to each of those the preview has shown; the same form sent twice makes one mailing.

    Raises RecipientsChanged, NobodyToTell, LinkInvalid, LinkExpired, NotFound.
    """
    event = waiting_list.lock(event_id)
    chosen = recipients.unseal(seal, event_id, Act.MESSAGE, now, (words.subject, words.body))
    if same := sent_before(event_id, words, author, now, told=(Message.registration_id, set(chosen.ids))):
        return same
    mailing = begin(event_id, words, author, now)
    for registration in chosen.people:
        with i18n.speaking(registration.language):
            facts = words.filled(event, registration.name, registration.mode)
        outbox.owe(Kind.ORGANISER_MESSAGE, now, registration=registration, mailing=mailing, facts=facts)
    return mailing


def begin(event_id: int, words: Words, author: Person, now: datetime) -> Mailing:
    """A mailing that has its number and no mails yet."""
    mailing = Mailing(event_id=event_id, author_id=author.id, subject=words.subject, body=words.body, created_at=now)
    db.session.add(mailing)
    db.session.flush()
    return mailing


def sent_before(
    event_id: int,
    words: Words,
    author: Person,
    now: datetime,
    *,
    told: tuple[InstrumentedAttribute[int | None], set[int]],
) -> Mailing | None:
    """The mailing that this very form has made already, within a day: same author, words and people.

    `told`: by which column of their mails people are known, and who they are.
    """
    whom, people = told
    same_words = sa.select(Mailing).where(
        Mailing.event_id == event_id,
        Mailing.author_id == author.id,
        Mailing.subject == words.subject,
        Mailing.body == words.body,
        Mailing.created_at > now - SAME_WITHIN,
    )
    for mailing in db.session.scalars(same_words):
        if set(db.session.scalars(sa.select(whom).where(Message.mailing_id == mailing.id))) == people:
            return mailing
    return None


def send_test(event_id: int, words: Words, author: Person, now: datetime) -> Message:
    """Owe the author the message as a participant would get it. Raises NotFound."""
    event = waiting_list.lock(event_id)
    with i18n.speaking(author.language):
        facts = words.filled(event, author.name or author.email)
    return outbox.owe(Kind.ORGANISER_MESSAGE, now, person=author, event=event, facts=facts)


def of_event(event_id: int) -> list[tuple[Mailing, int]]:
    """The messages written to participants of this talk, newest first, with how many people each went to."""
    number = sa.select(sa.func.count()).where(Message.mailing_id == Mailing.id).scalar_subquery()
    rows = db.session.execute(
        sa.select(Mailing, number).where(Mailing.event_id == event_id).order_by(Mailing.id.desc()).limit(50)
    )
    return [(mailing, count) for mailing, count in rows]


def delivery(event_id: int, mailing_id: int) -> Delivery:
    """How a mailing of this talk stands. Raises NotFound for one of another talk. Two queries."""
    mailing = _one(event_id, mailing_id)
    rows = db.session.execute(
        sa.select(
            Message.state,
            sa.func.count().label("number"),
            sa.func.sum(sa.case((Message.error == PAUSED, 1), else_=0)).label("paused"),
        )
        .where(Message.mailing_id == mailing.id)
        .group_by(Message.state)
    ).all()
    counts: dict[MessageState, int] = {row.state: row.number for row in rows}
    paused = sum(row.paused for row in rows if row.state is MessageState.HELD)
    return Delivery(
        mailing,
        sent=counts.get(MessageState.SENT, 0),
        waiting=sum(counts.get(state, 0) for state in WAITING_TO_GO) - paused,
        later=counts.get(MessageState.DEFERRED, 0),
        paused=paused,
        failed=counts.get(MessageState.FAILED, 0),
        dropped=counts.get(MessageState.LAPSED, 0) + counts.get(MessageState.SUPERSEDED, 0),
    )


def troubled(mailing: Mailing) -> list[Message]:
    """Its mails that failed or are tried again later, with their registrations; failed ones first."""
    found = (
        sa.select(Message)
        .where(
            Message.mailing_id == mailing.id,
            Message.event_id == mailing.event_id,
            Message.state.in_((MessageState.FAILED, MessageState.DEFERRED)),
        )
        .order_by(Message.state.desc(), Message.id)
        .limit(200)
        .options(joinedload(Message.registration), defer(Message.facts))
    )
    return list(db.session.scalars(found))


def retry(event_id: int, mailing_id: int, message_id: int, now: datetime) -> None:
    """Try one failed mail of this mailing again; nothing happens if it is on its way already. Raises NotFound."""
    mailing = _one(event_id, mailing_id)
    _try_again(Message.mailing_id == mailing.id, message_id, now)


def may_retry(message: Message, now: datetime) -> bool:
    """Whether another try makes sense: it failed, its talk is not over, and its words are kept somewhere.

    What a human wrote to the mailbox stands in the mail alone, and so do the words of a test.
    """
    event = message.event
    over = event is None or (event.ends_at is not None and event.ends_at <= now)
    return message.state is MessageState.FAILED and not over and _has_words(message)


def _has_words(message: Message) -> bool:
    worded = message.kind in (Kind.FORWARD, Kind.ORGANISER_MESSAGE, Kind.FOLLOWER_MESSAGE)
    return not worded or message.mailing_id is not None


def retry_any(event_id: int, message_id: int, now: datetime) -> None:
    """Try one failed mail about this talk again; nothing happens if it is on its way. Raises NotFound."""
    _try_again(Message.event_id == event_id, message_id, now)


def retry_one(registration: Registration, message_id: int, now: datetime) -> None:
    """Try one failed mail about this registration again; nothing happens if it is on its way. Raises NotFound."""
    _try_again(Message.registration_id == registration.id, message_id, now)


def pause(event_id: int, mailing_id: int, now: datetime) -> int:
    """Send nothing more of this mailing until it is resumed. Returns how many mails wait. Raises NotFound.

    The one that is being handed over this moment still goes. What was claimed and not begun is free again at once, what
    may be on the wire only after its lease (safety.md O2).
    """
    waits = sa.and_(Message.state == MessageState.SENDING, Message.begun.is_(False))
    free = sa.case((waits, now), else_=Message.not_before)
    return _change(_one(event_id, mailing_id), CAN_BE_PAUSED, state=MessageState.HELD, error=PAUSED, not_before=free)


def resume(event_id: int, mailing_id: int, now: datetime) -> int:
    """Send on what was paused, with as much time as at the beginning. Returns how many mails. Raises NotFound."""
    mailing = _one(event_id, mailing_id)
    event = db.session.get_one(Event, event_id)
    resumed = db.session.execute(
        sa.update(Message)
        .where(*_paused(mailing))
        .values(state=MessageState.OWED, error="", best_before=outbox.usual_best_before(event, now))
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return len(resumed.all())


def stop(event_id: int, mailing_id: int, now: datetime) -> int:
    """Send nothing more of this mailing, ever; the one that is being handed over this moment still goes.

    Returns how many stay unsent. Raises NotFound.
    """
    gone: dict[str, object] = {
        "state": MessageState.SUPERSEDED,
        "error": STOPPED,
        "raw": None,
        "facts": {},
        "settled_at": now,
    }
    return _change(_one(event_id, mailing_id), UNSETTLED, **gone)


def _change(mailing: Mailing, states: Collection[MessageState], **values: object) -> int:
    """Change its mails in these states, at once; a worker that had claimed one finds that it is not its any more."""
    changed = db.session.execute(
        sa.update(Message)
        .where(Message.mailing_id == mailing.id, Message.state.in_(states))
        .values(**values)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())


def _paused(mailing: Mailing) -> tuple[sa.ColumnElement[bool], ...]:
    return (Message.mailing_id == mailing.id, Message.state == MessageState.HELD, Message.error == PAUSED)


def _try_again(whose: sa.ColumnElement[bool], message_id: int, now: datetime) -> None:
    """A failed mail has forgotten what it said: it says it again from what is kept elsewhere."""
    message = db.session.scalar(sa.select(Message).where(Message.id == message_id, whose).with_for_update())
    if message is None or message.event_id is None or not _has_words(message):
        raise NotFound
    if message.state is MessageState.FAILED:
        outbox.retry_failed(message_id, message.event_id, now)
        message.facts = _said(message)


def _said(message: Message) -> dict[str, Any]:
    """What this mail has to say, as far as it is not in the registration and the talk anyway."""
    registration, event = message.registration, message.event
    if event is None:
        return {}
    if message.mailing_id is not None:
        mailing = db.session.get_one(Mailing, message.mailing_id)
        name = registration.name if registration else message.person.name if message.person else ""
        with i18n.speaking(message.language):
            return Words(mailing.subject, mailing.body).filled(event, name, registration.mode if registration else None)
    if registration is None:
        return {}
    if message.kind is Kind.UPDATE:  # the old state is gone: the mail shows the present one
        return {"old": {}, "text": ""}
    if message.kind is Kind.CANCELLATION and registration.cancelled_by is not None:
        return {"by": registration.cancelled_by.value, "had_place": message.sequence is not None}
    return {}


def _one(event_id: int, mailing_id: int) -> Mailing:
    mailing = db.session.scalar(sa.select(Mailing).where(Mailing.id == mailing_id, Mailing.event_id == event_id))
    if mailing is None:
        raise NotFound
    return mailing
