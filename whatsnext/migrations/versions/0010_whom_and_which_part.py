"""A mail keeps whose wish it answers, and a reminder which of several parts of one day it was for.

What a mail says is forgotten once it is settled; one that failed is tried again, when its talk may have another theme.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("follow_id", sa.Integer(), nullable=True))
    with op.batch_alter_table("reminder") as batch:
        batch.add_column(sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
        batch.drop_constraint("pk_reminder", type_="primary")
        batch.create_primary_key("pk_reminder", ["registration_id", "minutes", "day", "position"])


def downgrade() -> None:
    op.execute(
        "DELETE FROM reminder WHERE EXISTS (SELECT 1 FROM reminder AS other"
        " WHERE other.registration_id = reminder.registration_id AND other.minutes = reminder.minutes"
        " AND other.day = reminder.day AND other.position < reminder.position)"
    )
    with op.batch_alter_table("reminder") as batch:
        batch.drop_constraint("pk_reminder", type_="primary")
        batch.create_primary_key("pk_reminder", ["registration_id", "minutes", "day"])
        batch.drop_column("position")
    op.drop_column("message", "follow_id")
