"""One swap with a constant-product pool, in exact integers."""

WHOLE = 1_000_000
"""Parts per million in a whole; fees are counted in them."""


def received(reserve_in: int, reserve_out: int, paid: int, fee_ppm: int) -> int:
    """What a pool gives for `paid`, rounded down.

    floor(R_out·p·(10^6 − fee) / (R_in·10^6 + p·(10^6 − fee))). The fee stays in the pool, so that
    the product of its reserves never falls, and something of each always remains.
    """
    counted = paid * (WHOLE - fee_ppm)
    return reserve_out * counted // (reserve_in * WHOLE + counted)
