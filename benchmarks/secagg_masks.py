"""What masking costs a participant, against AES-256-CTR of the same bytes in the same run.

    python benchmarks/secagg_masks.py [--words 100000] [--repeats 9]

Prints JSON. `round` is all that a participant does when a round begins and the roots are known:
the digest of its input, seeds, hashes, keystreams, sums, bytes, and their digest; `masking` is the
part of it that adds keystreams. `aes` is AES-256-CTR alone over as many bytes as there are
keystreams, in one call a keystream, into a buffer that is there already: the peer is the cipher
library itself. Process time, the median of the repeats, taken in turns: only the ratios mean
anything on another machine.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from covenue.hooks.privacy import Begin, PlanContext, Received, Role, RoundContext, Send
from covenue.numerics.words import Words, frozen
from covenue_contracts.plan import CohortPolicy
from covenue_privacy_secagg import participant, phases
from covenue_privacy_secagg.graph import degree_of
from covenue_privacy_secagg.masks import masked
from covenue_privacy_secagg.setup import own_nonce
from covenue_privacy_secagg.stage import SecAgg

PLAN = "a" * 64


def dids(members: int) -> tuple[str, ...]:
    """Names in order; the stage asks no more of them."""
    return tuple(f"did:{index:06d}" for index in range(members))


def plan_of(members: int) -> PlanContext:
    """A plan of so many, a tenth of them assumed to collude and a tenth to drop out."""
    names, tenth = dids(members), members // 10
    policy = CohortPolicy(
        least=3,
        colluders=tenth,
        drops=tenth,
        min_changed=0,
        differencing="override",
        reason=None,
    )
    setups = {did: SecAgg().setup(PLAN, did.encode()) for did in names}
    return PlanContext(PLAN, names[0], names, policy, names[0].encode(), setups)


def context(members: int, width: int, number: int) -> RoundContext:
    """A round of the plan."""
    return RoundContext(PLAN, number, "b" * 64, width, dids(members), None, f"{number:064x}")


def joined(members: int, width: int) -> tuple[participant.Masking, float]:
    """A participant that knows beacon and roots, and the seconds that its first round took."""
    stage, plan = SecAgg(), plan_of(members)
    nonces = b"".join(own_nonce(PLAN, did.encode()) for did in plan.members)
    began = time.process_time()
    state, _ = stage.start(Role.PARTICIPANT, plan)
    state, _ = stage.advance(state, Begin(context(members, width, 1), answer(width), b""))
    state, _ = stage.advance(state, Received("", phases.NONCES, nonces))
    return state, time.process_time() - began


def answer(width: int) -> Words:
    """Some words."""
    return frozen(np.arange(width, dtype=np.int64) - width // 2)


def begin(state: participant.Masking, members: int, width: int) -> bytes:
    """One round's upload."""
    event = Begin(context(members, width, 2), answer(width), b"")
    _, (effect,) = SecAgg().advance(state, event)
    assert isinstance(effect, Send)  # noqa: S101 -- the roots are known, so it is the upload
    return effect.body


def cipher(seeds: Sequence[bytes], size: int, zeros: bytes, buffer: bytearray) -> None:
    """As many keystreams of the cipher, and nothing else."""
    for seed in seeds:
        stream = Cipher(AES(seed), CTR(bytes(16))).encryptor()
        stream.update_into(memoryview(zeros)[:size], buffer)


def seconds(step: Callable[[], object]) -> float:
    """Process time of one call."""
    began = time.process_time()
    step()
    return time.process_time() - began


def measure(members: int, width: int, repeats: int) -> dict[str, float | int]:
    """One line of the report."""
    state, first = joined(members, width)
    assert state.ctx is not None  # noqa: S101 -- it has begun a round
    keystreams = 1 + degree_of(state.plan, state.ctx)
    size, own = 8 * width, answer(width)
    zeros, buffer = bytes(size), bytearray(size + 15)
    seeds = [index.to_bytes(32, "big") for index in range(keystreams)]
    steps = {
        "round": lambda: begin(state, members, width),
        "masking": lambda: masked(own, seeds[::2], seeds[1::2]),
        "aes": lambda: cipher(seeds, size, zeros, buffer),
    }
    turns = [{name: seconds(step) for name, step in steps.items()} for _ in range(repeats)]
    spent = {name: median(turn[name] for turn in turns) for name in steps}
    return {
        "members": members,
        "neighbours": keystreams - 1,
        "words": width,
        "upload_over_words": round(len(begin(state, members, width)) / size, 4),
        **{f"{name}_ms": round(1e3 * value, 2) for name, value in spent.items()},
        "aes_over_masking": round(spent["aes"] / spent["masking"], 3),
        "aes_over_round": round(spent["aes"] / spent["round"], 3),
        "first_round_ms": round(1e3 * first, 2),
    }


def main() -> None:
    """Measure a small complete graph and a large sparse one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    rows = [measure(members, options.words, options.repeats) for members in (20, 100)]
    print(json.dumps({"benchmark": "secagg_masks", "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
