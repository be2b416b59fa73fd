import pytest
import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.errors import NameTaken, NotFound, StaleVersion, StillUsed
from whatsnext.models import Event
from whatsnext.services import speakers
from whatsnext.services.speakers import SpeakerDetails


def page_versions():
    db.session.expire_all()
    return {event.slug: event.page_version for event in db.session.scalars(sa.select(Event))}


def test_two_agencies_may_send_people_of_the_same_name(make):
    first, second = make.agency(), make.agency()
    make.speaker(name="Kim Muster", agency_id=first.id)
    with write():
        speakers.create(SpeakerDetails("Kim Muster", agency_id=second.id))
        speakers.create(SpeakerDetails("Kim Muster"))
    for agency_id in (first.id, None):
        with pytest.raises(NameTaken), write():
            speakers.create(SpeakerDetails("Kim Muster", agency_id=agency_id))


def test_a_speaker_of_no_known_agency_is_refused(app):
    with pytest.raises(NotFound), write():
        speakers.create(SpeakerDetails("Kim Muster", agency_id=99))


def test_a_changed_speaker_shows_on_the_pages_of_the_talks(make):
    speaker = make.speaker()
    talk, foreign = make.event(speakers=(speaker,)), make.event(speakers=(make.speaker(),))
    with write():
        speakers.change(speaker.id, SpeakerDetails("Ayşe Yılmaz", biography="Neu"), 1)
    assert page_versions() == {talk.slug: 2, foreign.slug: 1}
    assert (speaker.name, speaker.biography, speaker.version) == ("Ayşe Yılmaz", "Neu", 2)


def test_of_two_editors_the_second_is_refused(make):
    speaker = make.speaker()
    with write():
        speakers.change(speaker.id, SpeakerDetails("Erste"), 1)
    with pytest.raises(StaleVersion), write():
        speakers.change(speaker.id, SpeakerDetails("Zweite"), 1)
    assert speaker.name == "Erste"


def test_whoever_speaks_at_a_talk_stays_and_another_goes(make):
    used, unused = make.speaker(), make.speaker()
    make.draft(speakers=(used,))
    with pytest.raises(StillUsed), write():
        speakers.delete(used.id)
    with write():
        speakers.delete(unused.id)
    assert [(row.name, row.talks) for row in speakers.listed()] == [(used.name, 1)]


def test_there_is_no_speaker_with_a_number_nobody_has(app):
    for act in (speakers.one, speakers.delete, lambda number: speakers.change(number, SpeakerDetails("X"), 1)):
        with pytest.raises(NotFound), write():
            act(99)


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_asks_one_question(make, query_count, number):
    for _each in range(number):
        make.event(speakers=(make.speaker(agency_id=make.agency().id),))
    with query_count() as queries:
        assert [row.talks for row in speakers.listed()] == [1] * number
    assert len(queries) == 1
