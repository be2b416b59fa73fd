"""The style sheet keeps its promises: colours one can see, files that are what they say, nothing foreign."""

import hashlib
import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "static"
CSS = (STATIC / "wn.css").read_text(encoding="utf-8")
THEMES = range(1, 9)


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def theme_colours() -> list[dict[int, str]]:
    """The eight colours as each block of wn.css gives them: light, dark by system, dark by choice."""
    found = [(int(number), colour) for number, colour in re.findall(r"--wn-c(\d): (#[0-9a-f]{6});", CSS)]
    return [dict(found[start : start + 8]) for start in range(0, len(found), 8)]


def test_dark_by_the_system_and_dark_by_choice_are_the_same_colours():
    light, by_system, by_choice = theme_colours()
    assert [sorted(light), sorted(by_system)] == [list(THEMES), list(THEMES)]
    assert by_system == by_choice


@pytest.mark.parametrize("number", THEMES)
def test_a_theme_colour_stands_out_from_the_page_in_light_and_dark(number):
    light, dark, _ = theme_colours()
    too_weak = [
        (colour, page)
        for colour, page in ((light[number], "#ffffff"), (dark[number], "#000000"))
        if contrast(colour, page) < 3
    ]
    assert too_weak == []


def test_the_readme_tells_the_contrasts_that_are_measured():
    light, dark, _ = theme_colours()
    rows = re.findall(r"\| `c(\d)` \| \w+ \| `(#\w+)` \| ([\d.]+):1 \| `(#\w+)` \| ([\d.]+):1 \|", readme())
    assert rows == [
        (str(n), light[n], f"{contrast(light[n], '#ffffff'):.1f}", dark[n], f"{contrast(dark[n], '#000000'):.1f}")
        for n in THEMES
    ]


def readme() -> str:
    return (STATIC / "README.md").read_text(encoding="utf-8")


def test_every_vendored_file_is_the_one_of_the_manifest():
    manifest = json.loads((STATIC / "vendor" / "manifest.json").read_text(encoding="utf-8"))
    said = {file["name"]: file["sha256"] for file in manifest["files"]}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (STATIC / "vendor").iterdir()
        if path.suffix not in (".json", ".gz", ".br") and path.name != "README.md"
    }
    assert there == said


@pytest.mark.parametrize("name", ["wn.css", "vendor/kern.min.css"])
def test_a_style_sheet_asks_no_other_host_and_only_for_files_we_have(name):
    sheet = STATIC / name
    wanted = re.findall(r"""url\(\s*["']?([^"')]+)""", sheet.read_text(encoding="utf-8"))
    files = [url for url in wanted if not url.startswith(("data:", "#", "http://www.w3.org"))]
    assert [url for url in files if not (sheet.parent / url).is_file()] == []
    assert "@import" not in sheet.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["base.html", "macros/forms.html", "macros/layout.html", "macros/event.html"])
def test_no_template_of_the_frame_needs_inline_style_or_script(name):
    text = (STATIC.parent / "templates" / name).read_text(encoding="utf-8")
    assert re.findall(r"""\sstyle=|\son[a-z]+=|<style|<script(?! src=)|javascript:""", text) == []
