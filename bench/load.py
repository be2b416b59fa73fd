"""wrk against one page after the other, in rounds, so that what else the machine does hits all alike."""

import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 4
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANSWERED = re.compile(r"(\d+) requests in ([\d.]+)(m?s),")
NOT_GOOD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True)
class Page:
    """What is asked for. In a path or body `{n}` becomes another number each time, `{talk}` one from 2 to 51.

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
    """Ask for each page for so many seconds, round after round; the first, uncounted, warms up."""
    figures = {page.name: Figures() for page in pages}
    for number in range(rounds + 1):
        said(f"round {number} of {rounds}" if number else "warming up")
        for page in pages:
            cpu, rate = _once(page, seconds if number else 0.5)
            if number:
                figures[page.name].cpu.append(cpu)
                figures[page.name].rate.append(rate)
    return figures


def _once(page: Page, seconds: float) -> tuple[float, float]:
    headers = _checked(page)
    before = _cpu_seconds(page.pids)
    answered, elapsed = _wrk(page, headers, seconds)
    _answer(page, headers)  # answered when what wrk left behind is worked off
    return (_cpu_seconds(page.pids) - before) * 1000 / (answered + 1), answered / elapsed


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
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if page.body:
            script.write(_lua(page))
            script.flush()
            words += ["-s", script.name]
        path = page.path.replace("{talk}", "2")
        said = subprocess.run([*words, page.address + path], capture_output=True, text=True, check=True).stdout
    found, bad = ANSWERED.search(said), NOT_GOOD.search(said)
    if not found or bad or not int(found[1]):
        raise BenchFailed(f"{page.name}: wrk said\n{said}")
    return int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1)


def _lua(page: Page) -> str:
    """A different person, and one of fifty talks, in each request."""
    return f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
local n = {time.time_ns() // 1000}
request = function()
  n = n + 1
  local number, talk = string.format("%.0f", n), tostring(2 + n % 50)
  local body = string.gsub("{page.body}", "{{n}}", number)
  local path = string.gsub("{page.path}", "{{talk}}", talk)
  return wrk.format(nil, path, nil, body)
end
"""


def _cpu_seconds(pids: Sequence[int]) -> float:
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
