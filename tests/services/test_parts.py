"""Talks of several parts: who is told what when one part moves, is called off, or everything changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import (
    EventOver,
    LastPart,
    PartCancelled,
    PartsFixed,
    PartsMeet,
    PartWithoutTime,
    RuleFixed,
    StartInPast,
    TimeSkipped,
    TooManyParts,
)
from whatsnext.models import Event, EventState, Kind, Message, MessageState, PartAnswer, PartStat, Status
from whatsnext.services import answers, differences, drafts, events, invitations, parts, registrations, rescheduling
from whatsnext.services.drafts import Draft
from whatsnext.services.slots import Part

FIRST = datetime(2026, 3, 16, 18, 0)
SECOND = datetime(2026, 3, 18, 18, 0)
WEEK = timedelta(weeks=1)


def two_evenings(make, **given):
    return make.event(starts_local=FIRST, further=(SECOND,), **{"places_on_site": 1, **given})


def course(make, times=3, **given):
    """Every week from before to after clocks are put forward in Berlin (29 March 2026)."""
    return make.event(starts_local=FIRST, every=1, times=times, **{"places_on_site": 1, **given})


def messages():
    return list(db.session.query(Message).filter_by(state=MessageState.OWED).order_by(Message.id))


def told():
    """(kind, who, number of the part or None, SEQUENCE) of what is owed."""
    return [(m.kind, m.registration, m.part.position if m.part else None, m.sequence) for m in messages()]


def as_it_was(message):
    """What the mail tells of the talk before."""
    return differences.before(message.facts, differences.facts(message.event))


def save(talk, people=1, **changes):
    with write():
        event = events.get(talk.id)
        draft = replace(Draft.of(event), **changes)
        return rescheduling.save_and_tell(talk.id, draft, event.version, NOON, expected=people)


def moved(talk, position, start=None, minutes=None):
    """The parts of the talk, one of them elsewhere."""
    changed = list(Draft.of(events.get(talk.id)).parts)
    changed[position - 1] = Part(starts_local=start, duration_minutes=minutes)
    return tuple(changed)


def call_off(talk, position, people=1, now=NOON, reason="Krankheit"):
    with write():
        version = events.get(talk.id).version
        return rescheduling.cancel_part(talk.id, position, reason, version, now, expected=people)


# --- what a draft stands for -----------------------------------------------------------------------------


def slots(**given):
    return drafts.times(Draft(title="Kurs", starts_local=FIRST, **given)).slots


def test_a_course_keeps_its_time_of_day_when_clocks_are_changed(app):
    assert [slot.starts_at for slot in slots(repeat_weeks=1, parts=(Part(),) * 3)] == [
        datetime(2026, 3, 16, 17, tzinfo=UTC),
        datetime(2026, 3, 23, 17, tzinfo=UTC),
        datetime(2026, 3, 30, 16, tzinfo=UTC),
    ]


def test_a_talk_spans_from_its_first_part_that_takes_place_to_its_last(app):
    given = (Part(cancelled=True), Part(starts_local=SECOND), Part(starts_local=SECOND + WEEK, duration_minutes=30))
    at = drafts.times(Draft(title="Kurs", starts_local=FIRST, parts=given))
    assert (at.starts_at, at.ends_at) == (
        datetime(2026, 3, 18, 17, tzinfo=UTC),
        datetime(2026, 3, 25, 17, 30, tzinfo=UTC),
    )


def test_a_part_that_clocks_skip_is_refused_beside_its_time(app):
    with pytest.raises(TimeSkipped) as refused:
        slots(parts=(Part(), Part(starts_local=datetime(2026, 3, 29, 2, 30))))
    assert refused.value.field == "part_2_time"


def test_parts_stand_in_order_and_do_not_overlap(app):
    early = Draft(title="Kurs", starts_local=FIRST, parts=(Part(), Part(starts_local=FIRST + timedelta(hours=1))))
    assert [(type(error), error.field) for error in drafts.problems(early)] == [(PartsMeet, "part_2_date")]


def test_a_first_part_needs_a_time_and_there_are_not_too_many(app):
    with pytest.raises(PartWithoutTime):
        drafts.times(Draft(title="Kurs", parts=(Part(), Part(starts_local=SECOND))))
    with pytest.raises(TooManyParts):
        slots(repeat_weeks=1, parts=(Part(),) * 31)


def test_what_is_saved_is_read_back_as_it_was(make):
    for given in (
        {"parts": (Part(), Part(starts_local=SECOND, duration_minutes=30))},
        {"repeat_weeks": 2, "parts": (Part(), Part(starts_local=SECOND + 2 * WEEK), Part())},
    ):
        draft = Draft(title="Kurs", series_id=make.series().id, starts_local=FIRST, fold=0, **given)
        with write():
            event = events.create(draft, NOON)
        assert Draft.of(events.get(event.id)) == replace(draft, slug=event.slug)


def test_a_draft_may_become_a_talk_of_one_part_again(make):
    talk = two_evenings(make, state=EventState.DRAFT)
    with write():
        events.edit(talk.id, replace(Draft.of(talk), parts=()), talk.version, NOON)
    event = events.get(talk.id)
    assert (event.part_count, event.parts, event.ends_at) == (1, [], datetime(2026, 3, 16, 18, 30, tzinfo=UTC))


def test_uids_of_irregular_parts_differ_and_a_course_has_one(make):
    evenings, weekly = two_evenings(make), course(make)
    first, second = (part.uid for part in evenings.parts)
    assert (first, second == first) == (evenings.uid, False)
    assert {part.uid for part in weekly.parts} == {weekly.uid}


# --- invitations -----------------------------------------------------------------------------------------


def test_whoever_gets_a_place_is_invited_to_each_irregular_part(make):
    talk = two_evenings(make)
    ada = make.registration(talk, sequence=None)
    with write():
        invitations.invite(ada, Kind.INVITATION, NOON)
    assert told() == [(Kind.INVITATION, ada, 1, 0), (Kind.INVITATION, ada, 2, 0)]


def test_a_course_is_one_invitation_and_one_more_for_a_part_that_left_the_rule(make):
    talk = course(make)
    ada = make.registration(talk, sequence=None)
    with write():
        invitations.invite(ada, Kind.INVITATION, NOON)
    assert told() == [(Kind.INVITATION, ada, None, 0)]
    save(talk, parts=moved(talk, 2, FIRST + WEEK + timedelta(days=1)))
    assert told() == [(Kind.INVITATION, ada, None, 0), (Kind.UPDATE, ada, 2, 1)]
    with write():
        invitations.invite_again(db.session.merge(ada), NOON)
    assert told() == [(Kind.UPDATE, ada, 2, 1), (Kind.INVITATION, ada, None, 1), (Kind.INVITATION, ada, 2, 1)]


def test_giving_up_a_place_takes_every_entry_out(make):
    evenings, weekly = two_evenings(make), course(make)
    ada, grace = make.registration(evenings), make.registration(weekly)
    with write():
        registrations.cancel(ada.id, NOON)
    with write():
        registrations.cancel(grace.id, NOON)
    assert told() == [
        (Kind.CANCELLATION, ada, 1, 1),
        (Kind.CANCELLATION, ada, 2, 1),
        (Kind.CANCELLATION, grace, None, 1),
    ]


def test_parts_that_are_over_are_no_longer_sent(make):
    talk = two_evenings(make)
    ada = make.registration(talk)
    with write():
        registrations.cancel(ada.id, talk.parts[0].ends_at)
    assert told() == [(Kind.CANCELLATION, ada, 2, 1)]


# --- changes ---------------------------------------------------------------------------------------------


def test_moving_one_part_tells_of_this_part_only(make):
    for talk in (two_evenings(make), course(make)):
        ada, linus = make.registration(talk), make.registration(talk, Status.WAITING)
        later = talk.parts[1].starts_local + timedelta(hours=2)
        assert save(talk, 2, parts=moved(talk, 2, later))[1] == 2
        assert told()[-2:] == [(Kind.UPDATE, ada, 2, 1), (Kind.UPDATE, linus, None, None)]
        assert differences.changes(as_it_was(messages()[-1]), differences.facts(talk))


def test_a_new_title_tells_of_every_entry(make):
    evenings, weekly = two_evenings(make), course(make)
    ada, grace = make.registration(evenings), make.registration(weekly)
    save(weekly, parts=moved(weekly, 3, FIRST + 2 * WEEK + timedelta(days=1)))
    save(evenings, title="Anders")
    save(weekly, title="Anders")
    assert told() == [
        (Kind.UPDATE, ada, 1, 1),
        (Kind.UPDATE, ada, 2, 1),
        (Kind.UPDATE, grace, None, 2),
        (Kind.UPDATE, grace, 3, 2),
    ]


def test_moving_the_rule_moves_every_part_that_follows_it(make):
    talk = course(make)
    ada = make.registration(talk)
    own = FIRST + WEEK + timedelta(days=1)
    save(talk, parts=moved(talk, 2, own))
    save(talk, starts_local=FIRST + timedelta(hours=1))
    assert [part.starts_local for part in events.get(talk.id).parts] == [
        FIRST + timedelta(hours=1),
        own,
        FIRST + timedelta(hours=1) + 2 * WEEK,
    ]
    assert told() == [(Kind.UPDATE, ada, None, 2), (Kind.UPDATE, ada, 2, 2)]


def test_a_talk_of_one_part_gets_another(make):
    talk = make.event(starts_local=FIRST)
    ada = make.registration(talk)
    save(talk, parts=(Part(), Part(starts_local=SECOND)))
    assert told() == [(Kind.UPDATE, ada, 1, 1), (Kind.UPDATE, ada, 2, 1)]
    assert messages()[0].part.uid == talk.uid


def test_a_part_is_added_to_a_course(make):
    talk = course(make)
    ada = make.registration(talk)
    save(talk, parts=(*Draft.of(talk).parts, Part()))
    assert told() == [(Kind.UPDATE, ada, None, 1)]
    assert talk.part_count == 4


def test_moving_a_part_twice_before_the_mail_went_tells_only_the_newest(make):
    talk = two_evenings(make)
    ada = make.registration(talk)
    first = differences.facts(talk)
    for hours in (1, 2):
        save(talk, parts=moved(talk, 2, SECOND + timedelta(hours=hours)))
    assert told() == [(Kind.UPDATE, ada, 2, 2)]
    assert as_it_was(messages()[0]) == first


def test_a_part_that_is_added_or_left_out_is_told_as_such(make):
    talk = two_evenings(make)
    make.registration(talk)
    two = differences.facts(talk)
    added = Part(starts_local=SECOND + WEEK)
    save(talk, parts=(*Draft.of(talk).parts, added))
    three = differences.facts(talk)
    assert as_it_was(messages()[-1]) == two
    assert [row.old for row in differences.changes(two, three)] == ["–"]
    assert differences.before(differences.kept(three, two), two) == three


def test_a_preview_leaves_everything_as_it_was(make):
    for talk in (two_evenings(make), course(make), make.event(starts_local=FIRST)):
        make.registration(talk)
        before, old = Draft.of(talk), [(part.id, part.uid) for part in parts.of(talk)]
        draft = replace(before, parts=(*(before.parts or (Part(),)), Part(starts_local=FIRST + 9 * WEEK)))
        assert rescheduling.preview(talk, draft, NOON).told == 1
        assert (Draft.of(talk), [(part.id, part.uid) for part in parts.of(talk)]) == (before, old)
        with write():
            assert (Draft.of(db.session.merge(talk)), db.session.new) == (before, db.session.new)
        assert len(parts.of(events.get(talk.id))) == len(old)


def test_what_a_published_talk_may_not_change(make):
    for talk, changes, wanted in (
        (two_evenings(make), {"repeat_weeks": 1}, RuleFixed),
        (course(make), {"repeat_weeks": 2}, RuleFixed),
        (two_evenings(make), {"parts": ()}, PartsFixed),
        (course(make), {"parts": (Part(), Part())}, PartsFixed),
    ):
        with pytest.raises(wanted):
            save(talk, **changes)


def test_a_part_that_is_over_keeps_its_time_and_none_moves_into_the_past(make):
    talk = course(make)
    begun = talk.parts[0].ends_at
    with pytest.raises(EventOver):
        rescheduling.preview(talk, replace(Draft.of(talk), starts_local=FIRST + timedelta(hours=1)), begun)
    with pytest.raises(StartInPast) as refused:
        rescheduling.preview(talk, replace(Draft.of(talk), parts=moved(talk, 2, FIRST + timedelta(minutes=90))), begun)
    assert refused.value.field == "part_2_date"


# --- calling off -----------------------------------------------------------------------------------------


def test_calling_one_part_off_tells_everyone_and_keeps_the_others(make):
    for talk in (two_evenings(make), course(make)):
        ada, linus = make.registration(talk), make.registration(talk, Status.WAITING)
        make.registration(talk, Status.CANCELLED)
        event, people = call_off(talk, 1, 2)
        assert people == 2
        assert told()[-2:] == [(Kind.PART_CANCELLATION, ada, 1, 1), (Kind.PART_CANCELLATION, linus, 1, None)]
        assert event.starts_at == event.parts[1].starts_at
        assert (event.state, event.parts[0].cancelled_reason) == (EventState.PUBLISHED, "Krankheit")


def test_a_part_called_off_is_not_sent_any_more(make):
    talk = two_evenings(make)
    ada = make.registration(talk)
    save(talk, title="Anders")
    call_off(talk, 2)
    assert told() == [(Kind.UPDATE, ada, 1, 1), (Kind.PART_CANCELLATION, ada, 2, 2)]
    save(talk, title="Ganz anders")
    assert told() == [(Kind.PART_CANCELLATION, ada, 2, 2), (Kind.UPDATE, ada, 1, 3)]


def test_calling_the_talk_off_takes_out_what_is_left(make):
    evenings, weekly = two_evenings(make), course(make)
    ada, grace, linus = (
        make.registration(evenings),
        make.registration(weekly),
        make.registration(evenings, Status.WAITING),
    )
    call_off(evenings, 1, 2)
    for talk, people in ((evenings, 2), (weekly, 1)):
        with write():
            rescheduling.cancel(talk.id, "Krankheit", events.get(talk.id).version, NOON, expected=people)
    assert told() == [
        (Kind.PART_CANCELLATION, ada, 1, 1),
        (Kind.PART_CANCELLATION, linus, 1, None),
        (Kind.EVENT_CANCELLATION, ada, 2, 2),
        (Kind.EVENT_CANCELLATION, linus, None, None),
        (Kind.EVENT_CANCELLATION, grace, None, 1),
    ]


def test_what_cannot_be_called_off(make):
    talk = two_evenings(make)
    call_off(talk, 1, 0)
    for position, wanted in ((1, PartCancelled), (2, LastPart)):
        with pytest.raises(wanted):
            call_off(talk, position, 0)
    other = course(make)
    with pytest.raises(EventOver):
        call_off(other, 1, 0, now=other.parts[0].ends_at)


def test_a_new_time_makes_the_answer_to_this_part_void_and_no_other(make):
    talk = two_evenings(make)
    ada = make.registration(talk)
    with write():
        for part in talk.parts:
            db.session.add(
                PartAnswer(registration_id=ada.id, part_id=part.id, partstat=PartStat.ACCEPTED, sequence=0, stamp=NOON)
            )
    save(talk, parts=moved(talk, 2, SECOND + timedelta(hours=1)))
    event = db.session.get(Event, talk.id)
    assert [answers.partstat(ada, part) for part in event.parts] == [PartStat.ACCEPTED, PartStat.NEEDS_ACTION]
