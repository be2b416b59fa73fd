"""Feeds: the personal calendar's secret, and indexes by host and by the day of announcement."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_feed",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.String(length=43), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_person_feed_person_id_person"),
        sa.PrimaryKeyConstraint("person_id", name="pk_person_feed"),
        sa.UniqueConstraint("secret", name="uq_person_feed_secret"),
    )
    op.drop_index("ix_event_host_id", "event")
    op.create_index("ix_event_host", "event", ["host_id", "state", "starts_at"])
    op.create_index("ix_event_announced", "event", ["state", "published_at"])


def downgrade() -> None:
    op.drop_index("ix_event_announced", "event")
    op.drop_index("ix_event_host", "event")
    op.create_index("ix_event_host_id", "event", ["host_id"])
    op.drop_table("person_feed")
