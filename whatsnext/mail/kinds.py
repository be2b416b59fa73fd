"""Every kind of mail: its templates, what they may say, its calendar part, and until when it is still true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from whatsnext.calendars import invitation
from whatsnext.mail import contexts
from whatsnext.models import EventState, Kind, Message, Status
from whatsnext.services import answers

Calendar = Callable[[invitation.Invitation, datetime], bytes]
METHODS: dict[Calendar, str] = {
    invitation.request: "REQUEST",
    invitation.cancel: "CANCEL",
    invitation.decline_counter: "DECLINECOUNTER",
}


def as_owed(message: Message) -> datetime:
    """The best-before that the outbox gave it."""
    return message.best_before


def end_of_talk(message: Message) -> datetime:
    """No mail about a talk, or about a part of it, goes out once that is over."""
    ends = message.part.ends_at if message.part else contexts.registration_of(message).event.ends_at
    return min(message.best_before, ends) if ends else message.best_before


def end_of_hold(message: Message) -> datetime:
    """As long as the place waits for the confirmation."""
    ends = contexts.registration_of(message).hold_ends_at
    return min(message.best_before, ends) if ends else message.best_before


def end_of_offer(message: Message) -> datetime:
    """As long as the place waits for the answer."""
    ends = contexts.registration_of(message).offer_ends_at
    return min(message.best_before, ends) if ends else message.best_before


def start_of_talk(message: Message) -> datetime:
    """Of no use once the talk, or the part it is about, has begun."""
    starts = (message.part or contexts.event_of(message)).starts_at
    return min(message.best_before, starts) if starts else message.best_before


def always(_message: Message) -> bool:
    """News that stay news."""
    return True


def has_status(*those: Status) -> Callable[[Message], bool]:
    """The registration still stands so."""
    return lambda message: contexts.registration_of(message).status in those


def is_unproved(message: Message) -> bool:
    """The address still has to be proved."""
    registration = contexts.registration_of(message)
    return registration.status in (Status.HELD, Status.WAITING) and registration.proved_at is None


def is_newest(message: Message) -> bool:
    """Nothing with a higher SEQUENCE is owed for this entry of the attendee's calendar (RFC 5546 §2.1.4)."""
    if message.sequence is None:
        return True
    last = answers.newest_sequence(contexts.registration_of(message), message.part)
    return last is None or message.sequence >= last


def is_invited(message: Message) -> bool:
    """The person has the place, and nothing newer is owed."""
    return has_status(Status.CONFIRMED)(message) and is_newest(message)


def is_told(message: Message) -> bool:
    """The person hears of changes, and nothing newer is owed."""
    return has_status(Status.CONFIRMED, Status.OFFERED, Status.WAITING)(message) and is_newest(message)


def is_given_up(message: Message) -> bool:
    """The person has no place again: someone signing up anew still has the old entry in the calendar."""
    return not has_status(Status.CONFIRMED)(message) and is_newest(message)


def is_called_off(message: Message) -> bool:
    """The talk is still off."""
    return contexts.registration_of(message).event.state is EventState.CANCELLED


def is_off(message: Message) -> bool:
    """The part is off: for a calendar that held it, and for whoever still hears of the talk."""
    off = message.part is not None and message.part.cancelled_at is not None
    return off and (message.sequence is not None or is_told(message))


def is_coming_up(message: Message) -> bool:
    """The person has the place, and what the reminder was owed for still is on that day."""
    event, part = contexts.registration_of(message).event, message.part
    local = part.starts_local if part else event.starts_local
    day = local.date().isoformat() if local else ""
    takes_place = is_on(message) and (part is None or part.cancelled_at is None)
    return has_status(Status.CONFIRMED)(message) and takes_place and message.facts.get("day", day) == day


def is_on(message: Message) -> bool:
    """The talk is published and not called off."""
    return contexts.event_of(message).state is EventState.PUBLISHED


def is_followed(message: Message) -> bool:
    """The person has not ended it, and the talk is on."""
    follow = contexts.follow_of(message)
    return follow.proved_at is not None and follow.ended_at is None and is_on(message)


def is_asked_for(message: Message) -> bool:
    """A newer answer than the request ends it: whoever wants no more of this is not asked again."""
    return contexts.follow_of(message).ended_at is None


@dataclass(frozen=True, kw_only=True)
class MailKind:
    """One kind of mail. `wanted`: the person asked for it, so a blocked address gets it too (safety.md O7).

    `bulk`: many get it, about no registration of their own, so it ends by one click (safety.md O8).
    """

    folder: str
    context: Callable[[Message, datetime], contexts.Context]
    still_true: Callable[[Message], bool] = always
    best_before: Callable[[Message], datetime] = as_owed
    calendar: Calendar | None = None
    wanted: bool = False
    bulk: bool = False


KINDS: dict[Kind, MailKind] = {
    Kind.CONFIRMATION_REQUEST: MailKind(
        folder="confirmation_request",
        context=contexts.confirmation_request,
        best_before=end_of_hold,
        still_true=is_unproved,
    ),
    Kind.ALREADY_REGISTERED: MailKind(
        folder="already_registered",
        context=contexts.registration,
        best_before=end_of_talk,
        still_true=has_status(Status.CONFIRMED, Status.OFFERED, Status.WAITING),
    ),
    Kind.WAITING: MailKind(
        folder="waiting",
        context=contexts.waiting,
        best_before=end_of_talk,
        still_true=has_status(Status.WAITING),
    ),
    Kind.INVITATION: MailKind(
        folder="invitation",
        context=contexts.invited,
        calendar=invitation.request,
        best_before=end_of_talk,
        still_true=is_invited,
    ),
    Kind.PROMOTION: MailKind(
        folder="promotion",
        context=contexts.invited,
        calendar=invitation.request,
        best_before=end_of_talk,
        still_true=is_invited,
    ),
    Kind.OFFER: MailKind(
        folder="offer",
        context=contexts.offer,
        best_before=end_of_offer,
        still_true=has_status(Status.OFFERED),
    ),
    Kind.UPDATE: MailKind(
        folder="update",
        context=contexts.update,
        calendar=invitation.request,
        best_before=end_of_talk,
        still_true=is_told,
    ),
    Kind.CANCELLATION: MailKind(
        folder="cancellation",
        context=contexts.cancellation,
        calendar=invitation.cancel,
        best_before=end_of_talk,
        still_true=is_given_up,
    ),
    Kind.EVENT_CANCELLATION: MailKind(
        folder="event_cancellation",
        context=contexts.event_cancellation,
        calendar=invitation.cancel,
        best_before=end_of_talk,
        still_true=is_called_off,
    ),
    Kind.ORGANISER_MESSAGE: MailKind(folder="organiser_message", context=contexts.organiser_message),
    Kind.SIGN_IN: MailKind(folder="sign_in", context=contexts.sign_in, wanted=True),
    Kind.NEW_LINK: MailKind(folder="new_link", context=contexts.registration, wanted=True),
    Kind.BARRIER_REPORT: MailKind(folder="barrier_report", context=contexts.barrier_report, wanted=True),
    Kind.SECURITY_NOTICE: MailKind(folder="security_notice", context=contexts.security_notice, wanted=True),
    Kind.FORWARD: MailKind(folder="forward", context=contexts.forward, wanted=True),
    Kind.COUNTER_DECLINED: MailKind(
        folder="counter_declined",
        context=contexts.registration,
        calendar=invitation.decline_counter,
        best_before=end_of_talk,
        still_true=is_told,
    ),
    Kind.PART_CANCELLATION: MailKind(
        folder="part_cancellation",
        context=contexts.part_cancellation,
        calendar=invitation.cancel,
        best_before=end_of_talk,
        still_true=is_off,
    ),
    Kind.REMINDER: MailKind(
        folder="reminder",
        context=contexts.reminder,
        best_before=start_of_talk,
        still_true=is_coming_up,
    ),
    Kind.FOLLOW_REQUEST: MailKind(folder="follow_request", context=contexts.follow_request, still_true=is_asked_for),
    Kind.NEWS: MailKind(
        folder="news", context=contexts.news, best_before=start_of_talk, still_true=is_followed, bulk=True
    ),
    Kind.SIGN_UP_OPENS: MailKind(
        folder="sign_up_opens", context=contexts.news, best_before=start_of_talk, still_true=is_followed, bulk=True
    ),
    Kind.FOLLOWER_MESSAGE: MailKind(
        folder="follower_message", context=contexts.follower_message, still_true=is_followed, bulk=True
    ),
}


def is_wanted(message: Message) -> bool:
    """Whether its person wants it: someone who wants no more mails gets what they asked for since, nothing else.

    The same for an address that has sent mails back for good: it works again once it is proved anew.
    """
    person = message.person
    if person is None or KINDS[message.kind].wanted:
        return True
    ends = max((at for at in (person.blocked_at, person.bounced_at) if at), default=None)
    wish = contexts.follow_of(message) if KINDS[message.kind].bulk else message.registration
    proved_at = wish.proved_at if wish else None
    return ends is None or (proved_at is not None and proved_at >= ends)
