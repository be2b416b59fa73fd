"""What mail is owed, until when, and how it is taken back."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound
from whatsnext.models import Kind, Message, MessageState, Registration, Status
from whatsnext.services import outbox

HOUR = timedelta(hours=1)


def owe(kind, **given):
    with write():
        return outbox.owe(kind, NOON, **given)


def test_a_mail_goes_to_the_stored_address_in_the_language_of_the_registration(app, make):
    ada = make.registration(make.event(), language="en")
    message = owe(Kind.INVITATION, registration=ada)
    assert (message.recipient, message.language, message.event) == (ada.person.email, "en", ada.event)
    assert message.message_id.endswith("@" + app.config["SETTINGS"].sender.partition("@")[2])


def test_a_mail_lapses_after_two_days_or_with_the_talk(make):
    far = make.event()
    near = make.event(starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
    mails = [owe(Kind.WAITING, registration=make.registration(talk)) for talk in (far, near)]
    mails.append(owe(Kind.SIGN_IN, person=make.person(), best_before=NOON + HOUR / 6))
    assert [mail.best_before - NOON for mail in mails] == [48 * HOUR, 2 * HOUR, HOUR / 6]


def test_a_mail_without_a_person_goes_to_the_address_given(make):
    message = owe(Kind.BARRIER_REPORT, recipient="next@behoerde.example", language="de")
    assert (message.recipient, message.person) == ("next@behoerde.example", None)


def test_superseding_takes_back_only_what_is_not_out(make):
    ada = make.registration(make.event())
    sent = make.message(Kind.INVITATION, ada, state=MessageState.SENT)
    owed = make.message(Kind.INVITATION, ada, facts={"text": "Raum 3"})
    other = make.message(Kind.CANCELLATION, ada)
    with write():
        taken = outbox.supersede(ada, (Kind.INVITATION,), NOON)
    assert taken == [outbox.Unsent(Kind.INVITATION, ada.id, None, {"text": "Raum 3"})]
    states = [db.session.get(Message, mail.id).state for mail in (sent, owed, other)]
    assert states == [MessageState.SENT, MessageState.SUPERSEDED, MessageState.OWED]
    assert (owed.facts, owed.settled_at) == ({}, NOON)


def test_what_the_mails_of_a_talk_said_is_forgotten_once_they_are_superseded(make):
    talk = make.event()
    mail = make.message(Kind.UPDATE, make.registration(talk), facts={"text": "Raum 3"})
    with write():
        outbox.supersede_event(talk.id, (Kind.UPDATE,), NOON)
    db.session.refresh(mail)
    assert (mail.state, mail.facts, mail.settled_at) == (MessageState.SUPERSEDED, {}, NOON)


def test_many_are_owed_at_once_in_order_of_arrival_each_with_a_message_id_of_its_own(app, make):
    talk, other = make.event(sequence=3), make.event()
    line = make.registration(talk, Status.WAITING, arrival=9, language="en")
    place = make.registration(talk, arrival=2, sequence=4)
    make.registration(talk, Status.CANCELLED)
    make.registration(other)
    heard = Registration.status != Status.CANCELLED
    with write():
        assert outbox.owe_all(Kind.UPDATE, NOON, talk, heard, {"text": "Größer"}) == 2
    mails = db.session.query(Message).order_by(Message.id).all()
    assert [(mail.registration, mail.sequence, mail.language) for mail in mails] == [
        (place, 4, "de"),
        (line, None, "en"),
    ]
    (alone,) = [owe(Kind.UPDATE, registration=place, facts={"text": "Größer"}, sequence=4)]
    alike = [column.key for column in Message.__table__.columns if column.key not in ("id", "message_id")]
    assert [getattr(mails[0], name) for name in alike] == [getattr(alone, name) for name in alike]
    assert len({mail.message_id for mail in [*mails, alone]}) == 3
    domain = app.config["SETTINGS"].sender.partition("@")[2]
    assert all(re.fullmatch(rf"[0-9a-f]{{32}}@{re.escape(domain)}", mail.message_id) for mail in mails)


def test_a_mail_about_a_registration_is_about_its_talk_and_its_person(make):
    """The database itself refuses others, and none."""
    ada, linus = make.registration(make.event()), make.registration(make.event())
    right = {"registration_id": ada.id, "event_id": ada.event_id, "person_id": ada.person_id}
    amiss = [{"registration_id": linus.id}, {"event_id": linus.event_id}, {"person_id": linus.person_id}]
    amiss += [{name: 999} for name in right] + [{"event_id": None}, {"person_id": None}]
    mail = outbox.row(Kind.UPDATE, NOON, None, recipient=ada.person.email, language="de", facts={})
    for wrong in amiss:
        with pytest.raises(IntegrityError), write():
            db.session.execute(sa.insert(Message), [{**mail, **right, **wrong}])
    with write():
        db.session.execute(sa.insert(Message), [{**mail, **right}])
    assert db.session.query(Message).one().registration == ada


def test_releasing_lets_held_mails_go(make):
    ada = make.registration(make.event())
    make.message(Kind.CONFIRMATION_REQUEST, ada, state=MessageState.HELD)
    make.message(Kind.INVITATION, ada, state=MessageState.FAILED)
    with write():
        assert outbox.release_held(NOON + HOUR) == 1
    assert [(m.state, m.not_before) for m in db.session.query(Message).order_by(Message.id)] == [
        (MessageState.OWED, NOON + HOUR),
        (MessageState.FAILED, NOON),
    ]


def test_a_failed_mail_is_tried_again_only_through_its_own_talk(make):
    talk, other = make.event(), make.event()
    failed = make.message(Kind.INVITATION, make.registration(talk), state=MessageState.FAILED, tries=5, error="550")
    with pytest.raises(NotFound), write():
        outbox.retry_failed(failed.id, other.id, NOON)
    with write():
        outbox.retry_failed(failed.id, talk.id, NOON + 50 * HOUR)
    again = db.session.get(Message, failed.id)
    assert (again.state, again.tries, again.error, again.best_before) == (MessageState.OWED, 0, "", NOON + 98 * HOUR)
