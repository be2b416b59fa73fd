"""Measures the pages as ratios to a bare Flask view on the same server: `python -m bench [--pg] [--json]`.

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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from bench import sample
from bench.load import BenchFailed, Figures, Page, measure
from config import Settings
from tests import servers

SECRET = "a secret key of the bench, long enough to be taken"
THREADS = 4
BARE, INSERT = "bare Flask view", "INSERT + COMMIT"
SIGN_UP = "sign-up"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
BESIDE = {
    "event page": "event page, kept",
    "home, 100 talks": "home, kept",
    "theme page": "theme page, kept",
    "event page, signed in": "event page",
}
"""Which page of the bound stands beside a page of the product; its own name where nothing is said."""

Table = dict[str, dict[str, Figures]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg", action="store_true", help="on a PostgreSQL of its own as well as on SQLite")
    parser.add_argument("--json", action="store_true", help="the figures of each round as JSON")
    parser.add_argument("--seconds", type=float, default=1, help="how long a page is asked for in each round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("Missing: wrk. Install it, for instance: sudo apt-get install wrk")
    results: dict[str, Table] = {}
    try:
        for kind in ("SQLite", "PostgreSQL") if args.pg else ("SQLite",):
            results[kind] = _measured(kind, args.seconds, args.rounds)
    except BenchFailed as reason:
        sys.exit(str(reason))
    if args.json:
        print(json.dumps({kind: _plain(table) for kind, table in results.items()}, indent=1))
    else:
        print("\n\n".join(_markdown(kind, table) for kind, table in results.items()))


# --- the servers -----------------------------------------------------------------------------------------


def _measured(kind: str, seconds: float, rounds: int) -> Table:
    def said(words: str) -> None:
        print(f"{kind}: {words}", file=sys.stderr, flush=True)

    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="whatsnext-bench-")))
        if kind == "SQLite":
            urls, below = [f"sqlite:///{folder / name}.db" for name in ("whatsnext", "bound")], []
        else:
            urls, below = running.enter_context(_postgresql())
        product, pid, cookie = running.enter_context(_product(folder, urls[0]))
        bound, bound_pid = running.enter_context(_bound(urls[1]))
        pages = [*_pages_of_bound(bound, [bound_pid, *below]), *_pages_of_product(product, [pid, *below], cookie)]
        figures = measure(pages, seconds, rounds, said)
    return {
        side: {name.partition(": ")[2]: row for name, row in figures.items() if name.startswith(side)}
        for side in ("product", "bound")
    }


@contextlib.contextmanager
def _postgresql() -> Iterator[tuple[list[str], list[int]]]:
    """Two databases in a cluster of its own, and the id of its first process."""
    with servers.postgresql() as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bound")
            backend = connection.execute("SELECT pg_backend_pid()").fetchone()
            status = Path(f"/proc/{backend[0] if backend else 0}/stat").read_text()
        yield [url, url.rpartition("/")[0] + "/bound"], [int(status.rpartition(")")[2].split()[1])]


@contextlib.contextmanager
def _product(folder: Path, url: str) -> Iterator[tuple[str, int, str]]:
    """`whatsnext serve`, no worker inside: address, process id, cookie of somebody signed in."""
    port = servers.free_port()
    settings = Settings(
        database_url=url,
        secret_key=SECRET,
        instance=folder / "instance",
        port=port,
        threads=THREADS,
        worker=False,
        exit_networks=("127.0.0.0/8",),
    )
    settings.instance.mkdir()
    cookie = sample.fill(settings)
    environment = {
        name: value.get_secret_value() if name == "secret_key" else value
        for name, value in settings
        if name in ("database_url", "secret_key", "instance", "port", "threads", "worker")
    }
    environment = {name.upper(): value for name, value in environment.items()}
    environment["EXIT_NETWORKS"] = ",".join(settings.exit_networks)
    with servers.whatsnext(environment, folder / "serve.log") as process:
        yield f"http://127.0.0.1:{port}", process.pid, cookie


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
        replace(page(SIGN_UP, "/events/talk-{talk}/signup"), body=person, expected=303),
        replace(page(INSERT, "/insert"), body="x={n}"),
    ]


def _pages_of_product(address: str, pids: list[int], cookie: str) -> list[Page]:
    def page(name: str, path: str) -> Page:
        return Page(f"product: {name}", address, path, pids)

    event = "/events/talk-1"
    typed = {"name": "Ada Beispiel", "agency": "Landesamt", "mode": "on_site", "full": "", "website": "", "needs": ""}
    person = urlencode(typed | {"csrf_token": _token(address + event)}) + "&email=p{n}" + quote("@behoerde.example")
    return [
        page("event page", event),
        replace(page("event page, 304", event), revalidated=True, expected=304),
        page("home, 100 talks", "/"),
        replace(page("home, 304", "/"), revalidated=True, expected=304),
        page("theme page", "/themes/blockchain"),
        replace(page("event page, signed in", event), headers={"Cookie": cookie}),
        replace(page(SIGN_UP, "/events/talk-{talk}/signup"), body=person, expected=303),
    ]


def _token(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        found = TOKEN.search(answer.read().decode())
    if not found:
        raise BenchFailed("the event page has no form")
    return found[1]


# --- what is printed -------------------------------------------------------------------------------------


def _ratio(limit: Figures, page: Figures) -> float:
    return limit.cpu_ms / page.cpu_ms


def _markdown(kind: str, table: Table) -> str:
    bound = table["bound"]
    bare, insert = bound[BARE], bound[INSERT]
    took = "takes {0.cpu_ms:.3f} ms of processor time ({0.per_second:.0f}/s)"
    lines = [
        f"### {kind}",
        "",
        f"A bare Flask view {took.format(bare)}; INSERT + COMMIT {took.format(insert)}.",
        "",
        "| page | ms | per second | of the limit | the bound, of the limit | of the bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in table["product"].items():
        beside, limit = bound[BESIDE.get(name, name)], insert if name == SIGN_UP else bare
        cells = [_ratio(limit, row), _ratio(limit, beside), _ratio(beside, row)]
        shown = " | ".join(f"{cell:.2f}" for cell in cells)
        lines.append(f"| {name} | {row.cpu_ms:.3f} | {row.per_second:.0f} | {shown} |")
    rendered = (f"{name} {_ratio(bare, bound[name]):.2f}" for name in ("event page", "home", "theme page"))
    return "\n".join([*lines, "", f"The bound's pages made anew each time, of the limit: {', '.join(rendered)}."])


def _plain(table: Table) -> dict[str, dict[str, dict[str, list[float]]]]:
    return {
        side: {name: {"cpu_ms": row.cpu, "per_second": row.rate} for name, row in rows.items()}
        for side, rows in table.items()
    }


if __name__ == "__main__":
    main()
