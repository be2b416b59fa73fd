"""Mails that somebody has just asked for are found at once among thousands that are owed."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SOON = (
    "state || '' IN ('owed', 'deferred', 'sending') AND kind IN ('sign_in', 'new_link', 'confirmation_request',"
    " 'already_registered', 'follow_request')"
)


def upgrade() -> None:
    where = sa.text(SOON)
    op.create_index("ix_message_soon", "message", ["not_before", "id"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    op.drop_index("ix_message_soon", "message")
