"""Changing and calling off a published talk: who is told, what each calendar is owed, what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import (
    CalendarWouldGoStale,
    CapacityBelowTaken,
    EventCancelled,
    EventOver,
    ModeInUse,
    NotPublished,
    ReasonMissing,
    RecipientsChanged,
    StaleVersion,
    StartInPast,
    TimeSkipped,
)
from whatsnext.i18n import speaking
from whatsnext.mail.compose import compose
from whatsnext.models import EventState, Kind, Message, MessageState, Mode, PartStat, Status
from whatsnext.services import differences, events, rescheduling
from whatsnext.services.differences import Change
from whatsnext.services.drafts import Draft
from whatsnext.services.invitations import Audience

DAY = timedelta(days=1)


def changed(talk, **given):
    """The talk's draft with these changes."""
    return replace(Draft.of(talk), **given)


def moved(talk, by=DAY, **given):
    return changed(talk, starts_local=talk.starts_local + by, **given)


def tell(talk, draft, expected, text="", now=NOON, version=None):
    with write():
        return rescheduling.save_and_tell(talk.id, draft, version or talk.version, now, expected=expected, text=text)[1]


def silently(talk, draft, now=NOON, version=None):
    with write():
        rescheduling.save_silently(talk.id, draft, version or talk.version, now)


def cancel(talk, expected, reason="Der Referent ist krank.", now=NOON, version=None):
    with write():
        return rescheduling.cancel(talk.id, reason, version or talk.version, now, expected=expected)[1]


def after(talk):
    """The day after the talk."""
    return talk.ends_at + DAY


def refusals(talk, draft, now=NOON):
    return [(type(error), error.field) for error in rescheduling.problems(talk, draft, now)]


# --- moving -------------------------------------------------------------------------------------------------


def test_moving_a_talk_owes_each_calendar_one_update_with_a_higher_sequence(make, owed):
    talk = make.event(places_on_site=2)
    ada, grace = make.registration(talk, partstat=PartStat.ACCEPTED), make.registration(talk)
    linus = make.registration(talk, Status.WAITING)
    make.registration(talk, Status.CANCELLED)
    starts_at = talk.starts_at
    assert tell(talk, moved(talk), expected=3, text="Der Raum war belegt.") == 3
    assert owed() == [(Kind.UPDATE, ada), (Kind.UPDATE, grace), (Kind.UPDATE, linus)]
    db.session.refresh(ada)
    assert (talk.starts_at, talk.sequence, ada.sequence, ada.partstat) == (
        starts_at + DAY,
        1,
        1,
        PartStat.NEEDS_ACTION,
    )
    assert {message.facts["text"] for message in db.session.query(Message)} == {"Der Raum war belegt."}


def test_the_page_keeps_the_time_that_was_promised_before(make):
    talk = make.event()
    first = (talk.starts_at, talk.ends_at, talk.zone)
    version, page = talk.version, talk.page_version
    tell(talk, moved(talk, zone="Europe/London"), expected=0)
    assert (talk.previous_starts_at, talk.previous_ends_at, talk.previous_zone) == first
    assert (talk.version, talk.page_version > page) == (version + 1, True)
    tell(talk, moved(talk, -DAY, zone="Europe/Berlin"), expected=0)
    assert (talk.starts_at, talk.previous_starts_at, talk.previous_zone) == (first[0], None, "")


def test_moving_twice_before_the_mail_went_sends_only_the_newest(make, owed):
    talk = make.event()
    ada = make.registration(talk)
    tell(talk, moved(talk), expected=1)
    tell(talk, moved(talk), expected=1)
    assert owed() == [(Kind.UPDATE, ada)]
    assert [message.state for message in db.session.query(Message).order_by(Message.id)] == [
        MessageState.SUPERSEDED,
        MessageState.OWED,
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"starts_local": datetime(2027, 2, 1, 9)},
        {"duration_minutes": 30},
        {"zone": "Europe/London"},
        {"address": "Anderswo 2, 10115 Berlin"},
        {"join_link": "https://video.behoerde.example/anderer-raum"},
        {"dial_in": "030 1234"},
    ],
)
def test_what_a_calendar_shows_cannot_be_changed_without_a_message(make, owed, given):
    talk = make.event(places_on_site=5, places_online=5)
    make.registration(talk)
    draft = changed(talk, **given)
    assert rescheduling.preview(talk, draft, NOON).needs_message
    with pytest.raises(CalendarWouldGoStale):
        silently(talk, draft)
    assert (Draft.of(events.get(talk.id)) == draft, owed()) == (False, [])
    assert tell(talk, draft, expected=1) == 1


@pytest.mark.parametrize("given", [{"title": "Vortrag"}, {"summary": "Ohne Tippfehler"}, {"agenda": "- 14:00"}])
def test_a_typo_can_be_mended_with_or_without_a_message(make, owed, given):
    talk = make.event()
    ada = make.registration(talk)
    draft = changed(talk, **given)
    seen = rescheduling.preview(talk, draft, NOON)
    assert (seen.needs_message, seen.told, seen.asks) == (False, 1, True)
    silently(talk, draft)
    assert (Draft.of(talk), talk.sequence, owed()) == (draft, 0, [])
    assert tell(talk, changed(talk, title="Noch einmal"), expected=1) == 1
    assert (talk.sequence, owed()) == (1, [(Kind.UPDATE, ada)])


def test_what_no_calendar_shows_owes_nobody_a_mail(make, owed):
    talk = make.event(places_on_site=30)
    make.registration(talk)
    draft = changed(talk, step_free="Aufzug", host_id=make.agency(name="ITZBund").id, capacity_on_site=20)
    with speaking("en"):
        seen = rescheduling.preview(talk, draft, NOON)
    assert seen == rescheduling.Preview(
        [
            Change("Host", "", "ITZBund"),
            Change("Step-free access", "", "Aufzug"),
            Change("Places on site", "30", "20"),
        ],
        Audience(),
        moving_up=0,
        by_offer=False,
        needs_message=False,
    )
    silently(talk, draft)
    assert (talk.capacity_on_site, talk.sequence, owed()) == (20, 0, [])


def test_a_preview_says_old_and_new_and_writes_nothing(make):
    talk = make.event(starts_local=datetime(2027, 1, 14, 14), title="Register")
    make.registration(talk)
    make.registration(talk, Status.WAITING)
    make.registration(talk, Status.WAITING, proved=False)
    make.registration(talk, Status.HELD)
    before = Draft.of(talk)
    with speaking("de"):
        seen = rescheduling.preview(talk, moved(talk, title="Register ohne Mitte"), NOON)
    assert [(row.old, row.new) for row in seen.changes] == [
        ("Register", "Register ohne Mitte"),
        ("Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)", "Fr., 15. Januar 2027, 14:00–15:30 Uhr (Berlin)"),
    ]
    assert (seen.audience, seen.told) == (Audience(confirmed=1, waiting=1, held=2), 2)
    with write():
        pass
    assert (Draft.of(events.get(talk.id)), talk.version) == (before, 1)


def test_recipients_are_counted_again_at_the_button(make, owed):
    talk = make.event()
    make.registration(talk)
    make.registration(talk)
    with pytest.raises(RecipientsChanged):
        tell(talk, moved(talk), expected=1)
    assert (talk.sequence, owed()) == (0, [])


def test_two_editors_of_a_published_talk(make, owed):
    talk = make.event()
    make.registration(talk)
    draft, version = moved(talk), talk.version
    silently(talk, changed(talk, title="Von Grace"))
    for save in (lambda: tell(talk, draft, 1, version=version), lambda: silently(talk, draft, version=version)):
        with pytest.raises(StaleVersion):
            save()
    assert (talk.title, owed()) == ("Von Grace", [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"starts_local": datetime(2026, 1, 1, 9)}, [(StartInPast, "date")]),
        ({"starts_local": datetime(2027, 3, 28, 2, 30)}, [(TimeSkipped, "time")]),
        ({"starts_local": None}, ["date"]),
        ({"address": ""}, ["address"]),
        ({"capacity_on_site": 0}, ["capacity_on_site"]),
        ({"on_site": False}, ["on_site"]),
    ],
)
def test_a_published_talk_keeps_what_it_needs(make, given, expected):
    found = refusals(make.event(), changed(make.event(), **given))
    assert [one if isinstance(expected[0], tuple) else one[1] for one in found] == expected


def test_drafts_and_cancelled_talks_are_not_changed_here(make):
    assert refusals(make.draft(), Draft(title="Neu")) == [(NotPublished, None)]
    off = make.event(state=EventState.CANCELLED)
    assert refusals(off, Draft.of(off)) == [(EventCancelled, None)]


# --- places -------------------------------------------------------------------------------------------------


def test_more_places_let_those_in_line_move_up_at_the_new_time(make, owed):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    grace, linus = make.registration(talk, Status.WAITING), make.registration(talk, Status.WAITING)
    draft = moved(talk, capacity_on_site=2)
    assert rescheduling.preview(talk, draft, NOON).moving_up == 1
    tell(talk, draft, expected=3)
    db.session.refresh(grace)
    assert owed() == [(Kind.UPDATE, ada), (Kind.UPDATE, linus), (Kind.PROMOTION, grace)]
    assert (grace.status, grace.sequence, linus.status) == (Status.CONFIRMED, 1, Status.WAITING)


def test_someone_yet_to_prove_the_address_is_not_counted_as_moving_up(make, owed):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    make.registration(talk, Status.WAITING, proved=False)
    grace = make.registration(talk, Status.WAITING)
    draft = changed(talk, capacity_on_site=9)
    assert rescheduling.preview(talk, draft, NOON).moving_up == 1
    silently(talk, draft)
    assert owed() == [(Kind.PROMOTION, grace)]


def test_more_places_alone_tell_only_those_who_move_up(make, owed):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    draft = changed(talk, capacity_on_site=9)
    seen = rescheduling.preview(talk, draft, NOON)
    assert (seen.told, seen.moving_up, seen.asks) == (0, 1, True)
    silently(talk, draft)
    assert (owed(), talk.sequence) == ([(Kind.PROMOTION, grace)], 0)


def test_shortly_before_the_talk_added_places_are_offered(make, owed):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    late, draft = talk.starts_at - timedelta(hours=3), changed(talk, capacity_on_site=2)
    seen = rescheduling.preview(talk, draft, late)
    assert (seen.moving_up, seen.by_offer) == (1, True)
    silently(talk, draft, now=late)
    assert owed() == [(Kind.OFFER, grace)]
    begun = rescheduling.preview(talk, changed(talk, capacity_on_site=3), talk.starts_at)
    assert begun.moving_up == 0


def test_fewer_places_throw_nobody_out(make):
    talk = make.event(places_on_site=5, places_online=5)
    for _ in range(3):
        make.registration(talk, mode=Mode.ONLINE)
    make.registration(talk, Status.HELD, mode=Mode.ON_SITE)
    draft = changed(talk, capacity_on_site=1, capacity_online=2)
    assert refusals(talk, draft) == [(CapacityBelowTaken, "capacity_online")]
    (error,) = rescheduling.problems(talk, draft, NOON)
    assert error.facts == {"taken": 3}
    silently(talk, changed(talk, capacity_on_site=1, capacity_online=3))
    assert (talk.capacity_on_site, talk.capacity_online) == (1, 3)


def test_a_talk_that_is_over_its_capacity_can_still_be_edited(make):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    make.registration(talk)
    assert refusals(talk, changed(talk, step_free="Aufzug")) == []
    assert refusals(talk, changed(talk, capacity_on_site=2)) == []


def test_a_way_of_taking_part_that_people_chose_does_not_end(make):
    talk = make.event(places_on_site=5, places_online=5)
    make.registration(talk, Status.WAITING, mode=Mode.ONLINE)
    assert refusals(talk, changed(talk, online=False)) == [(ModeInUse, "online")]
    assert refusals(talk, changed(talk, on_site=False)) == []


# --- what is over -------------------------------------------------------------------------------------------


def test_a_past_talk_owes_no_mail_whatever_changes(make, owed):
    talk = make.event()
    make.registration(talk)
    draft = changed(talk, title="Nachträglich", address="Anderswo 2", summary="Rückblick")
    seen = rescheduling.preview(talk, draft, after(talk))
    assert (seen.told, seen.needs_message, seen.asks) == (0, False, False)
    silently(talk, draft, now=after(talk))
    assert (talk.title, owed()) == ("Nachträglich", [])
    assert tell(talk, changed(talk, title="Noch einmal"), expected=0, now=after(talk)) == 0
    assert (talk.sequence, owed()) == (0, [])


def test_a_past_talk_keeps_its_time(make):
    talk = make.event()
    assert refusals(talk, moved(talk), now=after(talk)) == [(EventOver, "date")]
    assert refusals(talk, moved(talk, -DAY), now=after(talk)) == [(EventOver, "date")]


def test_a_talk_that_has_begun_can_be_made_longer(make):
    talk = make.event()
    begun = talk.starts_at + timedelta(minutes=5)
    assert refusals(talk, changed(talk, duration_minutes=120), now=begun) == []


# --- calling off --------------------------------------------------------------------------------------------


def test_calling_off_tells_everyone_and_moves_nobody_up(make, owed):
    talk = make.event(places_on_site=3)
    ada = make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    linus = make.registration(talk, Status.OFFERED)
    make.registration(talk, Status.HELD)
    assert cancel(talk, expected=3) == 3
    assert owed() == [(Kind.EVENT_CANCELLATION, one) for one in (ada, grace, linus)]
    db.session.refresh(ada)
    assert (talk.state, talk.cancelled_reason, talk.cancelled_at) == (
        EventState.CANCELLED,
        "Der Referent ist krank.",
        NOON,
    )
    assert (talk.sequence, ada.sequence, grace.status) == (1, 1, Status.WAITING)


def test_calling_off_needs_a_reason_and_the_number_that_was_shown(make, owed):
    talk = make.event()
    make.registration(talk)
    with pytest.raises(ReasonMissing):
        cancel(talk, expected=1, reason="")
    with pytest.raises(RecipientsChanged):
        cancel(talk, expected=2)
    with pytest.raises(StaleVersion):
        cancel(talk, expected=1, version=9)
    assert (talk.state, owed()) == (EventState.PUBLISHED, [])


def test_what_is_off_over_or_a_draft_cannot_be_called_off(make):
    talk, draft, off = make.event(), make.draft(), make.event(state=EventState.CANCELLED)
    for event, error, now in ((talk, EventOver, after(talk)), (draft, NotPublished, NOON), (off, EventCancelled, NOON)):
        with pytest.raises(error):
            cancel(event, expected=0, now=now)


def test_a_cancelled_talk_is_shown_as_if_without_being_saved(make):
    talk = make.event()
    with rescheduling.as_if_cancelled(talk, "Krank", NOON):
        assert (talk.state, talk.cancelled_reason) == (EventState.CANCELLED, "Krank")
    with write():
        pass
    db.session.refresh(talk)
    assert (talk.state, talk.cancelled_reason, talk.cancelled_at) == (EventState.PUBLISHED, "", None)


# --- closing and opening sign-up ----------------------------------------------------------------------------


def test_sign_up_closes_now_and_opens_again_without_a_word_to_anyone(make, owed):
    talk = make.event(registration_opens=NOON + DAY)
    make.registration(talk)
    with write():
        rescheduling.close_sign_up(talk.id, 1, NOON + timedelta(seconds=37))
    assert (talk.registration_closes, talk.registration_opens, talk.version) == (NOON, None, 2)
    with write():
        rescheduling.reopen_sign_up(talk.id, 2, NOON)
    assert (talk.registration_closes, talk.version, owed()) == (None, 3, [])


def test_sign_up_of_a_draft_a_past_or_a_cancelled_talk_is_not_opened(make):
    talk, draft, off = make.event(), make.draft(), make.event(state=EventState.CANCELLED)
    for event, error, now in (
        (talk, EventOver, talk.starts_at),
        (draft, NotPublished, NOON),
        (off, EventCancelled, NOON),
    ):
        for act in (rescheduling.close_sign_up, rescheduling.reopen_sign_up):
            with pytest.raises(error), write():
                act(event.id, event.version, now)
    with pytest.raises(StaleVersion), write():
        rescheduling.close_sign_up(talk.id, 9, NOON)


# --- any history --------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["move", "place", "typo silently", "typo told", "zone"]),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_changes_each_calendar_is_owed_exactly_one_update_or_none(make_story, make, steps):
    """Nothing is delivered meanwhile: one update is owed if anything was told; SEQUENCE counts what was told."""
    make_story(0)
    talk = make.event(starts_local=datetime(2027, 1, 14, 14))
    ada = make.registration(talk)
    told = 0
    for number, (step, by) in enumerate(steps):
        draft = {
            "move": lambda by=by: moved(talk, by * DAY),
            "place": lambda number=number: changed(talk, address=f"Straße {number}"),
            "zone": lambda by=by: changed(talk, zone=("Europe/London", "Europe/Berlin", "UTC")[by % 3]),
        }.get(step, lambda number=number: changed(talk, title=f"Titel {number}"))()
        if step == "typo silently":
            silently(talk, draft)
        elif rescheduling.preview(talk, draft, NOON).changes:
            told += tell(talk, draft, expected=rescheduling.preview(talk, draft, NOON).told)
    db.session.refresh(ada)
    states = [message.state for message in db.session.query(Message).filter_by(registration_id=ada.id)]
    assert states.count(MessageState.OWED) == (1 if told else 0)
    assert (talk.sequence, ada.sequence) == (told, told)
    assert differences.facts(talk)["starts"] == talk.starts_at.astimezone(UTC).isoformat()


def test_what_people_wrote_or_asked_for_still_goes_out_when_the_talk_is_called_off(make, owed):
    talk, other = make.event(), make.person()
    one = make.registration(talk)
    for kind in (Kind.REMINDER, Kind.NEW_LINK, Kind.ORGANISER_MESSAGE):
        make.message(kind, one)
    for kind in (Kind.FORWARD, Kind.FOLLOWER_MESSAGE):
        make.message(kind, other, event_id=talk.id)
    cancel(talk, expected=1)
    assert owed() == [
        (Kind.NEW_LINK, one),
        (Kind.ORGANISER_MESSAGE, one),
        (Kind.FORWARD, other),
        (Kind.EVENT_CANCELLATION, one),
    ]


def test_whoever_moves_up_by_a_change_is_told_what_has_changed_as_well(make):
    talk = make.event(places_on_site=1, title="Register")
    make.registration(talk, Status.CONFIRMED)
    waits = make.registration(talk, Status.WAITING, language="en")
    assert tell(talk, moved(talk, capacity_on_site=2), 2, text="Der Raum war belegt.") == 2
    db.session.expire_all()
    mails = db.session.scalars(select(Message).where(Message.registration_id == waits.id).order_by(Message.id)).all()
    assert [(mail.kind, mail.state) for mail in mails] == [
        (Kind.UPDATE, MessageState.SUPERSEDED),
        (Kind.PROMOTION, MessageState.OWED),
    ]
    with write():
        letter = compose(mails[1], NOON)
    assert letter.calendar is not None
    for words in (letter.text, letter.html):
        assert "A place has become free" in words
        assert "New date: Tue 20 January" in words
        assert "previously: Mon 19 January" in words
        assert "Der Raum war belegt." in words
