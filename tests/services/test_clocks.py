"""New time-zone data: local times stay, instants follow, each calendar hears once (safety.md R8)."""

import logging
import os
import shutil
import subprocess
import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.factories import NOON
from tests.mail.worlds import change
from whatsnext.calendars import timezone
from whatsnext.db import db, write
from whatsnext.models import EventState, Kind, Message, PartStat, Registration, Status
from whatsnext.services import clocks, differences, events, invitations, rescheduling
from whatsnext.services.drafts import Draft

DAY = timedelta(days=1)
RULES = "Zone Europe/Berlin 1:00 - CET 2026 Jan 10\n\t\t\t2:00 - EET\n"
"""What zic compiles: Berlin goes to Eastern European Time on 10 January 2026 and keeps it."""


def new_zone(rules, folder):
    """Compile the rules into zone data; the search path that finds them first, as PYTHONTZPATH has it."""
    zic = shutil.which("zic") or "/usr/sbin/zic"
    source = folder / "rules"
    source.write_text(rules)
    subprocess.run([zic, "-b", "fat", "-d", folder / "zones", source], check=True)
    return os.pathsep.join([str(folder / "zones"), *zoneinfo.TZPATH])


@pytest.fixture
def new_rules(tmp_path):
    """A call puts them in place, as an update of the machine's time-zone data does."""
    kept = zoneinfo.TZPATH
    path = new_zone(RULES, tmp_path)

    def put():
        zoneinfo.reset_tzpath(path.split(os.pathsep))
        timezone.forget()

    yield put
    zoneinfo.reset_tzpath(kept)
    timezone.forget()


def recompute(now=NOON):
    with write():
        return clocks.recompute(now)


def updates():
    chosen = sa.select(Message.registration_id).where(Message.kind == Kind.UPDATE).order_by(Message.registration_id)
    return list(db.session.scalars(chosen))


def test_with_the_same_data_nothing_happens(make, owed):
    talk = make.event()
    make.registration(talk)
    version = talk.page_version
    assert clocks.stale(NOON) == []
    assert recompute() == 0
    assert (owed(), talk.sequence, talk.page_version) == ([], 0, version)


def test_the_local_time_stays_the_instant_changes_and_each_attendee_hears_once(make, new_rules, caplog):
    caplog.set_level(logging.INFO, logger="whatsnext")
    talk = make.event()
    ada, linus = make.registration(talk, partstat=PartStat.ACCEPTED), make.registration(talk)
    make.registration(talk, Status.WAITING)
    make.registration(talk, Status.CANCELLED)
    local, version = talk.starts_local, talk.page_version
    new_rules()
    assert clocks.stale(NOON) == [talk.id]
    assert recompute() == 1
    assert (talk.starts_local, talk.starts_at) == (local, datetime(2026, 1, 19, 12, tzinfo=UTC))
    assert talk.ends_at == talk.starts_at + timedelta(minutes=90)
    assert (talk.sequence, talk.changed_at, talk.page_version) == (1, NOON, version + 1)
    assert updates() == [ada.id, linus.id]
    rows = db.session.execute(sa.select(Registration.sequence, Registration.partstat).order_by(Registration.id))
    assert [tuple(row) for row in rows][:2] == [(1, PartStat.NEEDS_ACTION)] * 2
    assert recompute() == 0
    assert updates() == [ada.id, linus.id]
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["new time-zone data: 1 talks have another instant, 2 people get an update"]


def test_the_update_says_that_the_time_stays(make, new_rules, sent):
    talk = make.event(title="Register")
    make.registration(talk)
    new_rules()
    recompute()
    (mail,) = sent()
    text = mail.part("text/plain")
    assert mail.subject == "Geändert: Register"
    assert text.startswith("Die Regeln für die Uhrzeit in Berlin haben sich geändert. Es bleibt bei Mo., 19. Januar")
    assert "14:00–15:30 Uhr (Berlin)" in text
    assert "bisher" not in text
    calendar = mail.part("text/calendar")
    assert "DTSTART;TZID=Europe/Berlin:20260119T140000" in calendar
    assert "SEQUENCE:1" in calendar
    assert "TZOFFSETTO:+0200" in calendar


def test_a_real_change_not_out_yet_is_still_told(make, new_rules, sent):
    talk = make.event()
    make.registration(talk)
    before = differences.facts(talk)
    change(talk, title="Neuer Titel")
    with write():
        invitations.tell_change(talk, before, NOON)
    new_rules()
    recompute()
    (mail,) = sent()
    assert "Neuer Titel (bisher: " in mail.part("text/plain")


def test_an_invitation_not_out_yet_goes_with_the_new_instant(make, new_rules, sent):
    talk = make.event()
    mine = make.registration(talk, sequence=None)
    with write():
        invitations.invite(mine, Kind.INVITATION, NOON)
    new_rules()
    recompute()
    (mail,) = sent()
    assert mail.subject.startswith("Einladung: ")
    assert "SEQUENCE:1" in mail.part("text/calendar")


def test_talks_that_are_over_keep_their_instant_and_drafts_and_cancelled_ones_tell_nobody(make, new_rules):
    past = make.event(starts_local=datetime(2026, 1, 12, 14))
    draft, off = make.draft(), make.event(state=EventState.CANCELLED)
    for talk in (past, off):
        make.registration(talk)
    new_rules()
    assert recompute(NOON + 10 * DAY) == 2
    assert [talk.starts_at.hour for talk in (past, draft, off)] == [13, 12, 12]
    assert updates() == []


def test_a_talk_before_the_change_and_one_elsewhere_stay(make, new_rules):
    make.event(starts_local=datetime(2026, 1, 8, 14))
    make.event(zone="Europe/London")
    new_rules()
    assert recompute() == 0


def test_a_time_that_clocks_now_jump_over_is_read_by_the_clocks_before(make, new_rules):
    talk = make.event(starts_local=datetime(2026, 1, 10, 0, 30))
    new_rules()
    assert recompute() == 0  # 0:30 by the old clocks, 1:30 by the new ones
    assert talk.starts_at == datetime(2026, 1, 9, 23, 30, tzinfo=UTC)


def test_reading_takes_two_statements_however_many_talks_there_are(make, query_count):
    for _number in range(3):
        make.event()
        make.event(every=1, times=3)
    with query_count() as queries:
        clocks.stale(NOON)
    assert len(queries) == 2


def test_sign_up_opens_and_closes_at_the_local_time_that_was_typed(make, new_rules, owed, caplog):
    caplog.set_level(logging.INFO, logger="whatsnext")
    talk = make.event(zone="Europe/London", starts_local=datetime(2026, 1, 19, 14))
    with write():
        events.assign(
            talk,
            replace(
                Draft.of(talk),
                zone="Europe/Berlin",
                registration_opens=datetime(2026, 1, 9, 9),
                registration_closes=datetime(2026, 1, 17, 12),
            ),
        )
    make.registration(talk)
    new_rules()
    assert list(clocks.stale_sign_up(NOON)) == [talk.id]
    recompute()
    assert (talk.registration_opens.hour, talk.registration_closes.hour) == (8, 10)
    assert (talk.opens_local.hour, talk.closes_local.hour, len(owed())) == (9, 12, 1)
    assert clocks.stale_sign_up(NOON) == {}
    assert "sign-up of 1 talks opens or closes at another instant" in caplog.text


def test_sign_up_of_a_draft_without_a_time_follows_too_and_tells_nobody(make, new_rules, owed):
    draft = make.draft()
    with write():
        typed = replace(Draft.of(draft), starts_local=None, registration_opens=datetime(2026, 2, 1, 9))
        events.assign(draft, typed)
    version = draft.page_version
    new_rules()
    assert recompute() == 0
    assert (draft.registration_opens, draft.page_version, owed()) == (
        datetime(2026, 2, 1, 7, tzinfo=UTC),
        version + 1,
        [],
    )


def test_sign_up_closed_by_a_button_stays_closed_since_then(make, new_rules):
    talk = make.event()
    with write():
        events.assign(talk, replace(Draft.of(talk), registration_closes=datetime(2026, 1, 17, 12)))
    with write():
        rescheduling.close_sign_up(talk.id, talk.version, NOON)
    new_rules()
    recompute()
    assert (talk.registration_closes, talk.closes_local) == (NOON, None)


@pytest.mark.load
def test_the_zone_file_is_swapped_between_two_starts(make, serve, tmp_path):
    """The process itself: started, then started twice with other data; one update is owed, at the first of these."""
    talk = make.event(starts_local=datetime(2127, 1, 19, 14))
    own_id = make.registration(talk).id
    db.session.rollback()
    serve(worker="false")
    assert updates() == []
    path = new_zone("Zone Europe/Berlin 2:00 - EET\n", tmp_path)
    for _start in range(2):
        db.session.rollback()
        serve(worker="false", pythontzpath=path)
        assert updates() == [own_id]
    assert (talk.starts_local.hour, talk.starts_at.hour) == (14, 12)


def test_every_part_keeps_its_local_time_and_each_calendar_entry_is_renewed_once(make, new_rules):
    evenings = make.event(starts_local=datetime(2026, 1, 19, 14), further=(datetime(2026, 1, 20, 9),))
    weekly = make.event(starts_local=datetime(2026, 1, 19, 16), every=1, times=3)
    for talk in (evenings, weekly):
        make.registration(talk)
    new_rules()
    assert clocks.stale(NOON) == [evenings.id, weekly.id]
    assert recompute() == 2
    assert [part.starts_at.hour for part in evenings.parts] == [12, 7]
    assert [part.starts_at.hour for part in weekly.parts] == [14, 14, 14]
    assert (evenings.starts_at, evenings.ends_at) == (evenings.parts[0].starts_at, evenings.parts[1].ends_at)
    rows = db.session.execute(sa.select(Message.event_id, Message.part_id).order_by(Message.id)).all()
    about = [tuple(row) for row in rows]
    assert about == [*((evenings.id, part.id) for part in evenings.parts), (weekly.id, None)]
    assert [part.sequence for part in weekly.parts] == [0, 0, 0]
    assert recompute() == 0


def test_a_first_part_that_is_over_keeps_the_others_in_step(make, new_rules):
    talk = make.event(starts_local=datetime(2026, 1, 12, 14), further=(datetime(2026, 1, 19, 14),))
    make.registration(talk)
    new_rules()
    assert recompute(datetime(2026, 1, 14, 12, tzinfo=UTC)) == 1
    (mail,) = db.session.scalars(sa.select(Message))
    assert mail.part_id == talk.parts[1].id
