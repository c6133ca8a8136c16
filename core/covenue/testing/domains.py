"""A small domain for tests, and numbered cases that every domain's problems pass.

The ladder domain is the least that a keyed domain can be: integer offers (level, lots), cheapest
first, no market around them. The kernel's own tests run on it without any plugin.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, permutations
from typing import Any

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.domains import (
    EMPTY,
    Acted,
    Dialect,
    Domain,
    LocalProblem,
    Memory,
    OpenedParty,
    OpenedPlan,
    PartyConfig,
    Scenario,
    Section,
)
from covenue.hooks.solvers import BasketCoupling, Coupling, KeyedCoupling
from covenue.hooks.venues import Snapshot
from covenue.numerics.words import Words, integers, to_bytes, total, words
from covenue_contracts.canonical import canonical
from covenue_contracts.local import Actions, Leg
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Capability, Query, Space

LADDER_TOP = 2**20
Levels = Sequence[tuple[int, int]]


def ladder_goal(quantity: int, pace: int | None = None, least: int = 0) -> Goal:
    """A goal of the ladder domain: `quantity` lots in all, at most `pace` of them a plan."""
    return Goal(
        domain="ladder",
        aim="fill",
        remaining=(str(quantity),),
        terms={"quantity": str(quantity), "pace": pace, "least": least},
    )


def _wanted(goal: Goal) -> int:
    pace = goal.terms.get("pace")
    left = int(goal.remaining[0])
    return min(left, pace) if isinstance(pace, int) else left


def _space(members: int) -> Space:
    return Space(
        signal="ladder-depth",
        names=("lots",),
        units=("lots",),
        scale_bits=0,
        bound=str((2**63 - 1) // max(1, members)),
    )


@dataclass(frozen=True)
class LadderCoupling:
    """The public side of a ladder plan; a KeyedCoupling with keys `level * 2^shift + slot`."""

    goal: Goal
    members: int

    @property
    def space(self) -> Space:
        """One coordinate: lots."""
        return _space(self.members)

    @property
    def key_shift(self) -> int:
        """Bits that hold a slot."""
        return (self.members - 1).bit_length()

    @property
    def key_range(self) -> tuple[int, int]:
        """Keys of all levels below LADDER_TOP."""
        return 0, LADDER_TOP << self.key_shift

    @property
    def wanted(self) -> int:
        """Lots that this plan asks for."""
        return _wanted(self.goal)

    @property
    def least(self) -> int:
        """Fewest lots that make a plan."""
        least = self.goal.terms.get("least")
        return least if isinstance(least, int) else 0

    def unit_value(self, key: int) -> int:
        """The level of a key: what one lot costs."""
        return key >> self.key_shift

    def width(self, query: Query) -> int:
        """Words of an answer: probes and a cost for depth, one to commit, three to settle."""
        widths = {"depth": len(query.points) + 1, "commit": 1, "settle": 3}
        return widths[query.kind]

    def admits(self, total: Words, goal: Goal) -> bool:
        """Something, no more than this plan asks for, no less than the least."""
        (lots,) = integers(total)
        return max(1, min(self.least, _wanted(goal))) <= lots <= _wanted(goal)

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """The whole quantity less what is settled, reserved or committed; never negative."""
        quantity = int(str(self.goal.terms["quantity"]))
        taken = int(settled[0]) + int(reserved[0]) + int(committed[0])
        return self.goal.model_copy(update={"remaining": (str(max(0, quantity - taken)),)})


@dataclass(frozen=True)
class LadderProblem:
    """One participant's offers.

    levels: (level, lots) pairs with 0 <= level < LADDER_TOP and lots >= 0, in any order.
    """

    levels: Levels
    slot: int
    members: int
    goal: Goal
    capabilities: frozenset[Capability] = field(
        default_factory=lambda: frozenset[Capability]({"DEPTH"})
    )

    @property
    def space(self) -> Space:
        """One coordinate: lots."""
        return _space(self.members)

    @cached_property
    def offers(self) -> tuple[tuple[int, int], ...]:
        """(key, lots), cheapest first; equal levels are one offer, empty ones none."""
        shift = (self.members - 1).bit_length()
        merged: dict[int, int] = {}
        for level, lots in self.levels:
            key = (level << shift) + self.slot
            merged[key] = merged.get(key, 0) + lots
        return tuple(sorted((key, lots) for key, lots in merged.items() if lots))

    @cached_property
    def _sums(self) -> tuple[list[int], list[int], list[int]]:
        shift = (self.members - 1).bit_length()
        keys = [key for key, _ in self.offers]
        lots = list(accumulate((n for _, n in self.offers), initial=0))
        cost = list(accumulate(((key >> shift) * n for key, n in self.offers), initial=0))
        return keys, lots, cost

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Lots below each point, and the cost of those below the first point."""
        if query.kind != "depth":
            raise CapabilityMissing(
                f"a ladder offers DEPTH and was asked '{query.kind}'", "choose solver 'search'"
            )
        keys, lots, cost = self._sums
        places = [bisect_left(keys, int(point)) for point in query.points]
        return words([*(lots[place] for place in places), cost[places[0]]]), memory

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """One leg that takes everything below the key, and the residual at it."""
        key, residual = (int(point) for point in query.points)
        taken = [
            (level_key, lots if level_key < key else min(lots, residual))
            for level_key, lots in self.offers
            if level_key <= key
        ]
        planned = sum(lots for _, lots in taken)
        if not planned:
            return Actions(plan=plan, unit="1", legs=(), swaps=()), words([0]), memory
        shift = (self.members - 1).bit_length()
        legs = (
            Leg(
                side="buy",
                instrument="ladder",
                limit_ticks=str(max(k for k, lots in taken if lots) >> shift),
                quantity_steps=str(planned),
                most_units=str(planned),
            ),
        )
        return Actions(plan=plan, unit="1", legs=legs, swaps=()), words([planned]), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """What the fills add up to, and what is not known to have failed."""
        executed = unknown = 0
        for deed in acted:
            reports = deed.outcomes
            done = sum(int(fill.units) for report in reports or () for fill in report.fills)
            executed += done
            if reports is None or any(report.status == "unknown" for report in reports):
                unknown += max(0, int(deed.planned[0]) - done)
        return words([executed]), words([unknown])


class LadderDomain:
    """The ladder domain; a state is a tuple of (level, lots) pairs, bare or in a Snapshot."""

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """A goal from `quantity`, and optionally `pace` and `least`, in lots."""
        quantity = config.get("quantity")
        if not isinstance(quantity, int) or quantity < 1:
            raise BadInput(
                "the quantity is not a positive number of lots",
                "give a whole number",
                file=file,
                field="domain.goal.quantity",
                value=str(quantity),
            )
        pace, least = config.get("pace"), config.get("least", 0)
        return ladder_goal(
            quantity,
            pace if isinstance(pace, int) else None,
            least if isinstance(least, int) else 0,
        )

    def continues(self, order: Goal, plan: Goal) -> bool:
        """The same terms, and no more left than the order began with."""
        same = plan.model_copy(update={"remaining": order.remaining}) == order
        return same and int(plan.remaining[0]) <= int(order.remaining[0])

    def coupling(self, goal: Goal, members: Sequence[Member]) -> Coupling:
        """The public side of one plan."""
        return LadderCoupling(goal, len(members))

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> LocalProblem:
        """One participant's offers."""
        levels = state.state if isinstance(state, Snapshot) else state
        return LadderProblem(tuple(levels), member.slot, len(members), goal)

    def scenarios(self) -> Sequence[Scenario]:
        """None: the ladder is for tests."""
        return ()

    def dialects(self) -> Sequence[Dialect]:
        """None: ladders are spoken of in contracts alone."""
        return ()

    def opened_figures(
        self, plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
    ) -> Mapping[str, Any]:
        """How many plans there were, and how many had a proposal."""
        return {"plans": len(plans), "proposals": sum(plan.delta is not None for plan in plans)}

    def plan_figures(self, plan: OpenedPlan, parties: Sequence[OpenedParty]) -> Mapping[str, Any]:
        """Who took part, in the ladder's order."""
        venues = [party.member.name for party in parties]
        if plan.delta is None:
            return {"venues": venues, "status": "none"}
        cohort = plan.delta.cohort
        why = [
            {"because": "it took part" if party.member.did in cohort else "it was not there"}
            for party in parties
        ]
        return {"venues": venues, "status": plan.delta.status, "why": why}

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """One section with those figures."""
        return (Section("Ladder", "Offers of a test domain.", dict(figures)),)


@dataclass(frozen=True)
class DomainExample:
    """One plan of a domain, for its conformance: public side and every participant's state."""

    goal: Goal
    members: tuple[Member, ...]
    states: tuple[Any, ...]
    configs: tuple[PartyConfig, ...]

    def problems(self, domain: Domain) -> tuple[LocalProblem, ...]:
        """Every participant's problem, built anew."""
        rows = zip(self.members, self.states, self.configs, strict=True)
        return tuple(domain.problem(self.goal, self.members, m, s, c) for m, s, c in rows)


def depth_query(points: Sequence[int]) -> Query:
    """A depth query at integer keys."""
    return Query(kind="depth", after=None, multipliers=None, points=tuple(map(str, points)))


def commit_query(points: Sequence[int]) -> Query:
    """A commit query for the points of a solution."""
    return Query(kind="commit", after=None, multipliers=None, points=tuple(map(str, points)))


class KeyedDomainConformance:
    """Numbered cases; a number never changes its meaning."""

    build: Callable[[], Domain]
    examples: Callable[[], Sequence[DomainExample]]

    def test_dom_001_equal_inputs_give_equal_bytes(self) -> None:
        """Replay recomputes answers in another process: nothing but the inputs may count."""
        domain = self.build()
        for first, second in zip(self.examples(), self.examples(), strict=True):
            query = depth_query(_probes(_coupling(domain, first)))
            for a, b in zip(first.problems(domain), second.problems(domain), strict=True):
                assert to_bytes(a.answer(query, EMPTY)[0]) == to_bytes(b.answer(query, EMPTY)[0])

    def test_dom_002_asking_twice_changes_nothing(self) -> None:
        """A retry repeats its bytes; neither asking nor committing may leave a trace."""
        domain = self.build()
        for example in self.examples():
            query = depth_query(_probes(_coupling(domain, example)))
            for problem in example.problems(domain):
                first = problem.answer(query, EMPTY)
                problem.commit(commit_query(_middle(domain, example)), EMPTY, "0" * 64)
                again = problem.answer(query, EMPTY)
                assert to_bytes(first[0]) == to_bytes(again[0])
                assert first[1] == again[1]

    def test_dom_003_an_answer_has_the_width_that_the_coupling_says(self) -> None:
        """The coordinator must know a round's width before anything arrives."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            query = depth_query(_probes(coupling))
            for problem in example.problems(domain):
                assert len(problem.answer(query, EMPTY)[0]) == coupling.width(query)
                assert problem.space == coupling.space

    def test_dom_004_depth_rises_with_the_key_and_starts_at_nothing(self) -> None:
        """A search by sums relies on monotone depth from nothing at the first key."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for problem in example.problems(domain):
                got = integers(problem.answer(depth_query(_probes(coupling)), EMPTY)[0])[:-1]
                assert got[0] == 0
                assert list(got) == sorted(got)

    def test_dom_005_every_word_keeps_the_bound_of_the_space(self) -> None:
        """The kernel clips at the bound; a domain that needs clipping would give wrong sums."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            bound = int(coupling.space.bound)
            for points in (_probes(coupling), _probes(coupling)[::-1]):
                for problem in example.problems(domain):
                    got = integers(problem.answer(depth_query(points), EMPTY)[0])
                    assert max(map(abs, got)) <= bound

    def test_dom_006_a_commitment_never_plans_more_than_the_solution(self) -> None:
        """What is acted on never exceeds what was planned, native steps and all."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            query = commit_query(_middle(domain, example))
            problems = example.problems(domain)
            planned = [problem.commit(query, EMPTY, "0" * 64) for problem in problems]
            assert int(total([words for _, words, _ in planned])[0]) <= coupling.wanted
            for actions, words_, _ in planned:
                most = sum(int(leg.most_units) for leg in actions.legs)
                assert most <= int(words_[0])

    def test_dom_007_the_order_of_participants_changes_no_sum(self) -> None:
        """A sum names nobody: who came first must not show."""
        domain = self.build()
        for example in self.examples():
            query = depth_query(_probes(_coupling(domain, example)))
            answers = [p.answer(query, EMPTY)[0] for p in example.problems(domain)]
            sums = {to_bytes(total(order)) for order in permutations(answers[:4])}
            assert len(sums) == 1

    def test_dom_008_an_unknown_kind_of_query_is_refused(self) -> None:
        """An unknown question is refused by name, never answered by accident."""
        domain = self.build()
        query = Query(kind="score", after=None, multipliers=None, points=())
        for example in self.examples():
            for problem in example.problems(domain):
                refused = False
                try:
                    problem.answer(query, EMPTY)
                except CapabilityMissing:
                    refused = True
                assert refused

    def test_dom_009_what_is_left_is_never_negative_and_never_grows(self) -> None:
        """A remainder that grew would let an order execute more than its goal."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            whole = int(coupling.left(words([0]), words([0]), words([0])).remaining[0])
            seen = [
                int(coupling.left(words([a]), words([b]), words([c])).remaining[0])
                for a, b, c in ((1, 0, 0), (1, 1, 0), (1, 1, 1), (whole, whole, whole))
            ]
            assert seen == sorted(seen, reverse=True)
            assert seen[-1] == 0
            assert canonical(coupling.goal) == canonical(example.goal)


def keyed_domain_conformance(
    build: Callable[[], Domain], examples: Callable[[], Sequence[DomainExample]]
) -> type[KeyedDomainConformance]:
    """A test class with the cases DOM-001 to DOM-009, for domains whose coupling is keyed.

    Use: `TestRouting = keyed_domain_conformance(Routing, examples)`. The examples are built anew
    for every case; give at least two, one of them with two members or more.
    """
    cases = {"build": staticmethod(build), "examples": staticmethod(examples)}
    return type("KeyedDomainConformance", (KeyedDomainConformance,), cases)


def _coupling(domain: Domain, example: DomainExample) -> KeyedCoupling:
    coupling = domain.coupling(example.goal, example.members)
    assert isinstance(coupling, KeyedCoupling)
    return coupling


def _probes(coupling: KeyedCoupling) -> list[int]:
    first, end = coupling.key_range
    return sorted({first + (end - first) * part // 16 for part in range(17)})


def _middle(domain: Domain, example: DomainExample) -> tuple[int, int]:
    """A solution found by bisection on opened sums: (marginal key, residual)."""
    coupling = _coupling(domain, example)
    problems = example.problems(domain)

    def depth(key: int) -> int:
        query = depth_query([key])
        return sum(int(problem.answer(query, EMPTY)[0][0]) for problem in problems)

    low, high = coupling.key_range
    if depth(high) < coupling.wanted:
        return high, 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if depth(middle) < coupling.wanted else (low, middle)
    return low, coupling.wanted - depth(low)


class BasketDomainConformance:
    """Numbered cases; a number never changes its meaning."""

    build: Callable[[], Domain]
    examples: Callable[[], Sequence[DomainExample]]

    def test_bkt_001_equal_questions_get_equal_bytes_whatever_was_asked_before(self) -> None:
        """Replay recomputes answers elsewhere, and a retry repeats its bytes."""
        domain = self.build()
        for first, second in zip(self.examples(), self.examples(), strict=True):
            asked = _basket_query(_basket(domain, first), _basket_solution(domain, first))
            for a, b in zip(first.problems(domain), second.problems(domain), strict=True):
                b.commit(commit_query(_basket_solution(domain, second)), EMPTY, "0" * 64)
                assert to_bytes(a.answer(asked, EMPTY)[0]) == to_bytes(b.answer(asked, EMPTY)[0])

    def test_bkt_002_an_answer_has_the_width_that_the_coupling_says(self) -> None:
        """With and without cuts; a commitment has a word an instrument, and the spend."""
        domain = self.build()
        for example in self.examples():
            coupling = _basket(domain, example)
            solution = _basket_solution(domain, example)
            asked = _basket_query(coupling, solution)
            cuts = [len(coupling.values) * (1,), [v << coupling.cut_shift for v in coupling.values]]
            alone = depth_query([point for part in cuts for point in part])
            for problem in example.problems(domain):
                for query in (asked, alone):
                    assert len(problem.answer(query, EMPTY)[0]) == coupling.width(query)
                planned = problem.commit(commit_query(solution), EMPTY, "0" * 64)[1]
                assert len(planned) == len(coupling.values) + 1 == len(coupling.goal.remaining)
                assert problem.space == coupling.space

    def test_bkt_003_depth_and_spend_rise_with_their_keys_from_nothing(self) -> None:
        """Both searches rely on monotone sums."""
        domain = self.build()
        for example in self.examples():
            coupling = _basket(domain, example)
            asked = _basket_query(coupling, _basket_solution(domain, example))
            for problem in example.problems(domain):
                got = integers(problem.answer(asked, EMPTY)[0])
                parts = [got[start : start + 17] for start in range(0, len(got) - 17, 17)]
                assert len(parts) == len(coupling.values) + 1
                for part in parts:
                    assert part[0] == 0
                    assert list(part) == sorted(part)

    def test_bkt_004_every_word_keeps_the_bound_of_the_space(self) -> None:
        """The kernel clips at the bound; a domain that needs clipping would give wrong sums."""
        domain = self.build()
        for example in self.examples():
            coupling = _basket(domain, example)
            asked = _basket_query(coupling, _basket_solution(domain, example))
            for problem in example.problems(domain):
                got = integers(problem.answer(asked, EMPTY)[0])
                assert max(map(abs, got)) <= int(coupling.space.bound)

    def test_bkt_005_commitments_keep_quantities_and_budget(self) -> None:
        """What is acted on never exceeds what was planned, native steps and all."""
        domain = self.build()
        for example in self.examples():
            coupling = _basket(domain, example)
            query = commit_query(_basket_solution(domain, example))
            done = [each.commit(query, EMPTY, "0" * 64) for each in example.problems(domain)]
            summed = total([planned for _, planned, _ in done])
            assert coupling.admits(summed, example.goal)
            *units, spend = integers(summed)
            assert all(n <= most for n, most in zip(units, coupling.quantities, strict=True))
            assert spend <= coupling.budget
            for actions, planned, _ in done:
                assert sum(int(leg.most_units) for leg in actions.legs) == sum(
                    planned.tolist()[:-1]
                )

    def test_bkt_006_a_plan_over_the_budget_is_not_admitted(self) -> None:
        """The coupling is the last to stand before an overspend."""
        domain = self.build()
        for example in self.examples():
            coupling = _basket(domain, example)
            nothing = [0] * len(coupling.values)
            some = [min(1, most) for most in coupling.quantities]
            assert coupling.admits(words([*some, coupling.budget]), example.goal)
            assert not coupling.admits(words([*some, coupling.budget + 1]), example.goal)
            assert not coupling.admits(words([*nothing, 0]), example.goal)
            over = [most + 1 for most in coupling.quantities]
            assert not coupling.admits(words([*over, 1]), example.goal)


def basket_domain_conformance(
    build: Callable[[], Domain], examples: Callable[[], Sequence[DomainExample]]
) -> type[BasketDomainConformance]:
    """A test class with the cases BKT-001 to BKT-006, for domains whose coupling is a basket.

    Every example has offers; give at least two, one of them with two members or more.
    """
    cases = {"build": staticmethod(build), "examples": staticmethod(examples)}
    return type("BasketDomainConformance", (BasketDomainConformance,), cases)


def _basket(domain: Domain, example: DomainExample) -> BasketCoupling:
    coupling = domain.coupling(example.goal, example.members)
    assert isinstance(coupling, BasketCoupling)
    return coupling


def _basket_query(coupling: BasketCoupling, solution: Sequence[int]) -> Query:
    """Seventeen keys of each instrument and as many ratio keys, under a solution's cuts."""

    def even(end: int) -> list[int]:
        return [end * part // 16 for part in range(17)]

    cuts = [key for value in coupling.values for key in even(value << coupling.cut_shift)]
    ratios = even(1 << (30 + coupling.ratio_shift))
    return depth_query([*[17] * len(coupling.values), *cuts, *solution[:-2], *ratios])


def _basket_solution(domain: Domain, example: DomainExample) -> tuple[int, ...]:
    """Cuts, ratio key and units at it, found by bisection on opened sums."""
    coupling = _basket(domain, example)
    problems = example.problems(domain)
    size = len(coupling.values)

    def asked(points: Sequence[int]) -> int:
        answers = [each.answer(depth_query(points), EMPTY)[0] for each in problems]
        return int(total(answers)[0])

    cuts: list[int] = []
    for k, (value, most) in enumerate(zip(coupling.values, coupling.quantities, strict=True)):
        count = [int(j == k) for j in range(size)]
        end = value << coupling.cut_shift
        if asked([*count, end]) <= most:
            cuts += [end, 0]
            continue
        below = bisect_left(range(end), most, key=lambda at: asked([*count, at + 1]))
        cuts += [below, most - asked([*count, below])]
    nothing = [0] * size
    end = 1 << (30 + coupling.ratio_shift)
    if asked([*nothing, *cuts, end]) <= coupling.budget:
        return (*cuts, end, 0)
    key = bisect_left(
        range(end), True, key=lambda at: asked([*nothing, *cuts, at + 1]) > coupling.budget
    )
    offer = coupling.offer_at(key)
    assert offer is not None
    return (*cuts, key, (coupling.budget - asked([*nothing, *cuts, key])) // offer[1])
