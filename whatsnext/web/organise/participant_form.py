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
from whatsnext.services.participants import Search, Show
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
    q = HiddenField(default="")

    def choice(self, event_id: int) -> Choice:
        """The participants that are meant. Raises LinkInvalid for a button that does not exist."""
        try:
            act = Act(request.form.get("action", ""))
        except ValueError:
            raise LinkInvalid from None
        found = search({"show": self.show.data, "q": self.q.data}) if self.scope.data == "found" else None
        return Choice(event_id, act, tuple(self.p.data or ()) if found is None else (), found)


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
        words = text.clean_line(given.get("q") or "", 100)
    except text.TextRefused:
        words = ""
    return Search(show, words)


def arrived(given: Any) -> int:
    """The number of arrival after which the list goes on; nonsense begins anew."""
    typed = given.get("after") or ""
    return int(typed) if typed.isdecimal() and len(typed) < 10 else 0
