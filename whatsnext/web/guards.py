"""Who looks at this page, and may they?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from whatsnext import clock
from whatsnext.db import write
from whatsnext.errors import Forbidden
from whatsnext.models import Person, Registration, SignedIn
from whatsnext.permissions import Right, may
from whatsnext.services import signin
from whatsnext.web import language

Given = ParamSpec("Given")
View = Callable[Given, ResponseReturnValue]

SIGNED_IN = "signed_in"
"""The entry of the cookie that holds the secret of a signed-in browser."""


def signed_in() -> SignedIn | None:
    """The signed-in state behind this request's cookie, read once a request; None without one that still holds."""
    if "signed_in" not in g:
        secret = session.get(SIGNED_IN)
        g.signed_in = signin.signed_in(secret, clock.now()) if isinstance(secret, str) else None
        g.seen_long_ago = g.signed_in is not None and signin.is_stale(g.signed_in, clock.now())
    found: SignedIn | None = g.signed_in
    return found


def viewer() -> Person | None:
    """The person who is signed in here, or None."""
    found = signed_in()
    return found.person if found else None


def keep_seen(response: Response) -> Response:
    """Note that the signed-in person was here, at most every five minutes, after the page is made."""
    secret = session.get(SIGNED_IN)
    if g.get("seen_long_ago") and isinstance(secret, str):
        with write():
            signin.note_seen(secret, clock.now())
    return response


def may_plan() -> bool:
    person = viewer()
    return may(person.role if person else None, Right.PLAN)


def may_open(registration: Registration) -> bool:
    """Whether the person signed in here may open this registration by its ref: their own only."""
    person = viewer()
    return person is not None and registration.person_id == person.id


def require(right: Right) -> ResponseReturnValue | None:
    """None if the person signed in here has `right`, else the way to sign in. Raises Forbidden for a lower role."""
    person = viewer()
    if person is None:
        return redirect(url_for("account.sign_in", next=target()), 303)
    if not may(person.role, right):
        raise Forbidden
    return None


def target() -> str:
    """Where to come back to after signing in: this page, if it can be opened again."""
    return (request.script_root + request.full_path).rstrip("?") if request.method == "GET" else ""


def own_path(path: str) -> str:
    """`path` rebuilt from the page of ours it names, with its query; "" for anything else (safety.md P8)."""
    try:
        parts = urlsplit(path)
    except ValueError:  # an address of nothing, as http://[::1
        return ""
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or "\\" in path or not path.isprintable():
        return ""
    base = language.base_path()
    inside = parts.path.removeprefix(base)
    prefix = next((p for p in language.PREFIXES.values() if inside == p or inside.startswith(p + "/")), "")
    adapter = current_app.url_map.bind("", script_name=base + prefix + "/")
    try:
        endpoint, values = adapter.match(inside.removeprefix(prefix) or "/", method="GET")
    except HTTPException:
        return ""
    return adapter.build(endpoint, values) + (f"?{parts.query}" if parts.query else "")


def protect(bp: Blueprint, right: Right) -> None:
    """Let nobody without `right` into any page of `bp`."""
    bp.before_request(lambda: require(right))


def fresh(view: View[Given]) -> View[Given]:
    """Ask for a proof younger than ten minutes before this page (safety.md I12): sign in once more."""

    @wraps(view)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> ResponseReturnValue:
        found = signed_in()
        if found is None or not signin.is_fresh(found, clock.now()):
            return redirect(url_for("account.sign_in", next=target(), fresh=1), 303)
        return view(*args, **kwargs)

    return guarded
