"""A message an organiser writes to everyone who follows the theme of a talk; its delivery is that of any mailing.

The organiser sees how many they are, not who: whoever follows a theme takes part in nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from whatsnext import i18n, tokens
from whatsnext.db import db
from whatsnext.errors import LinkInvalid, NobodyToTell, RecipientsChanged
from whatsnext.models import Event, EventState, Follow, Kind, Mailing, Message, Person, Theme
from whatsnext.services import mailings, outbox, recipients, waiting_list
from whatsnext.services.mailings import Words
from whatsnext.tokens import Purpose

FOLLOWERS = "followers"


@dataclass(frozen=True)
class Followers:
    """Who is meant now: rows (id, person_id, email, language, name) in the order in which they asked."""

    theme: Theme
    rows: Sequence[sa.Row[int, int, str, str, str]]

    @property
    def number(self) -> int:
        return len(self.rows)


def _wishes(event: Event) -> sa.Select[int, int, str, str, str]:
    """Those who hear of the theme, as the news of a new talk would reach them."""
    meant = (Follow.theme_id == event.theme_id, Follow.proved_at.is_not(None), Follow.ended_at.is_(None))
    chosen = sa.select(Follow.id, Follow.person_id, Person.email, Follow.language, Person.name)
    return chosen.join(Follow.person).where(*meant).order_by(Follow.id)


def number(event: Event) -> int:
    """How many follow the theme of this talk; nobody is told of a talk that is not published. One query."""
    if event.theme_id is None or event.state is not EventState.PUBLISHED:
        return 0
    return db.session.scalar(sa.select(sa.func.count()).select_from(_wishes(event).subquery())) or 0


def choose(event: Event) -> Followers:
    """Who follows the theme of this talk. Raises NobodyToTell."""
    if event.theme is None or event.state is not EventState.PUBLISHED:
        raise NobodyToTell
    followers = Followers(event.theme, db.session.execute(_wishes(event)).all())
    if not followers.rows:
        raise NobodyToTell
    return followers


def seal(event: Event, followers: Followers, words: Words, now: datetime) -> str:
    """What the preview has shown, as a token that comes back with the button."""
    subject = [event.id, FOLLOWERS, _fingerprint(followers, words)]
    return tokens.sign(Purpose.PREVIEW, subject, now + recipients.GOOD_FOR)


def send(event_id: int, token: str, words: Words, author: Person, now: datetime) -> Mailing:
    """Owe one mail to each of those the preview has counted; the same form sent twice makes one mailing.

    Raises RecipientsChanged, NobodyToTell, LinkInvalid, LinkExpired, NotFound.
    """
    event = waiting_list.lock(event_id)
    followers = choose(event)
    match tokens.read(Purpose.PREVIEW, token, now):
        case [sealed_for, kind, shown] if (sealed_for, kind) == (event_id, FOLLOWERS):
            if not tokens.same(shown, _fingerprint(followers, words)):
                raise RecipientsChanged
        case _:
            raise LinkInvalid
    told = {row.person_id for row in followers.rows}
    if same := mailings.sent_before(event_id, words, author, now, told=(Message.person_id, told)):
        return same
    mailing = mailings.begin(event_id, words, author, now)
    db.session.execute(sa.insert(Message), [_row(mailing, event, row, words, now) for row in followers.rows])
    return mailing


def _row(
    mailing: Mailing, event: Event, follower: sa.Row[int, int, str, str, str], words: Words, now: datetime
) -> dict[str, Any]:
    follow_id, person_id, email, language, name = follower
    with i18n.speaking(language):
        facts = words.filled(event, name)
    about = {"person_id": person_id, "recipient": email, "language": language, "mailing_id": mailing.id}
    return outbox.row(Kind.FOLLOWER_MESSAGE, now, event, **about, follow_id=follow_id, facts=facts, sequence=None)


def _fingerprint(followers: Followers, words: Words) -> str:
    people = [f"{row.id} {row.email}" for row in followers.rows]
    return tokens.digest("\n".join([*people, words.subject, words.body]))
