"""Signing in by a mailed link or code, and who is signed in where (safety.md I2, I3, I9 to I12).

A link works once, for ten minutes, in the browser that asked for it; the code of the same mail works where the
sign-in began. What is signed in lives in a row; the browser holds only its secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import joinedload

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import CodeWrong, LinkInvalid, LinkUsed, TooManyTries, WrongBrowser
from whatsnext.i18n import language, speaking
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Kind, Person, SignedIn, SignInLink
from whatsnext.permissions import Right, Role, may
from whatsnext.services import outbox

LINK_LIFE = timedelta(minutes=10)
TRIES = 5
IDLE = timedelta(hours=12)
LONGEST = timedelta(days=14)
LONGEST_OF_ORGANISERS = timedelta(hours=8)
FRESH = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=5)

ROLES = {
    Role.ATTENDEE: _l("attendee"),
    Role.HELPER: _l("helper"),
    Role.ORGANISER: _l("organiser"),
    Role.OPERATOR: _l("operator"),
}


@dataclass(frozen=True)
class Entry:
    """A sign-in that worked: the secret for the browser's cookie, and the page the person wanted."""

    secret: str
    person: Person
    target: str


# --- asking ----------------------------------------------------------------------------------------------


def ask(email: str, browser: str, target: str, now: datetime, *, registrations: bool = False) -> None:
    """Owe a link and a code to whoever has this address; the same work is done if nobody has it.

    `email` is normalised, `browser` the secret of the asking browser, `target` a path of ours or "". `registrations`:
    the person asked for the own registrations, so that the mail calls the link that.
    """
    person = db.session.scalar(sa.select(Person).where(Person.email == email))
    db.session.execute(sa.update(SignInLink).where(*_asked_by(browser, now)).values(code=""))  # the newest code counts
    _link, token, code = _new_link(person, tokens.digest(browser), target, now)
    facts = {"link_token": token, "code": code, "registrations": registrations}
    best_before = now + LINK_LIFE
    with db.session.begin_nested() as owed:
        outbox.owe(Kind.SIGN_IN, now, person=person, language=language(), facts=facts, best_before=best_before)
        db.session.flush()
        if person is None:
            owed.rollback()


def command_line_link(email: str, now: datetime) -> str:
    """The token of a link that works in any browser, once, for ten minutes. Raises LinkInvalid for an unknown address.

    Only someone at the machine gets it: nothing is mailed.
    """
    person = db.session.scalar(sa.select(Person).where(Person.email == email))
    if person is None:
        raise LinkInvalid
    return _new_link(person, "", "", now)[1]


def _new_link(person: Person | None, browser: str, target: str, now: datetime) -> tuple[SignInLink, str, str]:
    """The row, the token for the link, and the code."""
    code, token_id, ends = tokens.random_code(), tokens.random_base32(), now + LINK_LIFE
    link = SignInLink(
        token_id=token_id,
        person=person,
        browser=browser,
        code=_code_digest(token_id, code),
        target=target[:300],
        created_at=now,
        ends_at=ends,
    )
    db.session.add(link)
    return link, tokens.sign(tokens.Purpose.SIGN_IN, [token_id, code], ends), code


# --- links and codes -------------------------------------------------------------------------------------


def open_link(token: str, browser: str, now: datetime) -> SignInLink:
    """The link behind a token, for showing its button. Changes nothing.

    Raises LinkInvalid, LinkExpired, LinkUsed, and WrongBrowser where another browser asked; the error's fact `code` is
    what to type there.
    """
    token_id, code = _read(token, now)
    link = db.session.scalar(
        sa.select(SignInLink).options(joinedload(SignInLink.person)).where(SignInLink.token_id == token_id)
    )
    if link is None or link.person is None:
        raise LinkInvalid
    if link.used_at is not None:
        raise LinkUsed
    if link.browser and not tokens.same(link.browser, tokens.digest(browser)):
        raise WrongBrowser(code=code)
    return link


def redeem_link(token: str, browser: str, now: datetime) -> Entry:
    """Sign in by the pressed button. Of two presses at the same moment one wins. Raises as `open_link`."""
    return _enter(open_link(token, browser, now), now)


def of_dead_link(token: str) -> tuple[str, str]:
    """Address and target of a link that has expired or was used. Raises LinkInvalid for one that was never ours."""
    subject = tokens.subject_of_expired(tokens.Purpose.SIGN_IN, token)
    token_id = str(subject[0]) if isinstance(subject, list) and subject else ""
    link = db.session.scalar(sa.select(SignInLink).where(SignInLink.token_id == token_id))
    if link is None or link.person is None:
        raise LinkInvalid
    return link.person.email, link.target


def was_printed(token: str) -> bool:
    """Whether a link of ours, expired or used, came from the command line instead of by mail."""
    subject = tokens.subject_of_expired(tokens.Purpose.SIGN_IN, token)
    token_id = str(subject[0]) if isinstance(subject, list) and subject else ""
    return db.session.scalar(sa.select(SignInLink.browser).where(SignInLink.token_id == token_id)) == ""


def count_try(browser: str, now: datetime) -> None:
    """Count one typed code, before it is looked at and in a transaction of its own. Raises TooManyTries after five."""
    counted = db.session.execute(
        sa.update(SignInLink)
        .where(*_asked_by(browser, now), SignInLink.code != "", SignInLink.tries < TRIES)
        .values(tries=SignInLink.tries + 1)
        .returning(SignInLink.id)
    )
    if not counted.all():
        raise TooManyTries


def redeem_code(code: str, browser: str, now: datetime) -> Entry:
    """Sign in by the code, where the sign-in began. Call after `count_try`. Raises CodeWrong."""
    code = "".join(code.split()).replace("-", "").upper()
    for link in db.session.scalars(sa.select(SignInLink).where(*_asked_by(browser, now))):
        if tokens.same(link.code, _code_digest(link.token_id, code)) and link.person is not None:
            return _enter(link, now)
    raise CodeWrong


def _asked_by(browser: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return SignInLink.browser == tokens.digest(browser), SignInLink.used_at.is_(None), SignInLink.ends_at > now


def _code_digest(token_id: str, code: str) -> str:
    """A code has 38 bits only: its digest is salted by the link and keyed by the installation."""
    return tokens.digest(f"{token_id} {code} {current_app.config['SECRET_KEY']}")


def _read(token: str, now: datetime) -> tuple[str, str]:
    subject = tokens.read(tokens.Purpose.SIGN_IN, token, now)
    if not (isinstance(subject, list) and len(subject) == 2):
        raise LinkInvalid
    return str(subject[0]), str(subject[1])


def _enter(link: SignInLink, now: datetime) -> Entry:
    won = db.session.execute(
        sa.update(SignInLink)
        .where(SignInLink.id == link.id, SignInLink.used_at.is_(None))
        .values(used_at=now)
        .returning(SignInLink.id)
    )
    person = link.person
    if won.first() is None or person is None:
        raise LinkUsed
    person.proved_at = person.proved_at or now
    person.blocked_at = None  # "no more mails" holds until then
    secret = tokens.random_secret()
    db.session.add(SignedIn(digest=tokens.digest(secret), person=person, started_at=now, seen_at=now))
    return Entry(secret, person, link.target)


# --- signed in -------------------------------------------------------------------------------------------


def signed_in(secret: str, now: datetime) -> SignedIn | None:
    """The signed-in state behind a browser's secret, None if it has ended."""
    found = db.session.scalar(
        sa.select(SignedIn).options(joinedload(SignedIn.person)).where(SignedIn.digest == tokens.digest(secret))
    )
    return found if found is not None and now < _ends(found) else None


def _ends(found: SignedIn) -> datetime:
    longest = LONGEST_OF_ORGANISERS if may(found.person.role, Right.PLAN) else LONGEST
    return min(found.seen_at + IDLE, found.started_at + longest)


def is_fresh(found: SignedIn, now: datetime) -> bool:
    """Whether the proof is younger than ten minutes (safety.md I12)."""
    return now < found.started_at + FRESH


def is_stale(found: SignedIn, now: datetime) -> bool:
    """Whether the last-seen time is old enough to be kept anew."""
    return found.seen_at <= now - SEEN_EVERY


def note_seen(secret: str, now: datetime) -> None:
    """Keep the last-seen time, to five minutes: the one thing a GET may change (safety.md I1)."""
    db.session.execute(
        sa.update(SignedIn)
        .where(SignedIn.digest == tokens.digest(secret), SignedIn.seen_at <= now - SEEN_EVERY)
        .values(seen_at=now)
    )


def sign_out(secret: str) -> None:
    """End the signed-in state of one browser."""
    db.session.execute(sa.delete(SignedIn).where(SignedIn.digest == tokens.digest(secret)))


def end_everywhere(person_id: int) -> None:
    """End it in every browser of this person."""
    db.session.execute(sa.delete(SignedIn).where(SignedIn.person_id == person_id))


# --- roles -----------------------------------------------------------------------------------------------


def appoint(email: str, name: str, role: Role, now: datetime) -> Person:
    """Give someone a role, from the command line; the person is told by mail, a new one is welcomed (I12).

    The roles of someone who loses rights end at once: every page reads the role anew.
    """
    person = db.session.scalar(sa.select(Person).where(Person.email == email))
    what = "welcome" if person is None else "role"
    if person is None:
        person = Person(email=email, name=name, role=role, created_at=now)
        db.session.add(person)
    else:
        person.name = name or person.name
        person.role = role
    db.session.flush()
    with speaking(person.language):
        words = str(ROLES[role])
    outbox.owe(Kind.SECURITY_NOTICE, now, person=person, facts={"what": what, "role": words})
    return person


def appoint_first(email: str, now: datetime) -> Person:
    """The organiser of a new installation, who signs in by the printed link; nobody is told."""
    person = Person(email=email, role=Role.OPERATOR, created_at=now)
    db.session.add(person)
    db.session.flush()
    return person


def organiser_has_signed_in() -> bool:
    """Whether anyone who may plan has ever proved their address."""
    return db.session.scalar(sa.select(Person.id).where(_PLANS, Person.proved_at.is_not(None)).limit(1)) is not None


def first_organiser() -> Person | None:
    return db.session.scalar(sa.select(Person).where(_PLANS).order_by(Person.id).limit(1))


_PLANS = Person.role.in_([role for role in Role if may(role, Right.PLAN)])
