"""Every page in a real browser: axe, both languages, light and dark, narrow, nothing from elsewhere, no refusals."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import pages, posted

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "node_modules/axe-core/axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast"]
"""What may differ between light and dark."""
RUN_AXE = """async rules => {
  const result = await axe.run({runOnly: rules});
  return result.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 200))]);
}"""
SPACED = """() => {
  const style = new CSSStyleSheet();
  style.replaceSync('* {line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important}'
    + 'p {margin-block-end: 2em !important}');
  document.adoptedStyleSheets = [style];
}"""
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    const scrolls = one.closest('.kern-table-responsive, .wn-scroll, .kern-sr-only, .wn-skip');
    return !scrolls && box.width > 0 && box.right > innerWidth + 1;
  }).slice(0, 3).map(one => one.outerHTML.slice(0, 160))"""


LANGUAGES = ["", "/en"]
"""A page behind a form is opened in one of them, the pages in turn; the others in both."""


@pytest.fixture
def world(make_app: Any, database: Any, serve: Any) -> tuple[str, pages.World, str]:
    """The demo, served: its address, its pages, the organiser's cookie."""
    app = make_app(mail_server="", mail_default_sender="", demo=True)
    with app.app_context():
        built, cookie = pages.build(app), pages.organiser_cookie(app)
    return serve(mail_server="", demo=True, worker=False), built, cookie


class Tour:
    """Opens every page of a group in one context and collects what is wrong."""

    def __init__(self, browser: Browser, world: tuple[str, pages.World, str], **look: Any) -> None:
        self.site, self.pages, self.cookie = world
        self.browser, self.look = browser, look
        self.wrong: list[Any] = []

    def open(self, prefix: str, check: Any) -> None:
        for signed_in, paths in ((False, self.pages.public), (True, self.pages.organise)):
            context = self.browser.new_context(**self.look)
            if signed_in:
                context.add_cookies([{"name": "whatsnext", "value": self.cookie, "url": self.site}])
            page = self._listening(context)
            for name, path in paths.items():
                answer = page.goto(self.site + prefix + path)
                assert answer is not None
                assert answer.status < 500, path
                assert (answer.status < 400) is (name not in ("missing", "bad link")), (path, answer.status)
                self.wrong += [(prefix or "/de", name, *one) for one in check(page)]
            context.close()

    def send(self, prefix: str, check: Any, *, turn: int, turns: int) -> None:
        """The pages behind forms: this turn's share of them."""
        chosen = list(posted.every(self.pages).items())[turn::turns]
        for signed_in in (False, True):
            context = self.browser.new_context(**self.look)
            if signed_in:
                context.add_cookies([{"name": "whatsnext", "value": self.cookie, "url": self.site}])
            page = self._listening(context)
            for name, one in chosen:
                if one.signed_in is signed_in:
                    page.goto(self.site + prefix + one.start)
                    assert one.act(page).status == one.status, name
                    self.wrong += [(prefix or "/de", name, *found) for found in check(page)]
            context.close()

    def _listening(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("console", lambda message: self._complaint(page, message))
        page.on("request", lambda request: self._request(page, request.url))
        return page

    def _complaint(self, page: Page, message: Any) -> None:
        if message.type in ("error", "warning") and "server responded with a status of 4" not in message.text:
            self.wrong.append((page.url, message.text))

    def _request(self, page: Page, url: str) -> None:
        if not url.startswith((self.site, "data:", "about:")):
            self.wrong.append((page.url, "third party", url))


def axe(page: Page) -> list[Any]:
    """All rules in light, those about colours in dark as well."""
    page.evaluate(AXE + ";0")
    found = list(page.evaluate(RUN_AXE, RULES))
    page.emulate_media(color_scheme="dark")
    found += [("dark", *each) for each in page.evaluate(RUN_AXE, OF_COLOURS)]
    page.emulate_media(color_scheme="light")
    return found


def narrow(page: Page) -> list[Any]:
    page.evaluate(SPACED)
    sideways = page.evaluate("() => document.documentElement.scrollWidth")
    return [("sideways scroll", sideways, page.evaluate(TOO_WIDE))] if sideways > 320 else []


def axe_and_narrow(page: Page) -> list[Any]:
    """Both at once, where getting to a page takes longer than looking at it."""
    found, before = axe(page), page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    found += narrow(page)
    assert before is not None
    page.set_viewport_size(before)
    return found


@pytest.mark.parametrize("prefix", LANGUAGES, ids=["German", "English"])
def test_axe_finds_nothing_on_any_page(browser, world, prefix):
    tour = Tour(browser, world, color_scheme="light", viewport={"width": 390, "height": 844})
    tour.open(prefix, axe)
    tour.send(prefix, axe_and_narrow, turn=LANGUAGES.index(prefix), turns=len(LANGUAGES))
    assert tour.wrong == []


def test_no_page_scrolls_sideways_at_320_px_with_text_spacing(browser, world):
    tour = Tour(browser, world, viewport={"width": 320, "height": 640})
    tour.open("", narrow)
    assert tour.wrong == []
