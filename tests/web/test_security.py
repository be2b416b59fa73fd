"""Headers over all pages, static files, and where a form may come from (experience.md §1, safety.md I6 to I8, P13)."""

import pytest

from tests.pages import Page
from whatsnext.models import Status
from whatsnext.web import security

PUBLIC = ["/", "/en/", "/themes", "/pages/impressum", "/report-barrier", "/sign-in", "/no-such-page"]


@pytest.mark.parametrize("path", [*PUBLIC, "/health/live", "/organise/"])
def test_every_answer_carries_the_headers(client, path):
    headers = client.get(path).headers
    assert {name: headers.getlist(name) for name in security.HEADERS} == {
        name: [value] for name, value in security.HEADERS.items()
    }
    assert "Strict-Transport-Security" not in headers


def test_over_https_browsers_are_told_to_stay_there(make_app):
    client = make_app(base_url="https://localhost").test_client()
    headers = client.get("/", base_url="https://localhost").headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(("base", "secure"), [("http://localhost", False), ("https://localhost", True)])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(make_app, base, secure):
    client = make_app(base_url=base).test_client()
    page = Page(client.get("/sign-in", base_url=base))
    action, values = page.form("/sign-in").filled({"email": "nobody@behoerde.example"})
    answer = client.post(action, data=values, base_url=base)
    attributes = set(answer.headers["Set-Cookie"].split("; ")[1:])
    assert attributes == {"HttpOnly", "Path=/", "SameSite=Lax"} | ({"Secure"} if secure else set())


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_set_no_cookie_and_differ_by_it(client, make, path):
    make.event()
    answer = client.get(path)
    assert answer.headers.getlist("Set-Cookie") == []
    assert "Cookie" in answer.vary
    assert "no-store" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", [*PUBLIC, "/my-registrations"])
def test_pages_for_someone_signed_in_are_kept_by_nobody(client, make, path):
    client.sign_in(make.person())
    assert client.get(path).headers["Cache-Control"] == "private, no-store"


def test_no_page_holds_inline_script_or_style(organiser, make):
    event = make.event()
    make.registration(event, Status.CONFIRMED)
    for path in [*PUBLIC, f"/events/{event.slug}", "/organise/", f"/organise/events/{event.id}", "/my-registrations"]:
        html = organiser.page(path).html
        assert [part for part in ("style=", "<style", "onclick=", "javascript:", "<script>") if part in html] == [], (
            path
        )


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Origin": "http://localhost"}, False),
        ({"Origin": "http://127.0.0.1:8000"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "http://localhost.evil.example"}, True),
        ({"Origin": "http://localhost:81"}, True),
        ({"Origin": "https://localhost"}, True),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"}, True),
    ],
)
def test_forms_from_other_sites_are_refused_with_everything_kept(client, owed, headers, foreign):
    page = client.page("/report-barrier")
    action, values = page.form("/report-barrier").filled({"words": "Der Kontrast ist zu gering."})
    answer = client.post(action, data=values, headers=headers)
    assert answer.status_code == (422 if foreign else 303)
    assert len(owed()) == (0 if foreign else 1)
    if foreign:
        assert "von einer anderen Seite aus abgeschickt" in answer.text
        assert "Der Kontrast ist zu gering." in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "localhost@evil.example"]
)
def test_a_request_for_another_host_is_refused_and_owes_nothing(client, make, owed, host):
    ada = make.person()
    _action, values = client.page("/sign-in").form("/sign-in").filled({"email": ada.email})
    answer = client.post("/sign-in", data=values, headers={"Host": host})
    assert answer.status_code == 400
    assert "gehört nicht zu dieser Anwendung" in answer.text
    assert host not in answer.text
    assert owed() == []


def test_forwarded_headers_count_from_trusted_proxies_only(client, make_app, make):
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    assert client.get("/themes", headers=forwarded).status_code == 200
    assert make_app(trusted_proxies=1).test_client().get("/themes", headers=forwarded).status_code == 400


def test_static_files_are_kept_for_ever_under_names_of_their_content(client):
    html = client.page("/themes").html
    style = html.split('rel="stylesheet" href="')[-1].split('"')[0]
    answer = client.get(style, headers={"Accept-Encoding": "br"}, buffered=True)
    assert answer.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert (answer.headers["Content-Encoding"], answer.headers["X-Content-Type-Options"]) == ("br", "nosniff")
    sheet = client.get(style, buffered=True).text
    fonts = [part.split('"')[0] for part in sheet.split('url("')[1:] if "woff2" in part]
    assert len(fonts) == 4
    for font in fonts:
        assert "immutable" in client.get(f"/static/{font}", buffered=True).headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/static/../config.py", "/static/%2e%2e/config.py", "/static/README.md", "/static/"])
def test_nothing_else_is_served_as_static(client, path):
    assert client.get(path).status_code == 404
