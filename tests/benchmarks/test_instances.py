"""The benchmark's instances: the same bytes everywhere, and grids that our words hold."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from benchmarks.instances import (
    Arb,
    Cfmm,
    Instance,
    Sor,
    Vwap,
    arb,
    cfmm,
    decimals_of,
    digest,
    loaded,
    quantised,
    saved,
    sor,
    ticked,
    vwap,
)

PINNED: dict[str, tuple[Callable[[], Instance], str]] = {
    "100 pools": (lambda: cfmm(100), "ec83d93ad41de587"),
    "1 000 pools of a market": (lambda: cfmm(1000, kind="market"), "872f7edf4f551776"),
    "100 000 pools": (lambda: cfmm(100_000), "7bbe7717de033430"),
    "5 books": (lambda: sor(5), "096742fd39b9f680"),
    "1 000 books": (lambda: sor(1000), "ae09cc92f9435f07"),
    "a basket": (lambda: sor(100, m=20, budget=True), "b972a83f6a29076d"),
    "an order over 10 venues": (lambda: vwap(10), "ef4668e6d0fc177e"),
    "an order over 1 000 venues": (lambda: vwap(1000), "82c039f4e062b2f9"),
    "ladders of 10 venues": (lambda: arb(10, 10), "bf56718cea4de886"),
    "ladders of 100 venues": (lambda: arb(100, 50), "cd6cc237fef33478"),
}
SMALL: dict[str, Instance] = {
    "pools": cfmm(30, kind="market"),
    "books": sor(4, m=2, budget=True),
    "execution": vwap(4, T=9),
    "ladders": arb(4, 3, L=5),
}


@pytest.mark.parametrize("name", PINNED)
def test_an_instance_has_the_digest_that_solvers_are_compared_on(name: str) -> None:
    build, wanted = PINNED[name]
    assert digest(build()).startswith(wanted)


@pytest.mark.parametrize("name", SMALL)
def test_another_seed_is_another_instance(name: str) -> None:
    builds: dict[str, Callable[[], Instance]] = {
        "pools": lambda: cfmm(30, 1, "market"),
        "books": lambda: sor(4, m=2, seed=1, budget=True),
        "execution": lambda: vwap(4, T=9, seed=1),
        "ladders": lambda: arb(4, 3, L=5, seed=1),
    }
    assert digest(builds[name]()) != digest(SMALL[name])


@pytest.mark.parametrize("name", SMALL)
def test_a_tick_moves_one_venue_and_leaves_the_given_instance_as_it_was(name: str) -> None:
    before = SMALL[name]
    known = digest(before)
    after = ticked(before, 2)
    assert digest(before) == known
    assert digest(after) == digest(ticked(before, 2)) != known
    for each in fields(before):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if isinstance(old, np.ndarray) and len(old) == before.n:
            same = np.delete(np.arange(before.n), 2)
            assert np.array_equal(old[same], new[same])


@pytest.mark.parametrize("name", SMALL)
def test_quantising_twice_is_quantising_once(name: str) -> None:
    once = quantised(SMALL[name])
    assert digest(quantised(once)) == digest(once)


def test_native_units_come_back_exactly_from_quantised_pools() -> None:
    inst = quantised(cfmm(500, kind="market"))
    assert isinstance(inst, Cfmm)
    unit = 10.0 ** decimals_of(inst)
    for reserves in (inst.Ra, inst.Rb):
        native = np.rint(reserves * unit)
        assert np.array_equal(native / unit, reserves)
        assert native.max() <= 2**53
    ppm = (1.0 - inst.gam) * 1e6
    assert np.allclose(ppm, np.rint(ppm), atol=1e-6)
    assert np.array_equal(inst.c * 2.0**40, np.rint(inst.c * 2.0**40))


def test_quantised_limits_never_pass_the_limits_that_were_given() -> None:
    order, ladders = vwap(6, T=8), arb(4, 3, L=5)
    less, fewer = quantised(order), quantised(ladders)
    assert isinstance(less, Vwap)
    assert isinstance(fewer, Arb)
    assert np.all(less.cap <= order.cap)
    assert np.all(less.C <= order.C)
    assert less.Q == np.floor(order.Q) == less.w[-1]
    assert np.all(np.diff(less.w) > 0)
    assert np.all(fewer.C <= ladders.C)
    assert np.all(fewer.inv <= ladders.inv)
    assert np.all(fewer.h <= ladders.h)


@pytest.mark.parametrize("name", SMALL)
def test_a_file_gives_back_the_instance_that_was_saved(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / "instance.npz")
    saved(SMALL[name], path)
    assert digest(loaded(path)) == digest(SMALL[name])


def test_a_basket_is_worth_buying_and_its_budget_binds() -> None:
    basket = sor(6, m=3, budget=True)
    assert isinstance(basket, Sor)
    free = sor(6, m=3)
    assert free.B == 0 < basket.B
    assert digest(free) != digest(basket)
