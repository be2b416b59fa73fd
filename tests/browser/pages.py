"""Every page there is, with something on it: the demo, and the addresses an attendee and an organiser can reach."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from tests.databases import Visitor
from whatsnext import clock, demo, jobs, tokens
from whatsnext.db import db, write
from whatsnext.mail import maildir
from whatsnext.mail.wire import Courier
from whatsnext.models import Event, Follow, Incoming, IncomingState, Mailing, Person, Reason, Registration, Status
from whatsnext.services import blocking, events, follows, mailings, recipients, registrations, rescheduling
from whatsnext.services.drafts import Draft
from whatsnext.services.mailings import Words
from whatsnext.services.participants import Search
from whatsnext.services.slots import Part
from whatsnext.tokens import Purpose


@dataclass
class World:
    """Paths by name; those of organisers apart."""

    public: dict[str, str] = field(default_factory=dict)
    organise: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        return {**self.public, **self.organise}


def build(app: Flask) -> World:
    """Fill the database with the demo and name every page it has."""
    courier = Courier()
    demo.fill(clock.now(), lambda: jobs.deliver_due(courier))
    courier.close()
    world = World()
    _public(world)
    _attendee(world)
    _organise(world)
    _course(world)
    world.public["mailbox"] = "/mailbox"
    world.public["mail"] = f"/mailbox/{maildir.newest()[0].key}"
    return world


def organiser_cookie(app: Flask) -> str:
    """The session cookie of a browser in which the demo's organiser is signed in."""
    visitor = app.test_client()
    assert isinstance(visitor, Visitor)
    visitor.sign_in(db.session.scalars(select(Person).where(Person.email == demo.ORGANISER)).one())
    cookie = visitor.get_cookie(app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    return cookie.value


def _event(title: str) -> Event:
    return db.session.scalars(select(Event).where(Event.title == title)).one()


def _public(world: World) -> None:
    talks = (demo.FULL, demo.MOVED, demo.CANCELLED, demo.COMING[0], demo.PAST[0])
    names = ("open", "moved", "cancelled", "english", "past")
    world.public |= {name: f"/events/{_event(talk.title).slug}" for name, talk in zip(names, talks, strict=True)}
    pages = ("impressum", "datenschutz", "barrierefreiheit", "leichte-sprache", "gebaerdensprache", "hilfe")
    world.public |= {slug: f"/pages/{slug}" for slug in pages}
    world.public |= {
        "home": "/",
        "search": "/?q=cloud",
        "nothing found": "/?q=zzz",
        "themes": "/themes",
        "theme": "/themes/blockchain",
        "follow": "/themes/blockchain/follow",
        "asked to follow": "/follow/check-your-mail",
        "my registrations": "/my-registrations",
        "erased": "/erased",
        "sign in": "/sign-in",
        "code": "/sign-in/sent",
        "barrier": "/report-barrier",
        "appearance": "/appearance",
        "missing": "/nothing-here",
        "bad link": "/confirm/nonsense",
    }


def _attendee(world: World) -> None:
    full = _event(demo.FULL.title)

    def one(status: Status) -> Registration:
        which = select(Registration).where(Registration.event_id == full.id, Registration.status == status)
        return db.session.scalars(which.order_by(Registration.arrival)).first()  # type: ignore[return-value]

    confirmed, waiting, gone = one(Status.CONFIRMED), one(Status.WAITING), one(Status.CANCELLED)
    held = one(Status.HELD)
    until = clock.now() + timedelta(hours=1)
    sealed = [held.ref, "r…u@behoerde.example", until.timestamp(), until.timestamp() - 3600, False]
    seal = tokens.sign(Purpose.CHECK_MAIL, sealed, until)
    links = {
        name: f"/registrations/{registrations.manage_token(row)}"
        for name, row in (("confirmed", confirmed), ("waiting", waiting), ("gone", gone))
    }
    world.public |= links
    world.public |= {
        "give up": links["confirmed"] + "/cancel",
        "leave the line": links["waiting"] + "/cancel",
        "undo": links["gone"] + "/undo",
        "switch": links["waiting"] + "/switch",
        "details": links["confirmed"] + "/change",
        "new link": links["confirmed"] + "/new-link",
        "again": links["confirmed"] + "/resend-invitation",
        "confirm": f"/confirm/{registrations.confirm_token(held)}",
        "check your mail": f"/events/{full.slug}/check-your-mail?seal={seal}",
        "no more mails": f"/no-more-mails/{blocking.token(held.person, clock.now())}",
        "confirm to follow": f"/follow/{follows.confirm_token(_follow(held.person, 'blockchain'))}",
        "following": f"/following/{follows.follow_token(_follow(held.person, 'cloud-computing'), clock.now())}",
    }


def _follow(person: Person, slug: str) -> Follow:
    """The first one is asked for only, the others are confirmed."""
    with write():
        follows.follow_theme(slug, follows.Asker(person.email), clock.now())
    follow = db.session.scalars(select(Follow).order_by(Follow.id.desc())).first()
    assert follow is not None
    if slug != "blockchain":
        with write():
            follows.confirm(follow.id, clock.now())
    return follow


def _lost(talk: Event) -> str:
    """Somebody whose address sends mails back, and an answer to an invitation that was passed on; returns the ref."""
    coming = select(Registration).where(Registration.event_id == talk.id, Registration.status == Status.CONFIRMED)
    lost = db.session.scalars(coming.order_by(Registration.arrival.desc())).first()
    assert lost is not None
    given = {
        "state": IncomingState.ASIDE,
        "reason": Reason.FOREIGN,
        "method": "REPLY",
        "sender": "sam@behoerde.example",
    }
    with write():
        lost.person.bounced_at = clock.now()
        of = {"event_id": talk.id, "registration_id": lost.id}
        db.session.add(Incoming(digest="1", received_at=clock.now(), **given, **of))
    return lost.ref


def _organise(world: World) -> None:
    talk, draft, off = _event(demo.FULL.title), _event(demo.DRAFT.title), _event(demo.CANCELLED.title)
    ref = db.session.scalars(select(Registration.ref).where(Registration.event_id == talk.id)).first()
    at = f"/organise/events/{talk.id}"
    lost = _lost(talk)
    world.organise |= {
        "own data": "/my-registrations/data",
        "overview": "/organise/",
        "all mails": "/organise/delivery",
        "incoming mails": "/organise/incoming",
        "series": "/organise/series",
        "new series": "/organise/series/new",
        "one series": "/organise/series/1",
        "organise themes": "/organise/themes",
        "new theme": "/organise/themes/new",
        "one theme": "/organise/themes/1",
        "theme deleted": "/organise/themes/1/delete",
        "agencies": "/organise/agencies",
        "one agency": "/organise/agencies/1",
        "speakers": "/organise/speakers",
        "one speaker": "/organise/speakers/1",
        "pages": "/organise/pages",
        "one page": "/organise/pages/impressum/de",
        "new talk": "/organise/events/new",
        "editor": at,
        "draft": f"/organise/events/{draft.id}",
        "preview": f"/organise/events/{draft.id}/preview",
        "publish": f"/organise/events/{draft.id}/publish",
        "duplicate": f"{at}/duplicate",
        "cancel": f"{at}/cancel",
        "called off": f"/organise/events/{off.id}",
        "participants": f"{at}/participants",
        "participants found": f"{at}/participants?show=confirmed&invited=sent",
        "one participant": f"{at}/participants/{ref}",
        "lost participant": f"{at}/participants/{lost}",
        "add": f"{at}/participants/add",
        "message": f"{at}/message",
        "export": f"{at}/participants.csv",
        "prove again": "/sign-in?fresh=1",
    }
    assert not db.session.scalars(select(Mailing.id)).all()
    words, now = Words("Raum", "Guten Tag {name}, wir sind im Saal."), clock.now()
    choice = recipients.Choice(talk.id, recipients.Act.MESSAGE, search=Search())
    seal = recipients.seal(recipients.choose(choice), now, (words.subject, words.body))
    organiser = db.session.scalars(select(Person).where(Person.email == demo.ORGANISER)).one()
    with write():
        mailing = mailings.send(talk.id, seal, words, organiser, now)
        mailings.pause(talk.id, mailing.id, now)
    world.organise["delivery of a message"] = f"{at}/messages/{mailing.id}"


def _course(world: World) -> None:
    """A talk every week, one part of it called off."""
    now, like = clock.now(), Draft.of(_event(demo.FULL.title))
    whole = replace(like, title="Ein Kurs", slug="", parts=(Part(),) * 5, repeat_weeks=1, fold=None)
    with write():
        event = events.create(replace(whole, registration_opens=None, registration_closes=None), now)
        events.publish(event.id, event.version, now)
        rescheduling.cancel_part(event.id, 2, "Krankheit", event.version, now, expected=0)
    at = f"/organise/events/{event.id}"
    world.public["course"] = f"/events/{event.slug}"
    world.organise |= {"editor of a course": at, "cancel a part": f"{at}/parts/3/cancel"}
