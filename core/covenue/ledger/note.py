"""Signed notes: a text, a blank line, and signature lines of Ed25519 keys.

Source: C2SP signed-note (key type 0x01), after golang.org/x/mod/sumdb/note. Errors say which
rule is broken; nothing of a note is used before its signature has been verified.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from functools import lru_cache

from covenue.errors import LedgerDamaged
from covenue.identity.did import public_key
from covenue.identity.keys import SIGNATURE_BYTES, SigningKey, verify_untagged

KEY_TYPE_ED25519 = b"\x01"
KEY_ID_BYTES = 4
SIGNATURES_MAX = 100
NOTE_BYTES_MAX = 1 << 20
DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@lru_cache(maxsize=4096)
def key_id(name: str, did: str) -> bytes:
    """The 4 bytes that tell keys of one name apart: SHA-256(name | 0x0A | 0x01 | key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + KEY_TYPE_ED25519 + public_key(did)).digest()[
        :KEY_ID_BYTES
    ]


def verifier_key(name: str, did: str) -> str:
    """The key in the text form that other implementations take: name+id+base64(type | key)."""
    key = base64.b64encode(KEY_TYPE_ED25519 + public_key(did)).decode("ascii")
    return f"{name}+{key_id(name, did).hex()}+{key}"


def sign_note(key: SigningKey, name: str, text: str) -> bytes:
    """The note of a text, signed once. Raises LedgerDamaged for a text or name that no note has."""
    _check_name(name)
    _check_text(text)
    return f"{text}\n{signature_line(key, name, text)}".encode()


def signature_line(key: SigningKey, name: str, text: str) -> str:
    """One signature line, newline included."""
    body = key_id(name, key.did) + key.sign_untagged(text.encode())
    return f"{DASH}{name} {base64.b64encode(body).decode('ascii')}\n"


def open_note(data: bytes, name: str, did: str) -> str:
    """The text of a note, once `did` is found to have signed it under `name`.

    Lines by unknown keys are ignored; a bad one by the known key refuses the note.
    Raises LedgerDamaged, naming the broken rule.
    """
    _check_name(name)
    if len(data) > NOTE_BYTES_MAX:
        raise _refused(f"it is longer than {NOTE_BYTES_MAX} bytes")
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("it is not UTF-8") from error
    text, blank, block = note.rpartition("\n\n")
    if not blank:
        raise _refused("no blank line parts text and signatures")
    text += "\n"
    _check_text(text)
    if not _is_signed(text, _signatures(block), name, did):
        raise _refused(f"{name} has not signed it with the key of {did}")
    return text


def _signatures(block: str) -> list[tuple[str, bytes]]:
    if not block.endswith("\n"):
        raise _refused("the last signature line has no newline")
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise _refused(f"it has more than {SIGNATURES_MAX} signatures")
    return [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    if not line.startswith(DASH):
        raise _refused("a signature line does not begin with an em dash and a space")
    name, space, text = line[len(DASH) :].partition(" ")
    if not space:
        raise _refused("a signature line has no signature")
    _check_name(name)
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("a signature is no base64") from error
    if base64.b64encode(body).decode("ascii") != text:
        raise _refused("a signature's base64 is not canonical")
    if len(body) <= KEY_ID_BYTES:
        raise _refused("a signature is too short to hold a key id")
    return name, body


def _is_signed(text: str, signatures: list[tuple[str, bytes]], name: str, did: str) -> bool:
    known = key_id(name, did)
    found = False
    for signer, body in signatures:
        if signer != name or body[:KEY_ID_BYTES] != known:
            continue
        signature = body[KEY_ID_BYTES:]
        if len(signature) != SIGNATURE_BYTES:
            raise _refused("an Ed25519 signature has another length than 64 bytes")
        if not verify_untagged(did, text.encode(), signature):
            raise _refused(f"the signature of {name} does not verify")
        if found:
            raise _refused(f"{name} signed it twice")
        found = True
    return found


@lru_cache(maxsize=4096)
def _check_name(name: str) -> None:
    if not name or "+" in name or any(_is_space(letter) for letter in name):
        raise _refused("a key name is empty or holds a space or a plus sign")


def _is_space(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) in {"Zs", "Zl", "Zp"}


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise _refused("its text is empty or does not end in a newline")
    if _CONTROL.search(text):
        raise _refused("its text holds a control character")


def _refused(why: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"a signed note is not acceptable: {why}",
        "fetch the checkpoint again from its source; do not trust the ledger it describes",
        "checkpoint",
    )
