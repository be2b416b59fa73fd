"""The sample series of What's NEXt, made by the services that people's clicks would call.

Everything is invented: agencies exist, people, talks and addresses do not. Mails go to example domains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import cycle
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.models import Agency, Event, Message, MessageState, Mode, Person, Registration, Series, Speaker, Theme
from whatsnext.permissions import Role
from whatsnext.services import (
    agencies,
    events,
    invitations,
    people,
    registrations,
    rescheduling,
    series,
    signup,
    speakers,
    themes,
)
from whatsnext.services.agencies import AgencyDetails
from whatsnext.services.drafts import Draft
from whatsnext.services.series import SeriesDetails
from whatsnext.services.signup import Wish
from whatsnext.services.slots import Part
from whatsnext.services.speakers import SpeakerDetails
from whatsnext.services.themes import ThemeDetails

BERLIN = ZoneInfo("Europe/Berlin")
ORGANISER = "kim.muster@next.example"
FRIDAY = 4
HOLIDAYS = {(12, day) for day in range(23, 32)} | {(1, day) for day in range(1, 7)} | {(5, 1), (10, 3), (10, 31)}
"""No talk between the years, nor on a fixed holiday: (month, day)."""

Deliver = Callable[[], object]
"""Sends what is owed."""

AGENCIES = (
    AgencyDetails("Bundesdruckerei", city="Berlin"),
    AgencyDetails("Informationstechnikzentrum Bund", "ITZBund", "Bonn"),
    AgencyDetails("Statistisches Bundesamt", "Destatis", "Wiesbaden"),
    AgencyDetails("Bundesagentur für Arbeit", "BA", "Nürnberg"),
    AgencyDetails("Dataport", city="Hamburg"),
    AgencyDetails("Landesamt für Digitalisierung, Breitband und Vermessung", "LDBV", "München"),
)
THEMES = (
    ThemeDetails(
        0,
        "Blockchain",
        description="Verteilte Register: Wo helfen sie der Verwaltung wirklich, und wo genügt eine Datenbank?",
        description_en="Distributed ledgers: where do they really help, and where is a database enough?",
        colour=1,
    ),
    ThemeDetails(
        0,
        "Cloud Computing",
        description="Rechnen und Speichern als Dienst: Verträge, Souveränität, Betrieb und der Weg zurück.",
        description_en="Computing and storage as a service: contracts, sovereignty, operations and the way back.",
        colour=2,
    ),
    ThemeDetails(
        0,
        "Data Analytics / Big Data",
        description="Aus Verwaltungsdaten lernen: Fragen, Methoden, Grenzen und der Schutz der Menschen dahinter.",
        description_en="Learning from official data: questions, methods, limits and protecting the people behind them.",
        colour=3,
    ),
)
SPEAKERS = (
    SpeakerDetails("Dr. Ayşe Yılmaz", "Leiterin Registermodernisierung", 0, "Baut seit 2019 verteilte Nachweise."),
    SpeakerDetails("Jörg Petersen", "Referent Cloud-Betrieb", 1, "Hat drei Fachverfahren umgezogen, eines zurück."),
    SpeakerDetails("Prof. Dr. Lena Vogt", "Leiterin Data Lab", 2, "Statistikerin; schätzt kleine Datensätze."),
    SpeakerDetails("Tobias Lindner", "Produktverantwortlicher", 3, "Verantwortet Prognosen für die Personalplanung."),
    SpeakerDetails("Maren Claußen", "Architektin", 4, "Schreibt Verträge so, dass man wieder herauskommt."),
)
PEOPLE = (
    ("Kim Özdemir", "Stadt Köln"),
    ("Jonas Brandt", "Bundesdruckerei"),
    ("Sibylle Kranz", "Deutsche Rentenversicherung Bund"),
    ("Mehmet Aydın", "ITZBund"),
    ("Franziska Überschär", "Landesamt für Digitalisierung, Breitband und Vermessung"),
    ("Ole Petersen", "Dataport"),
    ("Anke Wörner", "Bundesagentur für Arbeit"),
    ("Rainer Holz", "Statistisches Bundesamt"),
    ("Nina Falk", "Bundesverwaltungsamt"),
    ("Piotr Nowak", "Stadt Leipzig"),
    ("Leyla Demir", "Landeshauptstadt Stuttgart"),
    ("Henning Groß", "Kraftfahrt-Bundesamt"),
    ("Clara Jäger", "Umweltbundesamt"),
    ("Sven Albrecht", "Bundesamt für Sicherheit in der Informationstechnik"),
    ("Ines Morales", "Auswärtiges Amt"),
    ("David Klein", "Finanzamt Freiburg-Stadt"),
)
AGENDAS = {
    "de": "- 14:00 Begrüßung\n- 14:10 Vortrag\n- 14:50 Fragen und Austausch\n- 15:20 Wer macht weiter?",
    "en": "- 14:00 Welcome\n- 14:10 Talk\n- 14:50 Questions\n- 15:20 Who goes on?",
}


@dataclass(frozen=True)
class Talk:
    """One sample talk. `days` from today, `people` of PEOPLE who sign up; theme, host and speaker by their number.

    More than one of `afternoons` makes it a course, once a week.
    """

    title: str
    summary: str
    days: int
    theme: int
    host: int
    speaker: int
    on_site: int = 0
    online: int = 0
    people: int = 0
    language: str = "de"
    chatham_house: bool = False
    afternoons: int = 1


PAST = (
    Talk(
        "Nachweise ohne Papier: was verteilte Register leisten",
        "Welche Nachweise braucht eine Behörde wirklich, und wer muss sie prüfen können?",
        -75, 0, 0, 0, on_site=20, online=100, people=11,
    ),
    Talk(
        "Rechenzentrum oder Cloud? Eine ehrliche Rechnung",
        "Drei Fachverfahren, drei Rechnungen: Kosten, Ausfälle, Wege zurück.",
        -40, 1, 1, 1, online=200, people=13,
    ),
    Talk(
        "Was Verwaltungsdaten erzählen – und was nicht",
        "Ein Data Lab berichtet: gute Fragen, schlechte Daten und was daraus wurde.",
        -12, 2, 2, 2, on_site=40, online=150, people=9,
    ),
)  # fmt: skip
FULL = Talk(
    "Blockchain in der Registermodernisierung",
    "Was Register von verteilten Verzeichnissen lernen können – **und wo sie es besser lassen**.\n\n"
    "Wir vergleichen zwei Einsatzszenarien: *Zeugnisse* und *Grundbuch*. Welches Problem löst die Technik besser?",
    21, 0, 0, 0, on_site=6, online=150, people=10,
)  # fmt: skip
MOVED = Talk(
    "Cloud-Verträge ohne Lock-in",
    "Was in einem Vertrag stehen muss, damit man ihn auch wieder verlassen kann. Mit Musterklauseln zum Mitnehmen.",
    28, 1, 4, 4, online=120, people=8,
)  # fmt: skip
CANCELLED = Talk(
    "Datenanalyse für die Personalplanung",
    "Wie viele Menschen fehlen uns in fünf Jahren, und woher wissen wir das?",
    35, 2, 3, 3, on_site=30, online=0, people=6,
)  # fmt: skip
BOOKED = Talk(
    "Zu Besuch im Rechenzentrum",
    "Ein Rundgang mit Gespräch: Was kostet ein eigener Raum, was nimmt einem die Cloud ab? Nur vor Ort.",
    45, 1, 1, 1, on_site=5, people=8,
)  # fmt: skip
COMING = (
    Talk(
        "Learning from failure: three pilots we stopped",
        "Why three pilots were stopped, what it cost, and what the next team should ask on day one.",
        49, 0, 5, 2, on_site=25, online=100, people=4, language="en", chatham_house=True,
    ),
    Talk(
        "Anomalien finden, ohne Menschen zu verdächtigen",
        "Betrugserkennung mit Augenmaß: Verfahren, Grundrechte und ein Blick in die Praxis.",
        63, 2, 2, 2, on_site=30, online=200,
    ),
    Talk(
        "Werkstatt: aus Tabellen werden Antworten",
        "Drei Nachmittage mit eigenen Daten: eine gute Frage finden, Daten aufräumen, das Ergebnis ehrlich zeigen.",
        70, 2, 2, 3, on_site=14, people=7, afternoons=3,
    ),
)  # fmt: skip
DRAFT = Talk("Souveräne Cloud: Zwischenbilanz", "Noch in Arbeit.", 84, 1, 1, 1, online=200)


def is_filled() -> bool:
    """Whether there is a series already: samples are not mixed with real ones."""
    return db.session.scalar(sa.select(Series.id).limit(1)) is not None


def fill(now: datetime, deliver: Deliver) -> None:
    """Fill an empty installation; `now` is UTC. `deliver` is called between the acts, so that whoever was invited is
    told of a change by an update, as in real life."""
    world = _world(now)
    for talk in PAST:
        then = now + timedelta(days=talk.days - 20)
        _sign_up(world, _publish(world, talk, now, then), talk.people, then)
    _count_as_sent()
    full = _publish(world, FULL, now, now - timedelta(days=6))
    _sign_up(world, full, FULL.people, now - timedelta(days=5), mode=Mode.ON_SITE)
    _sign_up(world, full, 5, now - timedelta(days=5), mode=Mode.ONLINE, first=11)
    moved = _publish(world, MOVED, now, now - timedelta(days=9))
    _sign_up(world, moved, MOVED.people, now - timedelta(days=8))
    off = _publish(world, CANCELLED, now, now - timedelta(days=9))
    _sign_up(world, off, CANCELLED.people, now - timedelta(days=8))
    _send(now, deliver)
    _move(moved, 7, now - timedelta(days=3))
    _cancel(off, "Der Referent ist erkrankt. Ein Ersatztermin folgt.", now - timedelta(days=2))
    _give_up(full, now - timedelta(days=2))
    _send(now, deliver)
    for talk in (BOOKED, *COMING):
        _sign_up(world, _publish(world, talk, now, now - timedelta(hours=3)), talk.people, now - timedelta(hours=2))
    _draft(world, DRAFT, now, now)
    _ask_to_confirm(full, now)
    _send(now, deliver)


@dataclass(frozen=True)
class World:
    """Ids of what the talks are made of, in the order of the tables above."""

    series: int
    themes: list[int]
    hosts: list[int]
    speakers: list[int]
    people: list[int]


def _world(now: datetime) -> World:
    with write():
        reihe = series.create(_series())
        theme_rows = [themes.create(replace(theme, series_id=reihe.id)) for theme in THEMES]
        hosts = [agencies.create(agency) for agency in AGENCIES]
        voices = [speakers.create(replace(one, agency_id=hosts[one.agency_id or 0].id)) for one in SPEAKERS]
        guests = [_person(name, agency, number, now) for number, (name, agency) in enumerate(PEOPLE)]
        organiser = people.with_address(ORGANISER, "de", now)
        organiser.name, organiser.agency, organiser.role = "Kim Muster", "NEXt-Geschäftsstelle", Role.OPERATOR
        db.session.flush()
        return World(reihe.id, _ids(theme_rows), _ids(hosts), _ids(voices), _ids(guests))


def _count_as_sent() -> None:
    """The mails of talks that are over went out long ago."""
    with write():
        owed = sa.update(Message).where(Message.state == MessageState.OWED)
        db.session.execute(owed.values(state=MessageState.SENT, settled_at=Message.created_at))


def _send(now: datetime, deliver: Deliver) -> None:
    """Send what is owed although its time is told as past."""
    with write():
        owed = sa.update(Message).where(Message.state == MessageState.OWED)
        db.session.execute(owed.values(best_before=now + timedelta(days=2), not_before=now))
    deliver()


def _ids(rows: list[Theme] | list[Agency] | list[Speaker] | list[Person]) -> list[int]:
    return [row.id for row in rows]


def _series() -> SeriesDetails:
    return SeriesDetails(
        name="What's NEXt",
        slug="whats-next",
        summary="Kurze Fachvorträge aus der Verwaltung für die Verwaltung: Welches Problem löst eine Technik besser?",
        summary_en="Short talks by and for the public sector: which problem does a technology solve better?",
        contact_name="Kim Muster",
        contact_email=ORGANISER,
        contact_phone="030 0000-0000",
    )


def _person(name: str, agency: str, number: int, now: datetime) -> Person:
    local = "".join(part[:1] for part in name.lower().split()).encode("ascii", "replace").decode().replace("?", "x")
    person = people.with_address(f"{local}{number}@behoerde.example", "en" if number == 14 else "de", now)
    person.name, person.agency, person.proved_at = name, agency, now
    return person


def _draft(world: World, talk: Talk, today: datetime, then: datetime) -> int:
    day = today.astimezone(BERLIN).date() + timedelta(days=talk.days)
    while any(_is_off(day + week * timedelta(days=7)) for week in range(talk.afternoons)):
        day += timedelta(days=1 if talk.days > 0 else -1)
    with write():
        return events.create(
            Draft(
                title=talk.title,
                series_id=world.series,
                theme_id=world.themes[talk.theme],
                host_id=world.hosts[talk.host],
                speaker_ids=(world.speakers[talk.speaker],),
                summary=talk.summary,
                agenda=AGENDAS[talk.language] if talk.afternoons == 1 else "",
                language=talk.language,
                starts_local=datetime.combine(day, time(14)),
                repeat_weeks=1 if talk.afternoons > 1 else 0,
                parts=(Part(),) * talk.afternoons if talk.afternoons > 1 else (),
                on_site=bool(talk.on_site),
                online=bool(talk.online),
                capacity_on_site=talk.on_site,
                capacity_online=talk.online,
                address="Kommandantenstraße 18, 10969 Berlin" if talk.on_site else "",
                join_link=f"https://video.example/next/{talk.days + 100}" if talk.online else "",
                step_free="Ja, Aufzug vom Foyer in alle Stockwerke" if talk.on_site else "",
                captions="Ja, Schriftdolmetschen im Stream" if talk.online else "",
                chatham_house=talk.chatham_house,
            ),
            then,
        ).id


def _is_off(day: date) -> bool:
    return day.weekday() > FRIDAY or (day.month, day.day) in HOLIDAYS


def _publish(world: World, talk: Talk, today: datetime, then: datetime) -> int:
    event_id = _draft(world, talk, today, then)
    with write():
        events.publish(event_id, db.session.get_one(Event, event_id).version, then)
    return event_id


def _sign_up(
    world: World, event_id: int, number: int, then: datetime, *, mode: Mode | None = None, first: int = 0
) -> None:
    """This many people sign up one after the other, on site and online in turn unless `mode` says."""
    event = db.session.get_one(Event, event_id)
    offered = [kind for kind, is_so in ((Mode.ON_SITE, event.on_site), (Mode.ONLINE, event.online)) if is_so]
    modes: Iterator[Mode] = cycle([mode] if mode else offered)
    slug = event.slug
    for minute, person_id in enumerate(world.people[first : first + number]):
        with write():
            person = db.session.get_one(Person, person_id)
            wish = Wish(
                person.name, person.email, person.agency, next(modes), language=person.language, waiting_ok=True
            )
            signup.sign_up(slug, wish, person, then + timedelta(minutes=minute))


def _move(event_id: int, days: int, then: datetime) -> None:
    with write():
        event = db.session.get_one(Event, event_id)
        draft = Draft.of(event)
        starts = draft.starts_local or datetime.combine(then.date(), time(14))
        later = replace(draft, starts_local=starts + timedelta(days=days))
        told = rescheduling.preview(event, later, then).told
        text = "Der Raum war an diesem Tag schon vergeben."
        rescheduling.save_and_tell(event_id, later, event.version, then, expected=told, text=text)


def _cancel(event_id: int, reason: str, then: datetime) -> None:
    with write():
        event = db.session.get_one(Event, event_id)
        expected = invitations.audience(event).told
        rescheduling.cancel(event_id, reason, event.version, then, expected=expected)


def _give_up(event_id: int, then: datetime) -> None:
    """The second who signed up gives up the place; the next in line moves up."""
    with write():
        second = sa.select(Registration.id).where(Registration.event_id == event_id, Registration.arrival == 2)
        registrations.cancel(db.session.scalars(second).one(), then)


def _ask_to_confirm(event_id: int, now: datetime) -> None:
    """Someone new has just signed up and not opened the mail yet."""
    with write():
        slug = db.session.get_one(Event, event_id).slug
        wish = Wish("Robin Neu", "robin.neu@behoerde.example", "Stadt Bonn", Mode.ONLINE, waiting_ok=True)
        signup.sign_up(slug, wish, None, now)
