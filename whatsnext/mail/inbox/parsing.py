"""One raw mail taken apart. Runs in a process of its own, started by its path, and imports nothing of ours but
`calendars.reply`: whatever a mail does to this process, nothing else is hurt.

Python's newer mail policy raises on headers that people do send, so the older one reads, each header is cut before it
is looked at, and nothing is decoded that is not asked for (docs/decisions, dependencies.md "Reading hostile mail").
"""

from __future__ import annotations

import email
import email.header
import email.utils
import json
import re
import resource
import sys
from email.message import Message
from email.policy import compat32
from typing import Any, BinaryIO

import authres  # type: ignore[import-untyped]
import flufl.bounce

from whatsnext.calendars import reply

MEMORY = 256 * 1024 * 1024
LARGEST = 1_000_000
LONGEST_HEADER = 65_536
MOST_PARTS, MOST_LEVELS = 64, 10
LONGEST_FIELD = 2_000
LONGEST_TEXT = 4_000
MOST_ADDRESSES = 50
GOOGLE = "calendar-notification@google.com"
ROUTES = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
LISTS = ("bulk", "list", "junk")

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")
_BOUNDARY = re.compile(rb"^--[^\r\n]{1,200}", re.MULTILINE)


class Refused(Exception):
    """A mail that is kept aside unread; its message is the reason."""


def take_apart(raw: bytes, envelope: dict[str, Any]) -> dict[str, Any]:
    """What this mail is, as plain JSON. `envelope`: recipients, sender (None: unknown), authserv_id.

    Raises Refused for what is too large or says two things at once, anything else for what Python cannot read.
    """
    _measure(raw)
    mail = email.message_from_bytes(raw, policy=compat32)
    parts = _parts(mail)
    answer, problem = _answer(parts)
    robot = _robot(mail, envelope)
    sender, name = _sender(mail, answer is not None, report=robot == "null path" or _is_report(mail))
    found: dict[str, Any] = {
        "sender": sender,
        "name": name,
        "subject": _subject(mail),
        "message_id": _line(_header(mail, "Message-ID"))[:250],
        "recipients": _recipients(mail, envelope),
        "robot": robot,
        "answer": answer,
        "problem": problem,
        "authentic": _authentic(mail, str(envelope.get("authserv_id", ""))),
        "text": _text(parts),
        "bounced": [],
        "delayed": [],
    }
    if (answer is None and found["robot"] in ("null path", "automatic")) or _is_report(mail):
        found["delayed"], found["bounced"] = _bounces(mail)
    return found


def head_of(raw: bytes) -> bytes:
    """The header of a mail, LONGEST_HEADER octets at most."""
    return re.split(rb"\r?\n\r?\n", raw[:LONGEST_HEADER], maxsplit=1)[0]


def _measure(raw: bytes) -> None:
    """Sizes first: nothing is parsed that is larger than any answer (safety.md M1)."""
    if len(raw) > LARGEST:
        raise Refused("size")
    if not re.search(rb"\r?\n\r?\n", raw[:LONGEST_HEADER]) and len(raw) > LONGEST_HEADER:
        raise Refused("header size")
    if len(_BOUNDARY.findall(raw)) > 4 * MOST_PARTS or raw.lower().count(b"message/rfc822") > MOST_LEVELS:
        raise Refused("parts")


def _parts(mail: Message) -> list[Message]:
    """All parts, outermost first; what is inside an attached mail is not looked at."""
    found: list[Message] = []
    level, depth = [mail], 0
    while level:
        if depth > MOST_LEVELS or len(found) + len(level) > MOST_PARTS:
            raise Refused("parts")
        found += level
        level = [part for each in level if each.get_content_maintype() == "multipart" for part in _inside(each)]
        depth += 1
    return found


def _inside(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


# --- headers ---------------------------------------------------------------------------------------------


def _header(mail: Message, name: str) -> str:
    """The first header of this name as written, cut; "" if there is none."""
    return _as_text(next(iter(mail.get_all(name, [])), ""))


def _as_text(value: object) -> str:
    """8-bit headers come as Header objects; they are shown as well as can be."""
    return str(value)[:LONGEST_FIELD].encode("utf-8", "replace").decode("utf-8")


def _line(value: str) -> str:
    return " ".join(_CONTROLS.sub(" ", value).split())


def _decoded(value: str) -> str:
    """RFC 2047; what cannot be decoded stays as written."""
    try:
        return str(email.header.make_header(email.header.decode_header(value)))
    except (ValueError, LookupError, IndexError, email.errors.MessageError):
        return value


def _addresses(mail: Message, name: str) -> list[tuple[str, str]]:
    values = [_as_text(value) for value in mail.get_all(name, [])[:10]]
    return email.utils.getaddresses(values)[:MOST_ADDRESSES]


def _subject(mail: Message) -> str:
    return _line(_decoded(_header(mail, "Subject")))[:300]


def _one(mail: Message, name: str) -> tuple[str, str] | None:
    """Address and display name of a header that must stand once, with one address (safety.md M3)."""
    headers = mail.get_all(name, [])
    if len(headers) != 1 or len(_as_text(headers[0])) >= LONGEST_FIELD:
        return None
    written = _as_text(headers[0])
    listed = email.utils.getaddresses([written])
    if len(listed) != 1 or not _ADDRESS.fullmatch(listed[0][1]) or _other_addresses(written, listed[0][1]):
        return None
    return listed[0][1], _line(_decoded(listed[0][0]))[:120]


def _other_addresses(written: str, address: str) -> bool:
    """Whether a second address stands beside the one that was read: `victim@x <evil@y>` is refused, not guessed."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', " ", written)
    return any(found.lower() != address.lower() for found in _ADDRESS.findall(outside) if "=?" not in found)


def _sender(mail: Message, calendar: bool, *, report: bool) -> tuple[str, str]:
    """Who wrote: the one address in the one From; Google's calendar names its user in Reply-To.

    A delivery status comes from a program that may have no address.
    """
    found = _one(mail, "From")
    if report and not calendar:
        return found or ("", "")
    if found is None or mail.defects:
        raise Refused("sender")
    if calendar and found[0].lower() == GOOGLE and mail.get_all("Reply-To"):
        reply_to = _one(mail, "Reply-To")
        if reply_to is None:
            raise Refused("sender")
        return reply_to
    return found


def _recipients(mail: Message, envelope: dict[str, Any]) -> list[str]:
    """Every address it may have been sent to, the envelope's first."""
    listed = [str(each) for each in envelope.get("recipients", [])]
    for name in ROUTES:
        listed += [address for _name, address in _addresses(mail, name)]
    return list(dict.fromkeys(each.lower() for each in listed if _ADDRESS.fullmatch(each)))[:MOST_ADDRESSES]


def _robot(mail: Message, envelope: dict[str, Any]) -> str:
    """Why nobody must answer this mail (RFC 3834 §2), "" for a mail by a human."""
    path = envelope.get("sender")
    path = _header(mail, "Return-Path") if path is None else f"<{path}>"
    if path.strip() == "<>":
        return "null path"
    if mail.get_all("List-Id") or mail.get_all("List-Unsubscribe"):
        return "list"
    if _header(mail, "Precedence").strip().lower() in LISTS:
        return "list"
    if _header(mail, "Auto-Submitted").split(";")[0].strip().lower() not in ("", "no"):
        return "automatic"
    if mail.get_all("X-Autoreply") or mail.get_all("X-Autorespond") or _is_report(mail):
        return "automatic"
    away = re.search(r"(?i)^(out of office|automatic reply|automatische antwort|abwesen)", _subject(mail))
    return "automatic" if away else ""


def _authentic(mail: Message, authserv_id: str) -> str:
    """What our own mail server found out about the sender: "fail", "pass" or "" (RFC 8601). Only the topmost counts."""
    written = _header(mail, "Authentication-Results")
    if not authserv_id or not written:
        return ""
    try:
        header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {_line(written)}")
    except (authres.AuthResError, ValueError, IndexError):
        return ""
    if str(header.authserv_id).lower() != authserv_id.lower():
        return ""
    results = {str(result.method): str(result.result).lower() for result in header.results}
    if "dmarc" in results and results["dmarc"] != "none":
        return "fail" if results["dmarc"] == "fail" else "pass"
    return "fail" if "fail" in (results.get("dkim"), results.get("spf")) else "pass"


# --- bodies ----------------------------------------------------------------------------------------------


def _calendar_parts(parts: list[Message]) -> list[Message]:
    """Parts that hold a calendar, those that name a method first: an .ics beside one is the same answer."""
    calendars = [part for part in parts if part.get_content_type() in ("text/calendar", "application/ics")]
    named = [part for part in calendars if _method(part)]
    return named or calendars


def _method(part: Message) -> str:
    value = part.get_param("method")
    return str(value[2] if isinstance(value, tuple) else value or "").strip().upper()


def _answer(parts: list[Message]) -> tuple[dict[str, Any] | None, str]:
    """The calendar's answer, and why there is none: a reason, or "" where nobody sent a calendar."""
    calendars = _calendar_parts(parts)
    if not calendars:
        return None, ""
    bodies = [_body(part) for part in calendars]
    if len(set(bodies)) != 1:
        return None, "twice"
    try:
        answer = reply.read(bodies[0])
    except reply.Unreadable as reason:
        return None, str(reason)
    if any(_method(part) not in ("", answer.method) for part in calendars):
        return None, "method"
    return _jsonable(answer), ""


def _jsonable(answer: reply.Answer) -> dict[str, Any]:
    told: dict[str, Any] = dict(vars(answer))
    for name in ("stamp", "recurrence_at", "proposed_start", "proposed_end"):
        told[name] = told[name].isoformat() if told[name] else None
    told["comment"] = _CONTROLS.sub(" ", told["comment"])
    return told


def _body(part: Message) -> bytes:
    """The bytes of a part. Raises Refused if they are more than any calendar part, or no longer whole."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or part.defects:
        raise Refused("broken part")
    if len(payload) > reply.LARGEST:
        raise Refused("size")
    return payload


def _text(parts: list[Message]) -> str:
    """What a human wrote, as plain text, its beginning; "" if there is only HTML."""
    for part in parts:
        if part.get_content_type() == "text/plain" and part.get_content_maintype() != "multipart":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                text = _with_charset(part, payload[: 4 * LONGEST_TEXT]).replace("\r\n", "\n")
                return _CONTROLS.sub("", text)[:LONGEST_TEXT]
    return ""


def _with_charset(part: Message, payload: bytes) -> str:
    try:
        return payload.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        return payload.decode("utf-8", "replace")


def _is_report(mail: Message) -> bool:
    return mail.get_content_type() == "multipart/report"


def _bounces(mail: Message) -> tuple[list[str], list[str]]:
    """Addresses that a delivery status says are late, and gone for good (RFC 3464)."""
    late, gone = flufl.bounce.all_failures(mail)
    return _plain(late), _plain(gone)


def _plain(addresses: Any) -> list[str]:
    words = sorted(each.decode("ascii", "replace") if isinstance(each, bytes) else str(each) for each in addresses)
    return [each.lower() for each in words if _ADDRESS.fullmatch(each)][:MOST_ADDRESSES]


# --- the process -----------------------------------------------------------------------------------------


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    sizes = stream.read(8)
    if len(sizes) < 8:
        return None
    first, second = int.from_bytes(sizes[:4], "big"), int.from_bytes(sizes[4:], "big")
    return json.loads(stream.read(first)), stream.read(second)


def _tell(stream: BinaryIO, found: dict[str, Any]) -> None:
    told = json.dumps(found).encode()
    stream.write(len(told).to_bytes(4, "big") + told)
    stream.flush()


def main() -> None:
    """Read mails from standard input until it ends; one answer each. A mail that Python cannot read is said so."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (mail := _receive(sys.stdin.buffer)) is not None:
        envelope, raw = mail
        try:
            found = take_apart(raw, envelope)
        except Refused as reason:
            found = {"refused": str(reason)}
        _tell(sys.stdout.buffer, found)


if __name__ == "__main__":
    main()
