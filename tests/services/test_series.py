import pytest
import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.errors import NameTaken, NotFound, SlugTaken, StaleVersion, StillUsed, UnknownZone
from whatsnext.models import Event, Series
from whatsnext.services import series
from whatsnext.services.series import SeriesDetails


def details(**changes):
    return SeriesDetails(**{"name": "What's NEXt", "contact_email": "next@behoerde.example", **changes})


def page_versions():
    db.session.expire_all()
    return {event.slug: event.page_version for event in db.session.scalars(sa.select(Event))}


def test_the_address_of_a_new_series_is_made_from_its_name(app):
    with write():
        made = [series.create(details()), series.create(details(name="Whats-next!"))]
    assert [(one.slug, one.position) for one in made] == [("what-s-next", 0), ("whats-next", 1)]


def test_a_name_without_a_letter_still_gets_an_address_of_its_own(app):
    with write():
        made = [series.create(details(name=name)) for name in ("日本", "…")]
    assert [one.slug for one in made] == ["reihe", "reihe-2"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "Reihe A"}, NameTaken),
        ({"slug": "reihe-a"}, SlugTaken),
        ({"zone": "Europe/Atlantis"}, UnknownZone),
    ],
)
def test_a_series_is_refused_that_nobody_could_tell_apart_or_that_has_no_clock(make, changes, error):
    make.series(name="Reihe A", slug="reihe-a")
    with pytest.raises(error), write():
        series.create(details(**changes))
    assert [row.name for row in series.listed()] == ["Reihe A"]


def test_a_changed_series_shows_on_its_own_pages_only(make):
    own, other = make.series(), make.series()
    talk, foreign = make.event(series=own), make.event(series=other)
    with write():
        series.change(own.id, details(summary="Neu"), own.version)
    assert page_versions() == {talk.slug: 2, foreign.slug: 1}
    assert [(one.summary, one.version, one.page_version) for one in (own, other)] == [("Neu", 2, 2), ("", 1, 1)]


def test_of_two_editors_the_second_is_refused(make):
    one = make.series()
    with write():
        series.change(one.id, details(name="Erste"), 1)
    with pytest.raises(StaleVersion), write():
        series.change(one.id, details(name="Zweite"), 1)
    assert one.name == "Erste"


def test_a_series_keeps_its_own_name_and_address(make):
    one = make.series(name="Reihe A", slug="reihe-a")
    with write():
        series.change(one.id, details(name="Reihe A", slug="reihe-a", offer_hours=8), 1)
    assert (one.slug, one.offer_hours) == ("reihe-a", 8)


def test_the_address_of_another_series_is_refused(make):
    one, other = make.series(), make.series()
    with pytest.raises(SlugTaken), write():
        series.change(one.id, details(slug=other.slug), 1)


@pytest.mark.parametrize("used_by", ["theme", "draft"])
def test_a_series_in_use_stays(make, used_by):
    one = make.series()
    getattr(make, used_by)(series=one)
    with pytest.raises(StillUsed), write():
        series.delete(one.id)
    assert db.session.get(Series, one.id) is one


def test_an_empty_series_goes(make):
    one = make.series()
    with write():
        series.delete(one.id)
    assert series.listed() == []


def test_there_is_no_series_with_a_number_nobody_has(app):
    for act in (series.one, series.delete, lambda number: series.change(number, details(), 1)):
        with pytest.raises(NotFound), write():
            act(99)


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_one_question(make, query_count, number):
    for _each in range(number):
        make.theme(series=make.series())
    with query_count() as queries:
        assert [row.themes for row in series.listed()] == [1] * number
    assert len(queries) == 1
