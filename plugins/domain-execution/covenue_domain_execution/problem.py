"""One party's side of an execution plan: its venues at the multipliers asked, in whole lots."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import Any

import numpy as np

from covenue.errors import CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import Acted, Memory, PartyConfig
from covenue.hooks.programs import disclosure
from covenue.hooks.prox import ProxAnswers
from covenue.hooks.venues import BookState, Snapshot
from covenue.numerics.decimals import plain
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.local import Actions
from covenue_contracts.plan import Member
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_execution.books import Venue, book_rows, parse_forecast
from covenue_domain_execution.coupling import slots_of, space, tie_bits, unanswered
from covenue_domain_execution.disclosed import disclose
from covenue_domain_execution.goals import GRID, MULTIPLIER_BITS, Terms
from covenue_domain_execution.kernels import Floats, Integers, Response, Rows, respond, slopes
from covenue_domain_execution.lots import Lots, cost, lots_of
from covenue_domain_execution.prox import RowProx
from covenue_domain_execution.tables import rows_of

WORD_END = 2**63 - 1


@dataclass(frozen=True, eq=False)
class ExecutionProblem:
    """A party's venues for one plan; every method is pure, and only a prox leaves a memory.

    slot: the party's, of so many slots, for keys. venue: where legs go; None for a table, which has
    no market.
    """

    space: Space
    terms: Terms
    rows: Rows
    slot: int
    tie_bits: int
    venue: Venue | None
    slots: int

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Responses with slopes; a prox; whole lots, and their certificate; all where it may."""
        return frozenset({"RESPOND", "CURVATURE", "PROX", "RECOVER", "CERTIFY", "DISCLOSE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Words as hooks/solvers.py has them for a coupling with `tracking`.

        Raises CapabilityMissing for another kind of query, LayoutMismatch for multipliers or
        points that do not fit.
        """
        if query.kind == "disclose":
            return disclosure(query, self.slots, self.slot, disclose(self.rows)), memory
        if query.kind not in {"respond", "curvature", "prox", "recover", "certify"}:
            raise unanswered(query.kind)
        grid = self._asked(query)
        if query.kind == "prox":
            return self._prox.answer(query, memory)
        response = self._response(grid)
        head = [int(response.values.sum(dtype=np.int64))]
        if query.kind == "recover":
            return self._recovered(query, response), memory
        if query.kind == "certify":
            plan = self._lots(response).taken(*_points(query))
            amounts = plan.sum(axis=0, dtype=np.int64) << self.terms.scale_bits
            return frozen(np.concatenate([head, amounts, [self._cost(plan)]])), memory
        parts = [head, response.amounts.sum(axis=0, dtype=np.int64)]
        if query.kind == "curvature":
            parts.append(self._slopes(grid, response))
        return frozen(np.concatenate(parts)), memory

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """The leg of the slice that is due, and the party's schedule: planned lots by slice.

        Only the due slice is acted on; the later ones are what this plan expects, and the next
        plan makes them anew.
        """
        grid = self._asked(query)
        lots = self._lots(self._response(grid)).taken(*_points(query))
        planned = frozen(lots.sum(axis=0, dtype=np.int64))
        leg = None
        if self.venue is not None:
            due = self.venue.due
            leg = self.venue.leg(self.terms, grid[due], int(planned[due]))
        legs = () if leg is None else (leg,)
        return Actions(plan=plan, unit=plain(self.terms.lot), legs=legs, swaps=()), planned, memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) lots by slice: a plan's leg belongs to the first slice it planned.

        Fills count for what the venue reports, even beyond what was planned. What is not known
        counts as unknown up to what the leg could do; a later slice was not acted on.
        """
        executed, unknown = [0] * self.terms.size, [0] * self.terms.size
        for deed in acted:
            reports = deed.outcomes
            done = sum(int(fill.units) for report in reports or () for fill in report.fills)
            most = sum(int(leg.most_units) for leg in deed.actions.legs)
            due = int(np.argmax(deed.planned != 0))
            executed[due] += done
            if reports is None or any(report.status == "unknown" for report in reports):
                unknown[due] += max(0, most - done)
        return words(executed), words(unknown)

    def schedule(self, query: Query) -> Integers:
        """Lots of a solution by venue and slice, int64[n, T]: the party's own view of its plan."""
        return self._lots(self._response(self._asked(query))).taken(*_points(query))

    @cached_property
    def _prox(self) -> ProxAnswers:
        references = np.full(self.terms.size, self.terms.price / GRID)
        return ProxAnswers(self.space, references, RowProx(self.terms, self.rows))

    def _response(self, grid: Sequence[int]) -> Response:
        word, unit = float(2**self.terms.scale_bits), float(2**self.terms.value_bits)
        return respond(self._excess(grid), self.rows, word, unit)

    def _excess(self, grid: Sequence[int]) -> Floats:
        return np.array([v - self.terms.price for v in grid], dtype=np.float64) / float(GRID)

    def _slopes(self, grid: Sequence[int], response: Response) -> Integers:
        prices = np.array(grid, dtype=np.float64) / float(GRID)
        unit = float(2**self.terms.slope_bits)
        return slopes(self._excess(grid), prices, self.rows, response.shadows, unit)

    def _lots(self, response: Response) -> Lots:
        bits = self.terms.scale_bits
        return lots_of(response, self.rows, bits, self.tie_bits, self.slot)

    def _recovered(self, query: Query, response: Response) -> Words:
        probes = np.array([min(max(int(p), -1), WORD_END) for p in query.points], dtype=np.int64)
        lots = self._lots(response)
        down = [int(lots.down.sum(dtype=np.int64))]
        return frozen(np.concatenate([lots.below(probes), down]).astype(np.int64))

    def _cost(self, plan: Integers) -> int:
        terms = self.terms
        return cost(plan, self.rows, terms.price, MULTIPLIER_BITS, terms.value_bits)

    def _asked(self, query: Query) -> list[int]:
        """The multipliers of a query, on the grid."""
        asked = query.multipliers
        if asked is None or asked.scale_bits != MULTIPLIER_BITS:
            raise LayoutMismatch(
                "a query has no multipliers on the grid 2^-40", "ask at multipliers"
            )
        grid = [int(value) for value in asked.values]
        if len(grid) != self.terms.size:
            raise LayoutMismatch(
                f"{len(grid)} multipliers were asked of {self.terms.size} slices", "ask one a slice"
            )
        if any(abs(v - self.terms.price) > self.terms.reach for v in grid):
            raise LayoutMismatch("a multiplier lies outside its band", "keep to multiplier_range")
        return grid


def _points(query: Query) -> tuple[int, int]:
    """(key, lots at it) of a plan. Raises LayoutMismatch unless there are two points."""
    if len(query.points) != 2:
        raise LayoutMismatch(
            f"a {query.kind} query has {len(query.points)} points, not (key, lots at it)",
            "check that the solver is one for tracked paths",
        )
    key, more = (int(point) for point in query.points)
    return min(max(key, -1), WORD_END), more


def problem_of(
    terms: Terms, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
) -> ExecutionProblem:
    """One party's problem. state: a Snapshot of a book, a BookState, or a table of venues.

    Raises BadInput naming field and value, CapabilityMissing on a foreign state, HeadroomMissing
    where an answer could pass the bound of a word.
    """
    held = state.state if isinstance(state, Snapshot) else state
    venue = None
    if isinstance(held, BookState):
        due = terms.due(state.as_of if isinstance(state, Snapshot) else None)
        rows, venue = book_rows(held, terms, parse_forecast(config), due)
    elif isinstance(state, Snapshot):
        raise CapabilityMissing(
            f"domain 'execution' cannot read a state of kind {state.kind}",
            "use a venue that pins order-book/v1",
            field="venue",
            value=state.kind,
        )
    else:
        rows = rows_of(held, terms)
    shared = space(terms, len(members))
    check_headroom(rows, terms, int(shared.bound))
    tie, slots = tie_bits(members), slots_of(members)
    return ExecutionProblem(shared, terms, rows, member.slot, tie, venue, slots)


def check_headroom(rows: Rows, terms: Terms, bound: int) -> None:
    """Raise HeadroomMissing unless no word of any answer in the band can pass the bound."""
    high = (terms.price + terms.reach) / GRID
    top = terms.reach / GRID
    lots = fsum(rows.caps.ravel().tolist())
    gain = fsum((np.maximum(top - rows.costs, 0.0) * rows.caps).ravel().tolist())
    worst = fsum(((np.abs(rows.costs) + rows.steep * rows.caps) * rows.caps).ravel().tolist())
    open_slopes = np.where(rows.caps > 0.0, rows.inverse, 0.0)
    slope = fsum((high * high * open_slopes).ravel().tolist())
    for field, most in (
        ("scale_bits", lots * 2.0**terms.scale_bits),
        ("value_bits", (gain + worst + lots * high) * 2.0**terms.value_bits),
        ("slope_bits", slope * 2.0**terms.slope_bits),
    ):
        if most * 1.001 + 2.0**20 > bound:
            raise HeadroomMissing(
                "what the venues offer to this order could leave 64 bits in a sum",
                f"use a larger lot, or a smaller {field}",
                field=f"domain.goal.{field}",
                value=str(getattr(terms, field)),
            )
