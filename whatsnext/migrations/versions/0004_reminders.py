"""Reminders before a talk, and themes and talks that people follow by mail."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reminder",
        sa.Column("registration_id", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name="fk_reminder_registration_id_registration",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("registration_id", "minutes", "day", name="pk_reminder"),
    )
    op.create_table(
        "follow",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("theme_id", sa.Integer(), nullable=True),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("theme_id IS NOT NULL OR event_id IS NOT NULL", name="ck_follow_meant"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_follow_event_id_event", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_follow_person_id_person", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["theme_id"], ["theme.id"], name="fk_follow_theme_id_theme", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_follow"),
        sa.UniqueConstraint("person_id", "event_id", name="uq_follow_person_id_event_id"),
        sa.UniqueConstraint("person_id", "theme_id", name="uq_follow_person_id_theme_id"),
    )
    op.create_index("ix_follow_event", "follow", ["event_id", "told_at"])
    op.create_index("ix_follow_theme", "follow", ["theme_id", "ended_at"])
    op.add_column("series", sa.Column("reminders", sa.String(length=60), nullable=False, server_default="1440,60"))
    op.add_column("job_run", sa.Column("done_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # mails that the earlier release cannot write
    op.execute("DELETE FROM message WHERE kind IN ('reminder', 'follow_request', 'news', 'sign_up_opens')")
    op.drop_column("job_run", "done_until")
    op.drop_column("series", "reminders")
    op.drop_table("follow")
    op.drop_table("reminder")
