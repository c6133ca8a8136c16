"""Keys: RFC 8032 vectors, the one verification rule, tags, derivation, key files."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import IdentityRefused, OutputExists
from covenue.identity import did as did_module
from covenue.identity import keys as keys_module
from covenue.identity.did import did_of
from covenue.identity.keys import SigningKey, derive, tagged, verify, verify_untagged

KEY = SigningKey.from_seed(bytes(32))
ORDER = 2**252 + 27742317777372353535851937790883648493

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]

# ed25519-speccheck ("Taming the many EdDSAs", table 5): message, key, signature, and what our
# rule says. Case 3 mixes orders and is accepted without cofactor; 4 and 5 need the cofactor.
SPECCHECK = {
    "0: small A, small R, S = 0": (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
        "refused",
    ),
    "1: small A": (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        "refused",
    ),
    "2: small R": (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        "valid",
    ),
    "3: mixed A and R": (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        "valid",
    ),
    "4: valid only with the cofactor": (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        "invalid",
    ),
    "5: valid only with a reduced cofactor": (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        "invalid",
    ),
    "6: S above the order": (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        "invalid",
    ),
    "7: S far above the order": (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        "invalid",
    ),
    "8: R not canonical": (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        "invalid",
    ),
    "9: R not canonical, hashed as given": (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        "invalid",
    ),
    "10: A not canonical": (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        "refused",
    ),
    "11: A not canonical, hashed as given": (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        "refused",
    ),
}


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_rfc_8032_vectors_sign_and_verify(
    seed: str, public: str, message: str, signature: str
) -> None:
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign_untagged(bytes.fromhex(message)).hex() == signature
    assert verify_untagged(key.did, bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("case", SPECCHECK)
def test_the_verification_rule_is_pinned(case: str) -> None:
    message, public, signature, verdict = SPECCHECK[case]
    if verdict == "refused":
        with pytest.raises(IdentityRefused):
            did_of(bytes.fromhex(public))
    else:
        did = did_of(bytes.fromhex(public))
        is_valid = verify_untagged(did, bytes.fromhex(message), bytes.fromhex(signature))
        assert is_valid == (verdict == "valid")


def test_a_signature_cannot_be_reshaped() -> None:
    signature = KEY.sign("t", b"data")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert verify(KEY.did, "t", b"data", signature)
    assert not verify(KEY.did, "t", b"data", signature[:32] + s.to_bytes(32, "little"))
    for other in (b"", signature[:63], signature + b"\0"):
        assert not verify(KEY.did, "t", b"data", other)


@given(st.integers(0, 511), st.binary(max_size=30))
def test_any_flipped_bit_of_a_signature_fails(bit: int, data: bytes) -> None:
    signature = bytearray(KEY.sign("t", data))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.did, "t", data, bytes(signature))


@given(st.text(max_size=12), st.binary(max_size=12), st.text(max_size=12), st.binary(max_size=12))
def test_a_signature_holds_for_its_tag_and_data_only(
    tag: str, data: bytes, other_tag: str, other: bytes
) -> None:
    is_same = (tag, data) == (other_tag, other)
    assert verify(KEY.did, other_tag, other, KEY.sign(tag, data)) == is_same


def test_without_the_length_a_tag_could_swallow_data(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tagged("a", b"bc") != tagged("ab", b"c")
    monkeypatch.setattr(keys_module, "tagged", lambda tag, data: tag.encode() + data)
    assert verify(KEY.did, "ab", b"c", KEY.sign("a", b"bc"))  # the attack that the length stops


def test_without_the_small_order_rule_one_signature_fits_many_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message, public, signature, _ = SPECCHECK["1: small A"]
    monkeypatch.setattr(did_module, "_SMALL_ORDER_Y", frozenset())
    did_module.public_key.cache_clear()
    try:
        did = did_of(bytes.fromhex(public))
        forged = bytes.fromhex(signature)
        assert verify_untagged(did, bytes.fromhex(message), forged)
        others = [message.encode() + bytes([extra]) for extra in range(64)]
        assert any(verify_untagged(did, other, forged) for other in others)
    finally:
        did_module.public_key.cache_clear()
        keys_module._parsed.cache_clear()


def test_derived_secrets_are_pinned_and_length_prefixed() -> None:
    assert derive(bytes(32), b"log").hex() == (
        "7dbfe0e16d4db0afb233c941806f8f66d4bd01bb6678f214f7230f857407627a"
    )
    assert derive(bytes(32), b"a", b"bc") != derive(bytes(32), b"ab", b"c")
    assert derive(bytes(32), b"a", b"") != derive(bytes(32), b"a")
    assert derive(bytes(32), b"a") != derive(bytes([1]) + bytes(31), b"a")


def test_a_key_file_reads_back_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = SigningKey.generate()
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path) == key
    assert SigningKey.load(path).sign("t", b"d") == key.sign("t", b"d")
    before = path.read_bytes()
    with pytest.raises(OutputExists):
        KEY.save(path)
    assert path.read_bytes() == before
    with pytest.raises(IdentityRefused):
        KEY.save(tmp_path / "absent" / "key.pem")


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path)
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(IdentityRefused, match="others"):
            SigningKey.load(path)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(IdentityRefused):
        SigningKey.load(path)
    link = tmp_path / "link.pem"
    KEY.save(path)
    os.symlink(path, link)
    with pytest.raises(IdentityRefused):
        SigningKey.load(link)
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(IdentityRefused):
        SigningKey.load(path)
    for length in (31, 33):
        with pytest.raises(IdentityRefused):
            SigningKey.from_seed(bytes(length))


def test_a_private_key_shows_in_no_text_and_is_never_pickled() -> None:
    assert repr(KEY) == f"SigningKey(did='{KEY.did}')"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
