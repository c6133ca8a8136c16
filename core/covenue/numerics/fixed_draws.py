"""Inputs of pinned self-tests (solvers.md, R10): integers that are the same on every machine."""

from collections.abc import Iterator


def fixed_draws(state: int) -> Iterator[int]:
    """Integers below 2^16 from a linear congruence (Knuth's MMIX): the same wherever integers are.

    Fixed and public: never a source of randomness.
    """
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 48
