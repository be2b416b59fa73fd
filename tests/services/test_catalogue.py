"""What the public may read, and how a talk stands at a moment."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import db
from whatsnext.errors import NotFound
from whatsnext.models import Event, EventState, Mode, Status
from whatsnext.services import catalogue
from whatsnext.services.catalogue import Standing
from whatsnext.services.waiting_list import Places

HOUR = timedelta(hours=1)
FREE = {Mode.ON_SITE: Places(30, 3, 0)}
FULL = {Mode.ON_SITE: Places(30, 30, 2)}


@pytest.mark.parametrize(
    ("given", "places", "standing"),
    [
        ({}, FREE, Standing.OPEN),
        ({}, FULL, Standing.FULL),
        ({}, {**FULL, Mode.ONLINE: Places(9, 8, 0)}, Standing.OPEN),
        ({}, {**FULL, Mode.ONLINE: Places(9, 9, 0)}, Standing.FULL),
        ({"registration_opens": NOON + HOUR}, FREE, Standing.ANNOUNCED),
        ({"registration_opens": NOON}, FREE, Standing.OPEN),
        ({"registration_closes": NOON + HOUR}, FREE, Standing.OPEN),
        ({"registration_closes": NOON}, FREE, Standing.CLOSED),
        ({"starts_local": datetime(2026, 1, 5, 13)}, FREE, Standing.CLOSED),
        ({"starts_local": datetime(2026, 1, 5, 11, 31)}, FREE, Standing.CLOSED),
        ({"starts_local": datetime(2026, 1, 5, 11, 30)}, FREE, Standing.PAST),
        ({"state": EventState.CANCELLED}, FREE, Standing.CANCELLED),
        ({"starts_at": None}, FREE, Standing.ANNOUNCED),
    ],
)
def test_a_talk_stands_as_its_times_and_places_say(make, given, places, standing):
    assert catalogue.state(make.event(**given), places, NOON) is standing


def test_a_talk_counts_as_moved_until_it_is_over(make):
    talk = make.event(previous_starts_at=NOON)
    assert catalogue.moved(talk, NOON)
    assert not catalogue.moved(talk, NOON + timedelta(days=15))
    assert not catalogue.moved(make.event(), NOON)
    assert not catalogue.moved(make.event(previous_starts_at=NOON, state=EventState.CANCELLED), NOON)


def test_drafts_and_unknown_names_are_not_found(make):
    make.draft(slug="entwurf")
    for read in (catalogue.published, catalogue.event_version):
        for slug in ("entwurf", "none"):
            with pytest.raises(NotFound):
                read(slug)
    for other in (catalogue.series_named, catalogue.series_version, catalogue.theme_named, catalogue.theme_version):
        with pytest.raises(NotFound):
            other("none")


def test_lists_go_on_where_they_stopped_even_at_one_instant(make):
    starts = datetime(2026, 2, 2, 14)
    talks = [make.event(starts_local=starts) for _ in range(5)]
    seen, key = [], None
    for _ in range(3):
        page, key = catalogue.first_page(catalogue.coming(NOON, 3, after=key), 2)
        seen += page
    assert (seen, key) == (talks, None)


def test_earlier_talks_are_listed_backwards(make):
    talks = [make.event(starts_local=datetime(2025, 2, day, 14)) for day in (1, 2, 3)]
    page, key = catalogue.first_page(catalogue.earlier(NOON, 3), 2)
    assert page == [talks[2], talks[1]]
    assert catalogue.earlier(NOON, 3, before=key) == [talks[0]]


def test_a_running_talk_is_among_the_coming_ones(make):
    talk = make.event(starts_local=datetime(2026, 1, 5, 12, 30))
    assert catalogue.coming(NOON, 9) == [talk]
    assert catalogue.earlier(NOON, 9) == []


def test_themes_know_how_many_talks_are_to_come(make):
    theme, empty = make.theme(), make.theme()
    first = make.event(theme_id=theme.id, starts_local=datetime(2026, 2, 2, 14))
    make.event(theme_id=theme.id, starts_local=datetime(2026, 3, 2, 14))
    make.event(theme_id=theme.id, starts_local=datetime(2025, 3, 2, 14))
    make.draft(theme_id=empty.id)
    assert catalogue.coming_by_theme(NOON) == {theme.id: (2, first.starts_at)}


def test_the_next_talk_of_a_theme_is_never_this_one_nor_a_cancelled_one(make):
    theme = make.theme()
    talk = make.event(theme_id=theme.id)
    make.event(theme_id=theme.id, state=EventState.CANCELLED)
    make.event()
    assert catalogue.next_of_theme(talk, NOON) is None
    assert catalogue.next_of_theme(make.event(), NOON) is None
    other = make.event(theme_id=theme.id, starts_local=datetime(2026, 5, 5, 14))
    assert catalogue.next_of_theme(talk, NOON) == other


def test_a_browser_or_a_person_finds_its_own_registration(make):
    talk, person = make.event(), make.person()
    mine, gone = make.registration(talk, person=person), make.registration(talk, Status.CANCELLED)
    assert catalogue.registration_of(talk, person.id, []) == mine
    assert catalogue.registration_of(talk, None, [mine.ref]) == mine
    assert catalogue.registration_of(talk, None, [gone.ref]) is None
    assert catalogue.registration_of(talk, None, []) is None
    assert catalogue.registration_of(make.event(), person.id, [mine.ref]) is None


def test_a_talk_without_a_time_is_no_calendar_entry(make):
    with pytest.raises(NotFound):
        catalogue.entry(make.draft(starts_at=None))


def test_lists_are_read_from_an_index(make):
    """The plan of each list names an index and no walk over all talks (design.md §5)."""
    series, theme = make.series(), make.theme()
    connection, sqlite = db.session.connection(), db.engine.dialect.name == "sqlite"
    if not sqlite:  # a table this small is walked unless that is made dear
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    for listed in (
        catalogue._listed(series, None, ""),
        catalogue._listed(None, None, ""),
        catalogue._listed(None, theme, ""),
    ):
        query = listed.where(Event.starts_at > NOON).order_by(Event.starts_at).limit(10)
        text = query.compile(db.engine, compile_kwargs={"literal_binds": True})
        rows = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{text}")
        plan = [row[3] if sqlite else row[0].strip() for row in rows]
        assert [line for line in plan if line.startswith("SCAN event") or "Seq Scan on event" in line] == []
