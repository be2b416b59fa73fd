"""Where nobody reads what calendars answer: invitations ask for nothing, name a human, and everybody says so."""

from collections.abc import Callable, Iterator

import pytest

from tests.databases import Database
from tests.factories import Make
from tests.mail.worlds import owed, talk
from tests.servers import Delivered
from whatsnext import jobs
from whatsnext.db import db
from whatsnext.mail.wire import Courier
from whatsnext.models import Kind

Deliver = Callable[[], list[Delivered]]


@pytest.fixture
def delivered(database: Database, app: object, smtp: "object") -> Iterator[Deliver]:
    """Deliver what is owed by an application without a mailbox."""
    without = database.create_app(lmtp_listen="")

    def deliver() -> list[Delivered]:
        db.session.rollback()
        courier = Courier()
        with without.app_context():
            jobs.deliver_due(courier)
        courier.close()
        return smtp.mails  # type: ignore[attr-defined]

    return deliver


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.PROMOTION, Kind.UPDATE, Kind.CANCELLATION])
def test_invitations_ask_for_no_answer_and_name_a_human(make: Make, delivered: Deliver, kind: Kind) -> None:
    owed(make, kind, event=talk(make))
    (mail,) = delivered()
    calendar = mail.part("text/calendar").replace("\n ", "")
    assert ("RSVP=FALSE" in calendar, "RSVP=TRUE" in calendar) == (True, False)
    organiser = next(line for line in calendar.splitlines() if line.startswith("ORGANIZER"))
    assert organiser.endswith(":mailto:kontakt@behoerde.example")
    assert 'SENT-BY="mailto:next@localhost"' in organiser
    assert mail.sender == "next@localhost"
    assert mail.message["From"].addresses[0].addr_spec == "next@localhost"
    assert mail.message["Reply-To"].addresses[0].addr_spec == "kontakt@behoerde.example"


def test_invitations_say_that_answers_are_not_read(make: Make, delivered: Deliver) -> None:
    owed(make, Kind.INVITATION, event=talk(make))
    owed(make, Kind.PROMOTION, event=talk(make))
    for mail in delivered():
        for text in (mail.part("text/plain"), mail.part("text/html")):
            assert "Niemand liest, was Sie dort antworten" in text
            assert "lehnen" not in text


def test_without_a_contact_the_sender_stands_for_the_organiser(make: Make, delivered: Deliver) -> None:
    owed(make, Kind.INVITATION, event=make.event(series=make.series(contact_email="")))
    (mail,) = delivered()
    assert mail.message["Reply-To"].addresses[0].addr_spec == "next@localhost"
    assert "SENT-BY" not in mail.part("text/calendar")


def test_the_page_of_a_registration_says_so_too(make: Make, database: Database, app: object) -> None:
    registration = make.registration(make.event())
    for changes, said in (({}, False), ({"lmtp_listen": ""}, True)):
        client = database.create_app(**changes).test_client()
        client.sign_in(registration.person)
        page = client.get(f"/registrations/{registration.ref}").text
        assert ("Niemand liest, was Sie in Ihrem Kalender antworten." in page) is said
