"""did:key: official vectors, and one refusal for each broken rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import IdentityRefused
from covenue.identity.did import ALPHABET, CODEC, base58_encode, did_of, public_key
from covenue.identity.keys import SigningKey

GOOD = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
KEY = public_key(GOOD)

# W3C did:key method, test vectors "ed25519-x25519": 32-byte seed (hex), did.
SEEDS = {
    "00" * 32: GOOD,
    "00" * 31 + "01": "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG",
    "00" * 31 + "02": "did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf",
    "00" * 31 + "03": "did:key:z6MkvqoYXQfDDJRv8L4wKzxYeuKyVZBfi9Qo6Ro8MiLH3kDQ",
    "00" * 31 + "04": "did:key:z6MkwW6aqMnjgrhJXFUko3NnZPGzVpkNzhYK7yEhnsibmLwL",
}
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


def did_around(body: bytes) -> str:
    return "did:key:z" + base58_encode(body)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_w3c_vectors_name_their_keys(seed: str) -> None:
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.did == SEEDS[seed]
    assert did_of(public_key(key.did)) == key.did


REFUSED = {
    "another scheme": (GOOD.replace("did:", "DID:"), "scheme"),
    "no scheme": (GOOD.removeprefix("did:"), "scheme"),
    "an empty text": ("", "scheme"),
    "another method": (GOOD.replace(":key:", ":web:"), "method"),
    "only a scheme": ("did:", "method"),
    "only scheme and method": ("did:key", "method"),
    "a version": (GOOD.replace(":key:", ":key:1.1:"), "version"),
    "another multibase": (GOOD.replace(":z6", ":u6"), "multibase"),
    "no multibase": ("did:key:", "multibase"),
    "a zero, which base58 lacks": (GOOD.replace("Mki", "M0i"), "base58"),
    "an l, which base58 lacks": (GOOD.replace("Mki", "Mli"), "base58"),
    "a fragment": (GOOD + "#" + GOOD[8:12], "base58"),
    "a final newline": (GOOD + "\n", "base58"),
    "a letter beyond ASCII": (GOOD[:-1] + "é", "base58"),
    "another codec": (did_around(b"\xec\x01" + KEY), "codec"),
    "no codec": (did_around(KEY), "codec"),
    "a zero before the codec": (did_around(b"\0" + CODEC + KEY), "codec"),
    "a short key": (did_around(CODEC + KEY[:31]), "31 bytes"),
    "no key": (did_around(CODEC), "0 bytes"),
    "trailing bytes": (did_around(CODEC + KEY + b"\0"), "trail"),
    "a very long text": (GOOD + "1" * 100, "longer"),
    "a key that is not canonical": (
        did_around(CODEC + (2**255 - 18).to_bytes(32, "little")),
        "canonical",
    ),
    **{
        f"a point of small order {point[:4]}…{point[-4:]}": (
            did_around(CODEC + bytes.fromhex(point)),
            "small order",
        )
        for point in SMALL_ORDER
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_did_with_one_broken_rule_is_refused(case: str) -> None:
    did, reason = REFUSED[case]
    with pytest.raises(IdentityRefused, match=reason):
        public_key(did)


@given(st.binary(max_size=40).filter(lambda body: len(body) != 32))
def test_a_key_of_another_length_has_no_did(body: bytes) -> None:
    with pytest.raises(IdentityRefused):
        did_of(body)


@given(st.binary(min_size=32, max_size=32))
def test_every_seed_has_a_did_that_reads_back(seed: bytes) -> None:
    key = SigningKey.from_seed(seed)
    assert did_of(public_key(key.did)) == key.did
    assert key.did.startswith("did:key:z6Mk")


@given(st.text(max_size=80))
def test_any_text_is_a_key_or_a_typed_refusal(text: str) -> None:
    for did in (text, "did:key:z" + text):
        try:
            assert did_of(public_key(did)) == did
        except IdentityRefused:
            continue


def test_the_alphabet_has_58_letters_and_none_that_look_alike() -> None:
    assert len(set(ALPHABET)) == 58
    assert not set("0OIl") & set(ALPHABET)
