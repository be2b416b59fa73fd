"""The command line: serve, worker, demo, upgrade, check; backup, restore, release, move-database; admin, erase."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
import waitress  # type: ignore[import-untyped]
from flask import Flask
from pydantic import ValidationError

from config import DEMO_MARK, Settings, SettingsError
from whatsnext import backup, checks, clock, demo, jobs, logs, moving, text
from whatsnext.db import whole, write
from whatsnext.errors import LinkInvalid, NotFound, SettingRefused
from whatsnext.links import external
from whatsnext.mail.wire import Courier
from whatsnext.models import Kind
from whatsnext.permissions import Role
from whatsnext.services import erasure, restored, signin
from whatsnext.starting import app_as_it_is, hold_if_moved, keep_what_is_there, read_clocks, ready_app

LARGEST_BODY = 10_000_000
"""Above Flask's own limit, so that whoever sends too much gets our page; what is larger is cut off by the server."""
WRONG_SETTING = 2


def main() -> None:
    """Run a command. A wrong setting is one clear line for each variable, and exit code 2."""
    os.umask(0o077)  # databases, mails and backups hold personal data: nobody else on the machine reads them
    logs.configure(as_json=False)
    try:
        commands()
    except SettingsError as error:
        _refuse(error.lines)
    except SettingRefused as error:
        _refuse([str(error)])


def _refuse(lines: list[str]) -> NoReturn:
    for line in lines:
        click.echo(f"Setting refused: {line}", err=True)
    sys.exit(WRONG_SETTING)


@click.group()
def commands() -> None:
    """What's NEXt: talks, sign-up, invitations that stay right in every calendar."""


# --- running ---------------------------------------------------------------------------------------------


@commands.command()
def serve() -> None:
    """Serve the pages, with the worker inside unless WORKER=false."""
    app = ready_app()
    hold_if_moved(app)
    read_clocks(app)
    with app.app_context():
        lines = [f"A sign-in link: {_same_installation()} admin link ADDRESS"]
        if not signin.organiser_has_signed_in():
            lines = _first_link(app)
        if app.config["SETTINGS"].demo:
            lines.append(f"Its mails: {external('ops.mailbox')}")
    _serve(app, lines)


@commands.command("demo")
def demo_() -> None:
    """Fill an empty installation with a sample series; from then on its mails are shown on a page, none leaves."""
    os.environ["DEMO"] = "true"
    app = ready_app()
    settings: Settings = app.config["SETTINGS"]
    mark = settings.instance / DEMO_MARK
    with app.app_context():
        if demo.is_filled():
            if not mark.exists():
                raise click.ClickException("INSTANCE holds other data already. Set it to a new folder.")
            click.echo("The sample series is in place already.")
        else:
            mark.touch()  # first of all: a server that runs already must not send what is owed from here on
            courier = Courier()
            demo.fill(clock.now(), lambda: jobs.deliver_due(courier))
            courier.close()
            click.echo(f"The sample series is in place, its mails lie in {settings.instance / 'mail'}.")
        click.echo(f"Start it: {_same_place()}make run")
        click.echo(f"Then read every mail at {external('ops.mailbox')}; links in the mails point to {settings.address}")


@commands.command()
def worker() -> None:
    """Deliver mails and do what is due, without serving pages."""
    app = ready_app()
    hold_if_moved(app)
    read_clocks(app)
    signal.signal(signal.SIGTERM, _end)
    keep_what_is_there()
    click.echo("The worker runs. Stop it with Ctrl-C.")
    try:
        jobs.Worker(app).run_forever()
    except (KeyboardInterrupt, SystemExit):
        click.echo("Stopped.")


@commands.command()
def upgrade() -> None:
    """Bring the tables to the newest revision and end."""
    ready_app()
    click.echo("The tables are up to date.")


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _serve(app: Flask, lines: list[str]) -> None:
    settings: Settings = app.config["SETTINGS"]
    server = _listen(app, settings)
    signal.signal(signal.SIGTERM, _end)
    keep_what_is_there()
    work = jobs.Worker(app) if settings.worker else None
    if work:
        work.start()
    click.echo("\n".join([f"What's NEXt runs at {settings.address}", *lines, "Stop it with Ctrl-C."]))
    try:
        server.run()  # returns after SIGTERM or Ctrl-C, when the requests in flight are answered
    finally:
        server.close()
        if work:
            work.stop()
    click.echo("Stopped.")


def _listen(app: Flask, settings: Settings) -> Any:
    """A server that listens already. Ends the program with one line if the port is taken."""
    try:
        return waitress.create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=settings.threads,
            max_request_body_size=LARGEST_BODY,
            channel_timeout=30,
            connection_limit=1000,
            ident=None,
            clear_untrusted_proxy_headers=settings.trusted_proxies == 0,
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        click.echo(f"PORT: {settings.port} is in use by another program. Set PORT to a free one.", err=True)
        sys.exit(WRONG_SETTING)


# --- keeping ---------------------------------------------------------------------------------------------


@commands.command()
def check() -> None:
    """Say what is misconfigured, one line each; exit code 1 if there is something to do."""
    findings = list(checks.look(app_as_it_is(), clock.now()))
    click.echo("\n".join(map(str, findings)))
    if not all(finding.good for finding in findings):
        sys.exit(1)


@commands.command("backup")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def backup_(file: Path | None) -> None:
    """Write a backup (default: into INSTANCE/backups) and try it out by restoring it beside."""
    app, now = ready_app(), clock.now()
    file = file or app.config["SETTINGS"].instance / "backups" / f"whatsnext-{now:%Y%m%d-%H%M%S}.backup"
    with _said_clearly():
        taken = backup.take(app, file, now)
    tried = "restored beside and compared" if taken.tried else "read whole (our account may make no database to try)"
    click.echo(f"{taken.file}: {taken.manifest.rows} rows of {len(taken.manifest.counts)} tables, {tried}.")
    click.echo("The signing key is not in it: keep a copy of SECRET_KEY or INSTANCE/secret_key apart.")


@commands.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="replace the data of an installation that is in use")
@click.option(
    "--erasures",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="erase again whom this file names too (written by `erasures`)",
)
def restore(file: Path, *, force: bool, erasures: Path | None) -> None:
    """Put a backup in place; its unsent mails are held until `release`. Stop web and workers before."""
    app = ready_app()
    with _said_clearly():
        manifest, held, erased = backup.restore(app, file, force=force, erasures=erasures)
    click.echo(f"Restored the state of {manifest.at:%Y-%m-%d %H:%M} UTC: {manifest.rows} rows.")
    click.echo(f"{held} unsent mails are held. Look at them: python -m whatsnext release")
    click.echo(f"{erased} people who had been erased since were erased again.")


@commands.command()
@click.option("--kind", "kinds", multiple=True, type=click.Choice([kind.value for kind in Kind]), help="only these")
@click.option("--send", "act", flag_value="send", help="let them go")
@click.option("--drop", "act", flag_value="drop", help="give them up: they count as not delivered")
@click.option("--invite-again", "act", flag_value="invite", help="mail everyone with a place the invitation once more")
def release(kinds: tuple[str, ...], act: str | None) -> None:
    """Show the mails held since a restore or a new BASE_URL by kind and age; with --send or --drop settle them."""
    app, now = ready_app(), clock.now()
    chosen = [Kind(kind) for kind in kinds] or list(Kind)
    with app.app_context():
        if act is None:
            click.echo("\n".join(_held_lines(now)) or "No mail is held since a restore or a change of BASE_URL.")
            return
        with write():
            if act == "invite":
                click.echo(f"{restored.invite_again(now)} people get their invitation once more.")
            elif act == "send":
                click.echo(f"{restored.release(now, chosen)} mails are released.")
            else:
                click.echo(f"{restored.drop(now, chosen)} mails are dropped.")


def _held_lines(now: datetime) -> list[str]:
    def age(at: datetime) -> str:
        return f"{(now - at).total_seconds() / 3600:.1f} h"

    found = [f"{each.number:6} {each.kind}, {age(each.newest)} to {age(each.oldest)} old" for each in restored.held()]
    return [*found, "Let them go with --send, give them up with --drop, --kind KIND chooses."] if found else []


@commands.command("move-database")
@click.argument("target", metavar="TARGET_URL", envvar="TARGET_URL")
def move_database(target: str) -> None:
    """Copy everything to another, empty database and compare. Stop web and workers before.

    The address may stand in the environment as TARGET_URL, where no list of processes shows its password.
    """
    app = ready_app()
    try:
        url = Settings(database_url=target).database_url
    except ValidationError:
        raise click.BadParameter("must start with sqlite:/// or postgresql://", param_hint="TARGET_URL") from None
    with _said_clearly():
        moved = moving.move(app, url)
    for each in moved:
        click.echo(f"{each.rows:8} {each.table} {each.checksum[:16]}")
    click.echo(f"{sum(each.rows for each in moved)} rows are the same in both. Set DATABASE_URL to the new address.")


@contextlib.contextmanager
def _said_clearly() -> Iterator[None]:
    """What cannot be done is one line."""
    try:
        yield
    except (backup.BackupRefused, moving.MoveRefused) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'file'}: {error.strerror}") from None


# --- people ----------------------------------------------------------------------------------------------


@commands.group()
def admin() -> None:
    """People who plan talks or run the installation."""


@admin.command()
@click.argument("email")
@click.option("--name", default="", help="the person's name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ORGANISER.value)
def add(email: str, name: str, role: str) -> None:
    """Give someone a role and print a sign-in link."""
    address = _address(email)
    app = ready_app()
    with app.app_context():
        try:
            clean = text.clean_line(name, 120)
        except text.TextRefused as refused:
            raise click.BadParameter(str(refused), param_hint="--name") from None
        with write():
            signin.appoint(address, clean, Role(role), clock.now())
        click.echo("\n".join([f"{address}: {role}", *_link_lines(address)]))


@admin.command()
@click.argument("email")
def link(email: str) -> None:
    """Print a sign-in link for someone, good once, for 10 minutes, in any browser."""
    address = email.strip().lower()  # of the first organiser it may be one that no mail reaches
    app = ready_app()
    with app.app_context():
        try:
            lines = _link_lines(address)
        except LinkInvalid:
            command = f"{_same_installation()} admin add {_address(email)}"
            raise click.ClickException(f"Nobody has the address {address}. Add them: {command}") from None
        click.echo("\n".join(lines))


@commands.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="do not ask")
def erase(address: str, *, yes: bool) -> None:
    """Erase a person: everything personal goes, places are given up, a keyed hash of the address stays."""
    address, app, now = _address(address), ready_app(), clock.now()
    with app.app_context():
        if not yes:
            places = erasure.coming(address, now)
            click.echo(
                f"{places.given_up} places or places in line at coming talks will be given up. No mail goes out:"
            )
            click.echo(f"{places.in_calendar} entries stay in the person's own calendar. This cannot be undone.")
            if click.prompt("Type erase to go on", default="", show_default=False) != "erase":
                raise click.ClickException("Nothing was erased.")
        try:
            erased = whole(lambda: erasure.erase_address(address, now))
        except NotFound:
            raise click.ClickException("Nothing is kept of this address.") from None
    click.echo(f"Erased. {erased.given_up} places or places in line at coming talks were given up.")
    click.echo("Backups made before still hold the person: delete them, or restore them with this database in place.")


@commands.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def erasures(file: Path) -> None:
    """Write who was erased, as keyed hashes, for `restore --erasures` where this database is gone."""
    app = ready_app()
    with app.app_context(), _said_clearly():
        known = erasure.ledger()
        backup.write_erasures(file, known)
    click.echo(f"{file}: {len(known)} erasures.")


def _address(email: str) -> str:
    try:
        return text.mail_address(email).address
    except text.TextRefused as refused:
        raise click.BadParameter(str(refused), param_hint="EMAIL") from None


def _same_place() -> str:
    """The settings given in the environment that say where an installation is, as a shell takes them."""
    given = [name for name in ("INSTANCE", "HOST", "PORT", "BASE_URL") if name in os.environ]
    return "".join(f"{name}={shlex.quote(os.environ[name])} " for name in given)


def _same_installation() -> str:
    """How this program is called for the installation that it was started for."""
    return f"{_same_place()}{shlex.quote(sys.executable)} -m whatsnext"


def _link_lines(email: str) -> list[str]:
    with write():
        token = signin.command_line_link(email, clock.now())
    address = external("account.sign_in_link", token=token)
    return [f"Sign in as {email} (once, within 10 minutes): {address}"]


def _first_link(app: Flask) -> list[str]:
    """A link for the first organiser, who is made if there is none."""
    first = signin.first_organiser()
    if first is None:
        domain = app.config["SETTINGS"].sender.rpartition("@")[2]
        with write():
            first = signin.appoint_first(f"organiser@{domain}", clock.now())
    command = f"{_same_installation()} admin"
    return [
        *_link_lines(first.email),
        f"Too late? A new link: {command} link {first.email}",
        f"Add yourself: {command} add you@agency.example",
    ]
