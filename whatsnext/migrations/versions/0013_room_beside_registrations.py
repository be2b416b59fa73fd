"""PostgreSQL leaves room on each page of registrations, so that those of a whole talk can be changed in place.

A new version of a row on another page is written into all nine indexes: moving a talk with 10,000 attendees spent more
than half of its time on that. Pages that are full already stay so until `VACUUM FULL registration`.
The bytes of mails, kept for a moment, are no longer compressed: most of them are base64, and shrink little.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("ALTER TABLE registration SET (fillfactor = 50)"))
        op.execute(sa.text("ALTER TABLE message ALTER raw SET STORAGE EXTERNAL"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("ALTER TABLE message ALTER raw SET STORAGE EXTENDED"))
        op.execute(sa.text("ALTER TABLE registration RESET (fillfactor)"))
