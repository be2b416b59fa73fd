"""What shall be better here than elsewhere, in a real browser (experience.md §6).

The rest is in tests/web/test_ten_points.py.
"""

import itertools
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import people, pixels
from tests.browser.people import Human, Look
from tests.browser.test_every_page import world  # noqa: F401 (a fixture)
from tests.mail import worlds
from tests.web import robot
from whatsnext import clock, tokens
from whatsnext.db import write
from whatsnext.models import Kind
from whatsnext.services import signin

pytestmark = pytest.mark.browser

LANGUAGES = pytest.mark.parametrize("language", ["de", "en"])
FOLD = {"width": 390, "height": 844}
HEAVIEST = 120_000
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), label = one.labels && one.labels[0];
  const around = [one, label, one.closest('.kern-card'), one.parentElement].filter(Boolean);
  const near = around.flatMap(part => [getComputedStyle(part), getComputedStyle(part, '::after')]);
  const ring = near.some(look => (look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2)
    || (look.boxShadow !== 'none' && look.boxShadow !== ''));
  const box = one.getBoundingClientRect();
  return {name: one.name || one.textContent.trim().slice(0, 40), tag: one.tagName, type: one.type || '', ring,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight, id: one.id, href: one.getAttribute('href') || ''};
}"""


def at(prefix: str, path: str) -> str:
    return ("" if prefix == "de" else "/en") + path


@pytest.fixture
def site(serve, smtp):
    return serve(mail_server="127.0.0.1", mail_port=smtp.port, mail_default_sender="next@behoerde.example")


# --- 1 ---------------------------------------------------------------------------------------------------


@LANGUAGES
def test_1_a_stranger_without_scripts_is_in_after_two_pages(site, smtp, browser, make, language):
    make.event(slug="t", places_on_site=9, starts_local=None)
    ada = Human(browser, site, smtp, Look(language, 390, scripts=False), "ada@behoerde.example", "Ada Beispiel")
    opened: list[str] = []
    ada.page.on("request", lambda request: opened.append(request.url) if request.method == "POST" else None)
    ada.go("/events/t")
    asked = ada.page.locator("#anmelden :is(input, textarea, select):not(.wn-trap *):visible")
    assert sorted({one.get_attribute("name") for one in asked.all()}) == [
        "agency", "email", "name", "needs", "needs_consent",
    ]  # fmt: skip
    people.attendee_signs_up(ada, "/events/t")
    assert len(opened) == 2
    assert ada.reads(ada.words("You take part: on site"))
    ada.close()


# --- 2 ---------------------------------------------------------------------------------------------------


@LANGUAGES
def test_2_when_where_places_and_button_stand_within_the_first_view(browser, world, language):  # noqa: F811
    page, site, built = visitor(browser, world, viewport=FOLD)
    low = []
    for name in ("open", "moved", "english"):
        page.goto(site + at(language, built.public[name]))
        facts = page.locator("aside dd")
        parts = [*(facts.nth(number) for number in range(3)), page.locator("aside a.kern-btn--primary")]
        low += [(name, below(part)) for part in parts if below(part) > FOLD["height"]]
    assert low == []
    page.emulate_media(media="print")
    on_paper = {what: page.locator(what).first.is_visible() for what in ("h1", "aside dd", "#anmelden", "details")}
    assert on_paper == {"h1": True, "aside dd": True, "#anmelden": False, "details": False}
    page.context.close()


@LANGUAGES
def test_2_a_page_is_light_asks_no_one_else_and_sets_no_cookie(browser, world, language):  # noqa: F811
    """A name with letters beyond Latin-1, such as Ayşe, loads the extended letters too: 40 kB more, once."""
    for name in ("home", "moved", "themes", "theme", "sign in", "barrier", "hilfe"):
        page, site, built = visitor(browser, world, viewport=FOLD)  # a browser that has kept nothing yet
        sizes: list[float] = []
        urls: list[str] = []
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        page.on("request", lambda request, urls=urls: urls.append(request.url))
        page.goto(site + at(language, built.public[name]), wait_until="networkidle")
        assert [url for url in urls if not url.startswith((site, "data:"))] == []
        assert (name, len(sizes) >= 4, sum(sizes) <= HEAVIEST) == (name, True, True), sum(sizes)
        assert page.context.cookies() == []
        page.context.close()


def test_2_no_cookie_on_any_public_page_until_a_form_is_sent(browser, world):  # noqa: F811
    page, site, built = visitor(browser, world, viewport=FOLD)
    for path in built.public.values():
        page.goto(site + path)
    assert page.context.cookies() == []
    page.context.close()


def visitor(browser: Browser, world: Any, **look: Any) -> tuple[Page, str, Any]:  # noqa: F811
    site, built, _cookie = world
    return browser.new_context(**look).new_page(), site, built


def below(one: Any) -> float:
    box = one.bounding_box()
    assert box is not None
    return float(box["y"] + box["height"])


# --- 3 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_3_in_forced_colours_a_chosen_radio_and_every_icon_can_be_seen(browser, world, scheme):  # noqa: F811
    page, site, built = visitor(browser, world, viewport=FOLD, forced_colors="active", color_scheme=scheme)
    page.goto(site + built.public["open"])
    radios = page.locator("#anmelden input[type=radio]")
    assert radios.count() == 2
    empty = pixels.read(radios.nth(0).screenshot())
    radios.nth(0).check()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    chosen = pixels.read(radios.nth(0).screenshot())
    inside = len(empty.rows) * len(empty.rows[0])
    assert empty.differing(chosen) > inside / 25
    page.click("#anmelden button.kern-btn--primary")
    assert {"open": unseen(page)} == {"open": []}
    for name in ("cancelled", "moved", "past", "home", "confirmed", "waiting"):
        page.goto(site + built.public[name])
        assert {name: unseen(page)} == {name: []}
    page.context.close()


def unseen(page: Page) -> list[str]:
    """The icons whose picture holds next to nothing but its background."""
    hidden = []
    for icon in page.locator(".kern-icon:visible").all():
        found = pixels.read(icon.screenshot()).colours
        background, count = found.most_common(1)[0]
        drawn = [colour for colour in found if abs(sum(colour) - sum(background)) > 200]
        if sum(found[colour] for colour in drawn) < count / 50:
            hidden.append(str(icon.get_attribute("class")))
    return hidden


# --- 8, keyboard -----------------------------------------------------------------------------------------


@LANGUAGES
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_keyboard_alone_leads_from_the_talks_to_a_sent_sign_up(browser, world, language, scripts):  # noqa: F811
    """Every stop shows where the focus is; a refused form takes it to the summary, whose links lead to the fields."""
    page, site, built = visitor(browser, world, viewport=FOLD, java_script_enabled=scripts)
    page.goto(site + at(language, "/"))
    walk(page, lambda stop: stop["href"].endswith(built.public["open"]))
    press(page)
    assert page.url.endswith(built.public["open"])
    walk(page, lambda stop: stop["href"] == "#anmelden")
    page.keyboard.press("Enter")
    walk(page, lambda stop: stop["name"] == "name")
    walk(page, lambda stop: stop["tag"] == "BUTTON")
    press(page)
    stop = focused(page)
    assert (stop["id"], stop["ring"]) == ("errors", True)
    walk(page, lambda one: one["href"] == "#name")
    page.keyboard.press("Enter")
    for name, words in (("name", "Ada"), ("email", "ada@behoerde.example"), ("agency", "Stadt Köln")):
        if focused(page)["name"] != name:
            walk(page, lambda one, name=name: one["name"] == name)
        page.keyboard.type(words)
    walk(page, lambda one: one["name"] == "mode")
    page.keyboard.press("Space")
    walk(page, lambda one: one["tag"] == "BUTTON")
    press(page)
    assert "check-your-mail" in page.url
    page.context.close()


def walk(page: Page, wanted: Any) -> None:
    """Tab on until the wanted stop; every stop on the way is in view and wears a ring."""
    for _ in range(80):
        page.keyboard.press("Tab")
        stop = focused(page)
        assert stop is not None
        assert (stop["ring"], stop["seen"]) == (True, True), stop
        if wanted(stop):
            return
    raise AssertionError("never came there")


def focused(page: Page) -> Any:
    """Where the focus is once the page has stopped scrolling to it. We wait: without scripts a page has no timers."""
    end = time.monotonic() + 1
    stop = page.evaluate(FOCUSED)
    while stop and not stop["seen"] and time.monotonic() < end:
        time.sleep(0.05)
        stop = page.evaluate(FOCUSED)
    return stop


def press(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


# --- 9 ---------------------------------------------------------------------------------------------------


def test_9_opening_any_mailed_link_ten_times_with_scripts_changes_no_row(app, serve, browser, make, sent):
    """One mail of every kind, in German and English in turn; its links are opened at the address the site has here.

    The site runs without a worker: what changes is then the doing of whoever opens the links.
    """
    site = serve(worker=False)
    for kind, language in zip(Kind, itertools.cycle(("de", "en"))):
        facts: dict[str, Any] = {}
        if kind is Kind.SIGN_IN:
            with write():
                link, code = signin._new_link(make.person(), tokens.digest("b" * 43), "", clock.now())[1:]
            facts["facts"] = {"link_token": link, "code": code}
        worlds.owed(make, kind, language, **facts)
    mails = sent()
    assert len(mails) >= len(Kind)
    links = sorted({link for mail in mails for link in people.LINK.findall(mail.part("text/plain"))})
    assert len(links) > 10
    before = robot.rows()
    context = browser.new_context()
    tabs = [context.new_page() for _ in range(10)]
    for link in links:
        for tab in tabs:
            tab.goto(site + re.sub(r"^http://[^/]+", "", link), wait_until="commit")
        for tab in tabs:
            tab.wait_for_load_state("load")
    assert robot.rows() == before
    context.close()
