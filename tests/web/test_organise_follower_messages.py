import pytest

from tests.pages import Page
from whatsnext.models import Kind

TYPED = {"subject": "Noch Plätze frei", "body": "Guten Tag {name},\n\nmelden Sie sich an.", "to": "followers"}


@pytest.fixture
def talk(make, client):
    client.sign_in(make.organiser(name="Kim Muster", email="kim@behoerde.example"))
    theme = make.theme(name="Register")
    for name in ("Ada", "Grace"):
        make.follow(make.person(name=name, email=f"{name.lower()}@behoerde.example"), theme_id=theme.id)
    return make.event(title="Vortrag", theme_id=theme.id)


def preview(client, talk, **changes):
    return Page(client.submit(f"/organise/events/{talk.id}/message", {**TYPED, **changes}, form="form"))


def test_the_preview_counts_those_who_follow_names_none_and_sends_nothing(client, owed, talk):
    page = preview(client, talk)
    assert (page.status, owed()) == (200, [])
    for words in ("2 Personen, die dem Thema „Register“ folgen", "An 2 Personen senden", "Noch Plätze frei (Vortrag)"):
        assert words in page.text
    for word in ("Ada", "Grace", "ada@", "grace@"):
        assert word not in page.text


def test_the_button_sends_one_mail_to_each_and_leads_to_the_delivery(client, owed, talk):
    answer = client.submit(preview(client, talk), {"action": "send"}, form="form")
    assert answer.status_code == 303
    assert [kind for kind, _person in owed()] == [Kind.FOLLOWER_MESSAGE] * 2
    page = client.page(answer.location)
    assert "Nachricht an 2 Personen: 0 gesendet" in page.text
    assert "pause" in {form.action.rpartition("/")[2] for form in page.forms}


def test_a_test_goes_to_the_organiser_and_the_preview_stays(client, owed, talk):
    page = Page(client.submit(preview(client, talk), {"action": "test"}, form="form"))
    assert [(kind, person.email) for kind, person in owed()] == [(Kind.ORGANISER_MESSAGE, "kim@behoerde.example")]
    assert "Ein Test ist unterwegs an kim@behoerde.example." in page.text
    assert client.submit(page, {"action": "send"}, form="form").status_code == 303


def test_writing_on_keeps_words_and_choice(client, owed, talk):
    page = Page(client.submit(preview(client, talk), {"action": "edit"}, form="form"))
    values = page.form("form").values
    assert (values["subject"], values["to"], owed()) == (["Noch Plätze frei"], ["followers"], [])


def test_if_more_follow_meanwhile_the_new_number_is_shown_and_nothing_is_sent(make, client, owed, talk):
    page = preview(client, talk)
    make.follow(theme_id=talk.theme_id)
    page = Page(client.submit(page, {"action": "send"}, form="form"))
    assert (page.status, "An 3 Personen senden" in page.text, owed()) == (409, True, [])
    assert client.submit(page, {"action": "send"}, form="form").status_code == 303


def test_a_seal_that_is_not_ours_sends_nothing_and_keeps_the_words(client, owed, talk):
    page = Page(client.submit(preview(client, talk), {"action": "send", "seal": "x"}, form="form"))
    assert (page.status, page.form("form").values["subject"], owed()) == (422, ["Noch Plätze frei"], [])


def test_a_wrong_entry_keeps_the_choice(client, talk):
    page = preview(client, talk, subject="")
    assert (page.status, page.form("form").values["to"]) == (422, ["followers"])


def test_without_followers_they_cannot_be_chosen(make, client):
    client.sign_in(make.organiser())
    talk = make.event(theme_id=make.theme().id)
    assert "followers" not in client.page(f"/organise/events/{talk.id}/message").html
    form = client.page(f"/organise/events/{talk.id}/message")
    page = Page(client.submit(form, TYPED, form="form"))
    assert page.status == 422
