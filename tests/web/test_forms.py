"""The base of all forms: its token, its fields, and that nothing typed is lost (safety.md P4 to P6, R5)."""

from datetime import date, time, timedelta

import pytest
from flask import g
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from tests.factories import NOON
from tests.pages import Page
from whatsnext import clock, i18n
from whatsnext.errors import CodeWrong, EventFull, RateLimited, TooManyTries
from whatsnext.web.forms import (
    DateField,
    Form,
    IntegerField,
    LineField,
    MailField,
    SlugField,
    TextField,
    TimeField,
    form_token_value,
)

STALE = "Das Formular war zu lange offen. Einfach noch einmal absenden."


class Sample(Form):
    name = LineField("Name", longest=20)
    about = TextField("Text", longest=50, optional=True)
    email = MailField("E-Mail-Adresse", optional=True)
    slug = SlugField("Adresse", optional=True)
    places = IntegerField("Plätze", least=1, most=500, optional=True)
    day = DateField("Datum", optional=True)
    at = TimeField("Uhrzeit", optional=True)


@pytest.fixture
def fill(app):
    """The form after these fields were sent with a good token."""

    def send(sent=(), **fields):
        values = MultiDict([("csrf_token", form_token(app)), *{"name": "Ada", **fields}.items(), *sent])
        with app.test_request_context("/", method="POST", data=values):
            form = Sample()
            form.validate()
            return form

    return send


def form_token(app):
    """The token of a page made anew."""
    with app.test_request_context("/"):
        g.pop("form_token", None)
        return form_token_value()


def test_what_is_typed_is_cleaned(fill):
    form = fill(name="  Ada   Lovelace ", about="Eins\r\nzwei", email="Ada@BEHOERDE.example", places=" 30 ")
    assert form.errors == {}
    data = {name: form.data[name] for name in ("name", "about", "email", "places", "day", "slug")}
    assert data == {
        "name": "Ada Lovelace",
        "about": "Eins\nzwei",
        "email": "ada@behoerde.example",
        "places": 30,
        "day": None,
        "slug": "",
    }


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("name", "", "Name: Diese Angabe fehlt noch."),
        ("name", "  ", "Name: Diese Angabe fehlt noch."),
        (
            "name",
            "A\nB",
            "Name: Zeilenumbrüche und Steuerzeichen sind hier nicht möglich. Tippen Sie den Text neu ein.",
        ),
        ("name", "x" * 10_000, "Name: Dieser Text hat 10000 Zeichen; möglich sind 20."),
        ("about", "A\x00B", None),
        ("about", "A\u202eB", None),
        ("email", "ada", "E-Mail-Adresse: Es fehlt das @-Zeichen."),
        ("email", "ada@", "E-Mail-Adresse: Es fehlt der Teil nach dem @-Zeichen."),
        ("slug", "Über uns", "Adresse: Möglich sind nur Kleinbuchstaben, Ziffern und einzelne Bindestriche."),
        ("places", "0", "Plätze: Möglich ist eine ganze Zahl von 1 bis 500."),
        ("places", "9" * 5000, "Plätze: Geben Sie eine ganze Zahl ein, zum Beispiel 30."),
        ("places", "drei", "Plätze: Geben Sie eine ganze Zahl ein, zum Beispiel 30."),
        ("day", "31.2.2027", "Datum: Geben Sie das Datum mit Tag, Monat und Jahr ein, zum Beispiel 14.01.2027."),
        ("day", "0001-01-01", "Datum: Das Jahr liegt zwischen 2000 und 2099."),
        ("at", "25:00", "Uhrzeit: Geben Sie die Uhrzeit mit Stunden und Minuten ein, zum Beispiel 14:00."),
    ],
)
def test_what_cannot_be_taken_is_refused_at_its_field_and_stays(fill, app, field, typed, message):
    form = fill(**{field: typed})
    assert list(form.errors) == [field]
    if message:
        assert form.errors[field] == [message]
    shown = getattr(form, field)._value()
    assert str(shown).strip() == typed.strip()


def test_days_and_times_may_be_typed_as_people_write_them(fill):
    form = fill(day="14.01.2027", at="9.30")
    assert (form.day.data, form.at.data) == (date(2027, 1, 14), time(9, 30))


def test_unknown_and_doubled_fields_are_refused(fill):
    strange = "Das Formular enthielt Felder, die nicht dazugehören. Prüfen Sie Ihre Angaben und senden Sie es ab."
    for sent in ([("role", "operator")], [("name", "Grace")], [("state", "confirmed")], [("event_id", "1")]):
        form = fill(sent)
        assert (form.form_errors, form.status, form.name.data) == ([strange], 422, "Ada")
    assert fill([("action", "preview")]).errors == {}


def test_the_key_is_the_token_s_own(app):
    keys = []
    first = form_token(app)
    second = form_token(app)
    for token in (first, first, second):
        with app.test_request_context("/", method="POST", data={"csrf_token": token, "name": "Ada"}):
            form = Sample()
            assert form.key == ""
            assert form.validate_on_submit()
            keys.append(form.key)
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 22


def test_a_token_is_made_only_where_a_form_is_shown(app, fill):
    """Signing one takes longer than reading some fields; what was sent and taken is not shown again."""
    with app.test_request_context("/", method="POST", data={}):
        form = Form()
        form.validate_on_submit()
        assert "form_token" not in g
        assert form.csrf_token() == form.csrf_token() != ""
        assert g.form_token in form.csrf_token()


def test_a_token_is_good_for_a_day(app, at):
    token = form_token(app)
    for later, errors in ((timedelta(hours=24, seconds=-1), {}), (timedelta(hours=24), {"csrf_token": [STALE]})):
        at(NOON + later)
        with app.test_request_context("/", method="POST", data={"csrf_token": token, "name": "Ada"}):
            form = Sample()
            form.validate()
            assert form.errors == errors


@pytest.mark.parametrize("token", ["", "x", "W10.AAAA", "\x00", "a.b.c"])
def test_a_strange_token_brings_the_form_back_filled_with_a_good_one(client, token):
    answer = client.post("/report-barrier", data={"csrf_token": token, "words": "Zu klein"})
    page = Page(answer)
    assert (page.status, STALE in page.text, "Zu klein" in page.html) == (422, True, True)
    assert client.submit(page, {}, form="/report-barrier").status_code == 303


def test_a_token_made_for_somebody_else_is_refused(app, client, make):
    _action, public = client.page("/report-barrier").form("/report-barrier").filled({"words": "x"})
    client.sign_in(make.person())
    _action, hers = client.page("/report-barrier").form("/report-barrier").filled({"words": "x"})
    assert client.post("/report-barrier", data=public).status_code == 422
    other = app.test_client()
    assert other.post("/report-barrier", data=hers).status_code == 422
    assert client.post("/report-barrier", data=hers).status_code == 303


def test_a_refusal_of_the_domain_stands_at_its_field_or_above(app):
    with app.test_request_context("/"):
        until = clock.now()
        for error, status in (
            (EventFull(), 409),
            (CodeWrong(), 422),
            (TooManyTries(), 429),
            (RateLimited(time="15:20 Uhr", until=until, seconds=60), 429),
        ):
            form = Sample()
            form.refuse(error)
            assert (form.form_errors, form.status) == ([error.message], status)
        form = Sample()
        error = CodeWrong()
        error.field = "name"
        form.refuse(error)
        assert form.errors == {"name": [error.message]}


def test_the_words_of_the_library_are_ours(app):
    with app.test_request_context("/"):
        form = Sample()
        for said in ("This field is required.", "Not a valid choice.", "Not a valid integer value."):
            assert form.name.gettext(said) != said
        assert form.name.ngettext("'%(value)s' is not a valid choice", "many", 1) == "Wählen Sie einen der Einträge."
        with i18n.speaking("en"):
            assert form.name.gettext("This field is required.") == "Fill in this field."


@given(typed=st.text(max_size=60))
def test_no_text_breaks_a_field(typed):
    field = LineField("Name", longest=20).bind(form=None, name="name", _meta=Form.Meta())
    try:
        field.process_formdata([typed])
    except ValueError:
        assert field.data == (typed if typed.strip() else "")
    else:
        assert len(field.data) <= 20
        assert "\n" not in field.data
