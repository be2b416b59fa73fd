"""A registration after it was made."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import (
    AlreadyCancelled,
    AlreadySignedUp,
    EventCancelled,
    EventFull,
    EventOver,
    LineIsOver,
    LinkExpired,
    LinkInvalid,
    ModeNotOffered,
    NotFound,
    OfferLapsed,
)
from whatsnext.models import CancelledBy, EventState, Kind, Message, Mode, PartStat, Registration, Status
from whatsnext.services import holds, registrations, signup
from whatsnext.services.registrations import Outlook

HOUR = timedelta(hours=1)


def act(service, *given, **named):
    with write():
        return service(*given, **named)


def statuses(*rows):
    for row in rows:
        db.session.refresh(row)
    return [row.status for row in rows]


def test_cancelling_gives_the_place_to_whoever_waited_longest(make, owed):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk, Status.CONFIRMED)
    linus = make.registration(talk, Status.WAITING, arrival=9)
    grace = make.registration(talk, Status.WAITING, arrival=8)
    act(registrations.cancel, ada.id, NOON)
    assert statuses(ada, grace, linus) == [Status.CANCELLED, Status.CONFIRMED, Status.WAITING]
    assert owed() == [(Kind.CANCELLATION, ada), (Kind.PROMOTION, grace)]


def test_the_line_of_one_kind_of_place_does_not_move_for_the_other(make, owed):
    talk = make.event(places_on_site=1, places_online=1)
    ada = make.registration(talk, mode=Mode.ON_SITE)
    make.registration(talk, mode=Mode.ONLINE)
    grace = make.registration(talk, Status.WAITING, mode=Mode.ONLINE)
    act(registrations.cancel, ada.id, NOON)
    assert (statuses(grace), owed()) == ([Status.WAITING], [(Kind.CANCELLATION, ada)])


def test_an_unproved_person_in_line_is_passed_over_and_keeps_the_number(make, owed):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    unproved = make.registration(talk, Status.WAITING, proved=False)
    grace = make.registration(talk, Status.WAITING)
    act(registrations.cancel, ada.id, NOON)
    assert (statuses(unproved, grace), unproved.arrival) == ([Status.WAITING, Status.CONFIRMED], 2)


def test_a_place_nobody_proved_waits_for_is_held_for_the_unproved(make):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    unproved = make.registration(talk, Status.WAITING, proved=False)
    act(registrations.cancel, ada.id, NOON)
    assert statuses(unproved) == [Status.HELD]


def test_the_cancellation_stands_above_the_invitation(make):
    ada = make.registration(make.event(), sequence=3)
    act(registrations.cancel, ada.id, NOON)
    message = db.session.query(Message).one()
    assert (message.kind, message.sequence, ada.sequence) == (Kind.CANCELLATION, 4, 4)


def test_leaving_the_line_owes_no_calendar(make):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    act(registrations.cancel, grace.id, NOON)
    message = db.session.query(Message).one()
    assert (message.kind, message.sequence, message.facts) == (
        Kind.CANCELLATION,
        None,
        {"by": "attendee", "had_place": False},
    )


def test_a_place_is_given_up_once_and_only_before_the_end(make):
    talk = make.event()
    ada, grace = make.registration(talk), make.registration(talk)
    act(registrations.cancel, ada.id, NOON)
    with pytest.raises(AlreadyCancelled):
        act(registrations.cancel, ada.id, NOON)
    with pytest.raises(EventOver):
        act(registrations.cancel, grace.id, talk.ends_at)
    with write():
        talk.state = EventState.CANCELLED
    with pytest.raises(EventCancelled):
        act(registrations.cancel, grace.id, NOON)


def test_nobody_moves_up_once_the_talk_has_begun(make, owed):
    talk = make.event(places_on_site=1)
    ada, grace = make.registration(talk), make.registration(talk, Status.WAITING)
    act(registrations.cancel, ada.id, talk.starts_at)
    assert (statuses(grace), owed()) == ([Status.WAITING], [(Kind.CANCELLATION, ada)])


def test_within_the_last_day_the_next_in_line_is_asked_and_may_take_the_place(make, owed):
    talk = make.event(places_on_site=1)
    ada, grace = make.registration(talk), make.registration(talk, Status.WAITING)
    late = talk.starts_at - 5 * HOUR
    act(registrations.cancel, ada.id, late)
    assert (statuses(grace), grace.offer_ends_at) == ([Status.OFFERED], late + 4 * HOUR)
    act(registrations.take_offer, grace.id, late + HOUR)
    assert statuses(grace) == [Status.CONFIRMED]
    assert owed() == [(Kind.CANCELLATION, ada), (Kind.INVITATION, grace)]


def test_an_offer_nobody_takes_goes_to_the_next_and_the_number_is_kept(make):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    grace, linus = make.registration(talk, Status.WAITING), make.registration(talk, Status.WAITING)
    late = talk.starts_at - 10 * HOUR
    act(registrations.cancel, ada.id, late)
    act(holds.expire_holds, late + 4 * HOUR)
    assert (statuses(grace, linus), grace.arrival) == ([Status.WAITING, Status.OFFERED], 2)
    with pytest.raises(OfferLapsed):
        act(registrations.take_offer, grace.id, late + 4 * HOUR)


def test_an_offer_past_its_end_is_refused_before_the_sweep(make):
    talk = make.event(places_on_site=1)
    grace = make.registration(talk, Status.OFFERED, offer_ends_at=NOON)
    with pytest.raises(OfferLapsed):
        act(registrations.take_offer, grace.id, NOON)


def test_undo_gives_the_place_back_while_it_is_free(make, owed):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk, sequence=0)
    act(registrations.cancel, ada.id, NOON)
    assert registrations.undo_outlook(ada, NOON + HOUR) == Outlook(place=True, line=1)
    act(registrations.undo, ada.id, NOON + HOUR)
    assert (statuses(ada), ada.arrival, ada.sequence) == ([Status.CONFIRMED], 1, 2)
    assert owed() == [(Kind.INVITATION, ada)]


def test_undo_within_a_day_takes_the_old_place_in_line(make):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    grace, linus = make.registration(talk, Status.WAITING), make.registration(talk, Status.WAITING)
    act(registrations.cancel, ada.id, NOON)
    assert registrations.undo_outlook(ada, NOON + HOUR) == Outlook(place=False, line=1)
    act(registrations.undo, ada.id, NOON + HOUR)
    act(registrations.cancel, grace.id, NOON + 2 * HOUR)
    assert statuses(ada, grace, linus) == [Status.CONFIRMED, Status.CANCELLED, Status.WAITING]


def test_undo_after_a_day_queues_at_the_end(make):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    make.registration(talk, Status.WAITING)
    make.registration(talk, Status.WAITING)
    act(registrations.cancel, ada.id, NOON)
    assert registrations.undo_outlook(ada, NOON + 25 * HOUR) == Outlook(place=False, line=2)
    act(registrations.undo, ada.id, NOON + 25 * HOUR)
    assert (statuses(ada), ada.arrival) == ([Status.WAITING], 4)


def test_undo_says_and_does_the_same_past_someone_who_let_an_offer_lapse(make):
    talk = make.event(places_on_site=2)
    ada = make.registration(talk, Status.CANCELLED, arrival=5, cancelled_at=NOON, cancelled_by=CancelledBy.ATTENDEE)
    make.registration(talk, Status.WAITING, arrival=3, offer_lapsed_at=NOON)
    assert registrations.undo_outlook(ada, NOON).place
    act(registrations.undo, ada.id, NOON)
    assert statuses(ada) == [Status.CONFIRMED]


def test_undo_twice_is_once_and_not_for_someone_the_organiser_removed(make, owed):
    ada, grace = make.registration(make.event()), make.registration(make.event())
    act(registrations.cancel, ada.id, NOON)
    for _time in range(2):
        act(registrations.undo, ada.id, NOON)
    act(registrations.cancel, grace.id, NOON, by=CancelledBy.ORGANISER)
    with pytest.raises(AlreadyCancelled):
        act(registrations.undo, grace.id, NOON)
    assert owed() == [(Kind.INVITATION, ada), (Kind.CANCELLATION, grace)]


def test_switching_to_online_tells_the_calendar_and_frees_the_room(make, owed):
    talk = make.event(places_on_site=1, places_online=5)
    ada = make.registration(talk, mode=Mode.ON_SITE, partstat=PartStat.ACCEPTED)
    grace = make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    act(registrations.switch_mode, ada.id, Mode.ONLINE, NOON)
    assert (ada.mode, ada.sequence, statuses(ada, grace)) == (Mode.ONLINE, 1, [Status.CONFIRMED, Status.CONFIRMED])
    assert owed() == [(Kind.UPDATE, ada), (Kind.PROMOTION, grace)]


def test_whoever_has_a_place_may_switch_and_be_invited_again_until_the_talk_ends_others_until_it_begins(make, owed):
    talk = make.event(places_on_site=1, places_online=5)
    ada, grace = make.registration(talk), make.registration(talk, Status.WAITING)
    while_it_runs = talk.ends_at - timedelta(seconds=1)
    assert act(registrations.switch_mode, ada.id, Mode.ONLINE, while_it_runs).mode is Mode.ONLINE
    act(registrations.resend_invitation, ada.id, while_it_runs)
    assert owed() == [(Kind.UPDATE, ada), (Kind.INVITATION, ada)]
    with pytest.raises(EventOver):
        act(registrations.switch_mode, grace.id, Mode.ONLINE, talk.starts_at)
    for late in (registrations.resend_invitation, lambda id_, now: registrations.switch_mode(id_, Mode.ON_SITE, now)):
        with pytest.raises(EventOver):
            act(late, ada.id, talk.ends_at)


def test_a_place_is_kept_when_the_other_kind_is_full(make):
    talk = make.event(places_on_site=1, places_online=1)
    ada = make.registration(talk, mode=Mode.ON_SITE)
    make.registration(talk, mode=Mode.ONLINE)
    with pytest.raises(EventFull):
        act(registrations.switch_mode, ada.id, Mode.ONLINE, NOON, waiting_ok=True)
    assert (statuses(ada), ada.mode) == ([Status.CONFIRMED], Mode.ON_SITE)


def test_a_waiting_person_takes_a_free_place_online_instead(make, owed):
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, mode=Mode.ON_SITE)
    grace = make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    act(registrations.switch_mode, grace.id, Mode.ONLINE, NOON)
    assert (statuses(grace), owed()) == ([Status.CONFIRMED], [(Kind.INVITATION, grace)])


def test_switching_to_a_way_not_offered_is_refused(make):
    ada = make.registration(make.event())
    with pytest.raises(ModeNotOffered):
        act(registrations.switch_mode, ada.id, Mode.ONLINE, NOON)


def test_changing_details_keeps_needs_only_with_consent(make):
    ada = make.registration(make.event())
    act(registrations.change_details, ada.id, "Ada B.", "Stadt Köln", "Induktionsschleife", NOON, needs_consent=True)
    assert (ada.name, ada.person.agency, ada.needs, ada.needs_consent_at) == (
        "Ada B.",
        "Stadt Köln",
        "Induktionsschleife",
        NOON,
    )
    act(registrations.change_details, ada.id, "Ada B.", "Stadt Köln", "Induktionsschleife", NOON, needs_consent=False)
    assert (ada.needs, ada.needs_consent_at) == ("", None)


def test_a_new_link_ends_the_old_one(make, owed):
    ada = make.registration(make.event())
    old = registrations.manage_token(ada)
    assert registrations.by_manage_token(old, NOON) is ada
    act(registrations.new_link, ada.id, NOON)
    with pytest.raises(LinkExpired):
        registrations.by_manage_token(old, NOON)
    assert registrations.by_manage_token(registrations.manage_token(ada), NOON) is ada
    assert owed() == [(Kind.NEW_LINK, ada)]


def test_a_manage_link_of_nobody_is_invalid(make):
    ada = make.registration(make.event())
    token = registrations.manage_token(ada)
    ada.id = 99
    forged = registrations.manage_token(ada)
    db.session.rollback()
    with pytest.raises(LinkInvalid):
        registrations.by_manage_token(forged, NOON)
    with pytest.raises(LinkInvalid):
        registrations.by_offer_token(token, NOON)


def test_the_invitation_goes_again_with_the_same_sequence(make):
    ada = make.registration(make.event(), sequence=2)
    act(registrations.resend_invitation, ada.id, NOON)
    message = db.session.query(Message).one()
    assert (message.kind, message.sequence, ada.sequence) == (Kind.INVITATION, 2, 2)


def test_no_invitation_goes_to_someone_without_a_place(make):
    with pytest.raises(AlreadyCancelled):
        act(registrations.resend_invitation, make.registration(make.event(), Status.WAITING).id, NOON)


def test_an_organiser_promotes_only_onto_a_free_place_of_the_same_talk(make, owed):
    talk, other = make.event(places_on_site=1), make.event()
    make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    with pytest.raises(LineIsOver):
        act(registrations.promote, grace.id, talk.id, NOON)
    with pytest.raises(NotFound):
        act(registrations.promote, grace.id, other.id, NOON)
    with write():
        talk.capacity_on_site = 2
    act(registrations.promote, grace.id, talk.id, NOON)
    assert owed() == [(Kind.PROMOTION, grace)]


def test_an_organiser_adds_people_in_order(make, owed):
    talk = make.event(places_on_site=1)
    details = {"name": "Ada", "agency": "ITZBund", "mode": Mode.ON_SITE}
    ada = act(registrations.add, talk.id, NOON, email="ada@behoerde.example", **details)
    grace = act(registrations.add, talk.id, NOON, email="grace@behoerde.example", **details)
    with pytest.raises(AlreadySignedUp):
        act(registrations.add, talk.id, NOON, email="ada@behoerde.example", **details)
    assert owed() == [(Kind.INVITATION, ada), (Kind.WAITING, grace)]


def test_signing_up_again_after_a_cancel_stands_above_it(make):
    talk, ada = make.event(), make.person(email="ada@behoerde.example")
    registration = make.registration(talk, person=ada, sequence=1)
    act(registrations.cancel, registration.id, NOON)
    wish = signup.Wish(name="Ada", email=ada.email, agency="ITZBund", mode=Mode.ON_SITE)
    act(signup.sign_up, talk.slug, wish, ada, NOON)
    messages = db.session.query(Message).order_by(Message.id).all()
    assert [(message.kind, message.sequence) for message in messages] == [(Kind.CANCELLATION, 2), (Kind.INVITATION, 3)]
    assert db.session.query(Registration).count() == 1


def test_undoing_into_the_line_still_empties_the_calendar(make, owed):
    talk = make.event(places_on_site=1)
    ada = make.registration(talk)
    grace = make.registration(talk, Status.WAITING)
    act(registrations.cancel, ada.id, NOON)
    act(registrations.undo, ada.id, NOON)
    assert owed() == [(Kind.CANCELLATION, ada), (Kind.PROMOTION, grace), (Kind.WAITING, ada)]


def test_who_has_proved_nothing_gets_no_place_by_giving_up_and_coming_back(make, owed):
    talk = make.event(places_on_site=1)
    stranger = make.registration(talk, Status.HELD)
    grace = make.registration(talk, Status.WAITING)
    with write():
        registrations.cancel(stranger.id, NOON)
    assert (statuses(stranger, grace), owed()) == ([Status.EXPIRED, Status.CONFIRMED], [(Kind.PROMOTION, grace)])
    with pytest.raises(AlreadyCancelled), write():
        registrations.undo(stranger.id, NOON)


def test_who_has_proved_nothing_any_more_does_not_come_back_by_an_old_link(make):
    talk = make.event()
    ada = make.registration(talk, Status.CANCELLED, proved=False)
    assert not registrations.may_undo(ada, NOON)
    with pytest.raises(AlreadyCancelled), write():
        registrations.undo(ada.id, NOON)


@pytest.mark.parametrize(("online", "status"), [(1, Status.HELD), (0, Status.WAITING)])
def test_who_has_proved_nothing_switches_the_hold_and_not_into_a_place(make, owed, online, status):
    talk = make.event(places_on_site=1, places_online=online)
    stranger = make.registration(talk, Status.HELD, mode=Mode.ON_SITE)
    ends = stranger.hold_ends_at
    with write():
        registrations.switch_mode(stranger.id, Mode.ONLINE, NOON, waiting_ok=True)
    assert (stranger.mode, stranger.status, stranger.hold_ends_at) == (Mode.ONLINE, status, ends)
    assert owed() == []
