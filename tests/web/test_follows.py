"""Following a theme by mail in the browser, and ending it by one click of a mail program (RFC 8058, safety.md O8)."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON
from tests.mail.worlds import send_all
from tests.web import robot
from whatsnext.db import db
from whatsnext.models import Follow, Kind
from whatsnext.services import follows

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ADDRESS = {"email": "ada@behoerde.example"}


def followed():
    db.session.rollback()
    return db.session.scalars(select(Follow).order_by(Follow.id)).all()


def links(smtp, pattern):
    return [re.search(pattern, mail.part("text/plain"))[1] for mail in smtp.mails]


def test_from_the_theme_page_to_the_first_news_and_out_again(make, client, smtp, owed):
    theme = make.theme(slug="blockchain", name="Blockchain")
    answer = client.submit("/themes/blockchain", ADDRESS, form="/themes/blockchain/follow")
    assert (answer.status_code, answer.location) == (303, "/follow/check-your-mail")
    page = client.page(answer.location)
    assert "Fast fertig" in page.text
    assert "next@localhost" in page.text
    assert send_all() == 1
    (link,) = links(smtp, r"http://[^/\s]+(/follow/\S+)")
    page = client.page(link)
    assert "Blockchain" in page.text
    assert not follows.holds(followed()[0])
    answer = client.submit(page)
    assert follows.holds(followed()[0])
    page = client.page(answer.location)
    assert "Sie folgen dem Thema Blockchain" in page.text
    assert "Bestätigt. Ab jetzt schreiben wir Ihnen." in page.text
    assert "Bestätigt." not in client.page(answer.location).text
    assert "a…a@behoerde.example" in page.text
    answer = client.submit(page)
    assert not follows.holds(followed()[0])
    assert "Keine weiteren Nachrichten" in client.page(answer.location).text
    assert theme.id == followed()[0].theme_id


def test_the_theme_page_sets_no_cookie_and_is_answered_by_304(make, client):
    make.theme(slug="t")
    first = client.get("/themes/t")
    assert "Set-Cookie" not in first.headers
    assert client.get("/themes/t", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_known_unknown_following_and_blocked_addresses_get_the_same_answer(make, client):
    theme = make.theme(slug="t")
    make.person(email="known@behoerde.example")
    make.person(email="blocked@behoerde.example", blocked_at=NOON)
    make.follow(make.person(email="follows@behoerde.example"), theme_id=theme.id)
    answers = []
    for name in ("known", "unknown", "blocked", "follows"):
        answer = client.submit("/themes/t", {"email": f"{name}@behoerde.example"}, form="/themes/t/follow")
        answers.append((answer.status_code, answer.location))
    assert answers == [(303, "/follow/check-your-mail")] * 4


def test_a_wrong_address_is_kept_and_said_at_the_field(make, client):
    make.theme(slug="t")
    answer = client.submit("/themes/t", {"email": "ada"}, form="/themes/t/follow")
    assert answer.status_code == 422
    assert 'value="ada"' in answer.text
    assert "@-Zeichen" in answer.text
    assert followed() == []


def test_the_trap_keeps_robots_out_and_what_was_typed(make, client):
    make.theme(slug="t")
    answer = client.submit("/themes/t", {**ADDRESS, "website": "x"}, form="/themes/t/follow")
    assert answer.status_code == 422
    assert 'value="ada@behoerde.example"' in answer.text
    assert followed() == []


def test_an_address_is_asked_for_so_often_and_no_more(make, client):
    make.theme(slug="t")
    statuses = [client.submit("/themes/t", ADDRESS, form="/themes/t/follow").status_code for _number in range(21)]
    assert statuses == [303] * 20 + [429]


def test_another_browser_has_to_choose_and_nothing_is_preselected(make, client, app):
    follow = make.follow(theme_id=make.theme().id, proved_at=None, browser="digest")
    link = f"/follow/{follows.confirm_token(follow)}"
    page = client.page(link)
    assert client.submit(page).status_code == 422
    assert client.submit(page, {"choice": "no"}).status_code == 303
    assert (followed()[0].proved_at, followed()[0].ended_at) == (None, NOON)


def test_a_link_used_again_shows_how_it_stands(make, client):
    follow = make.follow(theme_id=make.theme(name="Cloud").id)
    page = client.page(f"/follow/{follows.confirm_token(follow)}")
    assert "Sie folgen dem Thema Cloud" in page.text


def test_a_link_of_yesterday_but_one_has_expired(make, client, at):
    follow = make.follow(theme_id=make.theme().id, proved_at=None)
    at(NOON + timedelta(hours=49))
    assert client.page(f"/follow/{follows.confirm_token(follow)}").status == 410


@pytest.mark.parametrize("proved_at", [None, NOON])
def test_a_robot_behind_the_links_changes_nothing(make, app, proved_at):
    follow = make.follow(theme_id=make.theme().id, proved_at=proved_at, browser="digest")
    before = robot.rows()
    for link in (f"/follow/{follows.confirm_token(follow)}", f"/following/{follows.follow_token(follow, NOON)}"):
        robot.scan(app.test_client(), link)
    assert robot.rows() == before


# --- one click -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/en"])
def test_one_click_ends_it_without_cookie_token_or_redirect(make, client, prefix):
    follow = make.follow(theme_id=make.theme().id)
    answer = client.post(f"{prefix}/following/{follows.follow_token(follow, NOON)}", data=ONE_CLICK)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "Set-Cookie" not in answer.headers
    assert followed()[0].ended_at == NOON
    assert client.post(f"/following/{follows.follow_token(follow, NOON)}", data=ONE_CLICK).status_code == 200


def test_one_click_as_multipart_form_ends_it_too(make, client):
    follow = make.follow(theme_id=make.theme().id)
    address = f"/following/{follows.follow_token(follow, NOON)}"
    assert client.post(address, data=ONE_CLICK, content_type="multipart/form-data").status_code == 200
    assert followed()[0].ended_at == NOON


def test_whom_it_ends_stands_in_the_token_and_nowhere_else(make, client):
    theme = make.theme()
    ada, grace = make.follow(theme_id=theme.id), make.follow(theme_id=theme.id)
    address = f"/following/{follows.follow_token(ada, NOON)}"
    client.post(address, data={**ONE_CLICK, "token": follows.follow_token(grace, NOON), "email": grace.person.email})
    client.post(f"{address}?token={follows.follow_token(grace, NOON)}", data=ONE_CLICK)
    assert [one.ended_at for one in followed()] == [NOON, None]


def test_a_get_and_an_empty_post_end_nothing(make, client):
    follow = make.follow(theme_id=make.theme().id)
    address = f"/following/{follows.follow_token(follow, NOON)}"
    for answer in (client.get(address), client.post(address), client.post(address, data={"List-Unsubscribe": "no"})):
        assert answer.status_code in (200, 422)
    assert followed()[0].ended_at is None


# --- the opening of a talk's sign-up -----------------------------------------------------------------------


def test_the_page_of_an_announced_talk_offers_a_mail_when_sign_up_opens(make, client, owed):
    talk = make.event(slug="t", registration_opens=NOON + timedelta(days=1))
    page = client.page("/events/t")
    assert ("/events/t/remind", "Beim Start der Anmeldung erinnern") in page.links
    answer = client.submit("/events/t/remind", ADDRESS, form="/events/t/remind")
    assert (answer.status_code, answer.location) == (303, "/follow/check-your-mail")
    (follow,) = followed()
    assert (follow.event_id, follow.theme_id) == (talk.id, None)
    assert owed() == [(Kind.FOLLOW_REQUEST, follow.person)]
    page = client.page(f"/follow/{follows.confirm_token(follow)}")
    client.submit(page)
    assert "Sie werden beim Start der Anmeldung erinnert" in client.page(page.response.request.path).text


def test_a_talk_that_is_open_needs_no_reminding(make, client):
    make.event(slug="t")
    assert "/events/t/remind" not in [href for href, _words in client.page("/events/t").links]
    assert client.get("/events/t/remind").location == "/events/t"


# --- the organiser's side ----------------------------------------------------------------------------------


def test_publishing_in_the_browser_owes_the_news(make, organiser, owed):
    theme = make.theme()
    follow = make.follow(theme_id=theme.id)
    talk = make.draft(theme_id=theme.id)
    organiser.submit(f"/organise/events/{talk.id}/publish", form=f"/organise/events/{talk.id}/publish")
    assert owed() == [(Kind.NEWS, follow.person)]


def test_the_reminders_of_a_series_are_edited_with_it(make, organiser):
    series = make.series()
    path = f"/organise/series/{series.id}"
    answer = organiser.submit(path, {"reminders": "ein Tag"}, form="form")
    assert answer.status_code == 422
    assert 'value="ein Tag"' in answer.text
    assert organiser.submit(path, {"reminders": "30, 2880"}, form="form").status_code == 303
    db.session.refresh(series)
    assert series.reminders == "2880,30"
