"""The one base of all forms: a token of our own, text cleaned at the edge, named fields only, nothing typed lost.

The token is signed, carries a random key and the signed-in state it was made for, and needs no cookie, so that a public
page with a form stays cacheable. WTForms has no types: whatever is untyped stays in this file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any, ClassVar

from flask import g, request, session
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import Field, FieldList, FormField
from wtforms import fields as plain
from wtforms.csrf.core import CSRF, CSRFTokenField
from wtforms.validators import Optional as Voluntary
from wtforms.validators import StopValidation, ValidationError

from whatsnext import clock, text, tokens
from whatsnext.errors import Conflict, DomainError, LinkExpired, LinkInvalid, TooManyTries
from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l

LIFE = timedelta(hours=24)
WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
TOKEN = "csrf_token"  # noqa: S105
SINGLE = (plain.SelectMultipleField, FieldList, FormField)

WORDS = {
    "This field is required.": _l("Fill in this field."),
    "Not a valid choice.": _l("Choose one of the entries."),
    "Invalid Choice: could not coerce.": _l("Choose one of the entries."),
    "Invalid choice(s): one or more data inputs could not be coerced.": _l("Choose among the entries."),
    "Not a valid integer value.": _l("Write a whole number, for example 30."),
    "Not a valid date value.": _l("Write the date as day, month and year, for example 14.01.2027."),
    "Not a valid time value.": _l("Write the time as hours and minutes, for example 14:00."),
}


class Words:
    """What WTForms says by itself, in the words of our catalogue."""

    def gettext(self, said: str) -> str:
        return str(WORDS.get(said, said))

    def ngettext(self, one: str, many: str, number: int) -> str:
        """WTForms counts wrong choices only."""
        return str(WORDS["Not a valid choice."]) if "valid choice" in one else (one if number == 1 else many)


# --- the token -------------------------------------------------------------------------------------------


class TokenField(CSRFTokenField):  # type: ignore[misc]
    """Always shows a token of this page, made only where the form is shown: most that are sent are not."""

    def _value(self) -> str:
        return form_token_value()


class Token(CSRF):  # type: ignore[misc]
    """Signed, cookie-free, bound to the signed-in state, good for a day (safety.md R5: its key makes a form unique)."""

    field_class = TokenField

    def generate_csrf_token(self, _field: Field) -> str:
        """The field asks for it when it is shown."""
        return ""

    def validate_csrf_token(self, form: Form, field: Field) -> None:
        if g.get("foreign"):
            raise ValidationError(_("This was sent from another site. Check what it says and send it once more."))
        try:
            state, key = tokens.read(tokens.Purpose.FORM, field.data or "", clock.now())
        except (LinkInvalid, LinkExpired):
            state, key = None, ""
        if state != _state():
            raise ValidationError(_("The form was open for too long. Just send it once more."))
        form.key = key


def _state() -> str:
    """What ties a token to whoever is signed in: nothing for the public."""
    secret = session.get("signed_in")
    return tokens.digest(secret)[:22] if isinstance(secret, str) else ""


def form_token_value() -> str:
    """The token for the forms of the page being made."""
    if "form_token" not in g:
        subject = [_state(), secrets.token_urlsafe(16)]
        g.form_token = tokens.sign(tokens.Purpose.FORM, subject, clock.now() + LIFE)
    return str(g.form_token)


def form_token() -> Markup:
    """The hidden field with the token, for forms that are only a button."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN, form_token_value())


# --- the form --------------------------------------------------------------------------------------------


class Form(FlaskForm):  # type: ignore[misc]
    """Base of all forms. A form that is only a button is `Form()` itself.

    `also` names what the form may send besides its fields: the names of its buttons. `key` is the random key of the
    token that was sent (safety.md R5); "" before validation. `status` is what the page answers: 200, or 422, 409, 429.
    """

    also: ClassVar[frozenset[str]] = frozenset({"action"})

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        csrf = True
        csrf_class = Token
        csrf_field_name = TOKEN
        csrf_context = None

        def get_translations(self, _form: object) -> Words:
            return Words()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.key = ""
        self._refused = 0
        super().__init__(*args, **kwargs)

    def validate(self, extra_validators: Any = None) -> bool:
        good = bool(super().validate(extra_validators))
        if not good:
            _name_the_fields(self)
        if any(_strangers(self, request.form)) or any(_strangers(self, request.files)):
            self.form_errors.append(_("The form sent fields that do not belong to it. Check your entries and send it."))
            good = False
        return good

    def refuse(self, error: DomainError) -> None:
        """Show a "no" of the domain beside its field, or above the form."""
        field = self._fields.get(error.field or "")
        if field is None:
            self.form_errors.append(error.message)
        else:
            field.errors = [*field.errors, error.message]
        self._refused = 409 if isinstance(error, Conflict) else 429 if isinstance(error, TooManyTries) else 422
        if "until" in error.facts and "seconds" in error.facts:
            g.retry_after = error.facts["seconds"]

    @property
    def status(self) -> int:
        return self._refused or (422 if self.errors else 200)


def _name_the_fields(form: Form) -> None:
    """What WTForms says by itself gets the field's name, so that the list of errors can be read without the fields."""
    bare = {str(words) for words in WORDS.values()}
    for _name, field in _named(form):
        if not isinstance(field, FormField | FieldList):
            field.errors = [f"{_called(field)}: {said}" if said in bare else said for said in field.errors]


def _strangers(form: Form, sent: Any) -> Iterator[str]:
    """Names that were sent and do not belong to the form, or came twice where one is meant (safety.md P4)."""
    known = dict(_named(form))
    for name in sent:
        if name in form.also:
            continue
        if name not in known or (len(sent.getlist(name)) > 1 and not isinstance(known[name], SINGLE)):
            yield name


def _named(fields: Iterable[Field]) -> Iterator[tuple[str, Field]]:
    for field in fields:
        yield field.name, field
        if isinstance(field, FormField | FieldList):
            yield from _named(field)


# --- fields ----------------------------------------------------------------------------------------------


def _called(field: Field) -> str:
    """What an error calls the field; a question loses its mark before the colon."""
    return str(field.label.text).rstrip("?")


class Needed:
    """The field must hold something."""

    def __init__(self) -> None:
        self.field_flags = {"required": True}

    def __call__(self, _form: object, field: Field) -> None:
        if field.errors:
            raise StopValidation
        if field.data is None or not str(field.data).strip():
            raise StopValidation(_("%(label)s: This is still missing.", label=_called(field)))


def _rules(given: dict[str, Any], *, optional: bool) -> dict[str, Any]:
    first = Voluntary() if optional else Needed()
    return {**given, "validators": [first, *given.get("validators", ())]}


class LineField(plain.StringField):  # type: ignore[misc]
    """One line of text (safety.md P5); what cannot be taken is refused, and stays as it was typed."""

    def __init__(self, label: Any = None, *, longest: int = 200, optional: bool = False, **given: Any) -> None:
        super().__init__(label, **_rules({"default": "", **given}, optional=optional))
        self.longest = longest

    def clean(self, value: str) -> str:
        return text.clean_line(value, self.longest)

    def process_formdata(self, values: list[str]) -> None:
        if not values:
            return
        self.data = values[0] if values[0].strip() else ""
        try:
            self.data = self.clean(self.data) if self.data else ""
        except text.TextRefused as refused:
            raise ValueError(_("%(label)s: %(reason)s", label=_called(self), reason=str(refused))) from None


class TextField(LineField):
    """Several lines of text."""

    widget = plain.TextAreaField.widget

    def __init__(self, label: Any = None, *, longest: int = 10_000, optional: bool = False, **given: Any) -> None:
        super().__init__(label, longest=longest, optional=optional, **given)

    def clean(self, value: str) -> str:
        return text.clean_text(value, self.longest)


class MailField(LineField):
    """One mail address, normalised (safety.md P6)."""

    widget = plain.EmailField.widget

    def clean(self, value: str) -> str:
        return text.mail_address(value).address


class SlugField(LineField):
    """A part of an address of ours."""

    def clean(self, value: str) -> str:
        value = text.clean_line(value, 60)
        if text.slug(value) != value:
            raise text.TextRefused(_("Only lower-case letters, digits and single hyphens are possible."))
        return value


class IntegerField(plain.IntegerField):  # type: ignore[misc]
    """A whole number from `least` to `most`."""

    def __init__(
        self, label: Any = None, *, least: int = 0, most: int = 100_000, optional: bool = False, **given: Any
    ) -> None:
        given["render_kw"] = {"min": least, "max": most, **given.get("render_kw", {})}
        super().__init__(label, **_rules(given, optional=optional))
        self.least, self.most = least, most

    def process_formdata(self, values: list[str]) -> None:
        typed = values[0].strip() if values else ""
        number = int(typed) if WHOLE.fullmatch(typed) else None
        self.data = number
        if typed and number is None:
            raise ValueError(_labelled(self, "Not a valid integer value."))
        if number is not None and not self.least <= number <= self.most:
            words = _("a whole number from %(least)s to %(most)s is possible.", least=self.least, most=self.most)
            raise ValueError(_("%(label)s: %(reason)s", label=_called(self), reason=words))


class DateField(plain.DateField):  # type: ignore[misc]
    """A day between the years 2000 and 2100."""

    def __init__(self, label: Any = None, *, optional: bool = False, **given: Any) -> None:
        super().__init__(label, format=["%Y-%m-%d", "%d.%m.%Y"], **_rules(given, optional=optional))

    def process_formdata(self, values: list[str]) -> None:
        day = _read(self, values, super().process_formdata)
        if day is not None and not date(2000, 1, 1) <= day < date(2100, 1, 1):
            self.data = None
            raise ValueError(_("%(label)s: The year lies between 2000 and 2099.", label=_called(self)))


class TimeField(plain.TimeField):  # type: ignore[misc]
    """A time of day."""

    def __init__(self, label: Any = None, *, optional: bool = False, **given: Any) -> None:
        super().__init__(label, format=["%H:%M", "%H:%M:%S", "%H.%M"], **_rules(given, optional=optional))

    def process_formdata(self, values: list[str]) -> None:
        _read(self, values, super().process_formdata)


def _read(field: Field, values: list[str], read: Callable[[list[str]], None]) -> Any:
    """What the library reads, without blanks; nothing typed is nothing."""
    field.data = None
    if not values or not values[0].strip():
        return None
    try:
        read([values[0].strip()])
    except ValueError as error:
        raise ValueError(f"{_called(field)}: {error}") from None
    return field.data


def _labelled(field: Field, said: str) -> str:
    return f"{_called(field)}: {WORDS[said]}"
