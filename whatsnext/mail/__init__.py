"""Every mail the application sends: composed, built, delivered. It reads and never decides."""

from __future__ import annotations

from flask import Flask

from config import Settings
from whatsnext.mail.mime import PostOffice

__all__ = ["init_app"]


def init_app(app: Flask) -> None:
    """Give Flask-Mail its settings. Opens no connection."""
    settings: Settings = app.config["SETTINGS"]
    app.config.update(
        MAIL_SERVER=settings.mail_server,
        MAIL_PORT=settings.mail_port,
        MAIL_USE_TLS=settings.mail_use_tls,
        MAIL_USE_SSL=settings.mail_use_ssl,
        MAIL_USERNAME=settings.mail_username or None,
        MAIL_PASSWORD=settings.mail_password.get_secret_value() or None,
        MAIL_DEFAULT_SENDER=settings.sender,
        MAIL_SUPPRESS_SEND=False,
        MAIL_DEBUG=0,
    )
    PostOffice().init_app(app)
