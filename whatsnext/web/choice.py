"""The form behind a mailed link: yes or no, chosen by a person (safety.md I2)."""

from __future__ import annotations

from typing import Any

from wtforms import HiddenField, RadioField
from wtforms.validators import ValidationError

from whatsnext.i18n import gettext as _
from whatsnext.web.forms import Form


class ChoiceForm(Form):
    """Where a person has chosen before, the page says yes by itself and has one button.

    `renew`, `waiting` and `way` carry what the page has promised: a new hold, a place in the other line, the way to
    take part, so that a form sent twice changes nothing back.
    """

    choice = RadioField(choices=["yes", "no"], validate_choice=False)
    renew = HiddenField(default="")
    waiting = HiddenField(default="")
    way = HiddenField(default="")

    def validate_choice(self, field: Any) -> None:
        if field.data not in ("yes", "no"):
            raise ValidationError(_("Choose one of the two answers."))
