"""The form of a theme."""

from __future__ import annotations

from wtforms import RadioField, SelectField
from wtforms.fields.choices import SelectChoice

from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Theme
from whatsnext.services import series as all_series
from whatsnext.services.themes import ThemeDetails
from whatsnext.web.forms import Form, LineField, SlugField, TextField
from whatsnext.web.organise.versions import VersionField

COLOURS = (
    (1, _l("Petrol")),
    (2, _l("Violet")),
    (3, _l("Raspberry")),
    (4, _l("Blue")),
    (5, _l("Green")),
    (6, _l("Orange")),
    (7, _l("Brown")),
    (8, _l("Grey")),
)
FIELDS = ("name", "slug", "description", "description_en", "colour")


class ThemeForm(Form):
    series_id = SelectField(_l("Part of the series"), coerce=int)
    name = LineField(_l("Name of the theme"), longest=120)
    slug = SlugField(_l("Address of the page"), optional=True)
    description = TextField(_l("Description"), longest=4000, optional=True)
    description_en = TextField(_l("Description in English"), longest=4000, optional=True)
    colour = RadioField(_l("Colour"), coerce=int, choices=[SelectChoice(*colour) for colour in COLOURS], default=1)
    version = VersionField()

    def details(self, series_id: int) -> ThemeDetails:
        """What was typed, for this series."""
        return ThemeDetails(series_id=series_id, **{name: self[name].data for name in FIELDS})


def form_for(theme: Theme | None = None) -> ThemeForm:
    """The form, filled with what is saved unless something was sent. A theme stays in its series."""
    form = ThemeForm(obj=theme) if theme else ThemeForm()
    if theme:
        del form.series_id
    else:
        form.series_id.choices = [SelectChoice(row.id, row.name) for row in all_series.listed()]
    return form
