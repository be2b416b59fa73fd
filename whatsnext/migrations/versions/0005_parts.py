"""Talks of several parts: two afternoons, a weekly course."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("repeat_weeks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("event", sa.Column("part_count", sa.Integer(), nullable=False, server_default="1"))
    op.create_index(
        "ix_event_courses",
        "event",
        ["ends_at", "starts_at"],
        sqlite_where=sa.text("part_count > 1"),
        postgresql_where=sa.text("part_count > 1"),
    )
    op.create_table(
        "event_part",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("starts_local", sa.DateTime(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("original_local", sa.DateTime(), nullable=True),
        sa.Column("uid", sa.String(length=120), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("duration_minutes > 0", name="ck_event_part_duration"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_event_part_event_id_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_event_part"),
        sa.UniqueConstraint("event_id", "position", name="uq_event_part_event_id_position"),
    )
    op.create_index("ix_event_part_uid", "event_part", ["uid"])
    op.create_table(
        "part_answer",
        sa.Column("registration_id", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("partstat", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["part_id"], ["event_part.id"], name="fk_part_answer_part_id_event_part", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name="fk_part_answer_registration_id_registration",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("registration_id", "part_id", name="pk_part_answer"),
    )
    op.create_index("ix_part_answer_part_id", "part_answer", ["part_id"])
    for table in ("message", "incoming"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("part_id", sa.Integer(), nullable=True))
            batch.create_foreign_key(f"fk_{table}_part_id_event_part", "event_part", ["part_id"], ["id"])
    op.create_index("ix_message_part_id", "message", ["part_id"])


def downgrade() -> None:
    # a mail of a kind the earlier release does not know would stop its worker
    op.execute("DELETE FROM message WHERE kind = 'part_cancellation'")
    op.execute("UPDATE incoming SET reason = '' WHERE reason = 'one_part'")
    op.drop_index("ix_message_part_id", "message")
    for table in ("incoming", "message"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_part_id_event_part", type_="foreignkey")
            batch.drop_column("part_id")
    op.drop_table("part_answer")
    op.drop_table("event_part")
    op.drop_index("ix_event_courses", "event")
    op.drop_column("event", "part_count")
    op.drop_column("event", "repeat_weeks")
