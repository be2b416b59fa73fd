"""Following a theme, or the opening of one talk's sign-up, by mail: asked for, proved by a button, ended any time.

A stranger learns nothing from asking: whoever the address belongs to, the answer is the same (safety.md I10, O5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import LinkInvalid, LinkUsed, NotFound
from whatsnext.models import Event, EventState, Follow, Kind, Message, Person, Theme
from whatsnext.services import outbox, people
from whatsnext.tokens import Purpose

ASK_AGAIN_AFTER = timedelta(minutes=1)
"""The same form sent twice owes one mail (safety.md R5)."""
CONFIRM_LIFE = timedelta(hours=48)
FOLLOW_LIFE = timedelta(days=3 * 365)
"""A mail may lie for long before someone wants no more of its kind (RFC 8058 §4 asks for weeks)."""


@dataclass(frozen=True)
class Asker:
    """Who asks: `email` is normalised, `browser` the digest of the asking browser's cookie."""

    email: str
    language: str = "de"
    browser: str = ""


def follow_theme(slug: str, asker: Asker, now: datetime) -> None:
    """Ask the owner of an address whether to hear of the new talks of a theme. Raises NotFound."""
    theme = db.session.scalar(sa.select(Theme).where(Theme.slug == slug))
    if theme is None:
        raise NotFound
    _ask(asker, Follow.theme_id == theme.id, {"theme": theme}, now)


def follow_opening(slug: str, asker: Asker, now: datetime) -> None:
    """The same for a mail when sign-up to one published talk opens. Raises NotFound."""
    event = db.session.scalar(sa.select(Event).where(Event.slug == slug, Event.state == EventState.PUBLISHED))
    if event is None:
        raise NotFound
    _ask(asker, Follow.event_id == event.id, {"event": event}, now)


def _ask(asker: Asker, meant: sa.ColumnElement[bool], subject: dict[str, Any], now: datetime) -> None:
    language = asker.language
    person = people.with_address(asker.email, language, now)
    follow = db.session.scalar(sa.select(Follow).where(Follow.person_id == person.id, meant).with_for_update())
    if follow is None:
        follow = Follow(person=person, **subject)
        db.session.add(follow)
    elif follow.asked_at > now - ASK_AGAIN_AFTER and not is_over(follow):
        return
    if not holds(follow):
        follow.proved_at, follow.ended_at, follow.told_at = None, None, None
        follow.language, follow.browser = language, asker.browser
    follow.asked_at = now
    db.session.flush()
    outbox.owe_unasked(
        Kind.FOLLOW_REQUEST, now, person, language=language, facts={"follow": follow.id}, best_before=now + CONFIRM_LIFE
    )


def holds(follow: Follow) -> bool:
    """Whether the person is told: proved, not ended, and an opening not told yet."""
    return follow.proved_at is not None and not is_over(follow)


def is_over(follow: Follow) -> bool:
    """Whether the person has ended it, or the opening was told."""
    return follow.ended_at is not None or follow.told_at is not None


def of(message: Message) -> Follow | None:
    """What this mail was asked for by; one settled before rows kept it looks by person and talk."""
    if follow_id := message.follow_id or message.facts.get("follow"):
        found = db.session.get(Follow, follow_id)
        return found if found and found.person_id == message.person_id else None
    event = message.event
    if event is None or message.person_id is None:
        return None
    opening = message.kind is Kind.SIGN_UP_OPENS
    meant = Follow.event_id == event.id if opening else Follow.theme_id == event.theme_id
    return db.session.scalar(sa.select(Follow).where(Follow.person_id == message.person_id, meant))


# --- links -----------------------------------------------------------------------------------------------


def confirm_token(follow: Follow) -> str:
    """The token of the link that proves the wish."""
    subject = [follow.id, int(follow.asked_at.timestamp())]
    return tokens.sign(Purpose.FOLLOW, subject, follow.asked_at + CONFIRM_LIFE)


def by_confirm_token(token: str, now: datetime) -> Follow:
    """Reads. Raises LinkInvalid, LinkExpired, LinkUsed for a link older than the newest one."""
    follow_id, asked = tokens.read(Purpose.FOLLOW, token, now)
    follow = db.session.get(Follow, follow_id)
    if follow is None:
        raise LinkInvalid
    if int(follow.asked_at.timestamp()) != asked:
        raise LinkUsed
    return follow


def follow_token(follow: Follow, now: datetime) -> str:
    """The token of the page that shows and ends a wish; it stands in each mail of it."""
    return tokens.sign(Purpose.UNFOLLOW, follow.id, now + FOLLOW_LIFE)


def by_follow_token(token: str, now: datetime) -> Follow:
    """Reads. Raises LinkInvalid, LinkExpired."""
    follow = db.session.get(Follow, tokens.read(Purpose.UNFOLLOW, token, now))
    if follow is None:
        raise LinkInvalid
    return follow


def confirm(follow_id: int, now: datetime) -> Follow:
    """The address is proved: from now on the person is told. Twice is the same as once; what was ended stays so."""
    follow = _locked(follow_id)
    if follow.proved_at is None and follow.ended_at is None:
        follow.proved_at = now
        person = follow.person
        person.proved_at = person.proved_at or now
        person.blocked_at = None
    return follow


def end(follow_id: int, now: datetime) -> Follow:
    """No more mails of this wish, a request not yet confirmed included. Twice is the same as once."""
    follow = _locked(follow_id)
    follow.ended_at = follow.ended_at or now
    return follow


def _locked(follow_id: int) -> Follow:
    follow = db.session.get(Follow, follow_id, with_for_update=True, populate_existing=True)
    if follow is None:
        raise NotFound
    return follow


# --- news ------------------------------------------------------------------------------------------------


def tell_published(event: Event, now: datetime) -> int:
    """Owe the news of a talk to everyone who follows its theme. Call in the transaction that publishes it.

    Nobody hears of a talk that has begun. Returns how many are told.
    """
    followers = db.session.execute(_to_tell(event, now)).all()
    _insert([_row(Kind.NEWS, event, follower, now) for follower in followers])
    return len(followers)


def number_to_tell(event: Event, now: datetime) -> int:
    """How many `tell_published` would tell. One query."""
    return db.session.scalar(sa.select(sa.func.count()).select_from(_to_tell(event, now).subquery())) or 0


def _to_tell(event: Event, now: datetime) -> sa.Select[int, int, str, str]:
    meant = (Follow.theme_id == event.theme_id, Follow.proved_at.is_not(None), Follow.ended_at.is_(None))
    to_come = event.theme_id is not None and event.starts_at is not None and event.starts_at > now
    return _wishes().where(*meant) if to_come else _wishes().where(sa.false())


def tell_opened(now: datetime) -> int:
    """Owe a mail to everyone who asked to hear when sign-up to a talk opens, once it is open. Returns how many."""
    opened = sa.or_(Event.registration_opens.is_(None), Event.registration_opens <= now)
    open_still = sa.or_(Event.registration_closes.is_(None), Event.registration_closes > now)
    event_ids = db.session.scalars(
        sa.select(Follow.event_id)
        .join(Follow.event)
        .where(Follow.told_at.is_(None), Follow.proved_at.is_not(None), Follow.ended_at.is_(None))
        .where(Event.state == EventState.PUBLISHED, Event.starts_at > now, opened, open_still)
        .distinct()
    ).all()
    told = 0
    for event_id in sorted(filter(None, event_ids)):
        event = db.session.get_one(Event, event_id)
        waiting = (Follow.event_id == event_id, Follow.told_at.is_(None), Follow.ended_at.is_(None))
        followers = db.session.execute(_wishes().where(*waiting, Follow.proved_at.is_not(None))).all()
        _insert([_row(Kind.SIGN_UP_OPENS, event, follower, now) for follower in followers])
        db.session.execute(
            sa.update(Follow)
            .where(Follow.id.in_([follower.id for follower in followers]))
            .values(told_at=now)
            .execution_options(synchronize_session=False)
        )
        told += len(followers)
    return told


def _wishes() -> sa.Select[int, int, str, str]:
    """Rows (id, person_id, email, language), oldest first."""
    chosen = sa.select(Follow.id, Follow.person_id, Person.email, Follow.language)
    return chosen.join(Follow.person).order_by(Follow.id)


def _row(kind: Kind, event: Event, follower: Any, now: datetime) -> dict[str, Any]:
    row = outbox.row(
        kind,
        now,
        event,
        person_id=follower.person_id,
        recipient=follower.email,
        language=follower.language,
        sequence=None,
        follow_id=follower.id,
        facts={},
    )
    return {**row, "best_before": min(row["best_before"], event.starts_at)}


def _insert(rows: list[dict[str, Any]]) -> None:
    if rows:
        db.session.execute(sa.insert(Message), rows)
