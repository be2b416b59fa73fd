"""Random hostile requests over every route and every form: no answer is a failure of ours (safety.md P14).

RANDOM_REQUESTS says how many on each database, RANDOM_SEED which; the seed stands in the message of a failure.
"""

import os
import random
from collections import Counter
from urllib.parse import quote

import pytest

from tests.browser import pages
from tests.pages import Page
from tests.web import hostile
from whatsnext import demo
from whatsnext.db import db
from whatsnext.models import Person

REQUESTS = int(os.environ.get("RANDOM_REQUESTS", "1000"))
SEED = int(os.environ.get("RANDOM_SEED", "20270114"))
WORLD_LASTS = 1000
"""So many requests meet one world, then a new one is made: some of them cancel, delete and remove what stands in it."""
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER_FIELDS = ("role", "state", "event_id", "person_id", "id", "csrf_token", "__class__", "name[]", "\x00", "x" * 500)


class Attacker:
    """Sends requests that no page of ours would, as a stranger, an attendee or an organiser."""

    def __init__(self, app, dice):
        self.app, self.dice = app, dice
        self.answers, self.failures = Counter(), []
        world = pages.build(app)
        organiser = db.session.query(Person).filter_by(email=demo.ORGANISER).one()
        attendee = db.session.query(Person).filter(Person.id != organiser.id, Person.proved_at.is_not(None)).first()
        self.visitors = [app.test_client() for _ in range(3)]
        self.visitors[1].sign_in(attendee)
        self.visitors[2].sign_in(organiser)
        self.paths = list(world.all.values())

    def attack(self, number):
        while self.answers.total() < number:
            self.one()

    def one(self):
        visitor = self.dice.choice(self.visitors)
        way = self.dice.random()
        if way < 0.6:
            self._form(visitor)
        elif way < 0.85:
            self._route(visitor)
        else:
            self._page(visitor)

    def _form(self, visitor):
        """A form of a page, as it was served but for some fields."""
        page = Page(self._send(visitor, "GET", self.dice.choice(("", "/en")) + self.dice.choice(self.paths)))
        forms = [form for form in page.forms if not form.action.endswith("/sign-out")]
        if not forms:
            return
        form = self.dice.choice(forms)
        _action, values = form.filled({})
        named = sorted(form.names - {"csrf_token"})
        for name in self.dice.sample(named, min(len(named), self.dice.randint(0, 3))):
            values[name] = [self._text() for _ in range(self.dice.choice((1, 1, 1, 1, 2)))]
        if self.dice.random() < 0.3:
            values["action"] = [self.dice.choice(("tell", "silent", "preview", "test", "edit", "back", "close", "x"))]
        if self.dice.random() < 0.1:
            values[self.dice.choice(OTHER_FIELDS)] = [self._text()]
        if named and self.dice.random() < 0.1:
            values.pop(self.dice.choice(named), None)
        self._send(visitor, "POST", form.action, data=values, headers=self._headers(0.1))

    def _route(self, visitor):
        """Any route, its parts replaced by what it does not expect."""
        rule = self.dice.choice(sorted(self.app.url_map.iter_rules(), key=str))
        path = str(rule)
        while "<" in path:
            before, _, rest = path.partition("<")
            path = before + self.dice.choice(hostile.PATHS) + rest.partition(">")[2]
        self._send(visitor, self.dice.choice(METHODS), path + self._query(), **self._body(), headers=self._headers(0.5))

    def _page(self, visitor):
        """A page there is, asked for strangely."""
        path = self.dice.choice(self.paths)
        query = self._query().replace("?", "&") if "?" in path else self._query()
        self._send(visitor, self.dice.choice(METHODS), path + query, **self._body(), headers=self._headers(0.7))

    def _text(self):
        return self.dice.choice(self.dice.choice((hostile.TEXTS, hostile.TEXTS, hostile.ADDRESSES)))

    def _query(self):
        if self.dice.random() < 0.4:
            return ""
        name = self.dice.choice(("q", "next", "seal", "after", "show", "done", "page", "month", "before", "sent", "x"))
        return (
            f"?{name}={quote(self._text()[:2000])}{self.dice.choice(('', '&x', '%ff', '&%00=%00', '&' + name + '='))}"
        )

    def _body(self):
        return {"data": self.dice.choice(hostile.BODIES)} if self.dice.random() < 0.5 else {}

    def _headers(self, likely):
        return dict(self.dice.choice(hostile.HEADERS)) if self.dice.random() < likely else {}

    def _send(self, visitor, method, path, **given):
        if "Cookie" in given.get("headers", {}):
            visitor = self.app.test_client(use_cookies=False)
        answer = visitor.open(path, method=method, **given)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500:
            self.failures.append((answer.status_code, method, path, given))
        return answer


@pytest.mark.parametrize("world", range(-(-REQUESTS // WORLD_LASTS)))
def test_no_random_request_is_answered_by_a_failure_of_ours(make_app, world, figure):
    app = make_app(mail_server="", mail_default_sender="", demo=True, exit_networks=["127.0.0.0/8"])
    with app.app_context():
        attacker = Attacker(app, random.Random(f"{SEED} {world}"))
        attacker.attack(min(WORLD_LASTS, REQUESTS - world * WORLD_LASTS))
    print(f"seed {SEED}, world {world}: {dict(sorted(attacker.answers.items()))}")
    figure("random requests", requests=attacker.answers.total(), failures=len(attacker.failures))
    assert attacker.failures == [], f"seed {SEED}, world {world}"
