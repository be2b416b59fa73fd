"""What tests have counted, for docs/trust.md: a test calls `figure`, `make prove` collects what it says.

Without `make prove` nothing is kept: the tests are the same, only with smaller numbers.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Figure = Callable[..., None]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """figure("kills", kills=20, lost=0): numbers of one name are added up over all tests on the same database."""
    database = request.node.callspec.params.get("database", "") if hasattr(request.node, "callspec") else ""

    def record(name: str, **counted: int) -> None:
        if file := os.environ.get("FIGURES"):
            with Path(file).open("a") as lines:
                lines.write(json.dumps({"figure": name, "database": database, **counted}) + "\n")

    return record
