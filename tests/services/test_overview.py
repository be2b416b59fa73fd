from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.models import EventState, Kind, MessageState, Mode, Page, Status
from whatsnext.services import overview, pages
from whatsnext.services.catalogue import Standing
from whatsnext.services.overview import Missing, Need, Steps, ToDo


@pytest.fixture(autouse=True)
def _pages_written(app):
    with write():
        for text in pages.all_texts():
            db.session.add(Page(slug=text.slug, language=text.language, body="Unser Text", changed_at=NOON))


def to_do(now=NOON):
    return overview.to_do(overview.coming(now), overview.drafts(), now)


def complete(make, **given):
    host, theme = make.agency(), make.theme()
    return {"host_id": host.id, "theme_id": theme.id, "summary": "Worum es geht", **given}


def test_without_anything_open_there_is_nothing_to_do(make):
    make.registration(make.event())
    make.draft(**complete(make))
    assert to_do() == []


def test_mails_that_did_not_arrive_are_told_by_talk(make):
    talk, other = make.event(), make.event()
    for _each in range(2):
        make.message(Kind.INVITATION, make.registration(talk), state=MessageState.FAILED)
    make.message(Kind.INVITATION, make.registration(other), state=MessageState.SENT)
    make.message(Kind.CONFIRMATION_REQUEST, make.registration(other, Status.EXPIRED), state=MessageState.FAILED)
    assert to_do() == [ToDo(Need.UNDELIVERED, talk, 2)]


def test_mails_of_a_talk_long_over_are_left_alone(make):
    talk = make.event(starts_local=datetime(2025, 11, 1, 14, 0))
    make.message(Kind.ORGANISER_MESSAGE, make.registration(talk), state=MessageState.FAILED)
    assert to_do() == []


def test_mails_held_by_the_brake_wait_for_someone(make):
    one = make.registration(make.event(), Status.HELD)
    make.message(Kind.CONFIRMATION_REQUEST, one, state=MessageState.HELD)
    assert to_do() == [ToDo(Need.HELD, number=1)]


def test_reports_of_barriers_that_reached_nobody_are_told(make):
    for state in (MessageState.FAILED, MessageState.LAPSED, MessageState.SENT):
        make.message(Kind.BARRIER_REPORT, make.person(), state=state)
    assert to_do() == [ToDo(Need.REPORTS, number=2)]


def test_a_draft_says_what_it_lacks(make):
    bare = make.draft(starts_at=None, places_on_site=0)
    no_host = make.draft(**complete(make, host_id=None))
    assert to_do() == [
        ToDo(Need.NO_HOST, no_host),
        ToDo(Need.NO_HOST, bare),
        ToDo(Need.INCOMPLETE, bare, missing=(Missing.TIME, Missing.THEME, Missing.SUMMARY, Missing.PLACES)),
    ]


@pytest.mark.parametrize(
    ("starts", "needs"),
    [
        (datetime(2026, 1, 5, 14, 0), [Need.NO_JOIN_LINK, Need.NO_ADDRESS]),
        (datetime(2026, 1, 6, 23, 0), [Need.NO_JOIN_LINK, Need.NO_ADDRESS]),
        (datetime(2026, 1, 7, 9, 0), []),
        (datetime(2026, 1, 5, 12, 0), []),
    ],
)
def test_a_talk_of_today_or_tomorrow_needs_its_way_in(make, starts, needs):
    make.event(places_on_site=5, places_online=5, starts_local=starts, address="", join_link="")
    assert [item.need for item in to_do()] == needs


def test_needs_stated_for_a_coming_talk_are_told(make):
    talk = make.event()
    make.registration(talk, needs="Gebärdensprache", needs_consent_at=NOON)
    make.registration(talk, needs="ohne Einwilligung")
    make.registration(make.event(starts_local=datetime(2025, 12, 1, 9)), needs="vorbei", needs_consent_at=NOON)
    assert to_do() == [ToDo(Need.ACCESSIBILITY, talk, 1)]


def test_people_who_wait_though_places_are_free_are_told(make):
    talk, full = make.event(places_on_site=2), make.event(places_on_site=1)
    for _each in range(3):
        make.registration(talk, Status.WAITING)
    make.registration(full)
    make.registration(full, Status.WAITING)
    assert to_do() == [ToDo(Need.WAITING, talk, 2)]


def test_legal_pages_nobody_has_edited_come_last(make):
    draft = make.draft(**complete(make, host_id=None))
    with write():
        db.session.execute(sa.delete(Page).where(Page.slug == "impressum"))
    assert to_do() == [ToDo(Need.NO_HOST, draft), ToDo(Need.PAGES, number=2)]


def test_the_statement_on_accessibility_is_to_be_renewed_every_year(make):
    assert to_do(now=NOON + timedelta(days=335)) == []
    assert to_do(now=NOON + timedelta(days=336)) == [ToDo(Need.STATEMENT)]


def test_coming_talks_stand_soonest_first_with_their_places(make):
    later = make.event(starts_local=datetime(2026, 2, 1, 9))
    soon = make.event(places_on_site=1, places_online=3, starts_local=datetime(2026, 1, 6, 9))
    off = make.event(state=EventState.CANCELLED, starts_local=datetime(2026, 1, 8, 9))
    make.draft()
    make.event(starts_local=datetime(2025, 12, 1, 9))
    make.registration(soon)
    make.registration(soon, Status.WAITING)
    talks = overview.coming(NOON)
    assert [(talk.event, talk.standing) for talk in talks] == [
        (soon, Standing.OPEN),
        (off, Standing.CANCELLED),
        (later, Standing.OPEN),
    ]
    first = talks[0].places
    assert (first[Mode.ON_SITE].taken, first[Mode.ONLINE].free, talks[0].waiting) == (1, 3, 1)


def test_past_talks_go_back_page_by_page(make, monkeypatch):
    monkeypatch.setattr(overview, "PAST_PAGE", 2)
    same = datetime(2025, 12, 1, 9)
    made = [
        make.event(starts_local=at) for at in (same, same, same, datetime(2025, 11, 1, 9), datetime(2025, 12, 9, 9))
    ]
    make.event()
    seen, key, more = [], None, True
    while more:
        talks, key = overview.past(NOON, key)
        seen.append([talk.event for talk in talks])
        more = key is not None
    assert seen == [[made[4], made[2]], [made[1], made[0]], [made[3]]]


def test_the_first_steps_are_ticked_one_by_one(make):
    assert overview.steps() == Steps(series=False, themes=False, talks=False)
    make.theme()
    assert overview.steps() == Steps(series=True, themes=True, talks=False)
    make.draft()
    assert overview.steps().done


@pytest.mark.parametrize("number", [1, 3])
def test_the_number_of_questions_does_not_grow_with_the_talks(make, query_count, number):
    for _each in range(number):
        talk = make.event()
        one = make.registration(talk, needs="x", needs_consent_at=NOON)
        make.message(Kind.INVITATION, one, state=MessageState.FAILED)
        make.draft(**complete(make, host_id=None))
        make.event(starts_local=datetime(2025, 12, 1, 9))
    db.session.expunge_all()
    with query_count() as queries:
        talks, unpublished, over = overview.coming(NOON), overview.drafts(), overview.past(NOON)
        items = overview.to_do(talks, unpublished, NOON)
        assert len(items) == 3 * number
        assert len(over[0]) == number
        assert {item.event.theme.name for item in items if item.need is Need.NO_HOST}
    assert len(queries) == 13


def test_what_is_over_is_not_coming(make):
    talk = make.event(starts_local=datetime(2026, 1, 5, 9))
    assert overview.coming(talk.ends_at) == []
    assert [one.event for one in overview.coming(talk.ends_at - timedelta(seconds=1))] == [talk]


def test_a_course_that_runs_stays_among_those_that_come(make):
    course = make.event(starts_local=datetime(2026, 3, 16, 18, 0), every=1, times=4)
    make.event(starts_local=datetime(2026, 3, 16, 18, 0))
    weeks_in = course.parts[2].starts_at
    assert [talk.event for talk in overview.coming(weeks_in)] == [course]
    assert overview.coming(course.ends_at) == []
