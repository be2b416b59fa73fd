"""A mail keeps whose wish it answers, and a reminder which of several parts of one day it was for.

Facts are forgotten once a mail is settled; a mail that failed is tried again, though its talk has another theme by then.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("follow_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("message", "follow_id")
