"""Following a theme or the opening of a talk's sign-up: asked, proved, told, ended (safety.md O5, O8, I10)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from tests.mail.worlds import change, send_all
from whatsnext.db import db, write
from whatsnext.errors import LinkExpired, LinkInvalid, LinkUsed, NotFound
from whatsnext.models import EventState, Follow, Kind, Message, MessageState, Mode, Person
from whatsnext.services import events, follows, outbox, rescheduling, signup
from whatsnext.services.follows import Asker

ADA = Asker("ada@behoerde.example", "de", "digest")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ask(theme, asker=ADA, now=NOON):
    with write():
        follows.follow_theme(theme.slug, asker, now)
    return db.session.scalars(sa.select(Follow).order_by(Follow.id.desc())).first()


def confirm(follow, now=NOON):
    with write():
        return follows.confirm(follow.id, now)


def end(follow, now=NOON):
    with write():
        return follows.end(follow.id, now)


def publish(talk, now=NOON):
    with write():
        return events.publish(talk.id, talk.version, now)


def told(kind=Kind.NEWS):
    return list(db.session.scalars(sa.select(Message.recipient).where(Message.kind == kind).order_by(Message.id)))


def test_asking_owes_one_request_and_nothing_is_followed_before_the_button_is_pressed(make, owed):
    theme = make.theme()
    follow = ask(theme)
    assert (follow.theme_id, follow.person.email, follow.language, follow.browser) == (
        theme.id,
        "ada@behoerde.example",
        "de",
        "digest",
    )
    assert not follows.holds(follow)
    assert owed() == [(Kind.FOLLOW_REQUEST, follow.person)]
    publish(make.draft(theme_id=theme.id))
    assert told() == []
    assert follows.holds(confirm(follow))
    publish(make.draft(theme_id=theme.id))
    assert told() == ["ada@behoerde.example"]


def test_publishing_tells_each_follower_of_the_theme_once_and_nobody_else(make, query_count):
    theme, other = make.theme(), make.theme()
    ada, grace = make.follow(theme_id=theme.id), make.follow(theme_id=theme.id, language="en")
    make.follow(theme_id=other.id)
    make.follow(theme_id=theme.id, ended_at=NOON)
    make.follow(theme_id=theme.id, proved_at=None)
    talk = make.draft(theme_id=theme.id)
    publish(talk)
    rows = db.session.execute(sa.select(Message.kind, Message.recipient, Message.language, Message.event_id))
    assert sorted(map(tuple, rows)) == sorted(
        [
            (Kind.NEWS, ada.person.email, "de", talk.id),
            (Kind.NEWS, grace.person.email, "en", talk.id),
        ]
    )


def test_a_talk_without_a_theme_or_in_the_past_is_no_news(make):
    theme = make.theme()
    make.follow(theme_id=theme.id)
    bare, past = make.draft(), make.draft(theme_id=theme.id, starts_local=NOON.replace(tzinfo=None) - DAY)
    with write():
        assert [follows.tell_published(talk, NOON) for talk in (bare, past)] == [0, 0]
    assert told() == []


def test_publishing_takes_as_many_statements_for_three_followers_as_for_one(make, query_count):
    counts = []
    for people in (1, 3):
        theme = make.theme()
        for _number in range(people):
            make.follow(theme_id=theme.id)
        talk = make.draft(theme_id=theme.id)
        version = talk.version
        with query_count() as queries, write():
            events.publish(talk.id, version, NOON)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_who_follows_already_is_written_to_alike_and_nothing_changes(make, owed):
    theme = make.theme()
    follow = confirm(ask(theme))
    again = ask(theme, Asker(ADA.email, "en", "other"), NOON + HOUR)
    assert again.id == follow.id
    assert follows.holds(again)
    assert again.browser == "digest"
    assert owed() == [(Kind.FOLLOW_REQUEST, follow.person)] * 2


def test_the_same_form_twice_owes_one_request(make, owed):
    theme = make.theme()
    follow = ask(theme)
    ask(theme, now=NOON + timedelta(seconds=59))
    assert owed() == [(Kind.FOLLOW_REQUEST, follow.person)]
    end(follow)
    ask(theme, now=NOON + timedelta(seconds=59))
    assert len(told(Kind.FOLLOW_REQUEST)) == 2


def test_who_ended_it_can_ask_and_confirm_again(make):
    theme = make.theme()
    follow = end(confirm(ask(theme)))
    assert not follows.holds(follow)
    again = ask(theme, now=NOON + HOUR)
    assert not follows.holds(again)
    assert follows.holds(confirm(again, NOON + HOUR))


def test_a_link_that_confirmed_before_does_not_confirm_what_was_ended(make):
    follow = end(confirm(ask(make.theme())))
    assert not follows.holds(confirm(follow, NOON + HOUR))


def test_an_unknown_theme_or_talk_is_not_found(make):
    draft = make.draft()
    for ask_for, slug in (
        (follows.follow_theme, "x"),
        (follows.follow_opening, "x"),
        (follows.follow_opening, draft.slug),
    ):
        with pytest.raises(NotFound), write():
            ask_for(slug, ADA, NOON)


# --- limits ----------------------------------------------------------------------------------------------


def test_a_stranger_gets_three_requests_an_hour_whoever_asks_for_what(make):
    for _number in range(50):
        ask(make.theme())
    assert len(told(Kind.FOLLOW_REQUEST)) == 3


def test_requests_to_follow_and_to_confirm_a_sign_up_count_together(make, owed):
    for _number in range(2):
        ask(make.theme())
    for _number in range(2):
        talk = make.event()
        wish = signup.Wish(name="Ada", email=ADA.email, agency="Amt", mode=Mode.ON_SITE)
        with write():
            signup.sign_up(talk.slug, wish, None, NOON)
    assert [kind for kind, _whom in owed()] == [Kind.FOLLOW_REQUEST] * 2 + [Kind.CONFIRMATION_REQUEST]


def test_beyond_the_brake_requests_are_held(make, make_app):
    app = make_app(new_address_mails_per_hour=2)
    with app.app_context():
        theme = make.theme()
        for number in range(4):
            ask(theme, Asker(f"wer{number}@behoerde.example"))
        states = db.session.scalars(sa.select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.OWED] * 2 + [MessageState.HELD] * 2


def test_a_blocked_address_is_not_written_to(make, owed):
    make.person(email=ADA.email, blocked_at=NOON)
    ask(make.theme())
    assert owed() == []


def test_who_wants_no_more_mails_gets_no_news_until_following_anew(make, smtp):
    theme = make.theme()
    follow = make.follow(theme_id=theme.id)
    change(follow.person, blocked_at=NOON + HOUR)
    publish(make.draft(theme_id=theme.id))
    assert send_all() == 0
    change(follow, proved_at=NOON + 2 * HOUR)
    publish(make.draft(theme_id=theme.id))
    assert send_all() == 1


# --- links -----------------------------------------------------------------------------------------------


def test_a_link_to_confirm_works_for_48_hours_and_only_the_newest(make):
    follow = ask(make.theme())
    token = follows.confirm_token(follow)
    assert follows.by_confirm_token(token, NOON + 47 * HOUR).id == follow.id
    with pytest.raises(LinkExpired):
        follows.by_confirm_token(token, NOON + 49 * HOUR)
    ask(follow.theme, now=NOON + HOUR)
    with pytest.raises(LinkUsed):
        follows.by_confirm_token(token, NOON + HOUR)


def test_each_token_works_at_its_own_place_only(make):
    follow = ask(make.theme())
    confirming, ending = follows.confirm_token(follow), follows.follow_token(follow, NOON)
    assert follows.by_follow_token(ending, NOON + 3 * 364 * DAY).id == follow.id
    for read, token in ((follows.by_confirm_token, ending), (follows.by_follow_token, confirming)):
        with pytest.raises(LinkInvalid):
            read(token, NOON)


# --- mails that are no longer true -------------------------------------------------------------------------


def test_news_not_out_yet_is_dropped_when_it_is_ended_or_the_talk_is_off(make, smtp):
    theme = make.theme()
    ada, grace = make.follow(theme_id=theme.id), make.follow(theme_id=theme.id)
    first = make.draft(theme_id=theme.id)
    publish(first)
    end(ada)
    second = publish(make.draft(theme_id=theme.id))
    with write():
        rescheduling.cancel(second.id, "krank", second.version, NOON, expected=0)
    assert send_all() == 1
    assert smtp.mails[0].recipients == [grace.person.email]


@pytest.mark.parametrize("kind", [Kind.NEWS, Kind.SIGN_UP_OPENS])
def test_a_failed_mail_that_is_tried_again_finds_whom_it_is_for(make, smtp, kind):
    theme = make.theme()
    talk = make.event(theme_id=theme.id)
    follow = make.follow(theme_id=theme.id) if kind is Kind.NEWS else make.follow(event_id=talk.id)
    about = {"event_id": talk.id, "facts": {}, "state": MessageState.FAILED}
    message = make.message(kind, follow.person, **about)
    with write():
        outbox.retry_failed(message.id, talk.id, NOON)
    assert send_all() == 1
    assert "/following/" in smtp.mails[0].message["List-Unsubscribe"]


def test_a_request_not_out_yet_is_dropped_when_the_person_said_no(make, smtp):
    follow = ask(make.theme())
    end(follow)
    assert send_all() == 0


# --- the opening of a talk's sign-up -----------------------------------------------------------------------


def test_whoever_asked_hears_once_when_sign_up_opens(make):
    talk = make.event(registration_opens=NOON + DAY)
    with write():
        follows.follow_opening(talk.slug, ADA, NOON)
    follow = db.session.scalars(sa.select(Follow)).one()
    confirm(follow)
    make.follow(event_id=talk.id, proved_at=None)
    make.follow(event_id=talk.id, ended_at=NOON)
    counts = []
    for moment in (NOON, NOON + DAY - HOUR, NOON + DAY, NOON + DAY + HOUR):
        with write():
            counts.append(follows.tell_opened(moment))
    assert counts == [0, 0, 1, 0]
    assert told(Kind.SIGN_UP_OPENS) == [ADA.email]
    assert not follows.holds(follow)


@pytest.mark.parametrize(
    "given",
    [
        {"state": EventState.CANCELLED},
        {"registration_closes": NOON - HOUR},
        {"starts_local": NOON.replace(tzinfo=None) - DAY},
        {"state": EventState.DRAFT},
    ],
)
def test_nobody_hears_of_a_sign_up_that_nobody_can_use(make, given):
    talk = make.event(**given)
    make.follow(event_id=talk.id)
    with write():
        assert follows.tell_opened(NOON) == 0


def test_someone_new_by_following_is_a_person_with_a_proved_address(make):
    follow = confirm(ask(make.theme()))
    person = db.session.scalars(sa.select(Person).where(Person.email == ADA.email)).one()
    assert (follow.person_id, person.proved_at) == (person.id, NOON)
