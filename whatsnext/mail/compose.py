"""From a row of the outbox to a mail, in the recipient's language and from the state of now."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from markupsafe import escape

from config import Settings
from whatsnext import markdown
from whatsnext.calendars.invitation import Invitation
from whatsnext.i18n import gettext as _
from whatsnext.i18n import language, speaking
from whatsnext.mail import contexts, together
from whatsnext.mail.kinds import KINDS, METHODS, MailKind
from whatsnext.mail.mime import Letter
from whatsnext.models import Event, EventState, Kind, Message, Mode, Registration, Status
from whatsnext.services import answers, parts
from whatsnext.services.differences import Change

PRODUCT = "What's NEXt"
UNLESS_GIVEN: dict[str, Any] = {
    **dict.fromkeys(("when", "where", "series", "title", "join_link", "dial_in"), ""),
    **dict.fromkeys(("parts", "contact", "changes"), ()),
    **dict.fromkeys(("moved", "hidden", "note"), ""),
}
"""What the layout of every mail names. A name that a mail does not give would be the one that pages know by it."""
OWN_LINKS = (
    "manage_link",
    "cancel_link",
    "undo_link",
    "offer_link",
    "confirm_link",
    "block_link",
    "follow_link",
    "sign_in_link",
)
"""What leads to one person's own pages: all else of a mail is often the same for many."""
_MARK = secrets.token_hex(16)
"""Stands for a link until it is put in; nobody can have typed it."""
LONGEST_SUBJECT = 60
SHORTEST_TITLE = 12
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def compose(message: Message, now: datetime) -> Letter:
    """The mail for this row. Whoever sends it locks the registration before, and keeps the letter's `stamp` there.

    Raises ValueError where the row lacks what its kind is about.
    """
    kind = KINDS[message.kind]
    with speaking(message.language):
        context = {**UNLESS_GIVEN, "language": language(), **kind.context(message, now)}
        words = _Words(kind, context)
        subject = _subject(words)
        words.context["subject"] = subject
        stamp = _next_stamp(message.registration, now) if message.registration else None
        calendar = _calendar(kind, message, stamp) if stamp else None
        return Letter(
            to=message.recipient,
            sender=sender(message.registration),
            sender_name=_line(context["series"] or _sender_name(message)),
            reply_to=_human(message),
            subject=subject,
            text=words.render("body.txt", _text),
            html=words.render("body.html", _without_controls),
            message_id=f"<{message.message_id.strip('<>')}>",
            date=now.astimezone(UTC),
            calendar=calendar,
            stamp=stamp if calendar else None,
            unsubscribe=context.get("follow_link", "") if kind.bulk else "",
        )


def reply_address(registration: Registration, mailbox: str) -> str:
    """The address that calendar answers of this registration come to: `local+token@domain`."""
    local, _at, domain = mailbox.rpartition("@")
    return f"{local}+{registration.reply_token}@{domain}"


def invitation_of(message: Message) -> Invitation:
    """What this attendee's calendar shows from now on. Raises ValueError for a talk without a time."""
    own, part = contexts.registration_of(message), message.part
    event, link = own.event, contexts.mailed_link(message)
    shape = together.once(("shape", event.id, part.id if part else None), lambda: parts.shape(event, part))
    if shape is None:
        raise contexts.Incomplete(f"event {event.id} has no time")
    human, machine = _human(message), sender(own)
    return Invitation(
        uid=shape.uid,
        sequence=message.sequence or 0,
        start=shape.start,
        end=shape.end,
        repeat=shape.repeat,
        recurrence=shape.recurrence,
        summary=event.title if parts.regular(event) else parts.title(event, part),
        description=_description(message, own, link),
        location=_location(own, link),
        url=contexts.event_link(event),
        categories=(event.theme.name,) if event.theme else (),
        join_link=link or None,
        organiser_name=event.series.name,
        organiser_address=human or machine,
        sent_by=machine if human not in ("", machine) else "",
        answer=_settings().reads_answers,
        attendee_name=own.name,
        attendee_address=message.recipient,
        partstat=answers.partstat(own, part).value,
        protected=event.protected,
        created=event.created_at,
        modified=event.changed_at,
    )


def _calendar(kind: MailKind, message: Message, stamp: datetime) -> tuple[str, bytes] | None:
    """Method and bytes; None for whoever was never sent an invitation: people in line hear in words only."""
    if kind.calendar is None or message.sequence is None:
        return None
    return METHODS[kind.calendar], kind.calendar(invitation_of(message), stamp)


def _next_stamp(registration: Registration, now: datetime) -> datetime:
    """A DTSTAMP later than every one this attendee has had (RFC 5546 §2.1.5), to the second as it is written."""
    stamp = now.astimezone(UTC).replace(microsecond=0)
    if registration.stamp is not None and stamp <= registration.stamp:
        stamp = registration.stamp.replace(microsecond=0) + timedelta(seconds=1)
    return stamp


def _description(message: Message, registration: Registration, link: str) -> str:
    event: Event = registration.event
    manage = contexts.manage_link(registration)
    texts = [
        *_changed(message),
        *together.once(("texts", event.id), lambda: _texts(event)),
        _("Join online: %(link)s", link=link) if link else "",
        _("Dial-in by phone: %(number)s", number=event.dial_in) if link and event.dial_in else "",
        _("My registration, giving up my place: %(link)s", link=manage)
        if _takes_part(registration)
        else _("My registration: %(link)s", link=manage),
    ]
    return "\n\n".join(text for text in texts if text)


def _texts(event: Event) -> tuple[str, str]:
    return markdown.to_text(event.summary), markdown.to_text(event.agenda)


def _changed(message: Message) -> list[str]:
    """Old and new in the words of the mail, so that the entry tells what has changed; long texts stand there anyway."""
    if message.kind is not Kind.UPDATE:
        return []
    rows: list[Change] = contexts.update(message, message.created_at)["changes"]
    return [
        _("%(label)s: %(new)s (previously: %(old)s)", label=row.label, new=row.new, old=row.old)
        for row in rows
        if row.label != _("Summary and agenda")
    ]


def _location(registration: Registration, link: str) -> str:
    """The address; the join link for who takes part online; of a protected talk the page that has it.

    Who takes part no more has nothing to open: a program that keeps the entry shows the word.
    """
    if registration.mode is Mode.ON_SITE:
        return registration.event.address
    return link or (contexts.manage_link(registration) if _takes_part(registration) else _("online"))


def _takes_part(registration: Registration) -> bool:
    return registration.status is Status.CONFIRMED and registration.event.state is EventState.PUBLISHED


def sender(registration: Registration | None) -> str:
    """The address in From, Reply-To, ORGANIZER and the envelope alike; where nobody reads answers that of all mails."""
    settings = _settings()
    return reply_address(registration, settings.sender) if registration and settings.reads_answers else settings.sender


def _human(message: Message) -> str:
    """Who is written to where nobody reads answers: the contact of the series. Empty where answers are read."""
    if _settings().reads_answers or message.event is None:
        return ""
    return message.event.series.contact_email


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def _sender_name(message: Message) -> str:
    return message.event.series.name if message.event else PRODUCT


class _Words:
    """The texts of one mail. Of many that say the same each is written once, the person's own links put in last.

    Templates show those links and do nothing else with them.
    """

    def __init__(self, kind: MailKind, context: dict[str, Any]) -> None:
        self.kind = kind
        self.own = {name: context[name] for name in OWN_LINKS if context.get(name)}
        self.marks = {name: f"{_MARK}.{name}." for name in self.own}
        self.context = {**context, **self.marks}
        self.key = (kind.folder, repr(self.context))

    def render(self, template: str, tidy: Callable[[str], str], **more: str) -> str:
        """One template, tidied up. `more` follows from the rest.

        Past Flask's own render_template: what pages put into every template belongs to a request.
        """

        def make() -> str:
            page = current_app.jinja_env.get_template(f"mail/{self.kind.folder}/{template}")
            return tidy(page.render({**self.context, **more}))

        words = together.once((*self.key, template, *more.values()), make)
        for name, link in self.own.items():
            words = words.replace(self.marks[name], escape(link) if template.endswith(".html") else link)
        return words


def _subject(words: _Words) -> str:
    """At most 60 characters; the title gives way, the news and the number of a part do not."""
    whole = words.render("subject.txt", _line)
    part = words.context.get("part_name", "")
    title, over = str(words.context["title"]).removesuffix(part), len(whole) - LONGEST_SUBJECT
    if over <= 0 or not title:
        return whole
    kept = max(SHORTEST_TITLE, len(title) - over - 1)
    cut = title if kept >= len(title) else f"{title[:kept].rstrip()}…"
    return words.render("subject.txt", _line, title=cut + part)


def _line(value: str) -> str:
    return " ".join(_without_controls(value).split())


def _without_controls(value: str) -> str:
    return _CONTROLS.sub("", value)


def _text(value: str) -> str:
    """Empty parts of the layout leave no hole."""
    lines = (line.rstrip() for line in _without_controls(value).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
