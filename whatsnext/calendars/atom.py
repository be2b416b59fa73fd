"""News as Atom (RFC 4287): made as a tree, so that no text becomes markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree as ET

from whatsnext.calendars import texts

NAMESPACE = "http://www.w3.org/2005/Atom"
XML = "http://www.w3.org/XML/1998/namespace"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One piece of news. Times are aware; `uid` is that of the talk and never changes; texts are plain."""

    uid: str
    title: str
    summary: str
    url: str
    published: datetime
    updated: datetime
    language: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class News:
    """A feed of news: `source` is its own address and `url` the page for people."""

    title: str
    author: str
    source: str
    url: str
    language: str


def write(news: News, items: list[Item], empty_since: datetime) -> bytes:
    """The feed, UTF-8. `empty_since` is its time of change while nothing is in it."""
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(_name("feed"), {f"{{{XML}}}lang": news.language})
    _text(root, "id", news.source)
    _text(root, "title", news.title)
    _text(root, "updated", _moment(max((item.updated for item in items), default=empty_since)))
    _link(root, "self", news.source, "application/atom+xml")
    _link(root, "alternate", news.url, "text/html")
    _text(ET.SubElement(root, _name("author")), "name", news.author)
    for item in items:
        _entry(root, item)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _entry(root: ET.Element, item: Item) -> None:
    entry = ET.SubElement(root, _name("entry"), {f"{{{XML}}}lang": item.language})
    _text(entry, "id", _identifier(item))
    _text(entry, "title", item.title)
    _text(entry, "published", _moment(item.published))
    _text(entry, "updated", _moment(item.updated))
    _link(entry, "alternate", item.url, "text/html")
    for category in item.categories:
        ET.SubElement(entry, _name("category"), {"term": texts.line(category)})
    _text(entry, "summary", item.summary)


def _identifier(item: Item) -> str:
    """A tag URI (RFC 4151) of the talk's UID: it stays whatever becomes of addresses."""
    local, _at, host = item.uid.rpartition("@")
    return f"tag:{quote(host, safe='')},2026:{quote(local, safe='')}"


def _name(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _text(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, _name(name)).text = texts.lines(value)


def _link(parent: ET.Element, relation: str, address: str, kind: str) -> None:
    ET.SubElement(parent, _name("link"), {"rel": relation, "href": address, "type": kind})


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
