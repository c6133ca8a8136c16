"""Votes: the one choice a node signs in a round, and how anyone checks it."""

from collections.abc import Callable

from covenue.errors import IdentityRefused
from covenue.identity.keys import SigningKey, verify
from covenue_contracts.canonical import sha256

TAG = "covenue/vote/1"


def vote_bytes(plan: str, number: int, choice: str) -> bytes:
    """What a vote signs: plan, round and choice, length-prefixed."""
    return bytes.fromhex(sha256(plan.encode(), str(number).encode(), choice.encode()))


def choice_text(choice: str, *, abort: bool) -> str:
    """A choice as it is signed; an abort can never be read as a total."""
    return f"{'abort' if abort else 'total'}:{choice}"


def is_abort(text: str) -> bool:
    """Whether a signed choice is an abort."""
    return text.startswith("abort:")


def sign_vote(key: SigningKey, plan: str, number: int, text: str) -> bytes:
    """A node's signature over its choice."""
    return key.sign(TAG, vote_bytes(plan, number, text))


def votes_of(plan: str) -> Callable[[str, int, str, bool, bytes], bool]:
    """The check that a stage calls: did, round, choice, abort, signature."""

    def holds(did: str, number: int, choice: str, abort: bool, signature: bytes) -> bool:
        text = choice_text(choice, abort=abort)
        try:
            return verify(did, TAG, vote_bytes(plan, number, text), signature)
        except IdentityRefused:
            return False

    return holds
