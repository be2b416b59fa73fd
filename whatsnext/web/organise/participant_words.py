"""What the pages about participants say: states, mails and acts in words of the language spoken now."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from whatsnext import i18n
from whatsnext.i18n import gettext as _
from whatsnext.i18n import ngettext
from whatsnext.mail import deliver
from whatsnext.models import Event, Kind, Message, MessageState, Registration, Status
from whatsnext.services import replies
from whatsnext.services.participants import Invited, Row, Show
from whatsnext.services.recipients import Act

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


def chip(show: Show, number: int) -> str:
    """ "Bestätigt (30)"."""
    names = {
        Show.ALL: _("All (%(n)s)", n=number),
        Show.CONFIRMED: _("Confirmed (%(n)s)", n=number),
        Show.WAITING: _("Waiting list (%(n)s)", n=number),
        Show.OFFERED: _("Offered a place (%(n)s)", n=number),
        Show.HELD: _("Not confirmed yet (%(n)s)", n=number),
        Show.CANCELLED: _("No longer signed up (%(n)s)", n=number),
        Show.EXPIRED: _("Never confirmed (%(n)s)", n=number),
        Show.UNDELIVERED: _("Mail not delivered (%(n)s)", n=number),
        Show.NEEDS: _("With accessibility needs (%(n)s)", n=number),
    }
    return names[show]


def invited(row: Row, event: Event) -> str:
    """How far the invitation has come, and what the calendar answered."""
    state = row.invited
    if state is Invited.SENT:
        sent = row.mail.settled_at if row.mail else None
        return _("Sent on %(day)s", day=i18n.short_date(sent.astimezone(ZoneInfo(event.zone)))) if sent else _("Sent")
    names = {
        Invited.NONE: "–",
        Invited.ON_ITS_WAY: _("On its way"),
        Invited.LATER: _("Tried again later"),
        Invited.STOPPED: _("Held back"),
        Invited.UNDELIVERED: _("Not delivered"),
        Invited.OUTDATED: _("Outdated state"),
        Invited.ACCEPTED: _("Accepted"),
        Invited.TENTATIVE: _("Tentatively accepted"),
        Invited.DECLINED: _("Declined in the calendar"),
        Invited.DELEGATED: _("Passed on in the calendar"),
        Invited.WITHDRAWN: _("Cancellation sent"),
    }
    return names[state]


def arrived(registration: Registration, event: Event) -> str:
    """ "Do. 12.11., 9:14 Uhr (Berlin)"."""
    return f"{i18n.brief(registration.created_at, event.zone)} ({i18n.zone_name(event.zone)})"


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
        Kind.COUNTER_DECLINED: _("Answer to a proposed time"),
    }
    return names.get(kind, kind.value)


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
        deliver.NO_SUCH_ADDRESS: _("Call the person and ask for the right address."),
        replies.SENT_BACK: _("Call the person and ask for the right address."),
        deliver.MAILBOX_FULL: _("Try again in some days, or call the person."),
        deliver.REFUSED: _("Call the person; their mail server lets nothing through."),
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
