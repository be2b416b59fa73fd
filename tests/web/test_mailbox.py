"""Health, and the demo's mailbox: there in the demo only, mails shown in a frame that runs nothing."""

from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from whatsnext.db import db, write
from whatsnext.mail import maildir

INVITATION = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Test//DE\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:blockchain@next.example\r
SEQUENCE:2\r
DTSTAMP:20270101T090000Z\r
DTSTART:20270114T130000Z\r
DTEND:20270114T143000Z\r
SUMMARY:Blockchain im Grundbuch\r
ORGANIZER;CN="What's NEXt":mailto:next+abc@localhost\r
ATTENDEE;CN=Ada;PARTSTAT=NEEDS-ACTION:mailto:ada@behoerde.example\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture
def demo(make_app):
    return make_app(demo=True, mail_server="", mail_default_sender="")


@pytest.fixture
def mailbox(demo):
    """The demo's browser, and the key of a mail with this calendar part."""

    def build(calendar=INVITATION, html="<p style='color:red'>Sie sind dabei.</p>"):
        mail = EmailMessage()
        mail["From"], mail["To"] = "What's NEXt <next@localhost>", "ada@behoerde.example"
        mail["Subject"], mail["Date"] = "Einladung: Blockchain", "Mon, 05 Jan 2026 12:00:00 +0000"
        mail.set_content("Sie sind dabei.\nhttp://127.0.0.1:8000/registrations/abc <script>")
        if html:
            mail.add_alternative(html, subtype="html")
        if calendar:
            mail.add_alternative(calendar, "text", "calendar", params={"method": "REQUEST"})
        with demo.app_context():
            return demo.test_client(), maildir.keep(mail.as_bytes())

    return build


def test_outside_the_demo_there_is_no_mailbox(organiser):
    for path in ("/mailbox", "/mailbox/x", "/mailbox/x/html", "/mailbox/x/invite.ics"):
        assert organiser.page(path).status == 404


def test_an_empty_mailbox_says_what_to_do(demo):
    page = demo.test_client().page("/mailbox")
    assert ("/mailbox", "Mails lesen") in page.links
    assert "Noch keine Nachricht." in page.text
    assert "Demo: Es wird nichts verschickt." in page.text


def test_the_mailbox_lists_its_mails(mailbox):
    client, key = mailbox()
    page = client.page("/mailbox")
    assert (f"/mailbox/{key}", "Einladung: Blockchain") in page.links
    assert "Mo., 5. Januar 2026, 13:00 Uhr (Berlin)" in page.text


def test_a_mail_is_shown_as_text_and_its_calendar_in_words(mailbox):
    client, key = mailbox()
    page = client.page(f"/mailbox/{key}")
    for words in (
        "REQUEST – Einladung oder Änderung",
        "Do., 14. Januar 2027, 13:00–14:30 Uhr (UTC)",
        "blockchain@next.example",
        "What's NEXt <next+abc@localhost>",
        "Ada <ada@behoerde.example> (NEEDS-ACTION)",
        "Sie sind dabei.",
    ):
        assert words in page.text
    assert "http://127.0.0.1:8000/registrations/abc" in [href for href, _words in page.links]
    assert "<script>" not in page.html
    (policy,) = page.response.headers.getlist("Content-Security-Policy")
    assert "frame-src 'self'" in policy


def test_the_page_of_a_mail_runs_nothing_and_reaches_nothing(mailbox):
    client, key = mailbox()
    answer = client.get(f"/mailbox/{key}/html")
    assert "<p style='color:red'>" in answer.text
    assert answer.headers.getlist("Cross-Origin-Opener-Policy") == ["unsafe-none"]
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'"
    )


def test_links_of_a_mail_leave_the_frame_that_our_pages_refuse(mailbox):
    client, key = mailbox(html="<html><head><title>Mail</title></head><body></body></html>")
    assert '<head><base target="_blank">' in client.get(f"/mailbox/{key}/html").text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in client.get(f"/mailbox/{key}").text


def test_the_calendar_part_can_be_opened(mailbox):
    client, key = mailbox()
    answer = client.get(f"/mailbox/{key}/invite.ics")
    assert (answer.mimetype, b"UID:blockchain@next.example" in answer.data) == ("text/calendar", True)


def test_a_mail_without_calendar_or_page_is_shown_too(mailbox):
    client, key = mailbox(calendar=None, html="")
    page = client.page(f"/mailbox/{key}")
    assert ("Nachricht ohne Kalenderteil" in page.text, "<iframe" in page.html) == (True, False)
    assert client.page(f"/mailbox/{key}/invite.ics").status == 404


def test_a_calendar_part_that_cannot_be_read_is_said_so(mailbox):
    client, key = mailbox(calendar=b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    assert "Der Kalenderteil ist nicht lesbar" in client.page(f"/mailbox/{key}").text


def name_release(version):
    with write():
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_health_says_alive_and_ready(client):
    assert (client.get("/health/live").text, client.get("/health/ready").text) == ("live\n", "ready\n")


def test_tables_of_another_release_are_not_ready(client, app):
    version = db.session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    name_release("0000")
    answer = client.get("/health/ready")
    name_release(version)
    assert (answer.status_code, answer.text) == (503, "database: tables of another release\n")


def test_without_a_database_it_is_alive_but_not_ready(make_app, tmp_path):
    client = make_app(database_url=f"sqlite:///{tmp_path / 'no' / 'folder.db'}").test_client()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.text) == (503, "database: no answer\n")
    assert client.get("/health/live").status_code == 200


def test_a_calendar_part_with_a_rule_says_how_often(mailbox):
    client, key = mailbox(INVITATION.replace(b"SUMMARY", b"RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=6\r\nSUMMARY"))
    assert "Wiederholung 6 Teile, alle 2 Wochen" in client.page(f"/mailbox/{key}").text
