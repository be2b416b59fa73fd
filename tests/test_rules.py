"""House rules that no linter knows; each failure names file and line."""

import re
from pathlib import Path

import pytest

from tools import check_tree

ROOT = check_tree.ROOT
CLOCKS = ("whatsnext/clock.py",)
EDGES = ("whatsnext/web/errors.py", "whatsnext/jobs.py", "whatsnext/inbox.py")
OURS = ("whatsnext/", "templates/", "tests/", "tools/", "config.py")


def lines_with(pattern, *, under, ending=(".py",), but=()):
    """file:line of every place where the pattern stands in files of ours."""
    found = []
    for name in check_tree.kept_files():
        if name.startswith(under) and name.endswith(ending) and not name.startswith(but) and (ROOT / name).exists():
            lines = (ROOT / name).read_text().splitlines()
            found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if re.search(pattern, line)]
    return found


def test_only_the_edge_commits():
    assert lines_with(r"\.commit\(", under=("whatsnext/", "config.py"), but=("whatsnext/db.py",)) == []


def test_only_the_clock_knows_the_present():
    assert (
        lines_with(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time)\(", under=("whatsnext/",), but=CLOCKS)
        == []
    )


def test_only_the_edges_catch_everything():
    assert lines_with(r"except(\s*:| \(?Exception\b)", under=("whatsnext/", "config.py"), but=EDGES) == []


def test_pages_carry_no_inline_script_or_style():
    pattern = r"<style\b|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+="
    assert lines_with(pattern, under=("templates/",), ending=(".html",), but=("templates/mail/",)) == []


def test_templates_trust_no_text_blindly():
    assert lines_with(r"[^'\"\s]\s*\|\s*safe\b|autoescape false", under=("templates/",), ending=(".html", ".txt")) == []


def test_nothing_is_left_for_later_or_left_out():
    pattern = r"\b(TODO|FIXME|XXX)\b(?!.*#\d)|NotImplementedError|pytest\.mark\.(skip|xfail)|pytest\.skip\("
    assert lines_with(pattern, under=OURS, ending=(".py", ".html", ".txt"), but=("tests/test_rules.py",)) == []


def test_settings_import_nothing_of_ours():
    assert lines_with(r"^\s*(from|import) whatsnext", under=("config.py",)) == []


@pytest.mark.parametrize("folder", ["whatsnext", "tools"])
def test_no_file_passes_400_lines(folder):
    lengths = {path: len(path.read_text().splitlines()) for path in Path(ROOT, folder).rglob("*.py")}
    long = {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > 400}
    assert {name: length for name, length in long.items() if not name.startswith("whatsnext/migrations/")} == {}
