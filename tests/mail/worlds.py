"""One owed message of any kind, with everything around it that a mail could tell."""

import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.factories import NOON, Make
from whatsnext import jobs
from whatsnext.db import Base, write
from whatsnext.mail import wire
from whatsnext.models import Event, EventState, Kind, Message, Mode, Status
from whatsnext.services import differences, drafts, parts
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

JOIN_LINK = "https://video.behoerde.example/raum?pwd=ganz,geheim"
DIAL_IN = "+49 30 1234567"

STATUSES = {
    Kind.CONFIRMATION_REQUEST: Status.HELD,
    Kind.WAITING: Status.WAITING,
    Kind.OFFER: Status.OFFERED,
    Kind.CANCELLATION: Status.CANCELLED,
}
REQUESTS = (Kind.INVITATION, Kind.PROMOTION, Kind.UPDATE)
CANCELS = (Kind.CANCELLATION, Kind.EVENT_CANCELLATION, Kind.PART_CANCELLATION)
BULK = (Kind.NEWS, Kind.SIGN_UP_OPENS, Kind.FOLLOWER_MESSAGE)
FOLLOWED = (Kind.FOLLOW_REQUEST, *BULK)
LATER = datetime(2026, 1, 21, 14, 0)
OWN = tuple(
    kind
    for kind in Kind
    if kind not in (Kind.SIGN_IN, Kind.BARRIER_REPORT, Kind.SECURITY_NOTICE, Kind.FORWARD, *FOLLOWED)
)

FACTS: dict[Kind, dict[str, Any]] = {
    Kind.CANCELLATION: {"by": "attendee", "had_place": True},
    Kind.ORGANISER_MESSAGE: {"subject": "Raum geändert", "body": "Wir treffen uns in Raum 12.\n\nBis bald"},
    Kind.FOLLOWER_MESSAGE: {"subject": "Noch Plätze frei", "body": "Melden Sie sich an.\n\nBis bald"},
    Kind.SIGN_IN: {"link_token": "token-zum-Anmelden", "code": "BCDF2345"},
    Kind.BARRIER_REPORT: {"page": "/themes", "text": "Kein Alternativtext.", "contact": "leser@example.org"},
    Kind.FORWARD: {"from": "leser@example.org", "name": "Kim", "subject": "Frage zum Raum", "text": "Gibt es Netz?"},
    Kind.SECURITY_NOTICE: {"what": "export", "event": "Vortrag", "number": 12},
}


def talk(make: Make, **given: Any) -> Event:
    """A talk held both ways that tells everything it can."""
    series = make.series(
        name="What's NEXt, die Reihe",
        contact_name="Kim Muster",
        contact_email="kontakt@behoerde.example",
        contact_phone="030 12345",
    )
    filled: dict[str, Any] = {
        "series": series,
        "theme_id": make.theme(series=series, name="Blockchain").id,
        "title": "Blockchain in der Verwaltung",
        "summary": "Was *geht*, was nicht.",
        "agenda": "- Begrüßung\n- Vortrag",
        "places_on_site": 30,
        "places_online": 100,
        "join_link": JOIN_LINK,
        "dial_in": DIAL_IN,
        "cancelled_reason": "Die Referentin ist erkrankt.",
    }
    return make.event(**{**filled, **given})


def owed(make: Make, kind: Kind, language: str = "de", event: Event | None = None, **given: Any) -> Message:
    """A message of this kind to someone who takes part online, or who follows a theme or a talk's opening."""
    if kind in FOLLOWED:
        return _followed(make, kind, language, event, **given)
    if kind not in OWN:
        return make.message(kind, make.person(language=language), facts=given.pop("facts", FACTS[kind]), **given)
    event = event or talk(make)
    if kind is Kind.PART_CANCELLATION:
        given["part_id"] = call_off_first_part(event)
    if kind is Kind.EVENT_CANCELLATION:
        change(event, state=EventState.CANCELLED)
    status = given.pop("status", STATUSES.get(kind, Status.CONFIRMED))
    registration = make.registration(event, status, mode=given.pop("mode", Mode.ONLINE), language=language)
    facts = given.pop("facts", None) or dict(FACTS.get(kind, {}))
    if kind is Kind.UPDATE and "before" not in facts:
        facts["before"] = {**differences.facts(event), "title": "Blockchain"}
    sequence = given.pop("sequence", 0 if kind in REQUESTS else 1 if kind in CANCELS else None)
    change(registration, sequence=sequence, stamp=None)
    return make.message(kind, registration, facts=facts, sequence=sequence, created_at=NOON, **given)


def call_off_first_part(event: Event) -> int:
    """Give the talk a second part and call the first one off; returns its number."""
    if event.part_count == 1:
        with write():
            draft = replace(Draft.of(event), parts=(Part(), Part(starts_local=LATER)))
            parts.assign(event, drafts.times(draft).slots)
    first = event.parts[0]
    change(first, cancelled_at=NOON, cancelled_reason="Der Raum ist gesperrt.")
    return first.id


def _followed(make: Make, kind: Kind, language: str, event: Event | None, **given: Any) -> Message:
    """The opening of `event` where one is given or the mail is about one, else its theme."""
    opening = kind is Kind.SIGN_UP_OPENS or (kind is Kind.FOLLOW_REQUEST and event is not None)
    event = event or talk(make)
    what = {"event_id": event.id} if opening else {"theme_id": event.theme_id}
    given.pop("facts", None)
    proved_at = None if kind is Kind.FOLLOW_REQUEST else NOON
    follow = make.follow(make.person(language=language), language=language, proved_at=proved_at, **what)
    about = {"event_id": event.id} if kind in BULK else {}
    return make.message(
        kind, follow.person, facts={"follow": follow.id, **FACTS.get(kind, {})}, created_at=NOON, **about, **given
    )


def change(thing: Base | None, **values: Any) -> None:
    """Set columns of a row, committed."""
    assert thing is not None
    with write():
        for name, value in values.items():
            setattr(thing, name, value)


def send_all() -> int:
    """Send what is due, as one round of a worker does. Returns how many mails went out."""
    with contextlib.closing(wire.Courier()) as courier:
        return jobs.deliver_due(courier)
