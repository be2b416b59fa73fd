"""The bound: the least that an honest Flask, SQLAlchemy and Jinja program does for the same pages.

No translation, no permission, no form token, no header, no limit on attempts, no second kind of place: what the
product needs beyond this is its cost. `python -m bench.bound PORT DATABASE_URL THREADS` serves it as `whatsnext serve`
serves the product: by waitress, with as many threads.
"""

import gzip
import logging
import secrets
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import sqlalchemy as sa
import waitress
from flask import Flask, Response, render_template, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import NotFound

from whatsnext.db import journal_mode

TALKS = 100
FED = 1000
"""Talks of the feed, beside those that the pages list."""
BERLIN = ZoneInfo("Europe/Berlin")
TEXT = "Welches Problem löst diese Technik besser? Ein Vortrag über Einsatz, Grenzen und Betrieb, mit Fragen. " * 6
PLENTY = 1_000_000


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Site(db.Model):  # type: ignore[name-defined,misc]
    """`version` rises with whatever the list of talks shows."""

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)


class Talk(db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    theme: Mapped[str] = mapped_column(index=True)
    host: Mapped[str]
    place: Mapped[str]
    text: Mapped[str]
    starts_at: Mapped[datetime] = mapped_column(index=True)
    capacity: Mapped[int] = mapped_column(default=PLENTY)


class Counter(db.Model):  # type: ignore[name-defined,misc]
    """Places taken at one talk, counted in the transaction that takes them; `version` is that of its page."""

    talk_id: Mapped[int] = mapped_column(sa.ForeignKey("talk.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
    taken: Mapped[int] = mapped_column(default=0)


class Registration(db.Model):  # type: ignore[name-defined,misc]
    __table_args__ = (sa.UniqueConstraint("talk_id", "email"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    talk_id: Mapped[int] = mapped_column(sa.ForeignKey("talk.id"))
    name: Mapped[str]
    email: Mapped[str]
    agency: Mapped[str]
    status: Mapped[str]


class Mail(db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    registration_id: Mapped[int] = mapped_column(sa.ForeignKey("registration.id"), index=True)
    kind: Mapped[str]
    state: Mapped[str]
    due: Mapped[datetime] = mapped_column(index=True)


class Row(db.Model):  # type: ignore[name-defined,misc]
    """What the bare INSERT and COMMIT writes."""

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


app = Flask(__name__)
app.jinja_env.filters["when"] = lambda at: f"{at.replace(tzinfo=UTC).astimezone(BERLIN):%d.%m.%Y %H:%M}"
kept: dict[tuple[str, int], bytes] = {}


@app.get("/")
def bare() -> str:
    """The limit of every ratio: a Flask view that does nothing."""
    return "hello"


# --- pages: rendered each time, and the same kept in the process by version -------------------------------


def _event(slug: str) -> str:
    talk = db.session.execute(sa.select(Talk).where(Talk.slug == slug)).scalar_one()
    counter = db.session.execute(sa.select(Counter).where(Counter.talk_id == talk.id)).scalar_one()
    return render_template("event.html", talk=talk, free=talk.capacity - counter.taken)


def _home() -> str:
    return _list(sa.select(Talk).order_by(Talk.starts_at).limit(TALKS), "Termine")


def _theme(theme: str) -> str:
    return _list(sa.select(Talk).where(Talk.theme == theme).order_by(Talk.starts_at).limit(TALKS), theme)


def _list(chosen: sa.Select[tuple[Talk]], heading: str) -> str:
    return render_template("list.html", talks=db.session.scalars(chosen).all(), heading=heading)


def _event_version(slug: str) -> int:
    chosen = sa.select(Counter.version).join(Talk, Talk.id == Counter.talk_id).where(Talk.slug == slug)
    return db.session.execute(chosen).scalar_one()


def _site_version() -> int:
    return db.session.execute(sa.select(Site.version)).scalar_one()


@app.get("/events/<slug>")
def event(slug: str) -> str:
    return _event(slug)


@app.get("/talks")
def home() -> str:
    return _home()


@app.get("/themes/<name>")
def theme(name: str) -> str:
    return _theme(name)


def _feed() -> bytes:
    """The calendar of 1,000 talks, packed."""
    calendar = icalendar.Calendar({"VERSION": "2.0", "PRODID": "-//bound//EN"})
    for talk in db.session.scalars(sa.select(Talk).where(Talk.theme == "fed").order_by(Talk.starts_at)):
        event, starts_at = icalendar.Event(), talk.starts_at.replace(tzinfo=UTC)
        event.add("UID", f"{talk.slug}@next.example")
        event.add("DTSTAMP", starts_at)
        event.add("DTSTART", starts_at)
        event.add("DTEND", starts_at + timedelta(minutes=90))
        event.add("SUMMARY", talk.title)
        event.add("DESCRIPTION", talk.text)
        event.add("LOCATION", talk.place)
        event.add("URL", f"https://next.example/events/{talk.slug}")
        calendar.add_component(event)
    return gzip.compress(calendar.to_ical(), 6)


@app.get("/feed.ics")
def feed() -> Response:
    """As the pages below."""
    tag = f"feed-{_site_version()}"
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        if ("feed", 0) not in kept:
            kept["feed", 0] = _feed()
        response = Response(kept["feed", 0], mimetype="text/calendar", headers={"Content-Encoding": "gzip"})
    response.set_etag(tag, weak=True)
    return response


@app.get("/kept/<path:page>")
def kept_page(page: str) -> Response:
    """One indexed row, then the bytes; 304 after that row to whoever has them."""
    kind, _slash, name = page.partition("/")
    makers = {"events": lambda: _event(name), "talks": _home, "themes": lambda: _theme(name)}
    if kind not in makers:
        raise NotFound
    version = _event_version(name) if kind == "events" else _site_version()
    tag = f"{page}-{version}"
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        if (page, version) not in kept:
            kept[page, version] = makers[kind]().encode()
        response = Response(kept[page, version], mimetype="text/html")
    response.set_etag(tag, weak=True)
    return response


# --- writing ---------------------------------------------------------------------------------------------


def _begin() -> None:
    """As the product does: SQLite's write lock is taken at the beginning."""
    db.session.connection(execution_options={"begin": "IMMEDIATE"})


@app.post("/events/<slug>/signup")
def sign_up(slug: str) -> Response:
    """Lock the counter, take a place or one in line, owe one mail, commit."""
    _begin()
    talk = db.session.execute(sa.select(Talk.id, Talk.capacity).where(Talk.slug == slug)).one()
    counter = db.session.execute(sa.select(Counter).where(Counter.talk_id == talk.id).with_for_update()).scalar_one()
    counter.version += 1
    counter.taken += 1
    registration = Registration(
        talk_id=talk.id,
        name=request.form["name"],
        email=request.form["email"],
        agency=request.form["agency"],
        status="held" if counter.taken <= talk.capacity else "waiting",
    )
    db.session.add(registration)
    db.session.execute(sa.update(Site).values(version=Site.version + 1))
    db.session.flush()
    db.session.add(Mail(registration_id=registration.id, kind="confirm", state="owed", due=_now()))
    db.session.commit()
    return Response(status=303, headers={"Location": f"/events/{slug}"})


@app.post("/insert")
def insert() -> str:
    """The limit of the sign-up: INSERT and COMMIT of one row."""
    _begin()
    db.session.execute(sa.insert(Row).values(email=secrets.token_hex(8)))
    db.session.commit()
    return "done"


# --- starting --------------------------------------------------------------------------------------------


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251


def _prepare_sqlite() -> None:
    """The product's own settings of SQLite."""
    mode = journal_mode(sqlite3.sqlite_version_info, wal_backported=False)

    @sa.event.listens_for(db.engine, "connect")
    def _open(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(db.engine, "begin")
    def _begin_with(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")


def _fill() -> None:
    db.create_all()
    db.session.add(Site(id=1))
    for number in range(1, TALKS + 1):
        talk = Talk(
            id=number,
            slug=f"talk-{number}",
            title=f"What's NEXt #{number}: Blockchain & mehr",
            theme=("Blockchain", "Cloud", "Data")[number % 3],
            host="Bundesagentur für Arbeit",
            place="Vor Ort in Berlin und online",
            text=TEXT,
            starts_at=_now() + timedelta(days=number),
        )
        db.session.add(talk)
    fed = {"theme": "fed", "host": "Bundesamt", "place": "Beispielstraße 1, 10115 Berlin", "text": TEXT}
    for number in range(TALKS + 1, TALKS + FED + 1):
        starts_at = _now() + timedelta(days=TALKS, hours=number)
        db.session.add(Talk(id=number, slug=f"fed-{number}", title=f"Vortrag {number}", starts_at=starts_at, **fed))
    db.session.flush()
    db.session.add_all(Counter(talk_id=number) for number in range(1, TALKS + 1))
    db.session.commit()


def main(port: str, url: str, threads: str) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _prepare_sqlite()
        _fill()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(app, host="127.0.0.1", port=int(port), threads=int(threads), ident=None, _quiet=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
