"""What shall be better here than elsewhere, as far as it shows without a browser (experience.md §6).

The rest is in tests/browser/test_ten_points.py.
"""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import icalendar
import pytest
from sqlalchemy import select

from tests.browser import pages
from tests.factories import NOON
from tests.mail import worlds
from tests.pages import Page
from tests.web import doors, robot
from tests.web.test_bad_input import Sender, prefix_of, said
from tools.check_tree import ROOT
from whatsnext import demo, i18n, tokens
from whatsnext.db import db, write
from whatsnext.errors import RateLimited
from whatsnext.i18n import speaking
from whatsnext.models import Kind, Mode, Person, Registration, Status
from whatsnext.services import registrations, signin, waiting_list
from whatsnext.web import ratelimit

LANGUAGES = pytest.mark.parametrize("language", ["de", "en"])
LINK = re.compile(r"http://[^\s<>\"]+")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def links(mail, app):
    """The paths of our own links in a mail."""
    base = app.config["BASE_URL"]
    return [link.removeprefix(base) for link in LINK.findall(mail.part("text/plain")) if link.startswith(base)]


def fresh(thing):
    db.session.rollback()
    return db.session.get(type(thing), thing.id, populate_existing=True)


# --- 1 ---------------------------------------------------------------------------------------------------


@LANGUAGES
def test_1_a_stranger_is_in_after_two_pages_and_at_most_five_fields(app, make, sent, language):
    make.event(slug="t", places_on_site=9, places_online=9)
    stranger, prefix = app.test_client(), prefix_of(language)
    first = stranger.page(prefix + "/events/t")
    form = first.html.partition('id="anmelden"')[2].partition("</form>")[0].replace('class="wn-trap"', "\0")
    form = re.sub(r"\0.*?</div>", "", form, flags=re.DOTALL)
    asked = set(re.findall(r'<(?:input|textarea|select)[^>]*\bname="([^"]+)"', form))
    hidden = set(re.findall(r'<input[^>]*type="hidden"[^>]*\bname="([^"]+)"|name="([^"]+)"[^>]*type="hidden"', form))
    typed = asked - {name for pair in hidden for name in pair} - {"csrf_token", "full", "needs_consent"}
    assert typed == {"name", "email", "agency", "mode", "needs"}
    assert re.findall(r'type="password"|captcha', first.html, re.IGNORECASE) == []
    words = {"name": "Kim Muster", "email": "kim@behoerde.example", "agency": "Stadt Köln", "mode": "online"}
    stranger.submit(first, words, form=f"{prefix}/events/t/signup")
    (confirm,) = [path for path in links(sent()[0], app) if "/confirm/" in path]
    stranger.submit(confirm, form=confirm)
    assert [one.status for one in db.session.scalars(select(Registration))] == [Status.CONFIRMED]


# --- 5 ---------------------------------------------------------------------------------------------------


@LANGUAGES
def test_5_whoever_waits_sees_the_place_in_line_may_leave_or_go_online_and_moves_up_without_a_click(
    app, make, sent, language
):
    talk = make.event(slug="t", places_on_site=1, places_online=1, starts_local=None)
    confirmed = make.registration(talk, Status.CONFIRMED, language=language)
    waiting = [make.registration(talk, Status.WAITING, language=language) for _ in range(2)]
    page = app.test_client().page(f"{prefix_of(language)}/registrations/{registrations.manage_token(waiting[1])}")
    assert said(language, "Waiting list: number %(number)s of %(all)s", number=2, all=2) in page.text
    verbs = {href.rpartition("/")[2] for href, _words in page.links}
    assert {"cancel", "switch"} <= verbs
    with write():
        registrations.cancel(confirmed.id, NOON)
    assert [fresh(one).status for one in waiting] == [Status.CONFIRMED, Status.WAITING]
    assert [fresh(one).mode for one in waiting] == [Mode.ON_SITE] * 2
    mails = [mail for mail in sent() if waiting[0].person.email in mail.recipients]
    assert [calendar(mail)["METHOD"] for mail in mails] == ["REQUEST"]


def test_5_nobody_moves_up_unasked_after_the_set_time_and_nobody_at_all_once_it_has_begun(make, at):
    talk = make.event(places_on_site=1)
    hours = timedelta(hours=talk.series.promotion_stops_hours)
    moments = {
        talk.starts_at - hours - HOUR: Status.CONFIRMED,
        talk.starts_at - hours + HOUR: Status.OFFERED,
        talk.starts_at + HOUR / 2: Status.WAITING,
    }
    found = {}
    for moment in moments:
        other = make.event(places_on_site=1, starts_at=talk.starts_at, ends_at=talk.ends_at)
        line = make.registration(other, Status.WAITING)
        with write():
            waiting_list.fill(waiting_list.lock(other.id), moment)
        found[moment] = fresh(line).status
    assert found == moments


# --- 6 ---------------------------------------------------------------------------------------------------

BULK = {
    "organise/events/change.html": ("Save and tell %(num)s people", "{{ told(who) }}", "{{ mail(letter) }}"),
    "organise/events/cancel.html": ("Cancel the talk and tell %(num)s people", "{{ told(who) }}", "{{ mail(letter) }}"),
    "organise/mailings/preview.html": ("{{ button(words.button", "{{ who(chosen) }}", "{{ letter.text }}"),
    "organise/participants/preview.html": ("{{ button(words.button", "{{ who(chosen) }}", "{{ letter.text }}"),
    "organise/overview/page.html": ("{{ button(line.link", "line.sentence", "mails_release"),
    "organise/delivery/page.html": ("Release %(num)s mails", "mails_release", "mails_release"),
}
"""Templates whose button mails several people: the number, who they are, the text."""
SENDING = r"\.(event_change|event_cancel|mailing_send|participants_act|mails_release)'"


def test_6_every_template_that_mails_several_people_names_number_recipients_and_text():
    """The number itself stands in the words of the button; below, each is pressed and read."""
    found = {}
    for path in (ROOT / "templates").rglob("*.html"):
        name, text = str(path.relative_to(ROOT / "templates")), path.read_text()
        if re.search(r"<form[^>]*url_for\('" + SENDING, text) or name.endswith("events/cancel.html"):
            found[name] = [part for part in BULK.get(name, ("listed in BULK",)) if part not in text]
    assert {name: missing for name, missing in found.items() if missing} == {}
    assert set(found) == set(BULK) & set(found)
    assert {"organise/events/change.html", "organise/mailings/preview.html"} <= set(found)
    words = (ROOT / "whatsnext/web/organise/participant_words.py").read_text()
    buttons = re.findall(r'ngettext\("((?:Send|Let|Remove)[^"]+)", "([^"]+)"', words)
    assert len(buttons) == 4
    assert [pair for pair in buttons if not all("%(n)s" in one for one in pair)] == []


@LANGUAGES
def test_6_the_number_in_the_button_is_the_number_of_mails(app, make, organiser, owed, language):
    talk = make.event(places_on_site=5, title="Register")
    people = [make.registration(talk) for _ in range(3)]
    before, at = owed(), f"{prefix_of(language)}/organise/events/{talk.id}"
    editor = organiser.page(at)
    change = Page(
        organiser.submit(
            editor,
            {"title": "Neu", "action": "save"} if "action" in editor.form("editor").names else {"title": "Neu"},
            form="editor",
        )
    )
    cancel = organiser.page(f"{at}/cancel")
    message = Page(organiser.submit(f"{at}/message", {"subject": "Raum", "body": "Raum 12"}, form=f"{at}/message"))
    for page in (change, cancel, message):
        buttons = re.findall(r"<button[^>]*kern-btn--primary[^>]*>.*?</button>", page.html, re.DOTALL)
        assert [bool(re.search(r"\b3\b", re.sub("<[^>]+>", "", button))) for button in buttons] == [True], page.text
    for registration in people:
        assert registration.person.email in message.text
    assert owed() == before


# --- 7 ---------------------------------------------------------------------------------------------------


@LANGUAGES
def test_7_a_change_reads_the_same_in_editor_page_mail_and_calendar(app, make, organiser, sent, language):
    talk = make.event(slug="t", places_on_site=5, title="Register")
    make.registration(talk, language=language)
    with speaking(language):
        old = i18n.span(talk.starts_at, talk.ends_at, talk.zone)
        new = i18n.span(talk.starts_at + DAY, talk.ends_at + DAY, talk.zone)
    at = f"{prefix_of(language)}/organise/events/{talk.id}"
    moved = {"date": (talk.starts_local + DAY).date().isoformat(), "address": "Anderswo 2, 10115 Berlin"}
    page = Page(organiser.post(at, data=organiser.page(at).form("editor").filled(moved)[1] | {"action": "save"}))
    editor = re.sub(r"\s+", " ", page.text)
    _action, values = page.form("change").filled({})
    assert organiser.post(_action, data=values | {"action": "tell"}).status_code == 303
    public = app.test_client().page(f"{prefix_of(language)}/events/t").text
    (mail,) = sent()
    event = calendar(mail).walk("VEVENT")[0]
    starts, ends = event["DTSTART"].dt, event["DTEND"].dt
    with speaking(language):
        shown = i18n.span(starts, ends, str(event["DTSTART"].params["TZID"]))
    described = str(event["DESCRIPTION"])
    assert [new in text for text in (editor, public, mail.part("text/plain"), shown, described)] == [True] * 5
    assert [old in text for text in (editor, public, mail.part("text/plain"), described)] == [True] * 4
    where = ("Beispielstraße 1, 10115 Berlin", moved["address"])
    assert [[words in text for text in (editor, mail.part("text/plain"), described)] for words in where] == [
        [True] * 3
    ] * 2
    assert str(event["LOCATION"]) == moved["address"]


def calendar(mail):
    return icalendar.Calendar.from_ical(mail.part("text/calendar"))


# --- 8 ---------------------------------------------------------------------------------------------------


class Fields(Page):
    """A page that knows which fields of its forms take free text."""

    def __init__(self, response):
        self.free = {}
        super().__init__(response)

    def _field(self, form, tag, given):
        super()._field(form, tag, given)
        kind = given.get("type", "text") if tag == "input" else tag
        taken = kind in ("text", "email", "url", "tel", "textarea") and "readonly" not in given
        if taken and "disabled" not in given and given.get("name", "website") != "website":
            self.free.setdefault(form.action, {})[given["name"]] = kind


def written_forms(app, world):
    """Every form of every page in which one can write: (visitor, path, form, fields)."""
    organiser, stranger = app.test_client(), app.test_client()
    organiser.sign_in(db.session.scalars(select(Person).where(Person.email == demo.ORGANISER)).one())
    attendee = app.test_client()
    key = world.public["details"].split("/")[2]
    attendee.sign_in(registrations.by_manage_token(key, NOON).person)
    seen = set()
    for visitor, paths in ((stranger, world.public), (attendee, world.public), (organiser, world.organise)):
        for path in paths.values():
            page = Fields(visitor.get(path))
            for form in page.forms:
                if page.free.get(form.action) and form.action not in seen:
                    seen.add(form.action)
                    yield visitor, path, form, page.free[form.action]


@LANGUAGES
def test_8_nothing_written_is_lost_by_a_wrong_field_or_an_old_form(make_app, language):
    app = make_app(mail_server="", mail_default_sender="", demo=True, exit_networks=["127.0.0.0/8"])
    tried, lost = set(), []
    with app.app_context():
        world = pages.build(app)
        before = robot.rows()
        for visitor, _path, form, fields in list(written_forms(app, world)):
            action = prefix_of(language) + form.action
            written = {name: f"Wörter {number}" for number, name in enumerate(fields)}
            for called, wrong in (
                ("old form", {"csrf_token": "old"}),
                ("wrong field", dict.fromkeys(list(fields)[:1], "a\x00b")),
            ):
                sent = {**form.filled({})[1], **written, **wrong}
                page = Page(visitor.post(action, data=sent, headers={"Origin": "http://localhost"}))
                tried.add((form.action.rpartition("/")[2], called))
                back = [one for one in page.forms if set(fields) <= one.names]
                kept = back[0].values if back else {}
                expected = {**written, **{name: value for name, value in wrong.items() if name in fields}}
                missing = {name: kept.get(name) for name, value in expected.items() if kept.get(name) != [value]}
                if page.status != 422 or missing:
                    lost.append((form.action, called, page.status, missing))
        assert lost == []
        assert robot.rows() == before
    assert len(tried) >= 2 * 12


@LANGUAGES
def test_8_nothing_written_is_lost_when_someone_else_was_faster(make_app, language):
    app = make_app(mail_server="", mail_default_sender="", demo=True)
    tried, lost = [], []
    with app.app_context():
        world = pages.build(app)
        before = robot.rows()
        for visitor, _path, form, fields in list(written_forms(app, world)):
            if "version" not in form.names or form.values["version"] in (["0"], [""]):
                continue
            wanted = [name for name in ("name", "title", "body", "reason") if name in fields][:1]
            written = {wanted[0]: "Ganz andere Wörter"}
            sent = {**form.filled({})[1], **written, "version": "0", "action": "save"}
            page = Page(
                visitor.post(prefix_of(language) + form.action, data=sent, headers={"Origin": "http://localhost"})
            )
            back = [one for one in page.forms if set(fields) <= one.names]
            tried.append(form.action)
            if page.status != 409 or not back or back[0].values[wanted[0]] != [written[wanted[0]]]:
                lost.append((form.action, page.status))
        assert lost == []
        assert robot.rows() == before
    assert len(tried) >= 5, tried


LIMITS = {
    "sign up": ratelimit.SIGN_UP,
    "resend": ratelimit.RESEND,
    "confirm": ratelimit.CONFIRM,
    "offer": ratelimit.CONFIRM,
    "block": ratelimit.CONFIRM,
    "barrier": ratelimit.BARRIER,
    "sign in": ratelimit.SIGN_IN,
    "code": ratelimit.CODE,
    "my registrations": ratelimit.SIGN_IN,
    "cancel": ratelimit.CONFIRM,
    "follow": ratelimit.FOLLOW,
    "follow the opening": ratelimit.FOLLOW,
    "confirm to follow": ratelimit.CONFIRM,
    "end following": ratelimit.CONFIRM,
    "undo": ratelimit.CONFIRM,
    "switch": ratelimit.CONFIRM,
    "new link": ratelimit.CONFIRM,
    "resend invitation": ratelimit.CONFIRM,
}


@LANGUAGES
@pytest.mark.parametrize("name", LIMITS)
def test_8_nothing_written_is_lost_by_too_many_attempts(app, make, name, language):
    house = doors.build(make)
    sender = Sender(app, house, name, language)
    exhaust(app, LIMITS[name])
    before = robot.rows()
    answer = sender.visitor.post(sender.action, data=sender.values)
    assert answer.headers.get("Retry-After", "").isdigit()
    assert sender.refused(Page(answer), {}, status=429) == []
    assert robot.rows() == before


def exhaust(app, allowance):
    """Use up what one network may do."""
    with app.test_request_context(environ_base={"REMOTE_ADDR": "127.0.0.1"}):
        for _ in range(1000):
            try:
                ratelimit.spend(allowance)
            except RateLimited:
                return
    raise AssertionError("never refused")


# --- 9 ---------------------------------------------------------------------------------------------------


@LANGUAGES
@pytest.mark.parametrize("kind", list(Kind))
def test_9_a_robot_behind_every_link_of_every_mail_changes_nothing(app, make, sent, kind, language, figure):
    """It opens each link ten times and submits each form there as it was served, with cookies and without."""
    given = {}
    if kind is Kind.SIGN_IN:
        with write():
            link, code = signin._new_link(make.person(), tokens.digest("b" * 43), "", NOON)[1:]
        given["facts"] = {"link_token": link, "code": code}
    worlds.owed(make, kind, language, **given)
    (mail,) = sent()
    before, paths = robot.rows(), links(mail, app)
    for use_cookies in (True, False):
        scanner = app.test_client(use_cookies=use_cookies)
        for path in paths:
            robot.scan(scanner, path)
            for _ in range(10):
                assert scanner.get(path).status_code < 500
    after = robot.rows()
    figure("scanner robot", mails=1, links=len(paths), effects=int(after != before))
    assert after == before
    assert paths or kind in (Kind.SECURITY_NOTICE, Kind.BARRIER_REPORT, Kind.FORWARD)


# --- 10 --------------------------------------------------------------------------------------------------

TIME = {"de": re.compile(r"\b\d{1,2}:\d{2}(?: Uhr)?"), "en": re.compile(r"\b\d{1,2}:\d{2}\b")}
NAMED = {
    "de": re.compile(r"(?:\d{1,2}:\d{2}(?: Uhr)?(?: ?– ?| – [^()]{5,40}, ))?\d{1,2}:\d{2} Uhr \([^()\d]+\)"),
    "en": re.compile(r"(?:\d{1,2}:\d{2}(?: ?– ?| – [^()]{5,40}, ))?\d{1,2}:\d{2} \([^()\d]+\)"),
}
BRIEF = {
    "de": re.compile(r"\b(?:Mo|Di|Mi|Do|Fr|Sa|So)\. \d{1,2}\.\d{1,2}\., \d{1,2}:\d{2} Uhr"),
    "en": re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{1,2} [A-Z][a-z]+, \d{1,2}:\d{2}"),
}
"""A subject has no room for the zone."""
MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "en": "January February March April May June July August September October November December",
}
MONTH = f"(?:{'|'.join(' '.join(MONTHS.values()).split())})"
DATE = {"de": re.compile(rf"\b\d{{1,2}}\. {MONTH} \d{{4}}"), "en": re.compile(rf"\b\d{{1,2}} {MONTH} \d{{4}}")}
DATED = {
    "de": re.compile(rf"\b(?:(?:Mo|Di|Mi|Do|Fr|Sa|So)\.|\w+(?:tag|woch)), \d{{1,2}}\. {MONTH} \d{{4}}"),
    "en": re.compile(rf"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?|\w+day,) \d{{1,2}} {MONTH} \d{{4}}"),
}


def unnamed(text, language):
    """Times without a zone and dates without a weekday, with what stands around them."""
    for typed in (*"\n".join(demo.AGENDAS.values()).split("\n"), "zum Beispiel 14:00", "for example 14:00"):
        text = text.replace(typed.removeprefix("- "), "")
    text = re.sub(r"https?://\S+", "", text)
    rest = NAMED[language].sub("", BRIEF["en"].sub("", BRIEF["de"].sub("", text)))
    found = [rest[max(0, one.start() - 40) : one.end() + 20] for one in TIME[language].finditer(rest)]
    bare = DATED[language].sub("", text)
    return found + [bare[max(0, one.start() - 40) : one.end() + 20] for one in DATE[language].finditer(bare)]


@LANGUAGES
def test_10_every_page_names_zone_and_weekday_and_is_one_click_from_legal_pages_and_barriers(make_app, language):
    app = make_app(mail_server="", mail_default_sender="", demo=True)
    wrong = []
    with app.app_context():
        world = pages.build(app)
        organiser = app.test_client()
        organiser.sign_in(db.session.scalars(select(Person).where(Person.email == demo.ORGANISER)).one())
        for visitor, paths in ((app.test_client(), world.public), (organiser, world.organise)):
            for name, path in paths.items():
                page = visitor.page(prefix_of(language) + path)
                text = NAMED["de"].sub("", page.text) if name == "mail" else page.text  # a German mail on its page
                wrong += [(name, words) for words in unnamed(text, language)]
                wrong += [(name, missing) for missing in missing_links(page, language)]
    assert wrong == [], wrong


def missing_links(page, language):
    prefix = prefix_of(language)
    wanted = {
        f"{prefix}/pages/{slug}"
        for slug in ("impressum", "datenschutz", "barrierefreiheit", "leichte-sprache", "gebaerdensprache", "hilfe")
    } | {f"{prefix}/report-barrier"}
    return wanted - {urlsplit(href).path for href, _words in page.links}


@LANGUAGES
@pytest.mark.parametrize("kind", list(Kind))
def test_10_every_mail_names_zone_and_weekday(app, make, sent, kind, language):
    worlds.owed(make, kind, language)
    (mail,) = sent()
    html = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", mail.part("text/html")))
    assert unnamed(mail.part("text/plain"), language) == []
    assert unnamed(html, language) == []


def test_10_the_expression_sees_what_is_missing():
    assert unnamed("Um 14:00 Uhr geht es los, am 14. Januar 2027.", "de") != []
    assert unnamed("Do., 14. Januar 2027, 14:00–15:30 Uhr (Berlin)", "de") == []
    assert unnamed("Thu 14 January 2027, 14:00–15:30 (Berlin)", "en") == []
    assert len(unnamed("14 January 2027, 14:00–15:30", "en")) == 3
