"""The bytes of a mail say what the letter says, whatever stands in it."""

from email import message_from_bytes, policy

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.factories import NOON
from whatsnext.mail.mime import Letter, build

LETTER = {
    "to": "ada@behoerde.example",
    "sender": "next@behoerde.example",
    "message_id": "<1@behoerde.example>",
    "date": NOON,
}
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), max_size=200)
TRICKY = [".", "..", "From here", "--", "=", "==", "=2E", "blank ", "tab\t", "Ω" * 90, "😀" * 40, "x" * 1200, ""]
texts = st.lists(LINES | st.sampled_from(TRICKY), max_size=12).map(lambda lines: "\n".join([*lines, ""]))


@given(subject=LINES.map(lambda line: " ".join(line.split())), text=texts, calendar=st.none() | st.binary(max_size=300))
def test_what_is_written_is_read_again(subject: str, text: str, calendar: bytes | None) -> None:
    letter = Letter(
        **LETTER,  # type: ignore[arg-type]
        sender_name="Reihe „Neues, und mehr“",
        subject=subject,
        text=text,
        html=f"<p>{text}</p>\n",
        calendar=("REQUEST", calendar) if calendar is not None else None,
    )
    raw = build(letter)
    raw.decode("ascii")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = message_from_bytes(raw, policy=policy.default)
    parts = [part for part in mail.walk() if not part.is_multipart()]
    read = [part.get_payload(decode=True).replace(b"\r\n", b"\n") for part in parts[:2]]  # type: ignore[union-attr]
    assert read == [text.encode(), f"<p>{text}</p>\n".encode()]
    assert [part.get_payload(decode=True) for part in parts[2:]] == [calendar] * 2 * (calendar is not None)
    assert (str(mail["Subject"]), mail["From"].addresses[0].display_name) == (subject, "Reihe „Neues, und mehr“")
    assert [defect for part in mail.walk() for defect in part.defects] == []


@pytest.mark.parametrize("bad", ["<1@x>\r\nBcc: evil@example.org", "1@x", "<1 2@x>", "<ü@x>", "<>"])
def test_an_identifier_that_could_end_its_header_is_refused(bad: str) -> None:
    words = {**LETTER, "message_id": bad}
    with pytest.raises(ValueError, match="Message-ID"):
        build(Letter(**words, sender_name="Reihe", subject="Hallo", text="x", html="x"))  # type: ignore[arg-type]
