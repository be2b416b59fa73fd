"""What is claimed together is written together, and begins only while all that it rests on is as it was."""

from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError

from tests.databases import Database
from tests.factories import NOON, Make
from tests.mail.worlds import JOIN_LINK, change, owed, send_all, talk
from tests.servers import MailServer
from whatsnext import jobs
from whatsnext.db import connected, database_now, db, write
from whatsnext.mail import batches, contexts, deliver, wire
from whatsnext.models import Event, EventState, Kind, Message, MessageState, Mode, Registration, Status
from whatsnext.services import registrations


def batch() -> tuple[list[deliver.Claim], dict[int, batches.Ready]]:
    with write():
        claims = deliver.claim()
    with write():
        return claims, batches.write_all(claims, NOON)


def begin(claimed: deliver.Claim, ready: batches.Ready, now: Any = NOON, gone: deliver.Claim | None = None) -> bool:
    with connected() as connection:
        return batches.begin(connection, gone, claimed, ready, now)


def test_a_batch_is_written_at_once_and_each_mail_begins_alone(app: Flask, make: Make, smtp: MailServer) -> None:
    event = talk(make)
    messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
    claims, ready = batch()
    assert list(ready) == [message.id for message in messages]
    assert states() == [(MessageState.SENDING, False, False)] * 3
    assert begin(claims[1], ready[claims[1].id])
    nothing = (MessageState.SENDING, False, False)
    assert states() == [nothing, (MessageState.SENDING, True, True), nothing]
    kept = db.session.execute(sa.select(Message.subject, Message.raw).where(Message.id == claims[1].id)).one()
    mail = message_from_bytes(kept.raw, policy=policy.default)
    assert (kept.raw, kept.subject) == (ready[claims[1].id].parcel.raw, mail["Subject"])


def test_of_two_mails_to_one_person_in_a_batch_the_later_has_the_later_stamp(app: Flask, make: Make) -> None:
    """In whatever language, and the registration keeps that one, whatever stamps the others of the batch were given."""
    event, later = talk(make), NOON + timedelta(seconds=1)
    first = owed(make, Kind.INVITATION, event=event)
    change(first.registration, stamp=NOON)
    second = owed(make, Kind.INVITATION, "en", event=event)
    third = make.message(Kind.UPDATE, second.registration, sequence=second.registration.sequence, language="de")
    _claims, ready = batch()
    assert len(ready) == 3
    db.session.rollback()
    stamps = db.session.scalars(sa.select(Registration.stamp).order_by(Registration.id)).all()
    assert stamps == [later, later]
    assert [b"DTSTAMP:20260105T120001Z" in calendar_of(ready[each.id]) for each in (second, third)] == [False, True]


def calendar_of(ready: batches.Ready) -> bytes:
    mail = message_from_bytes(ready.parcel.raw, policy=policy.default)
    (part,) = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    return bytes(part.get_payload(decode=True))


CHANGES: dict[str, Callable[[Message], None]] = {
    "the place is given up": lambda m: change(m.registration, status=Status.CANCELLED),
    "the other way of taking part": lambda m: change(m.registration, mode=Mode.ON_SITE),
    "the address is proved": lambda m: change(m.registration, proved_at=NOON + timedelta(minutes=1)),
    "the hold ends": lambda m: change(m.registration, hold_ends_at=NOON),
    "the offer ends": lambda m: change(m.registration, offer_ends_at=NOON),
    "a new link": lambda m: change(m.registration, link_generation=7),
    "the clocks are changed": lambda m: change(contexts.event_of(m), starts_at=NOON + timedelta(hours=1)),
    "a newer one is owed": lambda m: change(m.registration, sequence=1),
    "the talk is called off": lambda m: change(contexts.event_of(m), state=EventState.CANCELLED),
    "the talk is changed": lambda m: change(contexts.event_of(m), version=contexts.event_of(m).version + 1),
    "the talk is earlier": lambda m: change(contexts.event_of(m), ends_at=NOON + timedelta(minutes=1)),
    "the address is blocked": lambda m: change(m.person, blocked_at=NOON),
    "mails came back": lambda m: change(m.person, bounced_at=NOON),
    "it is superseded": lambda m: change(m, state=MessageState.SUPERSEDED),
    "it is paused": lambda m: change(m, state=MessageState.HELD),
    "its lease has ended": lambda m: change(m, not_before=NOON - timedelta(days=1)),
    "another worker has it": lambda m: change(m, tries=2),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_mail_does_not_begin_once_anything_that_it_rests_on_has_changed(app: Flask, make: Make, what: str) -> None:
    message = owed(make, Kind.INVITATION)
    (claimed,), ready = batch()
    CHANGES[what](message)
    assert not begin(claimed, ready[message.id])


def test_a_mail_does_not_begin_when_it_is_too_late(app: Flask, make: Make) -> None:
    message = owed(make, Kind.INVITATION)
    (claimed,), ready = batch()
    assert not begin(claimed, ready[message.id], contexts.event_of(message).ends_at)
    assert begin(claimed, ready[message.id])


def test_what_changed_in_the_middle_of_a_batch_is_looked_at_once_more(
    app: Flask, make: Make, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The talk is touched, so all are looked at; one has given up the place, and hears nothing more."""
    event = talk(make)
    messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
    written = batches.write_all

    def write_and_change(*args: Any) -> dict[int, batches.Ready]:
        ready = written(*args)
        messages[1].registration.status = Status.CANCELLED  # type: ignore[union-attr]
        event.version += 1
        return ready

    monkeypatch.setattr(batches, "write_all", write_and_change)
    assert send_all() == 2
    states = db.session.scalars(sa.select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.SENT, MessageState.SUPERSEDED, MessageState.SENT]
    assert len(smtp.mails) == 2


def test_one_that_cannot_be_written_stops_none_of_its_batch(
    app: Flask, make: Make, smtp: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    event = talk(make)
    _first, broken, _last = (owed(make, Kind.INVITATION, event=event) for _number in range(3))
    composed = deliver.compose

    def fail_for_one(message: Message, now: Any) -> Any:
        if message.id == broken.id:
            raise ValueError("no such thing")
        return composed(message, now)

    for module in (batches, deliver):
        monkeypatch.setattr(module, "compose", fail_for_one)
    assert send_all() == 2
    states = db.session.scalars(sa.select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.SENT, MessageState.DEFERRED, MessageState.SENT]
    assert "3 messages could not be written together" in caplog.text


def test_one_that_meets_another_transaction_is_tried_again_at_once(
    app: Flask, make: Make, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed(make, Kind.INVITATION)

    def meet(*_args: Any) -> bool:
        raise OperationalError("UPDATE message", {}, DeadlockDetected())

    monkeypatch.setattr(batches, "begin", meet)
    assert send_all() == 1
    assert db.session.scalar(sa.select(Message.state)) is MessageState.SENT


def test_a_worker_that_is_killed_leaves_only_the_mail_that_has_begun_behind(app: Flask, make: Make) -> None:
    event = talk(make)
    messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
    claims, ready = batch()
    assert begin(claims[0], ready[messages[0].id])
    with write():
        assert deliver.free_what_was_not_begun() == 2
    db.session.rollback()
    states = db.session.scalars(sa.select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.SENDING, MessageState.OWED, MessageState.OWED]
    assert not begin(claims[1], ready[messages[1].id]), "whoever lives after all finds that it is not theirs"


def test_what_went_out_once_goes_out_with_the_same_bytes_ever_after(app: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    (claimed,), ready = batch()
    kept = ready[message.id].parcel.raw
    assert begin(claimed, ready[message.id])
    change(contexts.event_of(message), title="Ein anderer Titel")
    with write():
        assert deliver.put_off(claimed, "later")
    change(message, not_before=NOON)
    assert send_all() == 1
    (mail,) = smtp.mails
    assert mail.raw.replace(b"\r\n", b"\n") == kept.replace(b"\r\n", b"\n")


def words(parcel: wire.Parcel | None) -> str:
    assert parcel is not None
    body = message_from_bytes(parcel.raw, policy=policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_what_never_began_says_what_is_true_when_its_turn_comes(app: Flask, make: Make) -> None:
    """Whatever a batch wrote: a place given up meanwhile has no join link, a new one stands in the reminder."""
    lost, moved = owed(make, Kind.ORGANISER_MESSAGE), owed(make, Kind.REMINDER)
    (first, second), _ready = batch()
    with write():
        registrations.cancel(lost.registration_id, NOON)  # type: ignore[arg-type]
    change(contexts.event_of(moved), join_link="https://neu.behoerde.example/raum")
    with write():
        assert JOIN_LINK not in words(deliver.prepare(first, NOON))
        reminder = words(deliver.prepare(second, NOON))
    assert JOIN_LINK not in reminder
    assert "https://neu.behoerde.example/raum" in reminder


def test_a_reminder_that_was_given_back_in_an_outage_says_the_right_day(
    app: Flask, make: Make, smtp: MailServer, at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = talk(make)
    assert event.starts_at
    assert event.starts_local
    about = {"facts": {"day": event.starts_local.date().isoformat()}, "best_before": event.starts_at}
    for _number in range(2):
        change(owed(make, Kind.REMINDER, event=event), **about)

    def away(*_given: Any) -> None:
        raise wire.Unreachable("away")

    at(event.starts_at - timedelta(hours=20))
    with monkeypatch.context() as patch:
        patch.setattr(wire.Courier, "_carry", away)
        assert send_all() == 0
    at(event.starts_at - timedelta(hours=4))
    assert send_all() == 1
    assert str(smtp.mails[0].message["Subject"]).startswith("Heute")


def test_a_connection_that_ends_between_two_mails_is_blamed_on_none(
    app: Flask, make: Make, smtp: MailServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.kind != "postgresql":
        return  # a file ends no connection
    event = talk(make)
    messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
    change(messages[1], tries=4)  # its next failure would be its last
    carried = wire.Courier.carry

    def carry(courier: wire.Courier, parcel: wire.Parcel) -> None:
        carried(courier, parcel)
        if len(smtp.mails) == 1:
            end_connections(database)

    monkeypatch.setattr(wire.Courier, "carry", carry)
    assert send_all() == 3
    db.session.rollback()
    assert [message.state for message in messages] == [MessageState.SENT] * 3


def end_connections(database: Database) -> None:
    """As an administrator, or a restart, ends all that the server knows."""
    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def lent() -> list[Any]:
    """Until when."""
    db.session.rollback()
    return list(db.session.scalars(sa.select(Message.not_before).order_by(Message.id)))


def states() -> list[tuple[MessageState, bool, bool]]:
    """State, whether it has begun, whether its bytes are kept."""
    db.session.rollback()
    rows = db.session.execute(sa.select(Message.state, Message.begun, Message.raw.is_not(None)).order_by(Message.id))
    return [(row[0], row[1], row[2]) for row in rows]


def test_one_statement_marks_the_mail_that_has_gone_and_begins_the_next(app: Flask, make: Make) -> None:
    event = talk(make)
    first, second = (owed(make, Kind.INVITATION, event=event) for _number in range(2))
    (one, other), ready = batch()
    assert begin(one, ready[first.id])
    assert states() == [(MessageState.SENDING, True, True), (MessageState.SENDING, False, False)]
    leases = lent()
    assert begin(other, ready[second.id], NOON, gone=one)
    assert lent() == leases
    assert states() == [(MessageState.SENT, True, False), (MessageState.SENDING, True, True)]
    kept, settled = db.session.execute(sa.select(Message.facts, Message.settled_at).where(Message.id == first.id)).one()
    assert (kept, settled) == ({}, NOON)
    assert db.session.scalar(sa.select(Message.settled_at).where(Message.id == second.id)) is None


def test_whatever_begins_has_a_whole_lease_before_it(app: Flask, make: Make) -> None:
    """A mail that waited long behind the others of its batch has its lease renewed; else the row stays where it is."""
    event = talk(make)
    first, second = (owed(make, Kind.INVITATION, event=event) for _number in range(2))
    (one, other), ready = batch()
    with write():
        now = database_now()
    change(second, not_before=now + deliver.LEASE - timedelta(seconds=1))
    assert begin(one, ready[first.id])
    leases = lent()
    assert begin(other, ready[second.id], gone=one)
    assert lent()[0] == leases[0] > now + deliver.LEASE
    assert now + deliver.BATCH_LEASE <= lent()[1] < now + deliver.BATCH_LEASE + timedelta(minutes=1)


def test_what_became_of_the_mail_that_has_gone_does_not_let_the_next_go_unseen(app: Flask, make: Make) -> None:
    event = talk(make)
    first, second = (owed(make, Kind.INVITATION, event=event) for _number in range(2))
    (one, other), ready = batch()
    assert begin(one, ready[first.id])
    not_mine = deliver.Claim(one.id, one.tries + 1)
    assert not begin(other, ready[second.id], NOON, gone=not_mine)
    assert states() == [(MessageState.SENDING, True, True), (MessageState.SENDING, False, False)]
    change(event, version=event.version + 1)
    assert not begin(other, ready[second.id], NOON, gone=one)
    assert states() == [(MessageState.SENDING, True, True), (MessageState.SENDING, False, False)], "both or neither"


@pytest.mark.parametrize("held", [0, 1])
def test_a_row_that_someone_changes_just_now_is_not_waited_for(
    app: Flask, make: Make, database: Database, held: int
) -> None:
    """Whoever holds one of the two rows may be waiting for the other: to wait would be a deadlock."""
    event = talk(make)
    first, second = (owed(make, Kind.INVITATION, event=event) for _number in range(2))
    (one, other), ready = batch()
    assert begin(one, ready[first.id])
    if database.kind != "postgresql":
        return  # SQLite has one writer at a time
    with db.engine.connect() as organiser, organiser.begin():
        organiser.execute(sa.update(Message).where(Message.id == (first.id, second.id)[held]).values(error="paused"))
        with connected() as connection:
            connection.exec_driver_sql("SET lock_timeout = '100ms'")
            assert not batches.begin(connection, one, other, ready[second.id], NOON)
            connection.invalidate()
        organiser.rollback()
    assert states() == [(MessageState.SENDING, True, True), (MessageState.SENDING, False, False)]


def test_a_change_under_way_while_a_mail_goes_out_is_in_the_next_one(
    app: Flask, make: Make, database: Database
) -> None:
    """The organiser holds the row of the mail that has gone; whoever waits for that finds the talk as it is then."""
    if database.kind != "postgresql":
        return  # SQLite has one writer at a time
    event = talk(make)
    first, second = (owed(make, kind, event=event) for kind in (Kind.INVITATION, Kind.REMINDER))
    (one, other), ready = batch()
    assert begin(one, ready[first.id])
    organiser = db.engine.connect()
    organiser.execute(
        sa.update(Event).where(Event.id == event.id).values(title="Neuer Titel", version=event.version + 1)
    )
    organiser.execute(sa.update(Message).where(Message.id == first.id).values(state=MessageState.SUPERSEDED))
    db.session.rollback()
    with connected() as connection:
        assert not batches.begin(connection, one, other, ready[second.id], NOON)
    organiser.commit()
    organiser.close()
    with write():
        deliver.sent(one, NOON)
        assert (parcel := deliver.prepare(other, NOON)) is not None
    assert b"Neuer Titel" in parcel.raw


def test_courses_and_mails_to_followers_are_written_alone(app: Flask, make: Make) -> None:
    for kind in (Kind.PART_CANCELLATION, Kind.NEWS, Kind.SIGN_IN):
        owed(make, kind)
    claims, ready = batch()
    assert len(claims) == 3
    assert ready == {}
    with write():
        assert [jobs.deliver.prepare(each, NOON) is not None for each in claims] == [True, True, True]
