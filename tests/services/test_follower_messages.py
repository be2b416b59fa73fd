"""A message to everyone who follows a theme: to those counted, once each, in their own words, ended by one click."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from tests.mail.worlds import change, send_all
from whatsnext.db import db, write
from whatsnext.errors import LinkInvalid, NobodyToTell, RecipientsChanged
from whatsnext.models import EventState, Kind, Message, MessageState
from whatsnext.services import follower_messages, mailings, recipients
from whatsnext.services.mailings import Words
from whatsnext.services.participants import Search
from whatsnext.services.recipients import Act, Choice

WORDS = Words("Noch Plätze frei", "Guten Tag {name},\n{titel} ist {wann}, {ort}.")


@pytest.fixture
def theme(make):
    return make.theme(name="Register")


@pytest.fixture
def talk(make, theme):
    return make.event(title="Register", theme_id=theme.id)


def seal(talk, words=WORDS):
    return follower_messages.seal(talk, follower_messages.choose(talk), words, NOON)


def send(talk, author, token, words=WORDS):
    with write():
        return follower_messages.send(talk.id, token, words, author, NOON)


def test_everyone_who_follows_the_theme_is_owed_one_mail_in_their_own_words(make, owed, theme, talk):
    ada = make.follow(make.person(name="Ada"), theme_id=theme.id)
    linus = make.follow(make.person(name="Linus", language="en"), theme_id=theme.id, language="en")
    make.follow(theme_id=theme.id, proved_at=None)
    make.follow(theme_id=theme.id, ended_at=NOON)
    make.follow(theme_id=make.theme().id)
    make.follow(event_id=talk.id)
    make.registration(talk)
    assert follower_messages.number(talk) == 2
    mailing = send(talk, make.organiser(), seal(talk))
    assert owed() == [(Kind.FOLLOWER_MESSAGE, ada.person), (Kind.FOLLOWER_MESSAGE, linus.person)]
    where = "Beispielstraße 1, 10115 Berlin"
    bodies = [message.facts["body"] for message in db.session.scalars(sa.select(Message).order_by(Message.id))]
    assert bodies == [
        f"Guten Tag Ada,\nRegister ist Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin), {where}.",
        f"Guten Tag Linus,\nRegister ist Mon 19 January 2026, 14:00–15:30 (Berlin), {where}.",
    ]
    assert mailings.delivery(talk.id, mailing.id).waiting == 2


def test_it_arrives_with_one_click_to_end_it_and_reaches_nobody_who_ended_it_meanwhile(make, sent, theme, talk):
    ada, linus = make.follow(theme_id=theme.id), make.follow(theme_id=theme.id)
    send(talk, make.organiser(), seal(talk))
    with write():
        linus.ended_at = NOON
    (mail,) = sent()
    assert mail.recipients == [ada.person.email]
    assert mail.subject == "Noch Plätze frei (Register)"
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Eine Nachricht der Organisation zum Thema „Register“:" in mail.part("text/plain")


def test_it_can_be_paused_resumed_and_stopped(make, owed, theme, talk):
    follow = make.follow(theme_id=theme.id)
    mailing = send(talk, make.organiser(), seal(talk))
    with write():
        mailings.pause(talk.id, mailing.id, NOON)
    assert owed() == []
    with write():
        mailings.resume(talk.id, mailing.id, NOON)
    assert owed() == [(Kind.FOLLOWER_MESSAGE, follow.person)]
    with write():
        assert mailings.stop(talk.id, mailing.id, NOON) == 1


def test_a_failed_one_is_tried_again_with_the_same_words(make, sent, theme, talk):
    make.follow(make.person(name="Ada"), theme_id=theme.id)
    mailing = send(talk, make.organiser(), seal(talk))
    mail = db.session.scalars(sa.select(Message)).one()
    with write():
        mail.state, mail.facts, mail.error = MessageState.FAILED, {}, "The mailbox is full."
    with write():
        mailings.retry(talk.id, mailing.id, mail.id, NOON)
    assert "Guten Tag Ada," in sent()[0].part("text/plain")


def test_one_is_tried_again_though_the_talk_has_another_theme_by_then(make, smtp, theme, talk):
    follow = make.follow(theme_id=theme.id)
    mailing = send(talk, make.organiser(), seal(talk))
    (mail,) = db.session.scalars(sa.select(Message))
    smtp.answers[mail.recipient] = "550 5.1.1 no such mailbox"
    assert send_all() == 0
    smtp.answers.clear()
    change(talk, theme_id=make.theme().id)
    with write():
        mailings.retry(talk.id, mailing.id, mail.id, NOON)
    assert send_all() == 1
    assert smtp.mails[0].recipients == [follow.person.email]


def test_the_same_form_sent_twice_makes_one_mailing(make, owed, theme, talk):
    make.follow(theme_id=theme.id)
    author, token = make.organiser(), seal(talk)
    assert send(talk, author, token).id == send(talk, author, token).id
    assert len(owed()) == 1


def test_others_or_other_words_than_shown_are_refused(make, owed, theme, talk):
    make.follow(theme_id=theme.id)
    token, author = seal(talk), make.organiser()
    with pytest.raises(RecipientsChanged):
        send(talk, author, token, Words("Anders", "x"))
    make.follow(theme_id=theme.id)
    with pytest.raises(RecipientsChanged):
        send(talk, author, token)
    assert owed() == []


def test_a_seal_is_good_for_its_own_kind_and_talk_only(make, owed, theme, talk):
    make.follow(theme_id=theme.id)
    make.registration(talk)
    other, author = make.event(theme_id=theme.id), make.organiser()
    to_participants = recipients.seal(
        recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search())), NOON, ("x", "y")
    )
    for event, token in ((other, seal(talk)), (talk, to_participants)):
        with pytest.raises(LinkInvalid):
            send(event, author, token)
    with pytest.raises(LinkInvalid):
        recipients.sealed_choice(seal(talk), talk.id, NOON)
    assert owed() == []


def test_nobody_hears_of_a_talk_without_theme_or_not_published(make, theme):
    make.follow(theme_id=theme.id)
    for event in (
        make.event(),
        make.draft(theme_id=theme.id),
        make.event(theme_id=theme.id, state=EventState.CANCELLED),
    ):
        assert follower_messages.number(event) == 0
        with pytest.raises(NobodyToTell):
            follower_messages.choose(event)


@pytest.mark.parametrize("number", [1, 3])
def test_the_statements_are_as_many_for_three_as_for_one(make, query_count, theme, talk, number):
    for _each in range(number):
        make.follow(theme_id=theme.id)
    author, token = make.organiser(), seal(talk)
    with query_count() as queries:
        send(talk, author, token)
    assert len([each for each in queries if each.startswith("INSERT INTO message ")]) == 1
    assert len(queries) == 8
    assert db.session.scalar(sa.select(Message.best_before)) == NOON + timedelta(hours=48)
