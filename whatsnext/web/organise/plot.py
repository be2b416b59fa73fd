"""Numbers by hour as stacked bars: where each rectangle of the picture stands. Templates only draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 200, 44, 12, 24
GAP = 2


@dataclass(frozen=True)
class Bar:
    """One rectangle; `kind` is the end of its class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tick:
    """A word below the bars, or beside them, with its line."""

    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Plot:
    """A picture of WIDTH × HEIGHT."""

    bars: list[Bar]
    below: list[Tick]
    beside: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def stacked(kinds: Sequence[str], columns: Sequence[Sequence[int]], names: dict[int, str]) -> Plot:
    """One stack per column, the first kind lowest. `names`: what stands below the column of that number."""
    highest = _round(max((sum(column) for column in columns), default=0))
    step = (WIDTH - LEFT) / max(len(columns), 1)
    scale = (HEIGHT - TOP - BOTTOM) / highest
    bars = []
    for number, column in enumerate(columns):
        floor = float(HEIGHT - BOTTOM)
        for kind, value in zip(kinds, column, strict=True):
            if value:
                height = round(max(value * scale, 1.0), 2)
                floor = round(floor - height, 2)
                bars.append(Bar(kind, round(LEFT + number * step + GAP / 2, 2), floor, round(step - GAP, 2), height))
    below = [Tick(round(LEFT + number * step, 2), HEIGHT - 6, words) for number, words in names.items()]
    beside = [Tick(LEFT - 6, round(HEIGHT - BOTTOM - part * scale, 2), str(part)) for part in _parts(highest)]
    return Plot(bars, below, beside)


def _round(number: int) -> int:
    """The next number that reads well: 1, 2, 5 times a power of ten, at least 2."""
    power = 1
    while True:
        for factor in (2, 5, 10):
            if number <= factor * power:
                return factor * power
        power *= 10


def _parts(highest: int) -> list[int]:
    return sorted({0, highest // 2, highest})
