"""Alembic's entry: runs on the connection that whatsnext.db.migrate hands over, inside its transaction."""

from alembic import context

from whatsnext import models
from whatsnext.db import Base

assert models  # every table must be known to the metadata
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
context.run_migrations()
