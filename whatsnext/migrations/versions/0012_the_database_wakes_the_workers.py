"""PostgreSQL itself wakes the workers when a mail is owed: to ask for that cost each transaction a statement more.

SQLite wakes nobody; whoever writes to it does so in the worker's own process, or the worker looks by itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CHANNEL = "whatsnext_owed"
WAKE = f"""
CREATE FUNCTION whatsnext_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY {CHANNEL};
    RETURN NULL;
END
$$
"""
WHEN_INSERTED = """
CREATE TRIGGER message_inserted AFTER INSERT ON message
    FOR EACH STATEMENT EXECUTE FUNCTION whatsnext_wake()
"""
WHEN_OWED_AGAIN = """
CREATE TRIGGER message_owed_again AFTER UPDATE OF state ON message
    FOR EACH ROW WHEN (NEW.state = 'owed' AND OLD.state <> 'owed') EXECUTE FUNCTION whatsnext_wake()
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in (WAKE, WHEN_INSERTED, WHEN_OWED_AGAIN):
            op.execute(sa.text(statement))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("message_owed_again", "message_inserted"):
            op.execute(sa.text(f"DROP TRIGGER {name} ON message"))
        op.execute(sa.text("DROP FUNCTION whatsnext_wake()"))
