"""Addresses in mails and calendars: always below BASE_URL, never below what a request claims (safety.md I7)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from whatsnext.i18n import language


def external(endpoint: str, **values: Any) -> str:
    """The full address of a page in the language spoken now. Raises werkzeug's BuildError for an unknown endpoint."""
    base = urlsplit(current_app.config["BASE_URL"])
    prefix = "" if language() == "de" else f"/{language()}"
    adapter = current_app.url_map.bind(base.netloc, script_name=base.path + prefix + "/", url_scheme=base.scheme)
    return adapter.build(endpoint, values, force_external=True)
