"""Forms about participants: find them, add one, act on some."""

from __future__ import annotations

from typing import Any

from flask import request
from wtforms import HiddenField, RadioField, SelectMultipleField
from wtforms.fields.choices import SelectChoice

from whatsnext import text
from whatsnext.errors import LinkInvalid
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Event, Mode
from whatsnext.services import waiting_list
from whatsnext.services.participants import Invited, Search, Show
from whatsnext.services.recipients import Act, Choice
from whatsnext.web.forms import Form, LineField, MailField

MODES = {Mode.ON_SITE: _l("on site"), Mode.ONLINE: _l("online")}


class AddForm(Form):
    name = LineField(_l("Name"), longest=120)
    email = MailField(_l("Mail address"))
    agency = LineField(_l("Agency or organisation"), longest=160, optional=True)
    mode = RadioField(_l("Attendance"), coerce=Mode)


class BulkForm(Form):
    """What the list of participants sends: who is meant, and the button that was pressed."""

    p = SelectMultipleField(validate_choice=False)
    scope = RadioField(choices=[SelectChoice("selected"), SelectChoice("found")], default="selected")
    show = HiddenField(default="")
    invited = HiddenField(default="")
    q = HiddenField(default="")

    @property
    def search(self) -> Search:
        """What the list showed."""
        return search({"show": self.show.data, "invited": self.invited.data, "q": self.q.data})

    def choice(self, event_id: int) -> Choice:
        """The participants that are meant. Raises LinkInvalid for a button that does not exist."""
        try:
            act = Act(request.form.get("action", ""))
        except ValueError:
            raise LinkInvalid from None
        found = self.search if self.scope.data == "found" else None
        return Choice(event_id, act, tuple(self.p.data or ()) if found is None else (), found)


class AgainForm(Form):
    """Behind the buttons of the rows: what the list showed, so that it is shown again. Empty on a person's own page."""

    show = HiddenField(default="")
    invited = HiddenField(default="")
    q = HiddenField(default="")

    @property
    def search(self) -> Search | None:
        """The list the button stood on; None on a person's own page."""
        if not self.show.data:
            return None
        return search({"show": self.show.data, "invited": self.invited.data, "q": self.q.data})


class SealedForm(Form):
    """A preview's button: the seal says for whom."""

    seal = HiddenField(default="")


def add_form(event: Event) -> AddForm:
    """The form with the ways this talk is held."""
    form = AddForm()
    modes = waiting_list.offered_modes(event)
    form.mode.choices = [SelectChoice(mode.value, MODES[mode]) for mode in modes]
    if form.mode.data is None and len(modes) == 1:
        form.mode.data = modes[0]
    return form


def search(given: Any) -> Search:
    """What an address or a form asks for; nonsense finds everything."""
    try:
        show = Show(given.get("show") or Show.ALL)
    except ValueError:
        show = Show.ALL
    try:
        invited = Invited(given["invited"]) if given.get("invited") else None
    except ValueError:
        invited = None
    try:
        words = text.clean_line(given.get("q") or "", 100)
    except text.TextRefused:
        words = ""
    return Search(show, words, invited)


def asked(search: Search) -> dict[str, Any]:
    """The same as parts of an address; nothing for what finds everything."""
    show = "" if search.show is Show.ALL else search.show.value
    parts = {"show": show, "invited": search.invited.value if search.invited else "", "q": search.words}
    return {name: value for name, value in parts.items() if value}


def arrived(given: Any) -> int:
    """The number of arrival after which the list goes on; nonsense begins anew."""
    typed = given.get("after") or ""
    return int(typed) if typed.isdecimal() and len(typed) < 10 else 0
