"""Two people edit the same thing: the version a form was made from, and both versions side by side (safety.md R6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wtforms.widgets import HiddenInput

from whatsnext.errors import DomainError, StaleVersion
from whatsnext.web.forms import Form, IntegerField

Row = tuple[str, str, str]
"""What it is called, what another person saved, what was typed here."""


class VersionField(IntegerField):
    """The version that was open when the form was made; hidden."""

    widget = HiddenInput()

    def __init__(self, label: Any = None, **given: Any) -> None:
        super().__init__(label, **{"least": 0, "most": 2**31 - 1, "default": 0, **given})
        self.render_kw: dict[str, str] = {}


def refuse(form: Form, error: DomainError, now_saved: Callable[[], Any], fields: Sequence[str]) -> list[Row] | None:
    """Show a "no" in the form; for a stale version both versions, and take the newer one as seen.

    `now_saved` reads the row anew. Returns the rows that differ, None if the version was not the reason.
    """
    form.refuse(error)
    if not isinstance(error, StaleVersion):
        return None
    saved = now_saved()
    form.version.data, form.version.raw_data = saved.version, None
    pairs = [(form[name], getattr(saved, name)) for name in fields]
    return [
        (field.label.text, _words(field, value), _words(field, field.data))
        for field, value in pairs
        if value != field.data
    ]


def _words(field: Any, value: Any) -> str:
    """What a choice is called, or the value itself."""
    names = {str(choice.value or ""): str(choice.label) for choice in getattr(field, "choices", None) or ()}
    return names.get(str(value or ""), "" if value is None else str(value))
