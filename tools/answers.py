"""What the calendars of the demo's people answer, for the pictures: made from the mails the demo has written, delivered
over LMTP to the running demo, and so read as any other answer is."""

import email
import mailbox
import re
import smtplib
import time
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

from whatsnext import clock

ANSWERS = {0: "ACCEPTED", 3: "ACCEPTED", 4: "TENTATIVE", 5: "DECLINED", 11: "ACCEPTED", 13: "ACCEPTED"}
"""By the number in the address of whoever answers."""

LOST, PASSED_ON = 2, 12
"""Whose invitation comes back, and whose is answered by somebody else."""

STATUS = """\
From: MAILER-DAEMON@mx.behoerde.example
To: {organiser}
Subject: Undelivered mail
Content-Type: multipart/report; report-type=delivery-status; boundary=b
MIME-Version: 1.0

--b
Content-Type: text/plain

No such user.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.behoerde.example

Final-Recipient: rfc822; {attendee}
Action: failed
Status: 5.1.1

--b--
"""


def give(instance: Path, port: int, subject: str) -> None:
    """Answer the invitations to the talk whose mails begin with `subject`; one comes back, one was passed on."""
    invitations = dict(_invitations(instance, subject))
    with _connected(port) as line:
        for number, partstat in ANSWERS.items():
            mail = invitations[number]
            attendee = mail["To"].addresses[0].addr_spec
            _deliver(line, attendee, mail, _answer(mail, partstat, attendee))
        stranger, passed_on, lost = "sam.fremd@behoerde.example", invitations[PASSED_ON], invitations[LOST]
        _deliver(line, stranger, passed_on, _answer(passed_on, "ACCEPTED", stranger))
        organiser, attendee = (lost[name].addresses[0].addr_spec for name in ("From", "To"))
        line.sendmail("", organiser, STATUS.format(organiser=organiser, attendee=attendee))


def _invitations(instance: Path, subject: str) -> Iterator[tuple[int, EmailMessage]]:
    """With the number in the attendee's address: the demo numbers its people."""
    box = mailbox.Maildir(instance / "mail", create=False)
    for key in sorted(box.keys()):
        mail = email.message_from_bytes(box.get_bytes(key), policy=policy.default)
        if str(mail["Subject"]).startswith(subject):
            yield int(re.sub(r"\D", "", mail["To"].addresses[0].username)), mail


def _answer(mail: EmailMessage, partstat: str, sender: str) -> EmailMessage:
    """The calendar of the invitation as a REPLY, as a program sends it that keeps every other line."""
    part = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    calendar = part.get_content().replace("\r\n ", "").replace("METHOD:REQUEST", "METHOD:REPLY")
    lines = [_line(line, partstat, sender) for line in calendar.splitlines()]
    reply = EmailMessage()
    reply["From"], reply["To"] = sender, mail["From"].addresses[0].addr_spec
    reply["Subject"] = f"Antwort: {mail['Subject']}"
    reply.set_content("\r\n".join([*lines, ""]), subtype="calendar", params={"method": "REPLY"})
    return reply


def _line(line: str, partstat: str, sender: str) -> str:
    if line.startswith("DTSTAMP:"):
        return f"DTSTAMP:{clock.now():%Y%m%dT%H%M%SZ}"
    return f"ATTENDEE;PARTSTAT={partstat}:mailto:{sender}" if line.startswith("ATTENDEE") else line


def _deliver(line: smtplib.LMTP, sender: str, mail: EmailMessage, answer: EmailMessage) -> None:
    line.sendmail(sender, mail["From"].addresses[0].addr_spec, answer.as_bytes(policy=policy.SMTP))


def _connected(port: int) -> smtplib.LMTP:
    """The demo begins to listen a moment after it has printed its link."""
    for _try in range(100):
        try:
            return smtplib.LMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit("the demo listens for no mail")
