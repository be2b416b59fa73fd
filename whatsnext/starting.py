"""What every command begins with: the application for these settings, its tables and clocks current."""

from __future__ import annotations

import gc

import click
from flask import Flask
from sqlalchemy.exc import OperationalError

from config import Settings
from whatsnext import clock, db, logs
from whatsnext.app import create_app
from whatsnext.db import write
from whatsnext.errors import NotMigrated, SettingRefused
from whatsnext.services import clocks, restored


def ready_app() -> Flask:
    """The application for the settings of the environment, its tables up to date.

    Raises SettingsError, or SettingRefused for a folder or a database that cannot be used.
    """
    app = app_as_it_is()
    try:
        db.upgrade(app)
    except OperationalError:
        name = "DATABASE_URL" if app.config["SETTINGS"].database_url else "INSTANCE"
        raise SettingRefused(f"{name}: the database does not answer or cannot be opened") from None
    except NotMigrated as error:
        raise click.ClickException(str(error)) from None
    return app


def app_as_it_is() -> Flask:
    """The application whatever shape its tables have. Raises SettingsError, SettingRefused for its folder."""
    settings = Settings.from_env()
    logs.configure(as_json=settings.log_json)
    try:
        settings.instance.mkdir(parents=True, exist_ok=True)
        return create_app(settings)
    except OSError as error:
        raise SettingRefused(f"INSTANCE: the folder cannot be used ({error.strerror})") from None


def read_clocks(app: Flask) -> None:
    """The time-zone data may be newer than at the last start (safety.md R8)."""
    with app.app_context():
        now = clock.now()
        if clocks.stale(now) or clocks.stale_sign_up(now):
            with write():
                clocks.recompute(now)


def hold_if_moved(app: Flask) -> None:
    """A copy of an installation sends nothing before someone has looked (safety.md O4)."""
    settings: Settings = app.config["SETTINGS"]
    with app.app_context(), write():
        held = restored.hold_if_moved(settings.address)
    if held:
        click.echo(
            f"BASE_URL is another one than before: {held} unsent mails are held. Look: python -m whatsnext release"
        )


def keep_what_is_there() -> None:
    """What is there when the work begins stays until its end: Python need not look through it for rubbish each time.

    Reading a batch of mails from the database it did so, which took a tenth of a mail's time.
    """
    gc.collect()
    gc.freeze()
