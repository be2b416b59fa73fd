from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from tests.calendars.samples import BERLIN, HOSTILE, STAMP, TALK, TEXTS, entry, event_lines, invitation, lines, value
from whatsnext.calendars import texts
from whatsnext.calendars.invitation import (
    PARTSTATS,
    Repeat,
    _attendee_line,
    _who,
    cancel,
    publish,
    publish_parts,
    request,
)

MAKERS = [request, cancel, publish]
BEGIN, END = TALK["start"], TALK["end"]
WEEK = timedelta(weeks=1)


def test_a_request_is_one_event_with_these_lines_and_no_others():
    assert event_lines(request(invitation(), STAMP)) == [
        (
            'ATTENDEE;CN="Ada Lovelace";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=TRUE'
            ":mailto:ada@agency.example"
        ),
        "CATEGORIES:Blockchain",
        "CLASS:PUBLIC",
        "CONFERENCE;VALUE=URI:https://meet.example/j/88?pwd=a,b;c",
        "CREATED:20270501T080000Z",
        r"DESCRIPTION:What works today\; what does not\, and why.\n\nAgenda\n18:00 Welcome",
        "DTEND;TZID=Europe/Berlin:20270715T193000",
        "DTSTAMP:20270503T093015Z",
        "DTSTART;TZID=Europe/Berlin:20270715T180000",
        "LAST-MODIFIED:20270502T080000Z",
        r"LOCATION:Invalidenstraße 44\, 10115 Berlin",
        'ORGANIZER;CN="What\'s NEXt":mailto:next+k7q2m5@next.example',
        "SEQUENCE:0",
        "STATUS:CONFIRMED",
        "SUMMARY:Blockchain in the land register",
        "TRANSP:OPAQUE",
        "UID:4f2c8a@next.example",
        "URL:https://next.example/events/blockchain",
    ]


def test_a_request_holds_its_method_one_time_zone_and_one_event():
    every = lines(request(invitation(), STAMP))
    assert every[:5] == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//What's NEXt//Invitations//EN",
        "METHOD:REQUEST",
        "BEGIN:VTIMEZONE",
    ]
    assert [line for line in every if line.startswith("BEGIN:")] == [
        "BEGIN:VCALENDAR",
        "BEGIN:VTIMEZONE",
        "BEGIN:DAYLIGHT",
        "BEGIN:STANDARD",
        "BEGIN:VEVENT",
    ]
    assert "TZID:Europe/Berlin" in every


def test_a_cancellation_says_so_twice_and_is_else_the_request():
    asked, cancelled = request(invitation(), STAMP), cancel(invitation(sequence=1), STAMP)
    assert [line for line in lines(cancelled) if line.startswith("METHOD")] == ["METHOD:CANCEL"]
    assert set(event_lines(cancelled)) ^ set(event_lines(asked)) == {
        "SEQUENCE:0",
        "SEQUENCE:1",
        "STATUS:CONFIRMED",
        "STATUS:CANCELLED",
    }


def test_a_cancellation_carries_uid_organizer_attendee_and_start_of_the_request():
    asked, cancelled = request(invitation(), STAMP), cancel(invitation(sequence=1), STAMP)
    for name in ("UID", "ORGANIZER", "ATTENDEE", "DTSTART"):
        assert value(cancelled, name) == value(asked, name)


def test_a_published_entry_names_no_attendee():
    published = publish(entry(join_link=None), STAMP)
    assert "METHOD:PUBLISH" in lines(published)
    names = [line.split(":")[0].split(";")[0] for line in event_lines(published)]
    assert names == [
        *("CATEGORIES", "CLASS", "CREATED", "DESCRIPTION", "DTEND", "DTSTAMP", "DTSTART", "LAST-MODIFIED"),
        *("LOCATION", "SEQUENCE", "STATUS", "SUMMARY", "TRANSP", "UID", "URL"),
    ]


def test_publishing_an_invitation_still_names_no_attendee():
    published = publish(invitation(), STAMP).decode()
    assert "ATTENDEE" not in published
    assert "ada@" not in published


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_rings(make):
    assert b"VALARM" not in make(invitation(), STAMP)


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_floats(make):
    data = make(invitation(), STAMP)
    times = [line for line in event_lines(data) if line.startswith(("DT", "CREATED", "LAST-"))]
    assert [line for line in times if "TZID=" not in line and not line.endswith("Z")] == []


def test_the_sequence_is_the_one_given():
    assert value(request(invitation(sequence=7), STAMP), "SEQUENCE") == ":7"


def test_the_stamp_is_written_in_utc_whatever_its_zone():
    berlin = STAMP.astimezone(BERLIN)
    assert request(invitation(), berlin) == request(invitation(), STAMP)


def test_an_update_keeps_the_answer_it_is_given():
    accepted = request(invitation(sequence=1, partstat="ACCEPTED"), STAMP)
    assert ";PARTSTAT=ACCEPTED;" in value(accepted, "ATTENDEE")


def test_only_a_protected_talk_is_private():
    assert value(request(invitation(protected=True), STAMP), "CLASS") == ":PRIVATE"
    assert value(request(invitation(protected=False), STAMP), "CLASS") == ":PUBLIC"


def test_what_is_empty_is_left_out():
    bare = invitation(description="", location=" \n", url="", join_link=None, categories=(), attendee_name='"^"')
    names = {line.split(":")[0] for line in event_lines(request(bare, STAMP))}
    assert names & {"DESCRIPTION", "LOCATION", "URL", "CONFERENCE", "CATEGORIES"} == set()
    assert "CN=" not in value(request(bare, STAMP), "ATTENDEE")


def test_several_categories_are_one_list():
    data = request(invitation(categories=("Cloud, Computing", "Data; Analytics")), STAMP)
    assert value(data, "CATEGORIES") == r":Cloud\, Computing,Data\; Analytics"


def test_a_title_and_a_place_of_several_lines_become_one():
    data = request(invitation(summary="Data\nAnalytics", location="Room 3\r\nInvalidenstraße 44\r\n"), STAMP)
    assert value(data, "SUMMARY") == ":Data Analytics"
    assert value(data, "LOCATION") == r":Room 3\, Invalidenstraße 44"


def test_names_lose_quotation_marks_carets_and_line_ends():
    data = request(invitation(attendee_name='Dr. "Ada"\r\n^n Lovelace; Agency: 1, é'), STAMP)
    assert value(data, "ATTENDEE").startswith(';CN="Dr. Ada n Lovelace; Agency: 1, é";CUTYPE=INDIVIDUAL;')


def test_a_link_is_percent_encoded_not_cut():
    data = request(invitation(join_link="https://meet.example/ä ö\r\nX:1", url='https://next.example/"%20"'), STAMP)
    assert value(data, "CONFERENCE") == ";VALUE=URI:https://meet.example/%C3%A4%20%C3%B6%0D%0AX:1"
    assert value(data, "URL") == ":https://next.example/%22%20%22"


def test_a_backslash_before_n_stays_a_backslash():
    data = request(invitation(summary=r"C:\New and C:\new", categories=(r"a\N",)), STAMP)
    assert value(data, "SUMMARY") == r":C:\\New and C:\\new"
    assert value(data, "CATEGORIES") == r":a\\N"


@pytest.mark.parametrize("make", MAKERS)
@settings(deadline=None)
@given(text=TEXTS)
def test_lines_end_with_crlf_and_fold_at_75_octets_between_characters(make, text):
    data = make(invitation(summary=text, description=text, location=text, attendee_name=text), STAMP)
    assert data.endswith(b"END:VCALENDAR\r\n")
    physical = data.removesuffix(b"\r\n").split(b"\r\n")
    assert [line for line in physical if len(line) > 75 or b"\n" in line or b"\r" in line or not line] == []
    assert b"\r\n".join(line.decode().encode() for line in physical) + b"\r\n" == data


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "field", ["summary", "description", "location", "url", "join_link", "organiser_name", "attendee_name"]
)
def test_no_text_begins_a_line(make, text, field):
    assert _names(make(invitation(**{field: text}), STAMP)) == _names(make(invitation(), STAMP))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_category_begins_a_line(make, text):
    assert _names(make(invitation(categories=(text, text)), STAMP)) == _names(make(invitation(), STAMP))


def _names(data: bytes) -> list[str]:
    """The names of all content lines, however generously a reader splits them."""
    return [line.split(":")[0].split(";")[0] for line in data.decode().replace("\r\n ", "").splitlines()]


def test_hostile_texts_begin_no_line_without_asserts_either():
    program = (
        "import sys\n"
        "from tests.calendars.samples import HOSTILE, STAMP, invitation\n"
        "from tests.calendars.test_invitation import MAKERS, _names\n"
        "for make in MAKERS:\n"
        "    for text in HOSTILE:\n"
        "        fields = dict.fromkeys(['summary', 'description', 'location', 'url', 'join_link'], text)\n"
        "        names = dict.fromkeys(['organiser_name', 'attendee_name'], text)\n"
        "        written = make(invitation(categories=(text,), **fields, **names), STAMP)\n"
        "        if _names(written) != _names(make(invitation(), STAMP)):\n"
        "            sys.exit(repr((make, text)))\n"
        "print(__debug__, 'done')\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-O", "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False done\n", "")


@pytest.mark.parametrize("make", [request, cancel])
@pytest.mark.parametrize("field", ["organiser_address", "attendee_address"])
@pytest.mark.parametrize(
    "address",
    [
        *("", "ada", "@x.example", "ada@", "a b@x.example", "ada@x.example\r\nX-EVIL:1", "ada@x.example\n"),
        *("Ada <ada@x.example>", '"ada"@x.example', "ädä@x.example", "ada@ä.example", "a@b@c.example", "a:b@x.example"),
    ],
)
def test_what_is_no_plain_address_is_refused(make, field, address):
    with pytest.raises(ValueError, match="no mail address"):
        make(invitation(**{field: address}), STAMP)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("uid", ["", "a b", "a\r\nX-EVIL:1", "a\n", "ü"])
def test_what_is_no_identifier_is_refused(make, uid):
    with pytest.raises(ValueError, match="no identifier"):
        make(invitation(uid=uid), STAMP)


def test_an_answer_that_calendars_do_not_know_is_refused():
    for known in PARTSTATS:
        assert f";PARTSTAT={known};" in value(request(invitation(partstat=known), STAMP), "ATTENDEE")
    with pytest.raises(ValueError, match="no PARTSTAT"):
        request(invitation(partstat="MAYBE"), STAMP)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "changes",
    [
        {"start": datetime(2027, 7, 15, 18, 0)},
        {"end": datetime(2027, 7, 15, 19, 0)},
        {"start": datetime(2027, 7, 15, 16, 0, tzinfo=UTC)},
        {"start": datetime(2027, 7, 15, 16, 0, tzinfo=timezone(timedelta(hours=2)))},
        {"end": datetime(2027, 7, 15, 18, 0, tzinfo=BERLIN)},
        {"end": datetime(2027, 7, 15, 17, 0, tzinfo=BERLIN)},
        {"created": datetime(2027, 5, 1)},
        {"modified": datetime(2027, 5, 1)},
    ],
)
def test_times_without_a_zone_and_ends_before_the_start_are_refused(make, changes):
    with pytest.raises(ValueError):
        make(replace(invitation(), **changes), STAMP)


def test_a_stamp_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="DTSTAMP"):
        request(invitation(), STAMP.replace(tzinfo=None))


def test_an_end_given_in_another_zone_is_written_in_that_of_the_start():
    data = request(invitation(end=datetime(2027, 7, 15, 13, 30, tzinfo=ZoneInfo("America/New_York"))), STAMP)
    assert value(data, "DTEND") == ";TZID=Europe/Berlin:20270715T193000"


def test_the_first_of_a_repeated_hour_is_written_with_its_zone_the_second_in_utc():
    start = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN)
    first = request(invitation(start=start, end=start + timedelta(hours=3)), STAMP)
    assert (value(first, "DTSTART"), value(first, "DTEND")) == (
        ";TZID=Europe/Berlin:20271031T023000",
        ";TZID=Europe/Berlin:20271031T053000",
    )
    second = request(invitation(start=start.replace(fold=1), end=start + timedelta(hours=3)), STAMP)
    assert (value(second, "DTSTART"), value(second, "DTEND")) == (":20271031T013000Z", ":20271031T043000Z")
    into_second = request(invitation(start=start, end=start.replace(fold=1)), STAMP)
    assert (value(into_second, "DTSTART"), value(into_second, "DTEND")) == (":20271031T003000Z", ":20271031T013000Z")


def test_a_start_that_clocks_skip_is_written_as_they_show_it():
    data = request(invitation(start=datetime(2027, 3, 28, 2, 30, tzinfo=BERLIN)), STAMP)
    assert value(data, "DTSTART") == ";TZID=Europe/Berlin:20270328T033000"


def test_utc_is_a_zone_too():
    start = datetime(2027, 7, 15, 16, 0, tzinfo=ZoneInfo("UTC"))
    data = request(invitation(start=start, end=start + timedelta(hours=1)), STAMP)
    assert (value(data, "DTSTART"), value(data, "DTEND")) == (":20270715T160000Z", ":20270715T170000Z")


# --- several parts ---------------------------------------------------------------------------------------


def weekly(**changes):
    """Thursdays at 18:00, from 14 October to 4 November 2027: clocks are put back in between."""
    start = datetime(2027, 10, 14, 18, 0, tzinfo=BERLIN)
    repeat = Repeat(weeks=1, count=4, left_out=(start + timedelta(weeks=1),))
    given = {"start": start, "end": start + timedelta(minutes=90), "repeat": repeat, **changes}
    return invitation(**given)


def test_a_course_says_its_rule_in_wall_time_and_what_is_left_out():
    said = event_lines(request(weekly(), STAMP))
    assert [line for line in said if line.startswith(("DT", "RRULE", "EXDATE", "RECURRENCE", "DURATION"))] == [
        "DTEND;TZID=Europe/Berlin:20271014T193000",
        "DTSTAMP:20270503T093015Z",
        "DTSTART;TZID=Europe/Berlin:20271014T180000",
        "EXDATE;TZID=Europe/Berlin:20271021T180000",
        "RRULE:FREQ=WEEKLY;COUNT=4;INTERVAL=1",
    ]


@pytest.mark.parametrize("make", [request, cancel])
def test_one_part_of_a_course_is_named_by_its_time_under_the_rule(make):
    start = datetime(2027, 11, 5, 9, 0, tzinfo=BERLIN)
    original = datetime(2027, 11, 4, 18, 0, tzinfo=BERLIN)
    data = make(invitation(start=start, end=start + timedelta(hours=1), recurrence=original), STAMP)
    assert value(data, "RECURRENCE-ID") == ";TZID=Europe/Berlin:20271104T180000"
    assert value(data, "DTSTART") == ";TZID=Europe/Berlin:20271105T090000"


def test_a_course_whose_parts_end_in_a_repeated_hour_says_how_long_it_lasts():
    start = datetime(2027, 10, 31, 1, 30, tzinfo=BERLIN)
    end = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN, fold=1)
    said = event_lines(request(weekly(start=start, end=end, repeat=Repeat(weeks=2, count=2)), STAMP))
    assert "DTSTART;TZID=Europe/Berlin:20271031T013000" in said
    assert "DURATION:PT2H" in said


def test_a_course_cannot_begin_in_the_second_of_a_repeated_hour():
    start = datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN, fold=1)
    with pytest.raises(ValueError, match="repeated hour"):
        request(weekly(start=start, end=start + timedelta(hours=1)), STAMP)


def test_a_file_holds_all_parts_and_one_time_zone():
    entries = [
        entry(uid=f"{number}@next.example", start=BEGIN + number * WEEK, end=END + number * WEEK) for number in (0, 1)
    ]
    every = lines(publish_parts(entries, STAMP))
    assert [line for line in every if line.startswith(("UID", "BEGIN:V", "METHOD"))] == [
        "BEGIN:VCALENDAR",
        "METHOD:PUBLISH",
        "BEGIN:VTIMEZONE",
        "BEGIN:VEVENT",
        "UID:0@next.example",
        "BEGIN:VEVENT",
        "UID:1@next.example",
    ]


@pytest.mark.parametrize(
    "name", ["Ada", "Lovelace, Ada; Dr.", 'Ada "Countess"', "Jörg Müßig^n", "A" * 120, "a:b", "  ", ""]
)
@pytest.mark.parametrize("answer", [True, False])
def test_the_attendee_is_written_as_the_library_writes_the_whole(name: str, answer: bool) -> None:
    given = invitation(attendee_name=name, answer=answer)
    whole = _who(name, given.attendee_address)
    for key, said in (
        ("CUTYPE", "INDIVIDUAL"),
        ("ROLE", "REQ-PARTICIPANT"),
        ("PARTSTAT", given.partstat),
        ("RSVP", "TRUE" if answer else "FALSE"),
    ):
        whole.params[key] = said
    assert _attendee_line(given) == texts.unfolded("ATTENDEE", whole)
