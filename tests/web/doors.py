"""Every form that the public, attendees and those who sign in can send, with what a person would type into it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.databases import Visitor
from tests.factories import NOON, Make
from tests.pages import Form, Page
from whatsnext import tokens
from whatsnext.db import write
from whatsnext.models import Person, Status
from whatsnext.services import blocking, follows, registrations, signin
from whatsnext.tokens import Purpose

ASKED = "a" * 43
"""What the browser that signed up keeps in its cookie."""
BEGAN = "b" * 43
"""The secret of the browser in which a sign-in began."""
ENGLISH = "/en"


@dataclass(frozen=True)
class Door:
    """A form: the page it stands on, where it goes, what is typed. `owes`: sending it owes a mail."""

    page: str
    action: str
    good: dict[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    owes: bool = False

    @property
    def typed(self) -> tuple[str, ...]:
        """The fields that take free text."""
        return self.lines + self.texts


@dataclass
class House:
    """Doors by name, and the person who stands behind most of them."""

    ada: Person
    doors: dict[str, Door]

    def visitor(self, app: Any, name: str) -> Visitor:
        """A browser that may open this door."""
        visitor = app.test_client()
        assert isinstance(visitor, Visitor)
        visitor.set_cookie("wn-asked", ASKED)
        if name == "code":
            with visitor.session_transaction() as cookie:
                cookie["browser"] = BEGAN
        if name == "link":
            with visitor.session_transaction() as cookie:
                cookie["browser"] = BEGAN
        if name == "sign out":
            visitor.sign_in(self.ada)
        return visitor


NAMES = (
    "sign up",
    "resend",
    "confirm",
    "offer",
    "block",
    "follow",
    "follow the opening",
    "confirm to follow",
    "end following",
    "barrier",
    "appearance",
    "sign in",
    "code",
    "link",
    "my registrations",
    "sign out",
    "cancel",
    "undo",
    "switch",
    "change",
    "new link",
    "resend invitation",
)
TYPED = ("sign up", "follow", "follow the opening", "barrier", "sign in", "code", "my registrations", "change")
"""Those with fields for free text."""


def build(make: Make) -> House:
    """One talk, held both ways, and someone in each state that has a form."""
    talk = make.event(slug="offen", title="Register", places_on_site=9, places_online=9)
    ada = make.person(email="ada@behoerde.example")
    browser = tokens.digest(ASKED)
    mine = make.registration(talk, Status.CONFIRMED, person=ada, browser=browser)
    gone = make.registration(talk, Status.CANCELLED, browser=browser)
    held = make.registration(talk, Status.HELD, browser=browser, now=NOON - timedelta(minutes=2))
    offered = make.registration(talk, Status.OFFERED, browser=browser)
    with write():
        link = signin._new_link(ada, tokens.digest(BEGAN), "", NOON)[1]
    key, back = (f"/registrations/{registrations.manage_token(one)}" for one in (mine, gone))
    doors = _public(held, offered) | _follows(make, ada) | _account(ada, link)
    for name, path in (("cancel", key), ("undo", back), ("switch", key), ("new-link", key), ("resend-invitation", key)):
        doors[name.replace("-", " ")] = Door(f"{path}/{name}", f"{path}/{name}", {"choice": "yes"}, owes=True)
    doors["change"] = Door(
        f"{key}/change",
        f"{key}/change",
        {"name": "Ada Neu", "agency": "Stadt Bonn", "needs": "Ein Platz ohne Stufen", "needs_consent": "y"},
        lines=("name", "agency"),
        texts=("needs",),
    )
    return House(ada, {name: doors[name] for name in NAMES})


def _public(held: Any, offered: Any) -> dict[str, Door]:
    until, asked = NOON + timedelta(hours=1), NOON - timedelta(minutes=2)
    sealed = [held.ref, "x…y@behoerde.example", until.timestamp(), asked.timestamp(), False]
    seal = tokens.sign(Purpose.CHECK_MAIL, sealed, until)
    confirm, offer = f"/confirm/{registrations.confirm_token(held)}", f"/offer/{registrations.offer_token(offered)}"
    block = f"/no-more-mails/{blocking.token(held.person, NOON)}"
    wish = {"name": "Kim Muster", "email": "kim@behoerde.example", "agency": "Stadt Köln", "mode": "on_site"}
    needs = {"needs": "Gebärdensprache", "needs_consent": "y"}
    report = {"page": "/themes", "words": "Der Kontrast ist zu gering.", "contact": "leser@example.org"}
    return {
        "sign up": Door(
            "/events/offen", "/events/offen/signup", wish | needs, ("name", "email", "agency"), ("needs",), owes=True
        ),
        "resend": Door(f"/events/offen/check-your-mail?seal={seal}", "/events/offen/resend", owes=True),
        "confirm": Door(confirm, confirm, {"choice": "yes"}, owes=True),
        "offer": Door(offer, offer, {"choice": "yes"}, owes=True),
        "block": Door(block, block, {"choice": "yes"}),
        "barrier": Door("/report-barrier", "/report-barrier", report, ("page", "contact"), ("words",), owes=True),
        "appearance": Door("/appearance", "/appearance", {}),
    }


def _follows(make: Make, ada: Person) -> dict[str, Door]:
    """A theme to follow, a talk whose sign-up is to open, a wish to confirm and one to end."""
    theme = make.theme(slug="blockchain", name="Blockchain")
    make.event(slug="spaeter", registration_opens=NOON + timedelta(days=1))
    asked, holds = (
        make.follow(person, theme_id=theme.id, browser=tokens.digest(ASKED), proved_at=proved_at)
        for person, proved_at in ((make.person(), None), (ada, NOON))
    )
    confirm, end = f"/follow/{follows.confirm_token(asked)}", f"/following/{follows.follow_token(holds, NOON)}"
    paths = {"follow": "/themes/blockchain/follow", "follow the opening": "/events/spaeter/remind"}
    address = {"email": "kim@behoerde.example"}
    return {
        **{name: Door(path, path, address, ("email",), owes=True) for name, path in paths.items()},
        "confirm to follow": Door(confirm, confirm, {"choice": "yes"}),
        "end following": Door(end, end, {"choice": "yes"}),
    }


def _account(ada: Person, link: str) -> dict[str, Door]:
    address = {"email": ada.email}
    return {
        "sign in": Door("/sign-in", "/sign-in", address, ("email",), owes=True),
        "code": Door("/sign-in/sent", "/sign-in/sent", {"code": "BCDF2345"}, ("code",)),
        "link": Door(f"/sign-in/{link}", f"/sign-in/{link}"),
        "my registrations": Door("/my-registrations", "/my-registrations", address, ("email",), owes=True),
        "sign out": Door("/my-registrations", "/sign-out"),
    }


def served(page: Page, prefix: str, door: Door) -> Form:
    """The form of this door on a page, whatever the page is."""
    return page.form(prefix + door.action)
