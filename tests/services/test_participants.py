import contextlib
import csv
import io
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound
from whatsnext.models import Kind, MessageState, PartStat, Status
from whatsnext.services import participants, participants_file
from whatsnext.services.participants import Invited, Search, Show

EVERYONE = Search()


def names(event, search=EVERYONE):
    return [row.registration.name for row in participants.page(event.id, search).rows]


def test_people_stand_in_order_of_arrival_with_their_place_in_line(make):
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, person=make.person(name="Ada"))
    late = make.registration(talk, Status.WAITING, arrival=9, person=make.person(name="Linus"))
    make.registration(talk, Status.WAITING, arrival=5, person=make.person(name="Grace"))
    make.registration(talk, Status.WAITING, arrival=7, person=make.person(name="Radia"), mode=online(late))
    rows = participants.page(talk.id, Search()).rows
    assert [(row.registration.name, row.place) for row in rows] == [
        ("Ada", 0),
        ("Grace", 1),
        ("Radia", 1),
        ("Linus", 2),
    ]


def online(registration):
    return next(mode for mode in type(registration.mode) if mode is not registration.mode)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ada", ["Ada Überlang"]),
        ("ÜBER", ["Ada Überlang"]),
        ("über", ["Ada Überlang"]),
        ("stadt köln", ["Grace Hopper"]),
        ("@bund.example", ["Grace Hopper"]),
        ("land.example", ["Ada Überlang"]),
        ("%", []),
        ("_", []),
        ("MARKER", []),
    ],
)
def test_a_search_finds_name_agency_and_mail_domain_of_this_talk_only(make, words, found):
    talk, other = make.event(), make.event()
    make.registration(talk, person=make.person(name="Ada Überlang", email="ada@land.example", agency="Landesamt"))
    make.registration(talk, person=make.person(name="Grace Hopper", email="g.h@bund.example", agency="Stadt Köln"))
    make.registration(other, person=make.person(name="MARKER ada über", email="m@bund.example", agency="Stadt Köln"))
    assert names(talk, Search(words=words)) == found
    assert participants.count(talk.id, Search(words=words)) == len(found)


def test_each_chip_counts_what_it_shows(make):
    talk, other = make.event(), make.event()
    for status in Status:
        make.registration(talk, status)
        make.registration(other, status)
    make.registration(talk, needs="Gebärdensprache", needs_consent_at=NOON)
    make.registration(talk, needs="ohne Einwilligung")
    make.registration(talk, Status.CANCELLED, needs="nicht mehr da", needs_consent_at=NOON)
    lost = make.registration(talk)
    make.message(Kind.INVITATION, lost, state=MessageState.FAILED)
    numbers = participants.counts(talk.id)
    assert numbers == {show: len(names(talk, Search(show))) for show in Show}
    assert numbers == {
        Show.ALL: 10,
        Show.CONFIRMED: 4,
        Show.WAITING: 1,
        Show.OFFERED: 1,
        Show.HELD: 1,
        Show.CANCELLED: 2,
        Show.EXPIRED: 1,
        Show.UNDELIVERED: 1,
        Show.NEEDS: 1,
    }


def test_a_mail_that_failed_counts_until_a_later_one_arrives(make):
    one = make.registration(make.event())
    make.message(Kind.INVITATION, one, state=MessageState.FAILED)
    assert participants.counts(one.event_id)[Show.UNDELIVERED] == 1
    make.message(Kind.UPDATE, one, state=MessageState.SUPERSEDED)
    assert participants.counts(one.event_id)[Show.UNDELIVERED] == 1
    make.message(Kind.INVITATION, one, state=MessageState.SENT)
    assert participants.counts(one.event_id)[Show.UNDELIVERED] == 0


EVENING = datetime(2026, 3, 16, 18, 0)


def parts_mailed(make, *mails, **given):
    """A registration for three evenings, and mails (number of the part or None, state, SEQUENCE) about them."""
    further = (EVENING + timedelta(weeks=1), EVENING + timedelta(weeks=2))
    talk = make.event(**{"starts_local": EVENING, "further": further, **given})
    one = make.registration(talk, sequence=max(sequence for _number, _state, sequence in mails))
    for number, state, sequence in mails:
        part_id = talk.parts[number - 1].id if number else None
        make.message(Kind.INVITATION, one, part_id=part_id, state=state, sequence=sequence)
    return one


FAILED, SENT, DEFERRED = MessageState.FAILED, MessageState.SENT, MessageState.DEFERRED


@pytest.mark.parametrize(
    ("mails", "invited"),
    [
        ([(1, FAILED, 0), (2, SENT, 0), (3, SENT, 0)], Invited.UNDELIVERED),
        ([(1, DEFERRED, 0), (2, FAILED, 0), (3, SENT, 0)], Invited.UNDELIVERED),
        ([(1, DEFERRED, 0), (2, SENT, 0), (3, SENT, 0)], Invited.LATER),
        ([(1, FAILED, 0), (2, SENT, 0), (1, SENT, 0), (3, SENT, 0)], Invited.SENT),
        ([(None, FAILED, 0), (1, SENT, 1), (2, SENT, 1), (3, SENT, 1)], Invited.SENT),
        ([(1, SENT, 0), (2, SENT, 0), (3, SENT, 1)], Invited.SENT),
    ],
)
def test_of_irregular_parts_the_one_that_has_come_least_far_counts(make, mails, invited):
    one = parts_mailed(make, *mails)
    assert participants.invitation(one)[0] is invited
    assert [row.invited for row in participants.page(one.event_id, Search()).rows] == [invited]
    assert participants.counts(one.event_id)[Show.UNDELIVERED] == int(invited is Invited.UNDELIVERED)


def test_a_course_that_did_not_arrive_is_not_hidden_by_one_part_that_did(make):
    course = {"further": (), "every": 1, "times": 3}
    one = parts_mailed(make, (None, FAILED, 0), (2, SENT, 1), **course)
    assert participants.invitation(one)[0] is Invited.UNDELIVERED
    make.message(Kind.INVITATION, one, state=SENT, sequence=1)
    assert participants.invitation(one)[0] is Invited.SENT
    assert participants.counts(one.event_id)[Show.UNDELIVERED] == 0


@pytest.mark.parametrize(
    ("mail", "registration", "invited"),
    [
        (None, {}, Invited.NONE),
        ({"state": MessageState.OWED}, {}, Invited.ON_ITS_WAY),
        ({"state": MessageState.SENDING}, {}, Invited.ON_ITS_WAY),
        ({"state": MessageState.DEFERRED}, {}, Invited.LATER),
        ({"state": MessageState.HELD}, {}, Invited.STOPPED),
        ({"state": MessageState.FAILED}, {}, Invited.UNDELIVERED),
        ({"state": MessageState.LAPSED}, {}, Invited.UNDELIVERED),
        ({"state": MessageState.SENT}, {}, Invited.SENT),
        ({"state": MessageState.SENT, "sequence": 1}, {"sequence": 2}, Invited.OUTDATED),
        ({"state": MessageState.SENT}, {"partstat": PartStat.ACCEPTED}, Invited.ACCEPTED),
        ({"state": MessageState.SENT}, {"partstat": PartStat.TENTATIVE}, Invited.TENTATIVE),
        ({"state": MessageState.SENT}, {"partstat": PartStat.DECLINED}, Invited.DECLINED),
        ({"state": MessageState.SUPERSEDED}, {}, Invited.NONE),
    ],
)
def test_the_invitation_is_told_from_the_newest_calendar_mail(make, mail, registration, invited):
    one = make.registration(make.event(), **registration)
    if mail is not None:
        make.message(Kind.INVITATION, one, **mail)
    make.message(Kind.ORGANISER_MESSAGE, one, state=MessageState.FAILED)
    assert [row.invited for row in participants.page(one.event_id, Search()).rows] == [invited]
    assert [each for each in Invited if participants.count(one.event_id, Search(invited=each))] == [invited]
    counted = participants.counts_invited(one.event_id, EVERYONE)
    assert counted == {each: int(each is invited) for each in Invited}


def test_the_filters_hold_together_and_each_count_is_what_a_click_finds(make):
    talk, other = make.event(), make.event()
    for name, status, answer in (
        ("Ada", Status.CONFIRMED, PartStat.ACCEPTED),
        ("Alan", Status.CONFIRMED, PartStat.ACCEPTED),
        ("Grace", Status.CONFIRMED, PartStat.TENTATIVE),
        ("Linus", Status.CANCELLED, PartStat.DECLINED),
    ):
        one = make.registration(talk, status, person=make.person(name=name), sequence=0, partstat=answer)
        make.message(Kind.INVITATION, one, state=MessageState.SENT)
    foreign = make.registration(other, person=make.person(name="Ada MARKER"), partstat=PartStat.ACCEPTED)
    make.message(Kind.INVITATION, foreign, state=MessageState.SENT)
    accepted = Search(Show.CONFIRMED, "a", Invited.ACCEPTED)
    assert names(talk, accepted) == ["Ada", "Alan"]
    assert names(talk, Search(words="ada", invited=Invited.ACCEPTED)) == ["Ada"]
    assert names(talk, Search(Show.CANCELLED, invited=Invited.ACCEPTED)) == []
    for show in Show:
        search = replace(accepted, show=show)
        assert (
            participants.counts(talk.id, accepted)[show]
            == len(names(talk, search))
            == participants.count(talk.id, search)
        )
    for state in Invited:
        search = replace(accepted, invited=state)
        assert participants.counts_invited(talk.id, accepted)[state] == len(names(talk, search))


def test_a_mail_about_another_talk_says_nothing_about_this_one(make):
    person = make.person()
    here, there = make.registration(make.event(), person=person), make.registration(make.event(), person=person)
    make.message(Kind.INVITATION, there, state=MessageState.FAILED)
    assert participants.one(here.event_id, here.ref).invited is Invited.NONE


def test_the_file_holds_those_the_invitation_filter_finds(make):
    talk = make.event()
    for answer in (PartStat.ACCEPTED, PartStat.TENTATIVE):
        one = make.registration(talk, partstat=answer, person=make.person(name=answer.value))
        make.message(Kind.INVITATION, one, state=MessageState.SENT)
    with write():
        content = participants_file.export(talk.id, Search(invited=Invited.TENTATIVE), make.organiser(), NOON)
    assert [line.split(";")[0] for line in content.decode().splitlines()[1:]] == ["TENTATIVE"]


@pytest.mark.parametrize(
    ("answer", "invited"), [(PartStat.ACCEPTED, Invited.WITHDRAWN), (PartStat.DECLINED, Invited.DECLINED)]
)
def test_after_a_cancellation_the_calendar_shows_that(make, answer, invited):
    one = make.registration(make.event(), Status.CANCELLED, sequence=1, partstat=answer)
    make.message(Kind.INVITATION, one, state=MessageState.SENT, sequence=0)
    make.message(Kind.CANCELLATION, one, state=MessageState.SENT)
    assert participants.one(one.event_id, one.ref).invited is invited


def test_a_registration_is_found_through_its_own_talk_only(make):
    one, foreign = make.registration(make.event()), make.event()
    assert participants.one(one.event_id, one.ref).registration is one
    for event_id, ref in ((foreign.id, one.ref), (one.event_id, "none"), (99, one.ref)):
        with pytest.raises(NotFound):
            participants.one(event_id, ref)
    with pytest.raises(NotFound):
        participants.event(99)


def test_the_mail_history_holds_this_registration_only(make):
    person = make.person()
    here, there = make.registration(make.event(), person=person), make.registration(make.event(), person=person)
    make.message(Kind.SIGN_IN, person)
    make.message(Kind.INVITATION, there)
    own = [make.message(kind, here) for kind in (Kind.INVITATION, Kind.UPDATE)]
    assert participants.mails(here) == own[::-1]


def test_pages_follow_each_other_without_gap_or_repeat(make, monkeypatch):
    monkeypatch.setattr(participants, "PAGE", 2)
    talk = make.event()
    all_refs = [make.registration(talk).ref for _each in range(5)]
    seen, after = [], 0
    while after is not None:
        page = participants.page(talk.id, Search(), after)
        seen.append([row.registration.ref for row in page.rows])
        after = page.after
    assert seen == [all_refs[:2], all_refs[2:4], all_refs[4:]]


def test_the_export_holds_this_talk_without_needs_and_without_formulas(make, owed):
    talk, by = make.event(), make.organiser()
    evil = make.person(name="=HYPERLINK(1)", email="+ada@bund.example", agency='@SUM(A1); "Amt"')
    make.registration(talk, person=evil, needs="MARKER", needs_consent_at=NOON, created_at=NOON)
    make.registration(make.event(), person=make.person(name="MARKER"))
    with write():
        content = participants_file.export(talk.id, Search(), by, NOON)
    assert content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    row = ["'=HYPERLINK(1)", "'+ada@bund.example", '\'@SUM(A1); "Amt"']
    assert [line[:3] for line in table[1:]] == [row]
    assert table[1][-1] == "2026-01-05 13:00"
    assert b"MARKER" not in content
    assert owed() == [(Kind.SECURITY_NOTICE, by)]


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_no_cell_is_taken_for_a_formula(start):
    assert participants_file.neutral(f"{start}1") == f"'{start}1"


def test_a_harmless_cell_stays_as_it_is():
    assert participants_file.neutral("Ada = Grace") == "Ada = Grace"


@pytest.mark.parametrize("number", [1, 3])
def test_a_page_of_people_asks_one_question(make, query_count, number):
    talk = make.event()
    for status in (Status.CONFIRMED, Status.WAITING, Status.CANCELLED)[:number]:
        make.message(Kind.INVITATION, make.registration(talk, status))
    event_id = talk.id
    db.session.expunge_all()
    with query_count() as queries:
        rows = participants.page(event_id, Search()).rows
        assert [bool(row.registration.person.email and row.invited) for row in rows] == [True] * number
    assert len(queries) == 1


@pytest.mark.parametrize("search", [EVERYONE, Search(invited=Invited.ACCEPTED), Search(words="ada")])
def test_no_page_of_people_reads_all_mails(make, database, search):
    """With 10,000 participants the mails of one registration are looked up by its index, row by row."""
    talk = make.event()
    make.message(Kind.INVITATION, make.registration(talk))
    if database.kind != "sqlite":
        return  # PostgreSQL plans by the number of rows, and scans where there is one
    asked = []
    with listening(asked):
        participants.page(talk.id, search)
        participants.counts_invited(talk.id, search)
    selects = [each for each in asked if each[0].startswith("SELECT") and "FROM message" in each[0]]
    assert len(selects) == 2
    for statement, given in selects:
        plan = [row[3] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)]
        assert [line for line in plan if line.startswith("SCAN message")] == []
        assert any("message_1 USING INDEX ix_message_registration" in line for line in plan)


@contextlib.contextmanager
def listening(asked):
    """Collects the statements and what they were given."""

    def hear(_connection, _cursor, statement, given, _context, _many):
        asked.append((statement, given))

    sa.event.listen(db.engine, "before_cursor_execute", hear)
    yield
    sa.event.remove(db.engine, "before_cursor_execute", hear)
