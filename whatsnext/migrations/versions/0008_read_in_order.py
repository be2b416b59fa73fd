"""Talks are listed in the order of an index, and the mails of two days counted without looking at those of years.

With the state before the time no index gave published and cancelled talks in one order, and all were sorted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LISTS = {"ix_event_coming": "series_id", "ix_event_theme": "theme_id", "ix_event_host": "host_id"}


def upgrade() -> None:
    for name, owner in LISTS.items():
        op.drop_index(name, "event")
        op.create_index(name, "event", [owner, "starts_at", "id"])
    op.create_index("ix_event_time", "event", ["starts_at", "id"])
    settled = sa.text("settled_at IS NOT NULL")
    op.create_index(
        "ix_message_settled", "message", ["state", "settled_at"], sqlite_where=settled, postgresql_where=settled
    )


def downgrade() -> None:
    op.drop_index("ix_message_settled", "message")
    op.drop_index("ix_event_time", "event")
    for name, owner in LISTS.items():
        op.drop_index(name, "event")
        op.create_index(name, "event", [owner, "state", "starts_at"])
