"""The form of a speaker."""

from __future__ import annotations

from wtforms import SelectField
from wtforms.fields.choices import SelectChoice

from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Speaker
from whatsnext.services import agencies as all_agencies
from whatsnext.services.speakers import SpeakerDetails
from whatsnext.web.forms import Form, LineField, TextField
from whatsnext.web.organise.versions import VersionField

FIELDS = ("name", "role", "agency_id", "biography")


def number_or_none(value: str | int | None) -> int | None:
    """An id, or None for "no agency"."""
    return int(value) if value else None


class SpeakerForm(Form):
    name = LineField(_l("Name"), longest=120)
    role = LineField(_l("Role"), longest=160, optional=True)
    agency_id = SelectField(_l("Agency"), coerce=number_or_none)
    biography = TextField(_l("Short biography"), longest=4000, optional=True)
    version = VersionField()

    def details(self) -> SpeakerDetails:
        """What was typed."""
        return SpeakerDetails(**{name: self[name].data for name in FIELDS})


def form_for(speaker: Speaker | None = None) -> SpeakerForm:
    """The form, filled with what is saved unless something was sent."""
    form = SpeakerForm(obj=speaker) if speaker else SpeakerForm()
    form.agency_id.choices = [
        SelectChoice("", _("none")),
        *(SelectChoice(row.id, row.name) for row in all_agencies.listed()),
    ]
    return form
