"""Every kind of mail in both languages, held against each line of what a calendar invitation must be."""

import re
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import NOON, Make
from tests.interop import foreign
from tests.mail.worlds import BULK, CANCELS, DIAL_IN, FACTS, FOLLOWED, JOIN_LINK, OWN, REQUESTS, change, owed, talk
from whatsnext.db import db, write
from whatsnext.i18n import LANGUAGES, speaking
from whatsnext.mail import deliver, together
from whatsnext.mail.compose import compose
from whatsnext.mail.kinds import KINDS
from whatsnext.mail.mime import Letter, build
from whatsnext.models import Kind, Message, Mode, PartStat, Registration, Status
from whatsnext.services import differences, parts

TEMPLATES = Path(__file__).parents[2] / "templates" / "mail"
WITH_CALENDAR = (*REQUESTS, *CANCELS)

every_kind = pytest.mark.parametrize("kind", list(Kind))
every_language = pytest.mark.parametrize("language", LANGUAGES)


def letter(message: Message) -> Letter:
    with write():
        return compose(message, NOON)


def mail(message: Message) -> EmailMessage:
    parsed = message_from_bytes(build(letter(message)), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def calendar_of(message: Message) -> bytes:
    calendar = letter(message).calendar
    assert calendar is not None
    return calendar[1]


def calendars_in(raw: bytes) -> list[bytes]:
    parts = message_from_bytes(raw, policy=policy.default).walk()
    return [bytes(part.get_payload(decode=True)) for part in parts if part.get_content_type() == "text/calendar"]


def entry(message: Message) -> dict[str, Any]:
    return foreign.read_with_icaljs([calendar_of(message)])[0]


class Reader(HTMLParser):
    """What a person sees of a mail, the links it has, and the elements it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self.tags, self.attributes = "", [], set(), []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


# --- every mail ------------------------------------------------------------------------------------------


def test_every_kind_has_a_row_and_three_templates() -> None:
    assert list(KINDS) == list(Kind)
    files = [sorted(path.name for path in (TEMPLATES / KINDS[kind].folder).iterdir()) for kind in Kind]
    assert files == [["body.html", "body.txt", "subject.txt"]] * len(Kind)
    folders = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
    assert folders == sorted(kind.value for kind in Kind)


@every_language
@every_kind
def test_a_mail_is_whole_in_text_and_in_html(make: Make, kind: Kind, language: str) -> None:
    composed = letter(owed(make, kind, language))
    seen = Reader(composed.html)
    assert f'<html lang="{language}">' in composed.html
    assert seen.tags <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td"),
        *("p", "h1", "strong", "br", "a", "hr"),
    }
    tables = composed.html.count("<table")
    assert tables == composed.html.count('<table role="presentation"') == 2
    for link in seen.links:  # equal content: no link is in one part only
        assert link in composed.text, link
    for line in composed.text.splitlines():
        for word in re.findall(r"\w{4,}", re.sub(r"https?://\S+", "", line)):
            assert word in seen.words, line
    for said in (composed.text, composed.html, composed.subject):
        assert not re.search(r"%\(|(<|&lt;)(module|function|built-in|class|bound method)|object at 0x", said), said


@every_language
@every_kind
def test_letters_are_large_and_nothing_is_fetched(make: Make, kind: Kind, language: str) -> None:
    html = letter(owed(make, kind, language)).html
    assert min(int(size) for size in re.findall(r"font-size:(\d+)px", html)) >= 16
    fetched = [value for tag, name, value in Reader(html).attributes if name in ("src", "background", "srcset")]
    assert fetched == []
    assert "url(" not in html


@every_language
@every_kind
def test_subjects_are_short_and_say_the_news_first(make: Make, kind: Kind, language: str) -> None:
    event = talk(make, title="Datenanalyse und Künstliche Intelligenz in der öffentlichen Verwaltung des Bundes")
    subject = letter(owed(make, kind, language, event if kind in OWN else None)).subject
    assert 10 < len(subject) <= 60
    assert "\n" not in subject


def test_subjects_in_german_are_those_of_the_table(make: Make) -> None:
    event = talk(make)
    subjects = {kind: letter(owed(make, kind, event=event)).subject for kind in OWN}
    when = differences.i18n.brief(event.starts_at, event.zone) if event.starts_at else ""
    assert {kind: subject.replace(when, "{wann}") for kind, subject in subjects.items()} == {
        Kind.CONFIRMATION_REQUEST: "Bitte bestätigen: Blockchain in der Verwaltung",
        Kind.ALREADY_REGISTERED: "Ihre Anmeldung: Blockchain in der Verwaltung",
        Kind.WAITING: "Warteliste: Blockchain in der Verwaltung, Platz 1",
        Kind.INVITATION: "Einladung: Blockchain in der Verwaltu…, {wann}",
        Kind.PROMOTION: "Sie haben einen Platz: Blockchain in der Verwaltung",
        Kind.OFFER: "Ein Platz ist frei: Blockchain in der Verwaltung",
        Kind.UPDATE: "Geändert: Blockchain in der Verwaltung",
        Kind.CANCELLATION: "Abgemeldet: Blockchain in der Verwaltung",
        Kind.EVENT_CANCELLATION: "Abgesagt: Blockchain in der Verwaltung, {wann}",
        Kind.ORGANISER_MESSAGE: "Raum geändert (Blockchain in der Verwaltung)",
        Kind.NEW_LINK: "Ihr neuer Link: Blockchain in der Verwaltung",
        Kind.COUNTER_DECLINED: "Es bleibt beim Termin: Blockchain in der Verwaltung",
        Kind.PART_CANCELLATION: "Abgesagt: Blockchain i… (Teil 1 von 2), {wann}",
        Kind.REMINDER: "Demnächst: Blockchain in der Verwaltu…, {wann}",
    }


@every_language
@pytest.mark.parametrize("kind", OWN)
def test_mails_about_a_talk_say_when_with_weekday_and_zone_and_whom_to_ask(
    make: Make, kind: Kind, language: str
) -> None:
    text = letter(owed(make, kind, language)).text
    when = (
        "Mo., 19. Januar 2026, 14:00–15:30 Uhr (Berlin)"
        if language == "de"
        else "Mon 19 January 2026, 14:00–15:30 (Berlin)"
    )
    assert when in text
    assert "Kim Muster, kontakt@behoerde.example, 030 12345" in text


@every_language
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (*OWN, *BULK)])
def test_mails_about_no_time_name_none(make: Make, kind: Kind, language: str) -> None:
    composed = letter(owed(make, kind, language))
    assert not re.search(r"^(Wann|When)\b", composed.text, re.MULTILINE)
    assert "<h1" not in composed.html


@every_language
@pytest.mark.parametrize("opening", [False, True])
def test_who_is_asked_to_confirm_following_reads_which_series_it_is_and_whom_to_ask(
    make: Make, language: str, opening: bool
) -> None:
    composed = letter(owed(make, Kind.FOLLOW_REQUEST, language, talk(make) if opening else None))
    assert composed.sender_name == "What's NEXt, die Reihe"
    assert "Kim Muster, kontakt@behoerde.example, 030 12345" in composed.text


@every_language
@every_kind
def test_headers_say_who_writes_and_that_a_machine_does(make: Make, kind: Kind, language: str) -> None:
    message = owed(make, kind, language)
    parsed = mail(message)
    token = message.registration.reply_token if message.registration else ""
    address = f"next+{token}@localhost" if token else "next@localhost"
    address = address.replace("localhost", parsed["From"].addresses[0].domain)
    known = message.event or kind is Kind.FOLLOW_REQUEST
    name = "What's NEXt, die Reihe" if known else "What's NEXt"
    assert [(each.display_name, each.addr_spec) for each in parsed["From"].addresses] == [(name, address)]
    assert [(each.display_name, each.addr_spec) for each in parsed["Reply-To"].addresses] == [(name, address)]
    assert getaddresses([parsed["To"]]) == [("", message.recipient)]
    assert parsed["Message-ID"] == message.message_id
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Date"].datetime == NOON
    assert [name for name in ("Cc", "Bcc", "Precedence") if parsed[name]] == []
    one_click = [parsed["List-Unsubscribe-Post"], bool(parsed["List-Unsubscribe"])]
    assert one_click == (["List-Unsubscribe=One-Click", True] if kind in BULK else [None, False])


@every_language
@every_kind
def test_every_byte_is_ascii_and_no_line_too_long(make: Make, kind: Kind, language: str) -> None:
    raw = build(letter(owed(make, kind, language)))
    raw.decode("ascii")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@every_language
@pytest.mark.parametrize("kind", BULK)
def test_the_address_to_unsubscribe_at_is_one_unbroken_line_and_the_link_of_the_mail(
    make: Make, kind: Kind, language: str
) -> None:
    composed = letter(owed(make, kind, language))
    assert f"\r\nList-Unsubscribe: <{composed.unsubscribe}>\r\n".encode() in build(composed)
    assert composed.unsubscribe in composed.text
    assert f"{'/en' if language == 'en' else ''}/following/" in composed.unsubscribe


def test_a_local_part_stays_within_64_octets_and_is_lower_case(make: Make) -> None:
    local = letter(owed(make, Kind.INVITATION)).sender.rpartition("@")[0]
    assert len(local) <= 64
    assert local == local.lower()


# --- the calendar part -----------------------------------------------------------------------------------


@every_language
@pytest.mark.parametrize("kind", WITH_CALENDAR)
def test_the_calendar_is_the_last_alternative_and_an_attachment(make: Make, kind: Kind, language: str) -> None:
    parsed = mail(owed(make, kind, language))
    tree = [part.get_content_type() for part in parsed.walk()]
    assert tree == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics"),
    ]
    part, attachment = [each for each in parsed.walk() if not each.is_multipart()][2:]
    method = "REQUEST" if kind in REQUESTS else "CANCEL"
    assert dict(part["Content-Type"].params) == {"method": method, "charset": "UTF-8", "component": "VEVENT"}
    assert part["Content-Transfer-Encoding"] == "base64"
    assert part["Content-Disposition"] is None
    assert attachment.get_filename() == "invite.ics"
    assert attachment.get_payload(decode=True) == part.get_payload(decode=True)
    assert f"METHOD:{method}\r\n".encode() in part.get_payload(decode=True)  # type: ignore[operator]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in WITH_CALENDAR])
def test_other_mails_have_two_alternatives_only(make: Make, kind: Kind) -> None:
    tree = [part.get_content_type() for part in mail(owed(make, kind)).walk()]
    assert tree == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.parametrize("status", [Status.WAITING, Status.OFFERED])
def test_people_in_line_hear_of_a_change_in_words_only(make: Make, status: Status) -> None:
    told = letter(owed(make, Kind.UPDATE, status=status, sequence=None))
    assert told.calendar is None
    assert JOIN_LINK not in told.text + told.html
    assert "Warteliste verlassen" in told.text
    assert "Kalender" not in told.text


@pytest.mark.interop
@every_language
@pytest.mark.parametrize("kind", WITH_CALENDAR)
def test_foreign_parsers_read_what_was_meant(make: Make, kind: Kind, language: str) -> None:
    message = owed(make, kind, language)
    registration = message.registration
    assert registration is not None
    calendar = calendar_of(message)
    read = [foreign.read_with_icaljs([calendar])[0], foreign.read_with_vobject(calendar)]
    event = registration.event
    address = f"next+{registration.reply_token}@"
    with speaking(language):
        title = parts.title(event, message.part)
    for program in read:
        assert program["organizer"]["address"].startswith(address)
        assert program["organizer"]["parameters"]["CN"] == "What's NEXt, die Reihe"
        assert [each["address"] for each in program["attendees"]] == [message.recipient]
        names = (
            "method",
            "uid",
            "sequence",
            "status",
            "transp",
            "class",
            "summary",
            "start",
            "end",
            "events",
            "alarms",
        )
        assert {name: program[name] for name in names} == {
            "method": "REQUEST" if kind in REQUESTS else "CANCEL",
            "uid": event.uid,
            "sequence": message.sequence,
            "status": "CONFIRMED" if kind in REQUESTS else "CANCELLED",
            "transp": "OPAQUE",
            "class": "PUBLIC",
            "summary": title,
            "start": event.starts_at,
            "end": event.ends_at,
            "events": 1,
            "alarms": 0,
        }
        assert program["categories"] == ["Blockchain"]


@pytest.mark.interop
def test_the_one_attendee_is_asked_and_may_answer(make: Make) -> None:
    message = owed(make, Kind.INVITATION)
    assert message.registration is not None
    assert entry(message)["attendees"] == [
        {
            "address": message.recipient,
            "parameters": {
                "CN": message.registration.name,
                "CUTYPE": "INDIVIDUAL",
                "ROLE": "REQ-PARTICIPANT",
                "PARTSTAT": "NEEDS-ACTION",
                "RSVP": "TRUE",
            },
        }
    ]


@pytest.mark.interop
def test_the_description_has_summary_agenda_join_link_and_manage_link(make: Make) -> None:
    composed = entry(owed(make, Kind.INVITATION))
    lines = composed["description"].split("\n\n")
    assert lines[:4] == [
        "Was geht, was nicht.",
        "- Begrüßung\n- Vortrag",
        f"Online teilnehmen: {JOIN_LINK}",
        f"Einwahl per Telefon: {DIAL_IN}",
    ]
    assert re.fullmatch(r"Meine Anmeldung, Platz abgeben: http://\S+/registrations/\S+", lines[4])
    assert composed["conference"] == JOIN_LINK
    assert composed["location"] == JOIN_LINK


@pytest.mark.interop
def test_who_comes_on_site_gets_the_address_and_no_join_link(make: Make) -> None:
    message = owed(make, Kind.INVITATION, mode=Mode.ON_SITE)
    assert entry(message)["location"] == "Beispielstraße 1, 10115 Berlin"
    composed = letter(message)
    assert "Wo: Beispielstraße 1, 10115 Berlin" in composed.text
    assert JOIN_LINK not in composed.text + composed.html + calendar_of(message).decode().replace("\r\n ", "")


@every_kind
def test_the_join_link_goes_to_people_with_a_place_only(make: Make, kind: Kind) -> None:
    composed = letter(owed(make, kind))
    everything = composed.text + composed.html
    if composed.calendar:
        everything += composed.calendar[1].decode().replace("\r\n ", "").replace("\\,", ",")
    placeless = (Kind.CONFIRMATION_REQUEST, Kind.WAITING, Kind.OFFER, *CANCELS)
    assert (JOIN_LINK in everything) == (kind in OWN and kind not in placeless)


@pytest.mark.interop
@every_kind
def test_a_protected_talk_mails_the_own_page_instead_of_the_join_link(make: Make, kind: Kind) -> None:
    message = owed(make, kind, event=talk(make, protected=True) if kind in OWN else None)
    composed = letter(message)
    everything = composed.text + composed.html
    if composed.calendar:
        read = foreign.read_with_icaljs([composed.calendar[1]])[0]
        assert (read["class"], read["conference"]) == ("PRIVATE", "")
        gone = kind in (Kind.CANCELLATION, Kind.EVENT_CANCELLATION)
        assert read["location"] == "online" if gone else "/registrations/" in read["location"]
        assert ("Platz abgeben:" in read["description"]) is not gone
        everything += str(read)
    assert "video.behoerde.example" not in everything
    assert DIAL_IN not in everything


def test_a_new_join_link_of_a_protected_talk_is_told_without_it(make: Make) -> None:
    event = talk(make, protected=True)
    before = {**differences.facts(event), "join_link": "https://video.behoerde.example/alt"}
    composed = letter(owed(make, Kind.UPDATE, event=event, facts={"before": before}))
    assert "video.behoerde.example" not in composed.text + composed.html
    assert "Der Zugang zur Online-Teilnahme hat sich geändert" in composed.text


# --- updates and cancelling ------------------------------------------------------------------------------


@pytest.mark.interop
def test_stamps_rise_with_every_mail_of_a_registration(app: Flask, make: Make) -> None:
    """As they are prepared one by one: each leaves its stamp with the registration."""
    first = owed(make, Kind.INVITATION)
    for _again in range(2):
        make.message(Kind.INVITATION, first.registration)
    with write():
        parcels = [deliver.prepare(claim, NOON) for claim in deliver.claim()]
    calendars = [part for parcel in parcels if parcel for part in calendars_in(parcel.raw)]
    stamps = [foreign.read_with_icaljs([calendar])[0]["stamp"] for calendar in calendars]
    assert stamps == [NOON, NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)]
    db.session.rollback()
    assert db.session.scalar(sa.select(Registration.stamp)) == stamps[-1]


@pytest.mark.interop
def test_an_update_is_the_whole_event_with_the_sequence_promised(make: Make) -> None:
    event = talk(make, sequence=3)
    first = entry(owed(make, Kind.INVITATION, event=event, sequence=3))
    second = entry(owed(make, Kind.UPDATE, event=event, sequence=4))
    assert (first["sequence"], second["sequence"]) == (3, 4)
    assert {**first, **dict.fromkeys(("sequence", "stamp", "organizer", "attendees", "description"))} == {
        **second,
        **dict.fromkeys(("sequence", "stamp", "organizer", "attendees", "description")),
    }


@pytest.mark.interop
def test_an_answer_given_is_kept_by_an_update(make: Make) -> None:
    message = owed(make, Kind.UPDATE)
    change(message.registration, partstat=PartStat.ACCEPTED)
    assert entry(message)["attendees"][0]["parameters"]["PARTSTAT"] == "ACCEPTED"


@every_language
def test_an_update_shows_old_and_new_in_the_words_of_the_one_function(make: Make, language: str) -> None:
    event = talk(make)
    before = {
        **differences.facts(event),
        "title": "Blockchain",
        "starts": "2026-01-14T13:00:00+00:00",
        "ends": "2026-01-14T14:30:00+00:00",
    }
    composed = letter(
        owed(
            make, Kind.UPDATE, language, event, facts={"before": before, "text": "Der Raum war belegt.\nEntschuldigung"}
        )
    )
    with differences.i18n.speaking(language):
        rows = differences.changes(before, differences.facts(event))
    assert len(rows) == 2
    seen = Reader(composed.html).words
    for row in rows:
        for words in (row.label, row.old, row.new):
            assert words in composed.text
            assert words in seen
    assert "Der Raum war belegt.\nEntschuldigung" in composed.text
    news = "Neuer Termin: Mo., 19. Januar 2026" if language == "de" else "New date: Mon 19 January 2026"
    assert composed.text.startswith(news)
    assert composed.subject.startswith("Geändert: " if language == "de" else "Changed: ")


def test_who_changed_to_online_is_told_so(make: Make) -> None:
    event = talk(make)
    facts = {"before": differences.facts(event), "mode_before": "on_site", "text": ""}
    composed = letter(owed(make, Kind.UPDATE, event=event, facts=facts))
    assert composed.subject.startswith("Ab jetzt online: ")
    assert composed.text.startswith("Sie nehmen ab jetzt online teil, wie Sie es gewünscht haben.")
    assert "Teilnahme: online (bisher: vor Ort)" in composed.text
    assert JOIN_LINK in composed.text


@pytest.mark.parametrize(
    ("facts", "news", "undo"),
    [
        ({"by": "attendee", "had_place": True}, "Sie haben Ihren Platz abgegeben.", True),
        ({"by": "attendee", "had_place": False}, "Sie haben die Warteliste verlassen.", True),
        ({"by": "organiser", "had_place": True}, "Die Organisation hat Ihre Anmeldung", False),
    ],
)
def test_signing_off_says_by_whom_and_how_to_come_back(
    make: Make, facts: dict[str, Any], news: str, undo: bool
) -> None:
    text = letter(owed(make, Kind.CANCELLATION, facts=facts)).text
    assert text.startswith(news)
    assert ("/undo" in text) == undo


def test_who_left_the_line_without_an_invitation_gets_no_cancel(make: Make) -> None:
    message = owed(make, Kind.CANCELLATION, facts={"by": "attendee", "had_place": False})
    change(message, sequence=None)
    assert letter(message).calendar is None


def test_a_talk_called_off_says_why(make: Make) -> None:
    text = letter(owed(make, Kind.EVENT_CANCELLATION, event=talk(make))).text
    assert text.startswith("Die Veranstaltung fällt aus.\n\nDer Grund:\n\nDie Referentin ist erkrankt.")


def test_a_test_of_a_mailing_goes_to_an_organiser_without_a_registration(make: Make) -> None:
    message = make.message(Kind.ORGANISER_MESSAGE, make.organiser(), facts=FACTS[Kind.ORGANISER_MESSAGE])
    change(message, event_id=talk(make).id)
    composed = letter(message)
    assert "Wir treffen uns in Raum 12.\n\nBis bald" in composed.text
    assert "/registrations/" not in composed.text


# --- what people typed (safety.md P9, O5) ----------------------------------------------------------------

HOSTILE = (
    "[x](https://evil.example)",
    "www.evil.example",
    "{{7*7}}",
    "{0.__class__}",
    "<img src=x onerror=alert(1)>",
    "%(title)s %s 100 %",
    '"><a href="https://evil.example">x</a>',
    "{% include 'base.html' %}",
    "&lt;b&gt;",
)


@every_kind
def test_what_people_typed_stays_text(make: Make, kind: Kind) -> None:
    typed = " ".join(HOSTILE)
    facts = {name: typed if isinstance(value, str) else value for name, value in FACTS.get(kind, {}).items()}
    if kind in (Kind.CANCELLATION, Kind.SECURITY_NOTICE):
        facts |= {name: FACTS[kind][name] for name in ("by", "what") if name in FACTS[kind]}
    event = None
    if kind in (*OWN, *FOLLOWED):
        event = talk(
            make, title=typed, address=typed, summary=typed, agenda=typed, cancelled_reason=typed, dial_in=typed
        )
    if kind is Kind.UPDATE:
        facts = {"before": {**differences.facts(event), "title": "Alt"}, "text": typed} if event else {}
    message = owed(make, kind, event=event, facts=facts)
    if message.registration is not None:
        change(message.registration, name=typed[:120], agency=typed[:160])
    composed = letter(message)
    seen = Reader(composed.html)
    assert "img" not in seen.tags
    assert [link for link in seen.links if "evil" in link and not link.startswith("http://")] == []
    assert [name for _tag, name, _value in seen.attributes if name.startswith("on")] == []
    assert (typed in composed.text) == (typed in seen.words) == (kind is not Kind.SECURITY_NOTICE)
    assert "49" not in composed.subject


@pytest.mark.parametrize("kind", [Kind.CONFIRMATION_REQUEST, Kind.ALREADY_REGISTERED])
def test_an_unproved_address_reads_nothing_that_was_typed_in_its_name(make: Make, kind: Kind) -> None:
    message = owed(make, kind)
    change(message.registration, name="Kaufen Sie Bitcoin", agency="www.evil.example")
    composed = letter(message)
    assert [word for word in ("Bitcoin", "evil") if word in composed.text + composed.html] == []


def test_an_unproved_address_can_refuse_all_further_mails(make: Make) -> None:
    message = owed(make, Kind.CONFIRMATION_REQUEST)
    composed = letter(message)
    assert "/no-more-mails/" in composed.text
    assert "/confirm/" in composed.text
    assert "Ihr Platz ist bis Mo., 5. Januar 2026, 14:00 Uhr (Berlin) reserviert." in composed.text


def test_a_line_end_never_begins_a_header() -> None:
    words = {"to": "a@example.org", "sender": "next@example.org", "sender_name": "Reihe", "subject": "Hallo"}
    for name, value in words.items():
        bad = Letter(
            **{**words, name: f"{value}\r\nBcc: evil@example.org"},  # type: ignore[arg-type]
            text="x",
            html="x",
            message_id="<1@example.org>",
            date=NOON,
        )
        with pytest.raises(ValueError, match="cannot stand in"):
            build(bad)


# --- what cannot be written ------------------------------------------------------------------------------


def test_a_message_about_nothing_is_refused(make: Make) -> None:
    no_registration = make.message(Kind.INVITATION, make.person())
    no_talk = make.message(Kind.ORGANISER_MESSAGE, make.person(), facts=FACTS[Kind.ORGANISER_MESSAGE])
    no_hold = owed(make, Kind.CONFIRMATION_REQUEST)
    change(no_hold.registration, hold_ends_at=None)
    no_offer = owed(make, Kind.OFFER)
    change(no_offer.registration, offer_ends_at=None)
    no_time = owed(make, Kind.INVITATION, event=talk(make, starts_at=None, ends_at=None))
    for message in (no_registration, no_talk, no_hold, no_offer, no_time):
        with pytest.raises(ValueError, match="no "):
            letter(message)


@every_language
def test_a_new_role_is_told_in_the_words_given(make: Make, language: str) -> None:
    message = owed(make, Kind.SECURITY_NOTICE, language, facts={"what": "role", "role": "Organisation"})
    composed = letter(message)
    assert composed.subject == ("Ihre Rolle hat sich geändert" if language == "de" else "Your role has changed")
    assert "Organisation." in composed.text


@every_language
def test_a_new_organiser_is_welcomed(make: Make, language: str) -> None:
    message = owed(make, Kind.SECURITY_NOTICE, language, facts={"what": "welcome", "role": "Organisation"})
    composed = letter(message)
    assert composed.subject == ("Willkommen bei What's NEXt" if language == "de" else "Welcome to What's NEXt")
    assert "Organisation." in composed.text


@every_language
def test_the_link_to_my_registrations_is_called_that(make: Make, language: str) -> None:
    facts = {"link_token": "x", "code": "BKTX-4729", "registrations": True}
    composed = letter(owed(make, Kind.SIGN_IN, language, facts=facts))
    assert ("„Meine Anmeldungen“" if language == "de" else "“My registrations”") in composed.subject
    assert "Anmelde-Link" not in composed.text


@every_kind
@every_language
def test_a_mail_of_a_batch_is_the_one_written_alone(make, kind, language):
    event = None if kind in (Kind.PART_CANCELLATION, Kind.EVENT_CANCELLATION) else talk(make, chatham_house=True)
    first = owed(make, kind, language, event)
    event = first.registration.event if first.registration else event
    others = [owed(make, kind, other, event) for other in (language, *LANGUAGES)]
    alone = [apart(message) for message in (first, *others)]
    with together.batch():
        assert [apart(message) for message in (first, *others)] == alone


def apart(message: Message) -> Letter:
    """The mail, and nothing written down of it: the next one is composed from the same state."""
    made = compose(message, NOON)
    db.session.rollback()
    return made
