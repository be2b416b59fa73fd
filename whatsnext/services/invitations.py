"""What each attendee's calendar is owed: invitation, update, cancellation, and the SEQUENCE of each (RFC 5546 §2.1.4).

The SEQUENCE owed to a person never falls: it is at least the event's, and above every one owed before whenever the
calendar must change, so that a new sign-up after a CANCEL is not taken for an old mail. A talk of several parts has
one counter for all its UIDs, and a mail for each that must change (docs/decisions, several parts).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from whatsnext.db import db
from whatsnext.models import (
    Event,
    EventPart,
    Kind,
    Message,
    Mode,
    PartStat,
    Person,
    Registration,
    Status,
)
from whatsnext.services import answers, differences, outbox, parts
from whatsnext.services.differences import Facts
from whatsnext.services.outbox import Unsent
from whatsnext.services.parts import Target

INVITING = (Kind.INVITATION, Kind.PROMOTION)
TRUE_OF_A_TALK_OFF = (
    Kind.CANCELLATION,
    Kind.PART_CANCELLATION,
    Kind.ORGANISER_MESSAGE,
    Kind.FORWARD,
    Kind.NEW_LINK,
    Kind.SIGN_IN,
    Kind.SECURITY_NOTICE,
    Kind.BARRIER_REPORT,
)
"""What still goes out after a talk was called off: what a person wrote or asked for, and what took something away."""
HEARS = sa.or_(
    Registration.status.in_((Status.CONFIRMED, Status.OFFERED)),
    sa.and_(Registration.status == Status.WAITING, Registration.proved_at.is_not(None)),
)
"""Who is told of a change: a place, an offer, or a place in line with a proved address."""

ByPart = dict[tuple[int, int | None], Unsent]
"""The oldest mail not out yet, by registration and part."""


class Renewal(NamedTuple):
    """Which entries of a calendar are brought up to date, and what was not out yet."""

    targets: list[Target]
    unsent: ByPart


@dataclass(frozen=True)
class Audience:
    """Who hears of a change: people with a place, in line, with an offer; `held` have not proved their address."""

    confirmed: int = 0
    waiting: int = 0
    offered: int = 0
    held: int = 0

    @property
    def told(self) -> int:
        """How many get a mail."""
        return self.confirmed + self.waiting + self.offered


def audience(event: Event) -> Audience:
    """Who hears of a change to this event. Reads, one query."""
    proved = Registration.proved_at.is_not(None)
    rows = db.session.execute(
        sa.select(Registration.status, proved, sa.func.count())
        .where(Registration.event_id == event.id)
        .group_by(Registration.status, proved)
    )
    counts: dict[tuple[Status, bool], int] = {(status, bool(known)): number for status, known, number in rows}
    return Audience(
        confirmed=sum(counts.get((Status.CONFIRMED, known), 0) for known in (True, False)),
        waiting=counts.get((Status.WAITING, True), 0),
        offered=counts.get((Status.OFFERED, True), 0),
        held=counts.get((Status.HELD, False), 0) + counts.get((Status.WAITING, False), 0),
    )


def invite(registration: Registration, kind: Kind, now: datetime) -> Message:
    """Owe a REQUEST to someone who has just got a place (`kind` INVITATION or PROMOTION), or one for each part.

    What has changed and they were still to be told, in line as they were, stands in it. Returns the first.
    """
    ended = (*INVITING, Kind.UPDATE, Kind.CANCELLATION, Kind.CONFIRMATION_REQUEST)
    unsent = outbox.supersede(registration, ended, now)
    untold = next((each.facts for each in unsent if each.kind is Kind.UPDATE and each.part_id is None), {})
    registration.sequence = _next_sequence(registration)
    registration.partstat = PartStat.NEEDS_ACTION
    if parts.several(registration.event):
        answers.void_for(registration)
    return _owe_each(kind, registration, parts.entries(registration.event, now), now, untold)


def invite_again(registration: Registration, now: datetime) -> Message:
    """Owe the newest invitation once more: same SEQUENCE, a later DTSTAMP; after a restore the event's, far above.

    Returns the first of them.
    """
    outbox.supersede(registration, INVITING, now)
    last, least = registration.sequence, registration.event.sequence
    registration.sequence = last if last is not None and last >= least else _next_sequence(registration)
    return _owe_each(Kind.INVITATION, registration, parts.entries(registration.event, now), now)


def reinvite(registration: Registration, before: Mode, now: datetime) -> Message:
    """Owe an update to someone who now takes part the other way: the entry's place and link change."""
    unsent = outbox.supersede(registration, (*INVITING, Kind.UPDATE), now)
    registration.sequence = _next_sequence(registration)
    owed = [_reinvite(registration, before, target, unsent, now) for target in parts.entries(registration.event, now)]
    return owed[0]


def _reinvite(registration: Registration, before: Mode, target: Target, unsent: list[Unsent], now: datetime) -> Message:
    about = [each for each in unsent if each.part_id == (target.id if target else None)]
    kind = next((each.kind for each in about if each.kind in INVITING), Kind.UPDATE)
    shown = differences.facts(registration.event)
    details: dict[str, Any] = {"mode_before": before.value, **differences.kept(shown, shown), "text": ""}
    details |= next((each.facts for each in about if each.kind is Kind.UPDATE), {})
    return outbox.owe(kind, now, registration=registration, sequence=registration.sequence, facts=details, part=target)


def withdraw(registration: Registration, now: datetime, details: dict[str, Any]) -> Message:
    """Owe the mail that someone no longer takes part; with a CANCEL of each UID if they ever were invited."""
    outbox.supersede(
        registration,
        (*INVITING, Kind.UPDATE, Kind.WAITING, Kind.OFFER, Kind.CONFIRMATION_REQUEST, Kind.ALREADY_REGISTERED),
        now,
    )
    if registration.sequence is None:
        return outbox.owe(Kind.CANCELLATION, now, registration=registration, facts=details)
    registration.sequence = _next_sequence(registration)
    return _owe_each(Kind.CANCELLATION, registration, parts.uids(registration.event, now), now, details)


def _owe_each(
    kind: Kind, registration: Registration, targets: list[Target], now: datetime, details: dict[str, Any] | None = None
) -> Message:
    """One mail for each of `targets`, of which there is at least one; returns the first."""
    sequence = registration.sequence
    owed = [
        outbox.owe(kind, now, registration=registration, sequence=sequence, facts=dict(details or {}), part=target)
        for target in targets
    ]
    return owed[0]


def tell_change(event: Event, before: Facts, now: datetime, text: str = "") -> int:
    """Raise SEQUENCE and owe everyone with a place, an offer or a place in line exactly one update of each entry.

    Call with the event locked and already changed; `before` is what it showed. Mails that are not out yet are
    superseded; the new one then tells the difference to what the person last knew. Returns how many are told.
    """
    if event.ends_at is not None and now >= event.ends_at:
        return 0
    db.session.flush()
    after = differences.facts(event)
    differing = differences.differ(before, after)
    targets = parts.touched(event, differing, now)
    if not targets:
        return 0
    details = {**differences.kept(before, after), "text": text}
    renewal = _make_newer(event, differing, targets, now)
    if renewal == Renewal([None], {}):
        return outbox.owe_all(Kind.UPDATE, now, event, HEARS, details)
    return _owe_updates(event, _hearers(event), renewal, details, now)


def tell_clocks(event: Event, before: Facts, now: datetime) -> int:
    """The same where the clocks of the talk's zone follow new rules: its local time stays, its instant is another.

    Whoever has the place gets an update; who waits has no calendar entry and the time they know still holds.
    """
    if event.ends_at is not None and now >= event.ends_at:
        return 0
    db.session.flush()
    after = differences.facts(event)
    differing = differences.differ(before, after)
    targets = parts.entries(event, now) if parts.regular(event) else parts.touched(event, differing, now)
    if not targets:
        return 0
    renewal = _make_newer(event, differing, targets, now)
    told = {registration_id for registration_id, _part_id in renewal.unsent}
    hearers = [each for each in _hearers(event) if each.status is Status.CONFIRMED or each.id in told]
    details = {**differences.kept(after, after), "text": "", "clocks": True}
    return _owe_updates(event, hearers, renewal, details, now)


def _make_newer(event: Event, differing: set[str], targets: list[Target], now: datetime) -> Renewal:
    """Raise SEQUENCE for everyone; returns the mails not out yet that a newer one takes the place of."""
    event.sequence += 1
    _raise_sequences(event, asked_anew=_note_changes(event, differing, targets))
    return Renewal(targets, _take_unsent(event, (*INVITING, Kind.UPDATE), targets, now))


def _owe_updates(event: Event, hearers: list[Any], renewal: Renewal, details: dict[str, Any], now: datetime) -> int:
    """Those in line hear of it once, in words."""
    rows = []
    for registration in hearers:
        for target in renewal.targets if registration.status is Status.CONFIRMED else [None]:
            older = _older(renewal.unsent, registration.id, target)
            if older and older.kind in INVITING:
                rows.append(_row(older.kind, registration, event, now, target))
            else:
                own = _joined(older.facts, details) if older else details
                rows.append(_row(Kind.UPDATE, registration, event, now, target, **own))
    _insert(rows)
    return len(hearers)


def _joined(older: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """Two changes in one mail: from what the person last knew, with every word the organisers had to say."""
    said, words = older.get("text", ""), newer["text"]
    if words and f"\n\n{words}\n\n" not in f"\n\n{said}\n\n":
        said = f"{said}\n\n{words}" if said else words
    return {**older, **newer, **differences.joined(older, newer), "text": said}


def _older(unsent: ByPart, registration_id: int, target: Target) -> Unsent | None:
    return unsent.get((registration_id, target.id if target else None)) or unsent.get((registration_id, None))


def _note_changes(event: Event, differing: set[str], targets: list[Target]) -> bool:
    """A part of a course that changes alone has left the rule from now on.

    Returns whether another time makes the answers to the whole void, so that everyone is asked anew.
    """
    moved = {key for key in differing if key in ("starts", "ends", "zone", "rule") or key.startswith("part ")}
    alone = parts.regular(event) and None not in targets
    own = [target for target in targets if target is not None]
    if moved:
        answers.void(own)
    for target in own if alone else ():
        target.sequence = event.sequence
    return bool(moved) and not alone


def tell_cancellation(event: Event, now: datetime) -> int:
    """Owe everyone with a place, an offer or a place in line the news that the talk is off, with a CANCEL of each UID.

    Call with the event locked and its state already CANCELLED. Returns how many are told.
    """
    if event.ends_at is not None and now >= event.ends_at:
        return 0
    db.session.flush()
    event.sequence += 1
    _raise_sequences(event)
    outbox.supersede_event(event.id, [kind for kind in Kind if kind not in TRUE_OF_A_TALK_OFF], now)
    return _tell_off(Kind.EVENT_CANCELLATION, event, parts.uids(event, now), None, now)


def tell_part_cancellation(event: Event, part: EventPart, now: datetime) -> int:
    """Owe everyone with a place, an offer or a place in line the news that one part is off, with a CANCEL of it alone.

    Call with the event locked and the part already cancelled. Returns how many are told.
    """
    db.session.flush()
    event.sequence += 1
    part.sequence = event.sequence
    _raise_sequences(event)
    outbox.supersede_event(event.id, (*INVITING, Kind.UPDATE), now, Message.part_id == part.id)
    return _tell_off(Kind.PART_CANCELLATION, event, [part], part, now)


def _tell_off(kind: Kind, event: Event, targets: list[Target], in_words: Target, now: datetime) -> int:
    """Those in line hear of it once, in words."""
    if targets == [None]:
        return outbox.owe_all(kind, now, event, HEARS, {})
    hearers = _hearers(event)
    rows = [
        _row(kind, registration, event, now, target)
        for registration in hearers
        for target in (
            targets if registration.sequence is not None and registration.status is Status.CONFIRMED else [in_words]
        )
    ]
    _insert(rows)
    return len(hearers)


def _next_sequence(registration: Registration) -> int:
    last = -1 if registration.sequence is None else registration.sequence
    return max(registration.event.sequence, last + 1)


def _raise_sequences(event: Event, *, asked_anew: bool = False) -> None:
    """The same rule as `_next_sequence`, for everyone with a place at once; `asked_anew`: earlier answers are void."""
    above = Registration.sequence + 1
    raised = sa.case((sa.or_(Registration.sequence.is_(None), above < event.sequence), event.sequence), else_=above)
    void: dict[str, Any] = {"partstat": PartStat.NEEDS_ACTION} if asked_anew else {}
    db.session.execute(
        sa.update(Registration)
        .where(Registration.event_id == event.id, Registration.status == Status.CONFIRMED)
        .values(sequence=raised, **void)
        .execution_options(synchronize_session=False)
    )
    db.session.flush()


def _hearers(event: Event) -> list[Any]:
    """Rows (id, person_id, email, language, status, sequence) of those who are told, in order of arrival."""
    return list(
        db.session.execute(
            sa.select(
                Registration.id,
                Registration.person_id,
                Person.email,
                Registration.language,
                Registration.status,
                Registration.sequence,
            )
            .join(Registration.person)
            .where(Registration.event_id == event.id, HEARS)
            .order_by(Registration.arrival)
        )
    )


def _take_unsent(event: Event, kinds: tuple[Kind, ...], targets: list[Target], now: datetime) -> ByPart:
    """The oldest unsent mail of these kinds about `targets`, by registration and part; all of them are superseded.

    What those in line have not been told yet is about no part.
    """
    ids = [target.id for target in targets if target is not None]
    about: sa.ColumnElement[bool] = sa.true()
    if ids and None not in targets:
        whole = Message.part_id.is_(None)
        in_words = sa.and_(whole, Message.sequence.is_(None))
        about = sa.or_(Message.part_id.in_(ids), in_words if parts.regular(event) else whole)
    return outbox.take_unsent(event.id, kinds, now, about)


def _row(kind: Kind, hearer: Any, event: Event, now: datetime, part: Target, **details: Any) -> dict[str, Any]:
    return outbox.row(
        kind,
        now,
        event,
        registration_id=hearer.id,
        person_id=hearer.person_id,
        recipient=hearer.email,
        language=hearer.language,
        sequence=hearer.sequence if hearer.status is Status.CONFIRMED else None,
        part_id=part.id if part else None,
        facts=details,
    )


def _insert(rows: list[dict[str, Any]]) -> None:
    if rows:
        db.session.execute(sa.insert(Message), rows)
