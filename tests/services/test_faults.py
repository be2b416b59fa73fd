"""Every use case commits whole with its mails or leaves nothing (safety.md R4).

A fault is raised after each statement in turn, the COMMIT's own moment included; the tables must then be as before.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import NOON, Make
from whatsnext.db import Base, db, write
from whatsnext.models import CancelledBy, Event, EventState, Kind, Mode, Registration, Status
from whatsnext.services import (
    blocking,
    erasure,
    events,
    follows,
    holds,
    registrations,
    reminders,
    rescheduling,
    signin,
    signup,
)
from whatsnext.services.drafts import Draft
from whatsnext.services.signup import Wish
from whatsnext.services.slots import Part

Act = Callable[[], object]
AN_HOUR_BEFORE = timedelta(hours=1)
WISH = Wish(
    "Ada Beispiel", "ada@behoerde.example", "Landesamt", Mode.ON_SITE, waiting_ok=True, form_key="k", browser="b"
)


class FaultError(Exception):
    """What the test raises in the middle."""


# --- the use cases: each builds its world and returns what is done in it ------------------------------------


def full_talk(make: Make) -> tuple[Event, Registration, Registration, Registration]:
    """Two places, both taken (one unproven), and someone in line."""
    talk = make.event(places_on_site=2, places_online=2)
    placed = make.registration(talk, Status.CONFIRMED)
    held = make.registration(talk, Status.HELD)
    return talk, placed, held, make.registration(talk, Status.WAITING)


def sign_up(make: Make) -> Act:
    talk = make.event(places_on_site=1)
    return partial(signup.sign_up, talk.slug, WISH, None, NOON)


def sign_up_for_the_line(make: Make) -> Act:
    talk = full_talk(make)[0]
    return partial(signup.sign_up, talk.slug, WISH, None, NOON)


def sign_up_signed_in(make: Make) -> Act:
    talk, person = make.event(), make.person()
    return partial(signup.sign_up, talk.slug, WISH, person, NOON)


def sign_up_again(make: Make) -> Act:
    talk, _placed, held, _waiting = full_talk(make)
    wish = replace(WISH, email=held.person.email, form_key="another")
    return partial(signup.sign_up, talk.slug, wish, None, NOON)


def resend(make: Make) -> Act:
    held = full_talk(make)[2]
    return partial(signup.resend, held.ref, NOON)


def confirm(make: Make) -> Act:
    held = full_talk(make)[2]
    return partial(signup.confirm, held.id, NOON)


def confirm_in_line(make: Make) -> Act:
    talk = full_talk(make)[0]
    waiting = make.registration(talk, Status.WAITING, proved=False)
    return partial(signup.confirm, waiting.id, NOON)


def confirm_too_late(make: Make) -> Act:
    held = full_talk(make)[2]
    return partial(signup.confirm, held.id, NOON + timedelta(hours=2), renew=True)


def decline_request(make: Make) -> Act:
    held = full_talk(make)[2]
    return partial(signup.decline_request, held.id, NOON)


def block(make: Make) -> Act:
    held = full_talk(make)[2]
    return partial(blocking.block, blocking.token(held.person, NOON), NOON)


def expire_holds(make: Make) -> Act:
    full_talk(make)
    full_talk(make)
    return partial(holds.expire_holds, NOON + timedelta(hours=2))


def cancel(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.cancel, placed.id, NOON)


def cancel_shortly_before(make: Make) -> Act:
    talk, placed, _held, _waiting = full_talk(make)
    return partial(registrations.cancel, placed.id, talk.starts_at - AN_HOUR_BEFORE)


def remove(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.cancel, placed.id, NOON, by=CancelledBy.ORGANISER)


def undo(make: Make) -> Act:
    talk = make.event(places_on_site=1)
    gone = make.registration(talk, Status.CANCELLED, sequence=0)
    return partial(registrations.undo, gone.id, NOON)


def change_details(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.change_details, placed.id, "Ada", "Amt", "Rampe", NOON, needs_consent=True)


def switch_mode(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.switch_mode, placed.id, Mode.ONLINE, NOON)


def switch_line(make: Make) -> Act:
    waiting = full_talk(make)[3]
    return partial(registrations.switch_mode, waiting.id, Mode.ONLINE, NOON, waiting_ok=True)


def new_link(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.new_link, placed.id, NOON)


def resend_invitation(make: Make) -> Act:
    placed = full_talk(make)[1]
    return partial(registrations.resend_invitation, placed.id, NOON)


def take_offer(make: Make) -> Act:
    talk = make.event(places_on_site=1)
    offered = make.registration(talk, Status.OFFERED)
    return partial(registrations.take_offer, offered.id, NOON)


def promote(make: Make) -> Act:
    talk = make.event(places_on_site=1)
    waiting = make.registration(talk, Status.WAITING)
    return partial(registrations.promote, waiting.id, talk.id, NOON)


def add(make: Make) -> Act:
    talk = make.event(places_on_site=1)
    details = {"name": "Ada", "email": "ada@behoerde.example", "agency": "Amt", "mode": Mode.ON_SITE}
    return partial(registrations.add, talk.id, NOON, **details)


def create(make: Make) -> Act:
    speaker, series = make.speaker(), make.series()
    draft = Draft(title="Vortrag", series_id=series.id, speaker_ids=(speaker.id,))
    return partial(events.create, draft, NOON, "k")


def edit(make: Make) -> Act:
    talk, speaker = make.draft(), make.speaker()
    draft = replace(Draft.of(talk), title="Anders", speaker_ids=(speaker.id,))
    return partial(events.edit, talk.id, draft, talk.version, NOON)


def duplicate(make: Make) -> Act:
    talk = make.event(speakers=(make.speaker(),))
    return partial(events.duplicate, talk.id, NOON, "k")


def publish(make: Make) -> Act:
    talk = make.draft(host_id=make.agency().id, theme_id=make.theme().id, speakers=(make.speaker(),), summary="Worum")
    return partial(events.publish, talk.id, talk.version, NOON)


def move(make: Make) -> Act:
    talk = full_talk(make)[0]
    draft = replace(Draft.of(talk), starts_local=talk.starts_local + timedelta(days=1))
    return partial(rescheduling.save_and_tell, talk.id, draft, talk.version, NOON, expected=2, text="Bitte umplanen.")


def add_places(make: Make) -> Act:
    talk = full_talk(make)[0]
    draft = replace(Draft.of(talk), capacity_on_site=3)
    return partial(rescheduling.save_silently, talk.id, draft, talk.version, NOON)


def call_off(make: Make) -> Act:
    talk = full_talk(make)[0]
    return partial(rescheduling.cancel, talk.id, "Krankheit", talk.version, NOON, expected=2)


def move_part(make: Make) -> Act:
    talk = make.event(every=1, times=3)
    make.registration(talk)
    parts = (Part(), Part(starts_local=talk.parts[1].starts_local + timedelta(hours=1)), Part())
    draft = replace(Draft.of(talk), parts=parts)
    return partial(rescheduling.save_and_tell, talk.id, draft, talk.version, NOON, expected=1)


def call_off_part(make: Make) -> Act:
    talk = make.event(every=1, times=3)
    make.registration(talk)
    return partial(rescheduling.cancel_part, talk.id, 2, "Krankheit", talk.version, NOON, expected=1)


def give_up_parts(make: Make) -> Act:
    talk = make.event(further=(datetime(2026, 2, 2, 14),))
    return partial(registrations.cancel, make.registration(talk).id, NOON)


def ask_to_sign_in(make: Make) -> Act:
    person = make.person()
    return partial(signin.ask, person.email, "browser", "", NOON)


def publish_to_followers(make: Make) -> Act:
    theme = make.theme()
    make.follow(theme_id=theme.id)
    talk = make.draft(theme_id=theme.id)
    return partial(events.publish, talk.id, talk.version, NOON)


def follow_theme(make: Make) -> Act:
    return partial(follows.follow_theme, make.theme().slug, follows.Asker("ada@behoerde.example"), NOON)


def confirm_following(make: Make) -> Act:
    follow = make.follow(make.person(proved_at=None), theme_id=make.theme().id, proved_at=None)
    return partial(follows.confirm, follow.id, NOON)


def tell_opened(make: Make) -> Act:
    make.follow(event_id=make.event().id)
    return partial(follows.tell_opened, NOON)


def remind(make: Make) -> Act:
    talk = full_talk(make)[0]
    with write():
        reminders.remind(NOON)
    return partial(reminders.remind, talk.starts_at - AN_HOUR_BEFORE)


def erase(make: Make) -> Act:
    placed = full_talk(make)[1]
    make.message(Kind.INVITATION, placed, raw=b"as it was")
    return partial(erasure.erase, placed.person_id, NOON)


USE_CASES = (
    sign_up,
    sign_up_for_the_line,
    sign_up_signed_in,
    sign_up_again,
    resend,
    confirm,
    confirm_in_line,
    confirm_too_late,
    decline_request,
    block,
    expire_holds,
    cancel,
    cancel_shortly_before,
    remove,
    undo,
    change_details,
    switch_mode,
    switch_line,
    new_link,
    resend_invitation,
    take_offer,
    promote,
    add,
    create,
    edit,
    duplicate,
    publish,
    move,
    add_places,
    call_off,
    move_part,
    call_off_part,
    give_up_parts,
    ask_to_sign_in,
    publish_to_followers,
    follow_theme,
    confirm_following,
    tell_opened,
    remind,
    erase,
)


# --- the fault -----------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """Raises after `left` more statements; `struck` tells whether it has."""

    left: int
    struck: bool = False

    def count(self, *_what: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.struck = True
            raise FaultError


@contextlib.contextmanager
def fault_after(number: int) -> Iterator[Fault]:
    """Raise after the statement of this number; the last one counted is the moment before the COMMIT."""
    fault = Fault(number)
    moments = ((db.engine, "after_cursor_execute"), (db.session, "before_commit"))
    for target, name in moments:
        sa.event.listen(target, name, fault.count)
    try:
        yield fault
    finally:
        for target, name in moments:
            sa.event.remove(target, name, fault.count)


def everything() -> dict[str, list[Any]]:
    """All rows of all tables, on a connection of their own: only what was committed."""
    with db.engine.connect() as connection:
        return {
            table.name: connection.execute(sa.select(table).order_by(*table.primary_key)).all()
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture(scope="module")
def survived(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """The number of faults of each use case; their sum is printed at the end."""
    numbers: list[int] = []
    yield numbers
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{sum(numbers)} faults survived in {len(numbers)} runs of {len(USE_CASES)} use cases")


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.__name__)
def test_a_fault_after_any_statement_leaves_everything_as_it_was(make, use_case, survived, figure):
    act = use_case(make)
    db.session.rollback()
    before, faults, struck = everything(), 0, True
    while struck:
        with fault_after(faults + 1) as fault, contextlib.suppress(FaultError), write():
            act()
        struck = fault.struck
        if struck:
            faults += 1
            assert everything() == before, f"after statement {faults}"
    survived.append(faults)
    figure("statements with a fault", use_cases=1, faults=faults)
    assert faults > 2
    assert everything() != before, "without a fault the use case changes something"


def test_a_talk_that_fails_to_be_called_off_stays_published(make):
    talk = full_talk(make)[0]
    with pytest.raises(FaultError), fault_after(6), write():
        rescheduling.cancel(talk.id, "Krankheit", talk.version, NOON, expected=2)
    assert talk.state is EventState.PUBLISHED
