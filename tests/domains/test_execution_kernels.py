"""What venues trade at marginal prices: exact arithmetic, both ways of computing it, whole lots."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue_domain_execution import kernels
from covenue_domain_execution.kernels import Floats, Response, Rows, respond, slopes
from covenue_domain_execution.lots import cost, lots_of

WORD, UNIT, PRICE = 2.0**20, 2.0**20, 100.0
Kernel = Callable[..., None]


def rows_of(
    costs: list[list[float]],
    steep: list[list[float]],
    caps: list[list[float]],
    credits_: list[float],
) -> Rows:
    eta = np.array(steep, dtype=np.float64)
    return Rows(np.array(costs), eta, 1.0 / eta, np.array(caps), np.array(credits_))


def no_dust(number: float) -> float:
    """As `tables.limited` has it: what is too small to square is nothing."""
    return number if abs(number) >= 2.0**-80 else 0.0


@st.composite
def markets(draw: st.DrawFn) -> tuple[Floats, Rows]:
    """Prices above the arrival, and a few venues; small numbers, so that ties and edges happen."""
    slices, count = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    numbers = st.one_of(st.integers(-4, 8).map(float), st.floats(-4.0, 8.0).map(no_dust))
    slope = st.one_of(st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.floats(0.01, 4.0))

    def line(item: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(item, min_size=slices, max_size=slices))

    whole = st.integers(0, 12).map(float)
    costs, steep, caps = ([line(item) for _ in range(count)] for item in (numbers, slope, whole))
    credit = [float(draw(st.integers(0, 40))) for _ in range(count)]
    return np.array(line(numbers)), rows_of(costs, steep, caps, credit)


def exact_row(excess: Floats, rows: Rows, i: int) -> tuple[list[Fraction], Fraction]:
    """Amounts and phi of a row in fractions: all kinks of the shadow price are tried in order."""
    e = [Fraction(float(v)) for v in excess]
    a, eta, cap = (
        [Fraction(float(v)) for v in table[i]] for table in (rows.costs, rows.steep, rows.caps)
    )
    credit = Fraction(float(rows.credits[i]))

    def amounts(mu: Fraction) -> list[Fraction]:
        return [
            min(max((p - q - mu) / s, Fraction(0)), c)
            for p, q, s, c in zip(e, a, eta, cap, strict=True)
        ]

    x = amounts(Fraction(0))
    if sum(x) > credit:
        kinks = {p - q for p, q in zip(e, a, strict=True)}
        kinks |= {p - q - s * c for p, q, s, c in zip(e, a, eta, cap, strict=True)}
        ordered = [Fraction(0), *sorted(kink for kink in kinks if kink > 0)]
        for low, high in pairwise(ordered):
            most, least = sum(amounts(low)), sum(amounts(high))
            if least <= credit <= most:
                part = (most - credit) / (most - least) if most > least else Fraction(0)
                x = amounts(low + part * (high - low))
                break
    gain = sum((p - q) * y - s * y * y / 2 for p, q, s, y in zip(e, a, eta, x, strict=True))
    return x, Fraction(gain)


@settings(max_examples=150, deadline=None)
@given(markets())
def test_amounts_are_the_best_ones_rounded_down_and_phi_is_rounded_up(
    market: tuple[Floats, Rows],
) -> None:
    excess, rows = market
    made = respond(excess, rows, WORD, UNIT)
    for i in range(len(rows.credits)):
        best, phi = exact_row(excess, rows, i)
        words = made.amounts[i].tolist()
        assert all(0 <= w <= cap * WORD for w, cap in zip(words, rows.caps[i], strict=True))
        assert sum(words) <= rows.credits[i] * WORD
        assert all(abs(w - x * 2**20) <= 3 for w, x in zip(words, best, strict=True))
        assert phi * 2**20 <= int(made.values[i]) <= phi * 2**20 + 2


@settings(max_examples=100, deadline=None)
@given(markets())
def test_loops_and_columns_give_the_same_words(market: tuple[Floats, Rows]) -> None:
    excess, rows = market
    results = []
    for respond_by, slope_by in (
        (plain(kernels.respond_loops), plain(kernels.slope_loops)),
        (kernels.respond_columns, kernels.slope_columns),
        (kernels.respond_loops, kernels.slope_loops),
    ):
        made = blank(rows)
        respond_by(excess, rows.costs, rows.steep, rows.inverse, rows.caps, rows.credits,
                   WORD, UNIT, made.amounts, made.values, made.shadows)  # fmt: skip
        sums = np.zeros(len(excess) * (len(excess) + 1) // 2, dtype=np.int64)
        slope_by(excess, excess + PRICE, rows.costs, rows.inverse, rows.caps, made.shadows,
                 2.0**8, sums)  # fmt: skip
        results.append(b"".join(part.tobytes() for part in (made.amounts, made.values, sums)))
        results[-1] += made.shadows.tobytes()
    assert len(set(results)) == 1


def plain(kernel: object) -> Kernel:
    return cast("Kernel", kernel.plain)  # type: ignore[attr-defined]  # set by `compiled`


def blank(rows: Rows) -> Response:
    count = len(rows.credits)
    return Response(
        np.empty(count, np.int64), np.empty(rows.costs.shape, np.int64), np.empty(count)
    )


def test_many_venues_and_slices_are_answered_alike_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.Generator(np.random.PCG64(7))
    shape = (60, 78)
    volume = 100.0 * (0.1 + random.random(shape))
    caps = np.floor(0.2 * volume)
    steep = 2.0 / volume
    purse = np.floor(caps.sum(axis=1) * random.random(60))
    rows = Rows(random.random(shape), steep, 1.0 / steep, caps, purse)
    excess = 0.5 + 0.3 * random.random(78)
    asked = []
    for is_compiling in (True, False):
        monkeypatch.setattr(kernels, "is_compiling", lambda now=is_compiling: now)
        made = respond(excess, rows, WORD, UNIT)
        curve = slopes(excess, excess + PRICE, rows, made.shadows, 2.0**10)
        asked.append((made.amounts.tobytes(), made.values.tobytes(), curve.tobytes()))
        assert bool((made.shadows > 0).any())
    assert asked[0] == asked[1]


@settings(max_examples=60, deadline=None)
@given(markets())
def test_slopes_are_those_of_the_amounts(market: tuple[Floats, Rows]) -> None:
    """Where no kink is near, the amounts move as the slopes say."""
    excess, rows = market
    step = 2.0**-12
    made = respond(excess, rows, WORD, UNIT)
    packed = slopes(excess, np.ones(len(excess)), rows, made.shadows, 2.0**20)
    lower = np.zeros((len(excess), len(excess)))
    lower[np.tril_indices(len(excess))] = packed / 2.0**20
    whole = lower + np.tril(lower, -1).T
    assert np.linalg.eigvalsh(whole).min() > -1e-4
    for t in range(len(excess)):
        sides = []
        for way in (step, -step):
            moved = excess.copy()
            moved[t] += way
            there = respond(moved, rows, 2.0**40, UNIT)
            again = slopes(moved, np.ones(len(excess)), rows, there.shadows, 2.0**20)
            sides.append((there.amounts.sum(axis=0) / 2.0**40, again))
        (above, curve_above), (below, curve_below) = sides
        if (curve_above == packed).all() and (curve_below == packed).all():
            assert np.allclose((above - below) / (2 * step), whole[t], atol=1e-4)


def cut(
    parts: list[list[float]], credit: list[float], shadow: float = 0.0
) -> tuple[Response, Rows]:
    """A response of such amounts in lots; every cap is four lots."""
    table = np.array(parts)
    ones = np.ones_like(table)
    rows = Rows(0.0 * ones, ones, ones, 4.0 * ones, np.array(credit))
    shadows = np.array([shadow, *[0.0] * (len(table) - 1)])
    amounts = (table * WORD).astype(np.int64)
    return Response(np.zeros(len(table), np.int64), amounts, shadows), rows


QUARTERS = [[1.25, 2.75, 0.5], [3.0, 0.25, 1.5]]


def key_of(part: float, tie_bits: int = 2, slot: int = 3) -> int:
    return ((2**20 - 1 - int(part * WORD)) << tie_bits) + slot


def test_the_greatest_part_is_offered_first_and_no_more_than_the_credit_holds() -> None:
    lots = lots_of(*cut(QUARTERS, [4.0, 20.0]), 20, 2, slot=3)
    assert lots.down.tolist() == [[1, 2, 0], [3, 0, 1]]
    assert lots.keys.tolist() == [[-1, key_of(0.75), -1], [-1, key_of(0.25), key_of(0.5)]]
    probes = np.array([0, key_of(0.5), key_of(0.5) + 1, 2**40])
    assert lots.below(probes).tolist() == [0, 1, 2, 3]
    taken = lots.taken(key_of(0.5), 1)
    assert (taken - lots.down).tolist() == [[0, 1, 0], [0, 0, 1]]


def test_without_the_credit_a_plan_of_lots_would_pass_it() -> None:
    """The mutant: all cut parts are offered."""
    response, rows = cut(QUARTERS, [4.0, 20.0])
    everything = 2**63 - 1
    held = lots_of(response, rows, 20, 2, slot=3).taken(everything, 0)
    assert held[0].sum() == rows.credits[0]
    boundless = replace(rows, credits=rows.credits + 100)
    broken = lots_of(response, boundless, 20, 2, slot=3).taken(everything, 0)
    assert broken[0].sum() > rows.credits[0]


def test_where_the_credit_binds_its_lots_come_first() -> None:
    lots = lots_of(*cut([[0.25, 0.5, 0.25], [0.75, 0.0, 0.0]], [1.0, 9.0], shadow=0.1), 20, 2, 3)
    assert lots.keys.tolist() == [[-1, 3, -1], [key_of(0.75), -1, -1]]
    assert lots.below(np.array([4])).tolist() == [1]


def test_lots_of_one_key_are_taken_by_their_parts() -> None:
    lots = lots_of(*cut([[0.5, 0.5], [0.5, 0.5]], [9.0, 9.0]), 20, 0, slot=0)
    key = int(lots.keys[0, 0])
    assert lots.taken(key, 3).tolist() == [[1, 1], [1, 0]]
    assert lots.taken(key, 99).tolist() == [[1, 1], [1, 1]]
    assert lots.taken(key, -5).tolist() == [[0, 0], [0, 0]]
    bound = lots_of(*cut([[0.25, 0.5, 0.75]], [2.0], shadow=0.1), 20, 0, slot=0)
    assert bound.taken(0, 1).tolist() == [[0, 0, 1]]


@settings(max_examples=60, deadline=None)
@given(markets(), st.integers(0, 2**44))
def test_a_plan_costs_what_it_costs_rounded_up(market: tuple[Floats, Rows], price: int) -> None:
    _, rows = market
    plan = np.floor(rows.caps / 2).astype(np.int64)
    exact = Fraction(price * int(plan.sum()), 2**40)
    for costs, steep, lots in zip(
        rows.costs.tolist(), rows.steep.tolist(), plan.tolist(), strict=True
    ):
        for a, eta, x in zip(costs, steep, lots, strict=True):
            exact += Fraction(a) * x + Fraction(eta) * x * x / 2
    words = cost(plan, rows, price, 40, 20)
    assert exact * 2**20 <= words <= exact * 2**20 + 2 + len(plan)


def test_a_credit_of_nothing_trades_nothing() -> None:
    rows = rows_of([[0.0, 1.0]], [[1.0, 1.0]], [[5.0, 5.0]], [0.0])
    made = respond(np.array([3.0, 7.0]), rows, WORD, UNIT)
    assert made.amounts.tolist() == [[0, 0]]
    assert made.values.tolist()[0] <= 1


def test_slack_covers_what_floats_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: without slack, phi falls below the exact one for some prices."""
    random = np.random.Generator(np.random.PCG64(3))
    shape = (40, 3)
    steep = 0.01 + random.random(shape)
    rows = Rows(random.random(shape), steep, 1.0 / steep, np.full(shape, 1e9), np.full(40, 1e9))
    excess = 1.0 + random.random(3)
    fine = 2.0**52
    exact = [exact_row(excess, rows, i)[1] * 2**52 for i in range(40)]
    rigorous = respond(excess, rows, WORD, fine).values.tolist()
    assert all(phi <= words for phi, words in zip(exact, rigorous, strict=True))
    monkeypatch.setattr(kernels, "is_compiling", lambda: False)
    monkeypatch.setattr(kernels, "EDGE_SLACK", 0.0)
    monkeypatch.setattr(kernels, "SUM_SLACK", 1.0)
    careless = respond(excess, rows, WORD, fine).values.tolist()
    assert any(phi > words for phi, words in zip(exact, careless, strict=True))
