"""Texts that mean harm, in every place where somebody's words are kept, and what they become in each output.

They are put into the tables as they are, as if no form had cleaned them: each output has to hold by itself (safety.md
P5, P7, P11, P12). HOSTILE_TEXTS says how many, HOSTILE_SEED which. There is no PDF among the outputs yet.
"""

import csv
import io
import logging
import os
import random
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import vobject
from flask import Flask

from tests.factories import NOON, Make
from tests.figures import Figure
from tests.mail import worlds
from whatsnext.db import Base, db, write
from whatsnext.mail.compose import compose
from whatsnext.mail.mime import build
from whatsnext.models import Agency, Event, Kind, Message, Person, Registration, Series, Speaker, Theme
from whatsnext.services import differences, participants_file
from whatsnext.services.participants import Search

NUMBER = int(os.environ.get("HOSTILE_TEXTS", "20"))
SEED = int(os.environ.get("HOSTILE_SEED", "20270115"))

PIECES = (
    "<wnevil onclick=alert(1)>",
    '"><wnevil x="',
    "'><wnevil x='",
    "</title></textarea></script><wnevil>",
    "<!--<wnevil>-->",
    "<svg/onload=wnevil>",
    "<img src=x onerror=wnevil>",
    "[wnevil](javascript:wnevil)",
    "![wnevil](https://evil.example/wnevil.png)",
    "<javascript:wnevil>",
    "{{ 7919*7907 }}",
    "{% set wnevil = 1 %}",
    "${7919*7907}",
    "%(wnevil)s %s %n",
    "{0.__class__}",
    '=HYPERLINK("https://evil.example/wnevil")',
    "+wnevil|' /C calc'!A0",
    "@SUM(wnevil)",
    "-1+wnevil",
    "\twnevil",
    "a\r\nBcc: wnevil@evil.example",
    "a\n\nwnevil",
    "a\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:wnevil",
    "a\rATTACH:https://evil.example/wnevil",
    'a";X-WNEVIL="b',
    "a;ATTENDEE=wnevil:mailto:wnevil@evil.example",
    "a\\nATTACH:wnevil",
    "a^nATTACH:wnevil^'",
    "=?utf-8?q?a=0D=0ABcc:_wnevil@evil.example?=",
    "=?utf-8?b?DQpCY2M6IHduZXZpbA==?=",
    "wnevil <wnevil@evil.example>, x",
    "\u202ewnevil",
    "\u2028Bcc: wnevil@evil.example",
    "\u0085ATTACH:wnevil",
    "\x0b\x0cwnevil",
    "\x1b[31mwnevil",
    "\x7f\x01wnevil",
    "💥" * 20,
    "a\u0301" * 30,
    "x" * 300,
    "İıſK",
    "ß,;\\:",
)
WORDS: dict[type[Base], tuple[str, ...]] = {
    Series: ("name", "summary", "summary_en", "contact_name", "contact_phone"),
    Theme: ("name", "description", "description_en"),
    Agency: ("name", "city"),
    Speaker: ("name", "role", "biography"),
    Person: ("name", "agency"),
    Event: (
        *("title", "summary", "agenda", "address", "dial_in", "cancelled_reason"),
        *("step_free", "induction_loop", "sign_language", "captions", "quiet_room"),
    ),
    Registration: ("name", "agency", "needs"),
}
KINDS = (Kind.INVITATION, Kind.UPDATE, Kind.CANCELLATION, Kind.ORGANISER_MESSAGE, Kind.WAITING, Kind.REMINDER)
SCHEMES = ("", "http", "https", "mailto", "tel", "webcal")
PROPERTIES = frozenset(
    ("UID SEQUENCE DTSTAMP CREATED LAST-MODIFIED DTSTART DTEND STATUS TRANSP CLASS SUMMARY DESCRIPTION LOCATION URL")
    .lower()
    .split()
) | {"categories", "organizer", "attendee", "conference"}

PARAMETERS = frozenset(["CN", "CUTYPE", "ROLE", "PARTSTAT", "RSVP", "SENT-BY", "TZID", "VALUE", "X-VOBJ-ORIGINAL-TZID"])
"""The last one is the parser's own."""


def texts(number: int, seed: int) -> list[str]:
    """Each piece alone, then mixtures of them."""
    dice = random.Random(seed)
    mixed = ("".join(dice.choices(PIECES, k=dice.randint(2, 5))) for _number in range(number))
    return [*dice.sample(PIECES, len(PIECES)), *mixed][:number]


def said(model: type[Base], text: str) -> dict[str, str]:
    """`text` in every column of words, as long as it takes."""
    columns = sa.inspect(model).columns
    return {name: text[: getattr(columns[name].type, "length", None)] for name in WORDS[model]}


class Elements(HTMLParser):
    """What a browser would make of a page or a mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            address = re.sub(r"[\s\x00-\x1f]", "", value or "")
            if name.startswith("on") or (name in ("href", "src", "action") and urlsplit(address).scheme not in SCHEMES):
                self.wrong.append(f"{tag} {name}={value}")
            if name == "src" and "evil" in address:
                self.wrong.append(f"{tag} {name}={value}")
        if "wnevil" in tag:
            self.wrong.append(tag)


def wrong_in_html(html: str) -> list[str]:
    return [*Elements(html).wrong, *(["a template ran"] if "62615533" in html else [])]


def wrong_in_mail(raw: bytes, recipient: str, names: list[str]) -> list[str]:
    mail = message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
    found = [] if mail.keys() == names else [f"headers {mail.keys()}"]
    if [each.addr_spec for each in mail["To"].addresses] != [recipient] or len(mail["From"].addresses) != 1:
        found.append(f"{mail['From']} to {mail['To']}")
    if not raw.isascii() or max(map(len, raw.split(b"\r\n"))) > 998:
        found.append("lines")
    html = mail.get_body(("html",))
    assert html is not None
    for part in mail.walk():
        if part.get_content_type() == "text/calendar":
            found += wrong_in_calendar(part.get_payload(decode=True))
    return found + wrong_in_html(html.get_content())


def wrong_in_calendar(written: bytes) -> list[str]:
    (entry,) = vobject.readOne(written.decode()).vevent_list
    found = sorted(set(entry.contents) - PROPERTIES)
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n", written):
        found.append("control characters")
    if max(map(len, written.split(b"\r\n"))) > 75:
        found.append("long lines")
    for name, values in entry.contents.items():
        found += [f"{name} twice"] if len(values) > 1 else []
        found += [f"{name};{each}" for value in values for each in value.params if each not in PARAMETERS]
    return found


def wrong_in_csv(written: bytes, people: int) -> list[str]:
    rows = list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline=""), delimiter=";"))
    found = [cell for row in rows for cell in row if cell.startswith(participants_file.DANGEROUS)]
    return found if (len(rows), {len(row) for row in rows}) == (1 + people, {8}) else [*found, f"{len(rows)} rows"]


@pytest.fixture
def benign(app: Flask, make: Make) -> dict[Kind, list[str]]:
    """The headers of each kind of mail."""
    names = {}
    for kind in KINDS:
        message = worlds.owed(make, kind)
        with write():
            raw = build(compose(db.session.get_one(Message, message.id), NOON))
        names[kind] = message_from_bytes(raw, policy=policy.default).keys()
    return names


def test_no_text_becomes_more_than_text_in_any_output(
    app: Flask,
    make: Make,
    client: Any,
    figure: Figure,
    benign: dict[Kind, list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    organiser = make.organiser()
    client.sign_in(organiser)
    outputs, wrong = 0, []
    for text in texts(NUMBER, SEED):
        talk, messages = _filled(make, text)
        with write():
            export = participants_file.export(talk.id, Search(), organiser, NOON)
        found = [*_pages(client, talk, messages, text), *_mails(messages, benign)]
        found.append(("CSV", wrong_in_csv(export, len(messages))))
        outputs += len(found)
        wrong += [(where, text, each) for where, many in found for each in many]
    fields = sum(map(len, WORDS.values()))
    figure("hostile texts", texts=NUMBER, places=NUMBER * fields, outputs=outputs, injections=len(wrong))
    assert wrong == [], f"seed {SEED}"
    assert "wnevil" not in caplog.text


def _pages(client: Any, talk: Event, messages: list[Message], text: str) -> Iterator[tuple[str, list[str]]]:
    one, desk = messages[0].registration, f"/organise/events/{talk.id}"
    assert one is not None
    assert talk.theme is not None
    paths = [f"/events/{talk.slug}", "/?anew=1", f"/themes/{talk.theme.slug}", "/news.atom"]
    paths += [f"/calendar/series/{talk.series.slug}.ics", f"/events/{talk.slug}/calendar.ics"]
    paths += [desk, f"{desk}/participants", f"{desk}/participants/{one.ref}"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, (path, text)
        match answer.mimetype:
            case "text/html":
                yield path, wrong_in_html(answer.text)
            case "text/calendar":
                yield path, wrong_in_calendar(answer.data)
            case _:
                yield path, ["an element"] * ("<wnevil" in answer.text)
    refused = client.post(f"/events/{talk.slug}/signup", data={"name": text, "agency": text, "email": text})
    assert refused.status_code == 422
    yield "sign-up refused", wrong_in_html(refused.text)


def _mails(messages: list[Message], benign: dict[Kind, list[str]]) -> Iterator[tuple[str, list[str]]]:
    for message in messages:
        with write():
            raw = build(compose(db.session.get_one(Message, message.id), NOON))
        yield message.kind, wrong_in_mail(raw, message.recipient, benign[message.kind])


def _filled(make: Make, text: str) -> tuple[Event, list[Message]]:
    """A talk that says nothing but `text` wherever it says anything, and a mail of each kind about it."""
    with write():
        series = make.series(**said(Series, text), contact_email="kontakt@behoerde.example")
        theme = make.theme(series=series, **said(Theme, text))
        named = said(Agency, text)
        host = db.session.scalar(sa.select(Agency).filter_by(name=named["name"])) or make.agency(**named)
        voice = make.speaker(agency_id=host.id, **said(Speaker, text))
        about = {"series": series, "theme_id": theme.id, "host_id": host.id, "speakers": (voice,)}
        talk = make.event(places_on_site=10, places_online=10, **about, **said(Event, text))
        messages = []
        for kind in KINDS:
            status = worlds.STATUSES.get(kind)
            given = {"person": make.person(**said(Person, text)), **said(Registration, text)}
            one = make.registration(talk, **({"status": status} if status else {}), stamp=None, **given)
            facts = {
                Kind.ORGANISER_MESSAGE: {"subject": text[:200], "body": text},
                Kind.UPDATE: {"before": {**differences.facts(talk), "title": text[::-1]}, "text": text},
            }.get(kind, worlds.FACTS.get(kind, {}))
            sequence = 0 if kind in worlds.REQUESTS else 1 if kind in worlds.CANCELS else None
            messages.append(make.message(kind, one, facts=facts, sequence=sequence))
    return talk, messages
