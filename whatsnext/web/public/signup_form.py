"""The sign-up form, and what it wishes for."""

from __future__ import annotations

from typing import Any

from flask import current_app
from markupsafe import Markup
from wtforms import BooleanField, HiddenField, RadioField, StringField
from wtforms.validators import ValidationError

from whatsnext.i18n import gettext as _
from whatsnext.i18n import language, ngettext
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Event, Mode, Person
from whatsnext.services import waiting_list
from whatsnext.services.signup import Wish
from whatsnext.services.waiting_list import Places
from whatsnext.web.forms import Form, LineField, MailField, TextField
from whatsnext.web.public import cards


class SignUpForm(Form):
    """At most five fields (experience.md §6). `full` says which ways the page showed as full."""

    name = LineField(_l("Name"), longest=120)
    email = MailField(_l("E-mail address"))
    agency = LineField(_l("Agency or organisation"), longest=160)
    mode = RadioField(_l("How do you take part?"), validate_choice=False)
    needs = TextField(_l("What do you need to take part well?"), longest=2000, optional=True)
    needs_consent = BooleanField(_l("I agree that the organisers use this for this talk."))
    notice = BooleanField(_l("I have read the privacy notice and agree that my details are used to invite me."))
    full = HiddenField(default="")
    website = StringField(default="")

    def validate_mode(self, field: Any) -> None:
        """Someone must choose; whether it is offered is the service's to say."""
        if field.data not in [mode.value for mode in Mode]:
            raise ValidationError(_("How do you take part? Choose one of the two ways."))

    def validate_needs_consent(self, field: Any) -> None:
        if (self.needs.data or "").strip() and not field.data:
            raise ValidationError(_("Agree to the use of this detail, or delete what you wrote about your needs."))

    def validate_notice(self, field: Any) -> None:
        if not field.data:
            raise ValidationError(_("Agree to the use of your details; without it we cannot invite you."))

    def validate(self, extra_validators: Any = None) -> bool:
        """The trap is empty for every person, filled by robots. It is emptied, so that sending again works."""
        good = super().validate(extra_validators)
        if self.website.data:
            self.website.data = ""
            self.form_errors.append(_("A hidden field of the form was filled in. We have emptied it; send once more."))
            good = False
        return good

    def show_full(self, modes: set[Mode]) -> None:
        """Say in the page which ways are full, so that its button means the waiting list."""
        self.full.data = " ".join(sorted(modes))

    def wish(self, *, browser: str, network: str) -> Wish:
        """What was typed. `browser` is the digest of the asking browser's cookie."""
        return Wish(
            name=self.name.data,
            email=self.email.data if self.email else "",
            agency=self.agency.data,
            mode=Mode(self.mode.data),
            language=language(),
            waiting_ok=self.mode.data in (self.full.data or "").split(),
            needs=self.needs.data or "",
            needs_consent=bool(self.needs_consent.data),
            network=network,
            form_key=self.key,
            browser=browser,
        )


def bare_form(person: Person | None) -> SignUpForm:
    """The form for a stranger, or for `person` who is signed in and need not type an address; of no talk yet."""
    form = SignUpForm(data={"name": person.name, "agency": person.agency} if person else None)
    if person:
        del form.email
    if not current_app.config["SETTINGS"].notice_needs_consent:
        del form.notice
    return form


def sign_up_form(event: Event, places: cards.AllPlaces, person: Person | None) -> SignUpForm:
    """The form of this talk, its ways to take part and their places in words."""
    form = bare_form(person)
    offered = waiting_list.offered_modes(event)
    form.mode.choices = [(mode.value, _choice(event, mode, places[mode])) for mode in offered]
    if not form.is_submitted():
        form.show_full({mode for mode in offered if not places[mode].free})
        if len(offered) == 1:
            form.mode.data = offered[0].value
    return form


def _choice(event: Event, mode: Mode, places: Places) -> str | Markup:
    """ "Vor Ort in Berlin (12 Plätze frei)"."""
    town = cards.city(event)
    on_site = _("On site in %(city)s", city=town) if town else _("On site")
    way = on_site if mode is Mode.ON_SITE else _("Online")
    if places.free:
        free = ngettext("%(num)s place left", "%(num)s places left", places.free)
    elif not places.waiting:
        free = _("full, waiting list open")
    else:
        free = ngettext("full, %(num)s person is waiting", "full, %(num)s people are waiting", places.waiting)
    return f"{way} ({free})"
