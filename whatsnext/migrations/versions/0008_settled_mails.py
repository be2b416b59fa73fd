"""The delivery page counts the mails of two days without looking at those of years."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    settled = sa.text("settled_at IS NOT NULL")
    op.create_index(
        "ix_message_settled", "message", ["state", "settled_at"], sqlite_where=settled, postgresql_where=settled
    )


def downgrade() -> None:
    op.drop_index("ix_message_settled", "message")
