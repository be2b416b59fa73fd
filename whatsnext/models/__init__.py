"""The tables. Importing this package makes them all known to the metadata."""

from whatsnext.models.agency import Agency
from whatsnext.models.event import Event, EventPart, EventSpeaker, EventState, Mode
from whatsnext.models.feed import PersonFeed
from whatsnext.models.follow import Follow
from whatsnext.models.housekeeping import Erasure, JobRun, RateLimit
from whatsnext.models.incoming import Incoming, IncomingState, Mailbox, Reason
from whatsnext.models.message import MAY_BE_UNASKED, OPEN, SOON, UNSETTLED, Kind, Mailing, Message, MessageState
from whatsnext.models.page import Page
from whatsnext.models.person import Person
from whatsnext.models.registration import CancelledBy, PartAnswer, PartStat, Registration, Status
from whatsnext.models.reminder import Reminder
from whatsnext.models.series import Series
from whatsnext.models.signin import SignedIn, SignInLink
from whatsnext.models.speaker import Speaker
from whatsnext.models.theme import Theme

__all__ = [
    "MAY_BE_UNASKED",
    "OPEN",
    "SOON",
    "UNSETTLED",
    "Agency",
    "CancelledBy",
    "Erasure",
    "Event",
    "EventPart",
    "EventSpeaker",
    "EventState",
    "Follow",
    "Incoming",
    "IncomingState",
    "JobRun",
    "Kind",
    "Mailbox",
    "Mailing",
    "Message",
    "MessageState",
    "Mode",
    "Page",
    "PartAnswer",
    "PartStat",
    "Person",
    "PersonFeed",
    "RateLimit",
    "Reason",
    "Registration",
    "Reminder",
    "Series",
    "SignInLink",
    "SignedIn",
    "Speaker",
    "Status",
    "Theme",
]
