"""Announced talks are found by when they were published alone; a mail that is written waits for its turn.

An index that began with the state drew SQLite to it for every list of published talks: it read all there ever were.
Three indexes of the outbox leave out the rows that nobody looks up by them, which are most.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


SPARSE = {
    "ix_message_unproved": (["unproved", "created_at"], ["created_at"], "unproved", "unproved = 1"),
    "ix_message_part_id": (["part_id"], ["part_id"], "part_id IS NOT NULL", "part_id IS NOT NULL"),
    "ix_message_mailing_id": (["mailing_id"], ["mailing_id"], "mailing_id IS NOT NULL", "mailing_id IS NOT NULL"),
}
"""Columns so far, columns now, and of which rows: on PostgreSQL and on SQLite."""


def upgrade() -> None:
    op.drop_index("ix_event_announced", "event")
    op.create_index("ix_event_published", "event", ["published_at"])
    op.add_column("message", sa.Column("begun", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(sa.text("UPDATE message SET begun = true WHERE raw IS NOT NULL"))
    for name, (_old, columns, where, sqlite) in SPARSE.items():
        op.drop_index(name, "message")
        op.create_index(name, "message", columns, postgresql_where=sa.text(where), sqlite_where=sa.text(sqlite))


def downgrade() -> None:
    for name, (columns, _new, _where, _sqlite) in SPARSE.items():
        op.drop_index(name, "message")
        op.create_index(name, "message", columns)
    op.drop_column("message", "begun")
    op.drop_index("ix_event_published", "event")
    op.create_index("ix_event_announced", "event", ["state", "published_at"])
