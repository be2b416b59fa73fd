"""What every test may ask for. Real databases, real mail, a real browser; only the clock is ours."""

import hypothesis  # first of all: imported in its own terminal summary it died now and then (CPython 3.11.7)

# isort: split
import os
from collections.abc import Iterator
from typing import Any

import coverage
import pytest
from xdist.scheduler import LoadScopeScheduling

from config import Settings
from tests import servers
from tools import texts

hypothesis.settings.register_profile("whatsnext", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("whatsnext")

DATABASES = ("sqlite", "postgresql")
SWEEPING = (
    "tests/browser/",
    "tests/load/",
    "tests/mail/inbox/test_hostile.py",
    "tests/mail/inbox/test_killed.py",
    "tests/mail/test_killed_workers.py",
    "tests/test_database_away.py",
    "tests/test_hostile_texts.py",
    "tests/web/test_bad_input.py",
    "tests/web/test_random.py",
    "tests/web/test_routes.py",
    "tests/web/test_ten_points.py",
    "tests/web/test_tokens.py",
)
"""They go everywhere and look at few things: what only they reach does not count as tested."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
BROWSER_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

pytest_plugins = ["tests.factories", "tests.databases", "tests.figures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=[*DATABASES, "both"],
        default=os.environ.get("TEST_DATABASE", "both"),
        help="the database the tests run on (default: both)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything that asks for a database runs on both; what drives a browser runs on SQLite only."""
    if "database" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("database")
    kinds = DATABASES if chosen == "both" else (chosen,)
    if metafunc.definition.get_closest_marker("browser") and "sqlite" in kinds:
        kinds = ("sqlite",)
    metafunc.parametrize("database", kinds, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Count lines once: counting takes as long as all else in a test, and as long again in the processes it starts."""
    counting = coverage.Coverage.current()
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    again = item.config.getoption("database") == "both" and parameters.get("database") == "postgresql"
    if counting is None or not (again or item.nodeid.startswith(SWEEPING)):
        return (yield)
    of_processes = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE_PROCESS")}
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()
        os.environ.update(of_processes)


class InTurn(LoadScopeScheduling):  # type: ignore[misc]
    """Each test goes to the next process that is free; those that need most of the machine follow each other in one.

    Marks for groups would say the same; pytest-xdist 3.8 loses them with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "in turn" if nodeid.startswith(("tests/browser/", "tests/load/")) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InTurn:
    return InTurn(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Texts are compiled, and no setting of the machine reaches the tests."""
    texts.compile_all()
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Nothing may leave this machine: a connection elsewhere fails the test that opens it (safety.md P10)."""
    servers.guard_connections(LOOPBACK)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty database in a throw-away PostgreSQL cluster."""
    with servers.postgresql() as address:
        yield address


@pytest.fixture(scope="session")
def _mail_server() -> Iterator[servers.MailServer]:
    with servers.mail_server() as sink:
        yield sink


@pytest.fixture
def smtp(_mail_server: servers.MailServer) -> servers.MailServer:
    """A mail server that keeps what it takes, empty at the start of each test."""
    _mail_server.reset()
    return _mail_server


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, quiet, and in its sandbox unless root starts it."""
    return {
        **browser_type_launch_args,
        "executable_path": os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        "chromium_sandbox": os.geteuid() != 0,
        "args": list(BROWSER_FLAGS),
    }
