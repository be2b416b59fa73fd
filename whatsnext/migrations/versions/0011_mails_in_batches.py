"""Announced talks are found by when they were published alone; a mail that is written waits for its turn.

An index that began with the state drew SQLite to it for every list of published talks: it read all there ever were.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_event_announced", "event")
    op.create_index("ix_event_published", "event", ["published_at"])
    op.add_column("message", sa.Column("begun", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("message", "begun")
    op.drop_index("ix_event_published", "event")
    op.create_index("ix_event_announced", "event", ["state", "published_at"])
