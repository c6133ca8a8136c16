"""Plans of all four families whose bits must be the same on every machine; prints a digest of each.

`python -m tests.solvers.environment_plans [--order reversed] [--mutant dot] [case ...]`: one JSON
object, digest by case. Whoever runs it chooses the environment: threads, kernels of BLAS, what
numpy and numba may use of the processor, whether anything is compiled. Instances are drawn in
integers, and are a case of their own, so that a plan is not blamed for another problem. `sum` is
watched: floats are added otherwise by Python 3.12 than by 3.11.
Source: solvers.md, section 4, proof.
"""

import argparse
import builtins
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import Any

import numpy as np

import covenue
from covenue.hooks.domains import EMPTY, Domain, LocalProblem, Memory
from covenue.hooks.solvers import Coupling, Solution, Solver, State, Total
from covenue.hooks.venues import PoolBatch
from covenue.ledger.audit_log import AuditLog
from covenue.numerics import ldlt
from covenue.numerics.words import Words, to_bytes, total, words
from covenue.registry.load import Registry
from covenue.replay import open_ledger
from covenue.rounds import preflight, session
from covenue.rounds.scenario import read_scenario
from covenue.testing.solvers import query_digest
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Contract
from covenue_contracts.energibridge import Asset, ClockStamp
from covenue_contracts.plan import Goal, Member, PlanDelta
from covenue_contracts.shared import Query
from covenue_domain_arbitrage import Arbitrage, against
from covenue_domain_arbitrage import selftest as arbitrage_selftest
from covenue_domain_execution import Execution
from covenue_domain_execution import buy as execute
from covenue_domain_execution import selftest as execution_selftest
from covenue_domain_routing import Books, Routing, basket, buy
from covenue_domain_routing import selftest as routing_selftest
from covenue_solver_admm import Admm
from covenue_solver_dual import Dual, Lbfgs
from covenue_solver_dual import selftest as dual_selftest
from covenue_solver_dual import tracked_selftest as path_selftest
from covenue_solver_proximal import Proximal
from covenue_solver_proximal import selftest as proximal_selftest
from covenue_solver_search import Search

PLAN = "0" * 64
ROUNDS_MOST = 70
"""Where a plan takes more, its bits so far count."""
KEPT = (bool, int, float, str, bytes, Fraction, Enum, NoneType)
STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
NAMES = ("amber", "birch", "cedar")
SOLVERS: Mapping[str, Callable[[], Solver]] = {
    "cached": lambda: Dual.from_options({"hessian": "cached"}),
    "every": lambda: Dual.from_options({"hessian": "every"}),
    "auto": Dual,
    "lbfgs": Lbfgs,
    "scheduled": lambda: Dual.from_options({"mode": "scheduled"}),
    "proximal": Proximal,
    "search": Search,
    "admm": Admm,
}
ORDERS: Mapping[str, tuple[int, ...]] = {
    "given": (0, 1, 2),
    "reversed": (2, 1, 0),
    "turned": (1, 2, 0),
}


@dataclass(frozen=True)
class Market:
    """A goal, what each party holds, and what it holds at the next plan."""

    domain: Domain
    goal: Goal
    states: tuple[Any, ...]
    moved: tuple[Any, ...]

    def problems(self, states: Sequence[Any]) -> list[LocalProblem]:
        """In order of slots."""
        rows = zip(members(), states, strict=True)
        return [self.domain.problem(self.goal, members(), who, state, {}) for who, state in rows]


def members() -> tuple[Member, ...]:
    """Three parties; their slots follow them, in whatever order they answer."""
    rows = enumerate(NAMES)
    return tuple(
        Member(did="did:key:z" + "6" * 46 + str(slot + 1), name=name, slot=slot)
        for slot, name in rows
    )


def integers(seed: Sequence[int], low: int, high: int, *shape: int) -> Any:
    """Whole numbers from low to high - 1."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(seed))))
    return draw.integers(low, high, shape)


# ---- markets


def pools(*, with_ranges: bool) -> Market:
    """Forty assets, ninety pools a party near the references; some give no more than a range."""
    size, count = 40, 90
    names = tuple(f"a{number}" for number in range(size))
    goal = against(dict.fromkeys(names, "1"), scale_bits=30, value_bits=30, band=16)
    states = tuple(_pool_batch(slot, names, count, with_ranges) for slot in range(3))
    first = states[0]
    reserves = first.reserves.copy()
    reserves[7] = reserves[7, 0] * 101 // 100, reserves[7, 1] * 100 // 101
    moved = (replace(first, reserves=reserves), *states[1:])
    return Market(Arbitrage(), goal, states, moved)


def whole_pools() -> Market:
    """Constant products."""
    return pools(with_ranges=False)


def ranges() -> Market:
    """Concentrated liquidity."""
    return pools(with_ranges=True)


def _pool_batch(slot: int, names: Sequence[str], count: int, with_ranges: bool) -> PoolBatch:
    size = len(names)
    a = np.arange(count) % size
    b = (a + integers((1, slot), 1, size, count)) % size
    depth = integers((2, slot), 50, 5000, count) * 10**9
    tilt = integers((3, slot), 980_000, 1_020_000, count)
    reserves = np.stack([depth, depth // 10**6 * tilt], axis=1)
    given = reserves // np.array([20, 200, 2000])[integers((4, slot), 0, 3, count, 2)]
    return PoolBatch(
        f"v{slot}",
        tuple(Asset(name=name, decimals=9) for name in names),
        tuple(f"pool-{number}" for number in range(count)),
        sides=np.stack([a, b], axis=1),
        reserves=reserves,
        fee_ppm=np.array([100, 500, 3000, 10_000])[integers((5, slot), 0, 4, count)],
        stamp=STAMP,
        **({"available": given} if with_ranges else {}),
    )


def ladders() -> Market:
    """Eight instruments on two venues a party, which share capital and inventory."""
    names = tuple(f"i{number}" for number in range(8))
    goal = against(
        {**dict.fromkeys(names, "100"), "cash": "1"},
        most=(*("20",) * len(names), "unlimited"),
        owed=(*("20",) * len(names), "unlimited"),
        scale_bits=30,
        value_bits=30,
        slope_bits=8,
        band=2,
        jumps=True,
        widths=(12, 15, 19),
    )
    states = tuple(_ladder_table(slot, len(names)) for slot in range(3))
    first = {**states[0], "ask": states[0]["ask"] * 1.0003, "bid": states[0]["bid"] * 1.0003}
    return Market(Arbitrage(), goal, states, (first, *states[1:]))


def _ladder_table(slot: int, size: int) -> dict[str, Any]:
    shape = (2, size, 6)
    mid = 10_000 + integers((6, slot), -20, 21, 2, size, 1)
    fee = integers((7, slot), 0, 5, 2, 1, 1)
    up, down = (integers((8, slot, side), 1, 3, *shape).cumsum(axis=2) for side in (0, 1))
    asked, wanted = (integers((9, slot, side), 1, 100, *shape) for side in (0, 1))
    ask, bid = (mid + up) * (10_000 + fee), (mid - down) * (10_000 - fee)
    return {
        "ask": ask / 10.0**6,
        "bid": bid / 10.0**6,
        "ask_size": asked.astype(np.float64),
        "bid_size": wanted.astype(np.float64),
        "capital": (ask * asked).sum(axis=(1, 2)) // 7 / 10.0**6,
        "inventory": (wanted.sum(axis=2) * 3 // 5).astype(np.float64),
    }


def schedules() -> Market:
    """An order over thirty-two slices, six venues a party."""
    size = 32
    goal = execute(9000, "100", size, tracking_bps="100")
    states = tuple(_schedule_table(slot, size) for slot in range(3))
    dearer = {**states[0], "a": states[0]["a"] * 1.05}
    return Market(Execution(), goal, states, (dearer, *states[1:]))


def _schedule_table(slot: int, size: int) -> dict[str, Any]:
    volume = integers((10, slot), 200, 1200, 6, size)
    cap = volume // 5
    return {
        "a": integers((11, slot), 200, 1300, 6, size) / 1000.0,
        "eta": integers((12, slot), 1, 4, 6, 1) / volume,
        "cap": cap.astype(np.float64),
        "credit": (cap.sum(axis=1) * integers((13, slot), 30, 80, 6) // 100).astype(np.float64),
    }


def books() -> Market:
    """One instrument, twelve books of twenty levels a party."""
    states = tuple(Books(*_levels(slot, 12, 20)) for slot in range(3))
    deeper = Books(states[0].prices, states[0].lots * 2)
    goal = buy("20000", lot="1", price_scale=1)
    return Market(Routing(), goal, states, (deeper, *states[1:]))


def baskets() -> Market:
    """Four instruments under one budget, five books of twelve levels a party."""
    states = tuple(Books(*_levels(slot, 5, 4, 12)) for slot in range(3))
    deeper = Books(states[0].prices, states[0].lots * 2)
    wanted = {f"i{number}": ("3000", str(10_040 + 7 * number)) for number in range(4)}
    goal = basket(wanted, "60000000", lot="1", price_scale=1)
    return Market(Routing(), goal, states, (deeper, *states[1:]))


def _levels(slot: int, *shape: int) -> tuple[Any, Any]:
    steps = integers((14, slot, *shape), 1, 4, *shape)
    return 10_000 + steps.cumsum(axis=-1), integers((15, slot, *shape), 1, 200, *shape)


# ---- what is run on them


def transcript(market: Market, solver: Solver, order: Sequence[int], noise: int = 0) -> str:
    """SHA-256 over a cold plan, a warm one after one party's state moved, and what both commit.

    order: in which the parties answer. noise: greatest addition to each word of every sum.
    """
    said, warm, kept = sha256(), None, dict[str, tuple[Memory, ...]]()
    coupling = market.domain.coupling(market.goal, members())
    for states in (market.states, market.moved):
        problems = market.problems(states)
        ordered = [problems[slot] for slot in order]
        solution, kept, told = _solved(solver, coupling, ordered, (warm, kept, noise))
        for part in (*told, *_committed(solution, ordered, order, kept)):
            said.update(part)
        warm = None if solution is None else solution.warm
    return said.hexdigest()


Before = tuple[State | None, dict[str, tuple[Memory, ...]], int]


def _solved(
    solver: Solver, coupling: Coupling, problems: Sequence[LocalProblem], before: Before
) -> tuple[Solution | None, dict[str, tuple[Memory, ...]], list[bytes]]:
    warm, kept, noise = before
    state, told, kept = solver.start(coupling, warm), list[bytes](), dict(kept)
    empty = (EMPTY,) * len(problems)
    for number in range(ROUNDS_MOST):
        query = solver.ask(state, query_digest)
        memories = kept.get(query.after or "", empty)
        answers = [p.answer(query, m) for p, m in zip(problems, memories, strict=True)]
        name = query_digest(query)
        kept[name] = tuple(memory for _, memory in answers)
        summed = _noised(total([said for said, _ in answers]), number, noise)
        told += [canonical(query), to_bytes(summed)]
        state = solver.tell(state, Total(summed, NAMES, exact=not noise, query=name))
        told += bits_of(state)
        if isinstance(state, Solution):
            return state, kept, told
    return None, kept, told


def bits_of(state: Any) -> Iterator[bytes]:
    """Every bit that a solver keeps: a difference that rounding hides today may show tomorrow."""
    if is_dataclass(state):
        for each in fields(state):
            yield each.name.encode()
            yield from bits_of(getattr(state, each.name))
    elif isinstance(state, Contract):
        yield canonical(state)
    elif isinstance(state, Mapping):
        yield from bits_of(sorted(state.items()))
    elif isinstance(state, np.ndarray):
        yield state.dtype.str.encode() + state.tobytes()
    elif isinstance(state, tuple | list):
        yield str(len(state)).encode()
        for item in state:
            yield from bits_of(item)
    elif isinstance(state, np.generic):
        yield from bits_of(state.item())
    else:
        assert isinstance(state, KEPT), type(state)
        yield state.hex().encode() if isinstance(state, float) else repr(state).encode()


def _noised(summed: Words, number: int, most: int) -> Words:
    if not most:
        return summed
    return words((summed + integers((16, number), -most, most + 1, len(summed))).tolist())


def _committed(
    solution: Solution | None,
    problems: Sequence[LocalProblem],
    order: Sequence[int],
    kept: Mapping[str, tuple[Memory, ...]],
) -> Iterator[bytes]:
    """Words and actions of every party, in order of slots."""
    if solution is None or solution.status not in {"certified", "estimated"}:
        return
    query = Query(
        kind="commit",
        after=solution.after,
        multipliers=solution.multipliers,
        points=tuple(map(str, solution.points)),
    )
    memories = kept.get(solution.after or "", (EMPTY,) * len(problems))
    for slot in range(len(order)):
        at = list(order).index(slot)
        actions, planned, _ = problems[at].commit(query, memories[at], PLAN)
        yield canonical(actions)
        yield to_bytes(planned)


def through_the_kernel(market: Market, solver: str, order: Sequence[int]) -> str:
    """Transcripts and plans of a plan and its re-plan, with a ledger in memory."""
    said, warm = sha256(), None
    for states in (market.states, market.moved):
        given = {NAMES[slot]: states[slot] for slot in order}
        result = covenue.plan(market.goal, given, solver=solver, warm=warm)
        assert result.status == "certified", result
        said.update(f"{result.transcript}{result.solution}".encode())
        said.update(np.ascontiguousarray(result.plan).tobytes())
        warm = result.warm
    return said.hexdigest()


def scenario() -> str:
    """The plans of a whole run: simulated venues, a proposal, trades, ledgers in files.

    Not the Merkle root: what pins the plugins is in it too, so it differs from version to version.
    """
    (shipped,) = (s for s in Arbitrage().scenarios() if s.name == "arbitrage-two-venues")
    text = shipped.path.read_text()
    text = text.replace("plans = 5", "plans = 1").replace("plans = 10", "plans = 1")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.toml"
        path.write_text(text)
        for party in ("north", "south"):
            path.with_name(party).symlink_to(shipped.path.with_name(party))
        registry = Registry()
        ended = session.run(preflight.prepare(read_scenario(path), registry), Path(folder) / "out")
        said = sha256()
        with open_ledger(ended.ledger, registry) as backend:
            for entry in AuditLog.open(backend).entries():
                if isinstance(entry.body, PlanDelta):
                    said.update(f"{entry.body.transcript}{entry.body.solution}".encode())
    return said.hexdigest()


def drawn() -> str:
    """All instances."""
    said = sha256()
    for make in (whole_pools, ranges, ladders, schedules, books, baskets):
        market = make()
        for state in (*market.states, *market.moved):
            values = state.values() if isinstance(state, dict) else vars(state).values()
            for array in values:
                said.update(array.tobytes() if isinstance(array, np.ndarray) else b"")
    return said.hexdigest()


def cases(order: Sequence[int]) -> dict[str, Callable[[], str]]:
    """Every case by its name."""

    def planned(make: Callable[[], Market], solver: str, noise: int = 0) -> Callable[[], str]:
        return lambda: transcript(make(), SOLVERS[solver](), order, noise)

    made: dict[str, Callable[[], str]] = {
        "instances": drawn,
        "self-test of dual": dual_selftest.computed,
        "self-test of paths": path_selftest.computed,
        "self-test of proximal": proximal_selftest.computed,
        "self-test of execution": execution_selftest.computed,
        "self-test of routing": routing_selftest.computed,
    }
    for kind in arbitrage_selftest.PINNED:
        made[f"self-test of {kind}"] = partial(arbitrage_selftest.computed, kind)
    for solver in ("cached", "every", "auto", "lbfgs"):
        made[f"pools, {solver}"] = planned(whole_pools, solver)
        made[f"ranges, {solver}"] = planned(ranges, solver)
    made["pools, scheduled under noise"] = planned(whole_pools, "scheduled", noise=2**24)
    made["schedule, auto"] = planned(schedules, "auto")
    made["schedule, every"] = planned(schedules, "every")
    made["schedule, scheduled under noise"] = planned(schedules, "scheduled", noise=2**18)
    made["ladders, proximal"] = planned(ladders, "proximal")
    made["ladders, admm"] = planned(ladders, "admm")
    made["schedule, admm"] = planned(schedules, "admm")
    made["one instrument, search"] = planned(books, "search")
    made["basket, search"] = planned(baskets, "search")
    made["pools, kernel"] = lambda: through_the_kernel(whole_pools(), "dual", order)
    made["basket, kernel"] = lambda: through_the_kernel(baskets(), "search", order)
    made["scenario, kernel"] = scenario
    return made


# ---- what the driver has to find


def _by_dot(factor: ldlt.Factor, right: ldlt.Reals) -> ldlt.Reals:
    """`ldlt.solved`, but each entry is one product of BLAS."""
    upper, x = factor.unit_upper, np.array(right, dtype=np.float64)
    for k in range(1, len(x)):
        x[k] -= np.dot(np.ascontiguousarray(upper[:k, k]), x[:k])
    x /= factor.pivots
    for k in range(len(x) - 2, -1, -1):
        x[k] -= np.dot(upper[k, k + 1 :], x[k + 1 :])
    return x


def _by_exp(x: Any, *_: Any, **__: Any) -> Any:
    """A square root by way of exp and log."""
    return np.exp(0.5 * np.log(x))


def _replace_everywhere(name: str, old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, name, None) is old:
            setattr(module, name, new)


def _mutate(which: str) -> None:
    """Put a forbidden operation into kernels, and leave self-tests unheard."""
    for name in [name for name in sys.modules if name.endswith("selftest")]:
        vars(sys.modules[name])["self_test"] = lambda *_: True
    if which == "dot":
        _replace_everywhere("solved", ldlt.solved, _by_dot)
    else:
        _replace_everywhere("sqrt", np.sqrt, _by_exp)


SUM = builtins.sum


def _watched_sum(items: Iterable[Any], /, start: Any = 0) -> Any:
    """`sum`, which refuses floats."""
    added = SUM(items, start)
    assert not isinstance(added, float), "a sum of floats"
    return added


def main(arguments: Sequence[str]) -> None:
    """Run the cases and print their digests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--order", choices=sorted(ORDERS), default="given")
    parser.add_argument("--mutant", choices=("dot", "exp"))
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("case", nargs="*")
    given = parser.parse_args(arguments)
    vars(builtins)["sum"] = _watched_sum
    if given.mutant:
        _mutate(given.mutant)
    found = {}
    for name, run in cases(ORDERS[given.order]).items():
        if name not in given.without and (not given.case or name in given.case):
            found[name] = run()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
