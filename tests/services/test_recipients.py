from datetime import timedelta

import pytest

from tests.factories import NOON
from whatsnext.db import write
from whatsnext.errors import LinkExpired, LinkInvalid, NobodyToTell, RecipientsChanged
from whatsnext.models import Status
from whatsnext.services import recipients, registrations
from whatsnext.services.participants import Search, Show
from whatsnext.services.recipients import Act, Choice


@pytest.fixture
def talk(make):
    return make.event()


@pytest.mark.parametrize(
    ("act", "meant"),
    [
        (Act.MESSAGE, [Status.WAITING, Status.OFFERED, Status.CONFIRMED]),
        (Act.INVITE, [Status.CONFIRMED]),
        (Act.PROMOTE, [Status.WAITING]),
        (Act.REMOVE, [Status.HELD, Status.WAITING, Status.OFFERED, Status.CONFIRMED]),
    ],
)
def test_an_act_means_only_those_it_is_possible_for(make, talk, act, meant):
    for status in Status:
        make.registration(talk, status)
    everyone = recipients.choose(Choice(talk.id, act, search=Search()))
    assert [one.status for one in everyone.people] == meant
    assert everyone.left_out == len(Status) - len(meant)


def test_nobody_unproved_gets_what_someone_typed(make, talk):
    make.registration(talk, Status.WAITING, proved=False)
    with pytest.raises(NobodyToTell):
        recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search()))


def test_those_ticked_are_meant_and_nobody_of_another_talk(make, talk):
    ticked, _other, foreign = make.registration(talk), make.registration(talk), make.registration(make.event())
    chosen = recipients.choose(Choice(talk.id, Act.INVITE, (ticked.ref, foreign.ref)))
    assert (chosen.people, chosen.left_out) == ([ticked], 0)


def test_all_of_a_list_are_those_its_search_finds(make, talk):
    found = make.registration(talk, person=make.person(agency="Stadt Köln"))
    make.registration(talk, person=make.person(agency="Dataport"))
    chosen = recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search(Show.CONFIRMED, "köln")))
    assert chosen.people == [found]


def test_nobody_chosen_is_refused(make, talk):
    make.registration(talk)
    with pytest.raises(NobodyToTell):
        recipients.choose(Choice(talk.id, Act.MESSAGE))


def sealed(talk, act=Act.MESSAGE, words=("Betreff", "Text")):
    return recipients.seal(recipients.choose(Choice(talk.id, act, search=Search())), NOON, words)


def unseal(token, talk, act=Act.MESSAGE, now=NOON, words=("Betreff", "Text")):
    return recipients.unseal(token, talk.id, act, now, words)


def test_what_the_preview_has_shown_comes_back(make, talk):
    people = [make.registration(talk), make.registration(talk, Status.WAITING)]
    assert unseal(sealed(talk), talk).people == people


def test_one_person_more_one_less_or_another_state_is_refused(make, talk):
    first, waiting = make.registration(talk), make.registration(talk, Status.WAITING)
    token = sealed(talk)
    make.registration(talk)
    with pytest.raises(RecipientsChanged):
        unseal(token, talk)
    token = sealed(talk)
    with write():
        registrations.cancel(first.id, NOON)
    assert waiting.status is Status.CONFIRMED
    with pytest.raises(RecipientsChanged):
        unseal(token, talk)


def test_other_words_than_shown_are_refused(make, talk):
    make.registration(talk)
    with pytest.raises(RecipientsChanged):
        unseal(sealed(talk), talk, words=("Betreff", "Anderer Text"))


def test_a_seal_is_good_for_one_talk_one_act_and_one_day(make, talk):
    make.registration(talk)
    token, other = sealed(talk), make.event()
    with pytest.raises(LinkInvalid):
        unseal(token, other)
    with pytest.raises(LinkInvalid):
        unseal(token, talk, act=Act.REMOVE)
    with pytest.raises(LinkInvalid):
        unseal(token[:-2], talk)
    with pytest.raises(LinkExpired):
        unseal(token, talk, now=NOON + timedelta(hours=24))
