"""The page on which organisers see how the mails fare, and the operator lets held ones go."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.mail.worlds import change, owed
from whatsnext.db import write
from whatsnext.errors import NotFound
from whatsnext.mail import wire
from whatsnext.models import CancelledBy, Kind, MessageState, Status
from whatsnext.permissions import Role
from whatsnext.services import delivery, mailings, restored
from whatsnext.services.delivery import Hour
from whatsnext.services.mailings import Words
from whatsnext.web.organise import plot

PAGE = "/organise/delivery"


@pytest.fixture
def organiser(client, make):
    client.sign_in(make.organiser())
    return client


def settled(make, state, hours_ago, **given):
    at = NOON - timedelta(hours=hours_ago)
    return owed(make, Kind.INVITATION, state=state, settled_at=at, **given)


def test_each_mail_stands_in_the_hour_in_which_it_was_settled(app, make):
    for ago in (0, 0, 47, 48, 100):
        settled(make, MessageState.SENT, ago)
    settled(make, MessageState.FAILED, 1)
    settled(make, MessageState.LAPSED, 1)
    owed(make, Kind.INVITATION, state=MessageState.DEFERRED)
    settled(make, MessageState.SUPERSEDED, 0)
    hours = delivery.hours(NOON)
    assert (len(hours), hours[0].start, hours[-1].start) == (48, NOON - timedelta(hours=47), NOON)
    assert [hour for hour in hours if hour.total] == [
        Hour(NOON - timedelta(hours=47), sent=1),
        Hour(NOON - timedelta(hours=1), failed=2),
        Hour(NOON, sent=2, deferred=1),
    ]


def test_a_picture_a_sentence_and_a_table_say_the_same(organiser, make):
    for _each in range(3):
        settled(make, MessageState.SENT, 2)
    settled(make, MessageState.FAILED, 2)
    page = organiser.page(PAGE)
    finding = "In den letzten 48 Stunden wurden 3 Nachrichten gesendet. 1 wurde nicht zugestellt."
    assert finding in page.text
    assert "Mo. 5.1., 11:00 Uhr 3 0 1" in page.text
    html = organiser.get(PAGE).text
    assert html.count('<rect class="wn-plot__bar wn-plot__bar--sent" x=') == 1
    assert html.count('<rect class="wn-plot__bar wn-plot__bar--failed" x=') == 1
    assert "style=" not in html


def test_nothing_sent_is_said_too_in_english(organiser):
    assert "No mail went out in the last 48 hours." in organiser.page(f"/en{PAGE}").text


@pytest.mark.parametrize(
    ("columns", "highest"), [([(0, 0, 0)], "2"), ([(3, 0, 0)], "5"), ([(30, 20, 10)], "100"), ([(999, 1, 0)], "1000")]
)
def test_bars_fit_the_picture_and_the_scale_reads_well(columns, highest):
    drawn = plot.stacked(("a", "b", "c"), columns, {0: "x"})
    assert drawn.beside[-1].words == highest
    assert len(drawn.bars) == sum(value > 0 for value in columns[0])
    assert all(bar.y >= plot.TOP - 3 and bar.y + bar.height <= drawn.base + 0.1 for bar in drawn.bars)


def test_a_failed_mail_says_why_and_is_tried_again(organiser, make, smtp, sent):
    mail = owed(make, Kind.INVITATION)
    smtp.answers[mail.recipient] = "550 5.1.1 no such mailbox"
    assert sent() == []
    page = organiser.page(PAGE)
    words = "Diese Adresse gibt es nicht. Rufen Sie die Person an und fragen Sie nach der richtigen Adresse."
    assert words in page.text
    smtp.reset()
    answer = organiser.submit(page, form=f"retry-{mail.id}")
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert [delivered.recipients for delivered in sent()] == [[mail.recipient]]


def test_every_mail_that_is_tried_again_says_what_it_has_to_say(organiser, make, smtp, sent):
    talk, author = make.event(), make.organiser()
    here, gone = make.registration(talk), make.registration(talk, Status.CANCELLED, cancelled_by=CancelledBy.ORGANISER)
    with write():
        mailing = mailings.begin(talk.id, Words("Raum geändert", "Guten Tag"), author, NOON)
    make.message(Kind.ORGANISER_MESSAGE, here, state=MessageState.FAILED, mailing_id=mailing.id)
    make.message(Kind.CANCELLATION, gone, state=MessageState.FAILED)
    page = organiser.page(PAGE)
    for form in [form.id for form in page.forms if form.id and form.id.startswith("retry-")]:
        assert organiser.submit(page, form=form).status_code == 303
    texts = [mail.part("text/plain") for mail in sent()]
    assert "\n\nGuten Tag\n\n" in texts[0]
    assert texts[1].startswith("Die Organisation hat Ihre Anmeldung")


@pytest.mark.parametrize("kind", [Kind.FORWARD, Kind.ORGANISER_MESSAGE])
def test_a_mail_whose_words_stood_in_it_alone_is_not_tried_again(organiser, make, kind):
    talk = make.event()
    own = make.message(Kind.INVITATION, make.registration(talk), state=MessageState.FAILED)
    lost = make.message(kind, make.person(), event_id=talk.id, state=MessageState.FAILED)
    page = organiser.page(PAGE)
    assert [form.id for form in page.forms if form.id and form.id.startswith("retry-")] == [f"retry-{own.id}"]
    with pytest.raises(NotFound), write():
        mailings.retry_any(talk.id, lost.id, NOON)


def test_a_mail_about_a_talk_that_is_over_is_not_tried_again(organiser, make, at):
    mail = owed(make, Kind.INVITATION, state=MessageState.FAILED, error=wire.REFUSED)
    at(NOON + timedelta(days=20))
    page = organiser.page(PAGE)
    assert [form.id for form in page.forms if form.id == f"retry-{mail.id}"] == []


def test_what_is_put_off_tells_its_next_try(organiser, make):
    owed(make, Kind.WAITING, state=MessageState.DEFERRED, error=wire.LATER, not_before=NOON + timedelta(minutes=5))
    assert "Mo., 5. Januar 2026, 13:05 Uhr (Berlin)" in organiser.page(PAGE).text


@pytest.mark.parametrize(("act", "state"), [("send", MessageState.OWED), ("drop", MessageState.LAPSED)])
def test_the_operator_settles_what_a_restore_has_held(client, make, act, state):
    mail = owed(make, Kind.WAITING, state=MessageState.HELD, error=restored.HELD)
    client.sign_in(make.person(role=Role.OPERATOR))
    page = client.page("/organise/")
    assert (PAGE, "Mails ansehen") in page.links
    answer = client.submit(client.page(PAGE), {"action": act}, form="held-mails")
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert "1 Nachricht ist" in client.page(PAGE).text
    delivery.db.session.refresh(mail)
    assert mail.state is state


def test_an_organiser_sees_what_is_held_and_decides_nothing(organiser, make):
    owed(make, Kind.WAITING, state=MessageState.HELD, error=restored.HELD)
    page = organiser.page(PAGE)
    assert "Wer diese Anwendung betreibt, entscheidet" in page.text
    assert [form.id for form in page.forms if form.id == "held-mails"] == []


def test_releasing_what_the_brake_holds_leaves_what_a_restore_holds(organiser, make):
    braked = owed(make, Kind.CONFIRMATION_REQUEST, state=MessageState.HELD)
    kept = owed(make, Kind.WAITING, state=MessageState.HELD, error=restored.HELD)
    organiser.submit(organiser.page(PAGE), form="release")
    for mail in (braked, kept):
        delivery.db.session.refresh(mail)
    assert [braked.state, kept.state] == [MessageState.OWED, MessageState.HELD]


@pytest.mark.parametrize("number", [1, 3])
def test_the_page_asks_as_much_for_three_mails_as_for_one(organiser, make, query_count, number):
    for _each in range(number):
        settled(make, MessageState.FAILED, 1, error=wire.REFUSED)
        mail = owed(make, Kind.WAITING, state=MessageState.DEFERRED)
        change(mail, error=wire.LATER)
        owed(make, Kind.WAITING, state=MessageState.HELD, error=restored.HELD)
    organiser.page(PAGE)
    with query_count() as queries:
        organiser.get(PAGE)
    assert len(queries) == 9


def test_who_follows_a_theme_is_not_named_where_mails_fail(organiser, make):
    talk, grace = make.event(), make.person(email="grace.hopper@behoerde.example")
    follow = make.follow(grace, theme_id=make.theme().id)
    about = {"event_id": talk.id, "follow_id": follow.id}
    make.message(Kind.NEWS, grace, state=MessageState.FAILED, settled_at=NOON, error=wire.NO_SUCH_ADDRESS, **about)
    text = organiser.page(PAGE).text
    assert "g…r@behoerde.example" in text
    assert "grace.hopper" not in text
