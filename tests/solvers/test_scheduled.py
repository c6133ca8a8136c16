"""The schedule under noise: as good as the mean of many steps, and honest about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np
import pytest
from tests.solvers import pools, schedules

from covenue.errors import BadInput
from covenue.hooks.domains import EMPTY, LocalProblem
from covenue.hooks.solvers import Coupling, DualCoupling, Solution, Solver, Total
from covenue.numerics.words import Words, integers, total, words
from covenue.testing.solvers import play, query_digest
from covenue_contracts.shared import Query
from covenue_solver_dual import Dual, Lbfgs, scheduled, scheduled_box
from covenue_solver_dual.scheduled import Scheduled
from covenue_solver_dual.terms import terms_of
from covenue_solver_dual.tracked_entry import Manner
from covenue_solver_dual.tracked_state import Tracked
from covenue_solver_dual.tracked_terms import Place, answered, array, track_of

SCHEDULED = Dual(manner=Manner(scheduled=True))
SEEDS = range(9)
PATH_UNIT, POOL_UNIT = 2.0**-schedules.VALUE_BITS, 2.0**-pools.VALUE_BITS


@dataclass(frozen=True)
class Noise:
    """Discrete noise on sums: standard deviations in words of value, nets and slopes."""

    value: float
    net: float
    slope: float
    seed: int

    def on(self, sums: Words, query: Query, round_: int, size: int) -> Words:
        """The noised sums of a round: normal noise rounded to whole words."""
        draw = np.random.Generator(np.random.PCG64([self.seed, round_]))
        spread = np.full(len(sums), self.slope)
        spread[0], spread[1 : 1 + size] = self.value, self.net
        added = np.rint(draw.standard_normal(len(sums)) * spread).astype(np.int64).tolist()
        return words([a + b for a, b in zip(integers(sums), added, strict=True)])


def noised(
    solver: Solver, public: Coupling, private: Sequence[LocalProblem], noise: Noise, first: int = 0
) -> tuple[Solution, list[str]]:
    """A solve whose totals are noised from round `first` on."""
    state: Any = solver.start(public, None)
    asked: list[str] = []
    size = len(public.space.names)
    while not isinstance(state, Solution):
        query = solver.ask(state, query_digest)
        sums = total([each.answer(query, EMPTY)[0] for each in private])
        exact = len(asked) < first
        sums = sums if exact else noise.on(sums, query, len(asked), size)
        asked.append(query.kind)
        state = solver.tell(state, Total(sums, ("a",) * len(private), exact))
    return state, asked


def path_noise(public: schedules.ScheduleCoupling, share: float, seed: int) -> Noise:
    """Noise of a share of the mean flow a slice; on the value, of so much at a price of one."""
    flow = public.tracking.path[-1] / len(public.reference)
    size = share * flow
    return Noise(size * 2.0 ** (schedules.VALUE_BITS - schedules.SCALE_BITS), size, 0.0, seed)


def truth(
    public: schedules.ScheduleCoupling,
    private: Sequence[LocalProblem],
    values: Sequence[int],
) -> tuple[float, float]:
    """(D, gap of the answer as a plan) at multipliers, without noise."""
    query = Query(kind="respond", after=None, multipliers=schedules.at(values), points=())
    sums = total([each.answer(query, EMPTY)[0] for each in private])
    terms = track_of(public, public.tracking)
    place = answered(
        terms, np.array(values, dtype=np.int64).tobytes(), Total(sums, ("a",) * 9, True)
    )
    assert place is not None
    survey = terms.survey(place, 0)
    return survey.dual, survey.shape


def at(solution: Solution) -> list[int]:
    assert solution.multipliers is not None
    return [int(value) for value in solution.multipliers.values]


@pytest.fixture(scope="module")
def path() -> tuple[schedules.ScheduleCoupling, list[schedules.ScheduleProblem], float]:
    """Twenty venues over a day, and the least D without noise."""
    public, private = schedules.instance(20, 78)
    best = play(Dual(), public, private).solution.bound * PATH_UNIT
    return public, private, best


Day = tuple[schedules.ScheduleCoupling, list[schedules.ScheduleProblem], float]


def judged_gap(day: Day, seed: int) -> float:
    """Where a line search that believes noisy values ends: its gap as a plan, without noise."""
    public, private, best = day
    noise = path_noise(public, 0.01, seed)
    state: Any = Dual().start(public, None)
    last = state
    for round_ in range(40):
        if not isinstance(state, Tracked) or state.phase == "recover":
            break
        last = state
        query = Dual().ask(state, query_digest)
        sums = total([each.answer(query, EMPTY)[0] for each in private])
        told = Total(noise.on(sums, query, round_, 78), ("a",) * 5, exact=True)
        state = Dual().tell(state, told)
    assert isinstance(last.at, Place)
    return truth(public, private, array(last.at.multipliers).tolist())[1] / abs(best)


def test_at_one_percent_noise_the_median_gap_is_that_of_the_note_and_far_below_a_line_search(
    path: Day,
) -> None:
    """Source of 3e-5: solvers.md, section 3.1, noise-robust schedule."""
    public, private, best = path
    gaps = []
    for seed in SEEDS:
        solution, _ = noised(SCHEDULED, public, private, path_noise(public, 0.01, seed))
        gaps.append(truth(public, private, at(solution))[1] / abs(best))
    assert median(gaps) <= 4.5e-5
    assert median(judged_gap(path, seed) for seed in SEEDS) >= 10 * median(gaps)


@pytest.mark.parametrize("slopes", [0.0, 1e-3])
def test_the_interval_holds_the_optimum_and_the_plan_and_is_never_called_certified(
    path: Day, slopes: float
) -> None:
    public, private, best = path
    held = 0
    for seed in SEEDS:
        noise = replace(path_noise(public, 0.01, seed), slope=slopes * 2.0**46)
        solution, asked = noised(SCHEDULED, public, private, noise)
        dual, own = truth(public, private, at(solution))
        value, bound = solution.value * PATH_UNIT, solution.bound * PATH_UNIT
        held += value <= dual - own and value <= best <= bound
        assert (solution.status, len(asked)) == ("estimated", 25)
        assert bound - value <= 1e-3 * abs(best)
    assert held >= len(SEEDS) - 1


def test_more_noise_gives_a_wider_interval(path: Day) -> None:
    public, private, _ = path
    little, much = (
        noised(SCHEDULED, public, private, path_noise(public, share, 1))[0]
        for share in (0.001, 0.1)
    )
    assert much.bound - much.value > 10 * (little.bound - little.value)


def test_an_interval_wider_than_the_plan_is_worth_stalls(path: Day) -> None:
    public, private, _ = path
    solution, _ = noised(SCHEDULED, public, private, path_noise(public, 4.0, 1))
    assert solution.status == "stalled"


def test_a_path_that_meets_noise_goes_on_as_a_schedule(path: Day) -> None:
    public, private, best = path
    for first in (0, 1, 3):
        noise = path_noise(public, 0.01, 2)
        solution, asked = noised(Dual(), public, private, noise, first)
        assert solution.status == "estimated"
        assert 25 <= len(asked) <= 26 + first
        assert truth(public, private, at(solution))[1] <= 3e-4 * abs(best)


def test_without_slopes_a_schedule_scales_by_what_totals_gained(path: Day) -> None:
    public, private, best = path
    solver = Dual(manner=Manner(scheduled=True, asks=False))
    assert solver.needs == {"RESPOND"}
    gaps = []
    for seed in SEEDS:
        solution, asked = noised(solver, public, private, path_noise(public, 0.01, seed))
        assert set(asked) == {"respond"}
        assert solution.status == "estimated"
        assert solution.value * PATH_UNIT <= best <= solution.bound * PATH_UNIT
        gaps.append(truth(public, private, at(solution))[1] / abs(best))
    assert median(gaps) <= 2e-4


def test_demand_above_all_caps_is_infeasible_under_a_schedule_as_well() -> None:
    base = schedules.vwap(10, 12)
    public = schedules.coupling(replace(base, path=3.0 * base.path))
    solution, asked = noised(SCHEDULED, public, schedules.problems(base), Noise(0, 0, 0, 0))
    assert (solution.status, len(asked)) == ("infeasible", 1)
    assert solution.shortfall > 0


@pytest.mark.parametrize("solver", [SCHEDULED, Dual()])
def test_pools_are_scheduled_too(solver: Dual) -> None:
    public, private = pools.instance(100)
    best = play(Dual(), public, private).solution
    flow = 2.0**40
    for seed in range(4):
        noise = Noise(0.001 * flow, 0.001 * flow, 0.0, seed)
        solution, _ = noised(solver, public, private, noise)
        assert solution.status == "estimated"
        assert len(solution.points) == len(public.reference)
        assert solution.value <= best.bound
        assert best.value <= solution.bound
        assert (solution.bound - solution.value) <= 0.01 * best.bound


def test_a_schedule_without_noise_ends_at_the_optimum_of_the_pools() -> None:
    public, private = pools.instance(100)
    best = play(Dual(), public, private).solution
    solution, asked = noised(SCHEDULED, public, private, Noise(0, 0, 0, 0))
    assert (solution.status, len(asked)) == ("estimated", 30)
    assert abs(solution.bound - best.bound) <= 1e-6 * best.bound
    assert (solution.bound - solution.value) <= 1e-6 * best.bound


def test_lbfgs_and_answers_that_jump_stall_on_noise() -> None:
    public, private = pools.instance(100)
    jumping = replace(public, smoothing=(2**30, 2**20))
    cases: list[tuple[Solver, pools.PoolCoupling]] = [(Lbfgs(), public), (Dual(), jumping)]
    for solver, coupling in cases:
        state: Any = solver.start(coupling, None)
        query = solver.ask(state, query_digest)
        sums = total([each.answer(query, EMPTY)[0] for each in private])
        end = solver.tell(state, Total(sums, ("a",), exact=False))
        assert isinstance(end, Solution)
        assert end.status == "stalled"


def test_a_schedule_is_refused_where_it_cannot_work() -> None:
    public, _ = pools.instance(20)
    with pytest.raises(BadInput) as jumps:
        SCHEDULED.start(replace(public, smoothing=(2**30, 2**20)), None)
    assert jumps.value.field == "solver.options.mode"
    with pytest.raises(BadInput) as blind:
        Dual(manner=Manner(scheduled=True, asks=False)).start(public, None)
    assert blind.value.field == "solver.options.slopes"


@pytest.mark.parametrize("change", [-1, 1])
def test_a_total_of_the_wrong_width_stalls(path: Day, change: int) -> None:
    public, _, _ = path
    state = SCHEDULED.start(public, None)
    end = SCHEDULED.tell(state, Total(words([0] * (79 + change)), ("a",), exact=False))
    assert isinstance(end, Solution)
    assert end.status == "stalled"


def test_asking_twice_asks_the_same_and_equal_inputs_give_equal_ends(path: Day) -> None:
    public, private, _ = path
    state = SCHEDULED.start(public, None)
    assert isinstance(state, Scheduled)
    assert SCHEDULED.ask(state, query_digest) == SCHEDULED.ask(state, query_digest)
    runs = [noised(SCHEDULED, public, private, path_noise(public, 0.01, 5)) for _ in range(2)]
    assert runs[0] == runs[1]


def test_without_the_running_mean_the_last_noise_stays_in_the_plan(
    path: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: one chord step in place of twenty; the gap is that of one noisy round."""
    public, private, best = path
    kept, single = [], []
    for seed in SEEDS:
        noise = path_noise(public, 0.01, seed)
        with monkeypatch.context() as mutant:
            mutant.setattr(scheduled, "CHORD_ROUNDS", 1)
            mutant.setattr(scheduled, "JUDGED_ROUNDS", 2)
            once, _ = noised(SCHEDULED, public, private, noise)
        whole, _ = noised(SCHEDULED, public, private, noise)
        kept.append(truth(public, private, at(whole))[1] / abs(best))
        single.append(truth(public, private, at(once))[1] / abs(best))
    assert median(single) >= 5 * median(kept)


def test_no_step_crosses_a_kink() -> None:
    public, _ = pools.instance(20)
    assert isinstance(public, DualCoupling)
    box = scheduled_box.box_of(terms_of(public, "dual"))
    above, below = box.origin + 5, box.origin - 5
    assert (box.landed(above, below) == box.origin).all()
    assert (box.landed(below, above) == box.origin).all()
    assert (box.landed(box.origin, above) == above).all()


def test_modes_are_read_from_the_options() -> None:
    assert scheduled.mode_of({}) == (False, True)
    assert scheduled.mode_of({"mode": "scheduled", "slopes": "never"}) == (True, False)
    assert Dual(Fraction(1, 100)).needs == {"RESPOND", "CURVATURE"}
