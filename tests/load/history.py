"""What happened to the places of one talk, change by change, and a small model that replays it (safety.md R1, R2).

Triggers in the database write down each change as it is made. Whoever changes a registration holds the talk's lock (on
SQLite: the one write lock), so the numbers of the rows follow the order of the commits; a transaction whose rows do
not stand together was made without the lock, and that is refused too.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import sqlalchemy as sa

from whatsnext.db import db

TAKING = ("held", "offered", "confirmed")
MODES = ("on_site", "online")

SQLITE = """
CREATE TABLE history (number INTEGER PRIMARY KEY AUTOINCREMENT, moment TEXT, registration INTEGER, arrival INTEGER,
    mode TEXT, status TEXT, proved BOOLEAN, lapsed BOOLEAN, on_site INTEGER, online INTEGER);
CREATE TRIGGER history_new AFTER INSERT ON registration BEGIN {person} END;
CREATE TRIGGER history_changed AFTER UPDATE OF status, mode, arrival, proved_at ON registration BEGIN {person} END;
CREATE TRIGGER history_places AFTER UPDATE OF capacity_on_site, capacity_online ON event BEGIN
    INSERT INTO history (moment, on_site, online) VALUES (NEW.changed_at, NEW.capacity_on_site, NEW.capacity_online);
END
""".format(  # one use case gives all its rows the same instant
    person="INSERT INTO history (moment, registration, arrival, mode, status, proved, lapsed) VALUES (NEW.changed_at,"
    " NEW.id, NEW.arrival, NEW.mode, NEW.status, NEW.proved_at IS NOT NULL, NEW.offer_lapsed_at IS NOT NULL);"
)
POSTGRESQL = """
CREATE TABLE history (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, moment TEXT DEFAULT pg_current_xact_id(),
    registration INTEGER, arrival INTEGER, mode TEXT, status TEXT, proved BOOLEAN, lapsed BOOLEAN, on_site INTEGER,
    online INTEGER);
CREATE FUNCTION history_person() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (registration, arrival, mode, status, proved, lapsed) VALUES
        (NEW.id, NEW.arrival, NEW.mode, NEW.status, NEW.proved_at IS NOT NULL, NEW.offer_lapsed_at IS NOT NULL);
    RETURN NULL; END $$;
CREATE FUNCTION history_places() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (on_site, online) VALUES (NEW.capacity_on_site, NEW.capacity_online);
    RETURN NULL; END $$;
CREATE TRIGGER history_new AFTER INSERT ON registration FOR EACH ROW EXECUTE FUNCTION history_person();
CREATE TRIGGER history_changed AFTER UPDATE OF status, mode, arrival, proved_at ON registration
    FOR EACH ROW EXECUTE FUNCTION history_person();
CREATE TRIGGER history_places AFTER UPDATE OF capacity_on_site, capacity_online ON event
    FOR EACH ROW EXECUTE FUNCTION history_places()
"""
GONE = """
DROP TRIGGER history_new {on_registration}; DROP TRIGGER history_changed {on_registration};
DROP TRIGGER history_places {on_event}; DROP TABLE history
"""


@dataclass(frozen=True)
class Entry:
    """A registration as it was after one change."""

    id: int
    arrival: int
    mode: str
    status: str
    proved: bool
    lapsed: bool

    @property
    def takes_a_place(self) -> bool:
        return self.status in TAKING

    @property
    def waits_proved(self) -> bool:
        """In line, and next to be given a place."""
        return self.status == "waiting" and self.proved and not self.lapsed

    @property
    def waits_unproved(self) -> bool:
        return self.status == "waiting" and not self.proved


Transaction = list[Entry | dict[str, int]]
"""The changes of one transaction in order; a dict is the number of places by mode."""


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Write down what happens from now on to all registrations of this database."""
    postgresql = db.engine.dialect.name == "postgresql"
    _execute(POSTGRESQL if postgresql else SQLITE)
    try:
        yield
    finally:
        db.session.rollback()
        words = {"on_registration": "ON registration", "on_event": "ON event"} if postgresql else {}
        _execute(GONE.format(**{"on_registration": "", "on_event": "", **words}))
        if postgresql:
            _execute("DROP FUNCTION history_person(); DROP FUNCTION history_places()")


def _execute(script: str) -> None:
    raw = db.engine.raw_connection()
    try:
        if db.engine.dialect.name == "sqlite":
            raw.driver_connection.executescript(script)
        else:
            raw.driver_connection.execute(script)
        raw.commit()
    finally:
        raw.close()


def read() -> list[Transaction]:
    """What was written down, transaction by transaction."""
    with db.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM history ORDER BY number")).all()
    blocks = [(moment, list(block)) for moment, block in groupby(rows, key=lambda row: row.moment)]
    moments = [moment for moment, _block in blocks]
    assert len(moments) == len(set(moments)), "the changes of two transactions are mixed: made without the lock"
    return [[_entry(row) for row in block] for _moment, block in blocks]


def _entry(row: sa.Row) -> Entry | dict[str, int]:
    if row.registration is None:
        return {"on_site": row.on_site, "online": row.online}
    return Entry(row.registration, row.arrival, row.mode, row.status, bool(row.proved), bool(row.lapsed))


@dataclass
class Model:
    """Places and the line as safety.md R1 and R2 want them; `wrong` collects what was not so."""

    capacity: dict[str, int]
    now: dict[int, Entry] = field(default_factory=dict)
    last_arrival: int = 0
    held_before: set[int] = field(default_factory=set)
    most_taken: int = 0
    moved_up: int = 0
    wrong: list[str] = field(default_factory=list)

    def replay(self, transactions: list[Transaction]) -> None:
        for number, transaction in enumerate(transactions, 1):
            before = dict(self.now)
            for change in transaction:
                if isinstance(change, dict):
                    self.capacity = change
                else:
                    self._number(number, change)
                    self.now[change.id] = change
            for mode in MODES:
                self._check(number, mode, before)
            self.held_before |= {entry.id for entry in self.now.values() if entry.status == "held"}

    def _number(self, number: int, entry: Entry) -> None:
        """A number is given once, each one higher than the one before."""
        known = self.now.get(entry.id)
        if known is None or known.arrival != entry.arrival:
            if entry.arrival != self.last_arrival + 1:
                self.wrong.append(f"{number}: number {entry.arrival} was given after {self.last_arrival}")
            self.last_arrival = max(self.last_arrival, entry.arrival)

    def _check(self, number: int, mode: str, before: dict[int, Entry]) -> None:
        here = [entry for entry in self.now.values() if entry.mode == mode]
        taken = sum(entry.takes_a_place for entry in here)
        self.most_taken = max(self.most_taken, taken)
        if taken > self.capacity[mode]:
            self.wrong.append(f"{number}: {taken} of {self.capacity[mode]} places are taken")
        stayed = [entry for entry in here if entry.status == "waiting" and _waited(before.get(entry.id), mode)]
        for entry in here:
            if entry.takes_a_place and not _had_place(before.get(entry.id), mode):
                self.moved_up += entry.id in before
                self._first_come(number, entry, stayed)
        left = [entry.arrival for entry in here if self._is_due(entry)]
        if taken < self.capacity[mode] and left:
            self.wrong.append(f"{number}: {self.capacity[mode] - taken} places stay free though {left} wait")

    def _first_come(self, number: int, entry: Entry, stayed: list[Entry]) -> None:
        """Nobody who was in line before and still is had the better claim to the place that `entry` got."""
        passed = [one.arrival for one in stayed if self._is_due(one) and _goes_first(one, entry)]
        if passed:
            self.wrong.append(f"{number}: {entry.arrival} ({entry.status}) got a place before {sorted(passed)}")

    def _is_due(self, entry: Entry) -> bool:
        """Whether a free place would be given to this one: proved, or never yet held a place unproved (R3)."""
        return entry.waits_proved or (entry.waits_unproved and entry.id not in self.held_before)


def _goes_first(one: Entry, other: Entry) -> bool:
    """Proved before unproved, then the lower number."""
    return (not one.proved, one.arrival) < (not other.proved, other.arrival)


def _had_place(entry: Entry | None, mode: str) -> bool:
    return entry is not None and entry.mode == mode and entry.takes_a_place


def _waited(entry: Entry | None, mode: str) -> bool:
    return entry is not None and entry.mode == mode and entry.status == "waiting"
