"""Rows in bulk: an installation that has run for years."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask

from whatsnext import clock
from whatsnext.db import db, write
from whatsnext.models import Event, EventState, Kind, Message, MessageState, Mode, Person, Registration, Status, Theme
from whatsnext.permissions import Role

AT_ONCE = 5_000
OLDEST_DAYS, NEWEST_DAYS = 12_000, 400
"""What is added is over: no list of coming talks and no feed shows it, every index holds it."""
TEXT = "Welches Problem löst diese Technik besser? " * 6


def grow(app: Flask, events: int, registrations: int) -> None:
    """Add talks that are over until there are `events`, with `registrations` over them, each of another person.

    Each registration had its place and its invitation.
    """
    with app.app_context():
        with write():
            present = db.session.scalar(sa.select(sa.func.count()).select_from(Event)) or 0
            themes = [tuple(row) for row in db.session.execute(sa.select(Theme.id, Theme.series_id).order_by(Theme.id))]
            _insert(Event, _events(max(0, events - present), themes))
            ids = list(db.session.scalars(sa.select(Event.id).where(Event.slug.like("old-%")).order_by(Event.id)))
            if ids:
                first = _attend(ids, registrations)
                _insert(Message, _messages(registrations, first, ids))
        _catch_up()


def attend(event_id: int, people: int) -> None:
    """So many people with a place at this talk, none of whom is owed a mail."""
    with write():
        _attend([event_id], people)
        db.session.execute(sa.update(Event).where(Event.id == event_id).values(last_arrival=people))
    _catch_up()


def _attend(ids: list[int], people: int) -> int:
    """People, each with a place at one of these talks by turns. Returns the first one's id."""
    first = (db.session.scalar(sa.select(sa.func.max(Person.id))) or 0) + 1_000
    _insert(Person, _people(people, first))
    _insert(Registration, _registrations(people, first, ids))
    return first


def _catch_up() -> None:
    """PostgreSQL's next ids, and what its autovacuum would do while pages are measured; SQLite has neither."""
    if db.engine.dialect.name != "postgresql":
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("person", "registration", "message"):
            connection.exec_driver_sql(f"SELECT setval('{table}_id_seq', (SELECT coalesce(max(id), 1) FROM {table}))")
        connection.exec_driver_sql("VACUUM (ANALYZE)")


def _insert(model: type[Any], rows: Iterator[dict[str, Any]]) -> None:
    """By thousands, so that a million takes no memory."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == AT_ONCE:
            db.session.execute(sa.insert(model.__table__), chunk)
            chunk = []
    if chunk:
        db.session.execute(sa.insert(model.__table__), chunk)


def _events(number: int, themes: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    for each in range(number):
        days = NEWEST_DAYS + each * (OLDEST_DAYS - NEWEST_DAYS) // number
        starts_at = now - timedelta(days=days)
        theme_id, series_id = themes[each % len(themes)]
        yield {
            "series_id": series_id,
            "theme_id": theme_id,
            "slug": f"old-{each}",
            "uid": f"old-{each}@next.behoerde.example",
            "title": f"Vortrag {each}",
            "summary": TEXT,
            "state": EventState.PUBLISHED,
            "address": "Beispielstraße 1, 10115 Berlin",
            "capacity_on_site": 50,
            "starts_local": starts_at.replace(tzinfo=None),
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=90),
            "published_at": starts_at - timedelta(days=30),
            "created_at": starts_at - timedelta(days=40),
            "changed_at": starts_at - timedelta(days=30),
        }


def _people(number: int, first: int) -> Iterator[dict[str, Any]]:
    then = clock.now() - timedelta(days=NEWEST_DAYS)
    for each in range(number):
        yield {
            "id": first + each,
            "email": f"old.{first + each}@behoerde.example",
            "name": "Ada Beispiel",
            "agency": "Landesamt",
            "role": Role.ATTENDEE,
            "proved_at": then,
            "created_at": then,
        }


def _registrations(number: int, first: int, ids: list[int]) -> Iterator[dict[str, Any]]:
    then = clock.now() - timedelta(days=NEWEST_DAYS)
    for each in range(number):
        yield {
            "id": first + each,
            "ref": f"old{first + each:023}",
            "reply_token": f"old{first + each:023}",
            "event_id": ids[each % len(ids)],
            "person_id": first + each,
            "mode": Mode.ON_SITE,
            "status": Status.CONFIRMED,
            "arrival": 1 + each // len(ids),
            "name": "Ada Beispiel",
            "agency": "Landesamt",
            "sequence": 0,
            "proved_at": then,
            "confirmed_at": then,
            "created_at": then,
            "changed_at": then,
        }


def _messages(number: int, first: int, ids: list[int]) -> Iterator[dict[str, Any]]:
    then = clock.now() - timedelta(days=NEWEST_DAYS)
    for each in range(number):
        yield {
            "kind": Kind.INVITATION,
            "state": MessageState.SENT,
            "person_id": first + each,
            "registration_id": first + each,
            "event_id": ids[each % len(ids)],
            "recipient": f"old.{first + each}@behoerde.example",
            "language": "de",
            "subject": "Ihr Platz ist sicher",
            "created_at": then,
            "not_before": then,
            "best_before": then,
            "settled_at": then,
            "tries": 1,
            "message_id": f"old{first + each:023}@next.behoerde.example",
        }
