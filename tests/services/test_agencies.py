import pytest
import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.errors import NameTaken, NotFound, StaleVersion, StillUsed
from whatsnext.models import Event
from whatsnext.services import agencies
from whatsnext.services.agencies import AgencyDetails


def page_versions():
    db.session.expire_all()
    return {event.slug: event.page_version for event in db.session.scalars(sa.select(Event))}


def test_an_agency_is_named_once(make):
    agency = make.agency(name="Dataport")
    with pytest.raises(NameTaken), write():
        agencies.create(AgencyDetails("Dataport"))
    with write():
        agencies.create(AgencyDetails("Stadt Köln", city="Köln"))
    other = make.agency(name="ITZBund")
    with pytest.raises(NameTaken), write():
        agencies.change(other.id, AgencyDetails(agency.name), 1)


def test_a_changed_agency_shows_where_it_hosts_and_where_its_speakers_speak(make):
    agency = make.agency()
    hosted = make.event(host_id=agency.id)
    spoken = make.event(speakers=(make.speaker(agency_id=agency.id),))
    foreign = make.event(host_id=make.agency().id)
    with write():
        agencies.change(agency.id, AgencyDetails("Umbenannt", url="https://amt.example"), 1)
    assert page_versions() == {hosted.slug: 2, spoken.slug: 2, foreign.slug: 1}
    assert (agency.name, agency.url, agency.version) == ("Umbenannt", "https://amt.example", 2)


def test_of_two_editors_the_second_is_refused(make):
    agency = make.agency()
    with write():
        agencies.change(agency.id, AgencyDetails("Erste"), 1)
    with pytest.raises(StaleVersion), write():
        agencies.change(agency.id, AgencyDetails("Zweite"), 1)
    assert agency.name == "Erste"


def test_an_agency_in_use_stays_and_another_goes(make):
    host, sender, unused = make.agency(name="A"), make.agency(name="B"), make.agency(name="C")
    make.draft(host_id=host.id)
    make.speaker(agency_id=sender.id)
    for used in (host, sender):
        with pytest.raises(StillUsed), write():
            agencies.delete(used.id)
    with write():
        agencies.delete(unused.id)
    assert [(row.name, row.talks, row.speakers) for row in agencies.listed()] == [("A", 1, 0), ("B", 0, 1)]


def test_there_is_no_agency_with_a_number_nobody_has(app):
    for act in (agencies.one, agencies.delete, lambda number: agencies.change(number, AgencyDetails("X"), 1)):
        with pytest.raises(NotFound), write():
            act(99)


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_one_question(make, query_count, number):
    for _each in range(number):
        make.event(host_id=make.agency().id)
    with query_count() as queries:
        assert [row.talks for row in agencies.listed()] == [1] * number
    assert len(queries) == 1
