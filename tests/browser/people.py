"""People at their browsers: what an organiser and an attendee do, through pages and mails alone."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import icalendar
from flask import has_app_context
from playwright.sync_api import Browser, BrowserContext, Page

from tests.servers import Delivered, MailServer
from whatsnext.db import db
from whatsnext.i18n import gettext, ngettext, speaking

PATIENCE = 15
MAIL_TAKES = 390  # the mails a killed worker had claimed wait until its lease of six minutes is over
LINK = re.compile(r"https?://127\.0\.0\.1:\d+/\S+")


def end_our_reading() -> None:
    """SQLite commits beside no reader, and whoever asks for a page then waits for that commit."""
    if has_app_context():
        db.session.rollback()


@dataclass(frozen=True)
class Look:
    """How someone looks at the pages."""

    language: str
    width: int
    scripts: bool

    def context(self, browser: Browser) -> BrowserContext:
        return browser.new_context(
            viewport={"width": self.width, "height": 844},
            java_script_enabled=self.scripts,
            locale="de-DE" if self.language == "de" else "en-GB",
            ignore_https_errors=True,  # a certificate of the tests
        )


@dataclass
class Human:
    """Someone with a browser and a mailbox. Finds things by the words of the language they read."""

    browser: Browser
    site: str
    smtp: MailServer
    look: Look
    email: str
    name: str
    read: int = 0
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.context = self.look.context(self.browser)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._note)
        self.complaints: list[str] = []

    def _note(self, message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def words(self, text: str, **facts: Any) -> str:
        with speaking(self.look.language):
            return gettext(text, **facts)

    def number(self, one: str, many: str, num: int) -> str:
        with speaking(self.look.language):
            return ngettext(one, many, num)

    def go(self, path: str) -> None:
        end_our_reading()
        prefix = "" if self.look.language == "de" else "/en"
        answer = self.page.goto(self.site + prefix + path)
        assert answer is not None
        assert answer.status < 500

    def open(self, url: str) -> None:
        end_our_reading()
        self.page.goto(url)

    def press(self, text: str) -> None:
        end_our_reading()
        button = self.page.get_by_role("button", name=text, exact=True).first
        assert button.count(), f"no button {text!r} on {self.page.url}:\n{self.page.inner_text('body')}"
        with self.page.expect_navigation():
            button.click()

    def follow(self, text: str) -> None:
        end_our_reading()
        link = self.page.get_by_role("link", name=self.words(text), exact=True).first
        assert link.count(), f"no link {text!r} on {self.page.url}:\n{self.page.inner_text('body')}"
        with self.page.expect_navigation():
            link.click()

    def reads(self, text: str) -> bool:
        return text in self.page.inner_text("main")

    def mail(self, about: Callable[[Delivered], bool] = lambda _mail: True) -> Delivered:
        """The next mail in this person's mailbox; waits for it."""
        end = time.monotonic() + MAIL_TAKES
        while time.monotonic() < end:
            unread = self.smtp.to(self.email)[self.read :]
            if unread:
                self.read += 1
                if about(unread[0]):
                    return unread[0]
                continue
            time.sleep(0.1)
        raise AssertionError(f"no mail for {self.email}: {[mail.subject for mail in self.smtp.mails]}")

    def no_more_mail(self) -> bool:
        return len(self.smtp.to(self.email)) == self.read

    def forgive_a_cut_off(self) -> None:
        """A process that is killed may have been answering: a picture or a script, say, then comes half."""
        if cut_off := next((each for each in self.complaints if "net::ERR_" in each), None):
            self.complaints.remove(cut_off)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == [], self.complaints


def link(mail: Delivered, part: str) -> str:
    """The link of a mail whose path holds `part`."""
    return next(found for found in LINK.findall(mail.part("text/plain")) if part in found)


@dataclass(frozen=True)
class Entry:
    """What a mail tells a calendar."""

    method: str
    uid: str
    sequence: int
    starts: datetime
    attendee: str


def entry(mail: Delivered) -> Entry:
    calendar = icalendar.Calendar.from_ical(mail.part("text/calendar"))
    (event,) = calendar.walk("VEVENT")
    attendee = str(event["ATTENDEE"]).lower().removeprefix("mailto:")
    return Entry(str(calendar["METHOD"]), str(event["UID"]), int(event["SEQUENCE"]), event["DTSTART"].dt, attendee)


def organiser_signs_in(kim: Human) -> None:
    kim.go("/organise/")
    kim.page.fill("[name=email]", kim.email)
    kim.press(kim.words("Send sign-in link"))
    kim.open(link(kim.mail(), "/sign-in/"))
    kim.press(kim.words("Sign in now"))
    assert "/organise/" in kim.page.url


def organiser_plans_blockchain(kim: Human, day: datetime) -> str:
    """A series, a theme, an agency and a talk with one place on site, published. Returns its path."""
    kim.go("/organise/series/new")
    kim.page.fill("[name=name]", "What's NEXt")
    kim.page.fill("[name=contact_email]", kim.email)
    kim.press(kim.words("Save series"))
    kim.go("/organise/themes/new")
    kim.page.fill("[name=name]", "Blockchain")
    kim.press(kim.words("Save theme"))
    kim.go("/organise/agencies/new")
    kim.page.fill("[name=name]", "Bundesdruckerei")
    kim.press(kim.words("Save agency"))
    kim.go("/organise/events/new")
    kim.page.fill("[name=title]", "Blockchain in der Registermodernisierung")
    kim.page.select_option("[name=theme_id]", label="Blockchain")
    kim.page.select_option("[name=host_id]", label="Bundesdruckerei")
    kim.page.fill("[name=summary]", "Welches Problem löst sie **besser**?")
    kim.page.fill("[name=date]", day.strftime("%Y-%m-%d"))
    kim.page.fill("[name=time]", "14:00")
    kim.page.fill("[name=address]", "Kommandantenstraße 18, 10969 Berlin")
    kim.page.fill("[name=capacity_on_site]", "1")
    kim.press(kim.words("Save and go to publishing"))
    kim.press(kim.words("Publish"))
    return "/events/blockchain-in-der-registermodernisierung"


def attendee_signs_up(ada: Human, talk: str, *, waiting: bool = False) -> None:
    ada.go(talk)
    ada.page.fill("[name=name]", ada.name)
    ada.page.fill("[name=email]", ada.email)
    ada.page.fill("[name=agency]", "Stadt Köln")
    ada.press(ada.words("Join the waiting list") if waiting else ada.words("Send sign-up"))
    assert "check-your-mail" in ada.page.url
    ada.open(link(ada.mail(), "/confirm/"))
    ada.press(ada.words("Confirm sign-up"))


def organiser_moves_by_a_day(kim: Human, event_id: int, day: datetime, people: int) -> None:
    kim.go(f"/organise/events/{event_id}")
    kim.page.fill("[name=date]", (day + timedelta(days=1)).strftime("%Y-%m-%d"))
    kim.press(kim.words("Save"))
    kim.press(kim.number("Save and tell %(num)s person", "Save and tell %(num)s people", people))
