"""Talks of several parts on pages: written in the editor, shown as one talk, changed and called off part by part."""

import re
from datetime import datetime, timedelta

import pytest

from tests.factories import NOON
from tests.interop.foreign import replay_with_icaljs
from tests.pages import Page
from whatsnext.db import db, write
from whatsnext.models import Event, EventState, Kind, PartStat, Status
from whatsnext.services import answers, registrations

FIRST = datetime(2026, 3, 16, 18, 0)
WEEK = timedelta(weeks=1)
SPANS = [
    "Teil 1: Mo., 16. März 2026, 18:00–19:30 Uhr (Berlin)",
    "Teil 2: Mi., 18. März 2026, 18:00–19:30 Uhr (Berlin)",
]


def evenings(make, **given):
    return make.event(starts_local=FIRST, further=(FIRST + timedelta(days=2),), title="Register", **given)


def course(make, **given):
    return make.event(starts_local=FIRST, every=1, times=4, title="Register", **given)


def edit(organiser, talk, **changes):
    return organiser.submit(f"/organise/events/{talk.id}", {"action": "save", **changes}, form="editor")


def starts(talk_id):
    db.session.expire_all()
    return [part.starts_local for part in db.session.get(Event, talk_id).parts]


def with_a_row(organiser, talk):
    """The editor after "Teil hinzufügen"."""
    page = Page(edit(organiser, talk, action="more"))
    assert page.status == 200
    return page


def typed_in(page, name):
    return page.form("editor").values[name]


# --- the editor ------------------------------------------------------------------------------------------


def test_a_row_for_a_part_is_added_by_a_button_without_losing_anything(organiser, make):
    talk = make.draft(starts_local=FIRST, title="Register")
    page = Page(edit(organiser, talk, title="Register zwei", action="more"))
    typed = {"part_2_date": "2026-03-18", "part_2_time": "18:00", "action": "more"}
    page = Page(organiser.submit(page, typed, form="editor"))
    assert [typed_in(page, name) for name in ("title", "part_2_date", "part_2_time", "part_3_date")] == [
        ["Register zwei"],
        ["2026-03-18"],
        ["18:00"],
        [""],
    ]
    assert db.session.get(Event, talk.id).title == "Register"
    organiser.submit(page, {"action": "save"}, form="editor")
    assert starts(talk.id) == [FIRST, FIRST + timedelta(days=2)]


def test_the_page_opens_at_the_row_that_was_added(organiser, make):
    talk = make.draft(starts_local=FIRST)
    page = with_a_row(organiser, talk)
    assert [tag.split('name="')[1].split('"')[0] for tag in re.findall(r"<input[^>]* autofocus[^>]*>", page.html)] == [
        "part_2_date"
    ]


def test_a_date_without_a_time_is_told_once_and_nothing_false_with_it(organiser, make):
    talk = make.draft(starts_local=FIRST)
    half = {"part_2_date": "2026-03-18", "part_3_date": "2026-03-25", "part_3_time": "18:00"}
    rows = Page(organiser.submit(with_a_row(organiser, talk), {"action": "more"}, form="editor"))
    page = Page(organiser.submit(rows, {**half, "action": "publish"}, form="editor"))
    assert page.status == 422
    assert "Geben Sie Datum und Uhrzeit des ersten Teils an." not in page.text
    assert re.findall(r'id="(\w+)-e"', page.html) == ["part_2_time"]


def test_a_length_without_a_time_is_said_of_its_own_part(organiser, make):
    talk = make.draft(starts_local=FIRST)
    typed = {"part_2_duration": "60", "action": "save"}
    page = Page(organiser.submit(with_a_row(organiser, talk), typed, form="editor"))
    assert "Geben Sie Datum und Uhrzeit von Teil 2 an." in page.text


def test_a_rule_makes_the_parts_of_a_draft(organiser, make):
    talk = make.draft(starts_local=FIRST)
    answer = edit(organiser, talk, repeat_weeks="1", part_count="3")
    assert answer.status_code == 303
    assert starts(talk.id) == [FIRST, FIRST + WEEK, FIRST + 2 * WEEK]
    edit(organiser, talk, time="19:00", part_2_date="2026-03-24", part_2_time="18:00")
    assert starts(talk.id) == [
        FIRST + timedelta(hours=1),
        FIRST + WEEK + timedelta(days=1),
        FIRST + 2 * WEEK + timedelta(hours=1),
    ]


def test_a_course_has_a_row_for_each_part_and_an_empty_one_follows_the_rule(organiser, make):
    talk = course(make, state=EventState.DRAFT)
    names = organiser.page(f"/organise/events/{talk.id}").form("editor").names
    assert sorted(name for name in names if name.endswith("_date")) == [f"part_{number}_date" for number in range(1, 5)]
    edit(organiser, talk, part_2_date="2026-03-24")
    edit(organiser, talk, part_2_date="", part_2_time="", part_2_duration="")
    assert starts(talk.id) == [FIRST + number * WEEK for number in range(4)]


def test_a_row_left_empty_is_no_part(organiser, make):
    talk = evenings(make, state=EventState.DRAFT)
    edit(organiser, talk, part_2_date="", part_2_time="", part_2_duration="")
    db.session.expire_all()
    assert db.session.get(Event, talk.id).part_count == 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"part_2_date": "2026-03-18"}, "Geben Sie Datum und Uhrzeit an"),
        (
            {"part_2_date": "2026-03-16", "part_2_time": "18:30"},
            "Teil 2 beginnt, bevor Teil 1 zu Ende ist. Die Teile müssen aufeinander folgen.",
        ),
        ({"part_2_date": "2026-03-29", "part_2_time": "02:30"}, "2:30 Uhr gibt es an diesem Tag nicht"),
        ({"repeat_weeks": "1", "part_count": "1"}, "eine ganze Zahl von 2 bis 30"),
        ({"repeat_weeks": "1", "part_count": ""}, "Geben Sie an, wie viele Teile es sind."),
        ({"repeat_weeks": "0", "part_count": "3"}, "Geben Sie auch an, wie oft sie stattfindet"),
        ({"repeat_weeks": "1", "part_count": "999999999999"}, "eine ganze Zahl von 2 bis 30"),
        ({"part_2_duration": "999999999999"}, "eine ganze Zahl von 1 bis"),
        ({"duration_minutes": "999999999999"}, "eine ganze Zahl von 1 bis"),
        ({"rows": "999999999999"}, "eine ganze Zahl von 0 bis 30"),
    ],
)
def test_what_is_wrong_with_a_part_is_said_and_kept(organiser, make, typed, words):
    page = with_a_row(organiser, make.draft(starts_local=FIRST))
    page = Page(organiser.submit(page, {"action": "save", **typed}, form="editor"))
    assert (page.status, words in page.text) == (422, True)
    assert {name: typed_in(page, name) for name in typed} == {name: [value] for name, value in typed.items()}


# --- changes ---------------------------------------------------------------------------------------------


def test_the_page_before_sending_shows_old_and_new_of_each_part(organiser, make, owed):
    talk = evenings(make)
    ada = make.registration(talk)
    page = Page(edit(organiser, talk, part_2_date="2026-03-19"))
    for words in (
        "Teil 2",
        "Mi., 18. März 2026, 18:00–19:30 Uhr (Berlin)",
        "Do., 19. März 2026, 18:00–19:30 Uhr (Berlin)",
        "Speichern und 1 Person informieren",
        "Geändert: Register (Teil 2 von 2)",
    ):
        assert words in page.text
    assert owed() == []
    organiser.submit(page, {"action": "tell"}, form="change")
    assert (owed(), starts(talk.id)) == ([(Kind.UPDATE, ada)], [FIRST, FIRST + timedelta(days=3)])


def test_the_page_says_how_many_messages_each_gets(organiser, make, owed):
    talk = evenings(make)
    ada = make.registration(talk)
    page = Page(edit(organiser, talk, address="Anderswo 2, 10115 Berlin"))
    assert "bekommt 2 Nachrichten, eine für jeden Eintrag" in page.text
    organiser.submit(page, {"action": "tell"}, form="change")
    assert owed() == [(Kind.UPDATE, ada)] * 2


def test_a_part_of_a_published_talk_cannot_be_removed_nor_its_rule_changed(organiser, make):
    page = Page(edit(organiser, evenings(make), part_2_date="", part_2_time="", part_2_duration=""))
    assert (page.status, "Sagen Sie ihn ab" in page.text) == (422, True)
    page = Page(edit(organiser, course(make), repeat_weeks="2"))
    assert (page.status, "lässt sich nicht ändern" in page.text) == (422, True)


def test_one_part_is_called_off_with_a_reason(organiser, make, owed):
    talk = evenings(make, places_on_site=1)
    ada, linus = make.registration(talk), make.registration(talk, Status.WAITING)
    editor = organiser.page(f"/organise/events/{talk.id}")
    assert "Teil 2 absagen" in editor.text
    path = f"/organise/events/{talk.id}/parts/2/cancel"
    page = organiser.page(path)
    for words in (
        "Teil 2 absagen",
        "Teil 2 von 2",
        "Teil absagen und 2 Personen informieren",
        "Die anderen Teile bleiben",
    ):
        assert words in page.text
    refused = Page(organiser.submit(path, {"reason": ""}, form="cancel"))
    assert (refused.status, owed()) == (422, [])
    organiser.submit(path, {"reason": "Krankheit", "action": "cancel"}, form="cancel")
    assert owed() == [(Kind.PART_CANCELLATION, ada), (Kind.PART_CANCELLATION, linus)]
    assert organiser.get(path).status_code == 303
    assert "Teil 1 absagen" not in organiser.page(f"/organise/events/{talk.id}").text
    assert organiser.get(f"/organise/events/{talk.id}/parts/9/cancel").status_code == 404
    last = organiser.page(f"/organise/events/{talk.id}/parts/1/cancel")
    assert "Das ist der einzige verbliebene Teil." in last.text
    assert last.form("cancel").action == f"/organise/events/{talk.id}/cancel"


# --- what everybody sees ---------------------------------------------------------------------------------


def test_all_parts_stand_on_the_page_the_cards_and_the_registration(client, make):
    theme = make.theme()
    talk = evenings(make, series=theme.series, theme_id=theme.id)
    own = registrations.manage_token(make.registration(talk))
    paths = (f"/events/{talk.slug}", f"/series/{talk.series.slug}", f"/themes/{theme.slug}", f"/registrations/{own}")
    for path in paths:
        text = client.page(path).text
        assert [span for span in SPANS if span not in text] == [], path


def test_a_part_that_is_off_stands_there_as_such(organiser, client, make):
    talk = evenings(make)
    organiser.submit(f"/organise/events/{talk.id}/parts/1/cancel", {"reason": "x", "action": "cancel"}, form="cancel")
    text = client.page(f"/events/{talk.slug}").text
    assert f"{SPANS[0]}, abgesagt" in text
    assert SPANS[1] in text


def test_what_a_part_is_off_for_stands_beside_it_and_the_organiser_reads_which_it_is(organiser, client, make):
    talk = evenings(make)
    own = registrations.manage_token(make.registration(talk))
    path = f"/organise/events/{talk.id}/parts/1/cancel"
    organiser.submit(path, {"reason": "Der <Raum> ist zu.", "action": "cancel"}, form="cancel")
    assert "Teil 1 ist abgesagt. 1 Person wird informiert." in organiser.page(f"/organise/events/{talk.id}").text
    for page in (f"/events/{talk.slug}", f"/registrations/{own}"):
        text = client.page(page).text
        assert "2 Teile, 1 abgesagt" in text
        assert f"{SPANS[0]}, abgesagt Grund: Der <Raum> ist zu. {SPANS[1]}" in text
        assert "<strong>abgesagt</strong>" in client.get(page).text


def test_what_a_calendar_said_to_one_part_stands_on_both_pages_of_the_registration(organiser, client, make):
    talk = evenings(make)
    one, silent = make.registration(talk, partstat_at=NOON), make.registration(talk)
    make.message(Kind.INVITATION, one, part_id=talk.parts[1].id)
    with write():
        answers.note(one, talk.parts[1], PartStat.DECLINED, 0, NOON)
    said = f"{SPANS[1].replace(': ', ', ', 1)}: Im Kalender abgelehnt"
    seen = organiser.page(f"/organise/events/{talk.id}/participants/{one.ref}").text
    assert (said in seen, "Einladung, Teil 2" in seen) == (True, True)
    assert said in client.page(f"/registrations/{registrations.manage_token(one)}").text
    assert said not in client.page(f"/registrations/{registrations.manage_token(silent)}").text


def test_a_long_course_is_told_in_few_words_on_its_card(client, make):
    talk = make.event(starts_local=FIRST, every=2, times=6, title="Kurs")
    text = client.page(f"/series/{talk.series.slug}").text
    assert "Mo., 16. März 2026, 18:00–19:30 Uhr (Berlin) (6 Teile, alle 2 Wochen)" in text
    assert "bis Mo., 25. Mai 2026, 18:00–19:30 Uhr (Berlin)" in text


def test_a_course_that_began_months_ago_still_stands_among_the_coming(client, make):
    talk = make.event(starts_local=datetime(2025, 11, 3, 18, 0), every=1, times=20, title="Langer Kurs")
    assert "Langer Kurs" in client.page(f"/series/{talk.series.slug}").text


def test_lists_ask_for_the_parts_of_all_talks_at_once(client, make, query_count):
    talk = evenings(make)
    path = f"/series/{talk.series.slug}?q="
    with query_count() as one:
        client.page(path)
    for shape in (evenings, course):
        shape(make)
    with query_count() as three:
        client.page(path)
    assert len(three) == len(one)


def test_the_file_holds_every_part(client, make):
    for talk in (evenings(make), course(make)):
        data = client.get(f"/events/{talk.slug}/calendar.ics").data
        shown = [(start, end) for start, end, _words in replay_with_icaljs([data])[0]]
        assert shown == [(part.starts_at, part.ends_at) for part in talk.parts]
    assert "Google" not in client.page(f"/events/{talk.slug}").text


@pytest.mark.parametrize("path", ["", "/publish", "/cancel"])
def test_organisers_read_the_rhythm_and_no_span_of_weeks(client, make, path):
    weekly = make.draft if path == "/publish" else make.event
    course = weekly(starts_local=datetime(2026, 1, 19, 14), every=1, times=3)
    client.sign_in(make.organiser())
    page = client.page(f"/organise/events/{course.id}{path}")
    assert "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin) (3 Teile, jede Woche)" in page.text
    assert "14:00 Uhr – " not in page.text
