"""Reads a page as a person without scripts would: its text, its links, its forms with what stands in them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

UNSEEN = ("script", "style", "template", "head")
INLINE = ("a", "b", "strong", "em", "abbr", "time", "span", "code", "i", "small", "mark", "u", "bdi")


@dataclass
class Form:
    """One form: `values` are what a browser would send if nobody touched it."""

    action: str
    id: str
    values: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def add(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)

    def filled(self, changes: dict[str, Any]) -> tuple[str, dict[str, list[str]]]:
        """Where it goes and what it sends with these changes. An unknown name is refused; None unticks."""
        unknown = set(changes) - self.names
        assert not unknown, f"the form has no field {sorted(unknown)}, only {sorted(self.names)}"
        sent = {name: values for name, values in self.values.items() if name not in changes}
        for name, value in changes.items():
            if value is not None:
                sent[name] = [str(one) for one in (value if isinstance(value, list | tuple) else [value])]
        return self.action, sent


class Page(HTMLParser):
    """A page that was answered: status, text, links, forms."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.response, self.status, self.html = response, response.status_code, response.get_data(as_text=True)
        address = urlsplit(response.request.url)
        self._address = address.path + (f"?{address.query}" if address.query else "")
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._words: list[str] = []
        self._hidden = 0
        self._open: Form | None = None
        self._choice: str | None = None
        self._area: str | None = None
        self._in_link = False
        self.feed(self.html.replace("\r\n", "\n"))
        self.close()

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        return " ".join("".join(self._words).split())

    def form(self, which: str | int = 0) -> Form:
        """By its number among the forms that send something (POST), or by its id or action."""
        if isinstance(which, int):
            return self.forms[which]
        found = [form for form in self.forms if which in (form.id, form.action)]
        assert found, f"no form {which!r}, only {[form.id or form.action for form in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in UNSEEN:
            self._hidden += 1
        if tag not in INLINE:
            self._words.append(" ")
        if tag == "a" and "href" in given:
            self.links.append((given["href"], ""))
            self._in_link = True
        if tag == "form":
            self._open = Form(given.get("action") or self._address, given.get("id", ""))
            if given.get("method", "").lower() == "post":
                self.forms.append(self._open)
        elif owner := self._owner(given):
            self._field(owner, tag, given)

    def _owner(self, given: dict[str, str]) -> Form | None:
        """The form this field belongs to: the one around it, or the one it names."""
        if "form" in given:
            return next((form for form in self.forms if form.id == given["form"]), None)
        return self._open

    def _field(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name, kind, disabled = given.get("name", ""), given.get("type", "text"), "disabled" in given
        if tag == "option" and self._choice and ("selected" in given or self._choice not in form.values):
            form.values[self._choice] = [given.get("value", "")]
        if not name or disabled:
            return
        form.names.add(name)
        if tag == "select":
            self._choice = name
        elif tag == "textarea":
            self._area = name
            form.add(name, "")
        elif tag == "input" and kind in ("checkbox", "radio"):
            if "checked" in given:
                form.add(name, given.get("value", "on"))
        elif tag == "input" and kind not in ("submit", "button", "image", "reset", "file"):
            form.add(name, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._hidden -= 1
        if tag == "form":
            self._open = None
        elif tag == "a":
            self._in_link = False
        elif tag == "select":
            self._choice = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None and self._open is not None:
            values = self._open.values[self._area]
            values[-1] += data.removeprefix("\n") if not values[-1] else data
            return
        if not self._hidden:
            self._words.append(data)
        if self._in_link:
            href, name = self.links[-1]
            self.links[-1] = (href, f"{name} {data}".strip())
