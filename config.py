"""Every setting of the application, read from the environment once, checked, with its reason beside it."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEMO_MARK = "demo"
"""A file in the instance folder: it holds the sample series, so its mails are shown on a page (docs/decisions/0013)."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class SettingsError(Exception):
    """One or more settings are wrong; `lines` holds one clear line for each, naming the variable."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Settings(BaseSettings):
    """Settings by their usual environment names; the variable is the field's name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    instance: Path = Field(
        default=Path("instance"), description="folder for the database, the mails not sent and the secret"
    )
    host: str = Field(default="127.0.0.1", description="address the web server listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="port the web server listens on")
    threads: int = Field(default=4, ge=1, le=64, description="requests answered at the same time by one process")
    base_url: str = Field(
        default="", description="address people use; links in mails start with it (default: host and port)"
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""), description="signs links and cookies (default: made and kept in instance/)"
    )
    secret_key_fallbacks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="earlier secret keys whose links still work, separated by commas"
    )
    database_url: str = Field(default="", description="SQLAlchemy address (default: SQLite in instance/)")
    sqlite_wal_backported: bool = Field(
        default=False, description="the SQLite library has the WAL-reset fix though its version is older"
    )
    mail_server: str = Field(default="", description="SMTP server; without it mails go to instance/mail/")
    mail_port: int = Field(default=25, ge=1, le=65535, description="port of the SMTP server")
    mail_use_tls: bool = Field(default=False, description="STARTTLS before anything is sent")
    mail_use_ssl: bool = Field(default=False, description="TLS from the first byte (usually port 465)")
    mail_username: str = Field(default="", description="account at the SMTP server")
    mail_password: SecretStr = Field(default=SecretStr(""), description="its password")
    mail_default_sender: str = Field(
        default="", description="mailbox that invitations come from; must accept plus-addresses"
    )
    imap_server: str = Field(default="", description="IMAP server of the mailbox that calendar answers come to")
    imap_port: int = Field(default=993, ge=1, le=65535, description="port of the IMAP server")
    imap_use_ssl: bool = Field(default=True, description="TLS from the first byte (usually port 993)")
    imap_username: str = Field(default="", description="account at the IMAP server")
    imap_password: SecretStr = Field(default=SecretStr(""), description="its password")
    imap_folder: str = Field(default="INBOX", description="folder that the answers are delivered to")
    lmtp_listen: str = Field(
        default="", description="take mail over LMTP at this address of the machine, as 127.0.0.1:8024 or unix:/path"
    )
    authserv_id: str = Field(
        default="", description="name our own mail server signs Authentication-Results with; a fail there is believed"
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=5, description="reverse proxies in front whose forwarded headers count"
    )
    exit_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="networks of agencies whose staff share one address, as CIDR, separated by commas"
    )
    seat_hold_minutes: int = Field(
        default=60, ge=15, le=1440, description="how long a place waits for the confirmation"
    )
    new_address_mails_per_hour: int = Field(
        default=200, ge=1, description="mails to unproven addresses in an hour before they are held"
    )
    notice_needs_consent: bool = Field(default=False, description="the privacy notice becomes a tick that must be set")
    metrics_token: SecretStr = Field(
        default=SecretStr(""), description="opens /metrics to who sends it as Bearer token (default: closed)"
    )
    log_json: bool = Field(default=False, description="log lines as JSON, one object a line")
    access_log: bool = Field(default=False, description="log every request by the name of its route")
    worker: bool = Field(default=True, description="`serve` sends the mails itself; off where `worker` runs apart")
    demo: bool = Field(default=False, description="sample data and a mailbox page; never where real people sign up")

    @field_validator("secret_key_fallbacks", "exit_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("exit_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            try:
                ipaddress.ip_network(part)
            except ValueError:
                raise ValueError(f"'{part}' is not a network like 192.0.2.0/24") from None
        return value

    @field_validator("base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be an address like https://next.example.org")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value.startswith("postgresql://"):
            value = value.replace("postgresql://", "postgresql+psycopg://", 1)
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
        return value

    @field_validator("mail_default_sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        if value and (value.count("@") != 1 or not value.isascii() or any(c.isspace() for c in value)):
            raise ValueError("must be one mail address like next@example.org")
        if len(value.partition("@")[0]) > 64 - 27:
            raise ValueError("the part before @ may have 37 characters at most: '+' and 26 more are added")
        return value

    @field_validator("lmtp_listen")
    @classmethod
    def _lmtp(cls, value: str) -> str:
        host, _colon, port = value.rpartition(":")
        loopback = host.strip("[]") in LOOPBACK_NAMES and port.isdecimal() and 0 < int(port) < 65536
        if value and not (loopback or value.startswith("unix:/")):
            raise ValueError("must be on this machine, like 127.0.0.1:8024 or unix:/run/whatsnext/lmtp")
        return value

    @field_validator("imap_folder", "authserv_id", "imap_username")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must not contain control characters")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.mail_use_tls and self.mail_use_ssl:
            raise ValueError("MAIL_USE_TLS and MAIL_USE_SSL exclude each other")
        if self.mail_server and not self.mail_default_sender:
            raise ValueError("MAIL_DEFAULT_SENDER is needed when MAIL_SERVER is set")
        if (
            self.mail_username
            and self.mail_server not in LOOPBACK_NAMES
            and not (self.mail_use_tls or self.mail_use_ssl)
        ):
            raise ValueError("MAIL_USERNAME needs MAIL_USE_TLS or MAIL_USE_SSL: a password is never sent in the clear")
        if self.imap_server and not (self.imap_username and self.imap_password.get_secret_value()):
            raise ValueError("IMAP_USERNAME and IMAP_PASSWORD are needed when IMAP_SERVER is set")
        if self.imap_server and self.imap_server not in LOOPBACK_NAMES and not self.imap_use_ssl:
            raise ValueError("IMAP_SERVER needs IMAP_USE_SSL: a password is never sent in the clear")
        if self.demo:
            self._refuse_public_demo()
        return self

    def _refuse_public_demo(self) -> None:
        """A mailbox page that shows every mail must not be reachable by others (safety.md I14)."""
        if self.mail_server:
            raise ValueError("DEMO excludes MAIL_SERVER: the demo sends nothing")
        if self.base_url and urlsplit(self.base_url).hostname not in LOOPBACK_NAMES:
            raise ValueError("DEMO excludes a public BASE_URL")
        if self.host not in LOOPBACK_NAMES:
            raise ValueError("DEMO excludes a HOST other than loopback")

    @classmethod
    def from_env(cls) -> Self:
        """Read the environment. Raises SettingsError with one line for each wrong variable, never its value."""
        try:
            settings = cls()
            told = "demo" in settings.model_fields_set
            return cls(demo=True) if settings.holds_demo and not told else settings
        except ValidationError as error:
            raise SettingsError(
                [_line(e["loc"], e["msg"]) for e in error.errors(include_input=False, include_url=False)]
            ) from None

    @property
    def holds_demo(self) -> bool:
        """Whether the instance holds the sample series now: its mails go nowhere, whoever was running before."""
        return (self.instance / DEMO_MARK).exists()

    @property
    def address(self) -> str:
        """Where people reach the application, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}"

    @property
    def host_names(self) -> list[str]:
        """Host names a request may carry (safety.md I7)."""
        name = urlsplit(self.address).hostname or ""
        return ["127.0.0.1", "localhost", "[::1]"] if name in LOOPBACK_NAMES else [name]

    @property
    def secure(self) -> bool:
        return self.address.startswith("https://")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{(self.instance / 'whatsnext.db').absolute()}"

    @property
    def sender(self) -> str:
        """The mailbox that invitations come from."""
        name = urlsplit(self.address).hostname or ""
        return self.mail_default_sender or f"next@{'localhost' if name in LOOPBACK_NAMES else name}"

    @property
    def reads_answers(self) -> bool:
        """Whether anyone reads what calendars answer; the demo, which sends nothing, shows it as if."""
        return bool(self.imap_server or self.lmtp_listen or self.demo)

    @property
    def imap_name(self) -> str:
        """The mailbox by its account, server and folder."""
        return f"{self.imap_username}@{self.imap_server}:{self.imap_port}/{self.imap_folder}"[:300]

    @property
    def secret(self) -> str:
        """The signing key; made on first use and kept readable for the owner only."""
        given = self.secret_key.get_secret_value()
        return given or _kept_secret(self.instance / "secret_key")


def _line(loc: tuple[int | str, ...], message: str) -> str:
    reason = message.removeprefix("Value error, ")
    return f"{str(loc[0]).upper()}: {reason}" if loc else reason


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _kept_secret(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "x", opener=_owner_only) as new:
            new.write(secrets.token_urlsafe(32))
    except FileExistsError:
        pass
    return file.read_text().strip()
