"""The language of a page stands in its address: German at `/…`, English at `/en/…`.

`/en` (and the path of BASE_URL, if it has one) moves into SCRIPT_NAME, so routes are written once and `url_for` keeps
the language by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from whatsnext.i18n import LANGUAGES, language

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIXES = {name: f"/{name}" for name in LANGUAGES if name != "de"}
KEY = "whatsnext.language"


class Languages:
    """WSGI middleware that takes BASE_URL's path and the language off the path."""

    def __init__(self, application: WSGIApplication, base_path: str) -> None:
        self.application = application
        self.base_path = base_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _move(environ, self.base_path)
        environ[KEY] = next((name for name, prefix in PREFIXES.items() if _move(environ, prefix)), "de")
        return self.application(environ, start_response)


def _move(environ: WSGIEnvironment, prefix: str) -> bool:
    """Move `prefix` from PATH_INFO to SCRIPT_NAME if it is there as a whole part of the path."""
    path = environ.get("PATH_INFO", "")
    if not prefix or not (path == prefix or path.startswith(prefix + "/")):
        return False
    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
    environ["PATH_INFO"] = path[len(prefix) :] or "/"
    return True


def base_path() -> str:
    """The path of BASE_URL, "" if it has none."""
    return str(urlsplit(current_app.config["BASE_URL"]).path.rstrip("/"))


def other_language_url() -> str | None:
    """The same page in the other language; None where its address answers no GET, as after a refused form."""
    if request.method != "GET" and (request.url_rule is None or "GET" not in (request.url_rule.methods or ())):
        return None
    root = request.script_root
    prefix = PREFIXES.get(language(), "")
    other = root.removesuffix(prefix) if prefix else root + PREFIXES["en"]
    return (other + request.full_path).rstrip("?")


def _speak() -> None:
    g.language = request.environ.get(KEY, "de")


def init_app(app: Flask) -> None:
    path = urlsplit(app.config["BASE_URL"]).path.rstrip("/")
    app.wsgi_app = Languages(app.wsgi_app, path)  # type: ignore[method-assign]
    app.before_request(_speak)
