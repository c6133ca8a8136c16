"""Numbered cases that every domain passes whose coupling is solved by multipliers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product

from covenue.errors import CapabilityMissing, CovenueError
from covenue.hooks.domains import EMPTY, Acted, Domain, LocalProblem
from covenue.hooks.solvers import DualCoupling, Tracking
from covenue.numerics.words import Words, integers, subtract, to_bytes, total, words
from covenue.testing.domains import DomainExample
from covenue_contracts.local import Actions, Outcome
from covenue_contracts.shared import DualVariables, Query, QueryKind

SETTLE = Query(kind="settle", after=None, multipliers=None, points=())


def multiplier_query(
    kind: QueryKind, coupling: DualCoupling, values: Sequence[int], width: int | None = None
) -> Query:
    """A query at multipliers on the coupling's grid; `commit` only says that there is a plan.

    Where a path is followed, `commit` and `certify` carry the plan without any further lot.
    """
    plan = ("1",) * len(coupling.reference) if coupling.tracking is None else ("0", "0")
    points = plan if kind in {"commit", "certify"} else ()
    return Query(
        kind=kind,
        after=None,
        multipliers=DualVariables(
            scale_bits=coupling.multiplier_bits, values=tuple(str(value) for value in values)
        ),
        points=points if width is None else (*points, str(width)),
    )


def probes(coupling: DualCoupling) -> Iterator[tuple[tuple[int, ...], int | None]]:
    """Multipliers all over their range, each with every width: references, ends, and between."""
    low, high = zip(*coupling.multiplier_range, strict=True)
    reference = tuple(coupling.reference)
    between = [
        tuple(
            a + (b - a) * ((7 * index + 3 * part) % 16) // 16
            for index, (a, b) in enumerate(zip(low, high, strict=True))
        )
        for part in range(5)
    ]
    tilted = [
        tuple(r + (r >> 9) * ((index + part) % 3 - 1) for index, r in enumerate(reference))
        for part in range(3)
    ]
    every = [reference, low, high, *between, *tilted]
    widths: tuple[int | None, ...] = tuple(coupling.smoothing) or (None,)
    kept = [tuple(min(max(v, a), b) for v, a, b in zip(at, low, high, strict=True)) for at in every]
    yield from product(kept, widths)


class DualDomainConformance:
    """Numbered cases; a number never changes its meaning."""

    build: Callable[[], Domain]
    examples: Callable[[], Sequence[DomainExample]]

    def test_dom_101_equal_inputs_give_equal_bytes(self) -> None:
        """Replay recomputes answers in another process: nothing but the inputs may count."""
        domain = self.build()
        for first, second in zip(self.examples(), self.examples(), strict=True):
            coupling = _coupling(domain, first)
            for values, width in probes(coupling):
                query = multiplier_query("curvature", coupling, values, width)
                for a, b in zip(first.problems(domain), second.problems(domain), strict=True):
                    assert _answer(a, query) == _answer(b, query)

    def test_dom_102_asking_and_committing_leaves_no_trace(self) -> None:
        """A retry repeats its bytes."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for problem in example.problems(domain):
                query = multiplier_query("respond", coupling, coupling.reference, _width(coupling))
                first = _answer(problem, query)
                problem.commit(_commit(coupling, coupling.reference), EMPTY, "0" * 64)
                assert _answer(problem, query) == first

    def test_dom_103_an_answer_has_the_width_that_the_coupling_says(self) -> None:
        """The coordinator must know a round's width before anything arrives."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for problem in example.problems(domain):
                assert problem.space == coupling.space
                assert problem.capabilities >= {"RESPOND", "CURVATURE"}
                for kind in ("respond", "curvature"):
                    query = multiplier_query(kind, coupling, coupling.reference, _width(coupling))
                    assert len(problem.answer(query, EMPTY)[0]) == coupling.width(query)

    def test_dom_104_a_curvature_answer_begins_with_the_response(self) -> None:
        """Slopes are further words: the certificate reads the same place in both."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for values, width in probes(coupling):
                short = multiplier_query("respond", coupling, values, width)
                long = multiplier_query("curvature", coupling, values, width)
                for problem in example.problems(domain):
                    assert _answer(problem, long).startswith(_answer(problem, short))

    def test_dom_105_every_word_keeps_the_bound_of_the_space(self) -> None:
        """The kernel clips at the bound; a domain that needs clipping would give wrong sums."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            bound = int(coupling.space.bound)
            for values, width in probes(coupling):
                query = multiplier_query("curvature", coupling, values, width)
                for problem in example.problems(domain):
                    assert max(map(abs, integers(problem.answer(query, EMPTY)[0]))) <= bound

    def test_dom_106_no_answer_is_worth_more_than_phi_at_any_multipliers(self) -> None:
        """phi(w) >= w'x(v) for all v and w: else a bound would not be one.

        Where a path is followed, x is the plan of whole lots, and its cost is taken off.
        """
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            asked = list(probes(coupling))
            size = len(coupling.reference)
            down = coupling.multiplier_bits + coupling.space.scale_bits - coupling.value_bits
            for problem in example.problems(domain):
                kind: QueryKind = "certify" if coupling.tracking else "respond"
                answers = [
                    (*_asked(problem, multiplier_query(kind, coupling, *at)), 0) for at in asked
                ]
                for (values, _), (phi, *_) in zip(asked, answers, strict=True):
                    for _, *nets in answers:
                        worth = sum(v * net for v, net in zip(values, nets[:size], strict=True))
                        assert worth <= (phi + nets[size]) << down

    def test_dom_107_what_is_committed_is_never_less_than_what_was_answered(self) -> None:
        """A plan is certified on answers: its commitment may only be better.

        Where a path is followed, it is the plan of whole lots that `certify` answered for.
        """
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for tracked in _tracked(coupling):
                _check_committed(coupling, tracked, example.problems(domain))
            for values, width in () if coupling.tracking else probes(coupling):
                for problem in example.problems(domain):
                    query = multiplier_query("respond", coupling, values, width)
                    answered = integers(problem.answer(query, EMPTY)[0])[1:]
                    commit = multiplier_query("commit", coupling, values, width)
                    _, committed, _ = problem.commit(commit, EMPTY, "0" * 64)
                    pairs = zip(integers(committed), answered, strict=True)
                    assert all(now >= before for now, before in pairs)

    def test_dom_108_the_order_of_participants_changes_no_sum(self) -> None:
        """A sum names nobody: who came first must not show."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            query = multiplier_query("curvature", coupling, coupling.reference, _width(coupling))
            answers = [p.answer(query, EMPTY)[0] for p in example.problems(domain)]
            assert len({to_bytes(total(order)) for order in permutations(answers[:4])}) == 1

    def test_dom_109_an_unknown_kind_of_query_is_refused(self) -> None:
        """An unknown question is refused by name, never answered by accident."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            query = multiplier_query("score", coupling, coupling.reference)
            for problem in example.problems(domain):
                assert _refused(problem, query) is CapabilityMissing

    def test_dom_110_multipliers_outside_their_range_are_refused(self) -> None:
        """Headroom is proved for the range: an answer from outside could wrap the ring."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            (low, high), *_ = coupling.multiplier_range
            rest = coupling.reference[1:]
            for values in ((low - 1, *rest), (high + 1, *rest), coupling.reference[:-1]):
                for problem in example.problems(domain):
                    assert _refused(problem, multiplier_query("respond", coupling, values))

    def test_dom_111_what_is_not_reported_counts_as_planned(self) -> None:
        """Doubt is counted in full, and a refusal not at all.

        Where a path is followed, the legs are of one slice, and only they can be in doubt.
        """
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for problem in example.problems(domain):
                commit = _commit(coupling, coupling.reference)
                actions, planned, _ = problem.commit(commit, EMPTY, "0" * 64)
                nothing = subtract(planned, planned)
                refused = Outcome(
                    order="0" * 64, status="refused", fills=(), swaps=(), reason="test"
                )
                doubt = _doubted(planned, actions) if coupling.tracking else planned
                for outcomes, unknown in ((None, doubt), ([refused], nothing)):
                    got = problem.settle(SETTLE, [Acted(planned, actions, outcomes)])
                    assert [integers(part) for part in got] == [
                        integers(nothing),
                        integers(unknown),
                    ]

    def test_dom_112_what_is_taken_is_not_left_and_what_is_owed_is_brought_back(self) -> None:
        """A position counts against the limits; a debt is the least that the next plan brings.

        Where a path is followed, what is taken shortens it, and nothing can be owed.
        """
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            zero = _words(coupling, 0)
            if coupling.tracking is not None:
                _check_shortened(domain, example, coupling, coupling.tracking)
                continue
            taken, owed = _words(coupling, 5), _words(coupling, -5)
            again = domain.coupling(coupling.left(taken, zero, zero), example.members)
            debt = domain.coupling(coupling.left(zero, owed, zero), example.members)
            assert isinstance(again, DualCoupling)
            assert isinstance(debt, DualCoupling)
            assert all(now < before for now, before in zip(again.most, coupling.most, strict=True))
            assert set(debt.least) == {5}
            assert not debt.admits(_words(coupling, 4), debt.goal)
            assert debt.admits(_words(coupling, 5), debt.goal)

    def test_dom_113_lots_are_recovered_from_what_was_cut_off(self) -> None:
        """Between what is left after rounding down and that with every offer lies the total."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for tracked in _tracked(coupling):
                for values, _ in probes(coupling):
                    for problem in example.problems(domain):
                        _check_recovered(coupling, tracked, problem, values)

    def test_dom_114_a_plan_of_whole_lots_is_certified(self) -> None:
        """Its lots are those that were offered, and it is worth no more than phi."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            for tracked in _tracked(coupling):
                for values, _ in probes(coupling):
                    for problem in example.problems(domain):
                        _check_certified(coupling, tracked, problem, values)

    def test_dom_115_nobody_acts_on_a_plan_of_nothing(self) -> None:
        """Where no total has to be met, doing nothing is a plan, whatever was answered."""
        domain = self.build()
        for example in self.examples():
            coupling = _coupling(domain, example)
            rows = zip(coupling.least, coupling.most, strict=True)
            if coupling.tracking is not None or not all(low <= 0 <= high for low, high in rows):
                continue
            for values, width in probes(coupling):
                commit = multiplier_query("commit", coupling, values, width)
                zeros = ("0",) * len(coupling.reference)
                points = (*zeros, *commit.points[len(zeros) :])
                for problem in example.problems(domain):
                    nothing = commit.model_copy(update={"points": points})
                    actions, planned, _ = problem.commit(nothing, EMPTY, "0" * 64)
                    assert not actions.legs
                    assert not actions.swaps
                    assert not any(integers(planned))


def dual_domain_conformance(
    build: Callable[[], Domain], examples: Callable[[], Sequence[DomainExample]]
) -> type[DualDomainConformance]:
    """A test class with the cases DOM-101 to DOM-115, for domains solved by multipliers.

    Use: `TestArbitrage = dual_domain_conformance(Arbitrage, examples)`. The examples are built
    anew for every case; give at least two, one of them with two members or more.
    """
    cases = {"build": staticmethod(build), "examples": staticmethod(examples)}
    return type("DualDomainConformance", (DualDomainConformance,), cases)


def _coupling(domain: Domain, example: DomainExample) -> DualCoupling:
    coupling = domain.coupling(example.goal, example.members)
    assert isinstance(coupling, DualCoupling)
    return coupling


def _width(coupling: DualCoupling) -> int | None:
    return coupling.smoothing[0] if coupling.smoothing else None


def _commit(coupling: DualCoupling, values: Sequence[int]) -> Query:
    return multiplier_query("commit", coupling, values, _width(coupling))


def _answer(problem: LocalProblem, query: Query) -> bytes:
    return to_bytes(problem.answer(query, EMPTY)[0])


def _refused(problem: LocalProblem, query: Query) -> type[CovenueError] | None:
    try:
        problem.answer(query, EMPTY)
    except CovenueError as error:
        return type(error)
    return None


def _words(coupling: DualCoupling, amount: int) -> Words:
    return words([amount] * len(coupling.reference))


# ---- couplings that follow a path


def _tracked(coupling: DualCoupling) -> Iterator[Tracking]:
    """The path that the coupling follows, if it follows one."""
    if coupling.tracking is not None:
        yield coupling.tracking


def _keys(tracked: Tracking) -> list[int]:
    """Probe keys from none to all of what can be offered."""
    end = (tracked.lot - 1) << tracked.tie_bits
    return [end * part // 16 for part in range(17)]


def _pointed(
    kind: QueryKind, coupling: DualCoupling, values: Sequence[int], points: Sequence[int]
) -> Query:
    query = multiplier_query(kind, coupling, values)
    return query.model_copy(update={"points": tuple(str(point) for point in points)})


def _asked(problem: LocalProblem, query: Query) -> tuple[int, ...]:
    return integers(problem.answer(query, EMPTY)[0])


def _check_committed(
    coupling: DualCoupling, tracked: Tracking, problems: Sequence[LocalProblem]
) -> None:
    for values, _ in probes(coupling):
        for key in _keys(tracked)[::4]:
            for problem in problems:
                commit = _pointed("commit", coupling, values, (key, 1))
                certify = _pointed("certify", coupling, values, (key, 1))
                _, *nets, _ = _asked(problem, certify)
                _, planned, _ = problem.commit(commit, EMPTY, "0" * 64)
                assert [lots * tracked.lot for lots in integers(planned)] == nets


def _doubted(planned: Words, actions: Actions) -> Words:
    """Up to what the legs can do, in the first slice that is planned: later ones did not trade."""
    most = sum(int(leg.most_units) for leg in actions.legs)
    first = next((at for at, lots in enumerate(integers(planned)) if lots), 0)
    return words([most if at == first else 0 for at in range(len(planned))])


def _check_shortened(
    domain: Domain, example: DomainExample, coupling: DualCoupling, tracked: Tracking
) -> None:
    size, total_lots = len(tracked.path), tracked.path[-1] // tracked.lot
    zero = _words(coupling, 0)
    assert coupling.left(zero, zero, zero) == coupling.goal
    for part in range(3):
        lots = words([1, *[0] * (size - 1)])
        sums = [lots if place == part else zero for place in range(3)]
        again = domain.coupling(coupling.left(*sums), example.members)
        assert isinstance(again, DualCoupling)
        left = again.tracking
        assert left is not None
        assert left.path[-1] == tracked.path[-1] - tracked.lot
        assert domain.continues(coupling.goal, again.goal)
        exact = words([*[0] * (size - 1), total_lots - 1])
        assert again.admits(exact, again.goal) == (total_lots > 1)
        assert not again.admits(words([*[0] * (size - 1), total_lots]), again.goal)
    beyond = words([total_lots + 1, *[0] * (size - 1)])
    assert set(coupling.left(beyond, zero, zero).remaining) == {"0"}


def _check_recovered(
    coupling: DualCoupling, tracked: Tracking, problem: LocalProblem, values: Sequence[int]
) -> None:
    keys = _keys(tracked)
    recover = _pointed("recover", coupling, values, keys)
    *offers, down = _asked(problem, recover)
    assert coupling.width(recover) == len(offers) + 1 == len(keys) + 1
    assert offers == sorted(offers)
    assert offers[0] == 0
    _, *amounts = _asked(problem, multiplier_query("respond", coupling, values))
    assert down * tracked.lot <= sum(amounts) <= (down + offers[-1]) * tracked.lot


def _check_certified(
    coupling: DualCoupling, tracked: Tracking, problem: LocalProblem, values: Sequence[int]
) -> None:
    keys = _keys(tracked)
    *offers, down = _asked(problem, _pointed("recover", coupling, values, keys))
    phi = _asked(problem, multiplier_query("respond", coupling, values))[0]
    grid = coupling.multiplier_bits + coupling.space.scale_bits - coupling.value_bits
    for key, offered in zip(keys, offers, strict=True):
        certify = _pointed("certify", coupling, values, (key, 0))
        head, *nets, cost = _asked(problem, certify)
        assert coupling.width(certify) == len(nets) + 2
        assert head == phi
        assert all(net >= 0 and net % tracked.lot == 0 for net in nets)
        assert sum(nets) == (down + offered) * tracked.lot
        worth = sum(v * net for v, net in zip(values, nets, strict=True))
        assert worth <= (phi + cost) << grid
