"""One book with capital, inventory and a memory: what it answers and commits to."""

from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from tests.domains.ladder_markets import commit_query, play
from tests.domains.pool_markets import book, example, goal

from covenue.errors import BadInput
from covenue.hooks.domains import EMPTY
from covenue.hooks.solvers import DualCoupling
from covenue.numerics.words import integers, to_bytes, total
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import dual_domain_conformance, multiplier_query
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage.problem import ArbitrageProblem
from covenue_solver_proximal import Proximal

PLAN = "0" * 64
CHEAP = book([(1900, 500), (1890, 900)], [(1990, 400), (1995, 700), (2001, 2000)])
DEAR = book([(2010, 300), (2004, 600), (1999, 900)], [(2030, 100)])


def two_books(configs: tuple[dict[str, Any], ...] = ({}, {}), **more: Any) -> DomainExample:
    made = goal(
        ("a", "b"),
        **{"jumps": True, "slope_bits": 12, "margin": ("0", "0.02"), "band": 2, **more},
    )
    return example(made, [CHEAP, DEAR], configs)


def limited() -> DomainExample:
    return two_books(({"capital": "12"}, {"inventory": "5.555", "fee_bps": "1"}))


def examples() -> list[DomainExample]:
    return [two_books(), limited()]


TestLimitedBooksConformance = dual_domain_conformance(Arbitrage, examples)


def built(made: DomainExample) -> tuple[DualCoupling, list[ArbitrageProblem]]:
    domain = Arbitrage()
    coupling = domain.coupling(made.goal, made.members)
    assert isinstance(coupling, DualCoupling)
    problems = made.problems(domain)
    return coupling, [p for p in problems if isinstance(p, ArbitrageProblem)]


def at(coupling: DualCoupling, kind: Any, tick: int, width: int = 2**13) -> Any:
    values = [coupling.reference[0], tick * 2**40 // 1000]
    return multiplier_query(kind, coupling, values, width)


@pytest.mark.parametrize(("capital", "steps"), [("0", 0), ("1.99", 100), ("8", 402), ("99", 1100)])
def test_capital_cuts_a_book_off_in_whole_steps(capital: str, steps: int) -> None:
    """A step is 0.01 b; 100 steps cost 1.99 at the best level."""
    coupling, (problem, _) = built(two_books(({"capital": capital}, {})))
    _, words, _ = problem.commit(at(coupling, "commit", 2000), EMPTY, PLAN)
    assert integers(words)[1] == steps * 2**30 // 100
    assert -integers(words)[0] <= Fraction(capital) * 2**30 + 2


@pytest.mark.parametrize(
    ("inventory", "steps"), [("0", 0), ("1.999", 199), ("4", 400), ("99", 1800)]
)
def test_inventory_cuts_a_book_off_in_whole_steps(inventory: str, steps: int) -> None:
    coupling, (_, problem) = built(two_books(({}, {"inventory": inventory})))
    actions, words, _ = problem.commit(at(coupling, "commit", 1990), EMPTY, PLAN)
    assert sum(int(leg.quantity_steps) for leg in actions.legs) == steps
    assert integers(words)[1] in {-steps * 2**30 // 100, -(steps * 2**30 // 100)}


@pytest.mark.parametrize(("key", "value"), [("capital", "-1"), ("inventory", "much")])
def test_a_limit_that_is_none_names_its_field(key: str, value: str) -> None:
    with pytest.raises(BadInput) as caught:
        built(two_books(({key: value}, {})))
    assert caught.value.field == f"party.config.{key}"


def test_without_a_memory_a_book_answers_as_it_always_did() -> None:
    coupling, (problem, _) = built(two_books())
    query = at(coupling, "respond", 1991, 2**30)
    fresh, memory = problem.answer(query, EMPTY)
    again, _ = problem.answer(query, memory)
    assert integers(again)[1:] != integers(fresh)[1:]
    assert to_bytes(problem.answer(query, EMPTY)[0]) == to_bytes(fresh)


def test_a_book_commits_to_the_parts_that_it_remembers() -> None:
    coupling, (problem, _) = built(two_books())
    near, far = at(coupling, "respond", 1991, 2**30), at(coupling, "commit", 1900, 2**30)
    answered, memory = problem.answer(near, EMPTY)
    _, committed, _ = problem.commit(far, memory, PLAN)
    assert to_bytes(committed) == to_bytes(answered[1:])


def test_a_memory_of_a_book_of_another_depth_is_as_none() -> None:
    coupling, (cheap, dear) = built(two_books())
    query = at(coupling, "respond", 1996, 2**30)
    foreign = dear.answer(at(coupling, "respond", 2000, 2**30), EMPTY)[1]
    shorter = type(foreign)(foreign[:-8])
    assert to_bytes(cheap.answer(query, shorter)[0]) == to_bytes(cheap.answer(query, EMPTY)[0])


def test_two_books_meet_in_whole_steps_and_commit_to_what_was_certified() -> None:
    """All pairs of bought and sold steps tried."""
    coupling, problems = built(two_books(margin=("0", "0.02"), floor="1"))
    played = play(Proximal.from_options({"tolerance": "0.01"}), coupling, problems)
    solution = played.solution
    assert solution.status == "certified"
    query = commit_query(solution)
    memories = played.memories[str(solution.after)]
    words = [
        problem.commit(query, memory, PLAN)[1]
        for problem, memory in zip(problems, memories, strict=True)
    ]
    assert all(a >= b for a, b in zip(integers(total(words)), solution.points, strict=False))
    best = exhaustive()
    assert solution.value <= best * 2**30 <= solution.bound
    assert best * 99 / 100 <= Fraction(solution.value, 2**30)


def exhaustive() -> Fraction:
    """The best of all steps bought here and sold there that owe neither; references 1 and 2."""
    buys = [t for t, n in CHEAP.asks.tolist() for _ in range(n)]
    sells = [t for t, n in DEAR.bids.tolist() for _ in range(n)]
    paid = [0, *accumulate(buys)]
    got = [0, *accumulate(sells)]
    best = max(
        got[sold] - paid[bought] + 2000 * (bought - sold)
        for bought in range(1500)
        for sold in range(bought + 1)
        if sold < len(got) and got[sold] >= paid[bought]
    )
    return Fraction(best, 1000 * 100)
