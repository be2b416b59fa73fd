"""Talks as drafts: created, edited, published, duplicated; and what their times may be."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON
from whatsnext.calendars import timezone
from whatsnext.db import db, write
from whatsnext.errors import (
    AlreadyPublished,
    CapacityBelowZero,
    ClosesAfterStart,
    DateOutOfRange,
    EndsBeforeStart,
    EventCancelled,
    JoinLinkRefused,
    NotFound,
    NotReady,
    OpensAfterCloses,
    SeriesMissing,
    SlugTaken,
    StaleVersion,
    ThemeOfOtherSeries,
    TimeSkipped,
    TimeTwice,
    TitleMissing,
    UnknownZone,
)
from whatsnext.i18n import speaking
from whatsnext.models import Event, EventState
from whatsnext.services import drafts, events
from whatsnext.services.differences import Change
from whatsnext.services.drafts import Draft

THURSDAY = datetime(2027, 1, 14, 14, 0)
GAP = datetime(2027, 3, 28, 2, 30)
TWICE = datetime(2027, 10, 31, 2, 30)


def create(draft, now=NOON, **given):
    with write():
        return events.create(draft, now, **given)


def edit(event, draft, version=None, now=NOON):
    with write():
        return events.edit(event.id, draft, event.version if version is None else version, now)


def kinds(draft):
    return [(type(error), error.field) for error in drafts.problems(draft)]


def ready(make, **given):
    """A draft with all that publishing asks for."""
    theme, host = make.theme(), make.agency()
    fitting = {
        "theme_id": theme.id,
        "host_id": host.id,
        "starts_local": THURSDAY,
        "address": "Kommandantenstraße 18, 10969 Berlin",
        "capacity_on_site": 30,
    }
    return Draft(title="Register ohne Mitte", **{**fitting, **given})


def test_a_draft_needs_only_a_title(make):
    series = make.series()
    event = create(Draft(title="Register ohne Mitte"))
    assert (event.slug, event.state, event.series_id, event.starts_at, event.version) == (
        "register-ohne-mitte",
        EventState.DRAFT,
        series.id,
        None,
        1,
    )
    assert (len(event.uid.partition("@")[0]), event.uid.isascii()) == (26, True)


def test_what_was_typed_comes_back_as_it_was(make):
    speakers = (make.speaker(), make.speaker(), make.speaker())
    series = make.series()
    typed = ready(
        make,
        series_id=series.id,
        slug="register",
        speaker_ids=(speakers[2].id, speakers[0].id),
        summary="Wer prüft, wenn *niemand* in der Mitte steht?",
        agenda="- 14:00 Begrüßung",
        language="en",
        online=True,
        capacity_online=200,
        join_link="https://video.behoerde.example/raum",
        dial_in="030 1234",
        step_free="Aufzug",
        induction_loop="ja",
        sign_language="DGS",
        captions="live",
        quiet_room="Raum 3",
        fold=0,
        zone="Europe/London",
        duration_minutes=75,
        registration_opens=datetime(2027, 1, 2, 9, 0),
        registration_closes=datetime(2027, 1, 13, 18, 0),
        chatham_house=True,
    )
    event = create(typed)
    assert Draft.of(events.get(event.id)) == typed
    assert (event.starts_at, event.ends_at) == (
        datetime(2027, 1, 14, 14, 0, tzinfo=UTC),
        datetime(2027, 1, 14, 15, 15, tzinfo=UTC),
    )


def test_the_same_title_twice_gets_two_addresses(make):
    make.series()
    slugs = [
        create(Draft(title=title)).slug for title in ("Größe zählt", "Größe zählt", "Größe!  zählt", "日本語", "…")
    ]
    assert slugs == ["groesse-zaehlt", "groesse-zaehlt-2", "groesse-zaehlt-3", "vortrag", "vortrag-2"]


def test_an_address_that_is_taken_is_refused(make):
    other = make.event()
    make.series()
    with pytest.raises(SlugTaken):
        create(Draft(title="Neu", slug=other.slug))
    draft = create(Draft(title="Neu", slug="neu"))
    with pytest.raises(SlugTaken):
        edit(draft, Draft(title="Neu", slug=other.slug))
    assert edit(draft, Draft(title="Neuer", slug="neu")).slug == "neu"
    assert edit(draft, Draft(title="Ganz neu")).slug == "ganz-neu"


def test_the_same_form_twice_makes_one_talk(make):
    make.series()
    first = create(Draft(title="Neu"), form_key="abc")
    assert create(Draft(title="Neu"), form_key="abc").id == first.id
    assert create(Draft(title="Neu"), form_key="abd").id != first.id
    assert db.session.query(Event).count() == 2


@pytest.mark.parametrize(("keys", "talks"), [(("a", "b", "c", "d"), 4), (("a", "a", "a", "a"), 1), ([""] * 4, 4)])
def test_talks_created_at_the_same_moment_do_not_meet(make, app, keys, talks):
    make.series()
    db.session.rollback()
    start = threading.Barrier(len(keys))

    def save(key):
        with app.app_context():
            start.wait()
            return create(Draft(title="Gleichzeitig"), form_key=key).id

    with ThreadPoolExecutor(len(keys)) as pool:
        made = list(pool.map(save, keys))
    assert (len(set(made)), db.session.query(Event).count()) == (talks, talks)


def test_of_two_editors_at_the_same_moment_one_is_told_of_the_other(make, app):
    event = create(ready(make))
    number, draft, start = event.id, Draft.of(event), threading.Barrier(2)
    db.session.rollback()

    def save(title):
        with app.app_context():
            start.wait()
            try:
                with write():
                    events.edit(number, replace(draft, title=title), 1, NOON)
            except StaleVersion:
                return "stale"
            return title

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(save, ("Ada", "Grace")))
    db.session.expire_all()
    saved = events.get(number)
    assert (sorted(answers), saved.version) == (sorted(["stale", saved.title]), 2)


def test_no_talk_without_a_series(app):
    with pytest.raises(SeriesMissing):
        create(Draft(title="Neu"))


def test_editing_names_the_version_it_saw(make):
    event = create(ready(make))
    edit(event, replace(Draft.of(event), title="Von Ada"), version=1)
    with pytest.raises(StaleVersion):
        edit(event, replace(Draft.of(event), title="Von Grace"), version=1)
    assert (event.title, event.version) == ("Von Ada", 2)


def test_editing_a_draft_changes_who_speaks_and_in_which_order(make):
    ada, grace, linus = make.speaker(name="Ada"), make.speaker(name="Grace"), make.speaker(name="Linus")
    event = create(ready(make, speaker_ids=(ada.id, grace.id)))
    edit(event, replace(Draft.of(event), speaker_ids=(linus.id, ada.id, linus.id)))
    assert [speaker.name for speaker in event.speakers] == ["Linus", "Ada"]
    edit(event, replace(Draft.of(event), speaker_ids=()))
    assert event.speakers == []


def test_a_talk_that_is_published_is_not_edited_as_a_draft(make):
    talk = make.event()
    with pytest.raises(AlreadyPublished):
        edit(talk, Draft(title="Neu"))


@pytest.mark.parametrize("given", [{"theme_id": 999}, {"host_id": 999}, {"speaker_ids": (999,)}])
def test_what_does_not_exist_cannot_be_chosen(make, given):
    make.series()
    with pytest.raises(NotFound):
        create(Draft(title="Neu", **given))
    assert db.session.query(Event).count() == 0


def test_a_talk_that_does_not_exist_is_not_found(app):
    with pytest.raises(NotFound):
        events.get(999)


def test_publishing_shows_a_draft_to_everyone(make):
    event = create(ready(make))
    before = event.series.page_version
    with write():
        events.publish(event.id, event.version, NOON)
    assert (event.state, event.published_at, event.version) == (EventState.PUBLISHED, NOON, 2)
    db.session.refresh(event.series)
    assert event.series.page_version > before


def test_publishing_an_empty_draft_lists_all_that_is_missing(make):
    make.series()
    event = create(Draft(title="Neu", online=True))
    with pytest.raises(NotReady) as refused, write():
        events.publish(event.id, event.version, NOON)
    assert [field for field, _words in refused.value.missing] == [
        "date",
        "address",
        "capacity_on_site",
        "capacity_online",
    ]
    assert event.state is EventState.DRAFT
    assert [field for field, _words in events.advised(event)] == [
        "theme_id",
        "host_id",
        "speaker_1",
        "summary",
        "join_link",
        "step_free",
    ]


def test_a_talk_is_held_somewhere(make):
    event = create(ready(make, on_site=False))
    assert [field for field, _words in events.missing(event, NOON)] == ["on_site"]


def test_a_date_in_the_past_cannot_be_published(make):
    event = create(ready(make, registration_closes=datetime(2027, 1, 13, 12, 0)))
    late = datetime(2027, 1, 14, 13, 0, tzinfo=UTC)
    assert [field for field, _words in events.missing(event, late)] == ["date", "registration_closes"]
    assert events.missing(event, NOON) == []


def test_publishing_twice_or_after_cancelling_is_refused(make):
    talk, off = make.event(), make.event(state=EventState.CANCELLED)
    for event, error in ((talk, AlreadyPublished), (off, EventCancelled)):
        with pytest.raises(error), write():
            events.publish(event.id, event.version, NOON)
    stale = create(ready(make))
    with pytest.raises(StaleVersion), write():
        events.publish(stale.id, 7, NOON)


def test_a_copy_has_everything_but_times_and_people(make):
    speaker = make.speaker()
    original = create(ready(make, speaker_ids=(speaker.id,), registration_opens=datetime(2027, 1, 2, 9)))
    make.registration(original)
    with write():
        copy = events.duplicate(original.id, NOON, "key")
    with write():
        assert events.duplicate(original.id, NOON, "key").id == copy.id
    expected = replace(Draft.of(original), slug="register-ohne-mitte-2", starts_local=None, registration_opens=None)
    assert Draft.of(copy) == expected
    assert (copy.state, copy.starts_at, copy.uid != original.uid, copy.sequence) == (EventState.DRAFT, None, True, 0)


# --- what is wrong with a draft -----------------------------------------------------------------------------


def test_a_draft_without_a_title_is_refused(app):
    assert kinds(Draft(title="")) == [(TitleMissing, "title")]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"zone": "Europe/Bonn"}, [(UnknownZone, "zone")]),
        ({"zone": "europe/berlin"}, [(UnknownZone, "zone")]),
        ({"zone": "../../etc/passwd"}, [(UnknownZone, "zone")]),
        ({"duration_minutes": 0}, [(EndsBeforeStart, "duration_minutes")]),
        ({"duration_minutes": -90}, [(EndsBeforeStart, "duration_minutes")]),
        ({"starts_local": GAP}, [(TimeSkipped, "time")]),
        ({"starts_local": TWICE}, [(TimeTwice, "fold")]),
        ({"starts_local": datetime(9999, 12, 31, 23)}, [(DateOutOfRange, "date")]),
        ({"starts_local": datetime(1, 1, 1)}, [(DateOutOfRange, "date")]),
        ({"registration_opens": GAP}, [(TimeSkipped, "registration_opens_time")]),
        ({"registration_closes": GAP}, [(TimeSkipped, "registration_closes_time")]),
        ({"registration_closes": datetime(2027, 1, 14, 14, 1)}, [(ClosesAfterStart, "registration_closes")]),
        ({"registration_opens": datetime(2027, 1, 14, 14)}, [(OpensAfterCloses, "registration_opens")]),
        (
            {"registration_opens": datetime(2027, 1, 5), "registration_closes": datetime(2027, 1, 5)},
            [(OpensAfterCloses, "registration_opens")],
        ),
        ({"capacity_on_site": -1}, [(CapacityBelowZero, "capacity_on_site")]),
        ({"capacity_online": -1}, [(CapacityBelowZero, "capacity_online")]),
        ({"join_link": "javascript:alert(1)"}, [(JoinLinkRefused, "join_link")]),
        ({"join_link": "https://"}, [(JoinLinkRefused, "join_link")]),
        ({"join_link": "https://[::1"}, [(JoinLinkRefused, "join_link")]),
        ({"join_link": "https://a b.example"}, [(JoinLinkRefused, "join_link")]),
        (
            {"title": "", "capacity_on_site": -1, "join_link": "raum"},
            [(TitleMissing, "title"), (CapacityBelowZero, "capacity_on_site"), (JoinLinkRefused, "join_link")],
        ),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(app, wrong, expected):
    good = {"title": "Neu", "starts_local": THURSDAY}
    assert kinds(Draft(**{**good, **wrong})) == expected


def test_what_is_just_possible_is_taken(app):
    good = Draft(
        title="Neu",
        starts_local=TWICE,
        fold=1,
        duration_minutes=1,
        registration_opens=datetime(2027, 10, 30),
        registration_closes=TWICE,
        join_link="https://video.behoerde.example/raum?x=1#y",
    )
    assert kinds(good) == []


def test_a_theme_of_another_series_is_refused(make):
    own, other = make.series(), make.series()
    theme = make.theme(series=other)
    assert kinds(Draft(title="Neu", series_id=own.id, theme_id=theme.id)) == [(ThemeOfOtherSeries, "theme_id")]


def test_the_answer_to_a_time_that_comes_twice_is_kept(make):
    make.series()
    early, late = (create(Draft(title="Nachts", starts_local=TWICE, fold=fold)) for fold in (0, 1))
    assert late.starts_at - early.starts_at == timedelta(hours=1)
    assert [Draft.of(event).fold for event in (early, late)] == [0, 1]


@given(
    local=st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1)),
    zone=st.sampled_from(timezone.zones()),
    fold=st.sampled_from([None, 0, 1]),
    minutes=st.integers(1, 7 * 24 * 60),
)
def test_every_time_is_the_one_the_clocks_show_or_is_refused(local, zone, fold, minutes):
    local = local.replace(second=0, microsecond=0)
    draft = Draft(title="Neu", starts_local=local, zone=zone, fold=fold, duration_minutes=minutes)
    place = ZoneInfo(zone)
    try:
        at = drafts.times(draft)
    except TimeSkipped:
        assert timezone.gap(local, place)
    except TimeTwice:
        assert (fold, timezone.ambiguous(local, place)) == (None, True)
    else:
        assert at.starts_at.astimezone(place).replace(tzinfo=None, fold=0) == local
        assert at.ends_at - at.starts_at == timedelta(minutes=minutes)
        assert at.fold == (fold or 0 if timezone.ambiguous(local, place) else 0)


# --- in words -----------------------------------------------------------------------------------------------


def test_two_versions_are_compared_field_by_field_in_words(make):
    ada, theme = make.speaker(name="Ada"), make.theme(name="Blockchain")
    before = Draft(title="Alt", starts_local=THURSDAY, on_site=True, capacity_on_site=30)
    after = Draft(
        title="Neu",
        starts_local=datetime(2027, 1, 15, 14),
        theme_id=theme.id,
        speaker_ids=(ada.id,),
        on_site=False,
        online=True,
        capacity_online=200,
        language="en",
        registration_closes=datetime(2027, 1, 15, 9),
    )
    with speaking("en"):
        rows = drafts.differences(before, after)
    assert rows == [
        Change("Title", "Alt", "Neu"),
        Change("Theme", "", "Blockchain"),
        Change("Speakers", "", "Ada"),
        Change("Language of the talk", "German", "English"),
        Change("When", "Thu 14 January 2027, 14:00–15:30 (Berlin)", "Fri 15 January 2027, 14:00–15:30 (Berlin)"),
        Change("On site", "yes", "no"),
        Change("Online", "no", "yes"),
        Change("Places on site", "30", ""),
        Change("Places online", "", "200"),
        Change("Sign-up closes", "", "Fri 15 January 2027, 9:00 (Berlin)"),
    ]
    assert drafts.differences(after, after) == []


def test_a_time_that_is_none_stands_in_words_as_it_was_typed(app):
    with speaking("en"):
        rows = drafts.differences(
            Draft(title="Neu"),
            Draft(title="Neu", starts_local=GAP, zone="Europe/Bonn", registration_opens=datetime(2027, 1, 1)),
        )
    assert [(row.label, row.new) for row in rows] == [
        ("When", "2027-03-28 02:30 (Europe/Bonn), 90 minutes"),
        ("Sign-up opens", "2027-01-01 00:00 (Europe/Bonn)"),
    ]


# --- what the editor offers ---------------------------------------------------------------------------------


def test_the_editor_offers_everything_in_its_order_with_as_many_queries_for_more(make, query_count):
    series = make.series(zone="Europe/Vienna")
    make.theme(series=series, name="Cloud", position=2)
    make.speaker(name="Kim", agency_id=make.agency(name="ITZBund").id)
    with query_count() as one:
        offered = events.offered()
    assert ([name for _id, name in offered.themes], [name for _id, name in offered.speakers]) == (
        ["Cloud"],
        ["Kim (ITZBund)"],
    )
    other = make.series(name="Zweite Reihe")
    make.theme(series=other, name="Blockchain", position=1)
    make.speaker(name="Ada")
    with query_count() as three:
        offered = events.offered()
    assert [name for _id, name in offered.themes] == ["Blockchain (Zweite Reihe)", f"Cloud ({series.name})"]
    assert [name for _id, name in offered.speakers] == ["Ada", "Kim (ITZBund)"]
    assert (offered.zone, len(offered.hosts), len(one)) == ("Europe/Vienna", 1, len(three))


def test_a_talk_is_read_with_all_its_editor_shows(make, query_count):
    talks = [make.draft(speakers=tuple(make.speaker() for _ in range(number))) for number in (1, 3)]
    read = []
    for number in [talk.id for talk in talks]:
        db.session.expunge_all()
        with query_count() as queries:
            event = events.get(number)
            speakers = len(Draft.of(event).speaker_ids)
            assert event.series.name
        read.append((speakers, len(queries)))
    assert read == [(1, 2), (3, 2)]
    with pytest.raises(NotFound):
        events.get(10**6)
