"""The central reference: what everybody discloses, what is made of it, and how it ends."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.pool_markets import drawn, example, goal, member, pool_example, pools

from covenue.errors import BadInput, CapabilityMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY
from covenue.hooks.programs import (
    DISCLOSED_WORDS_MAX,
    DisclosedCoupling,
    Entries,
    Products,
    Program,
    RecordedSolver,
    disclosure,
    halves,
    wholes,
)
from covenue.hooks.solvers import Choice, Solution, Total
from covenue.numerics.words import integers, total, words
from covenue.testing.domains import DomainExample, LadderCoupling, ladder_goal
from covenue.testing.solvers import SolverExample, play, query_digest, solver_conformance
from covenue_contracts.plan import Member
from covenue_contracts.shared import Query
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_routing import Routing, buy, sell
from covenue_domain_routing.books import book_of
from covenue_domain_routing.central import OpenedVenue, central_plan
from covenue_domain_routing.goals import read_terms
from covenue_domain_routing.problem import RoutingProblem
from covenue_solver_reference import Reference, certificate, conic, linear, modelled, reference
from covenue_solver_reference.certificate import Best
from covenue_solver_reference.reference import Central
from covenue_solver_search import Search

BOOKS = (
    [["100.00", "5"], ["100.10", "7"], ["100.10001", "2"]],
    [["100.05", "6.5"], ["100.20", "10"]],
    [["99.5", "0.001"], ["100.10", "3"]],
)


def routing_example(quantity: str = "12", books: Sequence[Any] = BOOKS) -> DomainExample:
    members = tuple(member(slot) for slot in range(len(books)))
    tables = tuple(np.array(book, dtype=str).reshape(-1, 2) for book in books)
    return DomainExample(buy(quantity, lot="0.001"), members, tables, ({},) * len(books))


def opened(made: DomainExample, domain: Any) -> SolverExample:
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


def routed(*arguments: Any) -> SolverExample:
    return opened(routing_example(*arguments), Routing())


def routing_problems() -> Sequence[RoutingProblem]:
    return [each for each in routed().problems if isinstance(each, RoutingProblem)]


def arbitraged(made: DomainExample) -> SolverExample:
    return opened(made, Arbitrage())


def solve(case: SolverExample, solver: Reference | None = None) -> Solution:
    return play(solver or Reference(), case.coupling, case.problems).solution


def examples() -> Sequence[SolverExample]:
    return routed(), routed("28.0"), arbitraged(pool_example())


TestReference = solver_conformance(Reference, examples)
TestModelled = solver_conformance(lambda: Reference(modelling="cvxpy"), examples)


# ---- optima against other people's


def test_a_book_plan_is_the_merge_of_all_opened_books() -> None:
    for quantity in ("0.5", "5", "12", "11.501", "21.5", "33.5"):
        made = routing_example(quantity)
        terms = read_terms(made.goal)
        rows = zip(made.members, made.states, strict=True)
        venues = [OpenedVenue(m.slot, book_of(s, terms, m), {}) for m, s in rows]
        found = solve(routed(quantity))
        assert (found.status, found.value) == ("certified", central_plan(venues, terms).value)


def test_both_ways_to_write_a_program_down_end_at_one_optimum() -> None:
    case = arbitraged(pool_example())
    direct, written = solve(case), solve(case, Reference(modelling="cvxpy"))
    assert direct.status == written.status == "certified"
    assert abs(direct.value - written.value) <= direct.bound / 10**6


def test_selling_is_the_mirror_image() -> None:
    books = ([["100.00", "5"], ["99.90", "7"]], [["99.95", "6.5"]])
    made = replace(routing_example(books=books), goal=sell("8", lot="0.001"))
    case = opened(made, Routing())
    found = solve(case)
    assert found.status == "certified"
    assert found == replace(play(Search(), case.coupling, case.problems).solution, warm=None)


def program(**changes: Any) -> Program:
    """min x0 + 2 x1, x0 + x1 >= 1, 0 <= x <= 10."""
    plain = Program(
        cost=np.array([1.0, 2.0]),
        low=np.zeros(2),
        high=np.full(2, 10.0),
        rows=Entries(np.array([0, 0]), np.array([0, 1]), np.ones(2)),
        row_low=np.array([1.0]),
        row_high=np.array([np.inf]),
        coupling=(0,),
    )
    return replace(plain, **changes)


SOLVERS = {"conic": conic.solve, "linear": linear.solve, "modelled": modelled.solve}


@pytest.mark.parametrize("name", SOLVERS)
def test_duals_are_what_one_more_unit_of_a_row_costs(name: str) -> None:
    found = SOLVERS[name](program())
    assert found.verdict == "optimal"
    assert found.x == pytest.approx([1.0, 0.0], abs=1e-7)
    assert found.duals == pytest.approx([1.0], abs=1e-7)
    dearest = SOLVERS[name](program(cost=-np.ones(2), row_low=np.zeros(1), row_high=np.ones(1)))
    assert dearest.duals == pytest.approx([-1.0], abs=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_an_infeasible_program_names_the_coordinate_and_an_unbounded_one_is_called_that(
    name: str,
) -> None:
    rows = Entries(np.array([0, 1]), np.array([0, 1]), np.ones(2))
    lows, highs = np.array([0.0, 11.0]), np.full(2, np.inf)
    found = SOLVERS[name](program(rows=rows, row_low=lows, row_high=highs, coupling=(0, 1)))
    assert (found.verdict, found.culprit) == ("infeasible", 1)
    endless = SOLVERS[name](program(cost=-np.ones(2), high=np.full(2, np.inf)))
    assert endless.verdict == "unbounded"


@pytest.mark.parametrize("name", ["conic", "modelled"])
def test_squares_and_products_are_the_cones_that_they_are_called(name: str) -> None:
    """min (x0^2 + x1^2) / 2 on x0 + x1 = 1; and least x0 + x1 with x0 x1 >= x2^2 = 4."""
    square = Entries(np.array([0, 1]), np.array([0, 1]), np.ones(2))
    halved = SOLVERS[name](program(cost=np.zeros(2), quadratic=square, row_high=np.ones(1)))
    assert halved.x == pytest.approx([0.5, 0.5], abs=1e-6)
    assert halved.duals == pytest.approx([0.5], abs=1e-6)
    cone = Products(np.array([0]), np.array([1]), np.array([2]))
    row = Entries(np.array([0]), np.array([2]), np.ones(1))
    found = SOLVERS[name](
        Program(np.array([1.0, 1.0, 0.0]), np.zeros(3), np.full(3, 9.0), row,
                np.array([2.0]), np.array([2.0]), (0,), products=cone)
    )  # fmt: skip
    assert found.x == pytest.approx([2.0, 2.0, 2.0], abs=1e-5)


def test_no_library_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """What a command prints is one JSON object."""
    for solver in SOLVERS.values():
        solver(program())
        solver(program(row_low=np.array([30.0])))
    assert capfd.readouterr() == ("", "")


# ---- disclosure


@settings(max_examples=50)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_halves_are_put_together_again_and_fit_any_space(values: list[int]) -> None:
    cut = halves(np.array(values, dtype=np.int64))
    assert wholes(cut).tolist() == values
    assert all(abs(word) <= 2**32 for word in cut.tolist())


@pytest.mark.parametrize("bad", [[1], [0, -1], [0, 2**31], [2**33, 0]])
def test_words_that_are_no_halves_are_refused(bad: list[int]) -> None:
    with pytest.raises(LayoutMismatch):
        wholes(np.array(bad, dtype=np.int64))


def disclose_query(*offsets: int) -> Query:
    points = tuple(str(offset) for offset in offsets)
    return Query(kind="disclose", after=None, multipliers=None, points=points)


def test_everybody_fills_its_own_range_so_that_the_sum_is_the_concatenation() -> None:
    own = [words([1, 2]), words([]), words([3])]
    widths = total([disclosure(disclose_query(), 3, slot, own[slot]) for slot in range(3)])
    assert integers(widths) == (2, 0, 1)
    query = disclose_query(0, 2, 2, 3)
    assert integers(total([disclosure(query, 3, slot, own[slot]) for slot in range(3)])) == (
        1,
        2,
        3,
    )


@pytest.mark.parametrize(
    "offsets",
    [(0, 1, 2, 3), (1, 2, 2, 3), (0, 2, 1, 3), (0, 2, 3), (0, 2, 2, DISCLOSED_WORDS_MAX + 1)],
)
def test_offsets_that_do_not_fit_are_refused(offsets: tuple[int, ...]) -> None:
    with pytest.raises(LayoutMismatch):
        disclosure(disclose_query(*offsets), 3, 0, words([1, 2]))


def test_what_was_disclosed_is_the_whole_problem() -> None:
    """The program of the parts is that of the opened data: its optimum is worth the plan."""
    case = routed()
    ended = play(Reference(), case.coupling, case.problems)
    kinds = [query.kind for query in ended.queries]
    assert kinds == ["disclose", "disclose", "depth"]
    offers = sum(len(problem.ladder.keys) for problem in routing_problems())
    assert len(ended.totals[1]) == 4 * offers


# ---- ends


def test_what_cannot_be_is_called_infeasible_with_the_coordinate() -> None:
    empty = solve(routed("12", (np.zeros((0, 2)), np.zeros((0, 2)))))
    assert (empty.status, empty.points) == ("infeasible", (0,))
    scarce = replace(routing_example("50"), goal=buy("50", lot="0.001", minimum="40"))
    found = solve(opened(scarce, Routing()))
    assert (found.status, found.points) == ("infeasible", (0,))


def test_a_debt_that_nobody_can_pay_is_infeasible_in_that_asset() -> None:
    made = goal(("a", "b", "c"))
    terms = {**made.terms, "least": ("0", "0", str(2**55))}
    owing = made.model_copy(update={"terms": terms})
    case = arbitraged(example(owing, [drawn(("a", "b", "c"), 8, 1)]))
    found = solve(case)
    assert (found.status, found.points) == ("infeasible", (2,))


def test_depth_short_of_what_is_wanted_is_planned_and_what_is_missing_is_said() -> None:
    case = routed("50")
    found = solve(case)
    other = play(Search(), case.coupling, case.problems).solution
    assert (found.status, found.points, found.shortfall) == (
        other.status, other.points, other.shortfall
    )  # fmt: skip


def test_where_nothing_is_worth_it_nothing_is_done() -> None:
    fair = pools(("a", "b"), [(0, 1, 2000.0, 1000.0, 3000)])
    found = solve(arbitraged(example(goal(("a", "b")), [fair])))
    assert found.status == "certified"
    assert found.points == (0, 0)
    assert found.value == 0


def test_a_plan_of_whole_lots_ends_with_its_bound_where_lots_leave_a_gap() -> None:
    from tests.domains.pool_markets import book_example

    case = arbitraged(book_example())
    found = solve(case)
    assert found.status == "stalled"
    assert 0 < found.value < found.bound
    assert found.bound - found.value < found.bound / 10**4
    assert solve(case, Reference(Fraction(1, 10**4))).status == "certified"


def after_widths(case: SolverExample) -> tuple[Reference, Central, Total]:
    """The state that waits for the concatenation, and the truthful one."""
    solver = Reference()
    state = solver.start(case.coupling, None)
    for _ in range(2):
        query = solver.ask(state, query_digest)
        summed = total([p.answer(query, EMPTY)[0] for p in case.problems])
        if query.points:
            break
        following = solver.tell(state, Total(summed, ("p0",), exact=True))
        assert isinstance(following, Central)
        state = following
    return solver, state, Total(summed, ("p0",), exact=True)


@pytest.mark.parametrize("case", [routed(), arbitraged(pool_example())], ids=["books", "pools"])
def test_whatever_is_disclosed_is_an_event(case: SolverExample) -> None:
    """Words that are no ladder or pool end the plan; nobody else's machine falls over."""
    solver, state, true = after_widths(case)
    draw = np.random.Generator(np.random.PCG64(1))
    for spread in (2, 2**20, 2**31, 2**62):
        for _ in range(20):
            noise = draw.integers(-spread, spread, len(true.words))
            end = solver.tell(state, replace(true, words=noise))
            assert isinstance(end, Central) or end.status in {"stalled", "infeasible"}


@pytest.mark.parametrize("widths", [[-1, 3, 0], [DISCLOSED_WORDS_MAX, 1, 0]])
def test_widths_that_cannot_be_end_the_plan(widths: list[int]) -> None:
    case = routed()
    solver = Reference()
    end = solver.tell(solver.start(case.coupling, None), Total(words(widths), ("p0",), exact=True))
    assert isinstance(end, Solution)
    assert end.status == "stalled"


def test_a_noised_total_and_a_choice_end_the_plan() -> None:
    solver, state, true = after_widths(routed())
    for release in (replace(true, exact=False), Choice(0, ("p0",))):
        end = solver.tell(state, release)
        assert isinstance(end, Solution)
        assert end.status == "stalled"


def test_a_wrong_optimum_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Clarabel says is only where to look: answers there show that it is not the optimum."""
    case = arbitraged(pool_example())
    true = conic.solve

    def wrong(program: Program) -> Any:
        found = true(program)
        return replace(found, duals=found.duals + 0.01)

    monkeypatch.setattr(conic, "solve", wrong)
    assert solve(case).status == "stalled"


def test_without_the_certificate_a_wrong_optimum_would_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: whatever is feasible counts as closed."""
    case = arbitraged(pool_example())
    best = solve(case)
    true = conic.solve
    monkeypatch.setattr(
        conic, "solve", lambda program: replace(true(program), duals=true(program).duals + 0.01)
    )
    monkeypatch.setattr(Best, "is_closed", lambda best, *_: best.plan is not None)
    found = solve(case)
    assert found.status == "certified"
    assert found.value < best.value * 0.999


def test_a_depth_answer_that_does_not_enclose_what_is_wanted_is_no_certificate() -> None:
    coupling = routed().coupling
    query = Query(kind="depth", after=None, multipliers=None, points=("8", "9"))
    assert isinstance(coupling, DisclosedCoupling)
    keyed: Any = coupling
    for answer in ((12_000, 13_000, 1), (11_000, 11_999, 1), (-1, 12_000, 1)):
        assert certificate.keyed(keyed, query, answer).plan is None
    assert certificate.keyed(keyed, query, (11_999, 12_000, 1)).plan is not None


# ---- what it refuses, and when it is chosen


def test_options_are_refused_by_name_and_value() -> None:
    assert Reference.from_options({"tolerance": "0.01"}).tolerance == Fraction(1, 100)
    assert Reference.from_options({"modelling": "cvxpy"}).modelling == "cvxpy"
    for options in ({"tolerance": "1"}, {"tolerance": 1}, {"modelling": "other"}, {"tol": "0.1"}):
        with pytest.raises(BadInput) as caught:
            Reference.from_options(options)
        assert caught.value.field == f"solver.options.{next(iter(options))}"


def test_a_coupling_that_cannot_disclose_is_refused() -> None:
    with pytest.raises(CapabilityMissing):
        Reference().start(LadderCoupling(ladder_goal(5), 2), None)


def test_it_comes_last_and_only_where_data_may_be_seen() -> None:
    coupling = routed().coupling
    offered = frozenset({"DEPTH", "DISCLOSE"})
    suits = Reference().suits(coupling, offered)  # type: ignore[arg-type] # literal set
    others = Search().suits(coupling, offered)  # type: ignore[arg-type] # literal set
    assert suits is not None
    assert others is not None
    assert suits.rank > others.rank
    assert Reference().suits(coupling, frozenset({"DEPTH"})) is None
    assert Reference().suits(LadderCoupling(ladder_goal(5), 2), offered) is None  # type: ignore[arg-type] # literal set


def test_slots_may_be_any() -> None:
    """Slot numbers need not follow one another: each has its own place all the same."""
    made = routing_example()
    members = tuple(Member(**{**m.model_dump(), "slot": 3 * m.slot + 1}) for m in made.members)
    case = opened(replace(made, members=members), Routing())
    assert solve(case).value == solve(routed()).value


def test_following_takes_questions_from_the_record_and_judges_the_answers() -> None:
    """Any question may be on record; what it certifies, the sums say."""
    case = arbitraged(pool_example())
    ended = play(Reference(), case.coupling, case.problems)
    solver, state, true = after_widths(case)
    assert isinstance(solver, RecordedSolver)
    asked: Query = ended.queries[2]
    for query, summed in zip(ended.queries[3:], ended.totals[2:], strict=False):
        followed = solver.follow(state, true, asked)
        assert isinstance(followed, Central)
        assert solver.ask(followed, query_digest) == asked
        state, true, asked = followed, Total(summed, ("p0",), exact=True), query
    last = solver.follow(state, true, asked)
    assert isinstance(last, Central)
    end = solver.follow(last, Total(ended.totals[-1], ("p0",), exact=True), asked)
    assert end == ended.solution


def test_a_question_that_certifies_nothing_is_not_followed() -> None:
    solver, state, true = after_widths(routed())
    with pytest.raises(LayoutMismatch):
        solver.follow(state, true, disclose_query())


def test_slack_grows_where_an_answer_misses_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: without it an optimum that is a little short is all that there is."""
    case = arbitraged(pool_example())
    true = conic.solve
    short = 1.0 - 1e-5
    monkeypatch.setattr(
        conic, "solve", lambda program: replace(true(program), duals=true(program).duals * short)
    )
    assert solve(case).value > 0
    monkeypatch.setattr(reference, "_steered", lambda state: state.slack)
    assert solve(case).value == 0
