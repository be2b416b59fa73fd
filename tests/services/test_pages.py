"""Legal and help pages: a template until written, then versions; nothing invented (experience.md §5)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import NotFound, StaleVersion
from whatsnext.i18n import LANGUAGES
from whatsnext.models import Kind, Message
from whatsnext.services import pages

EVERY = [(slug, language) for slug in pages.TITLES for language in LANGUAGES]


@pytest.mark.parametrize(("slug", "language"), EVERY)
def test_each_page_has_a_template_with_no_placeholder_left(make, slug, language):
    make.series(contact_name="Kim Muster", contact_phone="030 123")
    text = pages.text(slug, language)
    assert (text.is_template, text.version, text.changed_at) == (True, 0, None)
    assert "{" not in text.body
    assert len(text.body) > 200


def test_a_text_is_kept_version_by_version(make):
    with write():
        first = pages.save("hilfe", "de", "Rufen Sie an: {contact_phone} {0.__class__} {{7*7}}", 0, NOON)
    make.series(contact_phone="030 123")
    assert (first.version, first.is_template, first.body) == (1, False, "Rufen Sie an: 030 123 {0.__class__} {{7*7}}")
    with write():
        second = pages.save("hilfe", "de", "Neu", 1, NOON)
    assert (second.version, second.source, second.changed_at) == (2, "Neu", NOON)
    assert pages.text("hilfe", "en").is_template


@pytest.mark.parametrize("version", [0, 2])
def test_a_stale_version_is_refused(make, version):
    with write():
        pages.save("hilfe", "de", "Erste", 0, NOON)
    with pytest.raises(StaleVersion), write():
        pages.save("hilfe", "de", "Zweite", version, NOON)
    assert pages.text("hilfe", "de").source == "Erste"


@pytest.mark.parametrize(("slug", "language"), [("hilfe", "fr"), ("../hilfe", "de"), ("", "de"), ("agb", "de")])
def test_other_pages_do_not_exist(make, slug, language):
    with pytest.raises(NotFound):
        pages.text(slug, language)


def test_the_lamp_goes_out_page_by_page(make, query_count):
    assert len(pages.unedited()) == len(EVERY)
    with write():
        pages.save("impressum", "de", "Landesamt", 0, NOON)
    with query_count() as queries:
        left = pages.unedited()
    assert ([(page.slug, page.language) for page in left], len(queries)) == (EVERY[:0] + EVERY[1:], 1)


def test_the_statement_is_to_be_renewed_after_eleven_months(make):
    assert not pages.statement_is_old(NOON)
    with write():
        pages.save("barrierefreiheit", "de", "Geprüft am 1. Januar 2026.", 0, NOON)
    assert not pages.statement_is_old(NOON + timedelta(days=335))
    assert pages.statement_is_old(NOON + timedelta(days=336))


def test_the_version_of_the_notice_is_that_of_its_language(make):
    with write():
        pages.save("datenschutz", "de", "Neu", 0, NOON)
    shown = [db.session.scalar(select(pages.notice_version(each))) for each in ("de", "en")]
    assert shown == [1, 0]


def test_a_barrier_goes_to_the_contact_of_the_series_or_to_the_mailbox(app, make):
    with write():
        pages.report_barrier("/themes", "Zu klein", "", NOON)
    make.series(contact_email="hilfe@behoerde.example")
    with write():
        pages.report_barrier("/themes", "Zu klein", "030 123", NOON)
    sent = [
        (mail.kind, mail.recipient, mail.facts) for mail in db.session.scalars(select(Message).order_by(Message.id))
    ]
    assert sent == [
        (Kind.BARRIER_REPORT, "next@localhost", {"page": "/themes", "text": "Zu klein", "contact": ""}),
        (Kind.BARRIER_REPORT, "hilfe@behoerde.example", {"page": "/themes", "text": "Zu klein", "contact": "030 123"}),
    ]
