"""The documentation says what is."""

import re
from pathlib import Path

from config import Settings

ROOT = Path(__file__).parent.parent
OPERATE = (ROOT / "docs/operate.md").read_text()


def test_every_setting_stands_in_the_operators_page_with_its_reason():
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| .*? \| (.*) \|$", OPERATE, re.MULTILINE))
    assert documented == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_every_decision_is_listed():
    index = (ROOT / "docs/decisions/README.md").read_text()
    assert [path.name for path in sorted((ROOT / "docs/decisions").glob("0*.md")) if path.name not in index] == []


def test_every_link_between_our_pages_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = {(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())}
    assert [(page.name, link) for page, link in sorted(links) if not (page.parent / link).exists()] == []
