"""A mail scanner: opens every link it finds in a page and submits every form as it was served (safety.md I2)."""

from typing import Any

import sqlalchemy as sa

from tests.databases import Visitor
from whatsnext.db import Base, db

NOT_COUNTED = ("rate_limit", "signed_in")


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that a person could miss."""
    db.session.rollback()
    tables = [table for table in Base.metadata.sorted_tables if table.name not in NOT_COUNTED]
    found = {table.name: sorted(map(tuple, db.session.execute(sa.select(table))), key=repr) for table in tables}
    db.session.rollback()  # a reader that stays makes a worker's commit wait, and everybody behind it
    return found


def scan(robot: Visitor, start: str) -> int:
    """Open `start` and every page of the same registration behind it; submit each form there. Returns how many."""
    seen: set[str] = set()
    waiting, sent = [start], 0
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = robot.page(path)
        for number, form in enumerate(page.forms):
            if form.action.startswith(("/appearance", "/en/appearance")):
                continue
            robot.submit(page, form=number)
            sent += 1
        waiting += [href for href, _words in page.links if href.startswith(start)]
    return sent
