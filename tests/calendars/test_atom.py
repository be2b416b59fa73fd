"""News as Atom: what RFC 4287 asks for, and texts that stay texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from tests.calendars.samples import HOSTILE, STAMP, TEXTS
from whatsnext.calendars.atom import NAMESPACE, Item, News, write

ABOUT = News(
    title="Neue Veranstaltungen",
    author="What's NEXt",
    source="https://next.example/news.atom",
    url="https://next.example/",
    language="de",
)
EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
IN = {"a": NAMESPACE}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def item(**changes: Any) -> Item:
    given = {
        "uid": "4f2c8a@next.example",
        "title": "Register",
        "summary": "Was heute geht",
        "url": "https://next.example/events/register",
        "published": EARLIER,
        "updated": STAMP,
        "language": "de",
        "categories": ("Blockchain",),
    }
    return Item(**{**given, **changes})


def read(*items: Item) -> ET.Element:
    root = ET.fromstring(write(ABOUT, list(items), EARLIER))
    check(root)
    return root


def check(root: ET.Element) -> None:
    """The musts of RFC 4287 §4.1: one id, title, updated each, an author, one alternate link of a kind, known names."""
    assert root.tag == f"{{{NAMESPACE}}}feed"
    assert len(root.findall("a:author/a:name", IN)) == 1
    assert [link.get("href") for link in root.findall("a:link[@rel='self']", IN)] == [ABOUT.source]
    ids = [one.text for one in root.findall("a:entry/a:id", IN)]
    assert len(set(ids)) == len(ids)
    for one in (root, *root.findall("a:entry", IN)):
        for name in ("id", "title", "updated"):
            assert len(one.findall(f"a:{name}", IN)) == 1, name
        assert len(one.findall("a:link[@rel='alternate']", IN)) == 1
        assert re.fullmatch(r"[a-z][a-z0-9+.-]*:\S+", one.findtext("a:id", "", IN))
        for name in ("updated", "published"):
            assert all(MOMENT.fullmatch(found.text or "") for found in one.findall(f"a:{name}", IN))
    known = ["feed", "id", "title", "updated", "link", "author", "name", "entry", "published", "category", "summary"]
    assert {one.tag.removeprefix(f"{{{NAMESPACE}}}") for one in root.iter()} <= set(known)


def test_an_entry_says_what_when_and_where_it_leads():
    (entry,) = read(item()).findall("a:entry", IN)
    assert [entry.findtext(f"a:{name}", "", IN) for name in ("id", "title", "published", "updated", "summary")] == [
        "tag:next.example,2026:4f2c8a",
        "Register",
        "2026-01-01T00:00:00Z",
        "2027-05-03T09:30:15Z",
        "Was heute geht",
    ]
    assert [one.get("term") for one in entry.findall("a:category", IN)] == ["Blockchain"]


def test_the_feed_is_as_new_as_its_newest_entry():
    assert (
        read(item(), item(uid="b@next.example", updated=EARLIER)).findtext("a:updated", "", IN)
        == "2027-05-03T09:30:15Z"
    )
    assert read().findtext("a:updated", "", IN) == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("text", [*HOSTILE, "<script>&amp;]]>", "</title><entry>"])
def test_texts_stay_texts(text):
    root = read(item(title=text, summary=text, categories=(text,)))
    assert len(root.findall("a:entry", IN)) == 1
    assert [one.tag for one in root.find("a:entry", IN) or ()] == [
        one.tag for one in read(item()).find("a:entry", IN) or ()
    ]


@given(text=TEXTS)
def test_every_text_comes_back(text):
    assert read(item(summary=text)).findtext("a:entry/a:summary", "", IN) == text
