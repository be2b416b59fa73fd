import smtplib
import socket
import urllib.request

import psycopg
import pytest

from tests.servers import ConnectionElsewhere


def test_a_real_postgresql_answers(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT current_setting('whatsnext.throwaway')").fetchone() == ("on",)


def test_the_mail_server_keeps_envelope_and_bytes(smtp):
    smtp.answers["nobody@behoerde.example"] = "550 5.1.1 no such mailbox"
    with smtplib.SMTP("127.0.0.1", smtp.port) as line:
        line.sendmail("next@behoerde.example", ["ada@behoerde.example"], "Subject: Einladung\r\n\r\nHallo\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            line.sendmail("next@behoerde.example", ["nobody@behoerde.example"], "Subject: x\r\n\r\n")
    assert refused.value.recipients == {"nobody@behoerde.example": (550, b"5.1.1 no such mailbox")}
    assert [(mail.sender, mail.recipients, mail.subject) for mail in smtp.mails] == [
        ("next@behoerde.example", ["ada@behoerde.example"], "Einladung")
    ]
    assert smtp.to("ada@behoerde.example")[0].part("text/plain") == "Hallo\n"


def test_a_connection_to_another_machine_is_refused():
    with socket.socket() as line, pytest.raises(ConnectionElsewhere, match=r"192\.0\.2\.1"):
        line.connect(("192.0.2.1", 25))


def test_the_application_serves_and_stops_as_a_process(serve, make):
    make.event()
    with urllib.request.urlopen(f"{serve()}/health/live", timeout=5) as answer:
        assert answer.read() == b"live\n"
