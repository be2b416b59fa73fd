"""Measures pages, feeds, sign-ups and mails as ratios to limits of the same run: `python -m bench [--pg] [--json]`.

Product and bound (bench/bound.py) run at the same time, each in a process of its own, by waitress with the same number
of threads on a database of the same kind, and are asked in turns. The measure is processor time an answer, that of the
database server included: requests a second depend on who else uses the machine.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from pydantic import SecretStr

from bench import bulk, feed, mail, move, report, sample
from bench.load import BenchFailed, Figures, Page, measure
from bench.report import BARE, INSERT, SIGN_UP, Results
from config import Settings
from tests import servers
from whatsnext.app import create_app

SECRET = "a secret key of the bench, long enough to be taken"
THREADS = 4
SIZES = "100:0,10000:100000"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg", action="store_true", help="on a PostgreSQL of its own as well as on SQLite")
    parser.add_argument("--json", action="store_true", help="the figures of each round as JSON")
    parser.add_argument("--seconds", type=float, default=1, help="how long a page is asked for in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--sizes",
        default=os.environ.get("BENCH_SIZES", SIZES),
        help="talks:registrations of the installations compared, separated by commas (or BENCH_SIZES); empty for none",
    )
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("Missing: wrk. Install it, for instance: sudo apt-get install wrk")
    sizes = [tuple(int(number) for number in size.split(":")) for size in args.sizes.split(",") if size]
    results: dict[str, Results] = {}
    try:
        for kind in ("SQLite", "PostgreSQL") if args.pg else ("SQLite",):
            results[kind] = _measured(kind, args.seconds, args.rounds)
            results[kind].sizes = {
                f"{talks:,} talks, {people:,} registrations": _at_size(kind, talks, people, args.seconds, args.rounds)
                for talks, people in sizes
            }
    except BenchFailed as reason:
        sys.exit(str(reason))
    if args.json:
        print(json.dumps({kind: asdict(found) for kind, found in results.items()}, default=asdict, indent=1))
    else:
        print("\n\n".join(report.markdown(kind, found) for kind, found in results.items()))


# --- the servers -----------------------------------------------------------------------------------------


def _said(kind: str, words: str) -> None:
    print(f"{kind}: {words}", file=sys.stderr, flush=True)


def _measured(kind: str, seconds: float, rounds: int) -> Results:
    said = partial(_said, kind)
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="whatsnext-bench-")))
        if kind == "SQLite":
            urls, below = [f"sqlite:///{folder / name}.db" for name in ("whatsnext", "bound")], []
        else:
            urls, below = running.enter_context(_postgresql())
        settings = _settings(folder, urls[0])
        attendee, organiser = sample.fill(settings)
        product, pid = running.enter_context(_product(folder, settings))
        bound, bound_pid = running.enter_context(_bound(urls[1]))
        pages = [*_pages_of_bound(bound, [bound_pid, *below]), *_pages_of_product(product, [pid, *below], attendee)]
        figures = measure(pages, seconds, rounds, said)
        said("feed built, mails, a talk moved")
        return Results(
            product={name.partition(": ")[2]: row for name, row in figures.items() if name.startswith("product")},
            bound={name.partition(": ")[2]: row for name, row in figures.items() if name.startswith("bound")},
            feed=feed.measure(settings, rounds),
            mails=mail.measure(settings, below, rounds, said),
            moves=move.measure(settings, organiser, below, rounds),
        )


def _at_size(kind: str, talks: int, people: int, seconds: float, rounds: int) -> dict[str, Figures]:
    """The same pages of an installation with so many talks and registrations."""
    said = partial(_said, f"{kind}, {talks} talks")
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="whatsnext-bench-")))
        urls, below = (
            ([f"sqlite:///{folder}/whatsnext.db"], []) if kind == "SQLite" else running.enter_context(_postgresql())
        )
        settings = _settings(folder, urls[0])
        _attendee, organiser = sample.fill(settings)
        said("filling")
        bulk.grow(create_app(settings), talks, people)
        product, pid = running.enter_context(_product(folder, settings))
        figures = measure(_pages_at_size(product, [pid, *below], organiser), seconds, rounds, said)
        built = Figures()
        built.cpu = [feed.measure(settings, rounds)[feed.BUILT]]
        return {**figures, "feed of 1,000 talks, built": built}


@contextlib.contextmanager
def _postgresql() -> Iterator[tuple[list[str], list[int]]]:
    """Two databases in a cluster of its own, and the id of its first process."""
    with servers.postgresql() as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bound")
            backend = connection.execute("SELECT pg_backend_pid()").fetchone()
            status = Path(f"/proc/{backend[0] if backend else 0}/stat").read_text()
        yield [url, url.rpartition("/")[0] + "/bound"], [int(status.rpartition(")")[2].split()[1])]


def _settings(folder: Path, url: str) -> Settings:
    settings = Settings(
        database_url=url,
        secret_key=SecretStr(SECRET),
        instance=folder / "instance",
        port=servers.free_port(),
        threads=THREADS,
        worker=False,
        exit_networks=("127.0.0.0/8",),
    )
    settings.instance.mkdir()
    return settings


@contextlib.contextmanager
def _product(folder: Path, settings: Settings) -> Iterator[tuple[str, int]]:
    """`whatsnext serve`, no worker inside: address, process id."""
    environment = {
        name: value.get_secret_value() if name == "secret_key" else value
        for name, value in settings
        if name in ("database_url", "secret_key", "instance", "port", "threads", "worker")
    }
    environment = {name.upper(): value for name, value in environment.items()}
    environment["EXIT_NETWORKS"] = ",".join(settings.exit_networks)
    with servers.whatsnext(environment, folder / "serve.log") as process:
        yield f"http://127.0.0.1:{settings.port}", process.pid


@contextlib.contextmanager
def _bound(url: str) -> Iterator[tuple[str, int]]:
    port = servers.free_port()
    words = [sys.executable, "-m", "bench.bound", str(port), url, str(THREADS)]
    process = subprocess.Popen(words, cwd=servers.ROOT, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    address = f"http://127.0.0.1:{port}"
    try:
        for _try in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
                break
            time.sleep(0.05)
        else:
            raise BenchFailed("the bound does not answer")
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


# --- the pages -------------------------------------------------------------------------------------------


def _pages_of_bound(address: str, pids: list[int]) -> list[Page]:
    person = "name=Ada&email=p{n}@behoerde.example&agency=Landesamt"

    def page(name: str, path: str) -> Page:
        return Page(f"bound: {name}", address, path, pids)

    return [
        page(BARE, "/"),
        page("event page", "/events/talk-1"),
        page("event page, kept", "/kept/events/talk-1"),
        replace(page("event page, 304", "/kept/events/talk-1"), revalidated=True, expected=304),
        page("home", "/talks"),
        page("home, kept", "/kept/talks"),
        replace(page("home, 304", "/kept/talks"), revalidated=True, expected=304),
        page("theme page", "/themes/Blockchain"),
        page("theme page, kept", "/kept/themes/Blockchain"),
        page("feed of 1,000 talks, kept", "/feed.ics"),
        replace(page("feed, 304", "/feed.ics"), revalidated=True, expected=304),
        replace(page(SIGN_UP, "/events/talk-{talk}/signup"), body=person, expected=303),
        replace(page(INSERT, "/insert"), body="x={n}"),
    ]


def _pages_of_product(address: str, pids: list[int], cookie: str) -> list[Page]:
    def page(name: str, path: str) -> Page:
        return Page(f"product: {name}", address, path, pids)

    event = "/events/talk-1"
    return [
        page("event page", event),
        replace(page("event page, 304", event), revalidated=True, expected=304),
        page("home, 100 talks", "/"),
        replace(page("home, 304", "/"), revalidated=True, expected=304),
        page("theme page", "/themes/blockchain"),
        replace(page("feed of 1,000 talks, kept", feed.PATH), headers=feed.PACKED),
        replace(page("feed, 304", feed.PATH), revalidated=True, expected=304),
        replace(page("event page, signed in", event), headers={"Cookie": cookie}),
        _sign_up(page, address),
    ]


def _pages_at_size(address: str, pids: list[int], organiser: str) -> list[Page]:
    """With a query a page is made anew each time."""

    def page(name: str, path: str) -> Page:
        return Page(name, address, path, pids)

    return [
        page("event page", "/events/talk-1"),
        page("event page, made anew", "/events/talk-1?anew=1"),
        page("home, made anew", "/?anew=1"),
        page("theme page, made anew", "/themes/blockchain?anew=1"),
        replace(page("feed of 1,000 talks, kept", feed.PATH), headers=feed.PACKED),
        replace(page("organiser's overview", "/organise/"), headers={"Cookie": organiser}),
        replace(page("delivery of mails", "/organise/delivery"), headers={"Cookie": organiser}),
        _sign_up(page, address),
    ]


def _sign_up(page: Callable[[str, str], Page], address: str) -> Page:
    typed = {"name": "Ada Beispiel", "agency": "Landesamt", "mode": "on_site", "full": "", "website": "", "needs": ""}
    token = _token(f"{address}/events/talk-1")
    person = urlencode(typed | {"csrf_token": token}) + "&email=p{n}" + quote("@behoerde.example")
    return replace(page(SIGN_UP, "/events/talk-{talk}/signup"), body=person, expected=303)


def _token(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        found = TOKEN.search(answer.read().decode())
    if not found:
        raise BenchFailed("the event page has no form")
    return found[1]


if __name__ == "__main__":
    main()
