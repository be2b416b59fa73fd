"""The parts of compose.yaml as processes: the main job through the proxy while a web process and a worker die."""

import contextlib
import shutil
import signal
import socket
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests import proxy, servers
from tests.browser import people
from tests.browser.people import Human, Look
from tests.databases import SECRET
from whatsnext import clock
from whatsnext.permissions import Role

pytestmark = pytest.mark.load
ENDS = (0, -signal.SIGKILL)


@pytest.fixture
def parts(database, smtp, tmp_path):
    """Two web processes and two workers behind the shipped proxy: its address, and the processes to kill."""
    folder = Path(tempfile.mkdtemp(prefix="whatsnext-nginx-"))
    port, backends = servers.free_port(), [servers.free_port(), servers.free_port()]
    shared = {
        "DATABASE_URL": database.url,
        "SECRET_KEY": SECRET,
        "BASE_URL": f"https://127.0.0.1:{port}",
        "TRUSTED_PROXIES": 1,
        "WORKER": "false",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": smtp.port,
        "MAIL_DEFAULT_SENDER": "next@behoerde.example",
    }
    with contextlib.ExitStack() as running:
        running.callback(shutil.rmtree, folder)
        web, workers = [], []
        for number, backend in enumerate(backends):
            own = {**shared, "INSTANCE": tmp_path / f"instance-{number}"}
            start = running.enter_context
            web.append(start(servers.whatsnext({**own, "PORT": backend}, tmp_path / f"web-{number}.log", ends=ENDS)))
            workers.append(start(servers.whatsnext(own, tmp_path / f"worker-{number}.log", "worker", ENDS)))
        running.enter_context(proxy.nginx(folder, port, backends))
        _wait(port)
        yield f"https://127.0.0.1:{port}", web, workers


def _wait(port):
    end = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_main_job_goes_on_while_a_web_process_and_a_worker_are_killed(parts, smtp, browser, make, database):
    site, web, workers = parts
    make.person(email="kim@behoerde.example", name="Kim Muster", role=Role.ORGANISER)
    kim, ada, grace = (
        Human(browser, site, smtp, Look("de", 1280, scripts=True), f"{name.split()[0].lower()}@behoerde.example", name)
        for name in ("Kim Muster", "Ada Beispiel", "Grace Beispiel")
    )
    day = clock.now() + timedelta(days=30)
    people.organiser_signs_in(kim)
    talk = people.organiser_plans_blockchain(kim, day)
    people.attendee_signs_up(ada, talk)
    invited = people.entry(ada.mail())
    for process in (web[0], workers[0]):
        process.kill()
        process.wait()
    people.attendee_signs_up(grace, talk, waiting=True)
    grace.mail()
    people.organiser_moves_by_a_day(kim, 1, day, 2)
    moved = people.entry(ada.mail())
    assert (moved.uid, moved.sequence, moved.starts - invited.starts) == (invited.uid, 1, timedelta(days=1))
    grace.mail()
    ada.follow("Give up my place")
    ada.press(ada.words("Give up my place"))
    ada.mail()
    assert people.entry(grace.mail()).method == "REQUEST"
    for person in (kim, ada, grace):
        assert person.no_more_mail()
        person.forgive_a_cut_off()
        person.close()
