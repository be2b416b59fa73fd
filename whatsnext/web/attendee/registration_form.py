"""What an attendee may change afterwards."""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField
from wtforms.validators import ValidationError

from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.web.forms import Form, LineField, TextField


class DetailsForm(Form):
    """The same fields as at sign-up, without the address."""

    name = LineField(_l("Name"), longest=120)
    agency = LineField(_l("Agency or organisation"), longest=160)
    needs = TextField(_l("What do you need to take part well?"), longest=2000, optional=True)
    needs_consent = BooleanField(_l("I agree that the organisers use this for this talk."))

    def validate_needs_consent(self, field: Any) -> None:
        if (self.needs.data or "").strip() and not field.data:
            raise ValidationError(_("Agree to the use of this detail, or delete what you wrote about your needs."))
