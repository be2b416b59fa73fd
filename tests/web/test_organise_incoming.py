"""Mails that came in and changed nothing, as organisers see them."""

import pytest

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.models import Incoming, IncomingState, Kind, Mailbox, MessageState, PartStat, Reason, Registration
from whatsnext.services import replies


@pytest.fixture(autouse=True)
def _signed_in(make, client):
    client.sign_in(make.organiser())


@pytest.fixture
def aside(make):
    """Keeps a mail aside: aside(Reason.FOREIGN, registration, …)."""
    number = iter(range(1, 1000))

    def keep(reason, registration=None, **given):
        filled = {
            "digest": str(next(number)),
            "state": IncomingState.ACTED if reason is Reason.COUNTER else IncomingState.ASIDE,
            "reason": reason,
            "method": "REPLY",
            "received_at": NOON,
            "sender": "grace@behoerde.example",
            "registration_id": registration.id if registration else None,
            "event_id": registration.event_id if registration else None,
        }
        with write():
            mail = Incoming(**{**filled, **given})
            db.session.add(mail)
        return mail

    return keep


@pytest.fixture
def ada(make):
    return make.registration(make.event(title="Register"))


def test_with_no_mail_it_says_so(client):
    assert "Keine Mail wartet auf Sie." in client.page("/organise/incoming").text


def test_each_mail_says_who_what_and_why_as_text(client, aside, ada):
    aside(Reason.OTHER_UID, ada, sender_name="<b>Grace</b>", comment="<script>alert(1)</script> https://evil.example")
    page = client.page("/organise/incoming")
    assert "<b>Grace</b> grace@behoerde.example" in page.text
    assert "Sie betrifft eine andere Veranstaltung als die Adresse, an die sie ging." in page.text
    assert "„<script>alert(1)</script> https://evil.example“" in page.text
    assert [link for link in page.links if "evil" in link[0]] == []


def test_a_forwardee_is_invited_by_a_button(client, aside, ada, owed):
    aside(Reason.FOREIGN, ada, sender_name="Grace Beispiel")
    page = client.page("/organise/incoming")
    assert "grace@behoerde.example einladen" in page.text
    mail = db.session.query(Incoming).one()
    answer = client.submit(page, form=f"/organise/incoming/{mail.id}/invite")
    assert (answer.status_code, answer.location) == (303, "/organise/incoming")
    grace = db.session.query(Registration).order_by(Registration.id.desc()).first()
    assert owed() == [(Kind.INVITATION, grace)]
    assert "Eingeladen. Die Einladung ist unterwegs." in client.page("/organise/incoming").text


def test_whoever_is_signed_up_already_is_said_to_be(client, aside, ada, make):
    make.registration(ada.event, person=make.person(email="grace@behoerde.example"))
    mail = aside(Reason.FOREIGN, ada)
    page = client.page("/organise/incoming")
    answer = client.submit(page, form=f"/organise/incoming/{mail.id}/invite")
    assert answer.status_code == 422
    assert "schon angemeldet" in answer.text


def test_a_proposed_time_is_shown_and_answered(client, aside, ada, owed):
    mail = aside(Reason.COUNTER, ada, method="COUNTER", proposed_start=NOON)
    page = client.page("/organise/incoming")
    assert "Schlägt einen anderen Termin vor: Mo., 5. Januar" in page.text
    client.submit(page, form=f"/organise/incoming/{mail.id}/decline")
    assert owed() == [(Kind.COUNTER_DECLINED, ada)]


def test_what_is_put_away_is_gone_and_the_overview_counts_the_rest(client, aside, ada):
    mails = [aside(Reason.OLD, ada), aside(Reason.SIZE)]
    assert "2 eingegangene Mails haben nichts verändert und warten auf Sie." in client.page("/organise/").text
    client.submit(client.page("/organise/incoming"), form=f"/organise/incoming/{mails[0].id}/done")
    overview = client.page("/organise/")
    assert "1 eingegangene Mail hat nichts verändert und wartet auf Sie." in overview.text
    assert ("/organise/incoming", "Mails ansehen") in overview.links


def test_a_mailbox_that_does_not_answer_is_said_on_both_pages_and_to_monitoring(client, app):
    error = "The mailbox cannot be reached."
    with write():
        db.session.add(Mailbox(name=app.config["SETTINGS"].imap_name, failing_since=NOON, error=error))
        db.session.add(Mailbox(name="of earlier settings", failing_since=NOON, error="x"))
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.text) == (200, "ready\nmailbox: no answer since 2026-01-05T12:00Z\n")
    assert "Das Postfach antwortet nicht; was Kalender antworten, wird nicht gelesen." in client.page("/organise/").text
    page = client.page("/organise/incoming").text
    assert "Das Postfach ist nicht erreichbar." in page
    assert "werden Antworten aus Kalendern nicht gelesen." in page


def test_every_reason_has_its_words(client, aside):
    for reason in Reason:
        if reason not in (Reason.NONE, Reason.BOUNCE):
            aside(reason, sender=reason.value)
    from_whom = client.page("/organise/incoming").text
    assert [reason.value for reason in Reason if reason.value not in from_whom] == ["bounce"]


def test_the_list_costs_the_same_queries_however_long_it_is(client, aside, make, query_count):
    def count():
        with query_count() as queries:
            client.page("/organise/incoming")
        return len(queries)

    talk = make.event()
    aside(Reason.OLD, make.registration(talk))
    one = count()
    for _number in range(2):
        aside(Reason.FOREIGN, make.registration(make.event()))
    assert count() == one


def test_the_page_of_a_participant_shows_the_answer_its_time_and_what_was_written(client, make):
    talk = make.event()
    said = make.registration(talk, partstat=PartStat.TENTATIVE, partstat_at=NOON, reply_comment="<i>Vielleicht</i>")
    asked = make.registration(talk, partstat_at=NOON)
    page = client.page(f"/organise/events/{talk.id}/participants/{said.ref}")
    assert "Vorläufig angenommen, Mo., 5. Januar" in page.text
    assert "„<i>Vielleicht</i>“" in page.text
    page = client.page(f"/organise/events/{talk.id}/participants/{asked.ref}")
    assert "Seither neu gefragt; noch keine Antwort." in page.text


def test_a_mail_that_was_sent_back_says_what_to_do(client, make):
    one = make.registration(make.event())
    make.message(Kind.INVITATION, one, state=MessageState.FAILED, error=replies.SENT_BACK)
    text = client.page(f"/organise/events/{one.event_id}/participants/{one.ref}").text
    assert "Der empfangende Server hat die Nachricht zurückgeschickt." in text
    assert "richtigen Adresse" in text


def test_the_copy_is_a_file_of_plain_text(client, aside, ada):
    mail = aside(Reason.BROKEN, ada, raw=b"From: x\r\n\r\n<script>\xff")
    assert (f"/organise/incoming/{mail.id}/copy", "Kopie der Mail") in client.page("/organise/incoming").links
    answer = client.get(f"/organise/incoming/{mail.id}/copy")
    assert answer.data.decode() == "From: x\r\n\r\n<script>\ufffd"
    headers = answer.headers
    assert (headers["Content-Type"], headers["Content-Disposition"]) == (
        "text/plain; charset=utf-8",
        'attachment; filename="mail.txt"',
    )
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "private, no-store")
