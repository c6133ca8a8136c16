"""What a plan's members exchange once: epoch keys, nonces first committed and then opened.

    setup    X25519 public key | SHA-256(tag | plan | key | nonce), in the signed join
    beacon   SHA-256(tag | plan | did | key | nonce of every member, in order of did)
    root_ij  HKDF(X25519(i, j), salt = plan, info = tag | lo | hi | key_lo | key_hi)

Key and nonce follow from the plan secret, so that a restart has them again. The commitment names
the key, and no two members may have the same: nobody can open another's nonce as its own.
Who opens last has seen the other nonces and can only refuse to open: then the round aborts, and
another plan has other keys and nonces. Source: privacy.md, section 4.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from covenue.hooks.privacy import PlanContext
from covenue_privacy_secagg.masks import SEED_BYTES, hashed, keyed, prefixed

KEY_BYTES = 32
NONCE_BYTES = 32


@dataclass(frozen=True)
class Setup:
    """A member's epoch key, and its commitment to a nonce."""

    key: bytes
    commitment: bytes


def private_key(plan: str, secret: bytes) -> X25519PrivateKey:
    """A member's epoch key of a plan."""
    return X25519PrivateKey.from_private_bytes(
        keyed(secret, b"covenue/secagg/key/1", plan.encode())
    )


def own_nonce(plan: str, secret: bytes) -> bytes:
    """A member's share of the beacon."""
    return keyed(secret, b"covenue/secagg/nonce/1", plan.encode())


def commitment(plan: str, key: bytes, nonce: bytes) -> bytes:
    """What fixes a nonce before any other is known."""
    return hashed(b"covenue/secagg/commitment/1", plan.encode(), key, nonce)


def own_setup(plan: str, secret: bytes) -> bytes:
    """The bytes that a member exchanges in its join."""
    key = private_key(plan, secret).public_key().public_bytes_raw()
    return key + commitment(plan, key, own_nonce(plan, secret))


def read_setup(body: bytes) -> Setup | None:
    """A member's setup, or None when the bytes are not of that form."""
    if len(body) != KEY_BYTES + SEED_BYTES:
        return None
    return Setup(body[:KEY_BYTES], body[KEY_BYTES:])


def read_setups(plan: PlanContext) -> Mapping[str, Setup] | None:
    """Everybody's setup; None when one is malformed, a key is there twice, or one's own is not.

    Then there is no plan that could be masked.
    """
    setups = {did: read_setup(plan.setups.get(did, b"")) for did in plan.members}
    known = {did: setup for did, setup in setups.items() if setup is not None}
    if len(known) < len(setups) or len({setup.key for setup in known.values()}) < len(known):
        return None
    return known if _own_is_there(plan) else None


def _own_is_there(plan: PlanContext) -> bool:
    """Whether the others were shown this node's own setup; the coordinator has none."""
    return not plan.own or plan.setups.get(plan.own) == own_setup(plan.plan, plan.secret)


def opens(plan: str, setup: Setup, nonce: bytes) -> bool:
    """Whether a nonce is the one that was committed."""
    return hmac.compare_digest(setup.commitment, commitment(plan, setup.key, nonce))


def beacon(plan: str, setups: Mapping[str, Setup], nonces: Mapping[str, bytes]) -> bytes:
    """The randomness that all members made together; nobody knew it when the keys were fixed."""
    parts = [(did.encode(), setups[did].key, nonces[did]) for did in sorted(setups)]
    return hashed(b"covenue/secagg/beacon/1", plan.encode(), *(p for each in parts for p in each))


def pair_roots(
    plan: PlanContext, setups: Mapping[str, Setup], others: Iterable[str]
) -> Mapping[str, bytes] | None:
    """The root shared with each of the others; None when one's key gives a secret of all zeros."""
    own = private_key(plan.plan, plan.secret)
    try:
        return {did: _root(plan, setups, own, did) for did in others}
    except ValueError:
        return None


def _root(
    plan: PlanContext, setups: Mapping[str, Setup], own: X25519PrivateKey, other: str
) -> bytes:
    low, high = sorted((plan.own, other))
    shared = own.exchange(X25519PublicKey.from_public_bytes(setups[other].key))
    info = prefixed(
        b"covenue/secagg/root/1",
        low.encode(),
        high.encode(),
        setups[low].key,
        setups[high].key,
    )
    return HKDF(SHA256(), SEED_BYTES, salt=plan.plan.encode(), info=info).derive(shared)
