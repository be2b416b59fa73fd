"""One page after the other, in rounds, so that what else the machine does hits all alike.

Pages are asked for by wrk for a while; what writes is sent a fixed number of times, because the few that wrk leaves
behind when its time is over would weigh heavily among so few.
"""

import http.client
import os
import re
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 4
WRITES = 25
"""How many each connection sends in a round."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANSWERED = re.compile(r"(\d+) requests in ([\d.]+)(m?s),")
NOT_GOOD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True)
class Page:
    """What is asked for; with a `body` it is sent. There and in the path `{n}` becomes another number each time,
    `{talk}` one from 2 to 51.

    `revalidated`: with the ETag that a first GET gave, so that the answer is 304.
    """

    name: str
    address: str
    path: str
    pids: Sequence[int]
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    revalidated: bool = False
    expected: int = 200


@dataclass
class Figures:
    """Of each round: processor milliseconds an answer, answers a second."""

    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    @property
    def cpu_ms(self) -> float:
        return statistics.median(self.cpu)

    @property
    def per_second(self) -> float:
        return statistics.median(self.rate)


class BenchFailed(Exception):
    """A page did not answer as it must, so its figures would mean nothing."""


def measure(pages: Sequence[Page], seconds: float, rounds: int, said: Callable[[str], None]) -> dict[str, Figures]:
    """Ask for each page for so many seconds, round after round; the first, uncounted, warms up.

    What writes is asked for four times a round, in turns: a hundred answers take half a second, and differ by a fifth.
    """
    figures = {page.name: Figures() for page in pages}
    in_a_round = [*pages, *[page for page in pages if page.body] * 3]
    for number in range(rounds + 1):
        said(f"round {number} of {rounds}" if number else "warming up")
        for page in in_a_round:
            cpu, rate = _once(page, seconds)
            if number:
                figures[page.name].cpu.append(cpu)
                figures[page.name].rate.append(rate)
    return figures


def _once(page: Page, seconds: float) -> tuple[float, float]:
    headers = _checked(page)
    before = cpu_seconds(page.pids)
    answered, elapsed = _send(page) if page.body else _wrk(page, headers, seconds)
    if not answered:  # a slow page on a busy machine
        answered, elapsed = _wrk(page, headers, seconds * 10)
    _answer(page, headers)  # answered when what wrk left behind is worked off
    return (cpu_seconds(page.pids) - before) * 1000 / (answered + 1), answered / elapsed


def _checked(page: Page) -> dict[str, str]:
    """The headers to send, once the page has answered as it must."""
    if urlsplit(page.address).hostname not in LOOPBACK:
        raise BenchFailed("load goes to this machine only")
    headers = dict(page.headers)
    if page.revalidated:
        headers["If-None-Match"] = _answer(page, headers)[1]
    status = _answer(page, headers)[0]
    if status != page.expected:
        raise BenchFailed(f"{page.name}: {status} was answered, not {page.expected}")
    return headers


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_what: object) -> None:
        return None


def _answer(page: Page, headers: dict[str, str]) -> tuple[int, str]:
    """Status and ETag of one request, redirects not followed."""
    number = str(time.time_ns())
    path, body = (text.replace("{n}", number).replace("{talk}", "2") for text in (page.path, page.body))
    asked = urllib.request.Request(page.address + path, body.encode() if body else None, headers)
    try:
        with urllib.request.build_opener(_Stay).open(asked, timeout=60) as answer:
            answer.read()
            return answer.status, answer.headers.get("ETag", "")
    except urllib.error.HTTPError as answer:
        answer.read()
        return answer.code, answer.headers.get("ETag", "")


def _wrk(page: Page, headers: dict[str, str], seconds: float) -> tuple[int, float]:
    """How many answers came, in how many seconds."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    said = subprocess.run([*words, page.address + page.path], capture_output=True, text=True, check=True).stdout
    found, bad = ANSWERED.search(said), NOT_GOOD.search(said)
    if not found or bad:
        raise BenchFailed(f"{page.name}: wrk said\n{said}")
    return int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1)


def _send(page: Page) -> tuple[int, float]:
    """The same for what writes: another person in each request, fifty talks by turns."""
    wrong: list[int] = []
    first = time.time_ns()

    def send(start: int) -> None:
        parts = urlsplit(page.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers = {**page.headers, "Content-Type": "application/x-www-form-urlencoded"}
        for number in range(start, start + WRITES):
            given = {"{n}": str(first + number), "{talk}": str(2 + number % 50)}
            path, body = page.path, page.body
            for name, value in given.items():
                path, body = path.replace(name, value), body.replace(name, value)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != page.expected:
                wrong.append(answer.status)
        connection.close()

    senders = [threading.Thread(target=send, args=(number * WRITES,)) for number in range(CONNECTIONS)]
    began = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if wrong:
        raise BenchFailed(f"{page.name}: {sorted(set(wrong))} was answered")
    return WRITES * CONNECTIONS, time.perf_counter() - began


def cpu_seconds(pids: Sequence[int]) -> float:
    """Processor time these processes and all below them have used so far."""
    total, todo = 0, list(pids)
    while todo:
        pid = todo.pop()
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(ticks) for ticks in fields[11:15])
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except FileNotFoundError:  # it has ended meanwhile
            continue
    return total / os.sysconf("SC_CLK_TCK")
