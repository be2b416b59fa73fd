"""What a mail that came in does: an answer of a calendar, a delivery status, words of a human (safety.md M3, M4, M8).

An answer acts only if everything agrees: the token in the address, the sender, UID, ATTENDEE, and that it is newer
than the last one. Whatever does not agree is kept aside with its reason and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import current_app

from config import Settings
from whatsnext.calendars.reply import Answer
from whatsnext.db import db
from whatsnext.errors import EventCancelled, EventOver, NotFound
from whatsnext.models import (
    CancelledBy,
    EventPart,
    EventState,
    Incoming,
    IncomingState,
    Kind,
    Message,
    MessageState,
    Mode,
    PartStat,
    Person,
    Reason,
    Registration,
    Series,
    Status,
)
from whatsnext.permissions import Role
from whatsnext.services import answers, incoming, invitations, outbox, parts, registrations, signup
from whatsnext.services.incoming import Reading
from whatsnext.text import TextRefused, clean_line, mail_address

A_DAY = timedelta(days=1)
ANSWERS_A_DAY = 4
FORWARDS_AN_HOUR = 50
LATE_CLOCKS = timedelta(days=1)


def _(text: str) -> str:
    """Marks a text for the catalogue: it is stored in English and translated by whoever shows it."""
    return text


SENT_BACK = _("The receiving server sent the message back.")


class _Aside(Exception):  # it is a way out, not an error
    """This mail changes nothing."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def receive(incoming_id: int, reading: Reading, now: datetime, *, left_in_mailbox: bool) -> IncomingState:
    """Do what this mail asks for, once. Call inside `write()`; returns what became of it.

    `left_in_mailbox`: people can read the mail where it is, so what a human wrote to the mailbox as such stays there.
    """
    mail = incoming.locked(incoming_id)
    if mail.state is not IncomingState.READING:
        return mail.state
    registration = _describe(mail, reading)
    try:
        _act(mail, reading, registration, now, left_in_mailbox=left_in_mailbox)
    except _Aside as no:
        incoming.put_aside(mail, no.reason)
    except EventCancelled:
        incoming.put_aside(mail, Reason.TALK_OFF)
    except EventOver:
        incoming.put_aside(mail, Reason.OVER)
    return mail.state


def _describe(mail: Incoming, reading: Reading) -> Registration | None:
    """Note what the mail says, for people to read."""
    registration = incoming.addressee(reading.recipients, _settings().sender)
    mail.sender, mail.sender_name, mail.subject = reading.sender[:254], reading.name[:120], reading.subject[:300]
    mail.comment = reading.text
    if registration is not None:
        mail.registration_id, mail.event_id = registration.id, registration.event_id
    if (answer := reading.answer) is not None:
        mail.method, mail.sequence, mail.comment = answer.method, answer.sequence, answer.comment or reading.text
        mail.proposed_start, mail.proposed_end = answer.proposed_start, answer.proposed_end
    return registration


def _act(
    mail: Incoming, reading: Reading, registration: Registration | None, now: datetime, *, left_in_mailbox: bool
) -> None:
    if reading.refused or reading.problem:
        raise _Aside(incoming.why(reading.refused or reading.problem))
    if reading.answer is not None:
        if registration is None:
            raise _Aside(Reason.NO_TOKEN)
        _answer(mail, reading, reading.answer, registration, now)
    elif reading.bounced or reading.delayed:
        _bounce(mail, reading, registration, now)
    elif reading.robot:
        incoming.settle(mail, IncomingState.NOTED, Reason.ROBOT)
    elif left_in_mailbox and registration is None:
        incoming.settle(mail, IncomingState.LEFT, Reason.HUMAN)
        mail.sender = mail.sender_name = mail.subject = mail.comment = ""
    else:
        _forward(mail, reading, registration, now)


# --- answers of calendars --------------------------------------------------------------------------------


def _answer(mail: Incoming, reading: Reading, answer: Answer, registration: Registration, now: datetime) -> None:
    registration = signup.locked(registration.id)
    part = _refuse_unless_genuine(reading, answer, registration)
    mail.part = part
    if reading.robot in ("list", "null path"):
        raise _Aside(Reason.ROBOT)
    _refuse_unless_newer(answer, registration, part, now)
    act = {"REPLY": _reply, "COUNTER": _counter, "REFRESH": _refresh}[answer.method]
    act(mail, reading, answer, registration, now)
    incoming.settle(mail, IncomingState.ACTED, mail.reason)
    if part is None:
        registration.reply_stamp = answer.stamp


def _refuse_unless_genuine(reading: Reading, answer: Answer, registration: Registration) -> EventPart | None:
    """Token, UID, sender and ATTENDEE must name one person's registration (RFC 6047 §3).

    Returns the part that is meant, None for the talk as a whole.
    """
    event, own = registration.event, registration.person.email
    known, part = parts.answered(event, answer.uid, answer.recurrence_at, answer.recurrence)
    if not known and answer.uid != event.uid:
        raise _Aside(Reason.OTHER_UID)
    if _plain(reading.sender) != own:
        raise _Aside(Reason.FOREIGN)
    if reading.authentic == "fail":
        raise _Aside(Reason.UNAUTHENTIC)
    if _plain(answer.attendee) != own or not known:
        raise _Aside(Reason.OTHER_ATTENDEE)
    return part


def _refuse_unless_newer(answer: Answer, registration: Registration, part: EventPart | None, now: datetime) -> None:
    """The talk is to come, and nothing newer was sent or heard (RFC 5546 §2.1.5)."""
    event = registration.event
    if event.state is not EventState.PUBLISHED:
        raise _Aside(Reason.TALK_OFF)
    if part is not None and part.cancelled_at is not None:
        raise _Aside(Reason.TALK_OFF)
    starts_at = part.starts_at if part else event.starts_at
    if starts_at is None or now >= starts_at:
        raise _Aside(Reason.OVER)
    if registration.sequence is None:
        raise _Aside(Reason.NOT_INVITED)
    if answer.method != "REFRESH" and answer.sequence < _least_sequence(registration, part):
        raise _Aside(Reason.OLD)
    if answer.stamp is None or answer.stamp > now + LATE_CLOCKS:
        raise _Aside(Reason.DATE)
    last = answers.last(registration, part)
    stamp = last.stamp if last else registration.reply_stamp if part is None else None
    if stamp is not None and answer.stamp <= stamp:
        raise _Aside(Reason.REPLAYED)


def _least_sequence(registration: Registration, part: EventPart | None) -> int:
    """The newest SEQUENCE owed; after a decline that of the decline, for the CANCEL may not have been read yet."""
    if _has_declined(registration):
        last = answers.last(registration, part)
        declined = last.sequence if last else registration.reply_sequence
        if declined is not None:
            return declined
    return answers.newest_sequence(registration, part) or 0


def _has_declined(registration: Registration) -> bool:
    """Whether it was the calendar that gave up the place."""
    given_up = registration.status is Status.CANCELLED and registration.cancelled_by is CancelledBy.ATTENDEE
    return given_up and registration.partstat is PartStat.DECLINED


def _reply(mail: Incoming, reading: Reading, answer: Answer, registration: Registration, now: datetime) -> None:
    partstat = PartStat(answer.partstat)
    active = registration.status in signup.ACTIVE
    if mail.part is not None and active and not answers.declines_the_rest(registration, mail.part, partstat):
        _record_part(mail, partstat, answer, registration, now)
        return
    if partstat is PartStat.DECLINED and active:
        _refuse_if_too_often(reading, registration, now)
        registrations.cancel(registration.id, now)
        mail.answered = True
    elif partstat is PartStat.ACCEPTED and _has_declined(registration):
        _refuse_if_too_often(reading, registration, now)
        registrations.undo(registration.id, now)
        mail.answered = True
    elif not active and not (partstat is PartStat.DECLINED and _has_declined(registration)):
        raise _Aside(Reason.NOT_SIGNED_UP)
    if partstat is PartStat.DELEGATED:
        mail.reason, mail.delegate = Reason.DELEGATED, _plain(answer.delegate)
    _record(partstat, answer, registration, now)
    if mail.part is not None:
        _note_part(mail.part, partstat, answer, registration)


def _record_part(mail: Incoming, partstat: PartStat, answer: Answer, registration: Registration, now: datetime) -> None:
    """An answer to one of several parts: the place stays; whoever misses a part is shown to the organisers."""
    if mail.part is None:
        return
    _note_part(mail.part, partstat, answer, registration)
    registration.partstat_at, registration.reply_comment = now, answer.comment
    if partstat is PartStat.DELEGATED:
        mail.reason, mail.delegate = Reason.DELEGATED, _plain(answer.delegate)
    elif partstat is PartStat.DECLINED:
        mail.reason = Reason.ONE_PART
    if not parts.regular(registration.event):
        registration.partstat = answers.of_all(registration)


def _note_part(part: EventPart, partstat: PartStat, answer: Answer, registration: Registration) -> None:
    if answer.stamp is not None:
        answers.note(registration, part, partstat, answer.sequence, answer.stamp)


def _record(partstat: PartStat, answer: Answer, registration: Registration, now: datetime) -> None:
    registration.partstat, registration.partstat_at = partstat, now
    registration.reply_sequence, registration.reply_comment = answer.sequence, answer.comment


def _counter(mail: Incoming, _reading: Reading, answer: Answer, registration: Registration, _now: datetime) -> None:
    """Another time is proposed: shown, and answered when an organiser says so. The place stays."""
    if registration.status not in signup.ACTIVE:
        raise _Aside(Reason.NOT_SIGNED_UP)
    mail.reason = Reason.COUNTER
    registration.reply_comment = answer.comment
    if mail.part is not None:
        kept = answers.partstat(registration, mail.part)
        _note_part(mail.part, kept, answer, registration)


def _refresh(mail: Incoming, reading: Reading, _answer: Answer, registration: Registration, now: datetime) -> None:
    """The newest invitation again, once a day, and not to a robot (RFC 3834 §2)."""
    if registration.status is not Status.CONFIRMED:
        raise _Aside(Reason.NOT_SIGNED_UP)
    if reading.robot or _answered(registration, now, "REFRESH"):
        raise _Aside(Reason.ROBOT if reading.robot else Reason.TOO_OFTEN)
    invitations.invite_again(registration, now)
    mail.answered = True


def _refuse_if_too_often(reading: Reading, registration: Registration, now: datetime) -> None:
    """A calendar that goes back and forth by itself ends here: nobody is mailed without end (safety.md M8)."""
    if _answered(registration, now, "REPLY") >= (1 if reading.robot else ANSWERS_A_DAY):
        raise _Aside(Reason.TOO_OFTEN)


def _answered(registration: Registration, now: datetime, method: str) -> int:
    """How many mails of this attendee made us mail within a day."""
    recent = sa.select(sa.func.count()).where(
        Incoming.registration_id == registration.id,
        Incoming.received_at > now - A_DAY,
        Incoming.answered,
        Incoming.method == method,
    )
    return db.session.scalar(recent) or 0


def _plain(address: str) -> str:
    """An address as people have it in our tables; "" for none."""
    try:
        return mail_address(address).address
    except TextRefused:
        return ""


# --- delivery status and humans --------------------------------------------------------------------------


def _bounce(mail: Incoming, reading: Reading, registration: Registration | None, now: datetime) -> None:
    """An address is gone for good only if the status came to the address that its own mail was sent from."""
    incoming.settle(mail, IncomingState.NOTED, Reason.BOUNCE)
    if registration is None or registration.person.email not in [_plain(each) for each in reading.bounced]:
        return
    registration.person.bounced_at = now
    newest = (
        sa.select(Message)
        .where(Message.registration_id == registration.id, Message.state == MessageState.SENT)
        .order_by(Message.id.desc())
        .limit(1)
    )
    if (message := db.session.scalar(newest)) is not None:
        message.state, message.error = MessageState.FAILED, SENT_BACK


def _forward(mail: Incoming, reading: Reading, registration: Registration | None, now: datetime) -> None:
    """What a human wrote goes to the organisers; with nobody to send it to, or too much of it, it is shown to them."""
    contact = _contact(registration)
    if not contact or contact == _settings().sender.lower() or _many_forwarded(now):
        raise _Aside(Reason.HUMAN)
    facts = {"from": reading.sender, "name": reading.name, "subject": reading.subject, "text": reading.text}
    event = registration.event if registration else None
    outbox.owe(Kind.FORWARD, now, recipient=contact, language="de", event=event, facts=facts)
    incoming.settle(mail, IncomingState.FORWARDED, Reason.HUMAN)


def _contact(registration: Registration | None) -> str:
    """Who is asked about a talk, else about the first series, else the first organiser."""
    if registration is not None and registration.event.series.contact_email:
        return registration.event.series.contact_email.lower()
    first = sa.select(Series.contact_email).where(Series.contact_email != "").order_by(Series.id).limit(1)
    organiser = sa.select(Person.email).where(Person.role == Role.ORGANISER).order_by(Person.id).limit(1)
    return (db.session.scalar(first) or db.session.scalar(organiser) or "").lower()


def _many_forwarded(now: datetime) -> bool:
    recent = sa.select(sa.func.count()).where(
        Incoming.state == IncomingState.FORWARDED, Incoming.received_at > now - timedelta(hours=1)
    )
    return (db.session.scalar(recent) or 0) >= FORWARDS_AN_HOUR


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


# --- what organisers decide ------------------------------------------------------------------------------


def may_invite(mail: Incoming) -> str:
    """The address that an organiser may invite because of this mail, "" if there is none."""
    if mail.event_id is None:
        return ""
    if mail.reason is Reason.DELEGATED:
        return mail.delegate
    return _plain(mail.sender) if mail.reason is Reason.FOREIGN else ""


def invite(incoming_id: int, now: datetime) -> Registration:
    """Sign up whoever answered a forwarded invitation, or was named as delegate. Raises as `registrations.add`."""
    mail = incoming.one(incoming_id)
    email, known = may_invite(mail), mail.registration
    if not email or known is None or mail.event_id is None:
        raise NotFound
    name = _name(mail.sender_name) if mail.reason is Reason.FOREIGN else ""
    mode: Mode = known.mode
    registration = registrations.add(mail.event_id, now, name=name or email, email=email, agency="", mode=mode)
    mail.done_at = now
    return registration


def decline_counter(incoming_id: int, now: datetime) -> Message:
    """Owe the attendee the answer that the time stays (RFC 5546 §3.2.8). Raises NotFound."""
    mail = incoming.one(incoming_id)
    if mail.reason is not Reason.COUNTER or mail.registration is None:
        raise NotFound
    mail.done_at = now
    return outbox.owe(
        Kind.COUNTER_DECLINED, now, registration=mail.registration, sequence=mail.sequence, part=mail.part
    )


def _name(typed: str) -> str:
    try:
        return clean_line(typed, 120)
    except TextRefused:
        return ""
