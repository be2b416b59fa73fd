"""What the pages about participants say: states, mails and acts in words of the language spoken now."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from whatsnext import i18n, text
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.mail import deliver, wire
from whatsnext.models import Event, EventState, Kind, Message, MessageState, Registration, Status
from whatsnext.services import participants, replies
from whatsnext.services.participants import Invited, Row, Search, Show
from whatsnext.services.recipients import Act

_CHIPS_OFF = {
    Show.CONFIRMED: Status.CONFIRMED,
    Show.WAITING: Status.WAITING,
    Show.OFFERED: Status.OFFERED,
    Show.HELD: Status.HELD,
}
BADGES = {
    Status.HELD: "info",
    Status.WAITING: "warning",
    Status.OFFERED: "warning",
    Status.CONFIRMED: "success",
    Status.CANCELLED: "danger",
    Status.EXPIRED: "info",
}


@dataclass(frozen=True)
class ActWords:
    """What a preview of an act says."""

    heading: str
    who: str
    explanation: str
    button: str


def chip(words: str, number: int) -> str:
    """ "Bestätigt (30)"."""
    return _("%(what)s (%(n)s)", what=words, n=number)


def shown(show: Show, *, off: bool = False) -> str:
    """ "Bestätigt"; `off`: of a talk that was called off."""
    if off and show in _CHIPS_OFF:
        return str(participants.WERE_IN[_CHIPS_OFF[show]])
    names = {
        Show.ALL: _("All"),
        Show.CONFIRMED: _("Confirmed"),
        Show.WAITING: _("Waiting list"),
        Show.OFFERED: _("Offered a place"),
        Show.HELD: _("Not confirmed yet"),
        Show.CANCELLED: _("No longer signed up"),
        Show.EXPIRED: _("Never confirmed"),
        Show.UNDELIVERED: _("Mail not delivered"),
        Show.NEEDS: _("With accessibility needs"),
    }
    return names[show]


def badge(row: Row) -> str:
    """The look of a state; of a talk that was called off none is good or bad any more."""
    off = row.registration.event.state is EventState.CANCELLED
    return "info" if off else BADGES[row.registration.status]


def invited(row: Row, event: Event) -> str:
    """How far the invitation has come, and what the calendar answered."""
    if row.invited is Invited.NONE:
        return _("Cancelled") if event.state is EventState.CANCELLED else "–"
    sent = row.mail.settled_at if row.mail and row.invited is Invited.SENT else None
    if sent:
        return _("Sent on %(day)s", day=i18n.short_date(sent.astimezone(ZoneInfo(event.zone))))
    return invited_state(row.invited)


def invited_state(state: Invited) -> str:
    """The same without the day."""
    names = {
        Invited.NONE: _("Never invited"),
        Invited.ON_ITS_WAY: _("On its way"),
        Invited.LATER: _("Tried again later"),
        Invited.STOPPED: _("Held back"),
        Invited.UNDELIVERED: _("Not delivered"),
        Invited.OUTDATED: _("Outdated state"),
        Invited.SENT: _("Sent, no answer"),
        Invited.ACCEPTED: _("Accepted"),
        Invited.TENTATIVE: _("Tentatively accepted"),
        Invited.DECLINED: _("Declined in the calendar"),
        Invited.DELEGATED: _("Passed on in the calendar"),
        Invited.WITHDRAWN: _("Cancellation sent"),
    }
    return names[state]


def edition(row: Row) -> str:
    """Which SEQUENCE the newest calendar mail carries; where a newer one is owed, instead of which."""
    if row.mail is None or row.mail.sequence is None:
        return ""
    number, newest = row.mail.sequence, row.registration.sequence or 0
    if number < newest:
        return _("version %(number)s instead of %(newest)s", number=number, newest=newest)
    return _("version %(number)s", number=number)


def may_invite_again(row: Row) -> bool:
    """Whether a row offers to send it again: not while it is on its way anyway, nor to where nothing is sent."""
    on_its_way = row.invited in (Invited.ON_ITS_WAY, Invited.LATER, Invited.STOPPED)
    lost = participants.sent_back_at(row.registration) is not None
    return row.registration.status is Status.CONFIRMED and not on_its_way and not lost


def filters(search: Search) -> str:
    """What a list or a file is limited to, in words: "Bestätigt, Angenommen, „köln“"; "" for nothing."""
    show = "" if search.show is Show.ALL else shown(search.show)
    invited = invited_state(search.invited) if search.invited else ""
    words = _("“%(words)s”", words=search.words) if search.words else ""
    return ", ".join(part for part in (show, invited, words) if part)


def arrived(registration: Registration, event: Event) -> str:
    """ "Do. 12.11., 9:14 Uhr (Berlin)"."""
    return f"{i18n.brief(registration.created_at, event.zone)} ({i18n.zone_name(event.zone)})"


def whom(message: Message) -> str:
    """Who a mail is for: a participant by name; who follows a theme is counted, not named."""
    if message.registration is not None:
        return message.registration.name or message.recipient
    return text.masked(message.recipient) if message.follow_id else message.recipient


def mail_kind(kind: Kind) -> str:
    """What a mail is called."""
    names = {
        Kind.CONFIRMATION_REQUEST: _("Request to confirm"),
        Kind.ALREADY_REGISTERED: _("Note: signed up already"),
        Kind.WAITING: _("Place in line"),
        Kind.INVITATION: _("Invitation"),
        Kind.PROMOTION: _("Invitation after waiting"),
        Kind.OFFER: _("Offer of a place"),
        Kind.UPDATE: _("Change of the talk"),
        Kind.CANCELLATION: _("End of the registration"),
        Kind.EVENT_CANCELLATION: _("Talk cancelled"),
        Kind.ORGANISER_MESSAGE: _("Message of the organisers"),
        Kind.FOLLOWER_MESSAGE: _("Message to those who follow the theme"),
        Kind.NEW_LINK: _("New link"),
        Kind.PART_CANCELLATION: _("Part cancelled"),
        Kind.COUNTER_DECLINED: _("Answer to a proposed time"),
        Kind.SIGN_IN: _("Sign-in link"),
        Kind.BARRIER_REPORT: _("Report of a barrier"),
        Kind.SECURITY_NOTICE: _("Notice about the account"),
        Kind.FORWARD: _("Forwarded mail"),
        Kind.REMINDER: _("Reminder"),
        Kind.FOLLOW_REQUEST: _("Request to confirm following"),
        Kind.NEWS: _("News of a talk"),
        Kind.SIGN_UP_OPENS: _("Sign-up opens"),
    }
    return names[kind]


def mail_name(message: Message) -> str:
    """The same with the part it is about: "Einladung, Teil 2"."""
    kind = mail_kind(message.kind)
    return _("%(mail)s, part %(number)s", mail=kind, number=message.part.position) if message.part else kind


def mail_state(message: Message) -> str:
    """What became of a mail."""
    names = {
        MessageState.OWED: _("waits to be sent"),
        MessageState.SENDING: _("is being sent"),
        MessageState.DEFERRED: _("is tried again later"),
        MessageState.SENT: _("sent"),
        MessageState.FAILED: _("not delivered"),
        MessageState.SUPERSEDED: _("replaced or stopped before it was sent"),
        MessageState.LAPSED: _("came too late and was not sent"),
        MessageState.HELD: _("held back"),
    }
    return names[message.state]


def reason(message: Message) -> str:
    """Why a mail did not arrive, and what to do."""
    if not message.error:
        return ""
    why = _(message.error)
    advice = {
        wire.NO_SUCH_ADDRESS: _("Call the person and ask for the right address."),
        replies.SENT_BACK: _("Call the person and ask for the right address."),
        wire.MAILBOX_FULL: _("Try again in some days, or call the person."),
        wire.REFUSED: _("Call the person; their mail server lets nothing through."),
        deliver.UNWANTED: _("Nothing to do."),
    }
    return f"{why} {advice[message.error]}" if message.error in advice else why


def act(kind: Act, n: int) -> ActWords:
    """The preview of an act for `n` people; the number stands in the button."""
    who = ngettext("%(num)s person", "%(num)s people", n)
    words = {
        Act.MESSAGE: ActWords(
            _("Message to participants"),
            who,
            _("Each person gets a mail of their own. Nobody sees who else gets it."),
            ngettext("Send to %(n)s person", "Send to %(n)s people", n, n=n),
        ),
        Act.INVITE: ActWords(
            _("Send the invitation again"),
            who,
            _("Each person gets the newest invitation once more. Answers given in the calendar stay."),
            ngettext("Send the invitation to %(n)s person", "Send the invitation to %(n)s people", n, n=n),
        ),
        Act.PROMOTE: ActWords(
            _("Let them move up"),
            who,
            _("Each person gets a place and the invitation, even out of turn. Each needs a free place."),
            ngettext("Let %(n)s person move up", "Let %(n)s people move up", n, n=n),
        ),
        Act.REMOVE: ActWords(
            _("Remove from the talk"),
            who,
            _("Each person loses the place or the place in line and is told by mail. Free places go to those in line."),
            ngettext("Remove and tell %(n)s person", "Remove and tell %(n)s people", n, n=n),
        ),
    }
    return words[kind]


def done(kind: Act, n: int) -> str:
    """What has just been done."""
    words = {
        Act.MESSAGE: ngettext("The message goes to %(n)s person.", "The message goes to %(n)s people.", n, n=n),
        Act.INVITE: ngettext("The invitation goes to %(n)s person.", "The invitation goes to %(n)s people.", n, n=n),
        Act.PROMOTE: ngettext("%(n)s person has a place now.", "%(n)s people have a place now.", n, n=n),
        Act.REMOVE: ngettext("%(n)s person was removed.", "%(n)s people were removed.", n, n=n),
    }
    return words[kind]
