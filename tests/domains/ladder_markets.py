"""Ladders that share capital, for tests: drawn tables, their linear program, plays with memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog  # type: ignore[import-untyped]  # scipy has no stubs
from tests.domains.pool_markets import member

from covenue.hooks.domains import EMPTY, LocalProblem, Memory
from covenue.hooks.solvers import Coupling, Solution, Solver, State, Total
from covenue.numerics.words import Words, total
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import query_digest
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Query
from covenue_domain_arbitrage.goals import parse_goal

Table = dict[str, Any]
Reals = NDArray[np.float64]
WIDTHS = (12, 15, 19)


def table(venues: int, instruments: int, levels: int, seed: int) -> Table:
    """Ladders around references of 100: ticks of 1 bp, fees, capital and inventory (family d)."""
    entropy = [4, seed, venues, instruments, levels]
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    shape = (venues, instruments, levels)
    off = draw.random((12, venues, instruments)).sum(0) - 6.0
    mid = 100.0 * (1 + 8e-4 * off)[:, :, None]
    fee = np.array([0.0, 1e-4, 2e-4, 4e-4])[draw.integers(0, 4, venues)][:, None, None]
    up, down = (np.cumsum(1 + draw.integers(0, 2, shape), 2) for _ in range(2))
    ask, bid = (mid + 0.01 * up) * (1 + fee), (mid - 0.01 * down) * (1 - fee)
    asked, wanted = (1.0 + draw.integers(1, 100, shape) for _ in range(2))
    return {
        "ask": ask,
        "ask_size": asked,
        "bid": bid,
        "bid_size": wanted,
        "capital": (ask * asked).sum((1, 2)) * (0.02 + 0.15 * draw.random(venues)),
        "inventory": wanted.sum(2) * (0.2 + 0.6 * draw.random((venues, instruments))),
    }


def deal(whole: Table, parties: int) -> list[Table]:
    """The venues of a table dealt out to parties."""
    return [{k: v[party::parties] for k, v in whole.items()} for party in range(parties)]


def goal(instruments: int, exposure: str = "20", **more: Any) -> Goal:
    """References of 100, and cash of 1; up to `exposure` of each instrument, either way."""
    names = (*(f"i{k}" for k in range(instruments)), "cash")
    limits = (*(exposure,) * instruments, "unlimited")
    terms: Mapping[str, Any] = {
        "assets": names,
        "references": (*("100",) * instruments, "1"),
        "most": limits,
        "owed": limits,
        "scale_bits": 30,
        "value_bits": 30,
        "slope_bits": 8,
        "band": 2,
        "jumps": True,
        "widths": WIDTHS,
    }
    return parse_goal({**terms, **more})


def example(made: Goal, tables: Sequence[Any]) -> DomainExample:
    members = tuple(member(slot) for slot in range(len(tables)))
    return DomainExample(made, members, tuple(tables), ({},) * len(tables))


def drawn_example(
    parties: int = 2, instruments: int = 3, levels: int = 5, seed: int = 0, **more: Any
) -> DomainExample:
    whole = table(2 * parties, instruments, levels, seed)
    return example(goal(instruments, **more), deal(whole, parties))


def optimum(tables: Sequence[Table], exposure: float, reference: float = 100.0) -> float:
    """What the linear program of all tables is worth, by HiGHS."""
    costs: list[float] = []
    sizes: list[float] = []
    nets: list[tuple[int, float]] = []
    caps: list[tuple[dict[int, float], float]] = []
    for each in tables:
        for i in range(len(each["ask"])):
            spent: dict[int, float] = {}
            for k in range(each["ask"].shape[1]):
                for p, q in zip(each["ask"][i, k], each["ask_size"][i, k], strict=True):
                    spent[len(costs)] = float(p)
                    costs.append(float(p) - reference)
                    sizes.append(float(q))
                    nets.append((k, 1.0))
                sold: dict[int, float] = {}
                for p, q in zip(each["bid"][i, k], each["bid_size"][i, k], strict=True):
                    sold[len(costs)] = 1.0
                    costs.append(reference - float(p))
                    sizes.append(float(q))
                    nets.append((k, -1.0))
                if "inventory" in each:
                    caps.append((sold, float(each["inventory"][i, k])))
            if "capital" in each:
                caps.append((spent, float(each["capital"][i])))
    instruments = tables[0]["ask"].shape[1]
    rows = np.zeros((2 * instruments + len(caps), len(costs)))
    right = [exposure] * (2 * instruments) + [limit for _, limit in caps]
    for column, (k, sign) in enumerate(nets):
        rows[2 * k, column], rows[2 * k + 1, column] = sign, -sign
    for number, (entries, _) in enumerate(caps):
        for column, factor in entries.items():
            rows[2 * instruments + number, column] = factor
    if not costs:
        return 0.0
    bounds = [(0.0, size) for size in sizes]
    found = linprog(costs, A_ub=rows, b_ub=right, bounds=bounds, method="highs")
    assert found.status == 0
    return -float(found.fun)


@dataclass(frozen=True)
class Played:
    """A solve with the memories of every participant, by query digest."""

    rounds: int
    solution: Solution
    queries: tuple[Query, ...]
    totals: tuple[Words, ...]
    memories: Mapping[str, tuple[Memory, ...]]


def play(  # noqa: PLR0917 -- a play with all that it starts from
    solver: Solver,
    coupling: Coupling,
    problems: Sequence[LocalProblem],
    warm: State | None = None,
    kept: Mapping[str, tuple[Memory, ...]] | None = None,
    rounds_most: int = 400,
) -> Played:
    """Ask, answer, sum, tell; each participant continues from what it kept of the named query."""
    state: State = solver.start(coupling, warm)
    old, new = dict(kept or {}), dict[str, tuple[Memory, ...]]()
    queries: list[Query] = []
    totals: list[Words] = []
    cohort = tuple(f"p{index}" for index in range(len(problems)))
    while len(queries) < rounds_most:
        query = solver.ask(state, query_digest)
        nothing = (EMPTY,) * len(problems)
        before = {**old, **new}.get(query.after or "", nothing)
        pairs = zip(problems, before, strict=True)
        answers = [problem.answer(query, memory) for problem, memory in pairs]
        name = query_digest(query)
        new[name] = tuple(memory for _, memory in answers)
        queries.append(query)
        totals.append(total([words for words, _ in answers]))
        state = solver.tell(state, Total(totals[-1], cohort, exact=True, query=name))
        if isinstance(state, Solution):
            return Played(len(queries), state, tuple(queries), tuple(totals), new)
    raise AssertionError(f"no solution after {rounds_most} rounds")


def commit_query(solution: Solution) -> Query:
    """The kernel's question for the actions of a solution."""
    return Query(
        kind="commit",
        after=solution.after,
        multipliers=solution.multipliers,
        points=tuple(str(point) for point in solution.points),
    )
