"""Signing up, proving the address, letting unproven holds go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.factories import NOON
from whatsnext import tokens
from whatsnext.db import db, write
from whatsnext.errors import (
    EventCancelled,
    EventFull,
    EventOver,
    HoldExpired,
    LinkExpired,
    LinkInvalid,
    LinkUsed,
    ModeNotOffered,
    NotFound,
    RegistrationClosed,
    RegistrationNotOpen,
)
from whatsnext.models import EventState, Kind, Message, MessageState, Mode, Person, Registration, Status
from whatsnext.services import blocking, holds, pages, registrations, signup
from whatsnext.services.signup import Receipt, Wish
from whatsnext.tokens import Purpose

ADA = Wish(name="Ada Beispiel", email="ada@behoerde.example", agency="Landesamt", mode=Mode.ON_SITE, form_key="k1")
HERS = replace(ADA, browser="the browser that asked")
HOUR = timedelta(hours=1)


def sign_up(talk, wish=ADA, person=None, now=NOON):
    with write():
        return signup.sign_up(talk.slug, wish, person, now)


def confirm(registration, now=NOON, **how):
    with write():
        return signup.confirm(registration.id, now, **how)


def sign_up_at_once(app, slugs, wishes):
    meet = threading.Barrier(len(slugs), timeout=10)
    db.session.rollback()

    def act(slug, wish):
        with app.app_context():
            db.session.execute(select(1))
            db.session.rollback()
            meet.wait()
            with write():
                return signup.sign_up(slug, wish, None, NOON).masked

    with ThreadPoolExecutor(len(slugs)) as threads:
        return list(threads.map(act, slugs, wishes))


def rows():
    return list(db.session.scalars(select(Registration).order_by(Registration.arrival)))


def test_a_stranger_holds_a_place_until_the_address_is_proved(make, owed):
    talk = make.event(places_on_site=1)
    receipt = sign_up(talk)
    (ada,) = rows()
    assert (ada.status, ada.arrival, ada.hold_ends_at) == (Status.HELD, 1, NOON + HOUR)
    assert receipt == Receipt(ada.ref, "a…a@behoerde.example", NOON + HOUR, proved=False)
    assert owed() == [(Kind.CONFIRMATION_REQUEST, ada)]


def test_signing_up_takes_two_statements_more_for_a_known_address_and_no_more_than_that(make, query_count):
    """Where many write at once a person whom others may know is locked too."""
    slug = make.event().slug
    known = make.registration(make.event()).person.email
    asked = []
    for wish in (ADA, replace(ADA, email=known, form_key="k2")):
        with query_count() as queries, write():
            signup.sign_up(slug, wish, None, NOON)
        asked.append(len([query for query in queries if not query.startswith("BEGIN")]))
    lock = db.engine.dialect.name == "postgresql"
    assert asked == [7, 9 + lock]


def test_a_registration_tells_which_notice_was_shown(make):
    talk = make.event()
    sign_up(talk, HERS)
    seen = [rows()[0].notice_version]
    with write():
        pages.save("datenschutz", "de", "Neu", 0, NOON)
    sign_up(talk, replace(HERS, agency="Bezirksamt", form_key="k2"))
    db.session.expire_all()
    seen.append(rows()[0].notice_version)
    for wish in (replace(ADA, email="bo@behoerde.example"), replace(ADA, email="cy@behoerde.example", language="en")):
        sign_up(talk, wish)
        seen.append(rows()[-1].notice_version)
    assert seen == [0, 1, 1, 0]


def test_confirming_turns_the_hold_into_a_place_and_owes_the_invitation(make, owed):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    ada = confirm(rows()[0])
    assert (ada.status, ada.sequence, ada.person.name) == (Status.CONFIRMED, 0, "Ada Beispiel")
    assert owed() == [(Kind.INVITATION, ada)]


def test_confirming_twice_is_the_same_as_once(make, owed):
    sign_up(make.event())
    confirm(rows()[0])
    ada = confirm(rows()[0], NOON + 3 * HOUR)
    assert (ada.status, owed()) == (Status.CONFIRMED, [(Kind.INVITATION, ada)])


def test_someone_signed_in_gets_the_place_at_once(make, owed):
    talk, kim = make.event(), make.person(email="kim@behoerde.example")
    receipt = sign_up(talk, person=kim)
    (registration,) = rows()
    assert (receipt.proved, registration.person, registration.status) == (True, kim, Status.CONFIRMED)
    assert owed() == [(Kind.INVITATION, registration)]


def test_a_full_talk_refuses_unless_the_waiting_list_was_asked_for(make, owed):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    with pytest.raises(EventFull):
        sign_up(talk)
    assert owed() == []
    sign_up(talk, replace(ADA, waiting_ok=True))
    assert [row.status for row in rows()] == [Status.CONFIRMED, Status.WAITING]


def test_a_waiting_person_who_confirms_stays_in_line_and_is_told(make, owed):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    sign_up(talk, replace(ADA, waiting_ok=True))
    ada = confirm(rows()[1])
    assert (ada.status, owed()) == (Status.WAITING, [(Kind.WAITING, ada)])


def test_the_same_form_sent_twice_makes_one_registration_and_one_mail(make, owed):
    talk = make.event(places_on_site=1)
    assert sign_up(talk).ref == sign_up(talk).ref
    assert owed() == [(Kind.CONFIRMATION_REQUEST, rows()[0])]


def test_signing_up_again_with_a_fresh_form_sends_the_request_anew(make, owed):
    talk = make.event()
    sign_up(talk, HERS)
    sign_up(talk, replace(HERS, form_key="k2", name="Ada B."))
    (ada,) = rows()
    assert (ada.name, owed()) == ("Ada B.", [(Kind.CONFIRMATION_REQUEST, ada)])


def test_signing_up_again_when_registered_answers_alike_and_tells_by_mail_only(make, owed):
    talk, kim = make.event(), make.person(email=ADA.email)
    known = make.registration(talk, person=kim)
    receipt = sign_up(talk)
    assert (receipt.masked, receipt.until, receipt.proved) == ("a…a@behoerde.example", NOON + HOUR, False)
    assert (owed(), known.name) == ([(Kind.ALREADY_REGISTERED, known)], kim.name)


def test_a_full_talk_answers_alike_whether_or_not_the_address_is_registered(make):
    talk = make.event(places_on_site=1)
    make.registration(talk, person=make.person(email=ADA.email))
    for email in (ADA.email, "stranger@behoerde.example"):
        with pytest.raises(EventFull):
            sign_up(talk, replace(ADA, email=email))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"state": EventState.DRAFT}, NotFound),
        ({"state": EventState.CANCELLED}, EventCancelled),
        ({"registration_opens": NOON + HOUR}, RegistrationNotOpen),
        ({"registration_closes": NOON}, RegistrationClosed),
        ({"starts_at": NOON, "ends_at": NOON + HOUR}, EventOver),
        ({"places_online": 3}, ModeNotOffered),
    ],
)
def test_signing_up_is_refused_when_the_talk_is_not_open(make, owed, given, error):
    talk = make.event(**given)
    with pytest.raises(error):
        sign_up(talk)
    assert (rows(), owed()) == ([], [])


def test_the_opening_is_named_in_words(make):
    with pytest.raises(RegistrationNotOpen) as refused:
        sign_up(make.event(registration_opens=NOON + HOUR))
    assert "14:00 Uhr (Berlin)" in refused.value.message


def test_an_unproved_hold_expires_and_the_next_in_line_gets_the_place(make, owed):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    grace = make.registration(talk, Status.WAITING)
    with write():
        gone = holds.expire_holds(NOON + HOUR)
    assert (gone, [row.status for row in rows()]) == (1, [Status.EXPIRED, Status.CONFIRMED])
    assert owed() == [(Kind.PROMOTION, grace)]


def test_a_hold_is_not_let_go_a_second_early(make):
    sign_up(make.event())
    with write():
        assert holds.expire_holds(NOON + HOUR - timedelta(seconds=1)) == 0


def test_confirming_too_late_says_so_and_the_same_details_can_be_used_again(make, owed):
    sign_up(make.event())
    late = NOON + 2 * HOUR
    with write():
        holds.expire_holds(late)
    with pytest.raises(HoldExpired):
        confirm(rows()[0], late)
    ada = confirm(rows()[0], late, renew=True)
    assert (ada.status, ada.arrival, owed()) == (Status.CONFIRMED, 2, [(Kind.INVITATION, ada)])


def test_confirming_too_late_for_a_full_talk_joins_the_line(make, owed):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    late = NOON + 2 * HOUR
    with write():
        holds.expire_holds(late)
    grace = make.registration(talk)
    ada = confirm(rows()[0], late, renew=True)
    assert (ada.status, grace.status, owed()) == (Status.WAITING, Status.CONFIRMED, [(Kind.WAITING, ada)])


def test_confirming_a_cancelled_or_begun_talk_is_refused(make):
    talk = make.event()
    sign_up(talk)
    with pytest.raises(EventOver):
        confirm(rows()[0], talk.starts_at)
    with write():
        talk.state = EventState.CANCELLED
    with pytest.raises(EventCancelled):
        confirm(rows()[0])


def test_an_address_holds_one_unproved_place_a_day(make):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    with write():
        holds.expire_holds(NOON + HOUR)
    sign_up(talk, replace(ADA, form_key="k2"), now=NOON + 2 * HOUR)
    (ada,) = rows()
    assert ada.status is Status.WAITING
    grace = replace(ADA, email="grace@behoerde.example")
    assert sign_up(talk, grace, now=NOON + 2 * HOUR).ref == rows()[1].ref
    assert [row.status for row in rows()] == [Status.WAITING, Status.HELD]


def test_a_robot_renewing_its_hold_for_three_hours_does_not_keep_a_proved_person_out(make):
    talk = make.event(places_on_site=1)
    grace = make.person(email="grace@behoerde.example")
    for minutes in range(0, 180, 10):
        now = NOON + timedelta(minutes=minutes)
        sign_up(talk, replace(ADA, form_key=f"k{minutes}", waiting_ok=True), now=now)
        with write():
            holds.expire_holds(now)
        if minutes == 90:
            sign_up(talk, replace(ADA, waiting_ok=True), person=grace, now=now)
    assert {row.person.email: row.status for row in rows()}["grace@behoerde.example"] is Status.CONFIRMED


def test_a_network_holds_ten_unproved_places_at_a_talk(make):
    talk = make.event(places_on_site=20)
    for number in range(12):
        sign_up(talk, replace(ADA, email=f"p{number}@behoerde.example", network="192.0.2.0/24"))
    sign_up(talk, replace(ADA, email="exit@behoerde.example", network=""))
    assert [row.status for row in rows()] == [Status.HELD] * 10 + [Status.WAITING] * 2 + [Status.HELD]


def test_whoever_was_refused_a_hold_gets_the_free_place_by_confirming(make, owed):
    talk = make.event(places_on_site=20)
    for number in range(11):
        sign_up(talk, replace(ADA, email=f"p{number}@behoerde.example", network="192.0.2.0/24"))
    last = confirm(rows()[10])
    assert (last.status, owed()[-1]) == (Status.CONFIRMED, (Kind.INVITATION, last))


def test_holds_fall_to_fifteen_minutes_while_a_proved_person_waits(make):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    grace = make.person(email="grace@behoerde.example")
    sign_up(talk, replace(ADA, waiting_ok=True), person=grace, now=NOON + timedelta(minutes=5))
    assert rows()[0].hold_ends_at == NOON + timedelta(minutes=15)


def test_needs_are_kept_only_with_consent(make):
    sign_up(make.event(), replace(ADA, needs="Ein Platz ohne Stufen"))
    sign_up(make.event(), replace(ADA, needs="Ein Platz ohne Stufen", needs_consent=True))
    kept = db.session.scalars(select(Registration).order_by(Registration.id)).all()
    assert [(row.needs, row.needs_consent_at) for row in kept] == [("", None), ("Ein Platz ohne Stufen", NOON)]


def test_that_was_not_me_frees_the_place_at_once(make, owed):
    talk = make.event(places_on_site=1)
    sign_up(talk)
    grace = make.registration(talk, Status.WAITING)
    with write():
        signup.decline_request(rows()[0].id, NOON)
    assert [row.status for row in rows()] == [Status.EXPIRED, Status.CONFIRMED]
    assert owed() == [(Kind.PROMOTION, grace)]


def test_that_was_not_me_does_nothing_to_a_proved_registration(make, owed):
    ada = make.registration(make.event())
    with write():
        signup.decline_request(ada.id, NOON)
    assert (ada.status, owed()) == (Status.CONFIRMED, [])


def test_no_more_mails_blocks_the_address_and_frees_its_holds(make, owed):
    talk, other = make.event(), make.event()
    sign_up(talk)
    person = rows()[0].person
    with write():
        blocking.block(blocking.token(person, NOON), NOON)
    receipt = sign_up(other)
    assert (receipt.masked, receipt.until) == ("a…a@behoerde.example", NOON + HOUR)
    assert ([row.status for row in rows()], owed()) == ([Status.EXPIRED], [])


def test_an_unproved_address_gets_three_mails_an_hour_and_ten_a_day(make):
    talks = [make.event() for _number in range(14)]
    for number, talk in enumerate(talks[:5]):
        sign_up(talk, replace(ADA, form_key=f"k{number}"))
    for hour, talk in enumerate(talks[5:], start=1):
        sign_up(talk, now=NOON + hour * HOUR + timedelta(minutes=1))
    sent = db.session.scalars(select(Message.created_at).order_by(Message.id)).all()
    assert (sum(at < NOON + HOUR for at in sent), len(sent)) == (3, 10)


def test_a_stranger_gets_three_mails_for_fifty_sign_ups(make, figure):
    for number in range(50):
        sign_up(make.event(), replace(ADA, form_key=f"k{number}"), now=NOON + timedelta(minutes=number))
    mails = len(db.session.scalars(select(Message.id)).all())
    figure("sign-ups for one stranger", sign_ups=50, mails=mails)
    assert mails == 3


def test_the_brake_holds_mails_to_new_addresses(make_app, make):
    slug = make.event(places_on_site=9).slug
    db.session.rollback()
    with make_app(new_address_mails_per_hour=2).app_context():
        for number in range(4):
            with write():
                signup.sign_up(slug, replace(ADA, email=f"p{number}@behoerde.example"), None, NOON)
    states = db.session.scalars(select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.OWED, MessageState.OWED, MessageState.HELD, MessageState.HELD]


def test_an_unproved_address_gets_three_mails_from_sign_ups_at_the_same_moment(app, make):
    make.person(email=ADA.email, proved_at=None)
    slugs = [make.event(series=make.series()).slug for _number in range(8)]
    sign_up_at_once(app, slugs, [ADA] * 8)
    assert (len(rows()), db.session.scalar(select(func.count(Message.id)))) == (8, 3)


def test_the_brake_holds_mails_to_new_addresses_that_sign_up_at_the_same_moment(make_app, make):
    slugs = [make.event(series=make.series()).slug for _number in range(8)]
    wishes = [replace(ADA, email=f"p{number}@behoerde.example") for number in range(8)]
    sign_up_at_once(make_app(new_address_mails_per_hour=2), slugs, wishes)
    states = db.session.scalars(select(Message.state)).all()
    assert (states.count(MessageState.OWED), states.count(MessageState.HELD)) == (2, 6)


def test_resend_sends_again_after_a_minute_and_nothing_for_a_stranger(make, owed):
    receipt = sign_up(make.event())
    for now, ref in ((NOON, receipt.ref), (NOON + HOUR / 2, "unknown"), (NOON + HOUR / 2, receipt.ref)):
        with write():
            signup.resend(ref, now)
    assert (owed(), db.session.scalar(select(func.count(Message.id)))) == ([(Kind.CONFIRMATION_REQUEST, rows()[0])], 2)


def test_a_confirm_link_names_one_sign_up(make):
    talk = make.event()
    sign_up(talk)
    ada = rows()[0]
    token = registrations.confirm_token(ada)
    assert registrations.by_confirm_token(token, NOON) is ada
    with pytest.raises(LinkExpired):
        registrations.by_confirm_token(token, talk.ends_at)
    with pytest.raises(LinkInvalid):
        registrations.by_confirm_token(token[:-3] + "abc", NOON)
    with pytest.raises(LinkInvalid):
        registrations.by_confirm_token(tokens.sign(Purpose.MANAGE, [ada.id, ada.arrival], talk.ends_at), NOON)
    confirm(ada)
    with write():
        registrations.cancel(ada.id, NOON)
    sign_up(talk, replace(ADA, form_key="k2"))
    with pytest.raises(LinkUsed):
        registrations.by_confirm_token(token, NOON)


def test_one_person_is_made_for_one_address(make):
    for talk in (make.event(), make.event()):
        sign_up(talk)
    assert db.session.scalars(select(Person.email)).all() == ["ada@behoerde.example"]


def test_the_page_versions_rise_with_a_sign_up(make):
    talk = make.event()
    before = talk.page_version, talk.series.page_version
    sign_up(talk)
    db.session.refresh(talk.series)
    assert (talk.page_version, talk.series.page_version) == (before[0] + 1, before[1] + 1)


def test_a_try_that_holds_no_place_does_not_put_off_the_next_hold(make):
    talk = make.event(places_on_site=30)
    sign_up(talk)
    (ada,) = rows()
    with write():
        holds.expire_holds(NOON + 2 * HOUR)
    sign_up(talk, replace(ADA, form_key="k2"), now=NOON + 20 * HOUR)
    db.session.refresh(ada)
    assert (ada.status, ada.held_at) == (Status.WAITING, NOON)


def test_a_form_sent_once_more_with_other_words_counts_as_it_is_now(make, owed):
    talk = make.event(places_on_site=1, places_online=1)
    sign_up(talk, HERS)
    (ada,) = rows()
    better = replace(HERS, mode=Mode.ONLINE, needs="Rampe", needs_consent=True, language="en", form_key="k2")
    sign_up(talk, better, now=NOON + HOUR / 2)
    db.session.refresh(ada)
    assert (ada.mode, ada.status, ada.needs, ada.language) == (Mode.ONLINE, Status.HELD, "Rampe", "en")
    assert (ada.arrival, ada.held_at, ada.hold_ends_at) == (1, NOON, NOON + HOUR)
    sign_up(talk, replace(ADA, email="grace@behoerde.example", form_key="k3"), now=NOON + HOUR / 2)
    assert [one.status for one in rows()] == [Status.HELD, Status.HELD]


def test_a_form_sent_once_more_for_a_full_way_of_taking_part_leaves_the_hold(make):
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, mode=Mode.ONLINE)
    sign_up(talk, HERS)
    sign_up(talk, replace(HERS, mode=Mode.ONLINE, waiting_ok=True, form_key="k2"))
    (_other, ada) = rows()
    assert (ada.mode, ada.status) == (Mode.ONLINE, Status.WAITING)
    confirm(ada)
    assert ada.status is Status.WAITING


def test_a_form_from_elsewhere_takes_no_place_and_no_name_away(make):
    """Whoever knows the address of somebody who holds a place can send a form for it."""
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, mode=Mode.ONLINE)
    sign_up(talk, HERS)
    ada = rows()[-1]
    mallory = make.registration(talk, Status.WAITING)
    for number, browser in enumerate(("", "another")):
        given = {"name": "x", "needs": "y", "needs_consent": True, "language": "en", "form_key": f"m{number}"}
        sign_up(talk, replace(ADA, mode=Mode.ONLINE, waiting_ok=True, browser=browser, **given))
    confirm(ada)  # by the link of her own first mail
    db.session.refresh(mallory)
    assert (ada.mode, ada.status, ada.name, ada.needs, ada.language) == (
        *(Mode.ON_SITE, Status.CONFIRMED, ADA.name, "", "de"),
    )
    assert (mallory.status, ada.person.name) == (Status.WAITING, ADA.name)


@pytest.mark.parametrize("places", [1, 5])
def test_whoever_signs_up_signed_in_gets_what_they_typed_themselves(make, places):
    talk = make.event(places_on_site=places, places_online=5)
    me = make.person(email=ADA.email, name=ADA.name)
    strange = {"name": "Fremd", "agency": "Fremd", "language": "en", "needs": "x", "needs_consent": True}
    sign_up(talk, replace(ADA, browser="strange", **strange))
    sign_up(talk, replace(ADA, mode=Mode.ONLINE, form_key="k9"), person=me)
    (ada,) = rows()
    assert (ada.mode, ada.status, ada.name, ada.needs) == (Mode.ONLINE, Status.CONFIRMED, ADA.name, "")
    assert (ada.person.name, ada.person.agency, ada.person.language) == (ADA.name, ADA.agency, "de")


def test_a_need_once_named_stays_when_the_form_comes_again_without_it(make):
    talk = make.event(places_on_site=5)
    sign_up(talk, replace(HERS, needs="Gebärdensprache", needs_consent=True))
    sign_up(talk, replace(HERS, name="Ada B.", form_key="k2"))
    (ada,) = rows()
    assert (ada.name, ada.needs, ada.needs_consent_at) == ("Ada B.", "Gebärdensprache", NOON)
    sign_up(talk, replace(HERS, needs="Rampe", needs_consent=True, form_key="k3"))
    assert ada.needs == "Rampe"


def test_the_place_that_one_holds_oneself_is_free_for_oneself_once_signed_in(make):
    talk = make.event(places_on_site=1)
    me = make.person(email=ADA.email)
    sign_up(talk)
    sign_up(talk, replace(ADA, form_key="k9"), person=me)
    (ada,) = rows()
    assert ada.status is Status.CONFIRMED


def test_beyond_the_limit_of_mails_the_last_one_owed_stays_owed(make, owed):
    """The mail server is away: what was superseded has not gone out and counts all the same (safety.md O5)."""
    talk = make.event(places_on_site=5)
    for number in range(5):
        sign_up(talk, replace(ADA, form_key=f"k{number}"), now=NOON + timedelta(minutes=number))
        assert len(owed()) == 1


def test_a_form_sent_again_between_the_end_of_the_hold_and_the_sweep_starts_anew(make):
    talk = make.event(places_on_site=5)
    sign_up(talk)
    receipt = sign_up(talk, replace(ADA, form_key="k2"), now=NOON + HOUR + timedelta(seconds=5))
    newest = db.session.scalars(select(Message).order_by(Message.id.desc())).first()
    assert newest.best_before == receipt.until
