"""What a calendar answers, in the shape of every program, over IMAP and over LMTP: each does exactly what it should."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.factories import NOON, Make
from tests.mail.inbox import shapes
from tests.mail.inbox.shapes import Invited, Said
from tests.servers import Delivered
from whatsnext.db import db
from whatsnext.models import Incoming, Kind, PartStat, Registration, Status

every_shape = pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
both_ways = pytest.mark.parametrize("way", ["by_imap", "by_lmtp"])

Look = tuple[Status, PartStat, datetime | None]


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def look(registration: Registration) -> Look:
    db.session.refresh(registration)
    return registration.status, registration.partstat, registration.partstat_at


def arrived(mails: list[Delivered]) -> list[tuple[str, str]]:
    """Who got which METHOD ("" for none)."""
    methods = []
    for mail in mails:
        types = [part for part in mail.message.walk() if part.get_content_type() == "text/calendar"]
        methods.append((mail.recipients[0], str(types[0].get_param("method")) if types else ""))
    return methods


@both_ways
@every_shape
def test_an_attendee_answers_changes_the_mind_and_always_gets_what_is_right(
    make: Make,
    sent: Callable[[], list[Delivered]],
    at: Callable[[datetime], None],
    invited: Callable[[Registration], Invited],
    request: pytest.FixtureRequest,
    shape: shapes.Shape,
    way: str,
) -> None:
    talk = make.event(places_on_site=1)
    ada, linus = make.registration(talk), make.registration(talk, Status.WAITING)
    ada_mail, linus_mail = ada.person.email, linus.person.email
    known = invited(ada)
    send = request.getfixturevalue(way)

    def say(number: int, partstat: str, method: str = "REPLY") -> list[tuple[str, str]]:
        at(minute(number))
        send(shape(known, Said(partstat=partstat, method=method, at=minute(number))), known.organiser)
        return arrived(sent())

    assert say(1, "ACCEPTED") == []
    assert look(ada) == (Status.CONFIRMED, PartStat.ACCEPTED, minute(1))

    assert say(2, "TENTATIVE") == []
    assert look(ada) == (Status.CONFIRMED, PartStat.TENTATIVE, minute(2))

    assert say(3, "TENTATIVE", "COUNTER") == []
    assert look(ada) == (Status.CONFIRMED, PartStat.TENTATIVE, minute(2))
    proposal = db.session.query(Incoming).order_by(Incoming.id.desc()).first()
    assert proposal is not None
    assert (proposal.reason, proposal.proposed_start) == ("counter", known.start + timedelta(days=1))

    # Google marks what its users answer as sent by a machine, and nothing is sent to a machine for the asking
    again = [] if shape is shapes.google else [(ada_mail, "REQUEST")]
    assert say(4, "NEEDS-ACTION", "REFRESH") == again

    assert say(5, "DECLINED") == [(ada_mail, "CANCEL"), (linus_mail, "REQUEST")]
    assert look(ada) == (Status.CANCELLED, PartStat.DECLINED, minute(5))
    assert look(linus) == (Status.CONFIRMED, PartStat.NEEDS_ACTION, None)

    if shape is not shapes.google:
        assert say(6, "ACCEPTED") == [(ada_mail, "")]
        assert look(ada) == (Status.WAITING, PartStat.ACCEPTED, minute(6))


@both_ways
@every_shape
def test_accepting_after_a_decline_takes_a_place_that_is_free(
    make: Make,
    sent: Callable[[], list[Delivered]],
    at: Callable[[datetime], None],
    invited: Callable[[Registration], Invited],
    request: pytest.FixtureRequest,
    shape: shapes.Shape,
    way: str,
) -> None:
    ada = make.registration(make.event(places_on_site=5))
    known, send = invited(ada), request.getfixturevalue(way)
    send(shape(known, Said(partstat="DECLINED", at=minute(1))), known.organiser)
    assert arrived(sent()) == [(ada.person.email, "CANCEL")]
    at(NOON + timedelta(hours=25))  # a machine's answers lead to one mail a day
    send(shape(known, Said(partstat="ACCEPTED", at=NOON + timedelta(hours=25))), known.organiser)
    mails = sent()
    assert arrived(mails) == [(ada.person.email, "REQUEST")]
    assert "PARTSTAT=ACCEPTED" in mails[0].part("text/calendar").replace("\n ", "")
    assert look(ada) == (Status.CONFIRMED, PartStat.ACCEPTED, NOON + timedelta(hours=25))


@both_ways
def test_a_delegation_is_recorded_and_the_place_stays_until_an_organiser_says_so(
    make: Make,
    owed: Callable[[], list[tuple[Kind, object]]],
    invited: Callable[[Registration], Invited],
    request: pytest.FixtureRequest,
    way: str,
) -> None:
    ada = make.registration(make.event())
    known, send = invited(ada), request.getfixturevalue(way)
    said = Said(partstat="DELEGATED", delegate="Grace@behoerde.example", at=minute(1))
    send(shapes.delegated(known, said), known.organiser)
    assert look(ada) == (Status.CONFIRMED, PartStat.DELEGATED, NOON)
    mail = db.session.query(Incoming).one()
    assert (mail.state, mail.reason, mail.delegate) == ("acted", "delegated", "grace@behoerde.example")
    assert owed() == []
