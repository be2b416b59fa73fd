"""Sign-ups on a small file system that fills up; prints what was counted. Started by test_database_away.py.

`unshare --mount` has given this process mounts of its own, so nobody else meets the small file system.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests import servers
from tests.databases import Database
from tests.factories import Make
from tests.test_database_away import rows, sign_up
from whatsnext.db import db, upgrade, write

MEGABYTES = {"sqlite": 20, "postgresql": 160}
CHECK = {
    "sqlite": "PRAGMA integrity_check",
    "postgresql": "SELECT CASE WHEN count(bt_index_check(index.oid, true)) > 20 THEN 'ok' ELSE 'too few' END"
    " FROM pg_class AS index JOIN pg_am ON pg_am.oid = index.relam AND pg_am.amname = 'btree'"
    " WHERE index.relkind = 'i' AND index.relnamespace = 'public'::regnamespace",
}
"""PostgreSQL: every index, and that it holds each row; fails where one does not."""
LEFT = 600_000  # the first sign-up alone takes a page for each table and index
"""Bytes that are still free when people begin to sign up."""


def main(folder: Path, kind: str) -> None:
    size = f"size={MEGABYTES[kind]}m,mode=777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], check=True)
    tempfile.tempdir = str(folder)
    with contextlib.ExitStack() as running:
        cluster = running.enter_context(servers.postgresql_to_stop()) if kind == "postgresql" else None
        url = cluster.url if cluster else f"sqlite:///{folder}/whatsnext.db"
        counted = _sign_ups(Database(kind, url, folder, mail_port=9), folder / "filler", _restart(cluster))
        sys.stdout.write(json.dumps(counted))


def _restart(cluster: servers.Cluster | None) -> Callable[[], None]:
    """PostgreSQL stops and starts, so that it has to read what it wrote."""

    def restart() -> None:
        if cluster:
            cluster.stop()
            cluster.start()

    return restart


def _sign_ups(database: Database, filler: Path, restart: Callable[[], None]) -> dict[str, Any]:
    app = database.create_app(exit_networks=("127.0.0.0/8",), new_address_mails_per_hour=100_000)
    upgrade(app)
    with app.app_context():
        if database.kind == "postgresql":
            with write():
                db.session.execute(sa.text("CREATE EXTENSION amcheck"))
        path = f"/events/{Make().event(places_on_site=5000).slug}"
        client = app.test_client()
        _fill(filler)
        told = 0
        while (status := sign_up(client, path, told).status_code) == 303:
            told += 1
        kept, mails = rows()
        shown = client.get(path).status_code
        filler.unlink()
        after = sign_up(client, path, told).status_code
        restart()
        kept_after, _mails = rows()
        check = db.session.execute(sa.text(CHECK[database.kind])).scalar_one()
        db.session.rollback()
        db.engine.dispose()
    counted = {"told": told, "kept": kept, "mails": mails, "kept_after": kept_after}
    return counted | {"full": status, "page": shown, "after": after, "check": check}


def _fill(file: Path) -> None:
    """Take what is free, then give a little back."""
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65536):
                pass
        except OSError:
            filler.truncate(filler.tell() - LEFT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
