"""When sign-up opens and closes as it was typed, for the day the time-zone data change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("opens_local", "closes_local"):
        op.add_column("event", sa.Column(name, sa.DateTime(), nullable=True))
    event = sa.table(
        "event",
        sa.column("id", sa.Integer()),
        sa.column("zone", sa.String()),
        sa.column("registration_opens", sa.DateTime(timezone=True)),
        sa.column("registration_closes", sa.DateTime(timezone=True)),
        sa.column("opens_local", sa.DateTime()),
        sa.column("closes_local", sa.DateTime()),
    )
    talks = sa.select(event.c.id, event.c.zone, event.c.registration_opens, event.c.registration_closes).where(
        sa.or_(event.c.registration_opens.is_not(None), event.c.registration_closes.is_not(None))
    )
    for number, zone, opens, closes in op.get_bind().execute(talks).all():
        op.get_bind().execute(
            sa.update(event)
            .where(event.c.id == number)
            .values(opens_local=_local(opens, zone, 0), closes_local=_local(closes, zone, 1))
        )


def _local(instant: datetime | None, zone: str, fold: int) -> datetime | None:
    """The wall time that stands for this instant; None where it would stand for another one, or is not to be known."""
    if instant is None:
        return None
    try:
        clocks = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):  # ValueError: a name that cannot be a file
        return None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    local = instant.astimezone(clocks).replace(tzinfo=None, fold=0)
    there = local.replace(tzinfo=clocks, fold=fold).astimezone(UTC)
    return local if there == instant else None


def downgrade() -> None:
    op.drop_column("event", "closes_local")
    op.drop_column("event", "opens_local")
