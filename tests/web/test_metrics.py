"""What monitoring is told: health, numbers, log lines; and that nothing about people is in them."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.factories import NOON
from tests.mail.worlds import owed as one_owed
from whatsnext import logs
from whatsnext.db import write
from whatsnext.models import JobRun, Kind, MessageState, Status
from whatsnext.services import delivery, registrations
from whatsnext.web.ops import health

TOKEN = "a token that is long enough"


@pytest.fixture
def monitor(make_app):
    """Asks for the numbers as Prometheus does."""
    client = make_app(metrics_token=TOKEN).test_client()

    def numbers() -> dict[tuple[str, ...], float]:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        found = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found[(sample.name, *sample.labels.values())] = sample.value
        return found

    numbers.client = client
    return numbers


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_numbers_are_closed_without_the_token(monitor, token):
    headers = {"Authorization": token} if token else {}
    assert monitor.client.get("/metrics", headers=headers).status_code == 404


def test_numbers_are_closed_unless_a_token_is_set(client):
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_mails_sign_ups_and_workers_are_counted(monitor, make):
    one_owed(make, Kind.INVITATION)
    one_owed(make, Kind.WAITING, state=MessageState.FAILED)
    with write():
        delivery.note_backup(NOON)
        from_worker = JobRun(name=delivery.HEARTBEAT, slot=int(NOON.timestamp()) // delivery.HEARTBEAT_PERIOD)
        delivery.db.session.add(from_worker)
    found = monitor()
    assert [found["whatsnext_mails", state] for state in ("owed", "failed", "sent")] == [1, 1, 0]
    assert [found["whatsnext_registrations", state] for state in ("confirmed", "waiting", "held")] == [1, 1, 0]
    assert found[("whatsnext_worker_seen_timestamp_seconds",)] == NOON.timestamp()
    assert found[("whatsnext_backup_timestamp_seconds",)] == NOON.timestamp()
    assert (found[("whatsnext_oldest_owed_seconds",)], found[("whatsnext_mailbox_failing",)]) == (0, 0)


def test_requests_are_counted_by_the_name_of_their_route(monitor, make):
    event = make.event()
    for _each in range(3):
        monitor.client.get(f"/events/{event.slug}")
    monitor.client.get("/confirm/secret-in-the-address")
    monitor.client.open("/nothing/here", method="BREW")
    found = monitor()
    counted = {labels[1:]: number for labels, number in found.items() if labels[0].endswith("request_seconds_count")}
    assert counted == {
        ("other", "none", "404"): 1.0,
        ("GET", "public.confirm", "400"): 1.0,
        ("GET", "public.event", "200"): 3.0,
    }
    assert not any("secret" in label or event.slug in label for labels in found for label in labels)


# --- health ----------------------------------------------------------------------------------------------


def test_ready_tells_how_long_mails_wait_and_how_old_the_backup_is(client, make, at):
    assert client.get("/health/ready").text == "ready\n"
    one_owed(make, Kind.INVITATION)
    with write():
        delivery.note_backup(NOON)
    at(NOON + timedelta(minutes=5))
    assert client.get("/health/ready").text.splitlines() == [
        "ready",
        "mails: the oldest is owed for 300 s",
        "mails: due for 300 s and not taken by a worker",
        "backup: 300 s old",
    ]


def test_ready_tells_when_the_disk_is_nearly_full(client, monkeypatch):
    monkeypatch.setattr(health, "LEAST_SPACE", 2**62)
    assert client.get("/health/ready").text.splitlines() == ["ready", "disk: nearly full"]


# --- the log ---------------------------------------------------------------------------------------------


@pytest.fixture(params=[logs.Lines, logs.JsonLines])
def written(request) -> Iterator[StringIO]:
    """What the log says in one of both shapes."""
    output = StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(request.param())
    logger, before = logging.getLogger("whatsnext"), logging.getLogger("whatsnext").level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield output
    logger.setLevel(before)
    logger.removeHandler(handler)


MARK = "Markierung"
ADDRESS = "markierung@behoerde.example"


def test_a_whole_sign_up_leaves_nothing_personal_in_the_log(make_app, make, sent, written, smtp):
    """From the form to the cancelled place, with mails refused and a mistake of ours in between (D4)."""
    app = make_app(access_log=True)
    client = app.test_client()
    event = make.event()
    smtp.answers[ADDRESS] = f"450 4.2.1 <{ADDRESS}> is greylisted, {MARK}"
    page = f"/events/{event.slug}/signup"
    answer = client.submit(page, {"name": MARK, "email": ADDRESS, "agency": MARK}, form=0)
    assert answer.status_code == 303
    sent()
    token = one_token(make, event)
    for path in (f"/confirm/{token}", f"/registrations/{token}?{MARK}=1", f"/{MARK}", f"/events/{MARK}"):
        client.get(path)
    client.get("/health/ready", headers={"X-Request-ID": MARK, "User-Agent": MARK})
    mistake = ValueError(f"the address {ADDRESS} of {MARK}")
    logging.getLogger("whatsnext.jobs").error("a job failed", exc_info=mistake)
    text = written.getvalue()
    assert "public.sign_up" in text
    assert "ValueError" in text
    assert [secret for secret in (MARK, ADDRESS, "markierung", token, event.slug) if secret in text] == []


def one_token(make, event):
    held = make.registration(event, Status.HELD)

    return registrations.confirm_token(held)


def test_each_request_is_one_line_of_json_with_its_number(make_app, make, written):
    client = make_app(access_log=True).test_client()
    answer = client.get("/")
    line = written.getvalue().splitlines()[-1]
    number = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", number)
    if not line.startswith("{"):
        assert re.fullmatch(r"INFO whatsnext.web.traffic: request route=public.home .* milliseconds=[\d.]+", line)
        return
    found = json.loads(line)
    assert {name: found[name] for name in ("level", "message", "request", "route", "method", "status")} == {
        "level": "info",
        "message": "request",
        "request": number,
        "route": "public.home",
        "method": "GET",
        "status": 200,
    }


@pytest.mark.parametrize(("hops", "kept"), [(0, False), (1, True)])
def test_a_number_given_by_a_trusted_proxy_is_kept(make_app, hops, kept):
    client = make_app(trusted_proxies=hops).test_client()
    answer = client.get("/health/live", headers={"X-Request-ID": "abc-123-def"})
    assert (answer.headers["X-Request-ID"] == "abc-123-def") == kept
