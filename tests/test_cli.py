"""The command line as an operator meets it: processes of their own, a fresh folder each."""

import http.cookiejar
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests import servers
from whatsnext import demo

RUNS = re.compile("The worker runs.")
HELD = re.compile(r"(\d+) unsent mails are held\.")
LINK = re.compile(r"Sign in as (\S+) \(once, within 10 minutes\): (http\S+)")


@pytest.fixture
def settings(tmp_path):
    """What an operator sets for a new installation, by environment names."""
    return {"INSTANCE": tmp_path / "instance", "PORT": servers.free_port(), "WORKER": "false"}


def run(*arguments, **settings):
    """`python -m whatsnext …` until it ends: exit code, output, errors."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    environment |= {name: str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "whatsnext", *arguments]
    done = subprocess.run(command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def printed(path, pattern, seconds=10):
    """What `pattern` finds in the output of a server, once it is there."""
    end = time.monotonic() + seconds
    while not (found := pattern.search(path.read_text())):
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.05)
    return found


class Browser:
    """Just enough of one to press a button."""

    def __init__(self):
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def open(self, address, data=None):
        with self._opener.open(address, data) as answer:
            return answer.geturl(), answer.read().decode()

    def press(self, address):
        """Press the only button of the page at this address, as it is served."""
        _url, html = self.open(address)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', html)[1]
        return self.open(address, f"csrf_token={token}".encode())


def test_the_first_start_prints_a_link_until_somebody_has_signed_in(settings, tmp_path):
    for number in range(2):
        output = tmp_path / f"{number}.log"
        with servers.whatsnext(settings, output):
            address, link = printed(output, LINK).groups()
            assert address == "organiser@localhost"
            again = re.search(r"A new link: (.*) link organiser@localhost\n", output.read_text())[1]
            assert f"PORT={settings['PORT']} " in again  # as printed, it leads to this installation
            rest = {name: str(value) for name, value in settings.items() if name not in ("PORT", "INSTANCE")}
            command, words = f"{again} link organiser@localhost", {**os.environ, **rest}
            said = subprocess.run(command, shell=True, cwd=servers.ROOT, env=words, capture_output=True, text=True)
            assert f"http://127.0.0.1:{settings['PORT']}/sign-in/" in said.stdout, said.stderr
            assert f"What's NEXt runs at http://127.0.0.1:{settings['PORT']}\n" in output.read_text()
            if number == 1:
                url, html = Browser().press(link)
                assert url.endswith("/organise/")
                assert "<h1" in html
    output = tmp_path / "last.log"
    with servers.whatsnext(settings, output):
        printed(output, re.compile("Stop it with Ctrl-C"))
        assert LINK.search(output.read_text()) is None
        assert "-m whatsnext admin link ADDRESS\n" in output.read_text()
    assert output.read_text().endswith("Stopped.\n")


@pytest.fixture
def heeds_ctrl_c():
    """A shell starts what runs in the background deaf to it, and so is whatever that starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_stops_it_cleanly(settings, tmp_path):
    output = tmp_path / "serve.log"
    with servers.whatsnext({**settings, "WORKER": "true"}, output) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    assert "Traceback" not in output.read_text()


def test_a_taken_port_is_said_so(settings, tmp_path):
    with servers.whatsnext(settings, tmp_path / "serve.log"):
        code, _out, err = run("serve", **settings)
    assert (code, err) == (2, f"PORT: {settings['PORT']} is in use by another program. Set PORT to a free one.\n")


def test_wrong_settings_are_one_line_each_and_nothing_else(settings):
    wrong = {"THREADS": "many", "MAIL_PORT": "x", "SECRET_KEY": "mark"}
    code, out, err = run("serve", **{**settings, **wrong})
    assert (code, out) == (2, "")
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["THREADS", "MAIL_PORT"]
    assert "many" not in err
    assert not settings["INSTANCE"].exists()


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            {"DATABASE_URL": "postgresql://mark:mark@127.0.0.1:1/mark"},
            "DATABASE_URL: the database does not answer or cannot be opened",
        ),
        ({"INSTANCE": "/dev/null/mark"}, "INSTANCE: the folder cannot be used (Not a directory)"),
    ],
)
def test_what_cannot_be_reached_is_one_line_too(settings, wrong, line):
    assert run("upgrade", **{**settings, **wrong}) == (2, "", f"Setting refused: {line}\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"MAIL_SERVER": "localhost", "MAIL_DEFAULT_SENDER": "next@localhost"},
        {"BASE_URL": "https://next.example.org"},
        {"HOST": "0.0.0.0"},
    ],
)
def test_the_demo_refuses_to_be_public(settings, wrong):
    code, out, err = run("demo", **settings, **wrong)
    assert (code, out, err.startswith("Setting refused: DEMO excludes ")) == (2, "", True)


def test_the_demo_shows_its_mails_and_signs_in_by_its_link(settings, tmp_path):
    for words in ("The sample series is in place, its mails", "The sample series is in place already."):
        code, out, err = run("demo", **settings)
        assert (code, out.startswith(words), err) == (0, True, "")
        assert f"Start it: INSTANCE={settings['INSTANCE']} PORT={settings['PORT']} make run\n" in out
        assert f"links in the mails point to http://127.0.0.1:{settings['PORT']}\n" in out
    output = tmp_path / "demo.log"
    with servers.whatsnext(settings, output):
        address, link = printed(output, LINK, 60).groups()
        assert address == demo.ORGANISER
        assert f"Its mails: http://127.0.0.1:{settings['PORT']}/mailbox\n" in output.read_text()
        _url, html = Browser().open(f"http://127.0.0.1:{settings['PORT']}/mailbox")
        assert len(re.findall(r'href="/mailbox/', html)) > 10
        assert Browser().press(link)[0].endswith("/organise/")


def test_the_demo_keeps_out_of_other_people_s_data(settings):
    run("upgrade", **settings)
    file = settings["INSTANCE"] / "whatsnext.db"
    add = "INSERT INTO series (slug, name, summary, summary_en, contact_name, contact_email, contact_phone, zone,"
    add += " position, promotion_stops_hours, offer_hours, version, page_version)"
    add += " VALUES ('a', 'A', '', '', '', '', '', 'Europe/Berlin', 0, 24, 4, 1, 1)"
    subprocess.run(
        [sys.executable, "-c", f"import sqlite3; c = sqlite3.connect({str(file)!r}); c.execute({add!r}); c.commit()"],
        check=True,
    )
    code, _out, err = run("demo", **settings)
    assert (code, err) == (1, "Error: INSTANCE holds other data already. Set it to a new folder.\n")


def test_nobody_else_on_the_machine_reads_the_data(settings):
    run("demo", **settings)
    data = [path for path in settings["INSTANCE"].rglob("*") if not path.name.startswith("static-")]
    assert {"whatsnext.db", "secret_key", "mail"} <= {path.name for path in data}
    assert [path.name for path in data if path.stat().st_mode & 0o077] == []


def test_people_are_added_and_get_links(settings):
    code, out, _err = run("admin", "add", "Kim@Behoerde.example", "--name", "Kim Muster", **settings)
    assert (code, out.splitlines()[0]) == (0, "kim@behoerde.example: organiser")
    assert LINK.search(out)[1] == "kim@behoerde.example"
    code, out, _err = run("admin", "link", "kim@behoerde.example", **settings)
    assert (code, LINK.search(out)[1]) == (0, "kim@behoerde.example")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("admin", "link", "nobody@behoerde.example"), 1, "Nobody has the address nobody@behoerde.example."),
        (("admin", "add", "no address"), 2, "Invalid value for EMAIL"),
        (("admin", "add", "kim@behoerde.example", "--name", "a\nb"), 2, "Invalid value for --name"),
        (("admin", "add", "kim@behoerde.example", "--role", "king"), 2, "Invalid value for '--role'"),
    ],
)
def test_what_cannot_be_done_is_said_so(settings, arguments, code, words):
    found, _out, err = run(*arguments, **settings)
    assert (found, words in err, "Traceback" in err) == (code, True, False)


def test_the_worker_works_alone_until_it_is_stopped(settings, tmp_path):
    output = tmp_path / "worker.log"
    alone = {name: value for name, value in settings.items() if name != "PORT"}
    with servers.whatsnext(alone, output, "worker"):
        printed(output, re.compile("The worker runs"))
    assert output.read_text() == "The worker runs. Stop it with Ctrl-C.\nStopped.\n"


def test_the_tables_are_upgraded_and_the_folder_made(settings):
    assert run("upgrade", **settings)[:2] == (0, "The tables are up to date.\n")
    assert Path(settings["INSTANCE"], "whatsnext.db").exists()


def test_a_backup_is_taken_restored_elsewhere_and_moved(settings, tmp_path):
    run("admin", "add", "kim@behoerde.example", **settings)
    code, out, err = run("backup", **settings)
    assert (code, err) == (0, "")
    [file] = (settings["INSTANCE"] / "backups").iterdir()
    assert out.startswith(f"{file}: 4 rows of ")
    assert "restored beside and compared." in out
    elsewhere = {**settings, "INSTANCE": tmp_path / "other"}
    code, out, err = run("restore", str(file), **elsewhere)
    assert (code, out.splitlines()[1], err) == (
        0,
        "1 unsent mails are held. Look at them: python -m whatsnext release",
        "",
    )
    assert run("release", **settings) == (0, "No mail is held since a restore or a change of BASE_URL.\n", "")
    assert run("restore", str(file), **elsewhere)[::2] == (
        1,
        "Error: This installation holds data already. With --force they are replaced.\n",
    )
    assert run("restore", str(file), "--force", **elsewhere)[0] == 0
    assert run("admin", "link", "kim@behoerde.example", **elsewhere)[0] == 0
    target = f"sqlite:///{tmp_path / 'moved.db'}"
    code, out, err = run("move-database", TARGET_URL=target, **elsewhere)
    assert (code, err) == (0, "")
    assert "rows are the same in both. Set DATABASE_URL to the new address.\n" in out
    assert run("move-database", target, **elsewhere)[2].startswith("Error: The target holds data already.")
    assert run("admin", "link", "kim@behoerde.example", DATABASE_URL=target, **elsewhere)[0] == 0


def owe_one(file, name="x@y"):
    """As another process would have left it."""
    message = "INSERT INTO message (kind, state, recipient, language, facts, unproved, created_at, not_before,"
    message += " best_before, tries, message_id, subject, error) VALUES ('sign_in', 'owed', 'a@b.example', 'de', ?,"
    message += f" 0, '2026-01-05', '2026-01-05', '2126-01-05', 0, {name!r}, '', '')"
    facts = '{"link_token": "x", "code": "y"}'
    add = f"import sqlite3; c = sqlite3.connect({str(file)!r}); c.execute({message!r}, [{facts!r}]); c.commit()"
    subprocess.run([sys.executable, "-c", add], check=True)


def test_what_was_owed_is_shown_and_settled_after_a_restore(settings):
    run("upgrade", **settings)
    owe_one(settings["INSTANCE"] / "whatsnext.db")
    backup = settings["INSTANCE"] / "one.backup"
    assert run("backup", str(backup), **settings)[0] == 0
    assert run("restore", str(backup), "--force", **settings)[1].splitlines()[1].startswith("1 unsent mails are held.")
    assert run("release", **settings)[1].split()[:2] == ["1", "sign_in,"]
    assert run("release", "--send", "--kind", "offer", **settings)[1] == "0 mails are released.\n"
    assert run("release", "--drop", **settings)[1] == "1 mails are dropped.\n"
    assert run("release", "--invite-again", **settings)[1] == "0 people get their invitation once more.\n"


def test_a_person_is_erased_after_asking_and_stays_so_after_a_restore(settings):
    """Without an answer nothing happens; a backup made before brings nobody back."""
    ada, backup, told = "ada@behoerde.example", settings["INSTANCE"] / "one.backup", settings["INSTANCE"] / "list"
    run("admin", "add", ada, **settings)
    run("backup", str(backup), **settings)
    code, out, _err = run("erase", ada, **settings)
    assert (code, out.splitlines()[0][:33]) == (1, "0 places or places in line at com")
    code, out, err = run("erase", ada, "--yes", **settings)
    assert (code, out.splitlines()[0], err) == (
        0,
        "Erased. 0 places or places in line at coming talks were given up.",
        "",
    )
    assert run("erasures", str(told), **settings) == (0, f"{told}: 1 erasures.\n", "")
    again = run("restore", str(backup), "--force", "--erasures", str(told), **settings)[1]
    assert again.splitlines()[-1] == "1 people who had been erased since were erased again."


def test_a_copy_under_another_address_sends_nothing_it_came_with(settings, smtp, tmp_path):
    """The database is copied while a mail is owed, and started elsewhere; what is owed there from then on goes out."""
    del settings["PORT"], settings["WORKER"]
    original = {**settings, "BASE_URL": "https://next.behoerde.example", "MAIL_SERVER": "127.0.0.1"}
    original |= {"MAIL_PORT": smtp.port, "MAIL_DEFAULT_SENDER": "next@localhost"}
    with servers.whatsnext(original, tmp_path / "original", "worker"):
        printed(tmp_path / "original", RUNS, 30)
    owe_one(settings["INSTANCE"] / "whatsnext.db")
    copy = {**original, "INSTANCE": tmp_path / "copy", "BASE_URL": "https://test.behoerde.example"}
    shutil.copytree(settings["INSTANCE"], copy["INSTANCE"])
    with servers.whatsnext(copy, tmp_path / "log", "worker"):
        assert printed(tmp_path / "log", HELD, 30)[1] == "1"
        printed(tmp_path / "log", RUNS, 30)
        owe_one(copy["INSTANCE"] / "whatsnext.db", "new@y")
        end = time.monotonic() + 20
        while not smtp.mails and time.monotonic() < end:
            time.sleep(0.05)
    with servers.whatsnext(copy, tmp_path / "again", "worker"):
        printed(tmp_path / "again", RUNS, 30)
    assert not HELD.search((tmp_path / "again").read_text()), "at the second start it is at home there"
    assert [mail.message["Message-ID"] for mail in smtp.mails] == ["<new@y>"]
    assert run("release", **copy)[1].split()[:2] == ["1", "sign_in,"]


def test_check_ends_with_one_while_there_is_something_to_do(settings):
    run("upgrade", **settings)
    code, out, err = run("check", **settings)
    assert (code, err) == (1, "")
    assert {line[:5] for line in out.splitlines()} == {"OK   ", "to do"}
    assert f"to do  BASE_URL: http://127.0.0.1:{settings['PORT']} is reachable on this machine only" in out


def test_tables_of_a_newer_release_are_not_touched(settings):
    run("upgrade", **settings)
    file = settings["INSTANCE"] / "whatsnext.db"
    newer = (
        f"import sqlite3; c = sqlite3.connect({str(file)!r}); c.execute('UPDATE alembic_version SET version_num = 9');"
    )
    subprocess.run([sys.executable, "-c", newer + " c.commit()"], check=True)
    assert run("upgrade", **settings) == (1, "", "Error: The database belongs to a newer release. Update this one.\n")
