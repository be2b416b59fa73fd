"""What only the tests of services ask for."""

from collections.abc import Callable

import pytest

from tests.factories import Make
from tests.services.test_waiting_list import Story
from whatsnext.db import Base, db, write


@pytest.fixture
def make_story(make: Make) -> Callable[[int], Story]:
    """A new story in an empty database; hypothesis asks for many within one test."""

    def start(places: int) -> Story:
        with write():
            for table in reversed(Base.metadata.sorted_tables):
                db.session.execute(table.delete())
        db.session.expunge_all()
        return Story(make, places)

    return start
