"""Each wrong setting is one clear line that names its variable and never tells its value."""

import stat
from pathlib import Path

import pytest

from config import Settings, SettingsError

MARK = "s3cretmark"


def refused(monkeypatch, **environment):
    """The lines that refuse these variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        Settings.from_env()
    assert MARK not in str(error.value)
    return error.value.lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", MARK),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("THREADS", "0"),
        ("THREADS", "65"),
        ("BASE_URL", MARK),
        ("BASE_URL", f"ftp://{MARK}"),
        ("BASE_URL", f"https://example.org/?{MARK}"),
        ("SQLITE_WAL_BACKPORTED", MARK),
        ("DATABASE_URL", f"mysql://user:{MARK}@host/db"),
        ("MAIL_PORT", MARK),
        ("MAIL_USE_TLS", MARK),
        ("MAIL_USE_SSL", MARK),
        ("MAIL_DEFAULT_SENDER", MARK),
        ("MAIL_DEFAULT_SENDER", f"{MARK}{'x' * 40}@example.org"),
        ("MAIL_DEFAULT_SENDER", f"{MARK} <a@example.org>"),
        ("IMAP_PORT", MARK),
        ("IMAP_USE_SSL", MARK),
        ("IMAP_FOLDER", f"{MARK}\nX"),
        ("LMTP_LISTEN", f"{MARK}:24"),
        ("LMTP_LISTEN", "0.0.0.0:24"),
        ("LMTP_LISTEN", "127.0.0.1:0"),
        ("AUTHSERV_ID", f"{MARK}\tX"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "6"),
        ("SEAT_HOLD_MINUTES", "14"),
        ("SEAT_HOLD_MINUTES", "1441"),
        ("NEW_ADDRESS_MAILS_PER_HOUR", "0"),
        ("NOTICE_NEEDS_CONSENT", MARK),
        ("WORKER", MARK),
        ("DEMO", MARK),
    ],
)
def test_a_wrong_value_is_one_line_with_the_name(monkeypatch, name, value):
    (line,) = refused(monkeypatch, **{name: value})
    assert line.startswith(f"{name}: ")
    assert len(line) > len(name) + 12


def test_a_wrong_network_is_named_because_there_may_be_many(monkeypatch):
    assert refused(monkeypatch, EXIT_NETWORKS="192.0.2.0/24, elsewhere") == [
        "EXIT_NETWORKS: 'elsewhere' is not a network like 192.0.2.0/24"
    ]


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (
            {"MAIL_USE_TLS": "1", "MAIL_USE_SSL": "1"},
            "MAIL_USE_TLS and MAIL_USE_SSL exclude each other",
        ),
        ({"MAIL_SERVER": f"{MARK}.example.org"}, "MAIL_DEFAULT_SENDER is needed when MAIL_SERVER is set"),
        (
            {
                "MAIL_SERVER": f"{MARK}.example.org",
                "MAIL_DEFAULT_SENDER": "next@example.org",
                "MAIL_USERNAME": MARK,
                "MAIL_PASSWORD": MARK,
            },
            "MAIL_USERNAME needs MAIL_USE_TLS or MAIL_USE_SSL: a password is never sent in the clear",
        ),
        (
            {"DEMO": "1", "MAIL_SERVER": "localhost", "MAIL_DEFAULT_SENDER": "next@localhost"},
            "DEMO excludes MAIL_SERVER: the demo sends nothing",
        ),
        ({"DEMO": "1", "BASE_URL": f"https://{MARK}.example"}, "DEMO excludes a public BASE_URL"),
        ({"DEMO": "1", "HOST": "0.0.0.0"}, "DEMO excludes a HOST other than loopback"),
    ],
)
def test_settings_that_exclude_each_other_say_so(monkeypatch, environment, line):
    assert refused(monkeypatch, **environment) == [line]


def test_all_wrong_values_are_told_at_once(monkeypatch):
    lines = refused(monkeypatch, PORT="x", THREADS="y", SECRET_KEY=MARK)
    assert [line.partition(":")[0] for line in lines] == ["PORT", "THREADS"]


def test_values_are_read_as_people_write_them(monkeypatch):
    for name, value in {
        "BASE_URL": "https://next.example.org/",
        "DATABASE_URL": "postgresql://user@host/db",
        "EXIT_NETWORKS": "192.0.2.0/24, 2001:db8::/48",
        "SECRET_KEY_FALLBACKS": "old, older",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_env()
    assert (settings.address, settings.secure, settings.host_names) == (
        "https://next.example.org",
        True,
        ["next.example.org"],
    )
    assert settings.database == "postgresql+psycopg://user@host/db"
    assert settings.exit_networks == ("192.0.2.0/24", "2001:db8::/48")
    assert settings.secret_key_fallbacks == ("old", "older")


def test_without_any_setting_it_runs_on_this_machine(monkeypatch, tmp_path):
    settings = Settings(instance=tmp_path)
    assert (settings.address, settings.sender) == ("http://127.0.0.1:8000", "next@localhost")
    assert settings.host_names == ["127.0.0.1", "localhost", "[::1]"]
    assert settings.database == f"sqlite:///{tmp_path / 'whatsnext.db'}"
    assert Settings(host="::1").address == "http://[::1]:8000"


def test_the_secret_is_made_once_and_read_by_the_owner_only(tmp_path):
    first, second = Settings(instance=tmp_path / "new").secret, Settings(instance=tmp_path / "new").secret
    assert (first, len(first) >= 43) == (second, True)
    assert stat.S_IMODE(Path(tmp_path / "new" / "secret_key").stat().st_mode) == 0o600
    assert Settings(instance=tmp_path, secret_key="given").secret == "given"


def test_answers_are_read_with_a_mailbox_or_over_lmtp(monkeypatch):
    assert [Settings(**given).reads_answers for given in ({}, {"lmtp_listen": "unix:/run/lmtp"})] == [False, True]
    mailbox = {"imap_server": "imap.example.org", "imap_username": "next", "imap_password": "x"}
    settings = Settings(**mailbox)
    assert (settings.reads_answers, settings.imap_name) == (True, "next@imap.example.org:993/INBOX")
    assert refused(monkeypatch, IMAP_SERVER="imap.example.org") == [
        "IMAP_USERNAME and IMAP_PASSWORD are needed when IMAP_SERVER is set"
    ]
    assert refused(monkeypatch, IMAP_USERNAME="next", IMAP_PASSWORD=MARK, IMAP_USE_SSL="false") == [
        "IMAP_SERVER needs IMAP_USE_SSL: a password is never sent in the clear"
    ]
