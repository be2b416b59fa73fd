"""Markdown to safe HTML with the design system's classes, and to plain text (safety.md P7)."""

from __future__ import annotations

from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

TAGS = {"p", "ul", "ol", "li", "a", "h2", "h3", "h4", "em", "strong", "code", "pre", "blockquote", "br", "hr"}
CLASSES = {
    "p": "kern-body",
    "ul": "kern-list kern-list--bullet",
    "ol": "kern-list kern-list--number",
    "a": "kern-link",
    "h2": "kern-heading-medium",
    "h3": "kern-title",
    "h4": "kern-title kern-title--small",
}
SCHEMES = {"https", "http", "mailto"}

_parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True}).disable("image")


def to_html(source: str, top: int = 3) -> Markup:
    """Sanitised HTML of what someone typed; its headings begin at level `top`, below the page's own outline."""
    tokens = _parser.parse(source)
    for token in _flat(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{top if token.tag in ('h1', 'h2') else top + 1}"
        if token.nesting >= 0 and token.tag in CLASSES:
            token.attrSet("class", CLASSES[token.tag])
    html = _render(tokens)
    attributes = {tag: {"class"} for tag in CLASSES} | {"a": {"class", "href"}, "ol": {"class", "start"}}
    return Markup(nh3.clean(html, tags=TAGS, attributes=attributes, url_schemes=SCHEMES, link_rel="noopener"))  # noqa: S704


def to_text(source: str) -> str:
    """The same as plain text for mails and calendars: links keep their address in brackets, markup goes."""
    lines: list[str] = []
    depth: list[int | None] = []
    for token in _parser.parse(source):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            start = int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None
            depth.append(start)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth.pop()
            lines.append("")
        elif token.type == "list_item_open":
            number = depth[-1]
            lines.append("  " * (len(depth) - 1) + ("- " if number is None else f"{number}. "))
            depth[-1] = None if number is None else number + 1
        elif token.type == "inline":
            text = _inline(token.children or [])
            if lines and depth and lines[-1].rstrip().endswith((".", "-")) and lines[-1].endswith(" "):
                lines[-1] += text
            else:
                lines.append(text)
        elif token.type in ("paragraph_close", "heading_close") and not depth:
            lines.append("")
        elif token.type in ("fence", "code_block"):
            lines += [token.content.rstrip("\n"), ""]
    return "\n".join(lines).strip()


def _inline(children: Sequence[Token]) -> str:
    out: list[str] = []
    target, start = "", 0
    for child in children:
        if child.type in ("text", "code_inline"):
            out.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            out.append("\n")
        elif child.type == "link_open":
            target = str(child.attrGet("href") or "")
            start = len(out)
        elif child.type == "link_close" and target and "".join(out[start:]) != target:
            out.append(f" ({target})")
    return "".join(out)


def _flat(tokens: Sequence[Token]) -> list[Token]:
    return [t for token in tokens for t in (token, *_flat(token.children or []))]


def _render(tokens: Sequence[Token]) -> str:
    options: OptionsDict = _parser.options
    env: EnvType = {}
    return RendererHTML().render(tokens, options, env)
