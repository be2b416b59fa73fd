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
from whatsnext.errors import DomainError, LaterPartWithoutTime
from whatsnext.i18n import gettext as _
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.i18n import ngettext, zone_name
from whatsnext.services import drafts, parts, slots
from whatsnext.services.drafts import Draft
from whatsnext.services.events import Offered
from whatsnext.services.slots import Part
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
PART = ("date", "time", "duration")
"""The fields of one row of the further parts."""
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
    "repeat_weeks",
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


def _weeks(value: Any) -> int:
    return int(value) if str(value).isascii() and str(value).isdigit() else 0


class VersionForm(Form):
    """A button that acts on the version that was shown; a new talk has version 0."""

    version = VersionField()

    @property
    def seen(self) -> int:
        return self.version.data or 0


class PartFields(VersionForm):
    """The further parts of a talk: rows of a date, a time and a duration, or a rule and how many times.

    `rows` is how many rows the page showed. Of a regular course the rows stand for all its parts; one that was left as
    it was goes on following the rule.
    """

    repeat_weeks = SelectField(_l("Repeats"), coerce=_weeks)
    part_count = IntegerField(_l("Number of parts"), least=2, most=parts.MOST, optional=True)
    rows = IntegerField(_l("Rows"), least=0, most=parts.MOST, optional=True, widget=HiddenInput())
    new_row = 0
    """The part whose row was just added: the page opens there."""

    def part_row(self, position: int) -> list[Any]:
        """The fields for the date, the time and the duration of one part."""
        return [self[slots.part_field(position, what)] for what in PART]

    def fill_parts(self, saved: Draft | None) -> None:
        """Choices, and what to compare the rows with."""
        self.repeat_weeks.choices = _choices([(weeks, _repeats(weeks)) for weeks in parts.RULES])
        self.saved_parts = saved.parts if saved else ()
        self.saved_weeks = saved.repeat_weeks if saved else 0
        self.rows.data = len(self.shown)

    @property
    def shown(self) -> list[tuple[int, list[Any], bool]]:
        """The rows of the page: number of the part, its fields, and whether it has been cancelled."""
        if self.repeat_weeks.data:
            positions = range(1, len(self.saved_parts) + 1) if self.saved_weeks else range(0)
        else:
            written = [number for number in range(2, parts.MOST + 1) if any(map(_written, self.part_row(number)))]
            last = max(len(self.saved_parts), (self.rows.data or 0) + 1, *written, 1)
            positions = range(2, min(last, parts.MOST) + 1)
        return [(number, self.part_row(number), self._is_off(number)) for number in positions]

    def add_row(self) -> None:
        """Show one more."""
        self.rows.data, self.rows.raw_data = (self.rows.data or 0) + 1, None
        self.new_row = self.shown[-1][0] if self.shown else 0

    def written_parts(self) -> tuple[Part, ...]:
        """What the rows say."""
        if self.repeat_weeks.data:
            count = min(self.part_count.data or max(len(self.saved_parts), 2), parts.MOST + 1)
            return tuple(self._course_part(number) for number in range(1, count + 1))
        rest = [part for number in range(2, parts.MOST + 1) if (part := self._part(number)) is not None]
        return (Part(cancelled=self._is_off(1)), *rest) if rest else ()

    def _part(self, position: int) -> Part | None:
        """None for a row that was left empty."""
        saved = self._saved(position)
        if saved is not None and saved.cancelled:
            return saved
        day, hour, minutes = map(_read, self.part_row(position))
        if day is None and hour is None and minutes is None:
            return None
        return Part(starts_local=_moment(day, hour), duration_minutes=minutes)

    def _course_part(self, position: int) -> Part:
        """By the rule, unless somebody wrote another time than the one that was shown."""
        if not self.saved_weeks or position > parts.MOST:
            return Part()
        saved, typed = self._saved(position), self._part(position)
        if saved is not None and (saved.cancelled or typed == self._as_shown(position)):
            return saved
        return typed or Part()

    def _saved(self, position: int) -> Part | None:
        return self.saved_parts[position - 1] if position <= len(self.saved_parts) else None

    def _is_off(self, position: int) -> bool:
        saved = self._saved(position)
        return saved is not None and saved.cancelled

    def _as_shown(self, position: int) -> Part:
        values = {what: self.part_values.get(slots.part_field(position, what)) for what in PART}
        return Part(starts_local=_moment(values["date"], values["time"]), duration_minutes=values["duration"])


def _add_rows() -> None:
    """WTForms knows fields as attributes of the class only."""
    for number in range(1, parts.MOST + 1):
        day = DateField(_l("Date of part %(number)s", number=number), optional=True)
        hour = TimeField(_l("Time of part %(number)s", number=number), optional=True)
        label = _l("Minutes of part %(number)s", number=number)
        minutes = IntegerField(label, least=1, most=LONGEST_TALK, optional=True)
        for what, field in zip(PART, (day, hour, minutes), strict=True):
            setattr(PartFields, slots.part_field(number, what), field)


_add_rows()


class EventForm(PartFields):
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
        self.part_values = {name: value for name, value in given.items() if name.startswith("part_")}
        super().__init__(data={**given, "version": version})
        self.fill_parts(draft)
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
        pairs = [tuple(slots.part_field(number, what) for what in PART[:2]) for number in range(1, parts.MOST + 1)]
        for pair in (*PAIRS, *pairs):
            day, hour = (self[name] for name in pair)
            if (day.data is None) != (hour.data is None) and not (day.errors or hour.errors):
                empty, other = (day, hour) if day.data is None else (hour, day)
                words = _("%(label)s: Give date and time, or neither of them.", label=other.label.text)
                empty.errors = [*empty.errors, words]
                good = False
        if (words := self._half_a_rule()) and not self.part_count.errors:
            self.part_count.errors = [words]
            good = False
        if not good:
            self._add_problems()
        return good

    def _half_a_rule(self) -> str:
        """A rule and a number of parts go together; a saved course has its number."""
        if self.repeat_weeks.data and not self.part_count.data and not self.saved_weeks:
            return _("Say how many parts there are.")
        if self.part_count.data and not self.repeat_weeks.data and not self.repeat_weeks.errors:
            return _("Say too how often it takes place, or leave this empty and give each date below.")
        return ""

    def _row_errors(self, day: str) -> bool:
        """Whether the row of this date has been refused already."""
        row = day.removesuffix("date")
        return any(self[f"{row}{what}"].errors for what in PART)

    def _add_problems(self) -> None:
        """What else is wrong, so that nobody corrects one thing to be told of the next."""
        for problem in drafts.problems(self.draft()):
            half = isinstance(problem, LaterPartWithoutTime) and self._row_errors(problem.field)
            if problem.field in self and not self[problem.field].errors and not half:
                self.refuse(problem)

    def draft(self) -> Draft:
        """What was typed, as plain values; nothing where it could not be read."""
        values = {name: self[name].data for name in PLAIN}
        chosen = dict.fromkeys(field.data for field in self.speakers if field.data)
        return Draft(
            **{name: value for name, value in values.items() if value is not None},
            speaker_ids=tuple(chosen),
            starts_local=_moment(self.date.data, self.time.data),
            duration_minutes=_read(self.duration_minutes) or Draft.duration_minutes,
            parts=self.written_parts(),
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


def _repeats(weeks: int) -> str:
    if not weeks:
        return _("not by a rule")
    return ngettext("every week", "every %(num)s weeks", weeks)


def _part_values(draft: Draft) -> dict[str, Any]:
    """The rows; of irregular parts not the first, which has fields of its own."""
    if len(draft.parts) < 2:
        return {}
    values: dict[str, Any] = {"part_count": len(draft.parts) if draft.repeat_weeks else None}
    try:
        laid = drafts.times(draft).slots
    except DomainError:
        return values
    for slot in laid:
        if draft.repeat_weeks or slot.position > 1:
            shown = (slot.starts_local.date(), slot.starts_local.time(), slot.duration_minutes)
            values |= {slots.part_field(slot.position, what): it for what, it in zip(PART, shown, strict=True)}
    return values


def _values(draft: Draft) -> dict[str, Any]:
    values = {name: getattr(draft, name) for name in (*PLAIN, "duration_minutes")} | _part_values(draft)
    for number, speaker_id in enumerate(draft.speaker_ids[:SPEAKERS], start=1):
        values[f"speaker_{number}"] = speaker_id
    for name in ("capacity_on_site", "capacity_online"):
        values[name] = getattr(draft, name) or None
    moments = (draft.starts_local, draft.registration_opens, draft.registration_closes)
    for (day, hour), moment in zip(PAIRS, moments, strict=True):
        values[day], values[hour] = (moment.date(), moment.time()) if moment else (None, None)
    return values


def _written(field: Any) -> bool:
    """Whether anything stands in the field, readable or not."""
    return bool(field.data or any(field.raw_data or ()))


def _read(field: Any) -> Any:
    """What was typed; nothing where it is out of its bounds."""
    return None if field.process_errors else field.data


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
