"""Who may open a registration, and how far (safety.md I5, I6).

A mailed link shows its registration and may give the place up: that is access by `link`. Whoever is signed in as the
attendee, has proved the address in this browser, or opens the link where the sign-up came from, has access as the
`own` person and may change what was typed. After a pressed button the address holds the ref, and the session cookie
remembers it: the secret is gone from the address bar.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import session

from whatsnext import clock
from whatsnext.errors import NotFound
from whatsnext.models import Registration
from whatsnext.services import registrations
from whatsnext.web import asking, guards

REMEMBERED = "registrations"
MOST = 20
REF = 26


@dataclass(frozen=True)
class Access:
    """A registration that may be opened. `sure`: a person has chosen here before, so one button is enough."""

    registration: Registration
    own: bool
    sure: bool


def opened(key: str) -> Access:
    """The registration behind a mailed token or a ref. Raises LinkInvalid, LinkExpired; NotFound for a ref not ours."""
    if len(key) != REF:
        registration = registrations.by_manage_token(key, clock.now())
        here = asking.asked_here(registration) and registration.proved_at is not None
        own = here or guards.may_open(registration) or _remembered(registration) == "own"
        return Access(registration, own=own, sure=own)
    registration = registrations.by_ref(key)
    remembered = _remembered(registration)
    own = guards.may_open(registration) or remembered == "own"
    if not own and remembered is None:
        raise NotFound
    return Access(registration, own=own, sure=True)


def remember(registration: Registration, *, own: bool) -> None:
    """Let this browser open the registration by its ref until the session ends or "new link" was pressed."""
    level = "own" if own or _remembered(registration) == "own" else "link"
    kept = {ref: value for ref, value in _kept().items() if ref != registration.ref}
    kept[registration.ref] = [registration.link_generation, level]
    session[REMEMBERED] = dict(list(kept.items())[-MOST:])


def refs() -> list[str]:
    """The refs of the registrations this browser remembers."""
    return list(_kept())


def _remembered(registration: Registration) -> str | None:
    generation, level = _kept().get(registration.ref, (None, None))
    return str(level) if generation == registration.link_generation else None


def _kept() -> dict[str, list[int | str]]:
    kept = session.get(REMEMBERED)
    return kept if isinstance(kept, dict) else {}
