"""The agreement on prox queries: what is read, what is answered, and what is remembered."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.ladder_markets import table
from tests.solvers.prox_cohort import (
    MULTIPLIER_BITS,
    SCALE_BITS,
    VALUE_BITS,
    ProxProblem,
    Venue,
    problems,
    venues_of,
)

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import EMPTY, Memory
from covenue.hooks.prox import (
    COEFFICIENT_BITS,
    KEPT,
    Nearest,
    ProxAnswers,
    ProxQuestion,
    prox_memory,
    prox_width,
)
from covenue.numerics.words import integers, to_bytes, total
from covenue_contracts.shared import DualVariables, Query

ONE = 1 << COEFFICIENT_BITS
EXPONENT = -20
REFERENCES = DualVariables(scale_bits=MULTIPLIER_BITS, values=(str(100 << MULTIPLIER_BITS),) * 2)


def asked(
    mean: tuple[int, ...] = (0, 0),
    shift: tuple[int, ...] = (0, 0),
    coefficients: tuple[int, ...] = (),
    gram: int = 10,
) -> Query:
    return ProxQuestion(EXPONENT, gram, (), mean, shift, coefficients).query(None, REFERENCES)


def party(seed: int = 0) -> ProxProblem:
    return problems(table(1, 2, 6, seed))[0]


def lots(amount: float) -> int:
    return int(amount * 2.0**SCALE_BITS)


def test_a_question_is_read_as_it_was_asked() -> None:
    made = ProxQuestion(3, -7, (1,), (1, -2), (5, 6), (2 * ONE, -ONE))
    assert ProxQuestion.of(made.query("0" * 64, REFERENCES), 2) == made


@pytest.mark.parametrize(
    "changed",
    [
        {"coefficients": (ONE, 1)},
        {"coefficients": (ONE - 2**60, 2**60)},
        {"coefficients": (ONE,) + (0,) * (KEPT + 1)},
        {"mean": (2**63, 0)},
        {"gram": 401},
        {"exponent": -201},
        {"mean": ()},
        {"loose": (2,)},
        {"loose": (1, 0)},
        {"loose": (0, 0)},
        {"loose": (-1,)},
    ],
)
def test_points_that_cannot_be_are_refused(changed: dict[str, tuple[int, ...]]) -> None:
    made = replace(ProxQuestion(0, 0, (), (0, 0), (0, 0), ()), **changed)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(LayoutMismatch, match="prox query"):
        ProxQuestion.of(made.query(None, REFERENCES), 2)


def test_multipliers_that_do_not_fit_are_refused() -> None:
    bare = asked().model_copy(update={"multipliers": None})
    with pytest.raises(LayoutMismatch, match="multiplier"):
        party().answer(bare, EMPTY)


def test_an_answer_has_the_width_that_was_agreed() -> None:
    venue, memory = party(), EMPTY
    for coefficients in ((), (ONE,), (2 * ONE, -ONE), (ONE, ONE, -ONE)):
        query = asked(coefficients=coefficients)
        words, memory = venue.answer(query, memory)
        assert len(words) == prox_width(query, 2) == 8 + len(coefficients)


def test_the_same_question_gives_the_same_bytes_and_the_same_memory() -> None:
    venue = party()
    first = venue.answer(asked(shift=(lots(30), lots(50))), EMPTY)[1]
    query = asked(shift=(lots(3), lots(5)), coefficients=(ONE,))
    (one, kept), (two, again) = venue.answer(query, first), venue.answer(query, first)
    assert to_bytes(one) == to_bytes(two)
    assert kept == again


def test_an_accelerated_step_starts_from_the_combination_of_what_was_answered() -> None:
    """At weights so great that nothing is traded away from the centre, x is the combination."""
    venue, stiff = party(), 40
    far, memory = [], EMPTY
    for place, coefficients in ((2, ()), (4, (ONE,))):
        made = ProxQuestion(stiff, 0, (), (0, 0), (lots(place), 0), coefficients)
        words, memory = venue.answer(made.query(None, REFERENCES), memory)
        far.append(integers(words)[1])
    made = ProxQuestion(stiff, 0, (), (0, 0), (0, 0), (ONE // 2, ONE // 2))
    words, _ = venue.answer(made.query(None, REFERENCES), memory)
    assert abs(integers(words)[1] - (far[0] + far[1]) // 2) <= 2


def test_a_participant_without_a_memory_that_fits_takes_the_mean_for_its_own() -> None:
    venue = party()
    mean = (lots(7), lots(-3))
    fresh = venue.answer(asked(mean=mean), EMPTY)[0]
    lost = venue.answer(asked(mean=mean, coefficients=(2 * ONE, -ONE)), Memory(b"\0" * 5))[0]
    assert integers(fresh)[:4] == integers(lost)[:4]


def test_a_memory_stays_small_however_long_the_line_of_queries() -> None:
    venue, memory = party(), EMPTY
    for round_number in range(12):
        count = min(round_number, KEPT + 1)
        shares = (ONE, *(0,) * (count - 1)) if count else ()
        memory = venue.answer(asked(coefficients=shares), memory)[1]
    assert len(memory) == 8 + 16 * 2 * (KEPT + 1)


def test_products_are_those_of_the_residuals() -> None:
    venue, gram = party(), 10
    query = asked(shift=(lots(30), lots(50)), gram=gram)
    words, memory = venue.answer(query, EMPTY)
    residual = [word * 2.0**-SCALE_BITS * 100.0 for word in integers(words)[1:3]]
    squared = sum(part * part for part in residual)
    assert abs(integers(words)[7] - squared * 2**gram) <= 2
    later, _ = venue.answer(asked(coefficients=(ONE,), gram=gram), memory)
    pairs = zip(integers(later)[1:3], integers(words)[1:3], strict=True)
    moved = [(new - old) * 2.0**-SCALE_BITS * 100.0 for new, old in pairs]
    crossed = sum(a * b for a, b in zip(moved, residual, strict=True))
    assert abs(integers(later)[8] - crossed * 2**gram) <= 2


def test_a_commitment_is_the_answer_that_it_continues_from() -> None:
    venue = party()
    words, memory = venue.answer(asked(shift=(lots(30), lots(50))), EMPTY)
    assert integers(venue.answers.planned(memory)[0]) == integers(words)[1:3]
    assert integers(venue.answers.planned(EMPTY)[0]) == (0, 0)


def _objective(venue: Venue, net: list[int], centre: list[float], weight: float) -> float:
    words = np.array(net, dtype=np.int64)
    away = sum((n * 2.0**-SCALE_BITS - c) ** 2 for n, c in zip(net, centre, strict=True))
    return float(venue.cost(words) * 2.0**-VALUE_BITS + weight * away / 2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), far=st.floats(-200.0, 200.0), bits=st.integers(-16, -4))
def test_the_cohorts_prox_is_a_minimum_and_its_surplus_a_bound(
    seed: int, far: float, bits: int
) -> None:
    """No feasible point that a general method finds is better, nor worth more than phi."""
    (venue,) = venues_of(table(1, 2, 5, seed))
    centre, weight = [far, -far / 2], 100.0 * 2.0**bits
    found = venue.nearest(np.array([centre]), np.full(2, weight))
    net, cost = found.nets[0], found.cost
    least = _objective(venue, list(integers(net)), centre, weight)
    step = np.random.Generator(np.random.PCG64(seed))
    for _ in range(40):
        share = float(step.random())
        other = [int(share * n) for n in integers(net)]
        assert _objective(venue, other, centre, weight) >= least - 1e-6 * max(1.0, abs(least))
    for value in (90.0, 99.9, 100.0, 100.1, 110.0):
        phi = venue.surplus(np.full(2, value)) * 2.0**-VALUE_BITS
        worth = value * sum(integers(net)) * 2.0**-SCALE_BITS - cost * 2.0**-VALUE_BITS
        assert Fraction(worth) <= Fraction(phi) + Fraction(1, 10**5)


# ---- several points, loose coordinates


@dataclass(frozen=True, eq=False)
class Springs:
    """Points with a cost of half a square each, and whole words; counts what it was asked."""

    stiff: tuple[float, ...]
    weights: list[Any]

    @property
    def points(self) -> int:
        return len(self.stiff)

    def nearest(self, centres: Any, weights: Any) -> Nearest:
        self.weights.append(weights.copy())
        stiff = np.array(self.stiff)[:, None]
        found = weights * centres / (weights + stiff) * 2.0**SCALE_BITS
        return Nearest(np.rint(found).astype(np.int64), 7, b"plan")

    def surplus(self, multipliers: Any) -> int:
        return 3


def springs(stiff: tuple[float, ...]) -> tuple[ProxAnswers, Springs]:
    made = Springs(stiff, [])
    return ProxAnswers(party().space, np.full(2, 100.0), made), made


def test_every_point_answers_for_itself_and_only_sums_are_told() -> None:
    both, _ = springs((0.5, 3.0))
    alone = [springs((each,))[0] for each in (0.5, 3.0)]
    memory, memories = EMPTY, [EMPTY, EMPTY]
    for shares in ((), (ONE,), (2 * ONE, -ONE)):
        query = asked(mean=(5, 9), shift=(lots(30), lots(-2)), coefficients=shares)
        words, memory = both.answer(query, memory)
        answers = [each.answer(query, m) for each, m in zip(alone, memories, strict=True)]
        memories = [kept for _, kept in answers]
        summed = integers(total([each for each, _ in answers]))
        assert (summed[1:3], summed[4:]) == (integers(words)[1:3], integers(words)[4:])
    assert both.planned(memory).shape == (2, 2)


def test_where_a_coordinate_is_loose_there_is_no_pull_and_no_residual() -> None:
    answers, made = springs((0.5,))
    query = ProxQuestion(EXPONENT, 10, (1,), (0, 0), (lots(3), lots(50)), ())
    words, _ = answers.answer(query.query(None, REFERENCES), EMPTY)
    weights = made.weights[0]
    assert (weights[0] > 0, weights[1]) == (True, 0.0)
    moved = integers(words)[1] * 2.0**-SCALE_BITS * 100.0
    assert abs(integers(words)[7] - moved * moved * 2**10) <= 2


def test_a_memory_says_that_it_is_one_and_keeps_the_plan_of_the_newest_answer() -> None:
    answers, _ = springs((0.5, 1.0))
    _, memory = answers.answer(asked(), EMPTY)
    assert prox_memory(memory)
    assert answers.plan(memory) == b"plan"
    for other in (EMPTY, Memory(b"\0" * 40), Memory(memory[:20]), Memory(memory[1:])):
        assert answers.plan(other) is None
        assert not answers.planned(other).any()
