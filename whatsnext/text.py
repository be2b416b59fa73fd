"""Text that people type: cleaned once at the edge (safety.md P5), addresses read by one library (P6)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from whatsnext.i18n import gettext as _

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
ENDS_OF_LINE = re.compile("[\r\n\t]")
READ_OTHERWISE = re.compile(r"[%!]|=\?")
"""What some mail servers read as a route to another machine, and mail programs as an encoded word."""


class TextRefused(ValueError):
    """A text that cannot be taken as it is; its message is for the person who typed it."""


@dataclass(frozen=True)
class Address:
    """A mail address as stored: domain lower-case and ASCII, local part lower-case."""

    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def clean_line(value: str, longest: int) -> str:
    """One line, NFC, trimmed, inner blanks folded. Raises TextRefused for line ends, control characters, too long."""
    value = unicodedata.normalize("NFC", value).strip()
    if ENDS_OF_LINE.search(value) or FORBIDDEN.search(value):
        raise TextRefused(_("Line breaks and control characters are not possible here. Type the text anew."))
    value = re.sub(r"\s+", " ", value)
    return _bounded(value, longest)


def clean_text(value: str, longest: int) -> str:
    """Several lines, NFC, LF only, trimmed. Raises TextRefused for other control characters or if too long."""
    value = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
    if "\r" in value or FORBIDDEN.search(value):
        raise TextRefused(_("This text contains control characters that cannot be shown. Paste it as plain text."))
    return _bounded(value, longest)


def _bounded(value: str, longest: int) -> str:
    if len(value) > longest:
        raise TextRefused(
            _("This text has %(length)s characters; %(longest)s are possible.", length=len(value), longest=longest)
        )
    return value


def mail_address(value: str) -> Address:
    """Read one address as typed. Raises TextRefused with what to do."""
    value = clean_line(value, 254)
    if "@" not in value:
        raise TextRefused(_("The @ sign is missing."))
    if value.endswith("@"):
        raise TextRefused(_("The part after the @ sign is missing."))
    if value.startswith("@"):
        raise TextRefused(_("The part before the @ sign is missing."))
    try:
        checked = validate_email(value, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        checked = None
    if checked is None or READ_OTHERWISE.search(value):
        raise TextRefused(_("This is not a mail address. Write it like name@agency.example."))
    return Address((checked.ascii_email or checked.normalized).lower())


def masked(address: str) -> str:
    """ "k…r@behoerde.de": enough to recognise one's own address."""
    local, _at, domain = address.rpartition("@")
    return f"{local[0]}…{local[-1]}@{domain}" if len(local) > 2 else f"{local[:1]}…@{domain}"


def slug(value: str) -> str:
    """A part of a URL from a title: lower-case ASCII letters, digits and single hyphens; may be empty."""
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        value = value.lower().replace(umlaut, letters)
    ascii_only = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:60].strip("-")
