"""The signing key is lost: old links end and say so, places and answers of calendars stay (safety.md B4)."""

from collections.abc import Callable
from datetime import timedelta

from flask import Flask

from tests.databases import Database
from tests.factories import NOON, Make
from tests.mail.inbox import shapes
from tests.mail.inbox.shapes import Invited, Said
from tests.pages import Page
from whatsnext.db import db, write
from whatsnext.inbox import Clerk
from whatsnext.models import PartStat, Registration, Status
from whatsnext.services import registrations

OLD, NEW = "the key that was lost, long enough to be one", "the key that came after it, long enough as well"


def test_without_the_old_key_links_explain_themselves_and_calendars_are_still_understood(
    make: Make, make_app: Callable[..., Flask], database: Database, invited: Callable[[Registration], Invited]
) -> None:
    talk = make.event(places_on_site=5)
    mine, held = make.registration(talk), make.registration(talk, Status.HELD)
    known = invited(mine)
    with make_app(secret_key=OLD).app_context():
        links = [f"/registrations/{registrations.manage_token(mine)}", f"/confirm/{registrations.confirm_token(held)}"]
    visitor = make_app(secret_key=NEW).test_client()
    for link in links:
        page = Page(visitor.get(link))
        assert (page.status, "Dieser Link ist nicht vollständig oder war nie gültig." in page.text) == (400, True)
    clerk = Clerk(database.settings(secret_key=NEW))
    said = Said(partstat="TENTATIVE", at=NOON + timedelta(minutes=1))
    clerk.take(shapes.outlook(known, said), sender=mine.person.email, recipients=(known.organiser,))
    clerk.close()
    db.session.rollback()
    db.session.refresh(mine)
    assert (mine.status, mine.partstat) == (Status.CONFIRMED, PartStat.TENTATIVE)


def test_with_the_old_key_kept_as_a_fallback_old_links_still_work(make: Make, make_app: Callable[..., Flask]) -> None:
    held = make.registration(make.event(places_on_site=5), Status.HELD)
    with make_app(secret_key=OLD).app_context():
        link = f"/confirm/{registrations.confirm_token(held)}"
    visitor = make_app(secret_key=NEW, secret_key_fallbacks=(OLD,)).test_client()
    assert visitor.submit(link, {"choice": "yes"}).status_code == 303
    with write():
        db.session.refresh(held)
        assert held.status is Status.CONFIRMED
