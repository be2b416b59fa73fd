"""The pages that only a sent form brings: how to get to each, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Response

from tests.browser.pages import World

SAVE = "#editor button[name=action][value=save]"


@dataclass(frozen=True)
class Posted:
    """A page behind a form: where to begin, what to do there (its last step returns the answer), the status."""

    start: str
    status: int
    act: Callable[[Page], Response]
    signed_in: bool = False


def press(page: Page, button: str) -> Response:
    """Press this button and wait for the page it brings."""
    with page.expect_navigation() as coming:
        page.locator(button).last.click()
    answer = coming.value
    assert answer is not None
    return answer


def pressed(button: str) -> Callable[[Page], Response]:
    """Send the form as it stands."""
    return lambda page: press(page, button)


def typed(button: str, **values: str) -> Callable[[Page], Response]:
    """Fill in these fields by name, then send."""

    def act(page: Page) -> Response:
        for name, value in values.items():
            page.fill(f"main [name={name}]", value)
        return press(page, button)

    return act


def every(world: World) -> dict[str, Posted]:
    """All of them by name."""
    links, organise = world.public, world.organise
    message = {"subject": "Raum 5 statt 3", "body": "Guten Tag {name}, wir sind in Raum 5."}
    return {
        "sign-up refused": Posted(links["open"], 422, pressed("#anmelden form button")),
        "sign-in refused": Posted("/sign-in", 422, typed("main form button", email="kim.muster@")),
        "code": Posted("/sign-in", 200, typed("main form button", email="nobody@behoerde.example")),
        "code refused": Posted("/sign-in", 422, _wrong_code),
        "address refused": Posted("/my-registrations", 422, pressed("main form button")),
        "choice refused": Posted(links["confirm"], 422, pressed("main form button[type=submit], main form button")),
        "editor refused": Posted(organise["editor"], 422, typed(SAVE, title=""), signed_in=True),
        "change": Posted(organise["editor"], 200, typed(SAVE, time="15:00"), signed_in=True),
        "conflict": Posted(organise["editor"], 409, _saved_meanwhile, signed_in=True),
        "invite again": Posted(organise["participants"], 200, _tick_and("invite"), signed_in=True),
        "nobody ticked": Posted(organise["participants"], 422, pressed("button[value=message]"), signed_in=True),
        "theme refused": Posted(organise["one theme"], 422, typed("#form button", name=""), signed_in=True),
        "message": Posted(organise["message"], 200, typed("button[value=preview]", **message), signed_in=True),
        "delivery": Posted(organise["message"], 200, lambda page: _sent(page, message), signed_in=True),
    }


def _wrong_code(page: Page) -> Response:
    typed("main form button", email="nobody@behoerde.example")(page)
    return typed("main form button", code="AAAA-2222")(page)


def _saved_meanwhile(page: Page) -> Response:
    """The form was made for an older version than the saved one."""
    page.locator("#editor [name=version]").evaluate("field => { field.value = 0 }")
    return typed(SAVE, title="Blockchain, neu betrachtet")(page)


def _tick_and(act: str) -> Callable[[Page], Response]:
    def tick(page: Page) -> Response:
        page.check("#scope-found")
        return press(page, f"button[value={act}]")

    return tick


def _sent(page: Page, message: dict[str, str]) -> Response:
    typed("button[value=preview]", **message)(page)
    return press(page, "button[value=send]")
