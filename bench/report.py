"""What the bench prints: tables of ratios, each to a limit of the same run."""

from dataclasses import dataclass, field

from bench import feed, mail, move
from bench.load import Figures

BARE, INSERT = "bare Flask view", "INSERT + COMMIT"
SIGN_UP = "sign-up"
BESIDE = {
    "event page": "event page, kept",
    "home, 100 talks": "home, kept",
    "theme page": "theme page, kept",
    "event page, signed in": "event page",
}
"""Which page of the bound stands beside a page of the product; its own name where nothing is said."""


@dataclass
class Results:
    """Of one kind of database. `feed` in milliseconds; `moves` with 10,000 attendees and with one; `sizes` by size."""

    product: dict[str, Figures]
    bound: dict[str, Figures]
    feed: dict[str, float]
    mails: dict[str, Figures]
    moves: tuple[float, float]
    sizes: dict[str, dict[str, Figures]] = field(default_factory=dict)


def markdown(kind: str, found: Results) -> str:
    """All tables, as they stand in bench/README.md."""
    parts = [_pages(found), _feed(found), _mails(found), _moves(found), _sizes(found)]
    return "\n\n".join([f"### {kind}", *(part for part in parts if part)])


def _ratio(limit: Figures, page: Figures) -> float:
    return limit.cpu_ms / page.cpu_ms


def _pages(found: Results) -> str:
    bound, bare, insert = found.bound, found.bound[BARE], found.bound[INSERT]
    took = "takes {0.cpu_ms:.3f} ms of processor time ({0.per_second:.0f}/s)"
    lines = [
        f"A bare Flask view {took.format(bare)}; INSERT + COMMIT {took.format(insert)}.",
        "",
        "| page | ms | per second | of the limit | the bound, of the limit | of the bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in found.product.items():
        beside, limit = bound[BESIDE.get(name, name)], insert if name == SIGN_UP else bare
        shown = " | ".join(f"{cell:.2f}" for cell in (_ratio(limit, row), _ratio(limit, beside), _ratio(beside, row)))
        lines.append(f"| {name} | {row.cpu_ms:.3f} | {row.per_second:.0f} | {shown} |")
    rendered = (f"{name} {_ratio(bare, bound[name]):.2f}" for name in ("event page", "home", "theme page"))
    return "\n".join([*lines, "", f"The bound's pages made anew each time, of the limit: {', '.join(rendered)}."])


def _feed(found: Results) -> str:
    serialised, bare = found.feed[feed.SERIALISED], found.bound[BARE].cpu_ms
    lines = [
        "| feed of 1,000 talks | ms | of icalendar's serialisation | bare Flask views |",
        "| --- | ---: | ---: | ---: |",
    ]
    kept = found.product["feed of 1,000 talks, kept"].cpu_ms
    for name, took in {**found.feed, "as it is kept": kept}.items():
        lines.append(f"| {name} | {took:.2f} | {serialised / took:.2f} | {took / bare:.1f} |")
    return "\n".join(lines)


def _mails(found: Results) -> str:
    bare = found.mails[mail.BARE]
    lines = ["| invitations | ms | per second | of bare smtplib |", "| --- | ---: | ---: | ---: |"]
    for name, row in found.mails.items():
        lines.append(f"| {name} | {row.cpu_ms:.2f} | {row.per_second:.0f} | {_ratio(bare, row):.2f} |")
    return "\n".join(lines)


def _moves(found: Results) -> str:
    many, one = found.moves
    bare, page = found.bound[BARE].cpu_ms, found.product["event page, signed in"].cpu_ms
    return (
        f"Moving a talk answers the organiser after {many:.0f} ms with {move.ATTENDEES:,} attendees, {one:.1f} ms with"
        f" one: {many / one:.1f} times as much, {many / page:.1f} event pages made for one person, {many / bare:.0f}"
        " bare Flask views."
    )


def _sizes(found: Results) -> str:
    if not found.sizes:
        return ""
    first = next(iter(found.sizes.values()))
    lines = [f"| ms at | {' | '.join(found.sizes)} |", f"| --- |{' ---: |' * len(found.sizes)}"]
    for name, base in first.items():
        cells = []
        for table in found.sizes.values():
            took = table[name].cpu_ms
            cells.append(f"{took:.2f}" if table is first else f"{took:.2f} ({took / base.cpu_ms:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
