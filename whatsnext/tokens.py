"""Signed and random secrets. Every signed token carries its purpose, subject and end (safety.md I4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from whatsnext.errors import LinkExpired, LinkInvalid

CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"


class Purpose(StrEnum):
    """What a token is good for; one endpoint each."""

    CONFIRM = "confirm"
    MANAGE = "manage"
    CHECK_MAIL = "check-mail"
    OFFER = "offer"
    SIGN_IN = "sign-in"
    BLOCK = "block"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    FORM = "form"
    PREVIEW = "preview"


def sign(purpose: Purpose, subject: Any, ends: datetime) -> str:
    """A URL-safe token for `subject` (JSON) that is good for one purpose until `ends` (UTC)."""
    return _serializer(purpose).dumps([subject, int(ends.timestamp())])


def read(purpose: Purpose, token: str, now: datetime) -> Any:
    """The subject of a token. Raises LinkInvalid if it is not ours for this purpose, LinkExpired after its end."""
    try:
        subject, ends = _serializer(purpose).loads(token)
    except (BadSignature, ValueError, TypeError):
        raise LinkInvalid from None
    if now >= datetime.fromtimestamp(ends, UTC):
        raise LinkExpired
    return subject


def subject_of_expired(purpose: Purpose, token: str) -> Any:
    """The subject whatever its end says, to explain an expired link. Raises LinkInvalid."""
    return read(purpose, token, datetime.fromtimestamp(0, UTC))


def _serializer(purpose: Purpose) -> URLSafeSerializer:
    return _made(purpose, *reversed(current_app.config["SECRET_KEY_FALLBACKS"]), current_app.config["SECRET_KEY"])


@lru_cache(maxsize=64)
def _made(purpose: Purpose, *keys: str) -> URLSafeSerializer:
    """The newest key, which signs, is the last."""
    return URLSafeSerializer(list(keys), salt=f"whatsnext {purpose}", signer_kwargs={"digest_method": hashlib.sha256})


def random_base32() -> str:
    """128 random bits as 26 lower-case characters that survive a mail gateway (safety.md, Forwarding)."""
    return base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()


def random_secret() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def random_code() -> str:
    """Eight characters without vowels and look-alikes, to be typed or pasted."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))


def digest(secret: str) -> str:
    """What is stored of a secret: enough to recognise it, not to use it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def keyed_digests(use: str, value: str) -> list[str]:
    """By what a value is known again without being kept: by today's secret key, then by earlier ones.

    `use` keeps what is known for one purpose from serving another.
    """
    keys = [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
    words = f"whatsnext {use}\0{value}".encode()
    return [hmac.new(key.encode(), words, hashlib.sha256).hexdigest() for key in keys]


def same(left: str, right: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(left.encode(), right.encode())
