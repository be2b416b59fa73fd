"""Every route × role × own, foreign and absent things, against one table; a route that is not listed fails (P1, I1)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from whatsnext.db import Base, db, write
from whatsnext.models import Incoming, IncomingState, Kind, Mailing, Person, Reason, Status
from whatsnext.permissions import Role
from whatsnext.services import blocking, feeds, follows, registrations, signin

EVERYONE = {
    "account.erased",
    "account.own_calendar",
    "account.registrations",
    "account.sign_in",
    "account.sign_in_link",
    "account.sign_in_sent",
    "account.sign_out",
    "feeds.host",
    "feeds.mine",
    "feeds.news",
    "feeds.series",
    "feeds.subscribe",
    "feeds.theme",
    "ops.live",
    "ops.ready",
    "public.appearance",
    "public.block",
    "public.blocked",
    "public.check_mail",
    "public.confirm",
    "public.declined",
    "public.event",
    "public.event_ics",
    "public.follow_asked",
    "public.follow_confirm",
    "public.follow_opening",
    "public.follow_theme",
    "public.following",
    "public.home",
    "public.offer",
    "public.page",
    "public.report_barrier",
    "public.resend",
    "public.series",
    "public.sign_up",
    "public.sign_up_page",
    "public.theme",
    "public.themes",
}
ATTENDEE = {
    "attendee.calendar",
    "attendee.cancel",
    "attendee.change",
    "attendee.new_link",
    "attendee.qr",
    "attendee.registration",
    "attendee.resend_invitation",
    "attendee.switch",
    "attendee.undo",
}
SIGNED_IN = {"account.own_data"}
PLANNERS = {
    "organise.agencies",
    "organise.agency_delete",
    "organise.agency_edit",
    "organise.agency_new",
    "organise.delivery_page",
    "organise.delivery_retry",
    "organise.event_cancel",
    "organise.event_cancel_part",
    "organise.event_change",
    "organise.event_duplicate",
    "organise.event_edit",
    "organise.event_new",
    "organise.event_preview",
    "organise.event_publish",
    "organise.event_sign_up",
    "organise.incoming",
    "organise.incoming_copy",
    "organise.incoming_decline",
    "organise.incoming_done",
    "organise.incoming_invite",
    "organise.followers_send",
    "organise.mailing",
    "organise.mailing_new",
    "organise.mailing_pause",
    "organise.mailing_resume",
    "organise.mailing_retry",
    "organise.mailing_send",
    "organise.mailing_stop",
    "organise.mails_release",
    "organise.overview",
    "organise.page_edit",
    "organise.pages",
    "organise.participant",
    "organise.participant_add",
    "organise.participant_address",
    "organise.participant_invite",
    "organise.participant_promote",
    "organise.participant_remove",
    "organise.participant_retry",
    "organise.participants",
    "organise.participants_act",
    "organise.participants_csv",
    "organise.participants_selected",
    "organise.series_delete",
    "organise.series_edit",
    "organise.series_list",
    "organise.series_new",
    "organise.speaker_delete",
    "organise.speaker_edit",
    "organise.speaker_new",
    "organise.speakers",
    "organise.theme_delete",
    "organise.theme_edit",
    "organise.theme_new",
    "organise.themes",
}
OPERATORS = {"organise.delivery_held"}
CLOSED = {"ops.metrics"}
"""Until a setting opens it (tests/web/test_metrics.py)."""
DEMO_ONLY = {"ops.mailbox", "ops.mailbox_calendar", "ops.mailbox_html", "ops.mailbox_message"}
SEALED = {"public.check_mail", "public.resend"}
"""Their address is good with its seal only, whatever else it names."""
LISTED = sorted(EVERYONE | ATTENDEE | SIGNED_IN | PLANNERS | OPERATORS | CLOSED | DEMO_ONLY)
ROLES = (None, Role.ATTENDEE, Role.ORGANISER, Role.OPERATOR)
ABSENT_WORDS = {"page": "agb", "language": "fr", "key": "x" * 26, "ref": "x" * 26, "act": "invite", "secret": "x" * 43}
ABSENT_NUMBERS = tuple(
    f"{name}_id" for name in ("event", "agency", "speaker", "theme", "series", "mailing", "message", "incoming")
)


NEXT_TIME = datetime(2026, 1, 21, 14, 0)
"""When the second part of each talk is."""


@dataclass
class World:
    """Ada's registration at one talk, Grace's at another, and what addresses may name of each."""

    ada: Person
    own: dict[str, Any]
    foreign: dict[str, Any]
    tokens: dict[str, str]


@pytest.fixture
def world(make):
    ada, grace = make.person(), make.person()
    theme, agency, speaker = make.theme(), make.agency(), make.speaker()
    series = theme.series
    hers, other = (
        make.event(series=series, theme=theme, host=agency, places_on_site=9, places_online=9, further=(NEXT_TIME,))
        for _ in range(2)
    )
    registration = make.registration(hers, Status.CONFIRMED, person=ada)
    held, offered = make.registration(hers, Status.HELD), make.registration(hers, Status.OFFERED)
    foreign = make.registration(other, Status.CONFIRMED, person=grace)
    with write():
        mailings = [
            Mailing(event_id=event.id, author_id=ada.id, subject="x", body="x", created_at=NOON)
            for event in (hers, other)
        ]
        db.session.add_all(mailings)
        db.session.flush()
        token = signin.command_line_link(ada.email, NOON)
        secrets = [feeds.renew(person.id, NOON).secret for person in (ada, grace)]
    mails = [
        make.message(Kind.ORGANISER_MESSAGE, one, mailing_id=box.id)
        for one, box in zip((registration, foreign), mailings, strict=True)
    ]
    with write():
        aside = Incoming(digest="a", state=IncomingState.ASIDE, reason=Reason.FOREIGN, received_at=NOON)
        db.session.add(aside)
    things = {"agency_id": agency.id, "speaker_id": speaker.id, "theme_id": theme.id, "series_id": series.id}
    things["incoming_id"] = aside.id
    words = {"language": "de", "act": "invite", "mail": "x", "position": 2}
    asked, followed = make.follow(proved_at=None, theme_id=theme.id), make.follow(theme_id=theme.id)
    slugs = {
        "public.follow_theme": theme.slug,
        "public.page": "hilfe",
        "public.series": series.slug,
        "public.theme": theme.slug,
    }
    slugs |= {"feeds.series": series.slug, "feeds.theme": theme.slug}
    own, strange = (
        {
            **things,
            **words,
            "slugs": {**slugs, "organise.page_edit": "hilfe"},
            "event_id": event.id,
            "slug": event.slug,
            "ref": one.ref,
            "key": one.ref,
            "mailing_id": box.id,
            "message_id": mail.id,
            "secret": secret,
        }
        for event, one, box, mail, secret in zip(
            (hers, other), (registration, foreign), mailings, mails, secrets, strict=True
        )
    )
    links = {
        "account.sign_in_link": token,
        "public.confirm": registrations.confirm_token(held),
        "public.offer": registrations.offer_token(offered),
        "public.block": blocking.token(grace, NOON),
        "public.follow_confirm": follows.confirm_token(asked),
        "public.following": follows.follow_token(followed, NOON),
    }
    return World(ada, own, strange, links)


def address(app, endpoint, names, world):
    """The address of a page about the things in `names`; secret links are the world's own."""
    rule = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == endpoint)
    values = {name: names[name] for name in rule.arguments if name != "token"}
    if "slug" in rule.arguments:
        values["slug"] = names["slugs"].get(endpoint, names["slug"]) if "slugs" in names else names["slug"]
    if "token" in rule.arguments:
        values["token"] = names.get("token") or world.tokens[endpoint]
    with app.test_request_context():
        return app.url_map.bind("localhost").build(endpoint, values), rule


def enter(app, role, world, make):
    """A browser in which someone with this role is signed in: Ada, or an organiser."""
    client = app.test_client()
    if role is not None:
        client.sign_in(world.ada if role is Role.ATTENDEE else make.person(role=role))
    return client


def everything():
    """What stands in all tables, as one comparable value."""
    db.session.rollback()
    rows = {table.name: db.session.execute(sa.select(table)).all() for table in Base.metadata.sorted_tables}
    db.session.rollback()
    return {name: sorted(map(repr, found)) for name, found in rows.items()}


def absent(world):
    return {
        **world.own,
        **ABSENT_WORDS,
        **dict.fromkeys(ABSENT_NUMBERS, 2**31 - 1),
        "slug": "gibt-es-nicht",
        "slugs": {},
        "token": "falsch",
    }


def test_every_route_is_listed(app):
    assert sorted({rule.endpoint for rule in app.url_map.iter_rules()}) == LISTED


@pytest.mark.parametrize("endpoint", LISTED)
def test_each_role_enters_where_it_may_and_nowhere_else(app, make, world, endpoint, figure):
    path, rule = address(app, endpoint, world.own, world)
    for role in ROLES:
        client = enter(app, role, world, make)
        for method in sorted(rule.methods & {"GET", "POST"}):
            answer = client.open(path, method=method, data={} if method == "POST" else None)
            assert answer.status_code < 500, (role, method, path)
            wrong = allowed(answer) != expected(endpoint, role)
            figure("cells", cells=1, wrong=int(wrong))
            assert not wrong, (role, method, path, answer.status_code)


def allowed(answer):
    if answer.status_code == 303 and answer.location.startswith("/sign-in?next="):
        return "sign in"
    return {403: "forbidden", 404: "not found"}.get(answer.status_code, "enter")


def expected(endpoint, role):
    """What the role table says of one's own things: Ada's registration, the talk she takes part in."""
    if endpoint in CLOSED | DEMO_ONLY:
        return "not found"
    if endpoint in OPERATORS:
        return {None: "sign in", Role.OPERATOR: "enter"}.get(role, "forbidden")
    if endpoint in PLANNERS:
        return {None: "sign in", Role.ATTENDEE: "forbidden"}.get(role, "enter")
    if endpoint in SIGNED_IN:
        return "enter" if role else "sign in"
    if endpoint in ATTENDEE:
        return "enter" if role is Role.ATTENDEE else "not found"
    return "enter"


@pytest.mark.parametrize("endpoint", sorted(ATTENDEE))
def test_a_foreign_registration_and_an_absent_one_answer_alike(app, make, world, endpoint, figure):
    for role in ROLES:
        client = enter(app, role, world, make)
        for names in (world.foreign, absent(world)):
            path, rule = address(app, endpoint, names, world)
            for method in sorted(rule.methods & {"GET", "POST"}):
                status = client.open(path, method=method).status_code
                figure("cells", cells=1, wrong=int(status != 404))
                assert status == 404, (role, method, path)


@pytest.mark.parametrize("endpoint", sorted(PLANNERS))
def test_things_of_another_talk_and_absent_things_answer_alike(app, make, world, endpoint, figure):
    client = enter(app, Role.ORGANISER, world, make)
    mixed = {**world.foreign, "event_id": world.own["event_id"]}
    for names, parts in (
        (mixed, {"ref", "mailing_id", "message_id"}),
        (absent(world), {*ABSENT_NUMBERS, "slug", "ref"}),
    ):
        path, rule = address(app, endpoint, names, world)
        for method in sorted(rule.methods & {"GET", "POST"}):
            if rule.arguments & parts:
                status = client.open(path, method=method, data=None).status_code
                figure("cells", cells=1, wrong=int(status != 404))
                assert status == 404, (method, path)


@pytest.mark.parametrize("endpoint", sorted(EVERYONE))
def test_absent_things_are_said_to_be_absent(app, make, world, endpoint):
    path, rule = address(app, endpoint, absent(world), world)
    if rule.arguments:
        status = 400 if "token" in rule.arguments or endpoint in SEALED else 404
        for method in sorted(rule.methods & {"GET", "POST"}):
            assert app.test_client().open(path, method=method).status_code == status, (method, path)


@pytest.mark.parametrize("role", ROLES)
def test_looking_changes_nothing(app, make, world, role):
    """Twice over the whole map with every role and link: the database is the same before and after (I1)."""
    client = enter(app, role, world, make)
    before = everything()
    for _ in range(2):
        for endpoint in LISTED:
            path, rule = address(app, endpoint, world.own, world)
            for method in sorted(rule.methods & {"GET", "HEAD", "OPTIONS"}):
                client.open(path, method=method)
    assert everything() == before


@pytest.mark.parametrize("endpoint", LISTED)
def test_no_form_acts_without_its_token(app, make, world, endpoint):
    path, rule = address(app, endpoint, world.own, world)
    if "POST" not in rule.methods:
        return
    for role in ROLES:
        client = enter(app, role, world, make)
        before = everything()
        for token in ({}, {"csrf_token": "forged"}):
            answer = client.post(path, data={**token, "choice": "yes", "words": "x"})
            assert 300 <= answer.status_code < 500, (role, path)
        assert everything() == before, (role, path)
