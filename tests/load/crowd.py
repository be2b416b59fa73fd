"""Many people at the same moment, each with a browser of their own, against processes that listen."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import has_app_context

from tests.pages import Page
from whatsnext.db import db

PATIENCE = 240
"""Seconds a request may take: hundreds at once stand in line, and the machine may do other things too."""
REFUSED = (409, 422)


@dataclass
class Asked:
    url: str


@dataclass
class Answer:
    """What a process answered; as much of it as `tests.pages.Page` reads."""

    status_code: int
    body: str
    location: str
    request: Asked

    def get_data(self, as_text: bool = True) -> str:
        return self.body


@dataclass
class Visitor:
    """One person: an address, a browser with its cookies. `answers` counts what was answered, over all people."""

    address: str
    email: str
    answers: Counter[int]
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, path: str, data: dict[str, Any] | None = None) -> Answer:
        """One request, redirects not followed; a POST with `data`.

        Our own reading ends first: SQLite commits beside no reader, and whoever asks then waits for that commit.
        """
        if has_app_context():
            db.session.rollback()
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            if data is None:
                connection.request("GET", path, headers=headers)
            else:
                headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.address}
                connection.request("POST", path, urlencode(data, doseq=True), headers)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        self.answers[response.status] += 1
        return Answer(response.status, body, response.headers.get("Location", ""), Asked(self.address + path))

    def submit(self, page: Answer, changes: dict[str, Any], form: str | int = 0) -> Answer:
        """Send a form of a page that was answered."""
        action, values = Page(page).form(form).filled(changes)
        return self.open(action, values)

    def sign_up(self, page: Answer) -> Answer:
        """From the talk's page. If the answer is "full" the page's button means the line: press it."""
        typed = {"name": "Ada Beispiel", "email": self.email, "agency": "Landesamt für Beispiele"}
        action = urlsplit(page.request.url).path + "/signup"
        answer = self.submit(page, typed, action)
        if answer.status_code in REFUSED:
            answer = self.submit(answer, {}, action)
        return answer

    def choose(self, path: str, choice: str) -> Answer:
        """Answer the question behind a link; the page says so if its promise is out of date, then answer again."""
        answer = self.submit(self.open(path), {"choice": choice})
        if answer.status_code in REFUSED:
            answer = self.submit(answer, {"choice": choice})
        return answer


def crowd(addresses: list[str], number: int) -> Iterator[Visitor]:
    """So many people, spread over the processes; they share one count of answers."""
    answers: Counter[int] = Counter()
    for person in range(number):
        yield Visitor(addresses[person % len(addresses)], f"p{person}@behoerde.example", answers)


def all_at_once(people: list[Visitor], do: Callable[[Visitor], object]) -> None:
    """Everybody does the same, starting at the same moment. What goes wrong for one of them fails the test."""
    db.session.rollback()  # as above: the threads cannot end our reading
    start, wrong = threading.Barrier(len(people)), []

    def run(person: Visitor) -> None:
        try:
            start.wait(PATIENCE)
            do(person)
        except Exception as error:  # noqa: BLE001
            wrong.append(f"{person.email}: {error!r}")

    threads = [threading.Thread(target=run, args=(person,), daemon=True) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:5]
