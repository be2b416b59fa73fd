"""The form of a series."""

from __future__ import annotations

from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Series
from whatsnext.services.series import SeriesDetails
from whatsnext.web.forms import Form, IntegerField, LineField, MailField, SlugField, TextField
from whatsnext.web.organise.versions import VersionField

FIELDS = (
    "name",
    "slug",
    "summary",
    "summary_en",
    "contact_name",
    "contact_email",
    "contact_phone",
    "zone",
    "promotion_stops_hours",
    "offer_hours",
    "reminders",
)


class SeriesForm(Form):
    name = LineField(_l("Name of the series"), longest=120)
    slug = SlugField(_l("Address of the page"), optional=True)
    summary = TextField(_l("Description"), longest=4000, optional=True)
    summary_en = TextField(_l("Description in English"), longest=4000, optional=True)
    contact_name = LineField(_l("Contact person"), longest=120, optional=True)
    contact_email = MailField(_l("Mail address of the organisers"))
    contact_phone = LineField(_l("Phone"), longest=60, optional=True)
    zone = LineField(_l("Time zone of new talks"), longest=64, default="Europe/Berlin")
    promotion_stops_hours = IntegerField(
        _l("Moving up ends so many hours before the talk"), least=0, most=720, default=24
    )
    offer_hours = IntegerField(_l("Hours to answer when a place is offered"), least=1, most=72, default=4)
    reminders = LineField(_l("Reminders, minutes before the talk"), longest=60, optional=True, default="1440,60")
    version = VersionField()

    def details(self) -> SeriesDetails:
        """What was typed."""
        return SeriesDetails(**{name: self[name].data for name in FIELDS})


def form_for(series: Series | None = None) -> SeriesForm:
    """The form, filled with what is saved unless something was sent."""
    return SeriesForm(obj=series) if series else SeriesForm()
