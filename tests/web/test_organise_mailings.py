import pytest
import sqlalchemy as sa

from tests.pages import Page
from whatsnext.db import db, write
from whatsnext.models import Kind, Mailing, Message, MessageState, Mode, Status
from whatsnext.services import mailings, recipients
from whatsnext.services.mailings import Words
from whatsnext.services.participants import Search
from whatsnext.services.recipients import Act, Choice

TYPED = {"subject": "Raum geändert", "body": "Guten Tag {name},\n\nwir sind im Saal."}


@pytest.fixture
def organiser(make, client):
    person = make.organiser(name="Kim Muster", email="kim@behoerde.example")
    client.sign_in(person)
    return person


@pytest.fixture
def talk(make, organiser):
    return make.event(title="Register")


def preview(client, talk, **changes):
    return Page(client.submit(f"/organise/events/{talk.id}/message", {**TYPED, **changes}, form="form"))


def test_the_choice_of_recipients_carries_their_numbers(make, client, talk):
    for status in (Status.CONFIRMED, Status.CONFIRMED, Status.WAITING, Status.CANCELLED):
        make.registration(talk, status)
    make.registration(talk, Status.WAITING, proved=False)  # whom no message reaches
    text = client.page(f"/organise/events/{talk.id}/message").text
    assert "2 Bestätigte 1 Person auf der Warteliste Alle Angemeldeten: 3 Personen" in text


def test_the_preview_shows_who_how_many_and_the_mail_and_sends_nothing(make, client, owed, talk):
    make.registration(talk, person=make.person(name="Ada"))
    make.registration(talk, person=make.person(name="Grace"))
    make.registration(talk, Status.WAITING, person=make.person(name="Linus"))
    page = preview(client, talk)
    assert (page.status, owed()) == (200, [])
    for words in ("Ada", "Grace", "An 2 Personen senden", "Raum geändert (Register)", "Guten Tag Ada,"):
        assert words in page.text
    assert "Linus" not in page.text


def test_the_button_sends_one_mail_to_each_and_leads_to_the_delivery(make, client, owed, talk):
    first, second = make.registration(talk), make.registration(talk, Status.WAITING)
    page = preview(client, talk, to="all")
    answer = client.submit(page, {"action": "send"}, form="form")
    assert answer.status_code == 303
    assert owed() == [(Kind.ORGANISER_MESSAGE, first), (Kind.ORGANISER_MESSAGE, second)]
    page = client.page(answer.location)
    assert "Nachricht an 2 Personen: 0 gesendet" in page.text
    assert 'data-poll="2000"' in page.html
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.html


def test_the_preview_is_for_the_way_its_first_reader_takes_part(make, client, organiser):
    talk = make.event(places_online=5)
    make.registration(talk, mode=Mode.ONLINE)
    assert "Wo: online" in preview(client, talk).text


def test_a_test_goes_to_the_organiser_and_the_preview_stays(make, client, owed, organiser, talk):
    make.registration(talk)
    page = Page(client.submit(preview(client, talk), {"action": "test"}, form="form"))
    assert owed() == [(Kind.ORGANISER_MESSAGE, organiser)]
    assert "Ein Test ist unterwegs an kim@behoerde.example." in page.text
    assert client.submit(page, {"action": "send"}, form="form").status_code == 303
    assert len(owed()) == 2


def test_writing_on_keeps_words_and_people(make, client, owed, talk):
    make.registration(talk, Status.WAITING)
    page = Page(client.submit(preview(client, talk, to="waiting"), {"action": "edit"}, form="form"))
    kept = page.form("form").values
    assert (page.status, kept["subject"], kept["to"]) == (200, ["Raum geändert"], ["waiting"])
    assert kept["body"] == ["Guten Tag {name},\n\nwir sind im Saal."]
    assert owed() == []


def test_people_ticked_on_the_list_are_those_who_get_it(make, client, owed, talk):
    ticked = make.registration(talk, person=make.person(name="Ada"))
    make.registration(talk, person=make.person(name="Grace"))
    changes = {"p": [ticked.ref], "action": "message"}
    page = Page(client.submit(f"/organise/events/{talk.id}/participants", changes, form="form"))
    assert ("Ada" in page.text, "Grace" in page.text) == (True, False)
    page = Page(client.submit(page, TYPED, form="form"))
    assert "An 1 Person senden" in page.text
    page = Page(client.submit(page, {"action": "edit"}, form="form"))
    page = Page(client.submit(page, {"subject": "Anders"}, form="form"))
    client.submit(page, {"action": "send"}, form="form")
    assert owed() == [(Kind.ORGANISER_MESSAGE, ticked)]


def test_if_others_would_get_it_the_new_list_is_shown_and_nothing_is_sent(make, client, owed, talk):
    make.registration(talk)
    page = preview(client, talk)
    late = make.registration(talk, person=make.person(name="Gerade eben"))
    page = Page(client.submit(page, {"action": "send"}, form="form"))
    assert (page.status, owed()) == (409, [])
    assert "Gerade eben" in page.text
    assert "An 2 Personen senden" in page.text
    assert page.form("form").values["subject"] == ["Raum geändert"]
    assert client.submit(page, {"action": "send"}, form="form").status_code == 303
    assert owed()[-1] == (Kind.ORGANISER_MESSAGE, late)


def test_other_words_than_the_preview_showed_are_shown_first(make, client, owed, talk):
    make.registration(talk)
    page = Page(client.submit(preview(client, talk), {"action": "send", "body": "Anderes"}, form="form"))
    assert (page.status, owed()) == (409, [])
    assert "Anderes" in page.text


def test_a_double_click_sends_once(make, client, owed, talk):
    make.registration(talk)
    page = preview(client, talk)
    places = [client.submit(page, {"action": "send"}, form="form").location for _each in range(2)]
    assert places[0] == places[1]
    assert len(owed()) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "a\r\nBcc: c@evil.example"}, "subject"),
        ({"subject": "x" * 10_000}, "subject"),
        ({"body": ""}, "body"),
        ({"body": "a\x00b"}, "body"),
        ({"body": "a\u202eb"}, "body"),
        ({"body": "x" * 10_000}, "body"),
    ],
)
def test_a_wrong_entry_is_explained_at_its_field_with_everything_kept(make, client, owed, talk, changes, field):
    make.registration(talk)
    page = preview(client, talk, **changes)
    assert page.status == 422
    assert f'id="{field}-e"' in page.html
    other = "body" if field == "subject" else "subject"
    assert page.form("form").values[other] == [TYPED[other]]
    assert owed() == []


@pytest.mark.parametrize(("field", "label"), [("subject", "Betreff"), ("body", "Text")])
def test_a_mistyped_placeholder_is_named_with_those_there_are(make, client, owed, talk, field, label):
    make.registration(talk)
    page = preview(client, talk, **{field: "{name}, {datum} {name} {Ort} {datum}"})
    assert page.status == 422
    there_are = "Es gibt: {name}, {titel}, {wann}, {ort}."
    assert f"{label}: Die Platzhalter {{datum}}, {{Ort}} gibt es nicht. {there_are}" in page.text
    assert owed() == []


def test_markup_and_braces_stay_text_on_the_way(make, client, talk):
    make.registration(talk)
    typed = "<script>alert(1)</script> {0.__class__} {{7*7}} [x](https://evil.example)"
    page = preview(client, talk, body=typed)
    assert typed in page.text
    assert "<script>alert" not in page.html


def test_nobody_to_write_to_is_said(client, owed, talk):
    page = preview(client, talk)
    assert page.status == 422
    assert "Es ist niemand ausgewählt." in page.text
    assert page.form("form").values["subject"] == ["Raum geändert"]


def test_a_form_that_was_open_too_long_keeps_everything(make, client, owed, talk):
    make.registration(talk)
    page = preview(client, talk)
    sent = {**page.form("form").values, "csrf_token": "alt", "action": "send"}
    answer = Page(client.post(page.form("form").action, data=sent, headers={"Origin": "http://localhost"}))
    assert answer.status == 422
    assert "Das Formular war zu lange offen." in answer.text
    assert answer.form("form").values["subject"] == ["Raum geändert"]
    assert owed() == []


def test_if_those_ticked_are_gone_the_words_stay_and_others_can_be_chosen(make, client, owed, talk):
    ticked = make.registration(talk)
    make.registration(talk)
    changes = {"p": [ticked.ref], "action": "message"}
    page = Page(client.submit(f"/organise/events/{talk.id}/participants", changes, form="form"))
    with write():
        ticked.status = Status.CANCELLED
    page = Page(client.submit(page, TYPED, form="form"))
    assert (page.status, page.form("form").values["subject"]) == (422, ["Raum geändert"])
    assert "Von den Ausgewählten ist niemand zu erreichen:" in page.text
    assert "An 1 Person senden" in Page(client.submit(page, {"to": "confirmed"}, form="form")).text
    assert owed() == []


def test_if_everyone_is_gone_at_the_button_the_words_stay(make, client, owed, talk):
    one = make.registration(talk)
    page = preview(client, talk)
    with write():
        one.status = Status.CANCELLED
    page = Page(client.submit(page, {"action": "send"}, form="form"))
    assert (page.status, page.form("form").values["subject"]) == (422, ["Raum geändert"])
    assert owed() == []


@pytest.mark.parametrize("action", ["send", "test", "edit"])
@pytest.mark.parametrize("seal", ["", "gefälscht"])
def test_a_seal_that_is_not_ours_sends_nothing_and_keeps_the_words(make, client, talk, action, seal):
    make.registration(talk)
    page = Page(client.submit(preview(client, talk), {"action": action, "seal": seal}, form="form"))
    assert page.status in (200, 422)
    assert page.form("form").values["subject"] == ["Raum geändert"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Mailing)) == 0


def test_a_wrong_entry_keeps_those_who_were_ticked(make, client, talk):
    ticked = make.registration(talk, person=make.person(name="Ada"))
    make.registration(talk, person=make.person(name="Grace"))
    changes = {"p": [ticked.ref], "action": "message"}
    page = Page(client.submit(f"/organise/events/{talk.id}/participants", changes, form="form"))
    page = Page(client.submit(page, {**TYPED, "subject": ""}, form="form"))
    assert (page.status, "Ada" in page.text, "Grace" in page.text) == (422, True, False)


# --- delivery --------------------------------------------------------------------------------------------


@pytest.fixture
def mailing(make, organiser, talk):
    for name in ("Ada", "Grace", "Linus"):
        make.registration(talk, person=make.person(name=name))
    words = Words("Raum", "Saal")
    with write():
        chosen = recipients.choose(Choice(talk.id, Act.MESSAGE, search=Search()))
        seal = recipients.seal(chosen, talk.created_at, ("Raum", "Saal"))
    with write():
        return mailings.send(talk.id, seal, words, organiser, talk.created_at)


def settle(**errors):
    """Every mail sent but those named."""
    with write():
        for mail in db.session.scalars(sa.select(Message)):
            error = errors.get(mail.registration.name)
            mail.state, mail.error = (MessageState.FAILED, error) if error else (MessageState.SENT, "")


def test_the_delivery_says_who_did_not_get_it_why_and_what_to_do(client, talk, mailing):
    settle(Ada="This address does not exist.", Grace="The mailbox is full.")
    page = client.page(f"/organise/events/{talk.id}/messages/{mailing.id}")
    assert "gesendet: 1 · wartet: 0 · später: 0 · gescheitert: 2" in page.text
    assert "Rufen Sie die Person an und fragen Sie nach der richtigen Adresse." in page.text
    assert "Versuchen Sie es in einigen Tagen erneut" in page.text
    assert "data-poll" not in page.html
    assert "http-equiv" not in page.html


def test_a_failed_mail_is_tried_again(client, owed, talk, mailing):
    settle(Ada="This address does not exist.")
    failed = db.session.scalars(sa.select(Message.id).where(Message.state == MessageState.FAILED)).one()
    address = f"/organise/events/{talk.id}/messages/{mailing.id}"
    assert client.submit(address, form=f"retry-{failed}").status_code == 303
    assert len(owed()) == 1


def test_sending_is_stopped_for_good_once_it_is_paused(client, owed, talk, mailing):
    """Nobody ends it by one wrong press."""
    address = f"/organise/events/{talk.id}/messages/{mailing.id}"
    assert "stop" not in [form.action.rpartition("/")[2] for form in client.page(address).forms]
    client.submit(address, form="pause")
    assert client.submit(address, form="stop").status_code == 303
    assert owed() == []
    assert "nicht gesendet: 3" in client.page(address).text


def test_sending_can_be_paused_and_resumed(client, owed, talk, mailing):
    address = f"/organise/events/{talk.id}/messages/{mailing.id}"
    assert client.submit(address, form="pause").status_code == 303
    page = client.page(address)
    assert owed() == []
    assert "Angehalten. Es geht nichts mehr hinaus, bis Sie fortsetzen." in page.text
    assert "angehalten: 3" in page.text
    assert ("data-poll" in page.html, "http-equiv" in page.html) == (False, False)
    assert client.submit(page, form="resume").status_code == 303
    page = client.page(address)
    assert len(owed()) == 3
    assert "wartet: 3" in page.text
    assert ("angehalten" in page.text, "data-poll" in page.html) == (False, True)


def test_what_is_paused_can_be_stopped(client, owed, talk, mailing):
    address = f"/organise/events/{talk.id}/messages/{mailing.id}"
    client.submit(address, form="pause")
    assert client.submit(address, form="stop").status_code == 303
    page = client.page(address)
    assert "nicht gesendet: 3" in page.text
    assert [form.action for form in page.forms if "/messages/" in form.action] == []


def test_the_delivery_of_a_message_is_paused_by_organisers_only(app, make, talk, mailing, owed):
    visitor = app.test_client()
    visitor.sign_in(make.person())
    for act in ("pause", "resume", "stop"):
        assert visitor.post(f"/organise/events/{talk.id}/messages/{mailing.id}/{act}").status_code == 403
    assert len(owed()) == 3


def test_a_delivery_is_found_under_its_own_talk_only(make, client, talk, mailing):
    other = make.event()
    assert client.page(f"/organise/events/{other.id}/messages/{mailing.id}").status == 404
    assert client.page(f"/organise/events/{talk.id}/messages/99").status == 404
    assert "Raum" not in client.page(f"/organise/events/{other.id}/message").text
    assert "Raum" in client.page(f"/organise/events/{talk.id}/message").text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Mailing)) == 1


@pytest.mark.parametrize("number", [1, 3])
def test_the_delivery_asks_as_much_for_three_as_for_one(client, query_count, talk, mailing, number):
    names = ("Ada", "Grace", "Linus")[:number]
    settle(**dict.fromkeys(names, "The mailbox is full."))
    address = f"/organise/events/{talk.id}/messages/{mailing.id}"
    client.page(address)
    with query_count() as queries:
        assert client.page(address).status == 200
    assert len(queries) == 5
