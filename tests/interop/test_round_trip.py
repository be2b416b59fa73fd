"""An invitation's life in calendar software that shares no code with ours: Radicale keeps it, ical.js answers it."""

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.factories import NOON, Make
from whatsnext.db import db, write
from whatsnext.inbox import Clerk
from whatsnext.models import PartStat, Registration, Status
from whatsnext.services import differences, invitations, waiting_list

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).parent / "answer.mjs"


@dataclass
class Radicale:
    """A calendar server on loopback, with one calendar."""

    port: int

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            line.request(method, path, body.encode(), {"Authorization": "Basic YWRhOmFkYQ==", **headers})
            answer = line.getresponse()
            return answer.status, answer.read().decode()
        finally:
            line.close()

    def keep(self, uid: str, calendar: str) -> None:
        status, words = self.ask("PUT", f"/ada/talks/{uid}.ics", calendar, **{"Content-Type": "text/calendar"})
        assert status in (201, 204), words

    def entry(self, uid: str) -> str:
        status, words = self.ask("GET", f"/ada/talks/{uid}.ics")
        assert status == 200, words
        return words.replace("\r\n ", "")

    def whole(self) -> str:
        return self.ask("GET", "/ada/talks/")[1]


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    port, folder = servers.free_port(), tmp_path_factory.mktemp("radicale")
    given = {"--server-hosts": f"127.0.0.1:{port}", "--auth-type": "none", "--storage-filesystem-folder": str(folder)}
    words = [word for pair in given.items() for word in pair]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "radicale", "--config", "", *words], **quiet)
    server = Radicale(port)
    try:
        _wait(process, server)
        assert server.ask("MKCALENDAR", "/ada/talks/")[0] == 201
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], server: Radicale) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            server.ask("OPTIONS", "/")
        except OSError:
            assert process.poll() is None, "Radicale has ended"
            assert time.monotonic() < end, "Radicale does not answer"
            time.sleep(0.05)
        else:
            return


def icaljs(do: str, calendar: str, **given: str) -> str:
    """What ical.js makes of a calendar."""
    node = shutil.which("node")
    assert node, "node is missing"
    asked = json.dumps({"do": do, "calendar": calendar, **given})
    done = subprocess.run(
        [node, SCRIPT], input=asked, capture_output=True, text=True, cwd=SCRIPT.parent, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


@pytest.fixture
def clerk(app: Any) -> Iterator[Clerk]:
    clerk = Clerk(app.config["SETTINGS"])
    yield clerk
    clerk.close()


def mailed(attendee: str, organiser: str, reply: str) -> bytes:
    """As a CalDAV server sends it: the whole mail is the answer."""
    return (
        f"From: {attendee}\r\nTo: {organiser}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/calendar; method=REPLY; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{reply}"
    ).encode()


def test_an_invitation_is_kept_answered_moved_and_taken_out_by_software_that_is_not_ours(
    make: Make, sent: Callable[[], list[servers.Delivered]], clerk: Clerk, radicale: Radicale, at: Callable[..., None]
) -> None:
    ada = make.registration(make.event(title="Register; Daten, „Ämter“"))
    uid, own = ada.event.uid, ada.person.email

    def look() -> tuple[Status, PartStat]:
        db.session.rollback()
        db.session.refresh(ada)
        return ada.status, ada.partstat

    def answer(partstat: str, number: int) -> None:
        at(minute(number))
        reply = icaljs("answer", radicale.entry(uid), partstat=partstat, stamp=minute(number).isoformat()[:19] + "Z")
        clerk.take(mailed(own, f"next+{ada.reply_token}@localhost", reply), sender=own)

    with write():
        invitations.invite_again(ada, NOON)
    (mail,) = sent()
    radicale.keep(uid, icaljs("store", mail.part("text/calendar")))
    answer("ACCEPTED", 1)
    assert look() == (Status.CONFIRMED, PartStat.ACCEPTED)

    before = differences.facts(ada.event)
    with write():
        talk = waiting_list.lock(ada.event_id)
        assert talk.starts_at is not None
        assert talk.ends_at is not None
        talk.starts_at, talk.ends_at = talk.starts_at + timedelta(days=1), talk.ends_at + timedelta(days=1)
        invitations.tell_change(talk, before, minute(2))
    (mail,) = sent()
    radicale.keep(uid, icaljs("store", mail.part("text/calendar")))
    whole = radicale.whole()
    assert (whole.count("BEGIN:VEVENT"), "SEQUENCE:1" in whole, "20260120T140000" in whole) == (1, True, True)
    answer("TENTATIVE", 3)
    assert look() == (Status.CONFIRMED, PartStat.TENTATIVE)

    answer("DECLINED", 4)
    assert look() == (Status.CANCELLED, PartStat.DECLINED)
    (mail,) = sent()
    assert "METHOD:CANCEL" in mail.part("text/calendar")
    assert f"UID:{uid}" in mail.part("text/calendar")
    assert radicale.ask("DELETE", f"/ada/talks/{uid}.ics")[0] == 200
    assert radicale.whole().count("BEGIN:VEVENT") == 0


def test_an_answer_made_by_icaljs_from_an_old_entry_is_kept_aside(
    make: Make, sent: Callable[[], list[servers.Delivered]], clerk: Clerk, radicale: Radicale
) -> None:
    ada: Registration = make.registration(make.event())
    with write():
        invitations.invite_again(ada, NOON)
    (mail,) = sent()
    old = mail.part("text/calendar")
    with write():
        ada.sequence = 1
    reply = icaljs("answer", old, partstat="DECLINED", stamp="2026-01-05T12:01:00Z")
    state = clerk.take(mailed(ada.person.email, f"next+{ada.reply_token}@localhost", reply), sender=ada.person.email)
    db.session.refresh(ada)
    assert (state, ada.status) == ("aside", Status.CONFIRMED)
