"""The documentation says what is."""

import re
from pathlib import Path

from config import Settings
from tools import prove

ROOT = Path(__file__).parent.parent
OPERATE = (ROOT / "docs/operate.md").read_text()
TRUST = prove.PAGE.read_text()
KINDS_OF_FAULT = [
    *("kill", "stop and continue", "two workers", "job store wiped", "database restart", "disk full", "clock ± 1 day"),
    *("zone update", "tarpit", "greylisting", "close after DATA", "mailbox away", "UIDVALIDITY", "restore"),
    *("key lost", "stale clone"),
]


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


def test_every_test_that_is_named_as_a_proof_is_there():
    kinds = re.findall(r"^\| ([^|]+?) \| [^|]+ \| (`tests/[^|]+) \|$", TRUST, re.MULTILINE)
    assert [kind for kind, _tests in kinds] == KINDS_OF_FAULT
    named = {tuple(test.split("::")) for _kind, tests in kinds for test in re.findall(r"`([^`]+)`", tests)}
    named |= {tuple(test.split("::")) for proof in prove.PROOFS for test in proof.tests if "::" in test}
    missing = [(file, test) for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_every_figure_has_its_row():
    rows = prove.table(TRUST)
    assert set(rows) <= {proof.name for proof in prove.PROOFS}
    assert {row.count(" | ") for row in rows.values()} <= {len(prove.COLUMNS) - 1}
