"""Incoming mail: what calendars answer, done once, and how far mailboxes are read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailbox",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_mailbox"),
    )
    op.create_table(
        "incoming",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("registration_id", sa.Integer(), nullable=True),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("sender_name", sa.String(length=120), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("delegate", sa.String(length=254), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("proposed_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proposed_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_incoming_event_id_event"),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registration.id"], name="fk_incoming_registration_id_registration"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incoming"),
        sa.UniqueConstraint("digest", name="uq_incoming_digest"),
    )
    op.create_index("ix_incoming_event_id", "incoming", ["event_id"])
    op.create_index("ix_incoming_open", "incoming", ["state", "done_at", "id"])
    op.create_index("ix_incoming_received", "incoming", ["received_at"])
    op.create_index("ix_incoming_registration", "incoming", ["registration_id", "received_at"])
    op.add_column("person", sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("registration", sa.Column("partstat_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("registration", sa.Column("reply_sequence", sa.Integer(), nullable=True))
    op.add_column("registration", sa.Column("reply_stamp", sa.DateTime(timezone=True), nullable=True))
    op.add_column("registration", sa.Column("reply_comment", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    # an answer that the first release does not know is none to it
    op.execute("UPDATE registration SET partstat = 'NEEDS-ACTION' WHERE partstat = 'DELEGATED'")
    op.drop_column("registration", "reply_comment")
    op.drop_column("registration", "reply_stamp")
    op.drop_column("registration", "reply_sequence")
    op.drop_column("registration", "partstat_at")
    op.drop_column("person", "bounced_at")
    op.drop_table("incoming")
    op.drop_table("mailbox")
