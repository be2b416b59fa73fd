"""Fills an installation with what the pages measured need: 100 coming talks, 1,000 of a feed, somebody signed in."""

from datetime import timedelta
from typing import Any

from config import Settings
from tests.factories import Make
from whatsnext import clock
from whatsnext.app import create_app
from whatsnext.db import db, upgrade, write
from whatsnext.models import Person, SignedIn
from whatsnext.tokens import digest, random_secret

TALKS = 100
FED = 1000
MAKE = Make()
"""One for all, so that what it makes has names of its own."""
PLENTY = 99_999
TEXT = "Welches Problem löst diese Technik besser? Ein Vortrag über *Einsatz*, Grenzen und Betrieb, mit Fragen. " * 6
AGENDA = "1. 14:00 Begrüßung\n2. 14:10 Vortrag\n3. 14:50 Fragen und Austausch\n4. 15:20 Wer macht weiter?"


def fill(settings: Settings) -> tuple[str, str]:
    """Make the tables and the sample. Returns the cookies of an attendee and of an organiser who are signed in."""
    app = create_app(settings)
    upgrade(app)
    with app.app_context(), write():
        _talks(MAKE)
        _fed(MAKE)
        secrets = _sign_in(MAKE.person()), _sign_in(MAKE.organiser(email="organisation@behoerde.example"))
    with app.app_context():
        db.engine.dispose()
    signing: Any = app.session_interface
    signer, name = signing.get_signing_serializer(app), app.config["SESSION_COOKIE_NAME"]
    attendee, organiser = (f"{name}={signer.dumps({'signed_in': secret})}" for secret in secrets)
    return attendee, organiser


def _talks(make: Make) -> None:
    series = make.series(slug="next", name="What's NEXt", summary="Neue Technik in der Verwaltung.")
    names = ("Blockchain", "Cloud", "Data")
    themes = [
        make.theme(series=series, slug=name.lower(), name=name, colour=colour) for colour, name in enumerate(names, 1)
    ]
    hosts = [make.agency(name=f"Bundesamt {number}") for number in range(6)]
    speakers = [make.speaker(agency_id=hosts[number].id, biography="Seit 2019 dabei.") for number in range(6)]
    first = clock.now().replace(tzinfo=None, hour=14, minute=0, second=0, microsecond=0)
    for number in range(1, TALKS + 1):
        make.event(
            series=series,
            slug=f"talk-{number}",
            title=f"What's NEXt #{number}: Blockchain & mehr",
            theme_id=themes[number % 3].id,
            host_id=hosts[number % 6].id,
            speakers=(speakers[number % 6],),
            summary=TEXT,
            agenda=AGENDA,
            starts_local=first + timedelta(days=number),
            places_on_site=PLENTY,
            places_online=PLENTY,
        )


def _fed(make: Make) -> None:
    """1,000 talks of the last months, in a series of their own: the feed has them, no list of coming talks does."""
    series = make.series(slug="fed", name="Rückschau")
    theme = make.theme(series=series, slug="fed", name="Rückschau")
    first = clock.now().replace(tzinfo=None, minute=0, second=0, microsecond=0) - timedelta(days=300)
    for number in range(1, FED + 1):
        make.event(
            series=series,
            theme_id=theme.id,
            slug=f"fed-{number}",
            title=f"Vortrag {number}",
            summary=TEXT,
            starts_local=first + timedelta(hours=6 * number),
        )


def _sign_in(person: Person) -> str:
    secret, now = random_secret(), clock.now()
    db.session.add(SignedIn(digest=digest(secret), person_id=person.id, started_at=now, seen_at=now))
    return secret
