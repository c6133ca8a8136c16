"""The solver `admm` against the one that sees everything, on ladders, books and paths."""

from hypothesis import strategies as st
from tests.domains import execution_markets, ladder_markets
from tests.domains.test_arbitrage_prox import state

from covenue.hooks.solvers import Solution, Solver
from covenue.testing.differential import Rules, differential_conformance
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import SolverExample
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_execution import Execution
from covenue_solver_admm import Admm
from covenue_solver_dual import Dual
from covenue_solver_reference import Reference

TIGHT = Rules(must_certify=False, is_tight=True)
ENCLOSING = Rules(must_certify=False)


def with_memory(solver: Solver, case: SolverExample) -> Solution:
    played = ladder_markets.play(solver, case.coupling, case.problems, rounds_most=1000)
    return played.solution


def arbitraged(made: DomainExample) -> SolverExample:
    domain = Arbitrage()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


@st.composite
def laddered(draw: st.DrawFn) -> SolverExample:
    """Up to three parties; also crossed venues, equal prices, and one venue alone."""
    parties, instruments, levels = (draw(st.integers(1, most)) for most in (3, 4, 7))
    whole = ladder_markets.table(draw(st.integers(parties, 4)), instruments, levels,
                                 draw(st.integers(0, 2**20)))  # fmt: skip
    shape = draw(st.sampled_from(["plain", "plain", "crossed", "equal", "poor"]))
    if shape == "crossed":
        whole["bid"] = whole["bid"] * 1.003
    if shape == "equal":
        whole["ask"][:], whole["bid"][:] = whole["ask"][:1], whole["bid"][:1]
    if shape == "poor":
        whole["capital"] = whole["capital"] * 0.0
    return arbitraged(
        ladder_markets.example(
            ladder_markets.goal(instruments), ladder_markets.deal(whole, parties)
        )
    )


@st.composite
def booked(draw: st.DrawFn) -> SolverExample:
    """Two or three books of one instrument: empty sides, crossed venues, equal prices."""
    books = []
    for _ in range(draw(st.integers(2, 3))):
        off = draw(st.integers(-60, 60))
        size = st.integers(1, 10**5)
        asks = [(10_000 + off + step, draw(size)) for step in range(1, 1 + draw(st.integers(0, 4)))]
        bids = [(10_000 + off - step, draw(size)) for step in range(1, 1 + draw(st.integers(0, 4)))]
        books.append(state(asks, bids))
    made = ladder_markets.goal(1, "1000", margin=("8", "0"))
    names = {"base": "i0", "quote": "cash", "fee_bps": "1"}
    case = ladder_markets.example(made, books)
    return arbitraged(DomainExample(made, case.members, tuple(books), (names,) * len(books)))


@st.composite
def tracked(draw: st.DrawFn) -> SolverExample:
    """Orders over few slices, some of them beyond all that is offered."""
    slices, seed = draw(st.integers(1, 6)), draw(st.integers(0, 2**20))
    quantity = draw(st.sampled_from([1, 50, 400, 900, 10**5]))
    made = execution_markets.drawn_example(seed, quantity, slices)
    domain = Execution()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


TestAdmmOnLadders = differential_conformance(
    Admm, Reference, laddered(), TIGHT, examples_most=15, play=with_memory
)
TestAdmmOnBooks = differential_conformance(
    Admm, Reference, booked(), ENCLOSING, examples_most=15, play=with_memory
)
TestAdmmOnPathsAndDual = differential_conformance(
    Admm, Dual, tracked(), ENCLOSING, examples_most=15, play=with_memory
)
