"""Begin a migration: python -m tools.migration "number arrivals"

Compares the models with the tables as the migrations make them, in a throw-away SQLite file, and writes the difference
as the next numbered file of whatsnext/migrations/versions/. Read it, add what carries the data along, and the way back.
"""

import re
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from whatsnext.db import MIGRATIONS, alembic_config, migrate


def next_number(folder: Path = MIGRATIONS / "versions") -> str:
    """Four digits, one above the highest there."""
    taken = [int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]_*.py")]
    return f"{max(taken, default=0) + 1:04}"


def slug(words: str) -> str:
    return re.sub(r"\W+", "_", words.lower()).strip("_")


def begin(words: str) -> Path:
    """Write the next migration; returns its file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/tables.db")
        with engine.connect() as connection:
            migrate(connection, "head")
        with engine.connect() as connection:
            config = alembic_config()
            config.set_main_option("file_template", f"%%(rev)s_{slug(words)}")
            config.attributes["connection"] = connection
            written = command.revision(config, words, autogenerate=True, rev_id=next_number())
        engine.dispose()
    scripts = written if isinstance(written, list) else [written]
    path = next(Path(script.path) for script in scripts if script is not None)
    path.write_text(without_models(path.read_text()))
    return path


def without_models(source: str) -> str:
    """A migration names plain column types: the models of its day are gone when it runs."""
    return re.sub(r"whatsnext\.models\.types\.UtcDateTime\([^)]*\)", "sa.DateTime(timezone=True)", source)


if __name__ == "__main__":
    print(f"Read and complete {begin(' '.join(sys.argv[1:])).relative_to(Path.cwd())}")
