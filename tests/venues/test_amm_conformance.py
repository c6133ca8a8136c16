"""The venue of pools passes the suite; each switched-off guard is caught."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.venues.mutants import JOURNAL_MUTANTS, Mutant, forgetful, is_killed, without_mutant
from tests.venues.pools import build

from covenue.hooks.journal import Journal
from covenue.hooks.venues import pack_pools
from covenue.testing.venues import pool_conformance
from covenue_venue_amm import fold, tables, venue
from covenue_venue_amm.fold import OwnSwap, ReserveFold
from covenue_venue_amm.swaps import received
from covenue_venue_amm.venue import PoolVenue

TestPools = pool_conformance(build)
REFUSAL, AMOUNT = venue._refusal, tables.amount


def rounded_up(reserve_in: int, reserve_out: int, paid: int, fee_ppm: int) -> int:
    return received(reserve_in, reserve_out, paid, fee_ppm) + 1


def without_fee(reserve_in: int, reserve_out: int, paid: int, fee_ppm: int) -> int:
    return received(reserve_in, reserve_out, paid, 0)


def sum_of_reserves(reserve_in: int, reserve_out: int, paid: int, fee_ppm: int) -> int:
    return min(paid, reserve_out - 1)


MUTANTS: dict[str, Mutant] = {
    **JOURNAL_MUTANTS,
    "pools are served before they are known": (
        PoolVenue,
        "_heard",
        lambda self, as_of: as_of,
        "ven_005_nothing_is_known",
    ),
    "the watchdog sleeps": (
        PoolVenue,
        "_heard",
        lambda self, as_of: as_of,
        "ven_005_silence",
    ),
    "a late order swaps": (
        venue,
        "_refusal",
        lambda actions, valid_until, instant: REFUSAL(actions, instant, instant),
        "ven_013_nothing_is_swapped_after",
    ),
    "every asset has the same decimals": (
        tables,
        "amount",
        lambda table, row, column, asset: AMOUNT(
            table, row, column, asset.model_copy(update={"decimals": 8})
        ),
        "ven_014_amounts",
    ),
    "a future swap is visible": (
        ReserveFold,
        "seen_until",
        lambda self, as_of: int(self._trades.time.searchsorted(as_of + 1, side="right")),
        "ven_015_a_future",
    ),
    "others pay no fee": (fold, "received", without_fee, "ven_017_a_swap"),
    "we pay no fee": (venue, "received", without_fee, "ven_017_a_swap"),
    "we round our way": (venue, "received", rounded_up, "ven_017_a_swap"),
    "time does not rewind": (
        ReserveFold,
        "_is_ahead",
        lambda self, seen, made, own: False,
        "ven_019_the_order_of_pins",
    ),
    "the digest depends on the instant": (
        PoolVenue,
        "_digest",
        lambda self, reserves: str(id(reserves)),
        "ven_019_the_order_of_pins",
    ),
    "what we took is forgotten": (Journal, "once", forgetful, "ven_019_others_trade"),
    "a swap of ours comes before others of its instant": (
        venue,
        "OwnSwap",
        lambda time, row, side, paid, received: OwnSwap(time - 1, row, side, paid, received),
        "ven_019_others_trade",
    ),
    "the least is ignored": (
        venue,
        "is_too_little",
        lambda got, swap: False,
        "ven_020_a_swap_below",
    ),
    "the sum is kept and not the product": (venue, "received", sum_of_reserves, "ven_021_the_"),
    "legs are passed over": (
        venue,
        "_refusal",
        lambda actions, valid_until, instant: "late" if instant > valid_until else "",
        "ven_022_what_the_venue",
    ),
    "an asset that the pool does not hold is its first": (
        tables.Pools,
        "side",
        lambda self, row, asset: int(self.assets[self.sides[row, 1]].name == asset),
        "ven_022_what_the_venue",
    ),
    "the pinned bytes are those of another state": (
        venue,
        "pack_pools",
        lambda state: pack_pools(replace(state, reserves=state.reserves[:, ::-1])),
        "ven_023_a_pinned",
    ),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_mutant_is_killed_by_its_case_and_only_then(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_killed([TestPools], MUTANTS[mutant], tmp_path, monkeypatch)


def test_every_case_has_a_mutant() -> None:
    assert without_mutant(TestPools, MUTANTS) == set()
