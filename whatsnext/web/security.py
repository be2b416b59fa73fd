"""Headers of every answer, and where a form may come from (experience.md §1, safety.md I6, P13).

A page behind a secret link tells nobody its address (`no-referrer`), so browsers send its forms with `Origin: null`;
there `Sec-Fetch-Site` decides, and the form token where a browser sends neither.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request, session

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
HSTS = "max-age=31536000"
SAFE = ("GET", "HEAD", "OPTIONS")
SECRETS = ("token", "key")
"""Parts of an address that are secret wherever a route has them."""


def is_secret_page() -> bool:
    """Whether this page is reached by a secret in its address."""
    return any(name in (request.view_args or {}) for name in SECRETS) or bool(g.get("secret_page"))


def is_foreign() -> bool:
    """Whether this request changes something and was made by a page that is not ours."""
    if request.method in SAFE:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin != "null" and origin not in _own_origins()


def _own_origins() -> set[str]:
    base = urlsplit(current_app.config["BASE_URL"])
    return {f"{base.scheme}://{base.netloc}", request.host_url.rstrip("/")}


def _look() -> None:
    g.foreign = is_foreign()


def _headers(response: Response) -> Response:
    given = {name.lower() for name, _value in response.headers}
    wanted = {**HEADERS, **({"Strict-Transport-Security": HSTS} if current_app.config["SETTINGS"].secure else {})}
    for name, value in wanted.items():
        if name.lower() not in given:
            response.headers.add(name, value)
    if is_secret_page():
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
    if is_secret_page() or _reads_identity():
        response.headers["Cache-Control"] = "private, no-store"
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache" if request.method in SAFE else "no-store"
    if "text/html" in (response.content_type or ""):
        response.vary.add("Cookie")
    if "retry_after" in g:
        response.headers["Retry-After"] = str(g.retry_after)
    return response


def _reads_identity() -> bool:
    """Whether the answer may say something about one person: whoever brings, or gets, our session cookie."""
    return bool(session) or session.modified


def init_app(app: Flask) -> None:
    app.before_request(_look)
    app.after_request(_headers)
