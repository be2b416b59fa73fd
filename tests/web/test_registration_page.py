"""The page of one registration: state, link, choices (experience.md §4, safety.md I5, I6, Forwarding)."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.pages import Page
from tests.web import robot
from whatsnext import tokens
from whatsnext.db import db, write
from whatsnext.models import CancelledBy, EventState, Kind, Message, MessageState, Mode, PartStat, Registration, Status
from whatsnext.services import registrations, waiting_list

SECRET = "b" * 43


def link(registration, verb=""):
    return f"/registrations/{registrations.manage_token(registration)}{verb}"


def fresh(registration):
    db.session.rollback()
    return db.session.get(Registration, registration.id, populate_existing=True)


@pytest.fixture
def own(client, make):
    """The browser that signed up: own(registration)."""

    def browser(registration):
        with write():
            registration.browser = tokens.digest(SECRET)
        client.set_cookie("wn-asked", SECRET)
        return client

    return browser


# --- what it shows ---------------------------------------------------------------------------------------


def test_a_confirmed_place_shows_state_time_place_invitation_and_code(make, client):
    talk = make.event(title="Register", slug="t")
    mine = make.registration(talk, ref="abcdefghijklmnopqrstuvwxyz")
    sent_at = NOON - timedelta(hours=1)
    make.message(Kind.INVITATION, mine, state=MessageState.SENT, settled_at=sent_at)
    page = client.page(link(mine))
    for words in (
        "Meine Anmeldung",
        "Sie nehmen teil: vor Ort",
        "Register",
        "Montag, 19. Januar 2026 14:00–15:30 Uhr (Berlin)",
        "Beispielstraße 1, 10115 Berlin",
        "Die Einladung wurde gesendet am Mo., 5. Januar 2026, 12:00 Uhr (Berlin).",
        "ABCD EFGH IJKL MNOP QRST UVWX YZ",
    ):
        assert words in page.text
    verbs = [href.rpartition("/")[2] for href, _words in page.links if href.startswith(link(mine) + "/")]
    assert verbs == ["resend-invitation", "calendar.ics", "cancel", "change", "new-link"]


@pytest.mark.parametrize(
    ("partstat", "words"),
    [
        (PartStat.ACCEPTED, "Sie haben sie im Kalender angenommen."),
        (PartStat.TENTATIVE, "Sie haben sie im Kalender vorläufig angenommen."),
        (PartStat.DECLINED, "Sie haben sie im Kalender abgelehnt."),
        (PartStat.DELEGATED, "Sie haben sie im Kalender weitergegeben; Ihr Platz bleibt bei Ihnen."),
    ],
)
def test_an_answer_from_the_calendar_is_shown(make, client, partstat, words):
    mine = make.registration(make.event(), partstat=partstat)
    make.message(Kind.INVITATION, mine, state=MessageState.SENT, settled_at=NOON)
    assert words in client.page(link(mine)).text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MessageState.OWED, "Die Einladung ist unterwegs."),
        (MessageState.DEFERRED, "Die Einladung ist unterwegs."),
        (MessageState.FAILED, "Die Einladung konnte nicht zugestellt werden."),
        (MessageState.LAPSED, "Die Einladung konnte nicht zugestellt werden."),
    ],
)
def test_an_invitation_that_is_not_out_yet_says_so(make, client, state, words):
    mine = make.registration(make.event())
    make.message(Kind.INVITATION, mine, state=state)
    assert words in client.page(link(mine)).text


def test_a_calendar_that_holds_an_older_version_is_said_to(make, client):
    mine = make.registration(make.event(), sequence=1)
    make.message(Kind.INVITATION, mine, state=MessageState.SENT, settled_at=NOON, sequence=0)
    update = make.message(Kind.UPDATE, mine, state=MessageState.SUPERSEDED)
    page = client.page(link(mine))
    assert (
        "Ihr Kalender zeigt vielleicht einen älteren Stand. Lassen Sie sich die Einladung erneut senden." in page.text
    )
    with write():
        update.state = MessageState.FAILED
    assert (
        "fragen Sie die Organisation. Ihr Kalender zeigt vielleicht einen älteren Stand."
        in client.page(link(mine)).text
    )


def test_whoever_declined_in_the_calendar_reads_that_it_was_understood(make, client):
    mine = make.registration(make.event(), Status.CANCELLED, partstat=PartStat.DECLINED)
    assert "Sie haben die Einladung im Kalender abgelehnt." in client.page(link(mine)).text
    mine = make.registration(make.event(), Status.CANCELLED, partstat=PartStat.ACCEPTED)
    assert "im Kalender" not in client.page(link(mine)).text


def test_the_join_link_is_for_those_confirmed_online_only(make, client):
    talk = make.event(places_on_site=3, places_online=3, join_link="https://video.example/geheim", dial_in="030 99")
    online = make.registration(talk, mode=Mode.ONLINE)
    others = [
        make.registration(talk, mode=Mode.ON_SITE),
        make.registration(talk, Status.WAITING, mode=Mode.ONLINE),
        make.registration(talk, Status.HELD, mode=Mode.ONLINE),
        make.registration(talk, Status.OFFERED, mode=Mode.ONLINE),
        make.registration(talk, Status.CANCELLED, mode=Mode.ONLINE),
    ]
    page = client.page(link(online))
    assert ("https://video.example/geheim", "Zugangslink") in page.links
    assert "Einwahl per Telefon 030 99" in page.text
    for other in others:
        html = client.page(link(other)).html + client.page(link(other, "/calendar.ics")).html
        assert "geheim" not in html
        assert "030 99" not in html


def test_someone_waiting_sees_the_place_in_line_and_what_happens(make, client):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    line = [make.registration(talk, Status.WAITING) for _ in range(3)]
    page = client.page(link(line[1]))
    assert "Warteliste: Platz 2 von 3" in page.text
    assert "Das gilt bis 24 Stunden vorher, danach fragen wir Sie." in page.text
    assert (link(line[1], "/cancel"), "Warteliste verlassen") in page.links


@pytest.mark.parametrize(
    ("status", "given", "words"),
    [
        (Status.HELD, {}, "Noch nicht bestätigt"),
        (Status.OFFERED, {}, "Ein Platz ist für Sie vorgemerkt"),
        (Status.EXPIRED, {}, "Ihre Anmeldung wurde nicht rechtzeitig bestätigt"),
        (Status.CANCELLED, {}, "Sie nehmen nicht teil"),
        (Status.CANCELLED, {"cancelled_by": CancelledBy.ORGANISER}, "Die Organisation hat Ihre Anmeldung beendet."),
    ],
)
def test_every_other_state_has_its_words(make, client, status, given, words):
    assert words in client.page(link(make.registration(make.event(), status, **given))).text


def test_a_cancelled_talk_and_a_past_one_offer_nothing_to_do(make, client, at):
    mine = make.registration(make.event(state=EventState.CANCELLED, cancelled_reason="Krank."))
    page = client.page(link(mine))
    assert "Diese Veranstaltung fällt aus. Grund: Krank." in page.text
    assert ("Die Veranstaltung ist abgesagt" in page.text, "Sie nehmen teil" in page.text) == (True, False)
    assert [href for href, _words in page.links if href.endswith(("/cancel", "/undo", "/switch"))] == []
    other = make.registration(make.event())
    at(NOON + timedelta(days=20))
    page = client.page(link(other))
    assert "Diese Veranstaltung ist beendet." in page.text
    assert [href for href, _words in page.links if href.endswith(("/cancel", "/undo", "/switch"))] == []


def test_whoever_comes_late_finds_code_way_and_invitation_while_the_talk_runs(make, client, at):
    talk = make.event(places_online=5)
    mine = make.registration(talk, mode=Mode.ON_SITE)
    verbs = ["resend-invitation", "calendar.ics", "switch", "cancel", "change", "new-link"]
    for moment in (talk.starts_at, talk.ends_at - timedelta(seconds=1)):
        at(moment)
        page = client.page(link(mine))
        assert "Für den Einlass" in page.text
        shown = [href.rpartition("/")[2] for href, _words in page.links if href.startswith(link(mine) + "/")]
        assert sorted(shown) == sorted(verbs)


def test_a_moved_talk_shows_both_times(make, client):
    talk = make.event(
        previous_starts_at=NOON, previous_ends_at=NOON + timedelta(hours=1), previous_zone="Europe/Berlin"
    )
    page = client.page(link(make.registration(talk)))
    assert "Neuer Termin: Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)" in page.text
    assert "bisher: Mo., 5. Januar 2026, 13:00–14:00 Uhr (Berlin)" in page.text


# --- who may open it -------------------------------------------------------------------------------------


def test_the_page_is_private_and_tells_nobody_its_address(make, client):
    headers = client.get(link(make.registration(make.event()))).headers
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"] == "noindex"


def test_the_link_shows_a_masked_address_and_neither_name_nor_needs(make, client):
    person = make.person(name="Grace Hopper", email="grace.hopper@behoerde.example")
    mine = make.registration(make.event(), person=person, needs="Rollstuhl")
    html = client.page(link(mine)).html
    assert "g…r@behoerde.example" in html
    assert [part for part in ("Hopper", "grace.hopper", "Rollstuhl") if part in html] == []


def test_with_the_link_alone_details_and_way_stay_as_they_are(make, client):
    mine = make.registration(make.event(places_on_site=2, places_online=2), needs="Rollstuhl")
    for verb in ("/change", "/switch"):
        page = client.page(link(mine, verb))
        assert "Zeigen Sie zuerst, dass Sie es sind" in page.text
        assert "Rollstuhl" not in page.html
        (target,) = [href for href, words in page.links if words == "Weiter"]
        assert target == f"/sign-in?next=/registrations/{mine.ref}{verb}"
        assert registrations.manage_token(mine) not in target


def test_the_ref_alone_opens_nothing_foreign_or_absent(make, client):
    mine = make.registration(make.event())
    client.sign_in(make.person())
    for path in ("", "/cancel", "/calendar.ics", "/qr"):
        foreign, absent = client.get(f"/registrations/{mine.ref}{path}"), client.get(f"/registrations/{'x' * 26}{path}")
        assert (foreign.status_code, absent.status_code) == (404, 404)
    page = client.page(f"/registrations/{mine.ref}")
    assert "Diese Seite öffnet sich mit Ihrem Link" in page.text


def test_the_asking_browser_without_the_link_opens_nothing(make, own):
    """Whoever typed a foreign address into the form must not see what became of it."""
    mine = make.registration(make.event())
    assert own(mine).get(f"/registrations/{mine.ref}").status_code == 404


def test_the_attendee_signed_in_opens_it_by_its_ref(make, client):
    person = make.person()
    mine = make.registration(make.event(), person=person)
    client.sign_in(person)
    page = client.page(f"/registrations/{mine.ref}")
    assert person.name in page.text


@pytest.mark.parametrize("key", ["x", "x.y", "a" * 200, "x%25", "ä"])
def test_a_forged_link_is_a_designed_page(make, client, key):
    page = client.page(f"/registrations/{key}")
    assert page.status == 400
    assert "Dieser Link" in page.text


def test_a_link_ends_thirty_days_after_the_talk(make, client, at):
    mine = make.registration(make.event())
    address = link(mine)
    at(NOON + timedelta(days=45))
    assert client.page(address).status == 410


# --- giving up, undoing ----------------------------------------------------------------------------------


def test_giving_up_needs_a_choice_and_moves_the_next_in_line(make, client, owed):
    talk = make.event(places_on_site=1)
    mine, following = make.registration(talk), make.registration(talk, Status.WAITING)
    page = client.page(link(mine, "/cancel"))
    assert "Ihr Platz geht an die nächste Person auf der Warteliste" in page.text
    assert client.submit(page, form=link(mine, "/cancel")).status_code == 422
    assert fresh(mine).status is Status.CONFIRMED
    answer = client.submit(page, {"choice": "yes"}, form=link(mine, "/cancel"))
    assert answer.location == f"/registrations/{mine.ref}?done=cancelled"
    assert (fresh(mine).status, fresh(following).status) == (Status.CANCELLED, Status.CONFIRMED)
    assert owed() == [(Kind.CANCELLATION, mine), (Kind.PROMOTION, following)]
    page = client.page(answer.location)
    assert "Sie haben Ihren Platz abgegeben." in page.text
    assert "Sie nehmen nicht teil" in page.text


@pytest.mark.parametrize(
    ("before_start", "proved", "words"),
    [
        (timedelta(days=3), True, "Ihr Platz geht an die nächste Person auf der Warteliste"),
        (timedelta(days=3), False, "Ihr Platz wird frei"),
        (timedelta(hours=2), True, "Ihr Platz wird der nächsten Person auf der Warteliste angeboten"),
        (timedelta(), True, "Ihr Platz wird frei"),
    ],
)
def test_giving_up_says_what_becomes_of_the_place(make, client, at, before_start, proved, words):
    talk = make.event(places_on_site=1)
    mine = make.registration(talk)
    make.registration(talk, Status.WAITING, proved=proved)
    address = link(mine, "/cancel")
    at(talk.starts_at - before_start)
    assert words in client.page(address).text


def test_choosing_to_keep_the_place_changes_nothing(make, client):
    mine = make.registration(make.event())
    before = robot.rows()
    answer = client.submit(link(mine, "/cancel"), {"choice": "no"}, form=link(mine, "/cancel"))
    assert "Es hat sich nichts geändert." in client.page(answer.location).text
    assert robot.rows() == before


def test_the_browser_that_asked_needs_one_press(make, own):
    mine = make.registration(make.event())
    browser = own(mine)
    assert browser.submit(link(mine, "/cancel"), form=link(mine, "/cancel")).status_code == 303
    assert fresh(mine).status is Status.CANCELLED


def test_undo_says_beforehand_that_a_place_is_free(make, client, owed):
    mine = make.registration(make.event(), Status.CANCELLED)
    page = client.page(link(mine, "/undo"))
    assert "Es ist ein Platz frei." in page.text
    answer = client.submit(page, {"choice": "yes"}, form=link(mine, "/undo"))
    assert fresh(mine).status is Status.CONFIRMED
    assert owed() == [(Kind.INVITATION, mine)]
    assert "Sie sind wieder dabei." in client.page(answer.location).text


def test_undo_says_beforehand_which_place_in_line_it_brings(make, client):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    mine = make.registration(talk, Status.CANCELLED)
    make.registration(talk, Status.WAITING)
    page = client.page(link(mine, "/undo"))
    assert "Der Platz ist vergeben. Sie kommen auf die Warteliste, Platz 1." in page.text
    answer = client.submit(page, {"choice": "yes"}, form=link(mine, "/undo"))
    assert "Warteliste: Platz 1 von 2" in client.page(answer.location).text


def test_whom_the_organisers_removed_cannot_undo(make, client):
    mine = make.registration(make.event(), Status.CANCELLED, cancelled_by=CancelledBy.ORGANISER)
    assert [href for href, _w in client.page(link(mine)).links if href.endswith("/undo")] == []
    answer = client.submit(link(mine, "/undo"), {"choice": "yes"}, form=link(mine, "/undo"))
    assert answer.status_code == 422
    assert fresh(mine).status is Status.CANCELLED


def test_giving_up_twice_is_told(make, client):
    mine = make.registration(make.event())
    page = client.page(link(mine, "/cancel"))
    client.submit(page, {"choice": "yes"}, form=link(mine, "/cancel"))
    answer = client.submit(page, {"choice": "yes"}, form=link(mine, "/cancel"))
    assert answer.status_code == 422


def test_going_back_to_a_page_of_a_place_given_up_shows_how_to_take_part_after_all(make, client):
    mine = make.registration(make.event())
    client.submit(client.page(link(mine, "/cancel")), {"choice": "yes"}, form=link(mine, "/cancel"))
    for act in ("/cancel", "/change"):
        page = client.page(link(mine, act))
        assert "Sie nehmen nicht teil" in page.text, act
        assert (link(mine, "/undo"), "Doch teilnehmen") in page.links, act


def test_leaving_the_line(make, client):
    talk = make.event(places_on_site=1)
    make.registration(talk)
    mine = make.registration(talk, Status.WAITING)
    page = client.page(link(mine, "/cancel"))
    assert "Sie geben Ihren Platz in der Warteliste ab." in page.text
    answer = client.submit(page, {"choice": "yes"}, form=link(mine, "/cancel"))
    assert "Sie haben die Warteliste verlassen." in client.page(answer.location).text


# --- changing --------------------------------------------------------------------------------------------


def test_the_own_browser_changes_details(make, own):
    mine = make.registration(make.event())
    browser = own(mine)
    changes = {"name": "Neuer Name", "needs": "Ein Platz ohne Stufen"}
    refused = browser.submit(link(mine, "/change"), changes, form=link(mine, "/change"))
    assert refused.status_code == 422
    assert Page(refused).form(link(mine, "/change")).values["name"] == ["Neuer Name"]
    answer = browser.submit(Page(refused), {"needs_consent": "y"}, form=link(mine, "/change"))
    assert "Ihre Angaben sind gespeichert." in browser.page(answer.location).text
    mine = fresh(mine)
    assert (mine.name, mine.needs, mine.needs_consent_at) == ("Neuer Name", "Ein Platz ohne Stufen", NOON)


def test_switching_to_online_keeps_the_person_in_and_tells_the_calendar(make, own, owed):
    talk = make.event(places_on_site=1, places_online=1)
    mine = make.registration(talk, mode=Mode.ON_SITE)
    browser = own(mine)
    answer = browser.submit(link(mine, "/switch"), form=link(mine, "/switch"))
    assert fresh(mine).mode is Mode.ONLINE
    assert owed() == [(Kind.UPDATE, mine)]
    assert "Sie nehmen teil: online" in browser.page(answer.location).text


def test_switching_to_a_full_way_is_not_offered_to_someone_with_a_place(make, own):
    talk = make.event(places_on_site=1, places_online=1)
    mine = make.registration(talk, mode=Mode.ON_SITE)
    make.registration(talk, mode=Mode.ONLINE)
    page = own(mine).page(link(mine))
    assert "Online sind zurzeit alle Plätze vergeben." in page.text
    assert [href for href, _words in page.links if href.endswith("/switch")] == []
    page = own(mine).page(link(mine, "/switch"))
    assert "Dort sind zurzeit alle Plätze vergeben. Sie behalten Ihren Platz." in page.text
    assert [form.action for form in page.forms if form.action.endswith("/switch")] == []


def test_someone_waiting_on_site_takes_a_free_place_online(make, own):
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, mode=Mode.ON_SITE)
    mine = make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    own(mine).submit(link(mine, "/switch"), form=link(mine, "/switch"))
    assert (fresh(mine).mode, fresh(mine).status) == (Mode.ONLINE, Status.CONFIRMED)


def test_a_place_gone_while_the_switch_page_was_open_is_told(make, own):
    talk = make.event(places_on_site=1, places_online=1)
    make.registration(talk, mode=Mode.ON_SITE)
    mine = make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    browser = own(mine)
    page = browser.page(link(mine, "/switch"))
    make.registration(talk, mode=Mode.ONLINE)
    answer = browser.submit(page, form=link(mine, "/switch"))
    assert answer.status_code == 409
    assert "Sie kommen auf die andere Warteliste, Platz 1." in Page(answer).text
    assert fresh(mine).mode is Mode.ON_SITE
    browser.submit(Page(answer), form=link(mine, "/switch"))
    assert (fresh(mine).mode, fresh(mine).status) == (Mode.ONLINE, Status.WAITING)


def test_a_talk_held_one_way_has_nothing_to_switch_to(make, own):
    mine = make.registration(make.event())
    assert own(mine).get(link(mine, "/switch")).status_code == 404


def test_the_invitation_is_sent_again(make, client, owed):
    mine = make.registration(make.event())
    client.submit(link(mine, "/resend-invitation"), {"choice": "yes"}, form=link(mine, "/resend-invitation"))
    assert owed() == [(Kind.INVITATION, mine)]


def test_a_new_link_ends_the_earlier_ones(make, client, owed):
    mine = make.registration(make.event())
    old = link(mine)
    answer = client.submit(old + "/new-link", {"choice": "yes"}, form=old + "/new-link")
    assert "Ein neuer Link ist unterwegs" in client.page(answer.location).text
    assert owed() == [(Kind.NEW_LINK, mine)]
    ended = client.page(old)
    assert (ended.status, "ein neuer beendet die früheren" in ended.text) == (410, True)
    assert "/my-registrations" in [href for href, words in ended.links if words == "Meine Anmeldungen"]
    assert client.page(f"/registrations/{mine.ref}").status == 404
    assert client.page(link(fresh(mine))).status == 200


def test_the_own_browser_stays_in_after_a_new_link(make, own):
    mine = make.registration(make.event())
    browser = own(mine)
    answer = browser.submit(link(mine, "/new-link"), form=link(mine, "/new-link"))
    assert "Die früheren gelten nicht mehr." in browser.page(answer.location).text


# --- after a press the address holds no secret -----------------------------------------------------------


def test_after_a_press_the_ref_opens_the_page_in_this_browser_as_far_as_the_link_did(make, client, app):
    mine = make.registration(make.event())
    client.submit(link(mine, "/resend-invitation"), {"choice": "yes"}, form=link(mine, "/resend-invitation"))
    page = client.page(f"/registrations/{mine.ref}")
    assert page.status == 200
    assert mine.name not in page.text
    assert "Zeigen Sie zuerst" in client.page(f"/registrations/{mine.ref}/change").text
    assert app.test_client().page(f"/registrations/{mine.ref}").status == 404


def test_a_refused_answer_remembers_nothing(make, client):
    mine = make.registration(make.event())
    client.submit(link(mine, "/cancel"), form=link(mine, "/cancel"))
    assert client.page(f"/registrations/{mine.ref}").status == 404


# --- robots ----------------------------------------------------------------------------------------------


def test_a_robot_that_opens_and_submits_everything_as_served_changes_nothing(make, app):
    talk = make.event(places_on_site=1, places_online=1)
    mine = make.registration(talk, mode=Mode.ON_SITE)
    waiting = make.registration(talk, Status.WAITING, mode=Mode.ON_SITE)
    gone = make.registration(talk, Status.CANCELLED, mode=Mode.ON_SITE)
    with write():
        waiting_list.touch(talk)
    before = robot.rows()
    forms = [robot.scan(app.test_client(), link(registration)) for registration in (mine, waiting, gone)]
    assert forms == [3, 2, 2]
    assert robot.rows() == before


def test_nothing_else_is_owed_by_looking(make, client):
    mine = make.registration(make.event())
    for _ in range(10):
        client.page(link(mine))
    assert db.session.query(Message).count() == 0


def test_the_join_link_of_a_protected_talk_is_for_the_person_not_for_the_link(make, client, own):
    talk = make.event(places_online=3, protected=True)
    mine = make.registration(talk)
    page = client.page(link(mine))
    assert (talk.join_link in page.text, "Anmelden und ansehen" in page.text) == (False, True)
    assert talk.join_link in own(mine).page(link(mine)).text


def test_saving_details_as_they_are_changes_nothing(make, own):
    mine = make.registration(make.event(), needs="Ein Platz ohne Stufen", needs_consent_at=NOON)
    browser = own(mine)
    before = robot.rows()
    answer = browser.submit(link(mine, "/change"), form=link(mine, "/change"))
    assert "Es hat sich nichts geändert." in browser.page(answer.location).text
    assert robot.rows() == before
