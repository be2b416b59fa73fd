"""The form of a message to participants, and the one behind its preview."""

from __future__ import annotations

from datetime import datetime

from wtforms import Field, HiddenField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError
from wtforms.widgets import HiddenInput

from whatsnext.i18n import gettext as _
from whatsnext.i18n import language, ngettext
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.models import Event, Status
from whatsnext.services import recipients
from whatsnext.services.follower_messages import FOLLOWERS
from whatsnext.services.mailings import Words
from whatsnext.services.participants import Search, Show
from whatsnext.services.recipients import Act, Choice
from whatsnext.web.forms import Form, LineField, TextField

LONGEST_SUBJECT, LONGEST_BODY = 150, 5_000


class KnownPlaceholders:
    """A mistyped placeholder would go to everyone as it stands."""

    def __call__(self, _form: object, field: Field) -> None:
        if unknown := Words("", field.data or "").unknown:
            there_are = ", ".join(word for word, _meaning in placeholders())
            raise ValidationError(
                ngettext(
                    "%(label)s: There is no placeholder %(unknown)s. There are: %(known)s.",
                    "%(label)s: There are no placeholders %(unknown)s. There are: %(known)s.",
                    len(unknown),
                    label=field.label.text,
                    unknown=", ".join(unknown),
                    known=there_are,
                )
            )


class MessageForm(Form):
    """To whom by a radio, or a choice that was sealed on the list of participants."""

    seal = HiddenField(default="")
    to = RadioField(_l("To whom"), validate_choice=False)
    subject = LineField(_l("Subject"), longest=LONGEST_SUBJECT, validators=[KnownPlaceholders()])
    body = TextField(_l("Text"), longest=LONGEST_BODY, validators=[KnownPlaceholders()])

    def name_groups(self, numbers: dict[Status, int]) -> None:
        """Say how many people each choice means, as `recipients.reached` counts them."""
        confirmed, waiting = numbers.get(Status.CONFIRMED, 0), numbers.get(Status.WAITING, 0)
        everyone = sum(numbers.values())
        self.to.choices = [
            SelectChoice(
                Show.CONFIRMED.value,
                ngettext("%(n)s confirmed person", "%(n)s confirmed people", confirmed, n=confirmed),
            ),
            SelectChoice(
                Show.WAITING.value,
                ngettext("%(n)s person on the waiting list", "%(n)s people on the waiting list", waiting, n=waiting),
            ),
            SelectChoice(
                Show.ALL.value,
                ngettext(
                    "Everyone who is signed up: %(n)s person",
                    "Everyone who is signed up: %(n)s people",
                    everyone,
                    n=everyone,
                ),
            ),
        ]
        self.to.data = self.to.data or Show.CONFIRMED.value

    def name_followers(self, event: Event, number: int) -> None:
        """Those who follow the theme of the talk can be meant too."""
        words = ngettext(
            "%(n)s person who follows the theme “%(theme)s”",
            "%(n)s people who follow the theme “%(theme)s”",
            number,
            n=number,
            theme=event.theme.name if event.theme else "",
        )
        self.to.choices.append(SelectChoice(FOLLOWERS, words))

    @property
    def means_followers(self) -> bool:
        return not self.seal.data and self.to.data == FOLLOWERS

    def choice(self, event_id: int, now: datetime) -> Choice:
        """The participants that are meant. Raises LinkInvalid, LinkExpired."""
        if self.seal.data:
            return recipients.sealed_choice(self.seal.data, event_id, now)
        wanted = self.to.data if self.to.data in (Show.WAITING, Show.ALL) else Show.CONFIRMED
        return Choice(event_id, Act.MESSAGE, search=Search(Show(wanted)))

    @property
    def words(self) -> Words:
        return Words(self.subject.data, self.body.data)


class SendForm(Form):
    """Behind the preview: what was shown comes back unchanged."""

    seal = HiddenField(default="")
    subject = LineField(_l("Subject"), longest=LONGEST_SUBJECT, widget=HiddenInput())
    body = TextField(_l("Text"), longest=LONGEST_BODY, widget=HiddenInput())

    @property
    def words(self) -> Words:
        return Words(self.subject.data, self.body.data)


def message_form(seal: str = "") -> MessageForm:
    """An empty form for a choice made elsewhere."""
    return MessageForm(formdata=None, seal=seal)


def send_form(seal: str, words: Words) -> SendForm:
    """The form behind a preview."""
    return SendForm(formdata=None, seal=seal, subject=words.subject, body=words.body)


def edit_again(form: SendForm, choice: Choice | None) -> MessageForm:
    """Back from the preview with everything kept; without a choice the people are to be chosen anew."""
    search = choice.search if choice else None
    to = search.show.value if search and not search.words and search.invited is None else ""
    seal = form.seal.data if choice and not to else ""
    return MessageForm(formdata=None, seal=seal, to=to, subject=form.subject.data, body=form.body.data)


def placeholders() -> list[tuple[str, str]]:
    """What may stand in braces in the language spoken now, and what comes in its place."""
    title, when, where = ("{titel}", "{wann}", "{ort}") if language() == "de" else ("{title}", "{when}", "{where}")
    return [
        ("{name}", _("name of the person")),
        (title, _("title of the talk")),
        (when, _("date, time and zone")),
        (where, _("address, or online")),
    ]
