"""Signed notes and checkpoints: the published vector, and each broken rule alone."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import LedgerDamaged
from covenue.identity.did import did_of
from covenue.identity.keys import SigningKey
from covenue.ledger import checkpoint as checkpoint_module
from covenue.ledger import note as note_module
from covenue.ledger.checkpoint import (
    Checkpoint,
    checkpoint_text,
    open_checkpoint,
    sign_checkpoint,
)
from covenue.ledger.note import (
    key_id,
    open_note,
    sign_note,
    signature_line,
    verifier_key,
)

# golang.org/x/mod/sumdb/note, note_test.go: the key of PeterNeumann and the note that he signed.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_NOTE = (
    PETER_TEXT + "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2p"
    "ZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(b"\x01" * 32)
ORIGIN = "example.org/log"
ROOT = bytes(range(32))
GOOD = sign_checkpoint(KEY, ORIGIN, 7, ROOT)


def test_the_published_note_opens_and_is_made_byte_for_byte() -> None:
    peter = SigningKey.from_seed(PETER_SEED)
    assert verifier_key("PeterNeumann", peter.did) == PETER_KEY
    assert did_of(base64.b64decode(PETER_KEY.split("+", 2)[2])[1:]) == peter.did
    assert sign_note(peter, "PeterNeumann", PETER_TEXT).decode() == PETER_NOTE
    assert open_note(PETER_NOTE.encode(), "PeterNeumann", peter.did) == PETER_TEXT


def test_the_bytes_of_a_checkpoint_are_pinned() -> None:
    text, _, signature = GOOD.decode().partition("\n\n")
    assert text == "example.org/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert signature == (
        "\u2014 example.org/log TpMzA5pUL9nFjDGDFxUCAcxFFQxddKOB/tkLNNbmOret3faxBFz4wNH38ZBJdr6S"
        "b5CBNhc+e5crUK60nIK5Lz4L7AI=\n"
    )


@given(st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_what_is_signed_opens(size: int, root: bytes) -> None:
    data = sign_checkpoint(KEY, ORIGIN, size, root)
    assert open_checkpoint(data, ORIGIN, KEY.did) == Checkpoint(size, root)


def test_every_flipped_bit_is_refused() -> None:
    for at in range(len(GOOD)):
        for bit in range(8):
            changed = GOOD[:at] + bytes([GOOD[at] ^ 1 << bit]) + GOOD[at + 1 :]
            with pytest.raises(LedgerDamaged):
                open_checkpoint(changed, ORIGIN, KEY.did)


def signed(text: str, key: SigningKey = KEY, name: str = ORIGIN) -> bytes:
    """Signed without the checks that `sign_note` makes."""
    return f"{text}\n{signature_line(key, name, text)}".encode()


HEAD = checkpoint_text(ORIGIN, 7, ROOT)
LINE = signature_line(KEY, ORIGIN, HEAD)
BODY = base64.b64decode(LINE.split(" ")[2])


def line(body: bytes, name: str = ORIGIN) -> str:
    return f"\u2014 {name} {base64.b64encode(body).decode()}\n"


NOTES = {
    "no signature": HEAD.encode(),
    "a blank line and no signature": f"{HEAD}\n".encode(),
    "no blank line": f"{HEAD}{LINE}".encode(),
    "no final newline": f"{HEAD}\n{LINE[:-1]}".encode(),
    "a hyphen for the dash": f"{HEAD}\n{LINE.replace(chr(0x2014), '-')}".encode(),
    "no space after the dash": f"{HEAD}\n{LINE.replace(chr(0x2014) + ' ', chr(0x2014))}".encode(),
    "two spaces before a signature": f"{HEAD}\n{LINE.replace('log ', 'log  ')}".encode(),
    "a signature without a name": f"{HEAD}\n\u2014 {base64.b64encode(BODY).decode()}\n".encode(),
    "text that is not UTF-8": b"\xff" + GOOD,
    "signature block that is not UTF-8": GOOD + b"\xff\n",
    "a line behind the signatures": GOOD + b"more\n",
    "signature of no base64": f"{HEAD}\n\u2014 {ORIGIN} ?\n".encode(),
    "base64 with a second spelling": f"{HEAD}\n{LINE.replace('=', '')}".encode(),
    "a signature that is only a key id": f"{HEAD}\n{line(BODY[:4])}".encode(),
    "a short signature": f"{HEAD}\n{line(BODY[:-1])}".encode(),
    "a long signature": f"{HEAD}\n{line(BODY + bytes(1))}".encode(),
    "another key's id": f"{HEAD}\n{line(key_id(ORIGIN, OTHER.did) + BODY[4:])}".encode(),
    "a signature of another text": f"{HEAD}\n{signature_line(KEY, ORIGIN, HEAD + HEAD)}".encode(),
    "another name": f"{HEAD}\n{signature_line(KEY, 'other.org/log', HEAD)}".encode(),
    "another key": signed(HEAD, OTHER),
    "signed twice by the same key": GOOD + LINE.encode(),
    "a good and a bad signature of the key": GOOD + line(BODY[:4] + bytes(64)).encode(),
    "a bad and a good signature of the key": f"{HEAD}\n{line(BODY[:4] + bytes(64))}{LINE}".encode(),
    "more than 100 signatures": GOOD + line(bytes(68), "w.org").encode() * 100,
    "a control character": signed(HEAD.replace("7", "7\t")),
    "a carriage return": signed(HEAD.replace("\n", "\r\n")),
    "an empty text": signed("\n"),
    "more than a mebibyte": signed(HEAD + "x" * (1 << 20) + "\n"),
    "nothing": b"",
}
CHECKPOINTS = {
    "one line": f"{ORIGIN}\n",
    "two lines": f"{ORIGIN}\n7\n",
    "an extension line": f"{HEAD}extension\n",
    "another origin": HEAD.replace("example", "examplf"),
    "a leading zero": HEAD.replace("\n7\n", "\n07\n"),
    "a sign": HEAD.replace("\n7\n", "\n+7\n"),
    "a negative size": HEAD.replace("\n7\n", "\n-7\n"),
    "a hexadecimal size": HEAD.replace("\n7\n", "\n0x7\n"),
    "an empty size": HEAD.replace("\n7\n", "\n\n"),
    "a size in other digits": HEAD.replace("\n7\n", "\n\u0667\n"),
    "a size of twenty digits": HEAD.replace("\n7\n", "\n" + "9" * 20 + "\n"),
    "a size with a space": HEAD.replace("\n7\n", "\n7 \n"),
    "a root of 31 bytes": checkpoint_text(ORIGIN, 7, ROOT[:31]),
    "a root of 33 bytes": checkpoint_text(ORIGIN, 7, ROOT + b"\0"),
    "a root with a second spelling": HEAD.replace("8=\n", "9=\n"),
    "a root without padding": HEAD.replace("=", ""),
    "a root that is no base64": HEAD.replace("AAEC", "A*EC"),
}


@pytest.mark.parametrize("rule", NOTES)
def test_a_note_with_one_broken_rule_is_refused(rule: str) -> None:
    with pytest.raises(LedgerDamaged) as refused:
        open_checkpoint(NOTES[rule], ORIGIN, KEY.did)
    assert refused.value.place == "checkpoint"


@pytest.mark.parametrize("rule", CHECKPOINTS)
def test_a_checkpoint_with_one_broken_rule_is_refused(rule: str) -> None:
    data = signed(CHECKPOINTS[rule])
    if rule != "an empty size":  # a blank line then parts the note elsewhere
        assert open_note(data, ORIGIN, KEY.did) == CHECKPOINTS[rule]
    with pytest.raises(LedgerDamaged):
        open_checkpoint(data, ORIGIN, KEY.did)


def test_lines_of_unknown_keys_are_ignored_wherever_they_stand() -> None:
    unknown = line(bytes(4) + b"an algorithm that nobody here knows", "witness.org")
    same_name = line(key_id(ORIGIN, OTHER.did) + bytes(64))
    for data in (GOOD.decode() + unknown, f"{HEAD}\n{unknown}{same_name}{LINE}"):
        assert open_checkpoint(data.encode(), ORIGIN, KEY.did) == Checkpoint(7, ROOT)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\tb"])
def test_a_key_name_with_a_space_or_a_plus_is_refused(name: str) -> None:
    with pytest.raises(LedgerDamaged):
        sign_note(KEY, name, HEAD)
    with pytest.raises(LedgerDamaged):
        open_note(GOOD, name, KEY.did)


@pytest.mark.parametrize("text", ["", "\n", "no newline", "a\x00b\n", "a\tb\n"])
def test_a_text_that_no_note_has_is_not_signed(text: str) -> None:
    with pytest.raises(LedgerDamaged):
        sign_note(KEY, ORIGIN, text)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_typed_refusal(data: bytes) -> None:
    for candidate in (data, HEAD.encode() + b"\n" + data, GOOD + data[:1] if data else b""):
        with pytest.raises(LedgerDamaged):
            open_checkpoint(candidate, ORIGIN, KEY.did)


def test_without_the_signature_check_a_forged_head_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = GOOD.replace(b"\n7\n", b"\n8\n")
    with pytest.raises(LedgerDamaged):
        open_checkpoint(forged, ORIGIN, KEY.did)
    monkeypatch.setattr(note_module, "verify_untagged", lambda *_: True)
    assert open_checkpoint(forged, ORIGIN, KEY.did).size == 8


def test_without_the_origin_check_one_log_passes_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixed = signed(checkpoint_text("other.org/log", 7, ROOT))  # text of one log, name of another
    with pytest.raises(LedgerDamaged, match="another log"):
        open_checkpoint(mixed, ORIGIN, KEY.did)
    monkeypatch.setattr(
        checkpoint_module,
        "open_note",
        lambda *arguments: open_note(*arguments).replace("other.org", "example.org"),
    )
    assert open_checkpoint(mixed, ORIGIN, KEY.did).size == 7
