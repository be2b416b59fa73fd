"""Every "no" as a designed page: what it is, in the reader's language, and one way on (experience.md §4, Errors).

What nobody foresaw becomes a page that needs neither database nor templates; its number stands in the log.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.exceptions import InternalServerError as ServerError

from whatsnext import clock
from whatsnext.db import WHOLE_TRIES, db, is_current, pause_before_next_try, was_in_the_way
from whatsnext.errors import (
    Conflict,
    DomainError,
    Forbidden,
    LinkExpired,
    LinkInvalid,
    LinkUsed,
    NotFound,
    TooManyTries,
    WrongBrowser,
)
from whatsnext.i18n import lazy_gettext as _l
from whatsnext.logs import places
from whatsnext.services import catalogue, waiting_list
from whatsnext.web import assets, guards
from whatsnext.web.public import cards

log = logging.getLogger(__name__)

KEPT_HEADERS = ("Allow", "Retry-After")
STATUS: tuple[tuple[type[DomainError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (WrongBrowser, 403),
    (Conflict, 409),
    (TooManyTries, 429),
    (LinkExpired, 410),
    (LinkUsed, 410),
    (LinkInvalid, 400),
)


@dataclass(frozen=True)
class Words:
    """What a page says: its heading, and what to do."""

    title: Any
    advice: Any = ""


PAGES = {
    400: Words(
        _l("This request cannot be understood."),
        _l("Copy the address from the message as a whole, or go to the talks and start from there."),
    ),
    403: Words(_l("This page is for the organisers."), _l("Sign in with an address that may open it.")),
    404: Words(
        _l("This page does not exist (any more)."),
        _l("Perhaps the talk has been renamed, or the address is not complete."),
    ),
    405: Words(_l("This address cannot be used this way."), _l("Go back and use the button on the page.")),
    409: Words(_l("This has changed meanwhile."), _l("Open the page anew to see how it stands now.")),
    410: Words(
        _l("This link has expired."),
        _l("Links in messages are good for a limited time, some only once, and a new one ends those before."),
    ),
    413: Words(
        _l("What you sent is too large (1 MB at most)."),
        _l("Go back and shorten the text; what you typed still stands there."),
    ),
    422: Words(_l("This cannot be done."), _l("Go back and check what you have entered.")),
    429: Words(_l("Too many attempts."), _l("Wait a little and try again.")),
}


def status_of(error: DomainError) -> int:
    """The HTTP status that goes with a "no" of the domain."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 422)


def page(status: int, title: str = "") -> ResponseReturnValue:
    """The designed page for this status; `title` says it more closely than the status does."""
    words = PAGES.get(status, PAGES[400])
    shown = {"title": title or words.title, "advice": words.advice, "status": status}
    if status == 404:
        shown["talks"] = next_talks(3)
    shown["lost"] = status == 410
    if status == 403:
        shown["sign_in"] = url_for("account.sign_in", next=guards.target(), other=1 if guards.viewer() else None)
    return render_template("errors/page.html", **shown), status


def next_talks(number: int) -> list[cards.Card]:
    """The talks to come, for a page that otherwise ends here."""
    now = clock.now()
    events = catalogue.coming(now, number, cancelled=False)
    return cards.cards(events, waiting_list.places(events), now)


def handle_domain_error(error: DomainError) -> ResponseReturnValue:
    db.session.rollback()
    if "seconds" in error.facts:
        g.retry_after = error.facts["seconds"]
    return page(status_of(error), error.message)


def handle_http_error(error: HTTPException) -> ResponseReturnValue:
    """What Flask itself refuses. A request for another host gets a page without a single link (safety.md I7)."""
    if isinstance(error, SecurityError):
        return _plain(400, "Diese Adresse gehört nicht zu dieser Anwendung.", "This address is not ours.")
    if isinstance(error, ServerError):
        return handle_unforeseen(error.original_exception or error)
    if error.code == 404 and (moved := _without_slash()):
        return moved
    response = current_app.make_response(page(error.code if error.code in PAGES else 400))
    response.status_code = error.code or 400
    for name, value in error.get_headers():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def _without_slash() -> Response | None:
    """`/themes/` is `/themes`, if that is a page of ours: a slash too many is no reason to send people away."""
    path = request.path.rstrip("/")
    if request.method != "GET" or not request.path.endswith("/") or not guards.own_path(request.script_root + path):
        return None
    return current_app.make_response(redirect(request.script_root + path, 301))


def handle_database_away(error: DBAPIError) -> ResponseReturnValue:
    """The database does not answer: nothing was done, and soon it may again (safety.md B3).

    Where PostgreSQL only gave our transaction up for another's sake the whole view is done anew (safety.md B2): it has
    left nothing behind, and its form is read already.
    """
    for _number in range(1, WHOLE_TRIES):
        if not was_in_the_way(error):
            break
        db.session.rollback()
        pause_before_next_try()
        try:
            stopped = current_app.preprocess_request()  # guards too: nobody slips through by an error
            return current_app.dispatch_request() if stopped is None else stopped
        except DBAPIError as another:
            error = another
        except (DomainError, HTTPException) as refused:
            return current_app.handle_user_exception(refused)
    log.error("database away at %s\n%s", request.url_rule, "".join(places(error)))
    return _away()


def _away() -> ResponseReturnValue:
    g.retry_after = 30
    return _plain(
        503,
        "Zurzeit nicht erreichbar. Ihre Eingabe wurde nicht gespeichert; versuchen Sie es in einer Minute wieder.",
        "Not available at the moment. What you entered was not saved; try again in a minute.",
    )


def handle_database_error(error: DBAPIError) -> ResponseReturnValue:
    """What the tables refuse is a mistake of ours, unless they are those of another release (safety.md B6)."""
    db.session.rollback()
    try:
        current = is_current()
    except DBAPIError:
        current = False
    if current:
        return handle_unforeseen(error)
    log.error("tables of another release at %s", request.url_rule)
    return _away()


def handle_unforeseen(error: BaseException) -> ResponseReturnValue:
    """A mistake of ours. The log has it under the number that the page shows; the page says nothing inner."""
    number = secrets.token_hex(4)
    log.error("reference %s at %s\n%s", number, request.url_rule, "".join(places(error)))
    return _plain(
        500,
        "Es ist ein Fehler aufgetreten. Ihre Eingabe wurde nicht gespeichert.",
        "Something went wrong. What you entered was not saved.",
        f"Nr. / No. {number}",
    )


def _plain(status: int, german: str, english: str, number: str = "") -> ResponseReturnValue:
    """A page that is only a file, in both languages."""
    html: str = current_app.extensions["whatsnext.plain_page"]
    for mark, words in (("{german}", german), ("{english}", english), ("{number}", number), ("{status}", str(status))):
        html = html.replace(mark, words)
    return Response(html, status, mimetype="text/html")


def init_app(app: Flask, templates: Path) -> None:
    html = (templates / "errors" / "plain.html").read_text()
    with app.app_context():
        for name in ("vendor/kern.min.css", "wn.css"):
            html = html.replace(f"{{{name}}}", assets.static_url(name))
    app.extensions["whatsnext.plain_page"] = html
    app.register_error_handler(DomainError, handle_domain_error)
    app.register_error_handler(HTTPException, handle_http_error)
    app.register_error_handler(OperationalError, handle_database_away)
    app.register_error_handler(InterfaceError, handle_database_away)
    app.register_error_handler(DBAPIError, handle_database_error)
    app.register_error_handler(Exception, handle_unforeseen)
