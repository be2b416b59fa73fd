from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.calendars.samples import entry, invitation
from whatsnext.calendars.links import google, microsoft365, outlook_com

MAKERS = [google, outlook_com, microsoft365]


def parts(link: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(link)
    return f"{split.scheme}://{split.netloc}{split.path}", dict(parse_qsl(split.query, strict_parsing=True))


def test_google_gets_the_talk_in_utc():
    assert parts(google(entry())) == (
        "https://calendar.google.com/calendar/render",
        {
            "action": "TEMPLATE",
            "text": "Blockchain in the land register",
            "dates": "20270715T160000Z/20270715T173000Z",
            "details": "What works today; what does not, and why.\n\nAgenda\n18:00 Welcome"
            "\n\nhttps://next.example/events/blockchain",
            "location": "Invalidenstraße 44, 10115 Berlin",
        },
    )


@pytest.mark.parametrize(("make", "host"), [(outlook_com, "outlook.live.com"), (microsoft365, "outlook.office.com")])
def test_outlook_gets_the_talk_in_utc_and_its_text_as_html(make, host):
    assert parts(make(entry(description="Fish & <chips>\r\nand peas"))) == (
        f"https://{host}/calendar/deeplink/compose",
        {
            "path": "/calendar/action/compose",
            "rru": "addevent",
            "startdt": "2027-07-15T16:00:00Z",
            "enddt": "2027-07-15T17:30:00Z",
            "subject": "Blockchain in the land register",
            "body": "Fish &amp; &lt;chips&gt;<br>and peas<br><br>https://next.example/events/blockchain",
            "location": "Invalidenstraße 44, 10115 Berlin",
        },
    )


@pytest.mark.parametrize("make", MAKERS)
def test_a_link_is_visible_ascii_and_no_text_adds_a_parameter(make):
    hostile = "a b+c&add=x@y.example#f=\r\nX: 1\ud800'\"<>ä"
    link = make(entry(summary=hostile, description=hostile, location=hostile))
    assert "+" not in link
    assert link.isascii()
    assert [character for character in link if character in " \r\n\"'<>#" or not character.isprintable()] == []
    assert parts(link)[1].keys() == parts(make(entry()))[1].keys()


@pytest.mark.parametrize("make", MAKERS)
def test_nobody_who_comes_is_named(make):
    link = make(invitation())
    assert "ada" not in link.lower()
    assert "k7q2m5" not in link


@pytest.mark.parametrize("make", MAKERS)
def test_the_join_link_is_not_told(make):
    assert "meet.example" not in make(entry())


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("letter", ["a", "ä", "<", "\n", "漢", "🜚"])
def test_a_long_description_is_cut_and_ends_with_the_page(make, letter):
    link = make(entry(description="Talk " + letter * 10_000 + "."))
    assert len(link) < 8000
    parameters = parts(link)[1]
    text = parameters.get("details") or parameters["body"].replace("<br>", "\n")
    assert text.startswith("Talk")
    assert text.endswith("…\n\nhttps://next.example/events/blockchain")


def test_the_page_is_named_once():
    told = "See https://next.example/events/blockchain for more."
    assert parts(google(entry(description=told)))[1]["details"] == told


def test_a_talk_without_description_has_its_page():
    assert parts(google(entry(description="")))[1]["details"] == "https://next.example/events/blockchain"
