import contextlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound, RecipientsChanged
from whatsnext.mail import deliver, wire
from whatsnext.models import CancelledBy, Kind, Mailing, Message, MessageState, Mode, Status
from whatsnext.services import mailings, outbox, recipients
from whatsnext.services.mailings import Words
from whatsnext.services.participants import Search, Show
from whatsnext.services.recipients import Act, Choice

WORDS = Words("Raum geändert", "Guten Tag {name},\nwir sind im Saal.")


def seal(talk, words=WORDS, show=Show.ALL):
    chosen = recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search(show)))
    return recipients.seal(chosen, NOON, (words.subject, words.body))


def send(talk, author, words=WORDS, token=None, now=NOON):
    with write():
        return mailings.send(talk.id, token or seal(talk, words), words, author, now)


def facts():
    return list(db.session.scalars(sa.select(Message.facts).order_by(Message.id)))


def test_each_recipient_is_owed_one_mail_in_their_own_words(make, owed):
    talk, author = make.event(title="Register"), make.organiser()
    ada = make.registration(talk, person=make.person(name="Ada"))
    linus = make.registration(talk, Status.WAITING, person=make.person(name="Linus", language="en"))
    make.registration(talk, Status.CANCELLED)
    make.registration(make.event())
    mailing = send(talk, author, Words("{titel}", "{name}: {wann} / {ort}"))
    assert owed() == [(Kind.ORGANISER_MESSAGE, ada), (Kind.ORGANISER_MESSAGE, linus)]
    where = "Beispielstraße 1, 10115 Berlin"
    assert facts() == [
        {"subject": "Register", "body": f"Ada: Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin) / {where}"},
        {"subject": "Register", "body": f"Linus: Mon 19 January 2026, 14:00–15:30 (Berlin) / {where}"},
    ]
    assert (mailing.author_id, mailing.subject, mailing.body) == (author.id, "{titel}", "{name}: {wann} / {ort}")


@pytest.mark.parametrize(
    "typed",
    [
        "{0.__class__}",
        "{{7*7}}",
        "{name.__class__}",
        "{ name }",
        "[x](https://evil.example)",
        "<img src=x>",
        "{}",
        "%(n)s",
    ],
)
def test_whatever_is_no_placeholder_stays_text(make, typed):
    assert mailings.fill(typed, make.event(), "Ada") == typed


def test_a_name_that_looks_like_a_placeholder_is_not_filled_again(make):
    assert mailings.fill("{name}", make.event(), "{titel}") == "{titel}"


def test_others_than_shown_get_nothing(make, owed):
    talk = make.event()
    make.registration(talk)
    token = seal(talk)
    make.registration(talk)
    with pytest.raises(RecipientsChanged):
        send(talk, make.organiser(), token=token)
    assert owed() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Mailing)) == 0


def test_the_same_form_sent_twice_makes_one_mailing(make, owed):
    talk, author = make.event(), make.organiser()
    one = make.registration(talk)
    token = seal(talk)
    assert send(talk, author, token=token).id == send(talk, author, token=token).id
    assert owed() == [(Kind.ORGANISER_MESSAGE, one)]


def test_the_same_words_may_go_to_others_or_another_day(make, owed):
    talk, author = make.event(), make.organiser()
    first, second = make.registration(talk), make.registration(talk, Status.WAITING)
    send(talk, author, token=seal(talk, show=Show.CONFIRMED))
    send(talk, author, token=seal(talk, show=Show.WAITING))
    assert owed() == [(Kind.ORGANISER_MESSAGE, first), (Kind.ORGANISER_MESSAGE, second)]


def test_a_test_goes_to_its_author_only(make, owed):
    talk, author = make.event(), make.organiser(name="Kim")
    make.registration(talk)
    with write():
        mailings.send_test(talk.id, WORDS, author, NOON)
    assert owed() == [(Kind.ORGANISER_MESSAGE, author)]
    assert facts() == [{"subject": "Raum geändert", "body": "Guten Tag Kim,\nwir sind im Saal."}]
    assert mailings.of_event(talk.id) == []


def test_delivery_counts_every_state(make):
    talk = make.event()
    states = list(MessageState)
    people = [make.registration(talk) for _each in states]
    mailing = send(talk, make.organiser())
    mails = db.session.scalars(sa.select(Message).order_by(Message.id)).all()
    with write():
        for mail, state in zip(mails, states, strict=True):
            mail.state = state
    seen = mailings.delivery(talk.id, mailing.id)
    assert (seen.sent, seen.waiting, seen.later, seen.failed, seen.dropped) == (1, 3, 1, 1, 2)
    assert (seen.all, seen.settled, seen.running) == (8, 4, True)
    troubled = [people[states.index(state)] for state in (MessageState.FAILED, MessageState.DEFERRED)]
    assert [mail.registration for mail in mailings.troubled(mailing)] == troubled
    assert mailings.of_event(talk.id) == [(mailing, 8)]


def fail(mail):
    """As delivery does it: what the mail said is forgotten."""
    with write():
        mail.state, mail.facts, mail.error = MessageState.FAILED, {}, "This address does not exist."


def test_a_failed_mail_is_tried_again_with_the_same_words(make, owed):
    talk = make.event()
    one = make.registration(talk, person=make.person(name="Ada"))
    mailing = send(talk, make.organiser())
    mail = db.session.scalars(sa.select(Message)).one()
    fail(mail)
    assert owed() == []
    for _each in range(2):
        with write():
            mailings.retry(talk.id, mailing.id, mail.id, NOON)
    assert owed() == [(Kind.ORGANISER_MESSAGE, one)]
    assert facts() == [{"subject": "Raum geändert", "body": "Guten Tag Ada,\nwir sind im Saal."}]


def test_any_failed_mail_about_a_registration_finds_its_words_again(make, owed):
    talk = make.event()
    here = make.registration(talk)
    gone = make.registration(talk, Status.CANCELLED, cancelled_by=CancelledBy.ORGANISER)
    mails = [make.message(kind, here) for kind in (Kind.INVITATION, Kind.UPDATE)]
    mails.append(make.message(Kind.CANCELLATION, gone))
    for mail in mails:
        fail(mail)
        with write():
            mailings.retry_one(mail.registration, mail.id, NOON)
    assert owed() == [(Kind.INVITATION, here), (Kind.UPDATE, here), (Kind.CANCELLATION, gone)]
    assert facts() == [{}, {"old": {}, "text": ""}, {"by": "organiser", "had_place": False}]
    with pytest.raises(NotFound), write():
        mailings.retry_one(gone, mails[0].id, NOON)


@pytest.fixture
def under_way(make):
    """A mailing to six: sent, on the wire, claimed only, put off, waiting, waiting."""
    talk = make.event()
    for _each in range(6):
        make.registration(talk)
    mailing = send(talk, make.organiser())
    mails = list(db.session.scalars(sa.select(Message).order_by(Message.id)))
    states = (MessageState.SENT, MessageState.SENDING, MessageState.SENDING, MessageState.DEFERRED)
    with write():
        for mail, state in zip(mails, states, strict=False):
            mail.state = state
            mail.not_before = LATER if state is not MessageState.SENT else NOON
        mails[1].raw, mails[1].begun = b"on the wire", True
        mails[2].raw = b"in a batch"
    return talk, mailing, mails


LATER = NOON + timedelta(minutes=5)
THE_STATES = (MessageState.SENT, *[MessageState.HELD] * 5)


def test_what_is_paused_goes_on_when_it_is_resumed(under_way):
    talk, mailing, mails = under_way
    with write():
        assert mailings.pause(talk.id, mailing.id, NOON) == 5
    assert tuple(mail.state for mail in mails) == THE_STATES
    seen = mailings.delivery(talk.id, mailing.id)
    assert (seen.sent, seen.waiting, seen.later, seen.paused, seen.all, seen.running) == (1, 0, 0, 5, 6, False)
    tomorrow = NOON + timedelta(days=1)
    with write():
        assert mailings.resume(talk.id, mailing.id, tomorrow) == 5
    assert [mail.state for mail in mails] == [MessageState.SENT, *[MessageState.OWED] * 5]
    assert [mail.not_before for mail in mails] == [NOON, LATER, NOON, LATER, NOON, NOON]
    assert {mail.error for mail in mails} == {""}
    assert {mail.best_before for mail in mails[1:]} == {tomorrow + timedelta(hours=48)}
    with write():
        assert mailings.resume(talk.id, mailing.id, tomorrow) == 0


def test_a_worker_sends_nothing_that_is_paused_and_keeps_what_went_out_meanwhile(make, sent, smtp):
    """Claimed by a worker, then paused: one was on the wire, the other one had not begun."""
    talk = make.event()
    first, second = make.registration(talk), make.registration(talk)
    mailing = send(talk, make.organiser())
    with write():
        on_the_wire, claimed = deliver.claim(2)
    with write():
        parcel = deliver.prepare(on_the_wire, NOON)
    with contextlib.closing(wire.Courier()) as courier:
        courier.carry(parcel)
    with write():
        mailings.pause(talk.id, mailing.id, NOON)
    with write():
        assert deliver.prepare(claimed, NOON) is None
        assert deliver.sent(on_the_wire, NOON)
    with write():
        assert not deliver.put_off(claimed, wire.LATER), "a mail put off would go out by itself"
    assert sent() == []
    with write():
        mailings.resume(talk.id, mailing.id, NOON)
    assert [mail.recipients for mail in sent()] == [[second.person.email]]
    assert [mail.recipients for mail in smtp.mails] == [[first.person.email], [second.person.email]]


def test_what_is_paused_and_resumed_while_it_is_on_the_wire_goes_once(make, sent, smtp):
    talk = make.event()
    make.registration(talk)
    mailing = send(talk, make.organiser())
    with write():
        (on_the_wire,) = deliver.claim(1)
    with write():
        parcel = deliver.prepare(on_the_wire, NOON)
    with contextlib.closing(wire.Courier()) as courier:
        courier.carry(parcel)
    with write():
        mailings.pause(talk.id, mailing.id, NOON)
    with write():
        mailings.resume(talk.id, mailing.id, NOON)
    with write():
        assert deliver.sent(on_the_wire, NOON)
    assert sent() == []
    assert len(smtp.mails) == 1


def test_stopping_leaves_unsent_what_has_not_gone(under_way):
    talk, mailing, mails = under_way
    with write():
        mailings.pause(talk.id, mailing.id, NOON)
    with write():
        assert mailings.stop(talk.id, mailing.id, NOON) == 5
    assert [mail.state for mail in mails] == [MessageState.SENT, *[MessageState.SUPERSEDED] * 5]
    assert {(mail.error, mail.settled_at) for mail in mails[1:]} == {(mailings.STOPPED, NOON)}
    assert [mail.facts for mail in mails[1:]] == [{}] * 5
    seen = mailings.delivery(talk.id, mailing.id)
    assert (seen.dropped, seen.paused, seen.running) == (5, 0, False)


def test_what_a_worker_had_claimed_stays_unsent_too(make, sent):
    talk = make.event()
    make.registration(talk)
    mailing = send(talk, make.organiser())
    with write():
        (claimed,) = deliver.claim(1)
    with write():
        assert mailings.stop(talk.id, mailing.id, NOON) == 1
    with write():
        assert deliver.prepare(claimed, NOON) is None
        assert not deliver.put_off(claimed, wire.LATER)
    assert sent() == []


def test_pausing_leaves_other_mails_alone(make, under_way):
    talk, mailing, _mails = under_way
    other = make.message(Kind.INVITATION, make.registration(talk))
    held = make.message(Kind.INVITATION, make.registration(talk), state=MessageState.HELD)
    with write():
        mailings.pause(talk.id, mailing.id, NOON)
        assert outbox.release_held(NOON) == 1
    assert (other.state, held.state) == (MessageState.OWED, MessageState.OWED)
    assert mailings.delivery(talk.id, mailing.id).paused == 5


def test_a_mailing_is_found_through_its_own_talk_only(make):
    talk, other = make.event(), make.event()
    one = make.registration(talk)
    mailing = send(talk, make.organiser())
    foreign = make.message(Kind.INVITATION, one, state=MessageState.FAILED)
    for act in (
        lambda: mailings.delivery(other.id, mailing.id),
        lambda: mailings.retry(other.id, mailing.id, 1, NOON),
        lambda: mailings.retry(talk.id, mailing.id, foreign.id, NOON),
        lambda: mailings.stop(other.id, mailing.id, NOON),
        lambda: mailings.pause(other.id, mailing.id, NOON),
        lambda: mailings.resume(other.id, mailing.id, NOON),
    ):
        with pytest.raises(NotFound), write():
            act()


def test_a_talk_that_is_over_can_still_be_written_about(make):
    talk = make.event()
    make.registration(talk)
    later = talk.ends_at + timedelta(hours=1)
    chosen = recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search()))
    token = recipients.seal(chosen, later, (WORDS.subject, WORDS.body))
    send(talk, make.organiser(), token=token, now=later)
    mail = db.session.scalars(sa.select(Message)).one()
    assert mail.best_before == later + timedelta(hours=48)


@pytest.mark.parametrize(
    ("mode", "place"),
    [(Mode.ON_SITE, "Weg 1"), (Mode.ONLINE, "online"), (None, "Weg 1 und online")],
)
def test_the_place_in_a_message_is_the_person_s_own(make, mode, place):
    talk = make.event(places_on_site=1, places_online=1, address="Weg 1")
    assert mailings.fill("{ort}", talk, "Ada", mode) == place
