"""What people type becomes safe HTML with our classes, or plain text."""

import pytest

from whatsnext.markdown import to_html, to_text

HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    '<a href="#" onclick="alert(1)">x</a>',
    "<svg/onload=alert(1)>",
    '[x](https://a.example "onmouseover=alert(1)")',
    "<style>*{display:none}</style>",
    "<iframe src=https://evil.example></iframe>",
]


def test_paragraphs_lists_and_links_carry_the_classes():
    html = to_html("Erste *Zeile*\n\n- eins\n- [zwei](https://a.example)")
    assert html == (
        '<p class="kern-body">Erste <em>Zeile</em></p>\n'
        '<ul class="kern-list kern-list--bullet">\n<li>eins</li>\n'
        '<li><a href="https://a.example" class="kern-link" rel="noopener">zwei</a></li>\n</ul>\n'
    )


@pytest.mark.parametrize(("top", "tags"), [(3, ["h3", "h3", "h4", "h4"]), (2, ["h2", "h2", "h3", "h3"])])
def test_headings_fit_below_the_outline_of_the_page(top, tags):
    html = to_html("# a\n\n## b\n\n### c\n\n#### d", top)
    assert [part[:2] for part in html.split("<")[1::2]] == tags


@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_hostile_survives(source):
    html = to_html(source).lower()
    tags = [part.split(">")[0] for part in html.split("<")[1:]]
    assert [tag for tag in tags if tag.strip("/").split()[0] not in ("p", "a")] == []
    assert [tag for tag in tags if " on" in tag or "javascript:" in tag or "data:" in tag] == []


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# Titel\n\nEin **Satz**.", "Titel\n\nEin Satz."),
        ("- eins\n- zwei\n\nDanach", "- eins\n- zwei\n\nDanach"),
        ("2. 14:00 Gruß\n3. 14:10 Vortrag", "2. 14:00 Gruß\n3. 14:10 Vortrag"),
        ("[Seite](https://a.example)", "Seite (https://a.example)"),
        ("<https://a.example>", "https://a.example"),
        ("```\nroh  bleibt\n```", "roh  bleibt"),
        ("- außen\n  - innen", "- außen\n  - innen"),
        ("eins\nzwei", "eins\nzwei"),
        ("", ""),
    ],
)
def test_plain_text_keeps_what_is_said(source, text):
    assert to_text(source) == text
