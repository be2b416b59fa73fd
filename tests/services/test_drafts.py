"""What is odd about a talk as it was typed."""

from dataclasses import replace
from datetime import date, datetime, time

import pytest

from whatsnext.services import drafts
from whatsnext.services.drafts import Draft


@pytest.mark.parametrize(
    ("agenda", "starts", "minutes", "outside"),
    [
        ("- 14:00 Begrüßung\n- 15:30 Ende", "14:00", 90, []),
        ("- 14:00 Begrüßung\n- 15:20 Wer macht weiter?", "16:00", 90, ["14:00", "15:20"]),
        ("- 9:05 Ankommen, danach 09:05", "10:00", 60, ["09:05"]),
        ("um 23:30, bis 00:15, dann 02:00", "23:00", 120, ["02:00"]),
        ("am 14.10. oder 14.30 Uhr, 2:1, 12:345, 25:00", "10:00", 60, []),
    ],
)
def test_times_of_the_agenda_that_the_talk_does_not_hold_are_found(agenda, starts, minutes, outside):
    at = datetime.combine(date(2027, 1, 14), time.fromisoformat(starts))
    draft = Draft(title="Register", agenda=agenda, starts_local=at, duration_minutes=minutes)
    assert drafts.outside_the_talk(draft) == outside
    assert drafts.outside_the_talk(replace(draft, starts_local=None)) == []
