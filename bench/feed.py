"""A feed of 1,000 talks, built and from what is kept, against icalendar's own serialisation of the same calendar."""

import statistics
import time
from collections.abc import Callable

import icalendar

from bench.load import BenchFailed
from config import Settings
from whatsnext.app import create_app
from whatsnext.calendars import feed
from whatsnext.db import db

PATH = "/calendar/series/fed.ics"
SERIALISED = "icalendar writes the same calendar, read before"
BUILT = "built, no talk kept"
KEPT_TALKS = "built, its talks kept"
PACKED = {"Accept-Encoding": "gzip"}


def measure(settings: Settings, rounds: int) -> dict[str, float]:
    """Processor milliseconds of each, medians of the rounds."""
    app = create_app(settings)
    client = app.test_client(use_cookies=False)
    address = {"base_url": settings.address, "headers": PACKED}

    def fetch() -> None:
        if client.get(PATH, **address).status_code != 200:
            raise BenchFailed("the feed does not answer")

    def forget_feed() -> None:
        app.extensions.pop("whatsnext.feeds", None)

    def forget_talks() -> None:
        forget_feed()
        feed._written.cache_clear()  # noqa: SLF001

    calendar = icalendar.Calendar.from_ical(client.get(PATH, base_url=settings.address).data)
    works: dict[str, tuple[Callable[[], None], Callable[[], object]]] = {
        SERIALISED: (forget_feed, calendar.to_ical),
        BUILT: (forget_talks, fetch),
        KEPT_TALKS: (forget_feed, fetch),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    for _number in range(rounds):
        for name, (before, work) in works.items():
            before()
            began = time.process_time()
            work()
            took[name].append((time.process_time() - began) * 1000)
    with app.app_context():
        db.engine.dispose()
    return {name: statistics.median(all_of_it) for name, all_of_it in took.items()}
