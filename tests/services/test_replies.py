"""What a mail that came in does: everything must agree before anything changes; nobody answers a machine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from tests.factories import NOON, Make
from whatsnext.calendars.reply import Answer
from whatsnext.db import db, write
from whatsnext.errors import NotFound
from whatsnext.models import (
    CancelledBy,
    EventState,
    Incoming,
    Kind,
    Message,
    MessageState,
    PartStat,
    Reason,
    Registration,
    Status,
)
from whatsnext.services import incoming, registrations, replies
from whatsnext.services.incoming import Reading

Owed = Callable[[], list[tuple[Kind, Any]]]


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


class Post:
    """Hands readings to the service, each as a mail of its own."""

    def __init__(self) -> None:
        self.number = 0

    def take(self, reading: Reading, now: datetime = NOON, *, left_in_mailbox: bool = False) -> tuple[str, str]:
        """State and reason."""
        self.number += 1
        with write():
            begun = incoming.begin(f"{self.number:064}", b"raw", 3, now)
            assert begun is not None
            replies.receive(begun, reading, now, left_in_mailbox=left_in_mailbox)
        mail = self.last
        return mail.state.value, mail.reason.value

    @property
    def last(self) -> Incoming:
        return db.session.query(Incoming).order_by(Incoming.id.desc()).limit(1).one()


@pytest.fixture
def post(app: Flask) -> Post:
    return Post()


@pytest.fixture
def ada(make: Make) -> Registration:
    return make.registration(make.event())


def answers(registration: Registration, partstat: str = "ACCEPTED", at: int = 1, **changes: Any) -> Reading:
    """The reading of a good answer, said `at` minutes after noon; `changes` to it or to its calendar."""
    own = registration.person.email
    answer = Answer(
        method="REPLY", uid=registration.event.uid, attendee=own, partstat=partstat, sequence=0, stamp=minute(at)
    )
    named = {name: changes.pop(name) for name in list(changes) if name in Answer.__dataclass_fields__}
    reading = Reading(
        sender=own, recipients=(f"next+{registration.reply_token}@localhost",), answer=replace(answer, **named)
    )
    return replace(reading, **changes)


def standing(registration: Registration) -> tuple[Status, PartStat]:
    db.session.refresh(registration)
    return registration.status, registration.partstat


DISAGREE: dict[str, tuple[dict[str, Any], Reason]] = {
    "another address": ({"recipients": ("next@localhost",)}, Reason.NO_TOKEN),
    "a token of nobody": ({"recipients": ("next+aaaaaaaaaaaaaaaaaaaaaaaaaa@localhost",)}, Reason.NO_TOKEN),
    "our token elsewhere": ({"recipients": ("next+reply000000000000000000001@evil.example",)}, Reason.NO_TOKEN),
    "a stranger": ({"sender": "mallory@evil.example"}, Reason.FOREIGN),
    "no sender": ({"sender": ""}, Reason.FOREIGN),
    "another talk": ({"uid": "other@next"}, Reason.OTHER_UID),
    "another attendee": ({"attendee": "grace@behoerde.example"}, Reason.OTHER_ATTENDEE),
    "one part only": ({"recurrence": "20260119T130000Z"}, Reason.OTHER_ATTENDEE),
    "our server says no": ({"authentic": "fail"}, Reason.UNAUTHENTIC),
    "no DTSTAMP": ({"stamp": None}, Reason.DATE),
    "a DTSTAMP to come": ({"stamp": NOON + timedelta(days=2)}, Reason.DATE),
    "a list": ({"robot": "list"}, Reason.ROBOT),
    "a null path": ({"robot": "null path"}, Reason.ROBOT),
}


@pytest.mark.parametrize(("changes", "reason"), DISAGREE.values(), ids=DISAGREE)
def test_an_answer_that_does_not_agree_is_kept_aside(
    post: Post, ada: Registration, owed: Owed, changes: dict[str, Any], reason: Reason
) -> None:
    assert post.take(answers(ada, "DECLINED", **changes)) == ("aside", reason.value)
    assert standing(ada) == (Status.CONFIRMED, PartStat.NEEDS_ACTION)
    assert (ada.reply_stamp, owed()) == (None, [])


def test_an_answer_counts_whatever_case_its_addresses_are_in(post: Post, ada: Registration) -> None:
    own = ada.person.email.upper()
    to = (f"NEXT+{ada.reply_token}@LOCALHOST".upper(),)
    assert post.take(answers(ada, sender=own, attendee=own, recipients=to)) == ("acted", "")
    assert standing(ada) == (Status.CONFIRMED, PartStat.ACCEPTED)


def test_two_registrations_in_one_address_line_are_neither(post: Post, make: Make, ada: Registration) -> None:
    linus = make.registration(ada.event)
    to = tuple(f"next+{each.reply_token}@localhost" for each in (ada, linus))
    assert post.take(answers(ada, recipients=to)) == ("aside", "no_token")


def test_what_was_said_earlier_or_of_an_older_invitation_is_ignored(post: Post, ada: Registration) -> None:
    with write():
        ada.sequence = 3
    assert post.take(answers(ada, at=5, sequence=2)) == ("aside", "old")
    assert post.take(answers(ada, at=5, sequence=3)) == ("acted", "")
    assert post.take(answers(ada, "DECLINED", at=5, sequence=3)) == ("aside", "replayed")
    assert post.take(answers(ada, "DECLINED", at=4, sequence=3)) == ("aside", "replayed")
    assert standing(ada) == (Status.CONFIRMED, PartStat.ACCEPTED)


def test_a_talk_that_has_begun_or_is_off_hears_no_answers(post: Post, make: Make, ada: Registration) -> None:
    assert ada.event.starts_at is not None
    late = (ada.event.starts_at - NOON) // timedelta(minutes=1)
    assert post.take(answers(ada, "DECLINED", at=late), ada.event.starts_at) == ("aside", "over")
    off = make.registration(make.event(state=EventState.CANCELLED))
    assert post.take(answers(off, "DECLINED")) == ("aside", "talk_off")
    assert standing(ada) == (Status.CONFIRMED, PartStat.NEEDS_ACTION)


def test_somebody_in_line_who_was_never_invited_cannot_answer(post: Post, make: Make) -> None:
    waiting = make.registration(make.event(), Status.WAITING)
    assert post.take(answers(waiting, "DECLINED")) == ("aside", "not_invited")


def test_whoever_an_organiser_removed_does_not_come_back_by_accepting(post: Post, make: Make, owed: Owed) -> None:
    gone = make.registration(make.event(), Status.CANCELLED, cancelled_by=CancelledBy.ORGANISER, sequence=1)
    assert post.take(answers(gone, sequence=1)) == ("aside", "not_signed_up")
    assert (standing(gone), owed()) == ((Status.CANCELLED, PartStat.NEEDS_ACTION), [])


def test_whoever_gave_up_on_the_website_does_not_come_back_by_an_old_invitation(post: Post, ada: Registration) -> None:
    with write():
        registrations.cancel(ada.id, NOON)
    assert post.take(answers(ada, at=2)) == ("aside", "old")
    assert standing(ada) == (Status.CANCELLED, PartStat.NEEDS_ACTION)


def test_the_old_place_in_line_is_given_back(post: Post, make: Make, owed: Owed) -> None:
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    linus, grace = make.registration(talk, Status.WAITING), make.registration(talk, Status.WAITING)
    post.take(answers(ada, "DECLINED", at=1), minute(1))
    post.take(answers(ada, "ACCEPTED", at=2), minute(2))
    assert [standing(each)[0] for each in (ada, linus, grace)] == [Status.WAITING, Status.CONFIRMED, Status.WAITING]
    assert (ada.arrival, owed()[-1]) == (1, (Kind.WAITING, ada))


def test_comments_are_kept_as_text(post: Post, ada: Registration) -> None:
    post.take(answers(ada, comment="<b>Komme später</b>"))
    db.session.refresh(ada)
    assert (ada.reply_comment, post.last.comment) == ("<b>Komme später</b>", "<b>Komme später</b>")


# --- nobody is answered without end ----------------------------------------------------------------------


def test_a_machine_that_goes_back_and_forth_gets_one_mail_a_day(post: Post, ada: Registration, owed: Owed) -> None:
    for turn in range(1, 20):
        partstat = "DECLINED" if turn % 2 else "ACCEPTED"
        post.take(answers(ada, partstat, at=turn, sequence=5, robot="automatic"), minute(turn))
    assert [kind for kind, _about in owed()] == [Kind.CANCELLATION]


def test_a_person_who_goes_back_and_forth_gets_four(post: Post, ada: Registration) -> None:
    said = []
    for turn in range(1, 8):
        partstat = "DECLINED" if turn % 2 else "ACCEPTED"
        said.append(post.take(answers(ada, partstat, at=turn, sequence=50), minute(turn)))
    assert said[:5] == [("acted", "")] * 4 + [("aside", "too_often")]


def test_the_invitation_is_sent_again_once_a_day_and_to_no_machine(post: Post, ada: Registration, owed: Owed) -> None:
    assert post.take(answers(ada, at=1, method="REFRESH", robot="automatic")) == ("aside", "robot")
    assert post.take(answers(ada, at=2, method="REFRESH")) == ("acted", "")
    assert post.take(answers(ada, at=3, method="REFRESH"), minute(3)) == ("aside", "too_often")
    assert owed() == [(Kind.INVITATION, ada)]
    next_day = NOON + timedelta(hours=25)
    assert post.take(answers(ada, stamp=next_day, method="REFRESH"), next_day) == ("acted", "")


# --- delivery status -------------------------------------------------------------------------------------


def bounce(registration: Registration, **changes: Any) -> Reading:
    filled: dict[str, Any] = {
        "recipients": (f"next+{registration.reply_token}@localhost",),
        "robot": "null path",
        "bounced": (registration.person.email,),
    }
    return Reading(**{**filled, **changes})


def test_a_mail_that_came_back_for_good_marks_the_address_and_the_mail(
    post: Post, make: Make, ada: Registration, owed: Owed
) -> None:
    mail = make.message(Kind.INVITATION, ada, state=MessageState.SENT)
    assert post.take(bounce(ada)) == ("noted", "bounce")
    db.session.refresh(mail)
    assert (mail.state, mail.error) == (MessageState.FAILED, replies.SENT_BACK)
    assert (ada.person.bounced_at, owed(), standing(ada)[0]) == (NOON, [], Status.CONFIRMED)


@pytest.mark.parametrize(
    "changes",
    [
        {"bounced": ("other@behoerde.example",)},
        {"recipients": ("next@localhost",)},
        {"bounced": (), "delayed": ("ada@behoerde.example",)},
    ],
    ids=["another address", "without our token", "late only"],
)
def test_other_delivery_status_marks_nobody(post: Post, make: Make, ada: Registration, changes: dict[str, Any]) -> None:
    mail = make.message(Kind.INVITATION, ada, state=MessageState.SENT)
    assert post.take(bounce(ada, **changes)) == ("noted", "bounce")
    db.session.refresh(mail)
    assert (mail.state, ada.person.bounced_at) == (MessageState.SENT, None)


def test_an_address_that_sent_mails_back_gets_what_is_asked_for_only_until_it_is_proved_again(
    post: Post, make: Make, ada: Registration, sent: Callable[[], list[Any]]
) -> None:
    post.take(bounce(ada), minute(1))
    messages = [make.message(kind, ada) for kind in (Kind.INVITATION, Kind.NEW_LINK)]
    sent()
    db.session.expire_all()
    assert [message.state for message in messages] == [MessageState.SUPERSEDED, MessageState.SENT]
    with write():
        ada.proved_at = minute(2)
    again = make.message(Kind.INVITATION, ada)
    sent()
    db.session.expire_all()
    assert again.state is MessageState.SENT


# --- humans and machines ---------------------------------------------------------------------------------


def test_what_a_human_writes_about_a_registration_goes_to_who_is_asked_about_the_talk(
    post: Post, ada: Registration
) -> None:
    human = Reading(
        sender="kim@behoerde.example",
        name="Kim",
        subject="Frage",
        text="Gibt es Netz?",
        recipients=(f"next+{ada.reply_token}@localhost",),
    )
    assert post.take(human, left_in_mailbox=True) == ("forwarded", "human")
    mail = db.session.query(Message).one()
    assert (mail.kind, mail.recipient, mail.facts["text"]) == (Kind.FORWARD, "next@behoerde.example", "Gibt es Netz?")


def test_without_a_mailbox_to_stay_in_any_human_mail_is_forwarded(post: Post, ada: Registration, owed: Owed) -> None:
    assert post.take(Reading(sender="kim@behoerde.example", text="x", recipients=("next@localhost",))) == (
        *("forwarded", "human"),
    )
    assert owed() == [(Kind.FORWARD, None)]


def test_a_human_mail_is_shown_where_forwarding_would_come_back_or_flood(
    post: Post, make: Make, ada: Registration, owed: Owed
) -> None:
    human = Reading(sender="kim@behoerde.example", text="x", recipients=(f"next+{ada.reply_token}@localhost",))
    for _number in range(replies.FORWARDS_AN_HOUR):
        post.take(human)
    assert post.take(human) == ("aside", "human")
    assert len(owed()) == replies.FORWARDS_AN_HOUR
    with write():
        ada.event.series.contact_email = "next@localhost"
    assert post.take(human, NOON + timedelta(hours=2)) == ("aside", "human")


@pytest.mark.parametrize("robot", ["automatic", "list", "null path"])
def test_a_machine_is_not_answered(post: Post, ada: Registration, owed: Owed, robot: str) -> None:
    away = Reading(sender=ada.person.email, robot=robot, recipients=(f"next+{ada.reply_token}@localhost",), text="Weg")
    assert post.take(away) == ("noted", "robot")
    assert owed() == []


# --- what organisers decide ------------------------------------------------------------------------------


def test_whoever_answered_a_forwarded_invitation_is_invited_by_an_organiser(
    post: Post, ada: Registration, owed: Owed
) -> None:
    post.take(answers(ada, sender="Grace@behoerde.example", name="Grace Beispiel"))
    mail = post.last
    assert replies.may_invite(mail) == "grace@behoerde.example"
    with write():
        grace = replies.invite(mail.id, NOON)
    assert (grace.name, grace.person.email, grace.status) == (
        *("Grace Beispiel", "grace@behoerde.example"),
        Status.CONFIRMED,
    )
    assert owed() == [(Kind.INVITATION, grace)]
    assert incoming.number_open() == 0


def test_a_delegate_is_invited_by_an_organiser(post: Post, ada: Registration) -> None:
    post.take(answers(ada, "DELEGATED", delegate="grace@behoerde.example"))
    with write():
        grace = replies.invite(post.last.id, NOON)
    assert (grace.person.email, standing(ada)) == (
        "grace@behoerde.example",
        (Status.CONFIRMED, PartStat.DELEGATED),
    )


def test_nobody_is_invited_because_of_another_mail(post: Post, ada: Registration) -> None:
    post.take(answers(ada, uid="other@next"))
    with pytest.raises(NotFound), write():
        replies.invite(post.last.id, NOON)


def test_a_proposed_time_is_answered_when_an_organiser_says_so(
    post: Post, ada: Registration, sent: Callable[[], list[Any]]
) -> None:
    assert post.take(answers(ada, "TENTATIVE", method="COUNTER", comment="Lieber später")) == ("acted", "counter")
    assert (incoming.number_open(), sent()) == (1, [])
    with write():
        replies.decline_counter(post.last.id, NOON)
    (mail,) = sent()
    calendar = mail.part("text/calendar")
    assert ("METHOD:DECLINECOUNTER" in calendar, f"UID:{ada.event.uid}" in calendar) == (True, True)
    assert mail.recipients == [ada.person.email]
    assert incoming.number_open() == 0
    with pytest.raises(NotFound), write():
        replies.decline_counter(post.last.id, NOON)


def test_after_thirty_days_only_the_check_sum_is_left(post: Post, ada: Registration) -> None:
    post.take(answers(ada, sender="mallory@evil.example", name="Mallory", subject="x", comment="y"))
    with write():
        incoming.forget(NOON + timedelta(days=31))
    mail = post.last
    db.session.refresh(mail)
    assert (mail.sender, mail.sender_name, mail.subject, mail.comment, mail.raw) == ("", "", "", "", None)
    assert (incoming.number_open(), len(mail.digest)) == (0, 64)
