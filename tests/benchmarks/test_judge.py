"""The judge on plans made by hand: no limit can be broken for a better figure."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.instances import Arb, Cfmm, Reals, Sor, Vwap, arb, cfmm, quantised, sor, vwap
from benchmarks.judge import TELLING, Verdict, judged, objective_gap, said
from benchmarks.peers import PEERS

TWO_POOLS = Cfmm(
    n=2,
    m=2,
    ia=np.array([0, 0]),
    ib=np.array([1, 1]),
    Ra=np.array([100.0, 100.0]),
    Rb=np.array([100.0, 400.0]),
    gam=np.array([1.0, 1.0]),
    c=np.array([1.0, 1.0]),
)
NOTHING = np.zeros((4, 2))
BOOKS = Sor(
    n=2,
    L=2,
    m=1,
    px=np.array([[[10, 30]], [[20, 40]]]),
    q=np.array([[[5, 5]], [[5, 5]]]),
    Q=np.array([8]),
    v=np.array([35]),
    B=0,
)
ORDER = Vwap(
    n=1,
    T=2,
    a=np.array([[1.0, 2.0]]),
    eta=np.array([[1.0, 1.0]]),
    cap=np.array([[4.0, 4.0]]),
    C=np.array([6.0]),
    w=np.array([2.0, 4.0]),
    Q=4.0,
    kappa=0.5,
)
LADDERS = Arb(
    n=2,
    m=1,
    L=1,
    ask=np.array([[[10.0]], [[12.0]]]),
    aq=np.array([[[5.0]], [[5.0]]]),
    bid=np.array([[[9.0]], [[11.0]]]),
    bq=np.array([[[5.0]], [[5.0]]]),
    C=np.array([40.0, 40.0]),
    inv=np.array([[5.0], [3.0]]),
    h=np.array([1.0]),
    ref=np.array([10.5]),
)


def swap(second: float, *, claimed: float | None = None) -> Reals:
    """Token 0 is paid into the second pool; it gives what its invariant says, or as claimed."""
    plan = NOTHING.copy()
    plan[0, 1] = second
    plan[3, 1] = 400.0 * second / (100.0 + second) if claimed is None else claimed
    return plan


def pools(plan: Reals, multipliers: tuple[float, float] = (1.0, 1.0)) -> Verdict:
    return judged(TWO_POOLS, plan, np.array(multipliers))


def cycle() -> Reals:
    """100 of token 0 into the second pool, and token 1 into the first to pay it back."""
    plan = swap(50.0)
    plan[1, 0] = 100.0
    plan[2, 0] = 50.0
    return plan


def test_doing_nothing_is_worth_nothing_and_breaks_nothing() -> None:
    assert pools(NOTHING) == Verdict(0.0, 0.0)


def test_a_cycle_is_worth_what_is_left_of_it() -> None:
    verdict = pools(cycle())
    assert verdict.value == pytest.approx(400.0 * 50.0 / 150.0 - 100.0, rel=1e-12)
    assert verdict.violation < 1e-12


def test_a_pool_gives_no_more_than_its_invariant_whatever_a_plan_claims() -> None:
    honest, lying = pools(cycle()), cycle()
    lying[3, 1] += 10.0
    verdict = pools(lying)
    assert verdict.value == honest.value
    assert verdict.violation == pytest.approx(10.0 / 400.0, rel=1e-9)
    assert "plan infeasible by 2.5e-02" in said("solved", verdict)


def test_what_is_taken_of_both_sides_for_nothing_is_not_counted() -> None:
    plan = NOTHING.copy()
    plan[2, 0], plan[3, 0] = 7.0, 9.0
    verdict = pools(plan)
    assert verdict.value == 0.0
    assert verdict.violation == pytest.approx(0.09)


def test_what_is_owed_is_bought_at_our_multipliers() -> None:
    owing = swap(50.0)
    cheap, dear = pools(owing), pools(owing, (3.0, 1.0))
    got = 400.0 * 50.0 / 150.0
    assert cheap.value == pytest.approx(got - 50.0)
    assert dear.value == pytest.approx(got - 150.0)
    assert cheap.violation == dear.violation == pytest.approx(1.0)


def test_no_plan_for_pools_passes_the_dual_bound_at_any_multipliers() -> None:
    random = np.random.Generator(np.random.PCG64(5))
    inst = quantised(cfmm(12))
    assert isinstance(inst, Cfmm)
    for _ in range(60):
        v = inst.c * (1.0 + random.random(inst.m))
        plan = random.random((4, inst.n)) * np.vstack([inst.Ra, inst.Rb] * 2) * 0.2
        assert judged(inst, plan, v).value <= dual_of_pools(inst, v) * (1 + 1e-12)


def dual_of_pools(inst: Cfmm, v: Reals) -> float:
    """Sum of (sqrt(v_out R_out) - sqrt(v_in R_in / gam))^2 where it pays."""
    total = 0.0
    for i in range(inst.n):
        worth = (v[inst.ia[i]] * inst.Ra[i], v[inst.ib[i]] * inst.Rb[i])
        for into, out in (worth, worth[::-1]):
            if inst.gam[i] * out > into:
                total += (np.sqrt(out) - np.sqrt(into / inst.gam[i])) ** 2
    return float(total)


def test_the_cheapest_lots_cost_what_they_cost() -> None:
    plan = np.array([[[5.0, 0.0]], [[3.0, 0.0]]])
    assert judged(BOOKS, plan, None) == Verdict(-(50.0 + 60.0), 0.0)


def test_missing_lots_are_bought_at_the_dearest_price() -> None:
    verdict = judged(BOOKS, np.array([[[5.0, 0.0]], [[1.0, 0.0]]]), None)
    assert verdict == Verdict(-(50.0 + 20.0 + 2 * 40.0), 0.25)


def test_lots_that_are_not_there_are_not_bought() -> None:
    verdict = judged(BOOKS, np.array([[[8.0, 0.0]], [[0.0, 0.0]]]), None)
    assert verdict.value == -(50.0 + 3 * 40.0)
    assert verdict.violation == 0.375


def test_a_basket_that_spends_too_much_is_scaled_down_to_its_budget() -> None:
    basket = replace(BOOKS, B=55)
    within = judged(basket, np.array([[[5.0, 0.0]], [[0.25, 0.0]]]), None)
    beyond = judged(basket, np.array([[[5.0, 0.0]], [[3.0, 0.0]]]), None)
    assert within == Verdict(5 * 25.0 + 0.25 * 15.0, 0.0)
    assert beyond.value == pytest.approx((5 * 25.0 + 3 * 15.0) / 2.0)
    assert beyond.violation == pytest.approx(1.0)


def test_an_execution_costs_its_price_its_impact_and_its_distance_from_the_curve() -> None:
    verdict = judged(ORDER, np.array([[3.0, 1.0]]), None)
    assert verdict == Verdict(-(3.0 + 2.0 + 4.5 + 0.5 + 0.25), 0.0)


def test_an_execution_that_falls_short_is_completed_within_its_limits() -> None:
    short = judged(ORDER, np.array([[2.0, 1.0]]), None)
    assert short.violation == pytest.approx(0.25)
    assert short.value == pytest.approx(judged(ORDER, np.array([[2.4, 1.6]]), None).value)


def test_an_execution_beyond_its_caps_gains_nothing() -> None:
    beyond = judged(ORDER, np.array([[9.0, -5.0]]), None)
    assert beyond == Verdict(judged(ORDER, np.array([[4.0, 0.0]]), None).value, 1.25)


def test_an_execution_beyond_its_credit_is_scaled_down() -> None:
    tight = replace(ORDER, C=np.array([4.0]))
    verdict = judged(tight, np.array([[4.0, 1.0]]), None)
    assert verdict.value == pytest.approx(judged(tight, np.array([[3.2, 0.8]]), None).value)
    assert verdict.violation == pytest.approx(0.25)


def ladders(bought: tuple[float, float], sold: tuple[float, float], price: float) -> Verdict:
    plan = np.array([[[[x]] for x in side] for side in (bought, sold)])
    return judged(LADDERS, plan, np.array([price]))


def test_ladders_are_worth_their_marks() -> None:
    assert ladders((3.0, 0.0), (0.0, 3.0), 10.5) == Verdict(3 * 0.5 + 3 * 0.5, 0.0)


def test_capital_and_inventory_cannot_be_passed() -> None:
    verdict = ladders((5.0, 0.0), (0.0, 5.0), 10.5)
    assert verdict.value == pytest.approx(4 * 0.5 + 3 * 0.5)
    assert verdict.violation == pytest.approx(2.0 / 3.0)


def test_exposure_beyond_its_limit_is_charged_at_our_price() -> None:
    at_the_mark, above = (ladders((4.0, 0.0), (0.0, 0.0), price) for price in (10.5, 11.5))
    assert at_the_mark.value == pytest.approx(2.0)
    assert above.value == pytest.approx(2.0 - 3.0)
    assert at_the_mark.violation == above.violation == pytest.approx(3.0)


def test_a_plan_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="a plan of shape"):
        judged(TWO_POOLS, np.zeros((4, 3)), TWO_POOLS.c)
    with pytest.raises(ValueError, match="judged at multipliers"):
        judged(TWO_POOLS, NOTHING, None)


def test_a_plan_with_holes_is_refused() -> None:
    with pytest.raises(ValueError, match="a plan of shape"):
        judged(TWO_POOLS, np.full((4, 2), np.nan), TWO_POOLS.c)


def test_a_gap_is_relative_to_the_bound_or_to_the_floor() -> None:
    assert objective_gap(200.0, 199.0, 1.0) == 0.005
    assert objective_gap(-200.0, -201.0, 1.0) == 0.005
    assert objective_gap(0.5, 0.0, 1.0) == 0.5


def test_rounding_is_not_called_infeasible() -> None:
    assert said("solved", Verdict(0.0, TELLING)) == "solved"


AGREEING = {
    "pools": ("cfmm", quantised(cfmm(40)), ("clarabel", "scs", "lbfgsb_scaled"), 1e-5),
    "books": ("sor", sor(8), ("highs", "highs_ipm", "clarabel", "argsort"), 1e-6),
    "a basket": ("sor", sor(5, m=3, budget=True), ("highs", "clarabel"), 1e-5),
    "an execution": ("vwap", quantised(vwap(4, T=12)), ("clarabel", "osqp"), 1e-4),
    "ladders": ("arb", quantised(arb(5, 3, L=6)), ("highs", "highs_ipm", "clarabel"), 1e-5),
}


@pytest.mark.parametrize("name", AGREEING)
def test_peers_of_different_kinds_agree_under_the_judge(name: str) -> None:
    family, inst, peers, tolerance = AGREEING[name]
    prices = getattr(inst, "c", getattr(inst, "ref", None))
    values = []
    for peer in peers:
        answer = PEERS[family][peer](inst).solve()
        assert answer.plan is not None
        values.append(judged(inst, answer.plan, prices).value)
    assert max(values) - min(values) <= tolerance * max(map(abs, values))
