"""Sign-ups on a file system of 20 MB that fills up; prints what was counted. Started by test_database_away.py.

`unshare --mount` has given this process mounts of its own, so nobody else meets the small file system.
"""

import json
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from tests.databases import Database
from tests.factories import Make
from tests.test_database_away import rows, sign_up
from whatsnext.db import db, upgrade

MEGABYTES = 20
LEFT = 200_000
"""Bytes that are still free when people begin to sign up."""


def main(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(folder)], check=True)
    database = Database("sqlite", f"sqlite:///{folder}/whatsnext.db", folder, mail_port=9)
    app = database.create_app(exit_networks=("127.0.0.0/8",), new_address_mails_per_hour=100_000)
    upgrade(app)
    with app.app_context():
        path = f"/events/{Make().event(places_on_site=5000).slug}"
        client = app.test_client()
        filler = folder / "filler"
        fill(filler)
        told = 0
        while (status := sign_up(client, path, told).status_code) == 303:
            told += 1
        kept, mails = rows()
        shown = client.get(path).status_code
        filler.unlink()
        after = sign_up(client, path, told).status_code
        kept_after, _mails = rows()
        whole = db.session.execute(sa.text("PRAGMA integrity_check")).scalar_one()
    counted = {"told": told, "kept": kept, "mails": mails, "kept_after": kept_after}
    sys.stdout.write(json.dumps(counted | {"full": status, "page": shown, "after": after, "check": whole}))


def fill(file: Path) -> None:
    """Take what is free, then give a little back."""
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65536):
                pass
        except OSError:
            filler.truncate(filler.tell() - LEFT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
