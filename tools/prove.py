"""Runs the tests of safety.md's figures with large numbers, counts what they say and keeps it in docs/trust.md.

make prove               all of them, on both databases; takes hours on a small machine
make prove P="kills"     only those whose name has these words in it; the other rows stay as they were
make prove P="kills" SMALL=1     with the numbers that every run of the tests uses, nothing is kept

A number given in the environment goes before ours: CROWD_SEEDS=10 make prove P="sign-ups".
"""

import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/trust.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
DATABASES = ("sqlite", "postgresql")
SEED = "20270116"
COLUMNS = ("Figure", "SQLite", "PostgreSQL", "Wanted", "Seed")


@dataclass(frozen=True)
class Proof:
    """One line of the table. `words` are filled with the counts that the tests give under the name `counted`.

    `settings`: the large numbers; `seed`: the environment variable that takes the seed, or what the seed is.
    """

    name: str
    counted: str
    tests: tuple[str, ...]
    words: str
    wanted: str
    settings: dict[str, str] = field(default_factory=dict)
    seed: str = "–"

    @property
    def environment(self) -> dict[str, str]:
        return {**self.settings, **({self.seed: SEED} if self.seed.isupper() else {})}


PLACES = "tests/load/test_places.py"
HOSTILE = "tests/mail/inbox/test_hostile.py"
CROWD = {"CROWD": "500", "CROWD_PLACES": "50", "CROWD_SEEDS": "50"}
PROOFS = (
    Proof(
        "Simultaneous sign-ups through 2 web processes",
        "sign-ups at once",
        (f"{PLACES}::test_everybody_at_once_the_first_hold_places_and_the_rest_wait_in_order_of_arrival",),
        "{seeds} runs, {people} sign-ups for {places} places: {wrong} violations, {failures} answers 5xx",
        "50 runs of 500 for 50: 0, 0",
        CROWD,
        "0 … n - 1",
    ),
    Proof(
        "The same while 30 places are added and 10 people cancel",
        "sign-ups, places and cancellations at once",
        (f"{PLACES}::test_places_added_and_given_up_meanwhile_are_all_taken_in_order",),
        "{seeds} runs, {people} sign-ups, all {places} places taken: {wrong} violations, {failures} answers 5xx",
        "500 for 50 + 30 each run: 0, 0",
        CROWD,
        "0 … n - 1",
    ),
    Proof(
        "Mails over kills of the worker (SIGKILL at random moments)",
        "mails over kills",
        ("tests/mail/test_killed_workers.py::test_a_worker_killed_while_it_sends_loses_nothing",),
        "{mails} mails, {kills} kills: {lost} lost, {repeated} repeated, {differing} with other bytes",
        "2000, 20: 0, ≤ 20, 0",
        {"KILL_MAILS": "2000", "KILLS": "20"},
        "KILL_SEED",
    ),
    Proof(
        "Two workers, one killed, one stopped past its lease",
        "two workers",
        ("tests/mail/test_killed_workers.py::test_a_worker_frozen_past_its_lease_sends_no_news_when_it_goes_on",),
        "{mails} mails: {lost} lost, {repeated} repeated with equal bytes",
        "0, ≤ 2",
        {"KILL_MAILS": "600"},
    ),
    Proof(
        "Acknowledged writes over kills of the web process",
        "writes over kills",
        ("tests/load/test_killed_web.py",),
        "{kills} kills, {acknowledged} sign-ups acknowledged: {lost} lost",
        "100 kills: 0",
        {"KILLS": "100"},
        "KILL_SEED",
    ),
    Proof(
        "Statements of use cases with an injected fault",
        "statements with a fault",
        ("tests/services/test_faults.py",),
        "{faults} of {faults} in {use_cases} use cases",
        "all",
    ),
    Proof(
        "Random hostile requests over all routes and forms",
        "random requests",
        ("tests/web/test_random.py",),
        "{requests} requests: {failures} answers 5xx",
        "10 000: 0",
        {"RANDOM_REQUESTS": "10000"},
        "RANDOM_SEED",
    ),
    Proof(
        "Hostile mails, each of which must change nothing",
        "hostile mails",
        (f"{HOSTILE}::test_three_hundred_hostile_mails_change_nothing_and_each_is_kept_aside_once",),
        "{mails} mails read: changed {changed} registrations, reader stopped 0 times",
        "300: 0, 0",
        seed="20260105",
    ),
    Proof(
        "Hostile texts, in each place that keeps words, to page, mail, header, calendar, feed, CSV and log",
        "hostile texts",
        ("tests/test_hostile_texts.py::test_no_text_becomes_more_than_text_in_any_output",),
        "{texts} texts in {places} places, {outputs} outputs: {injections} injections",
        "500: 0",
        {"HOSTILE_TEXTS": "500"},
        "HOSTILE_SEED",
    ),
    Proof(
        "Mails with random wounds",
        "mutated mails",
        (f"{HOSTILE}::test_mails_with_random_wounds_stop_nothing_and_touch_nobody_else",),
        "{mails} mails: changed {changed} registrations of others, reader stopped 0 times",
        "10 000: 0, 0",
        {"MUTATED": "10000"},
        "MUTATED_SEED",
    ),
    Proof(
        "Route × role × ownership",
        "cells",
        ("tests/web/test_routes.py",),
        "{cells} cells: {wrong} entered wrongly, 0 routes unlisted",
        "all: 0, 0",
    ),
    Proof(
        "Token × endpoint",
        "token pairs",
        ("tests/web/test_tokens.py::test_an_address_opens_to_secrets_of_its_own_purpose_only",),
        "{pairs} requests: {wrong} accepted wrongly",
        "all: 0",
    ),
    Proof(
        "Redirect payloads",
        "redirects",
        ("tests/web/test_tokens.py::test_nothing_but_a_page_of_ours_is_gone_to",),
        "{payloads} payloads: {followed} followed",
        "60: 0",
    ),
    Proof(
        "Mails to one stranger",
        "sign-ups for one stranger",
        ("tests/services/test_signup.py::test_a_stranger_gets_three_mails_for_fifty_sign_ups",),
        "{sign_ups} sign-ups within an hour: {mails} mails",
        "50: ≤ 3",
    ),
    Proof(
        "A scanner robot behind every link of every mail",
        "scanner robot",
        ("tests/web/test_ten_points.py::test_9_a_robot_behind_every_link_of_every_mail_changes_nothing",),
        "{mails} mails, {links} links opened and their forms sent as served: {effects} effects",
        "0",
    ),
    Proof(
        "Periodic work with three workers in processes of their own",
        "periodic work",
        ("tests/load/test_periodic.py",),
        "{slots} slots of 1 s: {twice} done twice, {missed} missed",
        "10 minutes: 0, 0",
        {"PERIODIC_SECONDS": "600"},
    ),
    Proof(
        "Backup under load, restored",
        "backup under load",
        ("tests/test_backup.py::test_a_backup_under_load_is_one_moment_and_mails_nobody",),
        "{rows} rows: {differing} inconsistencies, {held} mails held, {mailed} sent before their release",
        "0, all, 0",
        {"BACKUP_LOAD": "300"},
    ),
    Proof(
        "Markers left after erasing a person and restoring an older backup",
        "people forgotten",
        (
            "tests/services/test_erasure.py::test_nothing_of_the_person_is_left_and_of_others_everything",
            "tests/test_erasures_restored.py::test_an_older_backup_brings_nobody_back",
        ),
        "{columns} personal columns filled, {restored} older backup restored: {left} rows left",
        "all columns: 0",
    ),
    Proof(
        "Database moved to the other kind (from the one that heads the column)",
        "database moved",
        ("tests/test_moving.py::test_the_demo_and_many_registrations_are_equal_on_both_sides",),
        "{rows} rows of {tables} tables: {differing} tables differ",
        "demo + 10 000 registrations: 0",
        {"MOVED": "10000"},
    ),
)


def counts(file: Path, name: str) -> dict[str, Counter[str]]:
    """What the tests have counted under this name, added up for each database."""
    found: dict[str, Counter[str]] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        said = json.loads(line)
        if said.pop("figure") == name:
            found.setdefault(said.pop("database"), Counter()).update(said)
    return found


def run(proof: Proof, database: str, *, small: bool) -> str:
    """What is said in this column; a failed run says so, with what was counted before."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        environment = {**({} if small else proof.environment), **os.environ, "FIGURES": str(file)}
        command = [sys.executable, "-m", "pytest", *proof.tests, "--quiet", "--no-header", "--database", database]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        counted = counts(file, proof.counted).get(database)
    words = proof.words.format(**counted) if counted else "nothing counted"
    return words if code == 0 and counted else f"**failed**: {words}"


def table(text: str) -> dict[str, str]:
    """The rows that the page has, by their first cell."""
    kept = text.partition(BEGIN)[2].partition(END)[0]
    return {row.split(" | ")[0].removeprefix("| "): row for row in re.findall(r"^\| .* \|$", kept, re.MULTILINE)[2:]}


def machine() -> str:
    """In general words."""
    try:
        postgresql = subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    except (OSError, subprocess.CalledProcessError):
        postgresql = "not found"
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, PostgreSQL {postgresql}"
    )


def keep(rows: dict[str, str]) -> None:
    """Write the table into the page, in the order of the proofs."""
    before, _begin, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    head = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    body = [rows[proof.name] for proof in PROOFS if proof.name in rows]
    lines = [f"Machine of the last run: {machine()}.", "", *head, *body]
    PAGE.write_text(before + "\n".join([BEGIN, "", *lines, "", END]) + after)


def main() -> int:
    words, small = os.environ.get("P", "").lower(), bool(os.environ.get("SMALL"))
    chosen = [proof for proof in PROOFS if words in proof.name.lower()]
    if not chosen:
        print(f"No figure has these words in its name: {words}", file=sys.stderr)
        return 2
    rows, failed = table(PAGE.read_text()), 0
    for proof in chosen:
        cells = [run(proof, database, small=small) for database in DATABASES]
        failed += sum(cell.startswith("**") for cell in cells)
        seed = proof.environment.get(proof.seed, proof.seed) if not small else "default"
        rows[proof.name] = f"| {' | '.join([proof.name, *cells, proof.wanted, seed])} |"
        print(f"\n{rows[proof.name]}\n", flush=True)
        if not small:
            keep(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
