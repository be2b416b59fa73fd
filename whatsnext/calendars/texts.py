"""Texts as calendars can hold them: whoever cleaned them before, no control character gets further than here."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def lines(value: str) -> str:
    """`value` with LF as its only line end, without control characters other than the tab."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", value))


def line(value: str, between: str = " ") -> str:
    """`value` on one line: what were several are trimmed and joined by `between`, empty ones left out."""
    return between.join(part for part in map(str.strip, lines(value).split("\n")) if part)
