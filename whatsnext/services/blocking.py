"""No more mails to an address that strangers may use: "keine weiteren Mails" (safety.md O7)."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from whatsnext import tokens
from whatsnext.db import db
from whatsnext.errors import LinkInvalid
from whatsnext.models import Person, Registration
from whatsnext.services import signup
from whatsnext.tokens import Purpose


def token(person: Person, now: datetime) -> str:
    """The token of "keine weiteren Mails", good for 30 days."""
    return tokens.sign(Purpose.BLOCK, person.id, now + timedelta(days=30))


def block(token: str, now: datetime) -> None:
    """No more mails that strangers cause, until the person signs in. Unproven holds of this address go."""
    person = db.session.get(Person, tokens.read(Purpose.BLOCK, token, now))
    if person is None:
        raise LinkInvalid
    person.blocked_at = now
    held = sa.select(Registration.id).where(
        Registration.person_id == person.id, Registration.proved_at.is_(None), Registration.status.in_(signup.ACTIVE)
    )
    for registration_id in db.session.scalars(held.order_by(Registration.event_id)).all():
        signup.decline_request(registration_id, now)
