"""What the templates of a mail may say: plain texts and addresses, in the language spoken now.

What people typed goes in as it was typed; the templates show it as text, never as link or markup (safety.md P9).
Join links go to people with a place only, and of protected talks to nobody: their page has it.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app

from whatsnext import i18n, markdown
from whatsnext.i18n import gettext as _
from whatsnext.links import external
from whatsnext.mail import together
from whatsnext.models import (
    CancelledBy,
    Event,
    EventPart,
    EventState,
    Follow,
    Kind,
    Message,
    Mode,
    PartStat,
    Registration,
    Series,
    Status,
    Theme,
)
from whatsnext.services import blocking, differences, follows, parts, registrations, waiting_list

Context = dict[str, Any]


class Incomplete(ValueError):
    """A message without what its kind is about."""


def registration_of(message: Message) -> Registration:
    """Raises Incomplete for a message about no registration."""
    if message.registration is None:
        raise Incomplete(f"message {message.id} ({message.kind}) is about no registration")
    return message.registration


def event_of(message: Message) -> Event:
    """Raises Incomplete for a message about no talk."""
    event = message.registration.event if message.registration else message.event
    if event is None:
        raise Incomplete(f"message {message.id} ({message.kind}) is about no talk")
    return event


def follow_of(message: Message) -> Follow:
    """Raises Incomplete for a message that nobody asked for by following."""
    follow = follows.of(message)
    if follow is None:
        raise Incomplete(f"message {message.id} ({message.kind}) belongs to nothing that is followed")
    return follow


def join_link(registration: Registration) -> str:
    """Empty unless this person takes part online and may be mailed the link."""
    event = registration.event
    confirmed = registration.status is Status.CONFIRMED and event.state is EventState.PUBLISHED
    online = registration.mode is Mode.ONLINE and event.online
    return event.join_link if confirmed and online and not event.protected else ""


def mailed_link(message: Message) -> str:
    """The same for one mail: none stands in one that takes something away."""
    return "" if message.kind is Kind.PART_CANCELLATION else join_link(registration_of(message))


def where(registration: Registration) -> str:
    """Where this person takes part."""
    if registration.mode is Mode.ON_SITE:
        return registration.event.address or _("on site")
    return _("online")


def manage_link(registration: Registration) -> str:
    """The person's own page."""
    return _own_page("attendee.registration", registration)


def _own_page(endpoint: str, registration: Registration) -> str:
    """Of many people only the token differs, which is made of what an address may hold."""
    page = together.once((endpoint, i18n.language()), lambda: external(endpoint, key=_KEY))
    return page.replace(_KEY, _key(registration))


_KEY = secrets.token_hex(16)  # stands for a token until it is put in


def _key(registration: Registration) -> str:
    return together.once(("key", registration.id), lambda: registrations.manage_token(registration))


def talk(event: Event, part: EventPart | None = None) -> Context:
    """What any mail about a talk says; `part` is the one of several that it is about."""
    about = ("talk", event.id, part.id if part else None, i18n.language())
    return together.once(about, lambda: _talk(event, part))


def _talk(event: Event, part: EventPart | None) -> Context:
    series = event.series
    starts_at = part.starts_at if part else event.starts_at
    return {
        "title": parts.title(event, part),
        "part_name": f" ({parts.name(event, part)})" if part else "",
        "series": series.name,
        "when": parts.when(event, part) if part else parts.whole(event),
        "parts": parts.lines(event),
        "brief": i18n.brief(starts_at, event.zone) if starts_at else "",
        "event_link": event_link(event),
        "contact": _contact(series),
    }


def event_link(event: Event) -> str:
    """The page of the talk."""
    about = ("event page", event.id, i18n.language())
    return together.once(about, lambda: external("public.event", slug=event.slug))


def _contact(series: Series) -> list[str]:
    """Whom to ask."""
    return [part for part in (series.contact_name, series.contact_email, series.contact_phone) if part]


def registration(message: Message, _now: datetime) -> Context:
    """A mail about one's own registration."""
    own = registration_of(message)
    link = mailed_link(message)
    return {
        **talk(own.event, message.part),
        "where": where(own),
        "join_link": link,
        "dial_in": own.event.dial_in if link else "",
        "manage_link": manage_link(own),
        "cancel_link": _own_page("attendee.cancel", own),
        "status": own.status.value,
        "place": waiting_list.place_in_line(own),
        "one_part": message.part is not None,
        "answers_read": current_app.config["SETTINGS"].reads_answers,
    }


def confirmation_request(message: Message, now: datetime) -> Context:
    """To an address not proved yet: nothing that someone typed in its name (safety.md O5)."""
    own = registration_of(message)
    if own.hold_ends_at is None:
        raise Incomplete(f"registration {own.id} has no end of its hold")
    return {
        **talk(own.event),
        "where": where(own),
        "until": i18n.moment(own.hold_ends_at, own.event.zone),
        "waiting": own.status is Status.WAITING,
        "confirm_link": external("public.confirm", token=registrations.confirm_token(own)),
        "block_link": external("public.block", token=blocking.token(own.person, now)),
    }


def waiting(message: Message, _now: datetime) -> Context:
    """Someone in line: when they move up by themselves, and until when."""
    return {**registration(message, _now), "hours": registration_of(message).event.series.promotion_stops_hours}


def offer(message: Message, _now: datetime) -> Context:
    """A place that is kept for an answer."""
    own = registration_of(message)
    if own.offer_ends_at is None:
        raise Incomplete(f"registration {own.id} has no offer")
    return {
        **registration(message, _now),
        "until": i18n.moment(own.offer_ends_at, own.event.zone),
        "offer_link": external("public.offer", token=registrations.offer_token(own)),
    }


def invited(message: Message, now: datetime) -> Context:
    """A place; and what has changed, where this mail takes the place of the one that would have said so."""
    return {**registration(message, now), **(_news(message) if differences.tells(message.facts) else {})}


def update(message: Message, now: datetime) -> Context:
    """What has changed, and whether a calendar holds it."""
    switch = _mode_change(message, registration_of(message))
    return {**registration(message, now), **_news(message, *switch), "invited": message.sequence is not None}


def _news(message: Message, *switch: differences.Change) -> Context:
    """Old and new side by side, as far as this person may read both; only the new once the old is forgotten."""
    own = registration_of(message)
    after = differences.facts(own.event)
    before = differences.before(message.facts, after)
    part = message.part.position if message.part else None
    rows = [*switch, *differences.changes(before, after, part)]
    shown = [row for row in rows if row.public or join_link(own)]
    old_when = differences.part_in_words(before, part) if part else differences.when_in_words(before)
    moved = _moved(before, after, part)
    return {
        "changes": shown,
        "hidden": len(shown) < len(rows) and own.status is Status.CONFIRMED and own.mode is Mode.ONLINE,
        "moved": moved,
        "switched": own.mode.value if switch and len(rows) == 1 else "",
        "old_when": old_when,
        "note": message.facts.get("text", ""),
        "clocks": i18n.zone_name(own.event.zone) if message.facts.get("clocks") and not moved else "",
    }


def _moved(before: differences.Facts, after: differences.Facts, part: int | None) -> bool:
    """Whether the one time that this mail is about is another now."""
    if before["zone"] != after["zone"]:
        return True
    if part:
        key = f"part {part}"
        return key in before and before[key] != after[key]
    several = any(key.startswith("part ") for key in (*before, *after))
    return not several and any(before[key] != after[key] for key in ("starts", "ends"))


def _mode_change(message: Message, own: Registration) -> list[differences.Change]:
    """The row for someone who now takes part the other way."""
    before = message.facts.get("mode_before", own.mode.value)
    words = {Mode.ON_SITE.value: _("on site"), Mode.ONLINE.value: _("online")}
    if before == own.mode.value:
        return []
    return [differences.Change(_("Taking part"), words[before], words[own.mode.value])]


def cancellation(message: Message, _now: datetime) -> Context:
    """A place given up or taken back."""
    own = registration_of(message)
    by_organiser = message.facts.get("by") == CancelledBy.ORGANISER
    return {
        **registration(message, _now),
        "by_organiser": by_organiser,
        "had_place": message.facts.get("had_place", True),
        "declined": own.partstat is PartStat.DECLINED and not by_organiser,
        "undo_link": "" if by_organiser else external("attendee.undo", key=registrations.manage_token(own)),
        "invited": message.sequence is not None,
    }


def event_cancellation(message: Message, _now: datetime) -> Context:
    """The talk is off."""
    own = registration_of(message)
    return {
        **registration(message, _now),
        "reason": own.event.cancelled_reason,
        "invited": message.sequence is not None,
    }


def part_cancellation(message: Message, now: datetime) -> Context:
    """One of several parts is off; the others stay."""
    if message.part is None:
        raise Incomplete(f"message {message.id} ({message.kind}) is about no part")
    return {
        **registration(message, now),
        "reason": message.part.cancelled_reason,
        "invited": message.sequence is not None,
    }


def organiser_message(message: Message, now: datetime) -> Context:
    """What an organiser wrote, as it was written; a test of it goes to the organiser, who has no registration."""
    if message.registration is not None:
        about = registration(message, now)
    elif message.event is not None:
        about = talk(message.event)
    else:
        raise Incomplete(f"message {message.id} is about no talk")
    return {**about, "words": message.facts["subject"], "body": message.facts["body"]}


def sign_in(message: Message, _now: datetime) -> Context:
    """A link and a code, each good once."""
    link = external("account.sign_in_link", token=message.facts["link_token"])
    return {
        "title": "",
        "sign_in_link": link,
        "code": message.facts["code"],
        "registrations": message.facts.get("registrations", False),
    }


def barrier_report(message: Message, _now: datetime) -> Context:
    """What a reader could not use, to those who can mend it."""
    facts = message.facts
    return {"title": "", "page": facts["page"], "report": facts["text"], "reporter": facts.get("contact", "")}


def forward(message: Message, _now: datetime) -> Context:
    """What a human wrote to the mailbox of the invitations, as it was written."""
    facts = message.facts
    words = facts["subject"] or facts["from"]
    return {"title": words, "words": words, "name": facts["name"], "address": facts["from"], "typed": facts["text"]}


def reminder(message: Message, now: datetime) -> Context:
    """Where to go, first of all; and how many would like the place of whoever cannot come."""
    own = registration_of(message)
    about = registration(message, now)
    event = own.event
    next_up: Event | EventPart = message.part or event
    begun = event.starts_at is not None and now >= event.starts_at
    return {
        **about,
        "days": _days_until(next_up, event.zone, now),
        "time": i18n.clock_time(next_up.starts_at.astimezone(ZoneInfo(event.zone))) if next_up.starts_at else "",
        "on_site": own.mode is Mode.ON_SITE,
        "on_own_page": own.mode is Mode.ONLINE and not about["join_link"],
        "waiting": 0 if begun else waiting_list.places([event])[event.id][own.mode].waiting,
    }


def _days_until(next_up: Event | EventPart, zone: str, now: datetime) -> int:
    """0 today, 1 tomorrow, by the calendar of the talk's zone."""
    today = now.astimezone(ZoneInfo(zone)).date()
    return (next_up.starts_local.date() - today).days if next_up.starts_local else 0


def follow_request(message: Message, now: datetime) -> Context:
    """To an address that may not have asked: only what organisers wrote (safety.md O5)."""
    follow = follow_of(message)
    followed = follow.theme or follow.event
    if followed is None:
        raise Incomplete(f"follow {follow.id} follows nothing")
    return {
        "title": followed.name if isinstance(followed, Theme) else followed.title,
        "series": followed.series.name,
        "contact": _contact(followed.series),
        "theme": follow.theme is not None,
        "follows": follows.holds(follow),
        "confirm_link": external("public.follow_confirm", token=follows.confirm_token(follow)),
        "follow_link": external("public.following", token=follows.follow_token(follow, now)),
        "block_link": external("public.block", token=blocking.token(follow.person, now)),
    }


def news(message: Message, now: datetime) -> Context:
    """A talk that somebody wanted to hear of; nothing that only people with a place may read.

    The preview of the news on a theme is for somebody who follows nothing yet.
    """
    follow, event = follows.of(message), event_of(message)
    if follow is None and message.id:
        raise Incomplete(f"message {message.id} ({message.kind}) belongs to nothing that is followed")
    theme = follow.theme if follow else event.theme
    opens = event.registration_opens
    return {
        **talk(event),
        "where": differences.where_in_words(differences.facts(event)),
        "theme": theme.name if theme else "",
        "summary": markdown.to_text(event.summary),
        "host": event.host.name if event.host else "",
        "opens": i18n.moment(opens, event.zone) if opens and opens > now else "",
        "follow_link": _follow_link(follow, now),
    }


def _follow_link(follow: Follow | None, now: datetime) -> str:
    """The page that ends a wish; of a preview the page of the themes."""
    return (
        external("public.following", token=follows.follow_token(follow, now)) if follow else external("public.themes")
    )


def follower_message(message: Message, now: datetime) -> Context:
    """What an organiser wrote to those who follow a theme; its preview is for somebody who follows nothing yet."""
    follow, event = follows.of(message), event_of(message)
    return {
        **talk(event),
        "where": differences.where_in_words(differences.facts(event)),
        "theme": event.theme.name if event.theme else "",
        "follow_link": _follow_link(follow, now),
        "words": message.facts["subject"],
        "body": message.facts["body"],
    }


def security_notice(message: Message, _now: datetime) -> Context:
    """Something was done in the person's name."""
    facts = message.facts
    return {
        "title": facts.get("event", ""),
        "what": facts["what"],
        "number": facts.get("number", 0),
        "role": facts.get("role", ""),
        "sign_in_page": external("account.sign_in"),
    }
