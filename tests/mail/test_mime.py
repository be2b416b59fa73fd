"""The bytes of a mail say what the letter says, whatever stands in it."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.factories import NOON
from whatsnext.mail.mime import Letter, Post, build

LETTER = {
    "to": "ada@behoerde.example",
    "sender": "next@behoerde.example",
    "message_id": "<1@behoerde.example>",
    "date": NOON,
}
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), max_size=200)
TRICKY = [".", "..", "From here", "--", "=", "==", "=2E", "blank ", "tab\t", "Ω" * 90, "😀" * 40, "x" * 1200, ""]
texts = st.lists(LINES | st.sampled_from(TRICKY), max_size=12).map("\n".join)
EVIL = [
    "=?utf-8?q?a=0D=0ABcc:_evil=40x.example?=",
    "=?utf-8?q?a=0D=0A=0D=0A<p>?=",
    "=?utf-8?b?YQ0KQmNjOiB4QHguZXhhbXBsZQ==?=",
    "=?us-ascii?q?=22?=",
    "x" * 70 + ", victim@bund.de",
    "Federal Ministry of the Interior, Department for Digital Administration, Unit DG II 4, (Series)",
    '"quoted" \\ and (commented), <x@y.example>',
    "überMaßnahmen",
]
WORDS = [
    "Einladung:",
    "Geändert:",
    "Künstliche",
    "Intelligenz",
    "in",
    "der",
    "öffentlichen",
    "Verwaltung,",
    "für",
    "Bürger",
    "und",
    "Behörden:",
    "Überblick",
    "(Größe)",
    "Maßnahmen",
    "Lösungen",
    "Register;",
    "Blockchain",
    "Cloud",
    "–",
    "jetzt",
]
headers = (LINES | st.sampled_from(EVIL) | st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)).map(
    lambda line: " ".join(line.split())
)


def decoded(mail: Message, name: str) -> str:
    """As a program reads it that knows RFC 2047, folds taken away."""
    return str(mail[name]).replace("\r\n", "")


@given(subject=headers, name=headers, text=texts, calendar=st.none() | st.binary(max_size=300))
def test_what_is_written_is_read_again(subject: str, name: str, text: str, calendar: bytes | None) -> None:
    letter = Letter(
        **LETTER,  # type: ignore[arg-type]
        sender_name=name,
        subject=subject,
        text=text,
        html=f"<p>{text}</p>",
        calendar=("REQUEST", calendar) if calendar is not None else None,
    )
    raw = build(letter)
    raw.decode("ascii")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = message_from_bytes(raw)
    assert list(mail.keys()) == [
        *("Subject", "From", "Reply-To", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type")
    ]
    parts = [part for part in mail.walk() if not part.is_multipart()]
    read = [part.get_payload(decode=True).replace(b"\r\n", b"\n") for part in parts[:2]]  # type: ignore[union-attr]
    assert read == [text.encode(), f"<p>{text}</p>".encode()]
    assert [part.get_payload(decode=True) for part in parts[2:]] == [calendar] * 2 * (calendar is not None)
    assert str(make_header(decode_header(decoded(mail, "Subject")))) == subject
    for header in ("From", "Reply-To"):
        ((shown, address),) = getaddresses([decoded(mail, header)])
        assert (str(make_header(decode_header(shown))), address) == (name, LETTER["sender"])
    assert [defect for part in message_from_bytes(raw, policy=policy.default).walk() for defect in part.defects] == []


@pytest.mark.parametrize("name", [*EVIL, "Reihe „Neues, und mehr“"])
def test_a_name_is_one_address_for_the_newer_reader_too(name: str) -> None:
    raw = build(Letter(**LETTER, sender_name=name, subject="Hallo", text="x", html="x"))  # type: ignore[arg-type]
    sender = message_from_bytes(raw, policy=policy.default)["From"]
    assert [address.addr_spec for address in sender.addresses] == [LETTER["sender"]]


@pytest.mark.parametrize("where", ["subject", "sender_name", "sender", "to", "reply_to"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\nBcc: evil@x.example", "\x0b", "\x0c", "\x85", "\u2028", "\x00"])
def test_what_could_end_a_header_is_refused(where: str, end: str) -> None:
    given = {**LETTER, "sender_name": "Reihe", "subject": "Hallo", "text": "x", "html": "x"}
    with pytest.raises(ValueError, match="cannot stand in"):
        build(Letter(**{**given, where: f"{given.get(where, 'x@y.example')}{end}"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", ["<1@x>\r\nBcc: evil@example.org", "1@x", "<1 2@x>", "<ü@x>", "<>"])
def test_an_identifier_that_could_end_its_header_is_refused(bad: str) -> None:
    words = {**LETTER, "message_id": bad}
    with pytest.raises(ValueError, match="Message-ID"):
        build(Letter(**words, sender_name="Reihe", subject="Hallo", text="x", html="x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["to", "sender"])
@pytest.mark.parametrize("bad", ["a@b\r\nRCPT TO:<x@y>", "a@b>", "a b@c", "", "ü@b", "<a@b>"])
def test_what_is_no_plain_address_is_said_to_no_server(where: str, bad: str) -> None:
    given = {"to": "ada@behoerde.example", "sender": "next@behoerde.example", "raw": b"x", where: bad}
    with pytest.raises(ValueError, match="envelope"):
        Post(**given)  # type: ignore[arg-type]
