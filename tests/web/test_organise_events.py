"""The editor of a talk, its preview, publishing and copying, as organisers meet them."""

from datetime import datetime

import pytest

from tests.factories import NOON
from tests.pages import Page
from whatsnext.db import db
from whatsnext.models import Event, EventState, Kind
from whatsnext.services import events
from whatsnext.services.drafts import Draft

EVERYTHING = {
    "title": "Register ohne Mitte",
    "summary": "Wer prüft, wenn *niemand* in der Mitte steht?",
    "agenda": "- 14:00 Begrüßung",
    "date": "2027-01-14",
    "time": "14:00",
    "duration_minutes": "90",
    "zone": "Europe/Berlin",
    "on_site": "y",
    "address": "Kommandantenstraße 18, 10969 Berlin",
    "capacity_on_site": "30",
    "online": "y",
    "join_link": "https://video.behoerde.example/raum",
    "capacity_online": "200",
    "registration_closes": "2027-01-13",
    "registration_closes_time": "18:00",
}


def new(organiser, changes):
    return organiser.submit("/organise/events/new", changes, form="editor")


def editor(organiser, event):
    return organiser.page(f"/organise/events/{event.id}")


def only_event():
    return db.session.query(Event).one()


def kept(response):
    """What stands in the editor of an answer."""
    page = Page(response)
    return {name: values[0] for name, values in page.form("editor").values.items()}


def test_a_talk_is_created_from_its_title_alone_and_completed_later(organiser, make):
    make.series()
    answer = new(organiser, {"title": "Register ohne Mitte"})
    event = only_event()
    assert (answer.status_code, answer.location) == (303, f"/organise/events/{event.id}")
    page = editor(organiser, event)
    assert "Der Entwurf ist gespeichert" in page.text
    organiser.submit(page, EVERYTHING, form="editor")
    db.session.refresh(event)
    assert (event.starts_at.isoformat(), event.capacity_online, event.join_link, event.version) == (
        "2027-01-14T13:00:00+00:00",
        200,
        "https://video.behoerde.example/raum",
        2,
    )


def test_the_saved_time_stands_in_words_with_weekday_and_zone(organiser, make):
    make.series()
    new(organiser, EVERYTHING)
    text = editor(organiser, only_event()).text
    assert "Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)" in text
    assert "Mi., 13. Januar 2027, 18:00 Uhr (Berlin)" in text


def test_a_new_talk_is_meant_in_the_zone_of_its_series(organiser, make):
    make.series(zone="Europe/Vienna")
    assert organiser.page("/organise/events/new").form("editor").values["zone"] == ["Europe/Vienna"]


def test_without_a_series_the_way_to_one_is_shown(organiser):
    page = organiser.page("/organise/events/new")
    assert ("/organise/series/new", "Reihe anlegen") in [(href, words.strip()) for href, words in page.links]


def test_everything_saved_stands_in_the_editor_again(organiser, make):
    speakers = make.speaker(), make.speaker()
    make.theme()
    new(organiser, {**EVERYTHING, "speaker_1": speakers[1].id, "speaker_2": speakers[0].id, "chatham_house": "y"})
    event = only_event()
    before = Draft.of(event)
    organiser.submit(editor(organiser, event), form="editor")
    db.session.refresh(event)
    assert (Draft.of(events.get(event.id)), event.version) == (before, 2)
    assert before.speaker_ids == (speakers[1].id, speakers[0].id)


def test_the_preview_shows_markdown_and_neither_saves_nor_loses(organiser, make):
    make.series()
    typed = {"title": "", "summary": "**Fett** <script>alert(1)</script>", "agenda": "- 14:00", "capacity_on_site": "x"}
    answer = new(organiser, {**typed, "action": "preview"})
    assert answer.status_code == 200
    html = answer.get_data(as_text=True)
    assert "<strong>Fett</strong>" in html
    assert "<script>alert" not in html
    assert {name: kept(answer)[name] for name in typed} == typed
    assert db.session.query(Event).count() == 0


def test_the_same_form_sent_twice_makes_one_talk(organiser, make):
    make.series()
    page = organiser.page("/organise/events/new")
    first, second = (organiser.submit(page, {"title": "Doppelt"}, form="editor") for _ in range(2))
    assert (first.location, db.session.query(Event).count()) == (second.location, 1)


# --- what is refused, with everything typed kept ------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", "", "Titel"),
        ("title", "x" * 10_000, "10000 Zeichen"),
        ("title", "Register\x00ohne", "Steuerzeichen"),
        ("title", "Register\u202eohne", "Steuerzeichen"),
        ("title", "Zeile eins\r\nBcc: alle@behoerde.example", "Zeilenumbrüche"),
        ("summary", "Text\x08", "Steuerzeichen"),
        ("agenda", "x" * 10_001, "10001 Zeichen"),
        ("address", "Straße\n12", "Zeilenumbrüche"),
        ("capacity_on_site", "-1", "von 0 bis"),
        ("capacity_on_site", "dreißig", "ganze Zahl"),
        ("capacity_online", "9" * 5_000, "ganze Zahl"),
        ("capacity_online", "1e9", "ganze Zahl"),
        ("duration_minutes", "0", "von 1 bis"),
        ("duration_minutes", "-90", "von 1 bis"),
        ("date", "2027-02-30", "Datum"),
        ("date", "99999-01-01", "Datum"),
        ("date", "gestern", "Datum"),
        ("time", "25:00", "Uhrzeit"),
        ("time", "", "Datum und Uhrzeit"),
        ("date", "", "Datum und Uhrzeit"),
        ("registration_opens", "2027-01-01", "Datum und Uhrzeit"),
        ("zone", "Europe/Bonn", "Zeitzone"),
        ("join_link", "javascript:alert(1)", "https://"),
        ("join_link", "raum 3", "https://"),
        ("slug", "Ohne Mitte!", "Kleinbuchstaben"),
        ("registration_closes", "2027-01-15", "beginnt"),
    ],
)
def test_what_cannot_be_is_said_at_the_field_and_everything_is_kept(organiser, make, field, value, said):
    make.series()
    typed = {**EVERYTHING, field: value}
    answer = new(organiser, typed)
    page = Page(answer)
    assert answer.status_code == 422
    assert said in page.text
    assert "Fehler: " in page.html.split("</title>")[0]
    shown = kept(answer)
    assert {name: shown[name] for name in typed} == {name: text.replace("\r\n", "\n") for name, text in typed.items()}
    assert db.session.query(Event).count() == 0


def test_all_that_is_wrong_is_said_at_once(organiser, make):
    make.series()
    for wrong in ({"join_link": "raum 3", "zone": "Europe/Bonn"}, {"join_link": "raum 3", "duration_minutes": "-3"}):
        links = [href.removeprefix("#") for href, _words in Page(new(organiser, {**EVERYTHING, **wrong})).links]
        assert {link for link in links if link in EVERYTHING} == set(wrong)


def test_a_time_that_is_skipped_is_refused(organiser, make):
    make.series()
    answer = new(organiser, {**EVERYTHING, "date": "2027-03-28", "time": "02:30", "registration_closes": "2027-03-01"})
    assert answer.status_code == 422
    assert "2:30 Uhr gibt es an diesem Tag nicht" in Page(answer).text


def test_of_a_time_that_comes_twice_one_is_asked_for(organiser, make):
    make.series()
    twice = {**EVERYTHING, "date": "2027-10-31", "time": "02:30"}
    assert "fold" not in organiser.page("/organise/events/new").form("editor").names
    answer = new(organiser, twice)
    page = Page(answer)
    assert answer.status_code == 422
    assert "vor der Umstellung" in page.text
    organiser.submit(page, {"fold": "1"}, form="editor")
    event = only_event()
    assert (event.fold, event.starts_at.isoformat()) == (1, "2027-10-31T01:30:00+00:00")
    assert editor(organiser, event).form("editor").values["fold"] == ["1"]


def test_a_talk_that_is_moved_to_a_time_that_comes_twice_is_asked_about_too(organiser, make):
    draft = make.draft()
    answer = organiser.submit(editor(organiser, draft), {"date": "2027-10-31", "time": "02:30"}, form="editor")
    assert (answer.status_code, "vor der Umstellung" in Page(answer).text) == (422, True)
    organiser.submit(Page(answer), {"fold": "0"}, form="editor")
    db.session.refresh(draft)
    assert (draft.fold, draft.starts_at.isoformat()) == (0, "2027-10-31T00:30:00+00:00")
    organiser.submit(editor(organiser, draft), {"captions": "live"}, form="editor")
    db.session.refresh(draft)
    assert (draft.captions, draft.starts_at.isoformat()) == ("live", "2027-10-31T00:30:00+00:00")


def test_a_talk_published_meanwhile_is_not_overwritten(organiser, make):
    make.series()
    new(organiser, EVERYTHING)
    event = only_event()
    mine = editor(organiser, event)
    organiser.submit(f"/organise/events/{event.id}/publish", form="publish")
    answer = organiser.submit(mine, {"title": "Später Titel"}, form="editor")
    db.session.refresh(event)
    assert (answer.status_code, event.title, kept(answer)["title"]) == (409, EVERYTHING["title"], "Später Titel")


@pytest.mark.parametrize("doubled", [{"title": ["Eins", "Zwei"]}, {"state": "published"}, {"sequence": "9"}])
def test_doubled_and_unknown_fields_are_refused(organiser, make, doubled):
    make.series()
    page = organiser.page("/organise/events/new")
    form = page.form("editor")
    form.names |= set(doubled)
    answer = organiser.submit(page, {**EVERYTHING, **doubled}, form="editor")
    assert (answer.status_code, db.session.query(Event).count()) == (422, 0)
    assert kept(answer)["address"] == EVERYTHING["address"]


def test_a_choice_that_does_not_exist_is_refused(organiser, make):
    make.series()
    for field in ("theme_id", "host_id", "speaker_3", "language"):
        answer = new(organiser, {**EVERYTHING, field: "999"})
        assert (answer.status_code, kept(answer)["title"]) == (422, EVERYTHING["title"])


def test_the_list_of_errors_names_the_field_of_a_wrong_choice(organiser, make):
    make.series()
    page = Page(new(organiser, {**EVERYTHING, "theme_id": "999", "language": "xx"}))
    assert ("#theme_id", "Thema: Wählen Sie einen der Einträge.") in page.links
    assert ("#language", "Sprache der Veranstaltung: Wählen Sie einen der Einträge.") in page.links


def test_a_draft_with_a_past_date_says_so(organiser, make):
    words = "Dieses Datum liegt in der Vergangenheit"
    draft = make.draft(starts_local=datetime(2026, 1, 4, 14))
    assert words in editor(organiser, draft).text
    for other in (make.draft(), make.event(starts_local=datetime(2026, 1, 4, 14))):
        assert words not in editor(organiser, other).text


def test_a_form_without_its_token_is_refused_with_everything_kept(organiser, make):
    make.series()
    answer = new(organiser, {**EVERYTHING, "csrf_token": "von woanders"})
    assert (answer.status_code, kept(answer)["summary"]) == (422, EVERYTHING["summary"])
    assert "Das Formular war zu lange offen" in Page(answer).text


def test_an_address_that_is_taken_is_refused_at_its_field(organiser, make):
    other = make.event()
    answer = new(organiser, {**EVERYTHING, "slug": other.slug})
    assert answer.status_code == 422
    assert ("#slug") in [href for href, _words in Page(answer).links]


# --- two editors --------------------------------------------------------------------------------------------


def test_two_editors_see_both_versions_and_mine_is_kept(organiser, make):
    draft = make.draft(title="Erster Titel")
    mine, theirs = editor(organiser, draft), editor(organiser, draft)
    organiser.submit(theirs, {"title": "Titel von Grace", "address": "Anderswo 2"}, form="editor")
    answer = organiser.submit(mine, {"title": "Titel von Ada"}, form="editor")
    page = Page(answer)
    assert answer.status_code == 409
    assert "Titel von Grace" in page.text
    assert "Anderswo 2" in page.text
    assert kept(answer)["title"] == "Titel von Ada"
    db.session.refresh(draft)
    assert draft.title == "Titel von Grace"
    assert organiser.submit(page, form="editor").status_code == 303
    db.session.refresh(draft)
    assert (draft.title, draft.version) == ("Titel von Ada", 3)


@pytest.mark.parametrize("version", ["", "x", "-1", "99999999999999999999"])
def test_a_version_that_is_none_saves_nothing(organiser, make, version):
    draft = make.draft(title="Erster Titel")
    answer = organiser.submit(editor(organiser, draft), {"title": "Neu", "version": version}, form="editor")
    db.session.refresh(draft)
    assert (answer.status_code in (409, 422), draft.title) == (True, "Erster Titel")


# --- preview, publishing, copying ---------------------------------------------------------------------------


def test_a_draft_is_shown_as_its_public_page_to_organisers_only(organiser, client, make):
    draft = make.draft(title="Register ohne Mitte", summary="Wer **prüft**?")
    page = organiser.page(f"/organise/events/{draft.id}/preview")
    assert "Vorschau – nur Sie sehen diese Seite" in page.text
    assert "<strong>prüft</strong>" in page.html
    assert [form.id for form in page.forms if form.id == "signup"] == []
    assert organiser.get(f"/events/{draft.slug}").status_code == 404
    talk = make.event()
    assert organiser.get(f"/organise/events/{talk.id}/preview").location == f"/events/{talk.slug}"


def test_a_bare_draft_can_be_previewed_too(organiser, make):
    make.series()
    new(organiser, {"title": "Nur ein Titel"})
    assert "Nur ein Titel" in organiser.page(f"/organise/events/{only_event().id}/preview").text


def test_saving_can_lead_to_the_preview_or_to_publishing(organiser, make):
    make.series()
    page = organiser.page("/organise/events/new")
    answer = organiser.submit(page, {"title": "Neu", "action": "publish"}, form="editor")
    event = only_event()
    assert answer.location == f"/organise/events/{event.id}/publish"
    look = organiser.submit(editor(organiser, event), {"action": "look"}, form="editor")
    assert look.location == f"/organise/events/{event.id}/preview"


def test_publishing_an_empty_draft_lists_what_is_missing_with_links(organiser, make):
    make.series()
    new(organiser, {"title": "Neu"})
    event = only_event()
    page = organiser.page(f"/organise/events/{event.id}/publish")
    ways = [href.rpartition("#")[2] for href, _words in page.links if "#" in href and str(event.id) in href]
    assert ways[:3] == ["date", "address", "capacity_on_site"]
    assert "Veröffentlichen" not in [words for _href, words in page.links]
    answer = organiser.submit(page, form="publish")
    db.session.refresh(event)
    assert (answer.status_code, event.state) == (422, EventState.DRAFT)


def test_publishing_says_where_the_page_is_and_that_nobody_is_told(organiser, make):
    make.series()
    new(organiser, EVERYTHING)
    event = only_event()
    page = organiser.page(f"/organise/events/{event.id}/publish")
    assert "Jetzt erhält niemand eine Nachricht" in page.text
    assert f"/events/{event.slug}" in page.text
    answer = organiser.submit(page, form="publish")
    db.session.refresh(event)
    assert (answer.status_code, event.state, event.published_at) == (303, EventState.PUBLISHED, NOON)
    again = organiser.submit(page, form="publish")
    assert (again.status_code, again.location) == (303, f"/organise/events/{event.id}")
    assert organiser.get(f"/events/{event.slug}").status_code == 200


def test_publishing_says_how_many_follow_the_theme_shows_their_mail_and_tells_just_them(organiser, make, owed):
    theme = make.theme(name="Register")
    for _number in range(2):
        make.follow(make.person(), theme_id=theme.id)
    make.follow(make.person(), theme_id=theme.id, proved_at=None)
    draft = make.draft(title="Register ohne Mitte", theme_id=theme.id)
    page = organiser.page(f"/organise/events/{draft.id}/publish")
    assert "niemand" not in page.text
    assert "2 Personen folgen dem Thema „Register“ und erhalten diese Nachricht" in page.text
    assert "Veröffentlichen und 2 Personen informieren" in page.text
    assert "Betreff: Neu: Register ohne Mitte" in page.text
    assert owed() == []
    assert organiser.submit(page, form="publish").status_code == 303
    assert [kind for kind, _person in owed()] == [Kind.NEWS] * 2


def test_the_editor_leads_to_a_new_agency(organiser, make):
    page = editor(organiser, make.draft())
    assert ("/organise/agencies/new", "Behörde anlegen") in page.links


def test_publishing_a_stale_draft_shows_the_newest_first(organiser, make):
    draft = make.draft()
    page = organiser.page(f"/organise/events/{draft.id}/publish")
    organiser.submit(editor(organiser, draft), {"title": "Neuer Titel"}, form="editor")
    answer = organiser.submit(page, form="publish")
    db.session.refresh(draft)
    assert (answer.status_code, draft.state) == (409, EventState.DRAFT)
    assert "Neuer Titel" in Page(answer).text


def test_a_copy_is_made_by_a_button_only_and_once(organiser, make):
    talk = make.event(title="Register ohne Mitte")
    page = organiser.page(f"/organise/events/{talk.id}/duplicate")
    assert db.session.query(Event).count() == 1
    first, second = (organiser.submit(page, form="duplicate") for _ in range(2))
    assert (first.status_code, first.location == second.location, db.session.query(Event).count()) == (303, True, 2)
    copy = db.session.query(Event).filter(Event.id != talk.id).one()
    assert (copy.title, copy.state, copy.starts_at) == ("Register ohne Mitte", EventState.DRAFT, None)


# --- who may -----------------------------------------------------------------------------------------------


PATHS = ("", "/preview", "/publish", "/duplicate", "/cancel", "/change", "/sign-up")


@pytest.mark.parametrize("path", PATHS)
def test_only_organisers_enter(client, make, path):
    draft = make.draft()
    address = f"/organise/events/{draft.id}{path}"
    assert client.get(address).status_code == 303
    client.sign_in(make.person())
    assert client.get(address).status_code == 403
    if path != "/preview":
        assert client.post(address, headers={"Origin": "http://localhost"}).status_code == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", ["999", "2147483648", "99999999999999999999999"])
def test_a_talk_that_does_not_exist_is_not_found(organiser, path, number):
    assert organiser.get(f"/organise/events/{number}{path}").status_code == 404


def test_the_editor_asks_as_many_questions_for_three_speakers_as_for_one(organiser, make, query_count):
    counts = []
    for number in (1, 3):
        draft = make.draft(speakers=tuple(make.speaker() for _ in range(number)))
        make.theme()
        with query_count() as queries:
            editor(organiser, draft)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_english_organisers_read_english(organiser, make):
    make.series()
    answer = organiser.submit("/en/organise/events/new", {"title": "Registers"}, form="editor")
    assert answer.location == f"/en/organise/events/{only_event().id}"
    assert "The draft is saved" in organiser.page(answer.location).text
