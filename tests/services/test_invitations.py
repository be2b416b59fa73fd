"""What each attendee's calendar is owed, and in which words a change is told."""

from datetime import timedelta

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.i18n import speaking
from whatsnext.models import EventState, Kind, Message, MessageState, Mode, PartStat, Status
from whatsnext.services import differences, invitations, waiting_list
from whatsnext.services.invitations import Audience

DAY = timedelta(days=1)


def move(talk, days=1, text="", now=NOON):
    with write():
        event = waiting_list.lock(talk.id)
        before = differences.facts(event)
        event.starts_at, event.ends_at = event.starts_at + days * DAY, event.ends_at + days * DAY
        return invitations.tell_change(event, before, now, text)


def messages(state=MessageState.OWED):
    return db.session.query(Message).filter_by(state=state).order_by(Message.id).all()


def as_it_was(message):
    """What the mail tells of the talk before."""
    return differences.before(message.facts, differences.facts(message.event))


def test_a_change_raises_the_sequence_and_owes_each_one_update(make):
    talk = make.event()
    ada, grace = make.registration(talk), make.registration(talk, sequence=4)
    waiting = make.registration(talk, Status.WAITING)
    make.registration(talk, Status.HELD)
    make.registration(talk, Status.CANCELLED)
    assert move(talk, text="Der Raum war belegt.") == 3
    assert [(m.kind, m.registration, m.sequence) for m in messages()] == [
        (Kind.UPDATE, ada, 1),
        (Kind.UPDATE, grace, 5),
        (Kind.UPDATE, waiting, None),
    ]
    assert {m.facts["text"] for m in messages()} == {"Der Raum war belegt."}
    db.session.refresh(ada)
    assert (talk.sequence, ada.sequence) == (1, 1)


def test_editing_twice_before_the_mail_went_tells_only_the_newest_state(make):
    talk = make.event()
    make.registration(talk)
    first = differences.facts(talk)
    move(talk)
    move(talk)
    (update,) = messages()
    assert (update.sequence, as_it_was(update)) == (2, first)
    assert [m.kind for m in messages(MessageState.SUPERSEDED)] == [Kind.UPDATE]


def test_a_mail_keeps_what_has_changed_and_no_more(make):
    talk = make.event(agenda="Begrüßung. " * 500)
    make.registration(talk)
    move(talk)
    (update,) = messages()
    assert update.facts["old"].keys() == {"starts", "ends", "title"}


def test_two_changes_of_different_things_are_told_in_one_mail(make):
    talk = make.event()
    make.registration(talk)
    first = differences.facts(talk)
    move(talk)
    with write():
        event = waiting_list.lock(talk.id)
        before = differences.facts(event)
        event.title, event.address = "Register ohne Mitte", "Wilhelmstraße 1, Berlin"
        invitations.tell_change(event, before, NOON)
    (update,) = messages()
    assert update.facts["old"].keys() == {"starts", "ends", "title", "where"}
    assert as_it_was(update) == first


def test_a_title_mended_silently_before_the_mail_went_is_told_in_it(make):
    talk = make.event(title="Register")
    make.registration(talk)
    first = differences.facts(talk)
    move(talk)
    with write():
        waiting_list.lock(talk.id).title = "Register ohne Mitte"
    assert as_it_was(messages()[0]) == first
    move(talk)
    assert as_it_was(messages()[0]) == first


def test_a_mail_of_an_earlier_release_tells_of_its_change_and_of_a_newer_one(make):
    """It kept the whole state before; a part that is not in it was not there."""
    talk = make.event()
    whole = {**differences.facts(talk), "title": "Register", "description": "Alt"}
    make.message(Kind.UPDATE, make.registration(talk), sequence=1, facts={"before": whole, "text": ""})
    part = "2026-03-16T17:00:00+00:00 2026-03-16T18:30:00+00:00"
    after = {**differences.facts(talk), "part 1": part, "part 2": part, "rule": "2"}
    assert differences.before(messages()[0].facts, after) == whole
    move(talk)
    assert as_it_was(messages()[0]) == whole


def test_what_the_organisers_said_of_each_change_stands_in_the_one_mail(make):
    talk = make.event()
    make.registration(talk)
    for words in ("Der Raum war belegt.", "", "Die Referentin kommt später.", "Die Referentin kommt später."):
        move(talk, text=words)
    (update,) = messages()
    assert update.facts["text"] == "Der Raum war belegt.\n\nDie Referentin kommt später."


def test_a_change_after_switching_keeps_that_the_person_switched(make):
    talk = make.event(places_on_site=3, places_online=3)
    ada = make.registration(talk, mode=Mode.ONLINE)
    with write():
        invitations.reinvite(ada, Mode.ON_SITE, NOON)
    move(talk, text="Der Raum war belegt.")
    (update,) = messages()
    assert (update.facts["mode_before"], update.facts["text"]) == ("on_site", "Der Raum war belegt.")


def test_someone_whose_invitation_is_not_out_yet_gets_the_new_one_not_an_update(make):
    talk = make.event()
    ada = make.registration(talk, sequence=None)
    with write():
        invitations.invite(ada, Kind.INVITATION, NOON)
    move(talk)
    (message,) = messages()
    assert (message.kind, message.sequence, message.facts) == (Kind.INVITATION, 1, {})


def test_a_new_time_asks_again_and_a_new_title_does_not(make):
    talk = make.event()
    ada = make.registration(talk, partstat=PartStat.ACCEPTED)
    with write():
        event = waiting_list.lock(talk.id)
        before = differences.facts(event)
        event.title = "Neu"
        invitations.tell_change(event, before, NOON)
    db.session.refresh(ada)
    assert ada.partstat is PartStat.ACCEPTED
    move(talk)
    db.session.refresh(ada)
    assert ada.partstat is PartStat.NEEDS_ACTION


def test_a_past_talk_owes_nothing(make):
    talk = make.event()
    make.registration(talk)
    assert move(talk, now=talk.ends_at + 2 * DAY) == 0
    assert messages() == []


def test_calling_a_talk_off_supersedes_what_was_owed_and_tells_everyone(make):
    talk = make.event()
    ada, waiting = make.registration(talk), make.registration(talk, Status.WAITING)
    make.registration(talk, Status.HELD)
    move(talk)
    with write():
        event = waiting_list.lock(talk.id)
        event.state = EventState.CANCELLED
        told = invitations.tell_cancellation(event, NOON)
    assert told == 2
    assert [(m.kind, m.registration, m.sequence) for m in messages()] == [
        (Kind.EVENT_CANCELLATION, ada, 2),
        (Kind.EVENT_CANCELLATION, waiting, None),
    ]


def test_inviting_again_after_a_cancel_goes_on_above_it(make):
    ada = make.registration(make.event(), sequence=0)
    with write():
        invitations.withdraw(ada, NOON, {})
        invitations.invite(ada, Kind.INVITATION, NOON)
    assert [(m.kind, m.state, m.sequence) for m in db.session.query(Message).order_by(Message.id)] == [
        (Kind.CANCELLATION, MessageState.SUPERSEDED, 1),
        (Kind.INVITATION, MessageState.OWED, 2),
    ]


def test_the_number_of_statements_does_not_grow_with_the_attendees(make, query_count):
    sent = []
    for attendees in (1, 3):
        talk = make.event()
        for _number in range(attendees):
            make.registration(talk)
        with query_count() as queries:
            move(talk)
        sent.append(len(queries))
    assert sent[0] == sent[1]


def test_the_audience_is_counted_in_one_query(make, query_count):
    talk = make.event()
    make.registration(talk)
    make.registration(talk)
    make.registration(talk, Status.WAITING)
    make.registration(talk, Status.WAITING, proved=False)
    make.registration(talk, Status.OFFERED)
    make.registration(talk, Status.HELD)
    make.registration(talk, Status.CANCELLED)
    _loaded = talk.id
    with query_count() as queries:
        counted = invitations.audience(talk)
    assert (len(queries), counted, counted.told) == (1, Audience(confirmed=2, waiting=1, offered=1, held=2), 4)


def test_changes_are_told_in_words_with_weekday_and_zone(make):
    talk = make.event(title="Blockchain", places_on_site=3, places_online=3, address="Dorotheenstraße 1")
    before = differences.facts(talk)
    after = {**before, "title": "Register", "where": "", "on_site": "", "starts": (talk.starts_at + DAY).isoformat()}
    after["ends"] = (talk.ends_at + DAY).isoformat()
    told = [(row.label, row.old, row.new) for row in differences.changes(before, after)]
    assert told == [
        ("Titel", "Blockchain", "Register"),
        (
            "Wann",
            "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)",
            "Di., 20. Januar 2026, 14:00–15:30 Uhr (Berlin)",
        ),
        ("Wo", "Dorotheenstraße 1 und online", "online"),
    ]
    with speaking("en"):
        english = differences.changes(before, after)[1]
    assert (english.label, english.new) == ("When", "Tue 20 January 2026, 14:00–15:30 (Berlin)")


def test_the_join_link_is_not_for_everyone(make):
    before = differences.facts(make.event(places_online=3))
    (change,) = differences.changes(before, {**before, "join_link": "https://anders.example"})
    assert (change.public, change.new) == (False, "https://anders.example")


def test_nothing_changed_is_nothing_told(make):
    facts = differences.facts(make.event())
    assert (differences.changes(facts, facts), differences.differ(facts, facts)) == ([], set())


def test_switching_online_tells_what_was_before(make):
    talk = make.event(places_on_site=3, places_online=3)
    ada = make.registration(talk, mode=Mode.ONLINE)
    with write():
        invitations.reinvite(ada, Mode.ON_SITE, NOON)
    (message,) = messages()
    assert (message.kind, message.sequence, message.facts["mode_before"]) == (Kind.UPDATE, 1, "on_site")


def test_switching_while_an_update_is_not_out_yet_keeps_what_the_person_last_knew(make):
    talk = make.event(places_on_site=3, places_online=3)
    ada = make.registration(talk, mode=Mode.ONLINE)
    first = differences.facts(talk)
    move(talk, text="Der Raum war belegt.")
    with write():
        invitations.reinvite(db.session.merge(ada), Mode.ON_SITE, NOON)
    (message,) = messages()
    assert as_it_was(message) == first
    assert (message.facts["mode_before"], message.facts["text"]) == ("on_site", "Der Raum war belegt.")
