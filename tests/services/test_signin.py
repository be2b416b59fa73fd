"""Signing in: once, in time, in the browser that asked; and until when it lasts (safety.md I2, I3, I9 to I12)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON
from whatsnext.db import db, write
from whatsnext.errors import CodeWrong, LinkExpired, LinkInvalid, LinkUsed, TooManyTries, WrongBrowser
from whatsnext.models import Kind, Message, Person, SignedIn, SignInLink
from whatsnext.permissions import Role
from whatsnext.services import signin

HERE, ELSEWHERE = "the asking browser", "another browser"
SECOND = timedelta(seconds=1)


def ask(person, browser=HERE, at=NOON, target=""):
    """Ask for a link; returns its token and code as mailed."""
    with write():
        signin.ask(person.email, browser, target, at)
    facts = db.session.scalars(select(Message.facts).order_by(Message.id.desc())).first()
    return facts["link_token"], facts["code"]


def redeem(token, browser=HERE, at=NOON):
    with write():
        return signin.redeem_link(token, browser, at)


def type_code(code, browser=HERE, at=NOON):
    with write():
        signin.count_try(browser, at)
    with write():
        return signin.redeem_code(code, browser, at)


def test_a_link_signs_in_once_and_proves_the_address(make, owed):
    ada = make.person(proved_at=None)
    token, _code = ask(ada, target="/my-registrations")
    assert owed() == [(Kind.SIGN_IN, ada)]
    entry = redeem(token)
    assert (entry.person, entry.target) == (ada, "/my-registrations")
    assert ada.proved_at == NOON
    assert signin.signed_in(entry.secret, NOON).person == ada
    with pytest.raises(LinkUsed):
        redeem(token)
    assert len(db.session.scalars(select(SignedIn)).all()) == 1


def test_whoever_wanted_no_more_mails_gets_them_again_after_signing_in(make):
    ada = make.person(blocked_at=NOON)
    redeem(ask(ada)[0])
    assert ada.blocked_at is None


def test_of_two_presses_at_the_same_moment_one_wins(make):
    token, _code = ask(make.person())
    link = signin.open_link(token, HERE, NOON)
    redeem(token)
    with pytest.raises(LinkUsed), write():
        signin._enter(link, NOON)


def test_a_link_is_good_for_ten_minutes(make):
    token, code = ask(make.person())
    almost = NOON + timedelta(minutes=10) - SECOND
    assert signin.open_link(token, HERE, almost)
    with pytest.raises(LinkExpired):
        redeem(token, at=almost + SECOND)
    with pytest.raises(TooManyTries):
        type_code(code, at=almost + SECOND)


def test_other_spellings_of_a_used_token_do_not_work(make):
    token, _code = ask(make.person())
    redeem(token)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for letter in alphabet:
        with pytest.raises((LinkUsed, LinkInvalid)):
            redeem(token[:-1] + letter)


def test_a_link_opened_elsewhere_shows_the_code_and_changes_nothing(make):
    token, code = ask(make.person())
    with pytest.raises(WrongBrowser) as refused:
        redeem(token, ELSEWHERE)
    assert refused.value.facts == {"code": code}
    assert redeem(token).secret


def test_the_code_signs_in_where_the_sign_in_began(make):
    ada = make.person()
    _token, code = ask(ada)
    with pytest.raises(TooManyTries):
        type_code(code, ELSEWHERE)
    assert type_code(f" {code[:4].lower()}-{code[4:]} ").person == ada
    with pytest.raises(TooManyTries):
        type_code(code)


def test_five_wrong_codes_end_the_code_but_not_the_link(make):
    token, code = ask(make.person())
    for _ in range(5):
        with pytest.raises(CodeWrong):
            type_code("BBBBBBBB")
    with pytest.raises(TooManyTries):
        type_code(code)
    assert redeem(token).secret


def test_asking_again_makes_the_older_code_useless(make):
    ada = make.person()
    _token, old = ask(ada)
    _token, new = ask(ada)
    with pytest.raises(CodeWrong):
        type_code(old)
    assert type_code(new).person == ada


def test_nobody_gets_a_mail_and_codes_are_refused_alike(make, owed):
    with write():
        signin.ask("nobody@behoerde.example", HERE, "", NOON)
    assert owed() == []
    for _ in range(5):
        with pytest.raises(CodeWrong):
            type_code("BBBBBBBB")
    with pytest.raises(TooManyTries):
        type_code("BBBBBBBB")


def test_a_link_of_nobody_is_no_link(make):
    with write():
        _link, token, _code = signin._new_link(None, "", "", NOON)
    with pytest.raises(LinkInvalid):
        redeem(token)
    with pytest.raises(LinkInvalid):
        signin.of_dead_link(token)


def test_known_and_unknown_addresses_cost_the_same_statements(make, query_count):
    email = make.person().email
    db.session.expunge_all()
    verbs = []
    for address in (email, "nobody@behoerde.example"):
        with query_count() as statements, write():
            signin.ask(address, HERE, "", NOON)
        verbs.append([statement.split()[0] for statement in statements])
    same = ["SELECT", "UPDATE", "INSERT", "INSERT"]
    assert verbs == [same, [*same, "ROLLBACK"]]  # to the savepoint, where the other releases it, which is not counted


@pytest.mark.parametrize(("role", "lasts"), [(Role.ATTENDEE, timedelta(days=14)), (Role.ORGANISER, timedelta(hours=8))])
def test_being_signed_in_ends(make, role, lasts):
    token, _code = ask(make.person(role=role))
    secret = redeem(token).secret
    seen = NOON
    while seen + timedelta(hours=11) < NOON + lasts - SECOND:
        seen += timedelta(hours=11)
        assert signin.signed_in(secret, seen)
        with write():
            signin.note_seen(secret, seen)
    assert signin.signed_in(secret, NOON + lasts - SECOND)
    assert signin.signed_in(secret, NOON + lasts) is None


def test_twelve_idle_hours_end_it(make):
    token, _code = ask(make.person())
    secret = redeem(token).secret
    assert signin.signed_in(secret, NOON + timedelta(hours=12) - SECOND)
    assert signin.signed_in(secret, NOON + timedelta(hours=12)) is None


def test_signing_out_ends_one_browser_and_everywhere_ends_all(make):
    ada = make.person()
    first, second = redeem(ask(ada)[0]).secret, redeem(ask(ada)[0]).secret
    with write():
        signin.sign_out(first)
    assert signin.signed_in(first, NOON) is None
    assert signin.signed_in(second, NOON)
    with write():
        signin.end_everywhere(ada.id)
    assert signin.signed_in(second, NOON) is None


def test_a_proof_is_fresh_for_ten_minutes(make):
    found = signin.signed_in(redeem(ask(make.person())[0]).secret, NOON)
    assert signin.is_fresh(found, NOON + timedelta(minutes=10) - SECOND)
    assert not signin.is_fresh(found, NOON + timedelta(minutes=10))


def test_the_last_seen_time_is_kept_to_five_minutes(make):
    secret = redeem(ask(make.person())[0]).secret
    for minutes, kept in ((4, 0), (5, 5), (9, 5), (10, 10)):
        with write():
            signin.note_seen(secret, NOON + timedelta(minutes=minutes))
        assert db.session.scalar(select(SignedIn.seen_at)) == NOON + timedelta(minutes=kept)


def test_the_command_line_makes_a_link_for_any_browser_and_mails_nothing(make, owed):
    ada = make.person()
    with write():
        token = signin.command_line_link(ada.email, NOON)
    assert redeem(token, ELSEWHERE).person == ada
    assert owed() == []
    with pytest.raises(LinkInvalid), write():
        signin.command_line_link("nobody@behoerde.example", NOON)


def test_a_dead_link_still_knows_whose_it_was(make):
    ada = make.person()
    token, _code = ask(ada, target="/themes")
    assert signin.of_dead_link(token) == (ada.email, "/themes")
    with pytest.raises(LinkInvalid):
        signin.of_dead_link("W10.abc")


def test_whoever_gets_a_role_is_told(make, owed):
    ada = make.person(role=Role.ATTENDEE)
    with write():
        signin.appoint(ada.email, "", Role.ORGANISER, NOON)
        new = signin.appoint("new@behoerde.example", "Kim Neu", Role.OPERATOR, NOON)
    assert (ada.role, new.role, new.name) == (Role.ORGANISER, Role.OPERATOR, "Kim Neu")
    assert owed() == [(Kind.SECURITY_NOTICE, ada), (Kind.SECURITY_NOTICE, new)]
    assert db.session.scalars(select(Message.facts)).first() == {"what": "role", "role": "Organisation"}


def test_the_first_organiser_is_wanted_until_one_has_signed_in(make):
    assert signin.first_organiser() is None
    with write():
        first = signin.appoint_first("organiser@localhost", NOON)
        token = signin.command_line_link(first.email, NOON)
    assert (signin.first_organiser(), signin.organiser_has_signed_in()) == (first, False)
    redeem(token, "")
    assert signin.organiser_has_signed_in()


def test_no_table_holds_what_signs_in(make):
    token, code = ask(make.person())
    secret = redeem(token).secret
    link, state = db.session.scalar(select(SignInLink)), db.session.scalar(select(SignedIn))
    kept = f"{link.token_id} {link.browser} {link.code} {state.digest}"
    assert [one for one in (token, code, secret, HERE) if one in kept] == []


def test_an_erased_person_is_signed_out_everywhere(make):
    ada = make.person()
    secret = redeem(ask(ada)[0]).secret
    with write():
        db.session.execute(Message.__table__.delete())
        db.session.delete(db.session.get(Person, ada.id))
    assert signin.signed_in(secret, NOON) is None
