"""The editor of a talk: one form, five sections, nothing needed but a title."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from wtforms import BooleanField, RadioField, SelectChoice, SelectField
from wtforms.widgets import HiddenInput

from whatsnext.calendars import timezone
from whatsnext.errors import DomainError
from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.i18n import zone_name
from whatsnext.services import drafts
from whatsnext.services.drafts import Draft
from whatsnext.services.events import Offered
from whatsnext.web.forms import DateField, Form, IntegerField, LineField, SlugField, TextField, TimeField
from whatsnext.web.organise.versions import VersionField

SPEAKERS = 6
LONGEST_TALK = 7 * 24 * 60
MOST_PLACES = 100_000
COMMON_ZONES = ("Europe/Berlin", "Europe/Brussels", "Europe/Vienna", "Europe/Zurich", "Europe/London", "UTC")
PAIRS = (
    ("date", "time"),
    ("registration_opens", "registration_opens_time"),
    ("registration_closes", "registration_closes_time"),
)
"""A day and its time of day: both or neither."""
PLAIN = (
    "title",
    "slug",
    "theme_id",
    "host_id",
    "series_id",
    "summary",
    "agenda",
    "language",
    "zone",
    "fold",
    "on_site",
    "online",
    "address",
    "join_link",
    "dial_in",
    "step_free",
    "induction_loop",
    "sign_language",
    "captions",
    "quiet_room",
    "chatham_house",
    "protected",
)
"""Fields that a draft has under the same name."""


def _number(value: Any) -> int | None:
    return int(value) if value not in (None, "") else None


def _fold(value: Any) -> int | None:
    return {"0": 0, "1": 1}.get(str(value))


class VersionForm(Form):
    """A button that acts on the version that was shown; a new talk has version 0."""

    version = VersionField()

    @property
    def seen(self) -> int:
        return self.version.data or 0


class EventForm(VersionForm):
    """The editor's fields."""

    title = LineField(_l("Title"), longest=200)
    slug = SlugField(_l("Address of the page"), optional=True)
    series_id = SelectField(_l("Series of the talk"), coerce=_number)
    theme_id = SelectField(_l("Theme"), coerce=_number)
    host_id = SelectField(_l("Host"), coerce=_number)
    speaker_1 = SelectField(_l("Speaker 1"), coerce=_number)
    speaker_2 = SelectField(_l("Speaker 2"), coerce=_number)
    speaker_3 = SelectField(_l("Speaker 3"), coerce=_number)
    speaker_4 = SelectField(_l("Speaker 4"), coerce=_number)
    speaker_5 = SelectField(_l("Speaker 5"), coerce=_number)
    speaker_6 = SelectField(_l("Speaker 6"), coerce=_number)
    summary = TextField(_l("Summary"), longest=10_000, optional=True)
    agenda = TextField(_l("Agenda"), longest=10_000, optional=True)
    language = SelectField(
        _l("Language of the talk"), choices=[SelectChoice("de", _l("German")), SelectChoice("en", _l("English"))]
    )
    chatham_house = BooleanField(_l("Chatham House Rule"))
    protected = BooleanField(_l("Protected talk"))

    date = DateField(_l("Date"), optional=True)
    time = TimeField(_l("Time"), optional=True)
    fold = RadioField(_l("Which one is meant?"), coerce=_fold, validate_choice=False)
    duration_minutes = IntegerField(_l("Duration in minutes"), least=1, most=LONGEST_TALK, optional=True)
    zone = SelectField(_l("Time zone"), validate_choice=False)

    on_site = BooleanField(_l("On site"))
    address = LineField(_l("Address of the room"), longest=300, optional=True)
    step_free = LineField(_l("Step-free access"), longest=300, optional=True)
    induction_loop = LineField(_l("Induction loop"), longest=300, optional=True)
    quiet_room = LineField(_l("Quiet room"), longest=300, optional=True)
    online = BooleanField(_l("Online"))
    join_link = LineField(_l("Join link"), longest=1000, optional=True)
    dial_in = LineField(_l("Dial-in by phone"), longest=300, optional=True)
    sign_language = LineField(_l("Sign language"), longest=300, optional=True)
    captions = LineField(_l("Captions"), longest=300, optional=True)

    capacity_on_site = IntegerField(_l("Places on site"), most=MOST_PLACES, optional=True)
    capacity_online = IntegerField(_l("Places online"), most=MOST_PLACES, optional=True)

    registration_opens = DateField(_l("Sign-up opens"), optional=True)
    registration_opens_time = TimeField(_l("Time"), optional=True)
    registration_closes = DateField(_l("Sign-up closes"), optional=True)
    registration_closes_time = TimeField(_l("Time"), optional=True)

    def __init__(self, offered: Offered, draft: Draft | None = None, version: int = 0) -> None:
        """What the request sent, else `draft`. `offered` is what there is to choose from."""
        given = _values(draft) if draft else {}
        super().__init__(data={**given, "version": version})
        if self.is_submitted() and "fold" not in request.form:
            self.fold.data = None  # an answer to another day's question is none
        nothing = ("", _("none yet"))
        self.series_id.choices = _choices(offered.series)
        self.theme_id.choices = _choices([nothing, *offered.themes])
        self.host_id.choices = _choices([nothing, *offered.hosts])
        for field in self.speakers:
            field.choices = _choices([nothing, *offered.speakers])
        self.language.choices = _choices([("de", _("German")), ("en", _("English"))])
        self.fold.choices = _choices(
            [("0", _("before the clocks are put back")), ("1", _("after the clocks are put back"))]
        )
        self.zone.choices = _zones(self.zone.data)

    @property
    def speakers(self) -> list[Any]:
        """The fields for who speaks, in order."""
        return [self[f"speaker_{number}"] for number in range(1, SPEAKERS + 1)]

    @property
    def asks_which(self) -> bool:
        """Whether clocks show the chosen time twice, so that one has to be chosen."""
        start = _moment(self.date.data, self.time.data)
        known = start is not None and timezone.is_zone(self.zone.data or "")
        return bool(known and start and timezone.ambiguous(start, ZoneInfo(self.zone.data)))

    def validate(self, extra_validators: Any = None) -> bool:
        good = super().validate(extra_validators)
        for pair in PAIRS:
            day, hour = (self[name] for name in pair)
            if (day.data is None) != (hour.data is None) and not (day.errors or hour.errors):
                empty, other = (day, hour) if day.data is None else (hour, day)
                words = _("%(label)s: Give date and time, or neither of them.", label=other.label.text)
                empty.errors = [*empty.errors, words]
                good = False
        if not good:
            self._add_problems()
        return good

    def _add_problems(self) -> None:
        """What else is wrong, so that nobody corrects one thing to be told of the next."""
        for problem in drafts.problems(self.draft()):
            if problem.field in self and not self[problem.field].errors:
                self.refuse(problem)

    def draft(self) -> Draft:
        """What was typed, as plain values; nothing where it could not be read."""
        values = {name: self[name].data for name in PLAIN}
        chosen = dict.fromkeys(field.data for field in self.speakers if field.data)
        return Draft(
            **{name: value for name, value in values.items() if value is not None},
            speaker_ids=tuple(chosen),
            starts_local=_moment(self.date.data, self.time.data),
            duration_minutes=self.duration_minutes.data or Draft.duration_minutes,
            capacity_on_site=self.capacity_on_site.data or 0,
            capacity_online=self.capacity_online.data or 0,
            registration_opens=_moment(self.registration_opens.data, self.registration_opens_time.data),
            registration_closes=_moment(self.registration_closes.data, self.registration_closes_time.data),
        )

    def refuse_all(self, error: DomainError, others: list[DomainError]) -> None:
        """Show `error` and everything else that is wrong at the same time."""
        for one in (error, *(other for other in others if type(other) is not type(error))):
            self.refuse(one)

    @property
    def carried(self) -> list[tuple[str, str]]:
        """Everything typed in the editor, as it was sent, for the page that asks before anything is saved."""
        own = {field.name for field in self} - {"csrf_token", "note", "expected"}
        return [(name, value) for name, value in request.form.items(multi=True) if name in own]


class ChangeForm(EventForm):
    """The same, with what the page before sending asks: a word to everyone, and how many it showed."""

    note = TextField(_l("Your message"), longest=2_000, optional=True)
    expected = IntegerField(_l("Recipients"), optional=True, widget=HiddenInput())


class CancelForm(VersionForm):
    """Why a talk is called off. `expected` is how many recipients the page showed."""

    expected = IntegerField(_l("Recipients"), widget=HiddenInput())
    reason = TextField(_l("Reason"), longest=2_000)


def _values(draft: Draft) -> dict[str, Any]:
    values = {name: getattr(draft, name) for name in (*PLAIN, "duration_minutes")}
    for number, speaker_id in enumerate(draft.speaker_ids[:SPEAKERS], start=1):
        values[f"speaker_{number}"] = speaker_id
    for name in ("capacity_on_site", "capacity_online"):
        values[name] = getattr(draft, name) or None
    moments = (draft.starts_local, draft.registration_opens, draft.registration_closes)
    for (day, hour), moment in zip(PAIRS, moments, strict=True):
        values[day], values[hour] = (moment.date(), moment.time()) if moment else (None, None)
    return values


def _moment(day: Any, hour: Any) -> datetime | None:
    return datetime.combine(day, hour) if day is not None and hour is not None else None


def _choices(pairs: Iterable[tuple[Any, str]], group: str | None = None) -> list[Any]:
    return [SelectChoice(value, words, optgroup=group) for value, words in pairs]


def _zones(chosen: str | None) -> list[Any]:
    """Common zones first; one that does not exist stays in the list while it is chosen, so that nothing is lost."""
    strange = [(chosen, chosen)] if chosen and not timezone.is_zone(chosen) else []
    common = [(name, f"{zone_name(name)} ({name})" if "/" in name else name) for name in COMMON_ZONES]
    others = [(name, name) for name in timezone.zones() if name not in COMMON_ZONES]
    return _choices([*strange, *common], _("Common")) + _choices(others, _("All others"))
