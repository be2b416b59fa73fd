import pytest
import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.errors import NameTaken, NotFound, SlugTaken, StaleVersion, StillUsed
from whatsnext.models import Event
from whatsnext.services import themes
from whatsnext.services.themes import ThemeDetails


def page_versions():
    db.session.expire_all()
    return {event.slug: event.page_version for event in db.session.scalars(sa.select(Event))}


def test_a_new_theme_shows_on_the_home_page_of_its_series(make):
    series = make.series()
    with write():
        theme = themes.create(ThemeDetails(series.id, "Cloud Computing", colour=4))
    assert (theme.slug, theme.colour, series.page_version) == ("cloud-computing", 4, 2)


def test_two_series_may_have_a_theme_of_the_same_name(make):
    first, second = make.series(), make.series()
    with write():
        made = [themes.create(ThemeDetails(one.id, "Blockchain")) for one in (first, second)]
    assert [theme.slug for theme in made] == ["blockchain", "blockchain-2"]


def test_within_a_series_a_name_is_given_once(make):
    theme = make.theme(name="Blockchain")
    with pytest.raises(NameTaken), write():
        themes.create(ThemeDetails(theme.series_id, "Blockchain"))


def test_a_theme_of_no_series_is_refused(app):
    with pytest.raises(NotFound), write():
        themes.create(ThemeDetails(99, "Blockchain"))


def test_a_changed_theme_shows_on_the_pages_of_its_talks_and_stays_in_its_series(make):
    theme, other = make.theme(), make.theme()
    talk, foreign = make.event(theme_id=theme.id), make.event(theme_id=other.id)
    elsewhere = make.series()
    with write():
        themes.change(theme.id, ThemeDetails(elsewhere.id, "Register", colour=8), 1)
    assert page_versions() == {talk.slug: 2, foreign.slug: 1}
    assert (theme.name, theme.colour, theme.series_id, theme.version) == ("Register", 8, talk.series_id, 2)


def test_of_two_editors_the_second_is_refused(make):
    theme = make.theme()
    with write():
        themes.change(theme.id, ThemeDetails(theme.series_id, "Erste"), 1)
    with pytest.raises(StaleVersion), write():
        themes.change(theme.id, ThemeDetails(theme.series_id, "Zweite"), 1)
    assert theme.name == "Erste"


def test_the_name_and_the_address_of_another_theme_are_refused(make):
    theme, other = make.theme(), make.theme()
    with pytest.raises(NameTaken), write():
        themes.change(theme.id, ThemeDetails(theme.series_id, other.name), 1)
    with pytest.raises(SlugTaken), write():
        themes.change(theme.id, ThemeDetails(theme.series_id, "Frei", slug=other.slug), 1)


def test_a_theme_that_a_talk_has_stays_and_another_goes(make):
    used, unused = make.theme(), make.theme()
    make.draft(theme_id=used.id)
    with pytest.raises(StillUsed), write():
        themes.delete(used.id)
    with write():
        themes.delete(unused.id)
    assert [(row.name, row.talks) for row in themes.listed()] == [(used.name, 1)]


def test_there_is_no_theme_with_a_number_nobody_has(app):
    for act in (themes.one, themes.delete, lambda number: themes.change(number, ThemeDetails(1, "X"), 1)):
        with pytest.raises(NotFound), write():
            act(99)


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_one_question(make, query_count, number):
    for _each in range(number):
        make.event(theme_id=make.theme().id)
    with query_count() as queries:
        assert [row.talks for row in themes.listed()] == [1] * number
    assert len(queries) == 1
