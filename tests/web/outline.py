"""The outline of a page, for tests that look at its order."""

import re

from tests.pages import Page


def headings(page: Page) -> list[tuple[int, str]]:
    """The outline of a page below its title: [(2, "Februar 2026"), …]."""
    found = re.findall(r"<h([123])[^>]*>(.*?)</h\1>", page.html, re.DOTALL)
    return [(int(level), " ".join(re.sub("<[^>]+>", " ", words).split())) for level, words in found]
