"""Messages to those who follow a theme: a new kind of mail, in tables as they are."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    # mails that the earlier release cannot write
    op.execute("DELETE FROM message WHERE kind = 'follower_message'")
