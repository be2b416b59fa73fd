from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound, RecipientsChanged
from whatsnext.models import CancelledBy, Kind, Mailing, Message, MessageState, Mode, Status
from whatsnext.services import invitations, mailings, recipients
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
    assert facts() == [{}, {"before": invitations.facts(talk), "text": ""}, {"by": "organiser"}]
    with pytest.raises(NotFound), write():
        mailings.retry_one(gone, mails[0].id, NOON)


def test_stopping_leaves_unsent_what_has_not_gone(make):
    talk = make.event()
    for _each in range(3):
        make.registration(talk)
    mailing = send(talk, make.organiser())
    sent, sending, waiting = db.session.scalars(sa.select(Message).order_by(Message.id)).all()
    with write():
        sent.state, sending.state = MessageState.SENT, MessageState.SENDING
    with write():
        assert mailings.stop(talk.id, mailing.id, NOON) == 1
    assert [mail.state for mail in (sent, sending, waiting)] == [
        MessageState.SENT,
        MessageState.SENDING,
        MessageState.SUPERSEDED,
    ]


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
