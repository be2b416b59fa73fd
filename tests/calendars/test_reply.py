"""What a calendar answers, read from its bytes alone."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsnext.calendars import reply
from whatsnext.calendars.reply import Answer, Unreadable

LINES = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "METHOD:REPLY",
    "BEGIN:VEVENT",
    "UID:talk@next",
    "SEQUENCE:2",
    "DTSTAMP:20260105T120000Z",
    "DTSTART;TZID=W. Europe Standard Time:20260119T140000",
    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ada@behoerde.example",
    "END:VEVENT",
    "END:VCALENDAR",
]
GOOD = Answer(
    method="REPLY",
    uid="talk@next",
    attendee="ada@behoerde.example",
    partstat="ACCEPTED",
    sequence=2,
    stamp=datetime(2026, 1, 5, 12, tzinfo=UTC),
)


def written(lines: list[str], end: str = "\r\n") -> bytes:
    return (end.join(lines) + end).encode()


def without(name: str, *instead: str) -> bytes:
    """The good answer with another line, or several, in the place of this one."""
    return written([new for line in LINES for new in (instead if line.startswith(name) else [line])])


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_an_answer_is_read_with_either_end_of_line(end: str) -> None:
    assert reply.read(written(LINES, end)) == GOOD


def test_lines_may_be_folded_anywhere_and_begin_with_a_mark() -> None:
    folded = [line[:5] + "\r\n " + line[5:] if len(line) > 9 else line for line in LINES]
    assert reply.read(b"\xef\xbb\xbf" + written(folded)) == GOOD


def test_what_is_not_said_has_its_default() -> None:
    raw = written([line for line in LINES if not line.startswith(("SEQUENCE", "DTSTAMP"))])
    assert reply.read(raw) == replace(GOOD, sequence=0, stamp=None)


def test_comments_are_unescaped_and_joined() -> None:
    raw = without("SEQUENCE", "SEQUENCE:2", r"COMMENT;LANGUAGE=de:Komme später\, bis gleich\nAda", "COMMENT:Zwei")
    assert reply.read(raw).comment == "Komme später, bis gleich\nAda\nZwei"


def test_who_answers_for_somebody_else_is_the_delegate() -> None:
    raw = without(
        "ATTENDEE",
        'ATTENDEE;PARTSTAT=ACCEPTED;DELEGATED-FROM="mailto:ada@behoerde.example":mailto:grace@behoerde.example',
        'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:grace@behoerde.example":mailto:ada@behoerde.example',
    )
    assert reply.read(raw) == replace(GOOD, attendee="grace@behoerde.example", delegator="ada@behoerde.example")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "W. Europe Standard Time"])
def test_a_proposed_time_is_read_in_the_name_of_any_server(zone: str) -> None:
    lines = [line.replace("REPLY", "COUNTER").replace("W. Europe Standard Time", zone) for line in LINES]
    assert reply.read(written(lines)).proposed_start == datetime(2026, 1, 19, 13, tzinfo=UTC)
    unknown = [line.replace(zone, "Nirgendwo") for line in lines]
    assert reply.read(written(unknown)).proposed_start is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no calendar"),
        (b"Hallo", "no calendar"),
        (written(LINES[:-1]), "nesting"),
        (written([*LINES[:3], *LINES[-1:]]), "no event"),
        (written([*LINES[:10], *LINES[3:]]), "twice"),
        (without("METHOD"), "method"),
        (without("METHOD", "METHOD:CANCEL"), "method"),
        (without("METHOD", "METHOD:REPLY", "METHOD:REPLY"), "twice"),
        (without("UID", "UID:a", "UID:b"), "twice"),
        (without("ATTENDEE"), "attendee"),
        (without("ATTENDEE", "ATTENDEE;PARTSTAT=ACCEPTED:http://ada"), "attendee"),
        (without("ATTENDEE", "ATTENDEE:mailto:ada@behoerde.example"), "partstat"),
        (without("ATTENDEE", 'ATTENDEE;CN="offen:mailto:ada@behoerde.example'), "line"),
        (without("SEQUENCE", "SEQUENCE:99999999999"), "sequence"),
        (without("DTSTAMP", "DTSTAMP:99991231T000000Z"), "date"),
        (without("DTSTAMP", "DTSTAMP:20260230T000000Z"), "date"),
        (without("UID", *["X-A:b"] * 6_000), "size"),
        (b"BEGIN:VCALENDAR\r\n" + b"x" * reply.LARGEST, "size"),
    ],
)
def test_what_says_nothing_certain_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        reply.read(raw)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_no_bytes_do_anything_but_be_refused(noise: bytes, at: int) -> None:
    whole = written(LINES)
    with contextlib.suppress(Unreadable):
        reply.read(whole[:at] + noise + whole[at:])


@pytest.mark.parametrize(
    ("line", "written_as", "at"),
    [
        ("RECURRENCE-ID:20260330T160000Z", "20260330T160000Z", datetime(2026, 3, 30, 16, tzinfo=UTC)),
        (
            "RECURRENCE-ID;TZID=W. Europe Standard Time:20260330T180000",
            "20260330T180000",
            datetime(2026, 3, 30, 16, tzinfo=UTC),
        ),
        ("RECURRENCE-ID;TZID=Customized Time Zone:20260330T180000", "20260330T180000", None),
        ("RECURRENCE-ID;VALUE=DATE:20260330", "20260330", None),
    ],
)
def test_one_part_is_named_by_its_instant_where_the_zone_is_known(
    line: str, written_as: str, at: datetime | None
) -> None:
    assert reply.read(without("UID", "UID:talk@next", line)) == replace(GOOD, recurrence=written_as, recurrence_at=at)
