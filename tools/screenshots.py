"""Take the screenshots of the documentation: python -m tools.screenshots [name …]

Starts the demo on a folder of its own, lets some calendars answer, walks through it as a visitor and as an organiser,
and writes each page at 390 and at 1280 px to docs/screenshots/.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

from tools import answers

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "screenshots"
WIDTHS = {390: 844, 1280: 900}
TALLEST = 2400
INVITATION = "Einladung: Blockchain"
SIGN_IN_LINK = re.compile(r"https?://\S+/sign-in/\S+")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def demo() -> Iterator[tuple[str, str]]:
    """A running demo: its address and the organiser's sign-in link."""
    with tempfile.TemporaryDirectory() as folder:
        port, lmtp = free_port(), free_port()
        given = {"PORT": str(port), "INSTANCE": folder, "LMTP_LISTEN": f"127.0.0.1:{lmtp}", "PYTHONUNBUFFERED": "1"}
        environment = {**os.environ, **given}
        command = [sys.executable, "-m", "whatsnext"]
        subprocess.run([*command, "demo"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen([*command, "serve"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            link = next((found.group() for line in process.stdout or () if (found := SIGN_IN_LINK.search(line))), None)
            if link is None:
                raise SystemExit("the demo printed no sign-in link")
            answers.give(Path(folder), lmtp, INVITATION)
            yield f"http://127.0.0.1:{port}", link
        finally:
            process.terminate()
            process.wait(30)
            if process.stdout:
                process.stdout.close()


def first_link(page: Page, pattern: str) -> str:
    """The address of the first link whose path matches."""
    addresses: list[str] = page.eval_on_selector_all("main a[href]", "links => links.map(link => link.href)")
    return next(address for address in addresses if re.search(pattern, address))


def home(page: Page, address: str) -> None:
    page.goto(f"{address}/")


def event(page: Page, address: str) -> None:
    home(page, address)
    page.goto(first_link(page, r"/events/[^/]+$"))


def sign_up_errors(page: Page, address: str) -> None:
    event(page, address)
    page.fill("#anmelden [name=name]", "Kim Muster")
    page.fill("#anmelden [name=email]", "kim.muster@")
    with page.expect_navigation():
        page.click("#anmelden form button")
    page.locator(".wn-errors").evaluate("summary => summary.focus()")


def registration(page: Page, address: str) -> None:
    mail(page, address, INVITATION, to="0@")
    page.goto(first_link(page, r"/registrations/[^/]+$"))
    height(page, 600)


def overview(page: Page, address: str) -> None:
    page.goto(f"{address}/organise")


def participants(page: Page, address: str) -> None:
    overview(page, address)
    page.goto(first_link(page, r"/participants").split("?")[0])


def editor(page: Page, address: str) -> None:
    participants(page, address)
    page.goto(page.url.removesuffix("/participants"))


def mailbox(page: Page, address: str) -> None:
    page.goto(f"{address}/mailbox")


def mail(page: Page, address: str, subject: str = "Geändert: Cloud", to: str = "@") -> None:
    # What lies outside of the window may not be painted: the frame would stay white.
    height(page, TALLEST)
    mailbox(page, address)
    row = page.locator("main tr", has_text=subject).filter(has_text=to).first
    page.goto(row.get_by_role("link").evaluate("link => link.href"))
    page.frame_locator("iframe").locator("body").wait_for()


def height(page: Page, wanted: int) -> None:
    size = page.viewport_size
    if size:
        page.set_viewport_size({"width": size["width"], "height": wanted})


def as_read(page: Page, address: str, subject: str) -> None:
    """A mail alone, as a mail program shows it."""
    mail(page, address, subject)
    height(page, 600)
    page.goto(page.locator("iframe").evaluate("frame => frame.src"))


def invitation(page: Page, address: str) -> None:
    as_read(page, address, INVITATION)


def update(page: Page, address: str) -> None:
    as_read(page, address, "Geändert: Cloud")


def cancellation(page: Page, address: str) -> None:
    as_read(page, address, "Abgesagt: ")


def subscription(page: Page, address: str) -> None:
    page.goto(f"{address}/subscribe")


def answered(page: Page, address: str) -> None:
    participants(page, address)
    page.goto(first_link(page, "invited=accepted"))


def sent_back(page: Page, address: str) -> None:
    participants(page, address)
    with page.expect_navigation():
        page.locator("tr", has_text="Mails kommen zurück").get_by_role("link").first.click()


def incoming(page: Page, address: str) -> None:
    page.goto(f"{address}/organise/incoming")


def change(page: Page, address: str) -> None:
    editor(page, address)
    page.fill("[name=time]", "15:00")
    with page.expect_navigation():
        page.get_by_role("button", name="Speichern", exact=True).first.click()


VISITED: dict[str, Callable[[Page, str], None]] = {
    "home": home,
    "event": event,
    "sign-up-errors": sign_up_errors,
    "mailbox": mailbox,
    "mail": mail,
    "invitation": invitation,
    "update": update,
    "cancellation": cancellation,
    "registration": registration,
    "subscription": subscription,
}
ORGANISED: dict[str, Callable[[Page, str], None]] = {
    "overview": overview,
    "participants": participants,
    "answered": answered,
    "sent-back": sent_back,
    "incoming": incoming,
    "editor": editor,
    "change": change,
}


def take(browser: Browser, address: str, link: str, wanted: set[str]) -> None:
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    for group in (VISITED, ORGANISED):
        if group is ORGANISED:
            page.goto(link)
            with page.expect_navigation():
                page.click("main form button")
        for name, go in group.items():
            if not wanted or name in wanted:
                for width, height in WIDTHS.items():
                    page.set_viewport_size({"width": width, "height": height})
                    go(page, address)
                    tall: int = page.evaluate("document.documentElement.scrollHeight")
                    part = FloatRect(x=0, y=0, width=width, height=min(tall, TALLEST))
                    page.screenshot(path=PICTURES / f"{name}-{width}.png", full_page=True, clip=part)
    context.close()


def main(wanted: set[str]) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with demo() as (address, link), sync_playwright() as playwright:
        flags = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0, args=flags)
        take(browser, address, link, wanted)
        browser.close()


if __name__ == "__main__":
    main(set(sys.argv[1:]))
