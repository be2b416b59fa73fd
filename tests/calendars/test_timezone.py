from __future__ import annotations

import io
import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tests.calendars.samples import BERLIN
from whatsnext.calendars.timezone import (
    RepeatedTime,
    Rule,
    SkippedTime,
    _rules,
    _tzif,
    ambiguous,
    gap,
    is_zone,
    resolve,
    rules,
    zones,
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def written(key: str, year: int = 2026, horizon_years: int = 20) -> list[str]:
    component = rules(ZoneInfo(key), datetime(year, 5, 1, tzinfo=UTC), horizon_years)
    return component.to_ical().decode().replace("\r\n ", "").splitlines()


def test_zones_are_sorted_iana_names_and_hold_the_usual_ones():
    assert list(zones()) == sorted(set(zones()))
    assert {"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"} <= set(zones())
    assert set(zones()) == available_timezones() - {"Factory", "localtime"}


@pytest.mark.parametrize("name", zones())
def test_every_zone_can_be_loaded(name):
    assert is_zone(name)
    assert ZoneInfo(name).key == name


@pytest.mark.parametrize(
    "name",
    ["", "Europe/Atlantis", "europe/berlin", "../../etc/passwd", "/etc/passwd", "Europe", "Factory", "Europe/Berlin\n"],
)
def test_what_is_no_zone_is_none(name):
    assert not is_zone(name)


@pytest.mark.parametrize(
    ("zone", "time", "is_gap", "is_ambiguous"),
    [
        ("Europe/Berlin", "2027-03-28T01:59:59", False, False),
        ("Europe/Berlin", "2027-03-28T02:00:00", True, False),
        ("Europe/Berlin", "2027-03-28T02:59:59", True, False),
        ("Europe/Berlin", "2027-03-28T03:00:00", False, False),
        ("Europe/Berlin", "2027-10-31T01:59:59", False, False),
        ("Europe/Berlin", "2027-10-31T02:00:00", False, True),
        ("Europe/Berlin", "2027-10-31T02:59:59", False, True),
        ("Europe/Berlin", "2027-10-31T03:00:00", False, False),
        ("Europe/Dublin", "2027-03-28T01:30:00", True, False),
        ("Europe/Dublin", "2027-10-31T01:30:00", False, True),
        ("Australia/Lord_Howe", "2027-04-04T01:45:00", False, True),
        ("Australia/Lord_Howe", "2027-10-03T02:15:00", True, False),
        ("Pacific/Apia", "2011-12-30T12:00:00", True, False),
        ("Asia/Tokyo", "2027-03-28T02:30:00", False, False),
        ("UTC", "2027-10-31T02:30:00", False, False),
    ],
)
def test_clocks_skip_and_repeat_what_they_do(zone, time, is_gap, is_ambiguous):
    for fold in (0, 1):
        moment = local(time).replace(fold=fold)
        assert (gap(moment, ZoneInfo(zone)), ambiguous(moment, ZoneInfo(zone))) == (is_gap, is_ambiguous)


def test_an_ordinary_time_is_what_it_says():
    meant = resolve(local("2027-07-15T18:00"), BERLIN)
    assert (meant.isoformat(), meant.tzinfo) == ("2027-07-15T18:00:00+02:00", BERLIN)


@pytest.mark.parametrize("fold", [0, 1])
def test_an_answer_nobody_needed_changes_nothing(fold):
    assert resolve(local("2027-07-15T18:00"), BERLIN, fold) == resolve(local("2027-07-15T18:00"), BERLIN)
    assert resolve(local("2027-07-15T18:00"), BERLIN, fold).fold == 0


@pytest.mark.parametrize("fold", [None, 0, 1])
def test_a_skipped_time_is_refused_whatever_the_answer(fold):
    with pytest.raises(SkippedTime, match="Europe/Berlin skip 2027-03-28 02:30") as refused:
        resolve(local("2027-03-28T02:30"), BERLIN, fold)
    assert (refused.value.local, refused.value.zone) == (local("2027-03-28T02:30"), BERLIN)


def test_a_repeated_time_has_to_be_asked():
    with pytest.raises(RepeatedTime, match=r"Europe/Berlin show 2027-10-31 02:30 twice") as asked:
        resolve(local("2027-10-31T02:30"), BERLIN)
    assert [choice.isoformat() for choice in asked.value.choices] == [
        "2027-10-31T02:30:00+02:00",
        "2027-10-31T02:30:00+01:00",
    ]


@pytest.mark.parametrize(("fold", "meant"), [(0, "2027-10-31T00:30:00+00:00"), (1, "2027-10-31T01:30:00+00:00")])
def test_a_repeated_time_is_the_one_answered(fold, meant):
    assert resolve(local("2027-10-31T02:30"), BERLIN, fold).astimezone(UTC).isoformat() == meant


@pytest.mark.parametrize("ask", [gap, ambiguous, resolve])
def test_a_time_with_a_zone_is_no_local_time(ask):
    with pytest.raises(ValueError, match="no zone of its own"):
        ask(datetime(2027, 7, 15, tzinfo=UTC), BERLIN)


def test_berlin_is_two_rules_that_began_the_year_before():
    assert written("Europe/Berlin") == [
        "BEGIN:VTIMEZONE",
        "TZID:Europe/Berlin",
        *("BEGIN:DAYLIGHT", "DTSTART:20250330T020000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "TZNAME:CEST"),
        *("TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "END:DAYLIGHT"),
        *("BEGIN:STANDARD", "DTSTART:20251026T030000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "TZNAME:CET"),
        *("TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "END:STANDARD"),
        "END:VTIMEZONE",
    ]


def test_a_zone_without_summer_time_is_one_observance():
    assert written("Asia/Tokyo") == [
        "BEGIN:VTIMEZONE",
        "TZID:Asia/Tokyo",
        *("BEGIN:STANDARD", "DTSTART:20250101T090000", "TZNAME:JST"),
        *("TZOFFSETFROM:+0900", "TZOFFSETTO:+0900", "END:STANDARD"),
        "END:VTIMEZONE",
    ]


def test_daylight_is_what_puts_clocks_forward_in_dublin_too():
    every = written("Europe/Dublin")
    assert every[every.index("BEGIN:DAYLIGHT") :][4:6] == ["TZOFFSETFROM:+0000", "TZOFFSETTO:+0100"]
    assert "TZNAME:IST" in every[every.index("BEGIN:DAYLIGHT") :]


def test_a_change_that_crosses_midnight_has_a_window_of_seven_days():
    """Nuuk's footer says -1 o'clock on the last Sunday of March, which is the Saturday before at 23."""
    assert "RRULE:FREQ=YEARLY;BYDAY=SA;BYMONTHDAY=24,25,26,27,28,29,30;BYMONTH=3" in written("America/Nuuk")


@pytest.mark.parametrize("zone", ["Africa/Cairo", "Africa/Casablanca", "Asia/Gaza"])
def test_a_zone_that_no_two_rules_explain_is_a_table(zone):
    every = written(zone)
    assert [line for line in every if line.startswith("RRULE")] == []
    assert every.count("BEGIN:DAYLIGHT") >= 20


def test_a_rule_that_began_within_the_years_asked_for_is_not_told_of_those_before():
    """Türkiye gave up winter time in 2016; Greenland's rule of today is from 2023."""
    assert [line for line in written("Europe/Istanbul", 2016) if "DTSTART" in line] == [
        "DTSTART:20150101T020000",
        "DTSTART:20150329T030000",
        "DTSTART:20151108T040000",
        "DTSTART:20160327T030000",
    ]
    assert "RRULE" not in "".join(written("America/Nuuk", 2020))


def test_a_table_ends_with_its_horizon():
    assert max(line[8:12] for line in written("Africa/Cairo", 2026, 5) if line.startswith("DTSTART")) == "2031"


def test_one_zone_and_year_is_worked_out_once():
    berlin, first = ZoneInfo("Europe/Berlin"), datetime(2026, 5, 1, tzinfo=UTC)
    assert rules(berlin, first) is rules(berlin, first + timedelta(days=100))
    assert rules(berlin, first) is not rules(berlin, first.replace(year=2027))


def test_a_zone_without_a_name_is_refused():
    nameless = ZoneInfo.from_file(io.BytesIO(_tzif("Europe/Berlin")))
    with pytest.raises(ValueError, match="IANA name"):
        rules(nameless, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def no_zones_of_the_system():
    zoneinfo.reset_tzpath([])
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("no_zones_of_the_system")
def test_a_machine_without_zones_of_its_own_takes_those_of_the_package():
    _rules.cache_clear()
    assert "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3" in written("Europe/Berlin")
    assert "TZID:America/Argentina/Ushuaia" in written("America/Argentina/Ushuaia")


@pytest.mark.parametrize(
    ("text", "rrule"),
    [
        ("M3.5.0", {"FREQ": "YEARLY", "BYMONTH": 3, "BYDAY": "-1SU"}),
        ("M11.1.0/2", {"FREQ": "YEARLY", "BYMONTH": 11, "BYDAY": "1SU"}),
        ("M3.4.4/50", {"FREQ": "YEARLY", "BYMONTH": 3, "BYDAY": "SA", "BYMONTHDAY": [24, 25, 26, 27, 28, 29, 30]}),
        ("M9.1.6/24", {"FREQ": "YEARLY", "BYMONTH": 9, "BYDAY": "SU", "BYMONTHDAY": [2, 3, 4, 5, 6, 7, 8]}),
    ],
)
def test_a_yearly_rule_becomes_an_rrule(text, rrule):
    assert Rule.parse(text).rrule() == rrule


@pytest.mark.parametrize("text", ["M4.5.5/24", "M10.1.0/-1", "M2.3.0/24", "M2.5.0/-1"])
def test_a_window_that_leaves_its_month_is_no_rrule(text):
    with pytest.raises(ValueError, match="crosses a month"):
        Rule.parse(text).rrule()


@pytest.mark.parametrize("text", ["J60", "59/2", "M3.5", "", "M3.5.0/x"])
def test_other_rules_are_refused(text):
    with pytest.raises(ValueError, match="not Mm"):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("M3.5.0/3", "2026-03-29T03:00"),
        ("M10.5.0/-1", "2026-10-24T23:00"),
        ("M3.4.4/50", "2026-03-28T02:00"),
        ("M3.2.0/2:30", "2026-03-08T02:30"),
    ],
)
def test_a_yearly_rule_has_a_wall_time_each_year(text, wall):
    assert Rule.parse(text).wall(2026) == local(wall)
