"""What stands in each feed, and for how long."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound
from whatsnext.models import EventState, Mode, PersonFeed, Series, Status
from whatsnext.services import feeds, invitations, registrations

TODAY = NOON.replace(hour=0)
DAY = timedelta(days=1)


def titles(shown):
    return [one.entry.summary for one in shown]


def test_a_series_a_theme_and_a_host_each_show_their_own_talks(make):
    one, two = make.series(slug="a"), make.series(slug="b")
    theme, host = make.theme(series=one, slug="cloud", colour=5), make.agency()
    make.event(title="Wolke", series=one, theme=theme)
    make.event(title="Gast", series=one, host=host)
    make.event(title="Suppe", series=two, host=host)
    assert titles(feeds.talks(feeds.of_series("a"), TODAY)) == ["Wolke", "Gast"]
    assert titles(feeds.talks(feeds.of_theme("cloud"), TODAY)) == ["Wolke"]
    assert titles(feeds.talks(feeds.of_host(host.id), TODAY)) == ["Gast", "Suppe"]
    assert feeds.of_theme("cloud").colour == 5


def test_drafts_and_talks_of_more_than_a_year_ago_are_not_in_it_and_the_soonest_come_first(make):
    series = make.series(slug="a")
    make.draft(title="Entwurf", series=series)
    for title, day in (("alt", datetime(2025, 1, 4, 14)), ("voriges Jahr", datetime(2025, 1, 6, 14))):
        make.event(title=title, series=series, starts_local=day)
    make.event(title="später", series=series, starts_local=datetime(2026, 5, 4, 14))
    make.event(title="bald", series=series, starts_local=datetime(2026, 2, 4, 14))
    assert titles(feeds.talks(feeds.of_series("a"), TODAY)) == ["voriges Jahr", "bald", "später"]


def test_a_cancelled_talk_is_marked_for_thirty_days_then_gone(make):
    make.series(slug="a")
    off = {"state": EventState.CANCELLED, "cancelled_reason": "Der Referent ist krank."}
    make.event(title="knapp", cancelled_at=TODAY - 29 * DAY, **off)
    make.event(title="vorbei", cancelled_at=TODAY - 30 * DAY, **off)
    (shown,) = feeds.talks(feeds.of_series("a"), TODAY)
    assert (shown.entry.summary, shown.cancelled) == ("knapp", True)
    assert shown.entry.description.startswith("Diese Veranstaltung fällt aus. Der Referent ist krank.\n\n")


def test_the_public_never_reads_the_join_link(make):
    make.series(slug="a")
    make.event(places_online=3, join_link="https://video.example/raum")
    (shown,) = feeds.talks(feeds.of_series("a"), TODAY)
    assert (shown.entry.join_link, shown.entry.location) == (None, "Online")
    assert "video.example" not in shown.entry.description


def test_an_agency_that_hosts_nothing_public_has_no_feed(make):
    host, speaks = make.agency(), make.agency()
    make.draft(host=host)
    for agency in (host, speaks):
        with pytest.raises(NotFound):
            feeds.of_host(agency.id)
    make.event(host=host)
    assert feeds.of_host(host.id).name == host.name
    assert [one.id for one in feeds.choices().hosts] == [host.id]


def test_what_does_not_exist_has_no_feed(app):
    for ask in (lambda: feeds.of_series("x"), lambda: feeds.of_theme("x"), lambda: feeds.of_host(1)):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(NotFound):
        feeds.by_secret("x" * 43)


def test_ones_own_feed_holds_confirmed_talks_only(make):
    ada = make.person()
    for title, status in (("dabei", Status.CONFIRMED), ("wartet", Status.WAITING), ("weg", Status.CANCELLED)):
        make.registration(make.event(title=title), status, person=ada)
    make.registration(make.event(title="von Grace"))
    assert titles(feeds.mine(ada.id, TODAY)) == ["dabei"]


def test_ones_own_feed_holds_the_join_link_of_whoever_takes_part_online_unless_the_talk_is_protected(make):
    ada = make.person()
    given = {"places_on_site": 3, "places_online": 3, "join_link": "https://video.example/raum"}
    for title, mode, protected in (
        ("online", Mode.ONLINE, False),
        ("vor Ort", Mode.ON_SITE, False),
        ("geschützt", Mode.ONLINE, True),
    ):
        make.registration(make.event(title=title, protected=protected, **given), mode=mode, person=ada)
    found = [(one.entry.summary, one.entry.join_link) for one in feeds.mine(ada.id, TODAY)]
    assert found == [("online", "https://video.example/raum"), ("vor Ort", None), ("geschützt", None)]
    assert ["video.example" in one.entry.description for one in feeds.mine(ada.id, TODAY)] == [True, False, False]


def test_ones_own_feed_shows_a_cancelled_talk_for_thirty_days(make):
    ada = make.person()
    talk = make.event(places_online=3)
    make.registration(talk, mode=Mode.ONLINE, person=ada)
    with write():
        talk.state, talk.cancelled_at = EventState.CANCELLED, NOON
        invitations.tell_cancellation(talk, NOON)
    (shown,) = feeds.mine(ada.id, TODAY)
    assert (shown.cancelled, shown.entry.join_link, shown.entry.sequence) == (True, None, 1)
    assert titles(feeds.mine(ada.id, TODAY + 30 * DAY)) == [talk.title]
    assert titles(feeds.mine(ada.id, TODAY + 31 * DAY)) == []


def test_the_sequence_never_falls_behind_the_invitation(make):
    mine = make.registration(make.event(sequence=1), sequence=4)
    (shown,) = feeds.mine(mine.person_id, TODAY)
    assert shown.entry.sequence == 4
    with write():
        registrations.cancel(mine.id, NOON)
    assert feeds.mine(mine.person_id, TODAY) == []


def test_renewing_ends_the_old_address_and_deleting_ends_all(make):
    ada, grace = make.person(), make.person()
    with write():
        old, other = feeds.renew(ada.id, NOON).secret, feeds.renew(grace.id, NOON).secret
    with write():
        new = feeds.renew(ada.id, NOON).secret
    assert len({old, new, other}) == 3
    assert (feeds.by_secret(new), feeds.by_secret(other)) == (ada.id, grace.id)
    with pytest.raises(NotFound):
        feeds.by_secret(old)
    with write():
        feeds.delete(ada.id)
    assert feeds.own(ada.id) is None
    with pytest.raises(NotFound):
        feeds.by_secret(new)
    assert feeds.by_secret(other) == grace.id


def test_a_secret_has_256_random_bits(make):
    ada = make.person()
    with write():
        feed = feeds.renew(ada.id, NOON)
    assert isinstance(feed, PersonFeed)
    assert len(feed.secret) == 43


def test_the_news_are_the_thirty_talks_announced_last(make):
    for number in range(32):
        make.event(title=f"{number}", published_at=NOON - timedelta(hours=number))
    make.draft(title="Entwurf")
    make.event(title="abgesagt", state=EventState.CANCELLED, cancelled_at=NOON)
    make.event(title="alt", published_at=NOON - timedelta(days=400))
    assert [talk.title for talk in feeds.announced(TODAY)] == [f"{number}" for number in range(30)]


FIRST = datetime(2026, 3, 16, 18, 0)


def test_a_feed_holds_every_part_with_the_uid_of_its_invitation(make):
    evenings = make.event(starts_local=FIRST, further=(FIRST + timedelta(days=1),))
    weekly = make.event(starts_local=FIRST + timedelta(days=2), every=1, times=3, series=evenings.series)
    source = feeds.of_series(db.session.get(Series, evenings.series_id).slug)
    shown = feeds.talks(source, NOON)
    assert [(each.entry.uid, each.entry.start) for each in shown] == [
        *((part.uid, part.starts_at) for part in evenings.parts),
        (weekly.uid, weekly.starts_at),
    ]
    assert shown[2].entry.repeat.count == 3


def test_ones_own_feed_holds_every_part(make):
    talk = make.event(starts_local=FIRST, further=(FIRST + timedelta(days=1),))
    own = make.registration(talk, sequence=4)
    shown = feeds.mine(own.person_id, NOON)
    assert [(each.entry.uid, each.entry.sequence) for each in shown] == [(part.uid, 4) for part in talk.parts]
