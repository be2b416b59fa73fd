"""A mail about a registration is about its talk and its person: one foreign key says so, instead of three.

When thousands of mails are owed at once PostgreSQL looks up each key of each of them, and writes each into every
index: none is found by its Message-ID any more, and only those that a stranger may cause by person and time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UNASKED = "kind IN ('confirmation_request', 'already_registered', 'follow_request')"
SOON = (
    "state || '' IN ('owed', 'deferred', 'sending') AND kind IN ('sign_in', 'new_link', 'confirmation_request',"
    " 'already_registered', 'follow_request')"
)
ABOUT = "registration_id IS NULL OR (event_id IS NOT NULL AND person_id IS NOT NULL)"
NAMES = {"fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s"}
"""SQLite does not tell those of keys that came with a column."""
SINGLE = [("person_id", "person"), ("event_id", "event"), ("registration_id", "registration")]


def upgrade() -> None:
    for column in ("event_id", "person_id"):  # where they say something else, the registration is right
        its = f"(SELECT registration.{column} FROM registration WHERE registration.id = message.registration_id)"  # noqa: S608
        differs = f"registration_id IS NOT NULL AND ({column} IS NULL OR {column} <> {its})"
        op.execute(sa.text(f"UPDATE message SET {column} = {its} WHERE {differs}"))  # noqa: S608
    op.create_index("ix_registration_about", "registration", ["id", "event_id", "person_id"], unique=True)
    where = sa.text(UNASKED)
    op.drop_index("ix_message_recent", "message")
    op.drop_index("ix_message_soon", "message")
    with op.batch_alter_table("message", naming_convention=NAMES) as batch_op:
        for column, table in SINGLE:
            batch_op.drop_constraint(f"fk_message_{column}_{table}", type_="foreignkey")
        batch_op.drop_constraint("uq_message_message_id", type_="unique")
        batch_op.create_foreign_key(
            "fk_message_registration_id_registration",
            "registration",
            ["registration_id", "event_id", "person_id"],
            ["id", "event_id", "person_id"],
        )
        batch_op.create_check_constraint("about_registration", ABOUT)
    _index_soon()
    op.create_index(
        "ix_message_unasked", "message", ["person_id", "created_at"], postgresql_where=where, sqlite_where=where
    )


def downgrade() -> None:
    op.drop_index("ix_message_unasked", "message")
    op.drop_index("ix_message_soon", "message")
    with op.batch_alter_table("message", naming_convention=NAMES) as batch_op:
        batch_op.drop_constraint("about_registration", type_="check")
        batch_op.drop_constraint("fk_message_registration_id_registration", type_="foreignkey")
        batch_op.create_unique_constraint("uq_message_message_id", ["message_id"])
        for column, table in SINGLE:
            batch_op.create_foreign_key(f"fk_message_{column}_{table}", table, [column], ["id"])
    _index_soon()
    op.create_index("ix_message_recent", "message", ["person_id", "created_at"])
    op.drop_index("ix_registration_about", "registration")


def _index_soon() -> None:
    """Its condition is more than SQLAlchemy reads back when SQLite's table is made anew."""
    where = sa.text(SOON)
    op.create_index("ix_message_soon", "message", ["not_before", "id"], postgresql_where=where, sqlite_where=where)
