"""did:key for Ed25519: a key's name is the key itself.

`did:key:z` + base58btc(0xed 0x01 | 32-byte key). Source: W3C did:key method, section 3.1;
privacy.md, section 6.
"""

from functools import lru_cache

from covenue.errors import IdentityRefused

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
CODEC = b"\xed\x01"
KEY_BYTES = 32
_DIGITS = {letter: value for value, letter in enumerate(ALPHABET)}
_FIELD = 2**255 - 19
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    }
)
"""y of the eight points whose order divides 8: under such a key any message can be signed."""


def did_of(public: bytes) -> str:
    """The did:key of an Ed25519 public key.

    Raises IdentityRefused unless `public` is the canonical encoding of a point of large order.
    """
    _check_key(public, public.hex())
    return "did:key:z" + base58_encode(CODEC + public)


@lru_cache(maxsize=4096)
def public_key(did: str) -> bytes:
    """The 32 bytes of the Ed25519 key that a did:key names.

    Raises IdentityRefused on another scheme, method, version, multibase or codec, on a character
    outside base58, and on a key of another length, of small order or not canonically encoded.
    """
    parts = did.split(":")
    if parts[0] != "did":
        raise _refused("the scheme is not `did`", did)
    if len(parts) < 3 or parts[1] != "key":
        raise _refused("the method is not `key`", did)
    if len(parts) > 3:
        raise _refused("a version is given, and only the unversioned form is used", did)
    if not parts[2].startswith("z"):
        raise _refused("the multibase is not `z` (base58btc)", did)
    if len(parts[2]) > 64:
        raise _refused("it is longer than an Ed25519 key", did)
    body = _base58_decode(parts[2][1:], did)
    if not body.startswith(CODEC):
        raise _refused("the codec is not 0xed 0x01 (Ed25519)", did)
    key = body[len(CODEC) :]
    _check_key(key, did)
    return key


def base58_encode(data: bytes) -> str:
    """Base58btc: leading zero bytes become `1`."""
    number = int.from_bytes(data, "big")
    letters = ""
    while number:
        number, digit = divmod(number, 58)
        letters = ALPHABET[digit] + letters
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + letters


def _base58_decode(text: str, did: str) -> bytes:
    number = 0
    for letter in text:
        if letter not in _DIGITS:
            raise _refused(f"{letter!r} is not a base58 character", did)
        number = number * 58 + _DIGITS[letter]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _check_key(key: bytes, value: str) -> None:
    if len(key) < KEY_BYTES:
        raise _refused(f"the key has {len(key)} bytes, not {KEY_BYTES}", value)
    if len(key) > KEY_BYTES:
        raise _refused(f"{len(key) - KEY_BYTES} bytes trail the key", value)
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= _FIELD:
        raise _refused("the key is not canonically encoded (RFC 8032, section 5.1.3)", value)
    if y in _SMALL_ORDER_Y:
        raise _refused("the key has small order: anybody can sign under it", value)


def _refused(why: str, value: str) -> IdentityRefused:
    return IdentityRefused(
        f"no usable did:key: {why}",
        "write did:key:z followed by the base58btc of 0xed 0x01 and the 32-byte Ed25519 key",
        field="did",
        value=value[:96],
    )
