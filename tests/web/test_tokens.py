"""What a secret opens, whom an address means, where a redirect leads, who may keep an answer (safety.md I, P)."""

from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from tests.factories import NOON
from tests.pages import Page
from tests.web import doors, hostile, robot
from tests.web.doors import BEGAN
from tests.web.test_routes import address, world  # noqa: F401 (the world is a fixture)
from whatsnext import text, tokens
from whatsnext.db import db, write
from whatsnext.models import Kind, Message, Person, Status
from whatsnext.services import blocking, follows, registrations, signin
from whatsnext.services.recipients import Act, Choice, choose, seal
from whatsnext.tokens import Purpose

FORGED = ("", "x", "W10.x", "a" * 26, "a" * 27, "\x00", "ä", "x" * 3000, "null.", ".", "WzEsMV0.AAAA")


# --- I4: each secret at its own endpoint -----------------------------------------------------------------


@pytest.fixture
def house(make):
    return doors.build(make)


@pytest.fixture
def keys(make):
    """A secret of every purpose as it is given out, and what it opens: {purpose: token}."""
    talk = make.event(slug="t", places_on_site=5)
    mine, held, offered = (make.registration(talk, one) for one in (Status.CONFIRMED, Status.HELD, Status.OFFERED))
    with write():
        link = signin._new_link(mine.person, tokens.digest(BEGAN), "", NOON)[1]
    until = NOON + signin.LINK_LIFE
    sealed = [held.ref, "x…y@behoerde.example", until.timestamp(), NOON.timestamp(), False]
    return talk, {
        Purpose.CONFIRM: registrations.confirm_token(held),
        Purpose.MANAGE: registrations.manage_token(mine),
        Purpose.CHECK_MAIL: tokens.sign(Purpose.CHECK_MAIL, sealed, until),
        Purpose.OFFER: registrations.offer_token(offered),
        Purpose.SIGN_IN: link,
        Purpose.BLOCK: blocking.token(held.person, NOON),
        Purpose.FOLLOW: follows.confirm_token(make.follow(event_id=talk.id, proved_at=None)),
        Purpose.UNFOLLOW: follows.follow_token(make.follow(event_id=talk.id), NOON),
        Purpose.FORM: tokens.sign(Purpose.FORM, ["", "key"], until),
        Purpose.PREVIEW: seal(choose(Choice(talk.id, Act.MESSAGE, refs=(mine.ref,))), NOON, ("x", "y")),
    }


LOCKS = {
    Purpose.CONFIRM: ("/confirm/{}",),
    Purpose.OFFER: ("/offer/{}",),
    Purpose.BLOCK: ("/no-more-mails/{}",),
    Purpose.FOLLOW: ("/follow/{}",),
    Purpose.UNFOLLOW: ("/following/{}",),
    Purpose.SIGN_IN: ("/sign-in/{}",),
    Purpose.CHECK_MAIL: ("/events/t/check-your-mail?seal={}",),
    Purpose.MANAGE: (
        "/registrations/{}",
        "/registrations/{}/cancel",
        "/registrations/{}/undo",
        "/registrations/{}/switch",
        "/registrations/{}/change",
        "/registrations/{}/new-link",
        "/registrations/{}/resend-invitation",
        "/registrations/{}/calendar.ics",
        "/registrations/{}/qr",
    ),
}


def test_every_purpose_is_tried(keys):
    assert set(keys[1]) == set(Purpose)
    assert set(Purpose) - set(LOCKS) == {Purpose.FORM, Purpose.PREVIEW}


@pytest.mark.parametrize("purpose", list(LOCKS))
def test_an_address_opens_to_secrets_of_its_own_purpose_only(app, keys, purpose, figure):
    before, form = robot.rows(), keys[1][Purpose.FORM]
    for lock in LOCKS[purpose]:
        for other, token in keys[1].items():
            visitor = app.test_client()
            answers = [visitor.get(lock.format(token))]
            if other is not purpose and "?" not in lock:
                data = {"csrf_token": form, "choice": "yes"}
                answers += [visitor.post(lock.format(token), data=data)]
            for answer in answers:
                refused = answer.status_code in (400, 404, 405)
                figure("token pairs", pairs=1, wrong=int(refused is (other is purpose)))
                assert refused is (other is not purpose), (lock, other, answer.status_code)
    assert robot.rows() == before


def test_a_form_takes_no_secret_of_another_purpose(app, keys):
    for other, token in keys[1].items():
        answer = app.test_client().post("/report-barrier", data={"csrf_token": token, "words": "Der Kontrast"})
        assert answer.status_code == (303 if other is Purpose.FORM else 422), other


def test_a_seal_of_recipients_is_taken_where_it_was_made_only(app, organiser, keys):
    talk, secrets = keys
    before = robot.rows()
    for end in ("message/send", "participants/invite", "participants/promote", "participants/remove"):
        page = organiser.page(f"/organise/events/{talk.id}/message")
        form = next(form for form in page.forms if "body" in form.names)
        for other, token in secrets.items():
            if other is Purpose.PREVIEW and end == "message/send":
                continue
            data = {"csrf_token": form.values["csrf_token"], "seal": token, "subject": "x", "body": "y"}
            answer = organiser.post(f"/organise/events/{talk.id}/{end}", data=data)
            assert 400 <= answer.status_code < 500, (end, other, answer.status_code)
    assert robot.rows() == before


@pytest.mark.parametrize("purpose", list(LOCKS))
def test_no_forged_or_mended_secret_opens_anything(app, keys, purpose):
    mine, visitor = keys[1][purpose], app.test_client()
    head, _, mac = mine.rpartition(".")
    with app.app_context():
        strange = app.config["SECRET_KEY"]
        app.config["SECRET_KEY"] = "a key of somebody else's, long enough"
        other = tokens.sign(purpose, [1, 0], NOON + signin.LINK_LIFE)
        app.config["SECRET_KEY"] = strange
    changed = [mine[:-2], mine[1:], head, f"{head}.", f".{mac}", f"{head}.{mac[::-1]}", f"{head}x.{mac}", mine.upper()]
    for token in (*FORGED, *changed, other):
        path = LOCKS[purpose][0].format(token.encode().decode("latin-1") if "?" in LOCKS[purpose][0] else token)
        answer = visitor.get(path)
        assert answer.status_code in (200, 301, 303, 308, 400, 404), (token, answer.status_code)
        if answer.status_code == 200:
            assert token == "", token


# --- I9, P6: whom an address means -----------------------------------------------------------------------

ALICE = "alice.kiss@bund-koeln.de"
SAME = (
    "alice.kiss@bund-koeln.de",
    "Alice.Kiss@bund-koeln.de",
    "ALICE.KISS@BUND-KOELN.DE",
    "alice.kiss@Bund-Koeln.De",
    "aLiCe.KiSs@bUnD-kOeLn.dE",
    " alice.kiss@bund-koeln.de",
    "alice.kiss@bund-koeln.de ",
    "\talice.kiss@bund-koeln.de\t",
    "\nalice.kiss@bund-koeln.de\r\n",
    "\u00a0alice.kiss@bund-koeln.de\u3000",
)
"""Spellings of one address: they find her."""
OTHERS = (
    "alıce.kiss@bund-koeln.de",
    "alİce.kiss@bund-koeln.de",
    "alice.\u212aiss@bund-koeln.de",
    "alice.ki\u017fs@bund-koeln.de",
    "alice.ki\u00df@bund-koeln.de",
    "\u0430lice.kiss@bund-koeln.de",
    "alic\u0435.kiss@bund-koeln.de",
    "alice\uff0ekiss@bund-koeln.de",
    "\uff41lice.kiss@bund-koeln.de",
    "alice.kiss\uff20bund-koeln.de",
    "alice.kiss@bund\u2010koeln.de",
    "alice.kiss@bund\u00adkoeln.de",
    "alice.kiss@bund-k\u00f6ln.de",
    "alice.kiss@bund-ko\u0308ln.de",
    "alice.kiss@xn--bund-kln-r4a.de",
    "alice.kiss@\u0432und-koeln.de",
    "alice.kiss@bund-koeln.d\u0435",
    "alice.kiss@bund-koeln\u3002de",
    "alice.kiss@bund-koeln\uff0ede",
    "alice.kiss@bund-koeln\uff61de",
    "alice.kiss@bund-koeln.de.",
    "alice.kiss@bund-koeln.\u217ae",
    "alice.kiss@\u24b7und-koeln.de",
    "alice.kiss@bund-\U0001d48c\U0001d490eln.de",
    "alice\u200b.kiss@bund-koeln.de",
    "alice.kiss\u200d@bund-koeln.de",
    "\ufeffalice.kiss@bund-koeln.de",
    "alice.kiss@bund-koeln.de\u200b",
    "alice\u00ad.kiss@bund-koeln.de",
    "a\u0301lice.kiss@bund-koeln.de",
    "alice.kiss+x@bund-koeln.de",
    "alicekiss@bund-koeln.de",
    "a.l.i.c.e.kiss@bund-koeln.de",
    '"alice.kiss"@bund-koeln.de',
    '"alice".kiss@bund-koeln.de',
    "alice.kiss@sub.bund-koeln.de",
    "alice.kiss@bund-koeln.de.evil.example",
    "alice.kiss@bund-koeln.dev",
    "evil@alice.kiss@bund-koeln.de",
    "alice.kiss(x)@bund-koeln.de",
    "alice.kiss@(x)bund-koeln.de",
    "<alice.kiss@bund-koeln.de>",
    "Alice <alice.kiss@bund-koeln.de>",
    "alice.kiss@bund-koeln.de,evil@evil.example",
    "alice.kiss@bund-koeln.de\x00",
    "alice.kiss%40bund-koeln.de@evil.example",
    "alice.kiss%bund-koeln.de",
    "alice.kiss@bund-koeln.de\u202e",
    "alice.kiss@bund_koeln.de",
    "alice.kiss@[bund-koeln.de]",
    "=?utf-8?q?alice.kiss?=@bund-koeln.de",
)
"""Look-alikes, and what other programs take for the same: they find her or nobody, never somebody else."""


@pytest.mark.parametrize("path", ["/sign-in", "/my-registrations"])
def test_variants_of_an_address_find_the_same_person_or_nobody(app, make, path):
    assert len(SAME) + len(OTHERS) >= 60
    ada = make.person(email=ALICE)
    make.person(email="evil@evil.example")
    for typed in (*SAME, *OTHERS):
        found = messages_of(lambda typed=typed: app.test_client().submit(path, {"email": typed}))
        assert found in ([], [(ada.id, ALICE)]), typed
        assert (found != []) or typed not in SAME, typed
        with write():
            db.session.execute(db.delete(Message))
            db.session.execute(db.text("DELETE FROM rate_limit"))


def test_a_variant_that_signs_up_is_the_same_person_or_one_of_its_own(make_app, make):
    app, ada = make_app(exit_networks=["127.0.0.0/8"]), make.person(email=ALICE)
    make.event(slug="t", places_on_site=500)
    with app.app_context():
        for typed in (*SAME, *OTHERS):
            words = {"name": "Kim", "email": typed, "agency": "x"}
            app.test_client().submit("/events/t", words, form="/events/t/signup")
    db.session.rollback()
    addresses = [person.email for person in db.session.scalars(select(Person))]
    assert [address for address in addresses if address != text.mail_address(address).address] == []
    assert [address for address in addresses if not address.isascii() or address.lower() != address] == []
    assert addresses.count(ada.email) == 1
    owed = db.session.scalars(select(Message)).all()
    assert [mail.recipient for mail in owed if mail.person and mail.recipient != mail.person.email] == []


def messages_of(act):
    act()
    db.session.rollback()
    owed = db.session.scalars(select(Message).where(Message.kind == Kind.SIGN_IN)).all()
    return [(mail.person_id, mail.recipient) for mail in owed]


# --- P6: hostile addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sign up", "follow", "follow the opening", "sign in", "my registrations"])
@pytest.mark.parametrize("prefix", ["", "/en"])
def test_hostile_addresses_are_refused_at_their_field_and_stay(make_app, house, prefix, name):
    assert len(hostile.ADDRESSES) >= 40
    app, door, before = make_app(exit_networks=["127.0.0.0/8"]), house.doors[name], robot.rows()
    visitor = house.visitor(app, name)
    page = visitor.page(prefix + door.page)
    for typed in hostile.ADDRESSES:
        answer = visitor.submit(page, {**door.good, "email": typed}, form=prefix + door.action)
        assert answer.status_code == 422, typed
        shown = doors.served(Page(answer), prefix, door).filled({})[1]
        assert 'id="email-e"' in answer.text, typed
        assert shown["email"] == [typed.replace("\r\n", "\n")], typed
    assert robot.rows() == before


# --- P8: redirects ---------------------------------------------------------------------------------------

TARGETS = (
    *("https://evil.example/", "http://evil.example", "//evil.example", "///evil.example", "////evil.example"),
    *("/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\\/evil.example", "\\evil.example", "/\\\\evil"),
    *("http:evil.example", "https:/evil.example", "http:///evil.example", "https:evil.example/themes"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x"),
    *("/en//evil.example", "//localhost@evil.example", "http://localhost@evil.example/", "@evil.example"),
    *("http://localhost.evil.example/", "http://localhost:80@evil.example", "//localhost:80#@evil.example"),
    *("/%2f%2fevil.example", "/%5cevil.example", "%2f%2fevil.example", "/%09/evil.example", "/%0d%0aX:y", "/..//evil"),
    *(
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "\x00//evil.example",
        "/\x0b/evil",
    ),
    *(
        "/themes\r\nX: y",
        "/themes\x00",
        "/themes#\n",
        "/themes\u2028",
        "/themes/../..//evil.example",
        "/./evil.example",
    ),
    *("https:///themes", "file:///etc/passwd", "ftp://evil.example", "mailto:x@evil.example", "blob:x", "about:blank"),
    *("/nowhere", "themes", "/static/../../etc", "/static/wn.css", "/themes/extra/part", "/confirm", "/events//evil"),
    *("/sign-out", "/events/t/signup/x", "/health", "/en/nowhere", "/enthemes", "/en/en/themes", "\u2215\u2215evil"),
    *(
        "//evil\u3002example",
        "/\u2215evil.example",
        "http://[::1",
        "//[evil",
        "http://evil.example:99999999/",
        "",
        "?",
        "#",
    ),
)
GOOD = ("/", "/themes", "/en/themes", "/themes?x=1", "/report-barrier?page=/themes", "/en", "/organise/")


def test_nothing_but_a_page_of_ours_is_gone_to(app, make, house, figure):
    assert len(set(TARGETS)) >= 60
    visitor = house.visitor(app, "sign out")
    look = house.visitor(app, "appearance")
    form = look.page("/appearance")
    for target in TARGETS:
        assert visitor.get("/sign-in", query_string={"next": target}).location == "/my-registrations", target
        data = {"csrf_token": form.form("/appearance").values["csrf_token"], "appearance": "dark", "next": target}
        location = look.post("/appearance", data=data).location or "/"
        figure("redirects", payloads=1, followed=int(location not in ("/", "/themes")))
        assert location in ("/", "/themes"), target
    for target in GOOD:
        assert visitor.get("/sign-in", query_string={"next": target}).location.rstrip("/") == target.rstrip("/")


# --- I7: mailed links come from BASE_URL -----------------------------------------------------------------

OWING = (
    *("sign up", "resend", "confirm", "offer", "follow", "follow the opening"),
    *("barrier", "sign in", "my registrations"),
)
OWING_OWN = ("cancel", "undo", "switch", "new link", "resend invitation")


def test_every_form_that_owes_mail_is_tried(house):
    assert {name for name, door in house.doors.items() if door.owes} == {*OWING, *OWING_OWN}


@pytest.mark.parametrize("name", [*OWING, *OWING_OWN])
def test_a_form_sent_to_another_host_owes_nothing_and_names_no_other_host(app, house, sent, name):
    door, visitor = house.doors[name], house.visitor(app, name)
    action, values = doors.served(visitor.page(door.page), "", door).filled(door.good)
    before = robot.rows()
    for host in ("evil.example", "localhost.evil.example", "evil.example:80", "localhost@evil.example", ""):
        answer = visitor.post(action, data=values, headers={"Host": host})
        assert answer.status_code in (400, 303), host
        assert "evil" not in answer.text
    assert robot.rows() == before
    forwarded = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Server": "evil.example",
        "X-Forwarded-Prefix": "/evil.example",
        "X-Original-Host": "evil.example",
        "Forwarded": "host=evil.example",
        "X-Forwarded-Proto": "gopher",
        "X-Rewrite-Url": "//evil.example/",
    }
    answer = visitor.post(action, data=values, headers=forwarded)
    assert answer.status_code == 303
    assert urlsplit(answer.location).netloc == ""
    base = app.config["BASE_URL"]
    mails = sent()
    assert mails != []
    for mail in mails:
        assert b"evil" not in mail.raw
        links = [word for word in mail.part("text/plain").split() if "://" in word and "video.behoerde" not in word]
        assert [word for word in links if not word.strip("<>()").startswith(base)] == []


# --- P13: who may keep an answer -------------------------------------------------------------------------

NOBODYS = ("public.event_ics", "ops.live", "ops.ready")


@pytest.mark.parametrize("who", ["nobody", "attendee", "organiser"])
def test_only_answers_that_are_everybodys_may_be_kept(app, make, world, who):  # noqa: F811
    """Over the whole map: secret addresses and known people are kept by nobody; the public's pages set no cookie."""
    visitor = app.test_client()
    if who != "nobody":
        visitor.sign_in(world.ada if who == "attendee" else make.organiser())
    wrong = []
    for rule in sorted(app.url_map.iter_rules(), key=str):
        if "GET" not in rule.methods:
            continue
        path, _rule = address(app, rule.endpoint, world.own, world)
        for prefix in ("", "/en"):
            wrong += kept_wrongly(visitor.get(prefix + path), path, secret={"token", "key"} & rule.arguments, who=who)
    assert wrong == []


def kept_wrongly(answer, path, *, secret, who):
    kept, vary = answer.headers.get("Cache-Control", ""), answer.headers.get("Vary", "")
    wrong = []
    if (secret or who != "nobody") and kept != "private, no-store":
        wrong.append((path, answer.status_code, kept))
    feed = kept == "public, max-age=300" and not secret and path.endswith((".ics", ".atom"))
    if not feed and kept != "private, no-store" and kept != "no-cache" and not kept.startswith("no-store"):
        wrong.append((path, answer.status_code, kept))
    if "Cookie" not in vary and "html" in answer.content_type:
        wrong.append((path, answer.status_code, "Vary", vary))
    if who == "nobody" and "Set-Cookie" in answer.headers:
        wrong.append((path, answer.status_code, answer.headers["Set-Cookie"]))
    if secret and (answer.headers["Referrer-Policy"], answer.headers["X-Robots-Tag"]) != ("no-referrer", "noindex"):
        wrong.append((path, answer.status_code, "Referrer-Policy"))
    return wrong


@pytest.mark.parametrize("name", doors.NAMES)
def test_the_answer_to_a_form_is_kept_by_nobody(app, house, name):
    door, visitor = house.doors[name], house.visitor(app, name)
    action, values = doors.served(visitor.page(door.page), "", door).filled(door.good)
    for changes in ({"csrf_token": "old"}, {"x": "y"}, {}):
        answer = visitor.post(action, data=values | changes)
        assert answer.headers["Cache-Control"] in ("no-store", "private, no-store"), (name, answer.status_code)
