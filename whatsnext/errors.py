"""Every "no" the domain can say: the class is the rule, it carries its text, field and facts, never a status."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import LazyString

from whatsnext.i18n import lazy_gettext as _
from whatsnext.i18n import moment


class SettingRefused(Exception):
    """Something the operator set cannot be used; the message names the variable."""


class NotMigrated(Exception):
    """The tables do not have the shape this release needs."""


class DomainError(Exception):
    """A rule says no. `field` names the form field it belongs to, None for the whole form."""

    text: Any = ""
    field: str | None = None

    def __init__(self, **facts: Any) -> None:
        super().__init__(type(self).__name__)
        self.facts = facts

    @property
    def message(self) -> str:
        """The reason in the language spoken now, with the facts filled in."""
        return str(self.text) % self.facts if self.facts else str(self.text)


class NotFound(DomainError):
    """No such thing, or none this person may know of: both answer alike (safety.md P1)."""

    text = _("This page does not exist (any more).")


class Forbidden(DomainError):
    """Signed in, but not for this."""

    text = _("This page is for the organisers.")


class Conflict(DomainError):
    """Something changed meanwhile; what was typed is kept. Answers 409."""


class StaleVersion(Conflict):
    """Another person saved since this form was opened (safety.md R6)."""

    text = _("Someone else has changed this meanwhile. Compare both versions; yours is kept below.")


# --- links -----------------------------------------------------------------------------------------------


class LinkInvalid(DomainError):
    """A link that was never ours, or was cut short."""

    text = _("This link is not complete or was never valid.")


class LinkExpired(DomainError):
    """A link after its end."""

    text = _("This link has expired.")


class HoldExpired(DomainError):
    """The address was not proved in time; the place may have gone to someone else."""

    text = _("The time to confirm has run out. Sign up again with the same details.")


class LinkUsed(DomainError):
    """A link that works once, used again."""

    text = _("This link has been used already.")


class WrongBrowser(DomainError):
    """A sign-in link opened elsewhere than asked (safety.md I2)."""

    text = _("This link works only in the browser in which the sign-in began.")


class CodeWrong(DomainError):
    """A sign-in code that does not fit."""

    text = _("This code is not right. Copy it from the newest message.")
    field = "code"


class TooManyTries(DomainError):
    """Five wrong codes, or more requests than the limit."""

    text = _("Too many attempts. Ask for a new link.")


class RateLimited(TooManyTries):
    """More of one form than one address or network may send; facts: `time` in words, `until`, `seconds`."""

    text = _("Too many attempts. It works again from %(time)s.")


class TooSoon(TooManyTries):
    """The same mail asked for again within a minute."""

    text = _("The message is only just on its way. Wait a minute, then have it sent again.")


# --- signing up -----------------------------------------------------------------------------------------


class RegistrationNotOpen(DomainError):
    """Before `Event.registration_opens`."""

    text = _("Registration for this talk opens on %(opens)s.")

    def __init__(self, opens: datetime, zone: str) -> None:
        super().__init__(opens=LazyString(moment, opens, zone))


class RegistrationClosed(DomainError):
    """After `Event.registration_closes`."""

    text = _("Registration for this talk is closed.")


class EventCancelled(DomainError):
    """The talk was called off."""

    text = _("This talk has been cancelled.")


class EventOver(DomainError):
    """The talk has begun or is over."""

    text = _("This talk is over.")


class EventFull(Conflict):
    """All places went while the form was open; joining the waiting list was not asked for yet."""

    text = _("All places have been taken meanwhile. We have kept your details. Do you want to join the waiting list?")


class ModeNotOffered(DomainError):
    """On site or online, and the talk is not held that way."""

    text = _("The talk is not offered this way. Choose another one.")
    field = "mode"


class AlreadySignedUp(DomainError):
    """An organiser adds someone who is registered."""

    text = _("This person is signed up already.")
    field = "email"


class AlreadyCancelled(DomainError):
    """Giving up a place that is given up."""

    text = _("You are no longer signed up for this talk.")


class OfferLapsed(DomainError):
    """A place that was offered and has gone to the next person."""

    text = _("This place has been passed on. You keep your place in line.")


# --- planning --------------------------------------------------------------------------------------------


class SlugTaken(DomainError):
    text = _("This address is taken by another page. Choose another one.")
    field = "slug"


class NameTaken(DomainError):
    text = _("There is one with this name already.")
    field = "name"


class EndsBeforeStart(DomainError):
    text = _("The talk must last at least one minute.")
    field = "duration_minutes"


class RemindersUnreadable(DomainError):
    """Reminders of a series that are no minutes, too many, or more than 30 days before."""

    text = _("Write up to %(most)s whole numbers of minutes with commas between them, for example 1440, 60.")
    field = "reminders"


class UnknownZone(DomainError):
    text = _("This time zone is not known. Choose one from the list, for example Europe/Berlin.")
    field = "zone"


class TimeSkipped(DomainError):
    """A local time inside the gap of a change to summer time."""

    text = _("%(time)s does not exist on this day: the clocks are put forward.")
    field = "time"


class TimeTwice(DomainError):
    """A local time that comes twice when summer time ends; `fold` says which."""

    text = _("%(time)s comes twice on this day: the clocks are put back. Choose which one is meant.")
    field = "fold"


class StartInPast(DomainError):
    text = _("This date is in the past. Choose a coming one.")
    field = "date"


class CapacityBelowTaken(DomainError):
    """Lowering never throws anyone out."""

    text = _("%(taken)s places are taken already. Choose at least this number; nobody is thrown out.")


class ClosesAfterStart(DomainError):
    text = _("Registration must close before the talk begins.")
    field = "registration_closes"


class OpensAfterCloses(DomainError):
    text = _("Registration must open before it closes.")
    field = "registration_opens"


class TitleMissing(DomainError):
    text = _("Give the talk a title.")
    field = "title"


class DateOutOfRange(DomainError):
    text = _("Choose a date between the years %(first)s and %(last)s.")
    field = "date"


class CapacityBelowZero(DomainError):
    text = _("Give a number of places, 0 or more.")


class JoinLinkRefused(DomainError):
    """Something that no browser opens as a page."""

    text = _("Write the whole address of the video conference, beginning with https://.")
    field = "join_link"


class SeriesMissing(DomainError):
    """A talk belongs to a series; there is none yet."""

    text = _("Create a series first; every talk belongs to one.")
    field = "series_id"


class ThemeOfOtherSeries(DomainError):
    text = _("This theme belongs to another series. Choose one of the talk's own series.")
    field = "theme_id"


class ModeInUse(DomainError):
    """Ending a way of taking part that people have signed up for."""

    text = _("%(people)s people have signed up for this way of taking part. Tell them first, then change it.")


class PartWithoutTime(DomainError):
    """Several parts, and no date for the first."""

    text = _("Give the date and the time of the first part.")
    field = "date"


class LaterPartWithoutTime(DomainError):
    """A part after the first that has a length and no date."""

    text = _("Give the date and the time of part %(number)s.")
    field = "date"


class PartsMeet(DomainError):
    """Parts stand in order, none before the one before it has ended: calendars refuse anything else."""

    text = _("Part %(number)s begins before part %(before)s has ended. Keep the parts in order.")


class TooManyParts(DomainError):
    text = _("A talk has at most %(most)s parts.")
    field = "part_count"


class RuleFixed(DomainError):
    """A published talk keeps the way it repeats: its entries in calendars are named by it."""

    text = _("How a published talk repeats cannot be changed. Move single parts, or duplicate the talk.")
    field = "repeat_weeks"


class PartsFixed(DomainError):
    """Parts of a published talk are cancelled with a reason, not removed."""

    text = _("A part of a published talk cannot be removed. Cancel it, so that everyone hears of it.")
    field = "repeat_weeks"


class LastPart(DomainError):
    """Nothing of the talk would remain."""

    text = _("This is the only part left. Cancel the whole talk instead.")


class PartCancelled(DomainError):
    text = _("This part has been cancelled already.")


class NotPublished(DomainError):
    text = _("This talk is still a draft; nobody has been told about it.")


class NotReady(DomainError):
    """Publishing with something missing; `missing` is a list of (field, sentence)."""

    text = _("The talk cannot be published yet.")

    def __init__(self, missing: list[tuple[str, str]]) -> None:
        super().__init__()
        self.missing = missing


class AlreadyPublished(Conflict):
    text = _("This talk has been published already.")


class ReasonMissing(DomainError):
    text = _("Say why the talk is cancelled. Everyone who is signed up reads it.")
    field = "reason"


class CalendarWouldGoStale(DomainError):
    """A change that calendars must show cannot be saved without a message."""

    text = _("This change alters the calendar entry of those who are signed up. It cannot be saved without a message.")


class StillUsed(DomainError):
    """Deleting what others point to."""

    text = _("This is still in use and cannot be deleted.")


class NobodyToTell(DomainError):
    text = _("Nobody is selected. Choose at least one person.")


class NobodyToWrite(NobodyToTell):
    text = _("Nobody selected can be written to: the address is not confirmed yet, or the place was given up.")


class NobodyToInvite(NobodyToTell):
    text = _("Nobody selected has a place, so there is no invitation to send again.")


class NobodyToMoveUp(NobodyToTell):
    text = _("Nobody selected is on the waiting list with a confirmed address.")


class NobodyToRemove(NobodyToTell):
    text = _("Nobody selected is still signed up.")


class RecipientsChanged(Conflict):
    """Other people than at the preview would get the message."""

    text = _("The recipients have changed since the preview. Look at the list again before you send.")


class LineIsOver(DomainError):
    """Promoting someone when no place is free."""

    text = _("There is no free place. Raise the number of places first.")
