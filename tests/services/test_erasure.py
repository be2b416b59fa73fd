"""Erasing a person: nothing personal is left anywhere, everybody else's rows are as they were (safety.md D1)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON, Make
from tests.mail.worlds import send_all
from whatsnext.db import Base, db, write
from whatsnext.errors import NotFound
from whatsnext.models import (
    Erasure,
    Event,
    Incoming,
    IncomingState,
    Kind,
    Message,
    MessageState,
    Person,
    PersonFeed,
    Registration,
    SignedIn,
    SignInLink,
    Status,
)
from whatsnext.services import erasure, people, registrations
from whatsnext.tokens import digest, keyed_digests

WORD, OTHER = "mq7mark", "rz9other"
PERSONAL = {
    f"{table.name}.{column.name}"
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if "personal" in column.info
}


def address(word: str) -> str:
    return f"{word}@behoerde.example"


def live(make: Make, word: str, coming: Event, past: Event) -> Person:
    """Somebody with a row in every table that knows people, `word` in each personal column."""
    person = make.person(email=address(word), name=f"Ada {word}", agency=f"Amt {word}")
    typed = {"needs": f"Rampe {word}", "network": word, "reply_comment": f"Gern {word}", "form_key": word}
    one = make.registration(coming, person=person, **typed)
    make.registration(past, person=person, **typed)
    mails = {"subject": f"Einladung {word}", "raw": word.encode(), "facts": {"name": word}, "error": f"{word} unknown"}
    make.message(Kind.INVITATION, one, **mails)
    make.message(Kind.SIGN_IN, person, state=MessageState.FAILED, settled_at=NOON, **mails)
    told = {"from": address(word), "name": word, "subject": word, "text": word}
    make.message(Kind.FORWARD, make.person(), facts=told, person_id=None, recipient="kontakt@behoerde.example")
    make.message(Kind.SIGN_IN, person, person_id=None, recipient=address(word).title())
    make.follow(person, theme_id=make.theme().id)
    came = {"state": IncomingState.ASIDE, "received_at": NOON, "sender_name": word, "subject": word, "comment": word}
    with write():
        for number, whose in enumerate(
            [
                {"registration_id": one.id, "raw": word.encode()},
                {"sender": address(word).upper()},
                {"delegate": address(word)},
                {"raw": f"From: <{address(word)}>\r\nFrom: ".encode()},
            ]
        ):
            db.session.add(Incoming(digest=f"{word}{number}".ljust(64, "0")[-64:].replace(word, "a"), **came, **whose))
        db.session.add(PersonFeed(person_id=person.id, secret=word, created_at=NOON))
        times = {"created_at": NOON, "ends_at": NOON}
        db.session.add(SignInLink(token_id=f"{word}-link", person_id=person.id, target=f"/{word}", **times))
        db.session.add(SignedIn(digest=digest(word), person_id=person.id, started_at=NOON, seen_at=NOON))
    return person


def two(make: Make) -> tuple[Person, Person]:
    """Two people who did the same."""
    coming = make.event(places_on_site=5)
    past = make.event(starts_local=(NOON - timedelta(days=9)).replace(tzinfo=None))
    return live(make, WORD, coming, past), live(make, OTHER, coming, past)


def rows() -> dict[str, list[str]]:
    """Each table's rows as text, on a connection of their own."""
    db.session.rollback()
    with db.engine.connect() as connection:
        found = {table: connection.execute(sa.select(table)).mappings() for table in Base.metadata.sorted_tables}
        return {table.name: sorted(repr(dict(row)).lower() for row in lines) for table, lines in found.items()}


def naming(word: str) -> list[str]:
    return [f"{name}: {row}" for name, lines in rows().items() for row in lines if word in row]


def erase(person: Person) -> erasure.Erased:
    with write():
        return erasure.erase(person.id, NOON)


def test_nothing_of_the_person_is_left_and_of_others_everything(make: Make, figure) -> None:
    person, other = two(make)
    theirs, others_id = naming(OTHER), other.id
    filled = {
        name
        for name in PERSONAL
        for table, column in [name.split(".")]
        for row in db.session.execute(sa.select(Base.metadata.tables[table].c[column]))
        if WORD in repr(row).lower()
    }
    kept = {name for name in PERSONAL if name.split(".")[0] in erasure.KEPT}
    assert filled == PERSONAL - kept, "a new personal column: fill it above, so that its erasure is tried"
    assert naming(WORD) != []
    assert erase(person) == erasure.Erased(given_up=1, in_calendar=1)
    left = naming(WORD)
    figure("people forgotten", columns=len(filled), left=len(left))
    assert left == []
    assert naming(OTHER) == theirs
    sessions = db.session.execute(sa.select(SignedIn.person_id).union(sa.select(SignInLink.person_id))).scalars()
    assert list(sessions) == [others_id]


def test_every_table_that_knows_people_has_a_rule() -> None:
    known = {model.__tablename__ for model in (*erasure.EMPTIED, *erasure.DELETED)} | set(erasure.KEPT)
    pointing = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "person"
    }
    assert known == pointing | {name.split(".")[0] for name in PERSONAL} | {"person"}
    for model in erasure.EMPTIED:
        erasure.blanks(model)  # raises for a type that it knows no empty value of


def test_the_counts_stay(make: Make) -> None:
    person, _other = two(make)
    before = {name: len(lines) for name, lines in rows().items()}
    erase(person)
    after = {name: len(lines) for name, lines in rows().items()}
    gone = {"follow": 1, "person_feed": 1, "sign_in_link": 1, "signed_in": 1, "erasure": -1}
    gone |= {"message": -1}  # the cancellation, taken back at once
    assert {name: before[name] - after[name] for name in before if before[name] != after[name]} == gone
    statuses = sa.select(Registration.status).join(Event).where(Registration.person_id == person.id)
    assert db.session.scalars(statuses.order_by(Event.id)).all() == [Status.CANCELLED, Status.CONFIRMED]


def test_the_place_goes_to_the_next_in_line_and_no_mail_to_the_person(make: Make, sent) -> None:
    talk = make.event(places_on_site=1)
    placed = make.registration(talk, Status.CONFIRMED, person=make.person(email=address(WORD)))
    waiting = make.registration(talk, Status.WAITING)
    assert erase(placed.person) == erasure.Erased(given_up=1, in_calendar=1)
    assert (placed.status, waiting.status) == (Status.CANCELLED, Status.CONFIRMED)
    assert [mail.recipients for mail in sent()] == [[waiting.person.email]]


def test_mails_written_later_reach_nobody_and_name_nobody(make: Make, sent) -> None:
    person, other = two(make)
    erase(person)
    with write():
        for registration in db.session.scalars(sa.select(Registration)):
            make.message(Kind.ORGANISER_MESSAGE, registration, facts={"subject": "Dank", "body": "Danke"})
    mails = sent()
    assert {to for mail in mails for to in mail.recipients} == {other.email, "kontakt@behoerde.example"}
    assert [mail for mail in mails if WORD.encode() in mail.raw.lower()] == []
    assert naming(WORD) == []


def test_without_a_mail_server_the_folder_holds_nothing_of_the_person(make: Make, make_app, database) -> None:
    person, _other = two(make)
    erase(person)
    with make_app(mail_server="").app_context():
        assert send_all() > 0
    folder = database.instance / "mail"
    assert [file for file in folder.rglob("*") if file.is_file() and WORD.encode() in file.read_bytes().lower()] == []
    assert any(OTHER.encode() in file.read_bytes().lower() for file in folder.rglob("*") if file.is_file())


def test_erasing_twice_is_the_same_as_once(make: Make) -> None:
    person, _other = two(make)
    erase(person)
    before = rows()
    assert erase(person) == erasure.Erased(0, 0)
    with pytest.raises(NotFound), write():
        erasure.erase_address(address(WORD), NOON)
    assert rows() == before


def test_old_links_lead_nowhere(make: Make) -> None:
    talk = make.event()
    placed = make.registration(talk)
    token, ref, reply_token = registrations.manage_token(placed), placed.ref, placed.reply_token
    erase(placed.person)
    with pytest.raises(erasure.NotFound):
        registrations.by_ref(ref)
    with pytest.raises(registrations.LinkExpired):
        registrations.by_manage_token(token, NOON)
    assert placed.reply_token != reply_token


def test_the_hash_is_keyed_and_known_by_earlier_keys_too(make: Make, make_app) -> None:
    make.person(email=address(WORD))
    db.session.rollback()
    old, new = "an earlier secret key that is long enough", "a secret key of today that is long enough"
    with make_app(secret_key=old).app_context():
        with write():
            erasure.erase_address(address(WORD), NOON)
        [left] = db.session.scalars(sa.select(Erasure.digest))
        assert left == keyed_digests(erasure.USE, address(WORD))[0]
        assert keyed_digests("something else", address(WORD))[0] != left
    for keys, found in ({"secret_key": new}, False), ({"secret_key": new, "secret_key_fallbacks": old}, True):
        with make_app(**keys).app_context():
            assert (left in keyed_digests(erasure.USE, address(WORD))) is found


def test_an_address_that_has_only_written_to_us_is_erased_too(make: Make) -> None:
    make.event()
    with write():
        db.session.add(Incoming(digest="d" * 64, received_at=NOON, sender=address(WORD), comment=WORD))
    with write():
        assert erasure.erase_address(address(WORD), NOON) == erasure.Erased(0, 0)
    assert naming(WORD) == []


def test_an_address_that_ends_alike_is_somebody_else(make: Make) -> None:
    """`x.mq7mark@…` contains `mq7mark@…`."""
    make.person(email=address(WORD))
    told = {"from": address(f"x.{WORD}"), "text": "Frage"}
    make.message(Kind.FORWARD, make.person(), facts=told, person_id=None, recipient="kontakt@behoerde.example")
    with write():
        raw = f"From: {address(f'x.{WORD}')}".encode()
        db.session.add(Incoming(digest="d" * 64, received_at=NOON, sender=address(f"x.{WORD}"), raw=raw))
    with write():
        erasure.erase_address(address(WORD), NOON)
    assert len(naming(f"x.{WORD}")) == 2


def test_whoever_comes_back_is_somebody_new_and_stays_when_erasures_are_replayed(make: Make) -> None:
    person, _other = two(make)
    erase(person)
    later = NOON + timedelta(days=1)
    with write():
        again = people.with_address(address(WORD), "de", later)
        make.message(Kind.SIGN_IN, again, created_at=later)
    assert again.id != person.id
    with write():
        assert erasure.replay(erasure.ledger(), later) == 0
    assert len(naming(WORD)) == 2
    assert db.session.scalars(sa.select(Message.recipient).where(Message.person_id == again.id)).all() == [again.email]
