"""The form of an agency."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from wtforms.validators import ValidationError

from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.services.agencies import AgencyDetails
from whatsnext.web.forms import Form, LineField
from whatsnext.web.organise.versions import VersionField

FIELDS = ("name", "short_name", "city", "url")


def opens_as_page(_form: Form, field: Any) -> None:
    """Only what a browser opens as a page may become a link."""
    try:
        parts = urlsplit(field.data)
        good = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or " " in field.data:
        raise ValidationError(_("%(label)s: Write the address with https:// at the beginning.", label=field.label.text))


class AgencyForm(Form):
    name = LineField(_l("Name of the agency"), longest=160)
    short_name = LineField(_l("Short name"), longest=60, optional=True)
    city = LineField(_l("City"), longest=80, optional=True)
    url = LineField(_l("Website"), longest=300, optional=True, validators=[opens_as_page])
    version = VersionField()

    def details(self) -> AgencyDetails:
        """What was typed."""
        return AgencyDetails(**{name: self[name].data for name in FIELDS})
