"""From the outbox to a real mail server: once, in order of need, and never by a worker whose lease has run out."""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import NOON, Make
from tests.mail.worlds import CANCELS, OWN, REQUESTS, change, owed, send_all, talk
from tests.servers import MailServer, free_port
from whatsnext.db import db, write
from whatsnext.i18n import LANGUAGES
from whatsnext.mail import batches, deliver, wire
from whatsnext.models import EventState, Kind, Message, MessageState, Registration, Status
from whatsnext.services import outbox


@pytest.fixture
def post(app: Flask, smtp: MailServer) -> Flask:
    """The application with an empty mail server."""
    return app


def carry(*parcels: wire.Parcel) -> None:
    with contextlib.closing(wire.Courier()) as courier:
        for parcel in parcels:
            courier.carry(parcel)


def claim(lease: timedelta = deliver.LEASE) -> deliver.Claim:
    with write():
        (claimed,) = deliver.claim(1, lease)
    return claimed


def prepare(claimed: deliver.Claim, now: datetime = NOON) -> wire.Parcel | None:
    with write():
        return deliver.prepare(claimed, now)


def look(message: Message, *names: str) -> list[Any]:
    db.session.rollback()
    db.session.refresh(message)
    return [getattr(message, name) for name in names]


def unsettled() -> int:
    with write():
        return db.session.scalar(sa.select(sa.func.count()).where(Message.settled_at.is_(None))) or 0


def again(message: Message) -> None:
    """Let its next try be now."""
    change(message, not_before=NOON)


# --- the main way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_arrives_at_one_address_with_its_envelope(
    post: Flask, make: Make, smtp: MailServer, kind: Kind, language: str
) -> None:
    message = owed(make, kind, language)
    token = message.registration.reply_token if message.registration else ""
    recipient, message_id = message.recipient, message.message_id
    assert send_all() == 1
    (mail,) = smtp.mails
    local, _at, domain = post.config["SETTINGS"].sender.partition("@")
    address = f"{local}+{token}@{domain}" if token else f"{local}@{domain}"
    assert (mail.sender, mail.recipients) == (address, [recipient])
    assert mail.message["Message-ID"] == message_id
    assert mail.message["From"].addresses[0].addr_spec == address
    assert look(message, "state", "subject", "raw", "facts", "error", "settled_at") == [
        *(MessageState.SENT, mail.subject, None, {}, "", NOON),
    ]
    parts = [part.get_content_type() for part in mail.message.walk()]
    assert ("text/calendar" in parts) == (kind in (*REQUESTS, *CANCELS))
    assert mail.part("text/plain").strip()


def test_those_due_longest_go_first_and_later_ones_wait(post: Flask, make: Make, smtp: MailServer) -> None:
    event = talk(make)
    first = owed(make, Kind.INVITATION, event=event, not_before=NOON - timedelta(hours=1))
    second = owed(make, Kind.INVITATION, event=event)
    third = owed(make, Kind.INVITATION, event=event, not_before=NOON + timedelta(days=36500))
    earlier = owed(make, Kind.INVITATION, event=event, not_before=NOON - timedelta(hours=2))
    expected = [[earlier.recipient], [first.recipient], [second.recipient]]
    assert send_all() == 3
    assert [mail.recipients for mail in smtp.mails] == expected
    assert look(third, "state", "tries") == [MessageState.OWED, 0]


def test_a_hundred_and_twenty_mails_go_over_a_few_lines(post: Flask, make: Make, smtp: MailServer) -> None:
    event = talk(make)
    with write():
        for _number in range(120):
            make.message(Kind.ORGANISER_MESSAGE, make.registration(event), facts={"subject": "Hallo", "body": "Text"})
    assert send_all() == 120
    assert len({mail.recipients[0] for mail in smtp.mails}) == 120


@pytest.mark.parametrize(
    "state", [MessageState.HELD, MessageState.FAILED, MessageState.SUPERSEDED, MessageState.LAPSED]
)
def test_what_is_held_or_settled_stays(post: Flask, make: Make, smtp: MailServer, state: MessageState) -> None:
    owed(make, Kind.INVITATION, state=state)
    assert send_all() == 0
    assert smtp.mails == []


# --- no longer of use ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.CONFIRMATION_REQUEST, Status.CONFIRMED),
        (Kind.CONFIRMATION_REQUEST, Status.EXPIRED),
        (Kind.WAITING, Status.CONFIRMED),
        (Kind.INVITATION, Status.CANCELLED),
        (Kind.PROMOTION, Status.CANCELLED),
        (Kind.OFFER, Status.WAITING),
        (Kind.UPDATE, Status.CANCELLED),
        (Kind.CANCELLATION, Status.CONFIRMED),
    ],
)
def test_what_is_no_longer_true_is_not_sent(
    post: Flask, make: Make, smtp: MailServer, kind: Kind, status: Status
) -> None:
    message = owed(make, kind)
    change(message.registration, status=status)
    assert send_all() == 0
    assert smtp.mails == []
    assert look(message, "state", "facts", "raw") == [MessageState.SUPERSEDED, {}, None]


def test_someone_who_signs_up_anew_still_gets_the_cancel_of_the_old_entry(
    post: Flask, make: Make, smtp: MailServer
) -> None:
    change(owed(make, Kind.CANCELLATION).registration, status=Status.HELD, proved_at=None)
    assert send_all() == 1
    assert "METHOD:CANCEL" in smtp.mails[0].part("text/calendar")


def test_an_old_sequence_is_not_sent_after_a_newer_one_is_owed(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    change(message.registration, sequence=1)
    assert send_all() == 0
    assert look(message, "state") == [MessageState.SUPERSEDED]


def test_the_news_that_a_talk_is_off_is_not_sent_if_it_is_on_again(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.EVENT_CANCELLATION)
    assert message.registration is not None
    change(message.registration.event, state=EventState.PUBLISHED)
    assert send_all() == 0


@pytest.mark.parametrize("kind", OWN)
def test_no_mail_about_a_talk_goes_out_after_its_best_before(
    post: Flask, make: Make, smtp: MailServer, kind: Kind, at: Callable[[datetime], None]
) -> None:
    message = owed(make, kind)
    at(NOON + timedelta(days=3))
    assert send_all() == 0
    assert smtp.mails == []
    assert look(message, "state", "error") == [MessageState.LAPSED, deliver.TOO_LATE]


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.UPDATE, Kind.EVENT_CANCELLATION, Kind.WAITING])
def test_no_mail_about_a_talk_goes_out_once_it_is_over(
    post: Flask, make: Make, smtp: MailServer, kind: Kind, at: Callable[[datetime], None]
) -> None:
    message = owed(make, kind, best_before=NOON + timedelta(days=365))
    at(NOON + timedelta(days=15))
    assert send_all() == 0
    assert look(message, "state") == [MessageState.LAPSED]


def test_offers_and_requests_to_confirm_end_with_what_they_are_about(
    post: Flask, make: Make, smtp: MailServer, at: Callable[[datetime], None]
) -> None:
    event = talk(make)
    late = [owed(make, kind, event=event) for kind in (Kind.CONFIRMATION_REQUEST, Kind.OFFER)]
    at(NOON + timedelta(hours=4))
    assert send_all() == 0
    assert [look(message, "state") for message in late] == [[MessageState.LAPSED]] * 2


@pytest.mark.parametrize("kind", list(Kind))
def test_a_blocked_person_gets_what_was_asked_for_and_nothing_else(
    post: Flask, make: Make, smtp: MailServer, kind: Kind
) -> None:
    message = owed(make, kind)
    change(message.person, blocked_at=NOON + timedelta(minutes=1))
    wanted = kind in (Kind.SIGN_IN, Kind.NEW_LINK, Kind.BARRIER_REPORT, Kind.SECURITY_NOTICE, Kind.FORWARD)
    assert send_all() == (1 if wanted else 0)
    assert look(message, "error") == ["" if wanted else deliver.UNWANTED]


def test_who_signs_up_after_blocking_gets_the_mails_of_that(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    change(message.person, blocked_at=NOON - timedelta(minutes=1))
    assert send_all() == 1


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        ("550 5.1.1 no such mailbox", MessageState.FAILED, wire.NO_SUCH_ADDRESS),
        ("553 not here", MessageState.FAILED, wire.NO_SUCH_ADDRESS),
        ("550 5.7.1 blocked", MessageState.FAILED, wire.REFUSED),
        ("554 no", MessageState.FAILED, wire.REFUSED),
        ("552 5.2.2 quota", MessageState.FAILED, wire.MAILBOX_FULL),
        ("452 4.2.2 quota", MessageState.DEFERRED, wire.MAILBOX_FULL),
        ("451 4.7.1 greylisted", MessageState.DEFERRED, wire.LATER),
        ("450 busy", MessageState.DEFERRED, wire.LATER),
    ],
)
def test_a_refusal_says_why_and_stops_nobody_else(
    post: Flask, make: Make, smtp: MailServer, answer: str, state: MessageState, reason: str
) -> None:
    event = talk(make)
    refused = owed(make, Kind.INVITATION, event=event)
    others = [owed(make, Kind.INVITATION, event=event) for _number in range(2)]
    smtp.answers[refused.recipient] = answer
    assert send_all() == 2
    assert look(refused, "state", "error", "tries") == [state, reason, 1]
    assert [look(other, "state") for other in others] == [[MessageState.SENT]] * 2
    assert (look(refused, "raw") == [None]) == (state is MessageState.FAILED)


def test_a_retry_sends_the_same_bytes(
    post: Flask, make: Make, smtp: MailServer, at: Callable[[datetime], None]
) -> None:
    message = owed(make, Kind.INVITATION)
    smtp.answers[message.recipient] = "451 4.7.1 greylisted"
    send_all()
    (first,) = look(message, "raw")
    smtp.answers.clear()
    assert message.registration is not None
    change(message.registration.event, title="Etwas anderes")
    at(NOON + timedelta(hours=2))
    again(message)
    assert send_all() == 1
    assert smtp.mails[0].raw.rstrip() == first.rstrip()
    assert smtp.mails[0].message["Date"].datetime == NOON


def test_an_update_that_failed_can_be_sent_again_without_what_it_has_forgotten(
    post: Flask, make: Make, smtp: MailServer
) -> None:
    message = owed(make, Kind.UPDATE)
    smtp.answers[message.recipient] = "550 5.1.1 no such mailbox"
    send_all()
    smtp.answers.clear()
    assert message.event_id is not None
    with write():
        outbox.retry_failed(message.id, message.event_id, NOON)
    assert send_all() == 1
    assert smtp.mails[0].part("text/plain").startswith("Zu dieser Veranstaltung hat sich etwas geändert.")


def test_pauses_grow_and_are_never_quite_alike(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    smtp.answers[message.recipient] = "451 later"
    pauses = []
    for _try in range(12):
        again(message)
        before = deliver.database_now()
        send_all()
        pauses.append((look(message, "not_before")[0] - before).total_seconds())
    expected = [20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600]
    assert [round(pause / whole) for pause, whole in zip(pauses, expected, strict=True)] == [1] * 12
    assert len({round(pause, 2) for pause in pauses[8:]}) > 1


def test_a_mail_server_away_puts_off_the_mail_that_was_tried_and_leaves_the_others(
    make_app: Callable[..., Flask], make: Make
) -> None:
    app = make_app(mail_port=free_port())
    with app.app_context():
        event = talk(make)
        messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
        assert send_all() == 0
        seen = [look(message, "state", "error", "tries") for message in messages]
        assert seen == [[MessageState.DEFERRED, wire.NO_SERVER, 1], *[[MessageState.OWED, "", 0]] * 2]
        db.session.remove()


def test_a_mail_that_cannot_be_written_stops_nobody_else_and_ends(
    post: Flask, make: Make, smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    broken = owed(make, Kind.ORGANISER_MESSAGE, facts={"subject": "ohne Text"})
    other = make.message(Kind.SIGN_IN, make.person(), facts={"link_token": "x", "code": "y"})
    assert send_all() == 1
    assert look(broken, "state", "error") == [MessageState.DEFERRED, deliver.NOT_WRITTEN]
    assert look(other, "state") == [MessageState.SENT]
    for _try in range(4):
        again(broken)
        send_all()
    assert look(broken, "state", "tries") == [MessageState.FAILED, 5]


def test_a_mail_that_has_gone_is_marked_though_the_next_one_cannot_be_written(
    post: Flask, make: Make, smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    gone = owed(make, Kind.INVITATION)
    broken = owed(make, Kind.ORGANISER_MESSAGE, facts={"subject": "ohne Text"})
    last = owed(make, Kind.INVITATION)
    assert send_all() == 2
    assert [look(each, "state") for each in (gone, broken, last)] == [
        *([MessageState.SENT], [MessageState.DEFERRED], [MessageState.SENT]),
    ]
    assert [mail.recipients for mail in smtp.mails] == [[gone.recipient], [last.recipient]]


def test_a_mark_that_fails_is_not_blamed_on_the_next_mail(
    post: Flask, make: Make, smtp: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone, following = owed(make, Kind.INVITATION), owed(make, Kind.INVITATION)
    change(following, tries=4)  # its next failure would be its last
    begin, sent, failures = batches.begin, deliver.sent, iter([OSError, OSError])

    def fail_to_begin(connection: sa.Connection, before: deliver.Claim | None, *rest: Any) -> bool:
        if before is not None and (failure := next(failures, None)) is not None:
            raise failure("the database does not answer")
        return begin(connection, before, *rest)

    def fail_to_mark(claimed: deliver.Claim, now: datetime) -> bool:
        if (failure := next(failures, None)) is not None:
            raise failure("the database does not answer")
        return sent(claimed, now)

    monkeypatch.setattr(batches, "begin", fail_to_begin)
    monkeypatch.setattr(deliver, "sent", fail_to_mark)
    assert send_all() == 2
    assert look(gone, "state") == [MessageState.SENDING]  # it goes once more when its lease has ended
    assert look(following, "state", "error", "tries") == [MessageState.SENT, "", 5]


def test_reasons_do_not_repeat_the_servers_words_and_logs_name_nobody(
    post: Flask, make: Make, smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    message = owed(make, Kind.INVITATION)
    smtp.answers[message.recipient] = f"550 5.1.1 <{message.recipient}> unknown"
    send_all()
    assert message.recipient not in caplog.text
    assert "@" not in look(message, "error")[0]


# --- whose turn it is ------------------------------------------------------------------------------------


def test_what_somebody_waits_for_goes_before_what_thousands_are_sent(post: Flask, make: Make, smtp: MailServer) -> None:
    event = talk(make)
    news = [owed(make, Kind.UPDATE, event=event) for _number in range(3)]
    link = owed(make, Kind.SIGN_IN)
    asked = owed(make, Kind.CONFIRMATION_REQUEST, event=event)
    change(link, not_before=NOON + timedelta(minutes=1))
    change(asked, not_before=NOON + timedelta(minutes=2), state=MessageState.DEFERRED)
    with write():
        assert [each.id for each in deliver.claim(3)] == [link.id, asked.id, news[0].id]
    with write():
        assert [each.id for each in deliver.claim()] == [each.id for each in news[1:]]


def test_of_all_other_mails_those_longest_due_go_first_in_whatever_state(post: Flask, make: Make) -> None:
    event = talk(make)
    mails = [owed(make, Kind.UPDATE, event=event) for _number in range(4)]
    states = (MessageState.DEFERRED, MessageState.OWED, MessageState.SENDING, MessageState.HELD)
    for number, (mail, state) in enumerate(zip(mails, states, strict=True)):
        change(mail, not_before=NOON - timedelta(minutes=number), state=state)
    with write():
        assert [each.id for each in deliver.claim()] == [mails[2].id, mails[1].id, mails[0].id]


def test_a_claim_reads_no_further_than_it_takes(post: Flask, make: Make) -> None:
    """Both of its queries walk along an index, in the order in which they take."""
    owed(make, Kind.UPDATE)
    owed(make, Kind.SIGN_IN, state=MessageState.HELD)
    connection, sqlite = db.session.connection(), db.engine.dialect.name == "sqlite"
    if not sqlite:  # a table this small is walked and sorted unless that is made dear
        for name in ("seqscan", "bitmapscan", "sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{name} = off")
    for state, index in ((None, "ix_message_soon"), (MessageState.OWED, "ix_message_due")):
        rows_due = deliver._longest(db.engine.dialect.name, state).params(now=NOON, most=10)
        query = rows_due.compile(db.engine, compile_kwargs={"literal_binds": True})
        rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{query}")
        plan = [row[3] if sqlite else row[0] for row in rows]
        assert any(index in line for line in plan)
        assert [line for line in plan if "SCAN" in line or "B-TREE" in line or "Sort" in line or "Seq" in line] == []


# --- leases ----------------------------------------------------------------------------------------------


def test_a_row_is_lent_to_one_worker_until_its_lease_ends(post: Flask, make: Make) -> None:
    owed(make, Kind.INVITATION)
    claim()
    with write():
        assert deliver.claim() == []
    assert not deliver.anything_due()


def test_a_worker_whose_lease_ran_out_sends_nothing_and_marks_nothing(
    post: Flask, make: Make, smtp: MailServer
) -> None:
    message = owed(make, Kind.INVITATION)
    late = claim(timedelta(0))
    assert prepare(late) is None
    second = claim()
    assert prepare(late) is None
    with write():
        assert not deliver.put_off(late, wire.LATER)
        assert not deliver.failed(late, wire.REFUSED, NOON)
        assert not deliver.sent(late, NOON)
        deliver.give_back([late])
    assert look(message, "state", "tries") == [MessageState.SENDING, 2]
    parcel = prepare(second)
    assert parcel is not None
    carry(parcel)
    with write():
        assert deliver.sent(second, NOON)
    assert len(smtp.mails) == 1


def test_preparing_renews_the_lease(post: Flask, make: Make) -> None:
    message = owed(make, Kind.INVITATION)
    claimed = claim(timedelta(seconds=30))
    (before,) = look(message, "not_before")
    assert prepare(claimed) is not None
    assert look(message, "not_before")[0] - before > timedelta(minutes=4)


def test_two_who_send_after_a_lease_ran_out_send_the_same_message_id(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    first = claim()
    stopped = prepare(first)  # and here the process stands still past its lease
    again(message)
    second = prepare(claim())
    assert stopped is not None
    assert second is not None
    carry(second, stopped)
    assert {mail.raw for mail in smtp.mails} == {smtp.mails[0].raw}
    assert [mail.message["Message-ID"] for mail in smtp.mails] == [message.message_id] * 2


def test_a_mail_superseded_while_it_goes_out_counts_as_sent(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    claimed = claim()
    assert prepare(claimed) is not None
    change(message, state=MessageState.SUPERSEDED, raw=None)
    with write():
        assert deliver.sent(claimed, NOON)
    assert look(message, "state") == [MessageState.SENT]


def test_rows_given_back_are_free_at_once(post: Flask, make: Make) -> None:
    message = owed(make, Kind.INVITATION)
    with write():
        deliver.give_back([claim_inside() for _one in range(1)])
    assert look(message, "state", "tries") == [MessageState.OWED, 0]
    assert deliver.anything_due()


def claim_inside() -> deliver.Claim:
    (claimed,) = deliver.claim(1)
    return claimed


def test_two_workers_at_once_send_each_mail_once(post: Flask, make: Make, smtp: MailServer) -> None:
    event = talk(make)
    with write():
        for _number in range(60):
            make.message(Kind.INVITATION, make.registration(event), sequence=0)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with post.app_context():
                send_all()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    workers = [threading.Thread(target=work) for _number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    while unsettled():  # a row that another claim looked at just then is tried a moment later
        send_all()
        time.sleep(0.05)
    assert sorted(mail.recipients[0] for mail in smtp.mails) == sorted({mail.recipients[0] for mail in smtp.mails})
    assert len(smtp.mails) == 60


def test_a_killed_worker_loses_nothing_and_repeats_one_mail_at_most(post: Flask, make: Make, smtp: MailServer) -> None:
    """It died after the server's 250, before its own mark: the next one sends the same bytes once more."""
    event = talk(make)
    messages = [owed(make, Kind.INVITATION, event=event) for _number in range(3)]
    with write():
        claims = deliver.claim(10)
    parcel = prepare(claims[0])
    assert parcel is not None
    carry(parcel)
    for message in messages:
        again(message)  # the lease has ended
    assert send_all() == 3
    ids = [mail.message["Message-ID"] for mail in smtp.mails]
    assert sorted(ids) == sorted([messages[0].message_id, *(message.message_id for message in messages)])


def test_a_registration_that_someone_changes_is_passed_over_for_a_moment(post: Flask, make: Make) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # there one writer waits for the other
    message = owed(make, Kind.INVITATION)
    claimed = claim()
    with db.engine.connect() as other:
        row = db.select(Registration.id).where(Registration.id == message.registration_id).with_for_update()
        other.execute(row)
        assert prepare(claimed) is None
    assert look(message, "state") == [MessageState.OWED]


def test_a_line_that_breaks_is_opened_anew(post: Flask, make: Make, smtp: MailServer) -> None:
    message = owed(make, Kind.INVITATION)
    courier = wire.Courier()
    parcel = prepare(claim())
    assert parcel is not None
    courier.carry(parcel)
    courier.abort()
    with pytest.raises(wire.PutOff, match=wire.CUT_OFF):
        courier.carry(parcel)
    courier.carry(parcel)
    courier.close()
    assert len(smtp.to(message.recipient)) == 2
