"""What a page costs the database does not grow with the talks that are over (design.md §5): counted, not timed."""

import pytest
import sqlalchemy as sa

from bench import bulk
from tests.databases import Database
from tests.factories import Make
from whatsnext.db import db
from whatsnext.models import Kind, MessageState

PAGES = (
    "/",
    "/?past=1",
    "/themes",
    "/themes/blockchain",
    "/events/coming",
    "/news.atom",
    "/subscribe",
    "/calendar/themes/blockchain.ics",
    "/health/ready",
    "/my-registrations",
    "/organise/",
    "/organise/?q=zukunft",
    "/organise/series",
    "/organise/themes",
    "/organise/agencies",
    "/organise/speakers",
    "/organise/delivery",
    "/organise/incoming",
    "/organise/events/1",
    "/organise/events/1/participants",
)
FEW, MANY, MORE = 1_200, 6_000, 1.3
"""With the fewer of the talks that are over every list of them is full already."""


@pytest.fixture
def steps_of(tmp_path):
    """A call makes an installation with so many talks that are over: what each page costs, in steps of SQLite."""

    def count(talks):
        instance = tmp_path / f"{talks}"
        instance.mkdir()
        own = Database("sqlite", f"sqlite:///{instance}/whatsnext.db", instance, 25)
        own.migrate()
        with own.app.app_context():
            client = filled(own.app, talks)
            found = {path: steps(client, f"{path}{'&' if '?' in path else '?'}anew=1") for path in PAGES}
        own.disconnect()
        return found

    return count


def filled(app, talks):
    """One talk to come, so many that are over, and the browser of an organiser."""
    make, client = Make(), app.test_client()
    theme = make.theme(slug="blockchain", name="Blockchain")
    event = make.event(slug="coming", series=theme.series, theme_id=theme.id)
    make.message(Kind.INVITATION, make.registration(event), state=MessageState.DEFERRED)
    bulk.grow(app, talks, talks)
    client.sign_in(make.organiser())
    return client


def steps(client, path):
    """How many instructions of its own machine SQLite needs for the second request of this page."""
    taken = [0]

    def count():
        taken[0] += 1
        return 0

    def listen(connection, _record, _proxy):
        connection.set_progress_handler(count, 1)

    client.page(path)
    db.session.rollback()
    sa.event.listen(db.engine, "checkout", listen)
    try:
        assert client.page(path).status == 200, path
    finally:
        sa.event.remove(db.engine, "checkout", listen)
        db.engine.dispose()
    return taken[0]


def test_no_page_takes_more_steps_with_ten_times_the_talks_that_are_over(steps_of):
    few, many = steps_of(FEW), steps_of(MANY)
    assert min(few.values()) > 0
    assert {path: (few[path], many[path]) for path in PAGES if many[path] > few[path] * MORE} == {}
