"""Themes: what there is, and what one theme offers."""

from datetime import datetime

from tests.web.outline import headings
from whatsnext.models import EventState


def test_themes_stand_in_order_with_their_coming_talks(make, client):
    blockchain = make.theme(name="Blockchain", position=2, description="Verteilte Register.")
    cloud = make.theme(name="Cloud", position=1, description="Wolken.", description_en="Clouds.")
    make.event(theme_id=blockchain.id)
    make.event(theme_id=blockchain.id)
    make.event(theme_id=cloud.id, state=EventState.CANCELLED)
    make.draft(theme_id=cloud.id)
    page = client.page("/themes")
    assert headings(page) == [(1, "Themen"), (2, "Cloud"), (2, "Blockchain")]
    assert "Wolken. Noch kein Termin geplant Blockchain Verteilte Register. 2 kommende Veranstaltungen" in page.text
    assert "Clouds. No talk planned yet" in client.page("/en/themes").text


def test_the_list_of_themes_shows_words_without_markup(make, client):
    make.theme(description="Wer **prüft**? Siehe [hier](https://behoerde.example).")
    page = client.page("/themes")
    assert "Wer prüft?" in page.text
    assert "**" not in page.text


def test_a_theme_shows_coming_talks_before_earlier_ones(make, client):
    theme = make.theme(name="Blockchain", slug="blockchain", description="Was sie **können**.")
    make.event(title="Alt", theme_id=theme.id, starts_local=datetime(2025, 11, 3, 14))
    make.event(title="Neu", theme_id=theme.id, starts_local=datetime(2026, 2, 3, 14))
    make.event(title="Fremd")
    page = client.page("/themes/blockchain")
    assert headings(page) == [
        (1, "Blockchain"),
        (2, "Februar 2026"),
        (3, "Neu"),
        (2, "Thema abonnieren"),
        (2, "Frühere Veranstaltungen"),
        (3, "Alt"),
    ]
    assert "<strong>können</strong>" in page.html


def test_a_theme_without_talks_asks_what_people_want(make, client):
    make.series(contact_email="next@behoerde.example")
    make.theme(slug="leer")
    page = client.page("/themes/leer")
    assert "Noch kein Termin zu diesem Thema. Was möchten Sie hören?" in page.text
    assert ("mailto:next@behoerde.example", "next@behoerde.example") in page.links


def test_an_unknown_theme_is_a_designed_page(make, client):
    page = client.page("/themes/none")
    assert page.status == 404
    assert "Diese Seite gibt es nicht (mehr)." in page.text


def test_earlier_talks_of_a_theme_page_by_key(make, client):
    theme = make.theme(slug="viel")
    for day in range(1, 9):
        make.event(title=f"Alt {day}", theme_id=theme.id, starts_local=datetime(2025, 11, day, 14))
    page = client.page("/themes/viel")
    (further,) = [href for href, words in page.links if words == "Weitere frühere Veranstaltungen anzeigen"]
    assert [words for level, words in headings(client.page(further)) if level == 3] == ["Alt 2", "Alt 1"]


def test_the_number_of_queries_does_not_grow_with_the_talks(make, client, query_count):
    theme = make.theme(slug="t")
    make.event(theme_id=theme.id)
    with query_count() as one:
        client.page("/themes/t?x=1")
    make.event(theme_id=theme.id, host_id=make.agency().id)
    make.event(theme_id=theme.id, host_id=make.agency().id)
    with query_count() as three:
        client.page("/themes/t?x=1")
    assert len(three) == len(one)
