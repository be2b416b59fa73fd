"""Content lines are folded as RFC 5545 §3.1 has it."""

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from whatsnext.calendars import texts

TYPED = st.text(st.sampled_from("\\^äß€😀ab ,;"), max_size=400) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"]), max_size=400
)


@given(TYPED)
def test_a_folded_line_is_the_same_when_put_together_again(typed):
    lines = texts.folded(f"SUMMARY:{typed}").split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])
    assert "".join([lines[0].decode(), *(line[1:].decode() for line in lines[1:])]) == f"SUMMARY:{typed}"
    assert not any(tears(line) for line in lines[:-1])


def tears(line):
    """Whether an odd number of the character that begins an escape stands at the end."""
    last = line[-1:]
    return last in (b"\\", b"^") and (len(line) - len(line.rstrip(last))) % 2 == 1


def test_an_escape_behind_a_sign_that_begins_another_one_stays_whole():
    first = texts.folded("X:" + "a" * 70 + "^" + "\\\\" + "b" * 20).split(b"\r\n")[0]
    assert first.endswith(b"^\\\\")


@given(TYPED)
def test_an_entry_reads_as_if_icalendar_had_written_it(typed):
    event = icalendar.Event()
    event.add("DESCRIPTION", typed)
    event.add("X-NAME", "ü" * 100)
    ours, theirs = (icalendar.Event.from_ical(raw) for raw in (texts.written(event), event.to_ical()))
    assert ours == theirs
    assert ours["DESCRIPTION"] == theirs["DESCRIPTION"]
