"""What people and programs send wrongly to public forms, sign-in and the own registration: each gets a clear answer.

Always at the field or on a designed page, in the reader's language, with status 4xx, everything typed kept, and nothing
changed.
"""

import re
from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.pages import Page
from tests.web import doors, robot
from tests.web.hostile import CONTROL, IN_LINES_ALLOWED
from whatsnext import errors, tokens
from whatsnext.db import write
from whatsnext.i18n import gettext, speaking
from whatsnext.models import EventState
from whatsnext.services import catalogue
from whatsnext.tokens import Purpose

LANGUAGES = pytest.mark.parametrize("language", ["de", "en"])
EVERY_DOOR = pytest.mark.parametrize("name", doors.NAMES)
LINE_REFUSED = "Line breaks and control characters are not possible here. Type the text anew."
TEXT_REFUSED = "This text contains control characters that cannot be shown. Paste it as plain text."
TOO_LONG = "This text has %(length)s characters; %(longest)s are possible."
STALE = "The form was open for too long. Just send it once more."
FOREIGN = "This was sent from another site. Check what it says and send it once more."
STRANGE = "The form sent fields that do not belong to it. Check your entries and send it."


@pytest.fixture
def house(make):
    return doors.build(make)


def said(language, words, **facts):
    with speaking(language):
        return gettext(words, **facts)


def prefix_of(language):
    return "" if language == "de" else "/en"


class Sender:
    """Someone before a door: sends its form with changes, and looks at what comes back."""

    def __init__(self, app, house, name, language):
        self.door, self.prefix, self.language = house.doors[name], prefix_of(language), language
        self.visitor = house.visitor(app, name)
        page = self.visitor.page(self.prefix + self.door.page)
        self.action, self.values = doors.served(page, self.prefix, self.door).filled(self.door.good)

    def send(self, changes, **given):
        return Page(self.visitor.post(self.action, data={**self.values, **changes}, **given))

    def refused(self, page, changes, status=422):
        """What is wrong with a refusal: [] if it is as it must be."""
        wrong = []
        if page.status != status:
            return [f"answered {page.status}"]
        if f'<html lang="{self.language}"' not in page.html:
            wrong.append("another language")
        shown = doors.served(page, self.prefix, self.door).filled({})[1]
        sent = {name: values for name, values in {**self.values, **changes}.items() if name != "csrf_token"}
        for name, value in sent.items():
            if name in self.door.good and shown.get(name) != lines(value):
                wrong.append(f"{name} holds {shown.get(name)}")
        return wrong


def lines(value):
    """What was sent in one field, as a page gives it back."""
    values = value if isinstance(value, list) else [value]
    return [one.replace("\r\n", "\n") for one in values]


def complaint(page, name):
    """What stands at a field."""
    found = re.search(rf'id="{name}-e".*?<span class="kern-body">(.*?)</span>', page.html, re.DOTALL)
    return found.group(1) if found else ""


# --- texts -----------------------------------------------------------------------------------------------


@LANGUAGES
@pytest.mark.parametrize("name", doors.TYPED)
def test_no_field_takes_control_characters(app, house, name, language):
    sender, before, wrong = Sender(app, house, name, language), robot.rows(), []
    for field in sender.door.typed:
        for called, character in CONTROL.items():
            several = field in sender.door.texts
            if several and called in IN_LINES_ALLOWED:
                continue
            typed = {field: f"Ada{character}Beispiel"}
            page = sender.send(typed)
            reason = said(language, TEXT_REFUSED if several else LINE_REFUSED)
            if not complaint(page, field).endswith(reason):
                wrong.append((field, called, complaint(page, field)))
            wrong += [(field, called, one) for one in sender.refused(page, typed)]
    assert wrong == []
    assert robot.rows() == before


@LANGUAGES
@pytest.mark.parametrize("name", doors.TYPED)
def test_what_is_too_long_is_said_with_its_length_and_not_cut(app, house, name, language):
    sender, before, wrong = Sender(app, house, name, language), robot.rows(), []
    for field in sender.door.typed:
        typed = {field: "ä" * 10_000}
        page = sender.send(typed)
        reason = said(language, TOO_LONG, length="10000", longest="LONGEST").split("LONGEST")[0]
        if reason not in complaint(page, field):
            wrong.append((field, complaint(page, field)))
        wrong += [(field, one) for one in sender.refused(page, typed)]
    assert wrong == []
    assert robot.rows() == before


@LANGUAGES
@pytest.mark.parametrize("name", doors.TYPED)
def test_what_is_missing_is_said_at_its_field(app, house, name, language):
    sender, before = Sender(app, house, name, language), robot.rows()
    needed = [field for field in sender.door.typed if field not in ("needs", "page", "contact")]
    page = sender.send(dict.fromkeys(needed, " \t "))
    assert page.status == 422
    assert [
        field
        for field in needed
        if said(language, "%(label)s: This is still missing.", label="").strip(": ") not in complaint(page, field)
    ] == []
    assert robot.rows() == before


# --- fields and tokens -----------------------------------------------------------------------------------


@LANGUAGES
@EVERY_DOOR
def test_unknown_and_doubled_fields_are_refused(app, house, name, language):
    sender, before, wrong = Sender(app, house, name, language), robot.rows(), []
    doubled = {field: [value, value] for field, value in sender.values.items() for value in [value[0]]}
    for changes in ({"role": "operator"}, {"x" * 300: "y"}, *({field: values} for field, values in doubled.items())):
        page = sender.send(changes)
        if said(language, STRANGE) not in page.text:
            wrong.append((sorted(changes), page.status))
        kept = {} if set(changes) & set(doubled) else changes
        wrong += [(sorted(changes), one) for one in sender.refused(page, kept)]
    assert wrong == []
    assert robot.rows() == before


@LANGUAGES
@EVERY_DOOR
def test_a_form_too_old_or_from_elsewhere_comes_back_filled(app, house, name, language):
    sender, before, wrong = Sender(app, house, name, language), robot.rows(), []
    tomorrow = NOON + timedelta(days=1)
    elsewhere = {
        "too old": tokens.sign(Purpose.FORM, ["", "k"], NOON),
        "of someone signed in": tokens.sign(Purpose.FORM, ["x" * 22, "k"], tomorrow),
        "of another purpose": tokens.sign(Purpose.PREVIEW, ["", "k"], tomorrow),
        "of a link": tokens.sign(Purpose.CONFIRM, ["", "k"], tomorrow),
        "forged": "forged",
        "empty": "",
    }
    for called, token in elsewhere.items():
        page = sender.send({"csrf_token": token})
        wrong += [(called, one) for one in sender.refused(page, {})]
        if said(language, STALE) not in page.text:
            wrong.append((called, page.text))
    assert wrong == []
    assert robot.rows() == before


@LANGUAGES
@EVERY_DOOR
def test_a_form_sent_by_another_site_comes_back_filled(app, house, name, language):
    sender, before, wrong = Sender(app, house, name, language), robot.rows(), []
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ):
        page = sender.send({}, headers=headers)
        wrong += [(headers, one) for one in sender.refused(page, {})]
        if said(language, FOREIGN) not in page.text:
            wrong.append((headers, page.text))
    assert wrong == []
    assert robot.rows() == before


ANEW = ("barrier", "sign in", "code", "my registrations")
"""What is sent twice here is meant twice: a report, a link, a try."""


@LANGUAGES
@pytest.mark.parametrize("name", [name for name in doors.NAMES if name not in ANEW])
def test_the_same_form_twice_does_what_it_does_once(app, house, owed, name, language):
    sender = Sender(app, house, name, language)
    sender.send({})
    once, mails = robot.rows(), owed()
    again = sender.send({})
    assert 300 <= again.status < 500
    assert {**robot.rows(), "message": once["message"]} == once
    assert owed() == mails


# --- talks that take nobody ------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


@LANGUAGES
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"registration_opens": NOON + HOUR}, errors.RegistrationNotOpen(NOON + HOUR, "Europe/Berlin")),
        ({"registration_closes": NOON - HOUR}, errors.RegistrationClosed()),
        ({"state": EventState.CANCELLED, "cancelled_reason": "Krank"}, errors.EventCancelled()),
        ({"starts_at": NOON - HOUR, "ends_at": NOON + HOUR}, errors.EventOver()),
        ({"starts_at": NOON - 2 * HOUR, "ends_at": NOON - HOUR}, errors.EventOver()),
        ({"on_site": False, "capacity_on_site": 0}, errors.ModeNotOffered()),
    ],
    ids=["before opening", "after closing", "cancelled", "begun", "past", "no longer on site"],
)
def test_a_form_of_a_talk_that_takes_nobody_any_more_says_why_and_keeps_everything(
    app, make, house, language, given, error
):
    sender = Sender(app, house, "sign up", language)
    change(talk(), given)
    before = robot.rows()
    page = sender.send({})
    with speaking(language):
        assert error.message in page.text
    kept = {"mode": page.forms[0].values.get("mode", [])} if "on_site" in given else {}
    assert sender.refused(page, kept) == []
    assert robot.rows() == before


@LANGUAGES
def test_a_draft_is_not_there(app, make, house, language):
    sender = Sender(app, house, "sign up", language)
    change(talk(), {"state": EventState.DRAFT})
    before = robot.rows()
    page = sender.send({})
    assert page.status == 404
    assert said(language, "This page does not exist (any more).") in page.text
    assert robot.rows() == before


def talk():
    return catalogue.published("offen")


def change(thing, values):
    with write():
        for name, value in values.items():
            setattr(thing, name, value)


# --- links -----------------------------------------------------------------------------------------------

LINKS = ("confirm", "offer", "block", "resend", "link", "cancel", "undo", "switch", "change", "new link")


@LANGUAGES
@pytest.mark.parametrize("name", LINKS)
def test_an_expired_link_is_explained(app, house, at, name, language):
    sender, before = Sender(app, house, name, language), robot.rows()
    at(NOON + timedelta(days=90))
    opened = sender.visitor.page(sender.prefix + sender.door.page)
    assert opened.status == 410
    assert f'<html lang="{language}"' in opened.html
    assert said(language, "This link has expired.") in opened.text
    assert sender.send({}).status in (410, 422)
    assert robot.rows() == before


@LANGUAGES
@pytest.mark.parametrize("name", LINKS)
def test_a_forged_link_is_explained(app, house, name, language):
    sender, before = Sender(app, house, name, language), robot.rows()
    path = sender.door.page
    for token in re.findall(r"[\w.-]{40,}", path):
        path = path.replace(token, token[:30] + ("y" if token[30] == "x" else "x") + token[31:])
    page = sender.visitor.page(sender.prefix + path)
    assert page.status == 400
    assert f'<html lang="{language}"' in page.html
    assert said(language, "This link is not complete or was never valid.") in page.text
    assert robot.rows() == before


@LANGUAGES
@pytest.mark.parametrize(("name", "status"), [("confirm", 200), ("offer", 200), ("link", 410), ("new link", 410)])
def test_a_used_link_says_how_it_stands(app, house, name, status, language):
    sender = Sender(app, house, name, language)
    assert sender.send({}).status == 303
    before = robot.rows()
    page = house.visitor(app, name).page(sender.prefix + sender.door.page)
    assert page.status == status
    assert f'<html lang="{language}"' in page.html
    assert robot.rows() == before


@LANGUAGES
@pytest.mark.parametrize("name", ["confirm", "offer", "cancel", "undo", "switch", "new link", "resend invitation"])
@pytest.mark.parametrize("choice", ["", "maybe", "YES", "\x00"])
def test_an_answer_that_is_none_is_asked_again(app, house, name, choice, language):
    sender, before = Sender(app, house, name, language), robot.rows()
    page = sender.send({"choice": choice})
    assert page.status == 422
    assert said(language, "Choose one of the two answers.") in page.text
    assert robot.rows() == before
