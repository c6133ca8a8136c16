"""A party's venues that share capital over many instruments: ladders as offers of one problem.

All prices are all-in, in the quote asset; what can be sold is cut off at the inventory. The answer
to a query is the plan that its memory stands for: parts of levels, added up to whole lots of each
ladder, which are then bought from the best level on. So a commitment that continues from the
accepted query is exactly what was answered. Source: solvers.md, sections 2(d) and 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import fsum

import numpy as np

from covenue.hooks.domains import EMPTY, Memory
from covenue.numerics.decimals import plain
from covenue.numerics.words import Words
from covenue_contracts.local import Actions, Leg, Outcome
from covenue_domain_arbitrage import ladders_kernel as kernel
from covenue_domain_arbitrage.books import Floats, Integers
from covenue_domain_arbitrage.disclosed import disclose_ladders
from covenue_domain_arbitrage.goals import GRID, MULTIPLIER_BITS, Terms
from covenue_domain_arbitrage.ladders_memory import packed, unpacked
from covenue_domain_arbitrage.pools import Mostly

SLACK_ROOM = 32
TICK = Fraction(1) / GRID
NARROWEST = 2.0**-27
PRODUCT_MOST = 2**62
TICK_OF_WIDTH = 2.0**-MULTIPLIER_BITS
AMPLE = 1.0 + 2.0**-20


@dataclass(frozen=True, eq=False)
class Ladders:
    """A batch of venues on the coordinates of a plan.

    levels: the arrays, each venue a row. place: coordinate of each instrument. cash: that of the
    quote asset. unit: amount of one lot, of any instrument.
    """

    terms: Terms
    levels: kernel.Levels
    place: Integers
    cash: int
    unit: Fraction

    @cached_property
    def grid(self) -> kernel.Grid:
        """Scales of words; what sums of floats over a venue can be wrong by, many times over."""
        terms, levels = self.terms, self.levels
        summed = levels.price.shape[3] + 2 * levels.price.shape[2] + SLACK_ROOM
        lot = self.unit * 2**terms.scale_bits
        fits = lot.numerator < PRODUCT_MOST // (lot.denominator + 1)
        return kernel.Grid(
            unit=float(self.unit),
            rise=lot.numerator if fits else 0,
            run=lot.denominator if fits else 0,
            amounts=float(2**terms.scale_bits),
            values=float(2**terms.value_bits),
            slopes=float(2**terms.slope_bits),
            slack=summed * 2.0**-52,
            place=self.place,
            cash=self.cash,
        )

    def answer(
        self, multipliers: Floats, width: float, slopes: Integers | None, memory: Memory
    ) -> tuple[int, Integers, Memory]:
        """Words of phi, and of the net amounts, and the parts; slopes are added, if given."""
        out = self._nothing(slopes)
        value = kernel.answer(self.levels, self._at(multipliers, width, memory), self.grid, out)
        return int(value), out.net, packed(out.parts)

    def actions(
        self, plan: str, multipliers: Floats, width: float, memory: Memory
    ) -> tuple[Actions, Integers, Memory]:
        """One leg a ladder; what was answered, where there is a memory of it that still fits."""
        out = self._remembered(memory)
        if out is None:
            out = self._nothing(None)
            kernel.answer(self.levels, self._at(multipliers, width, EMPTY), self.grid, out)
        taken = np.argwhere(out.lots > 0).tolist()
        legs = tuple(self._leg(i, side, k, int(out.lots[i, side, k])) for i, side, k in taken)
        actions = Actions(plan=plan, unit=plain(self.unit), legs=legs, swaps=())
        return actions, out.net, packed(out.parts)

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> Integers:
        """Net words of the fills: paid rounded up, received rounded down, leg by leg."""
        scale = 2**self.terms.scale_bits
        net = [0] * len(self.terms.assets)
        for outcome in outcomes:
            for fill in outcome.fills:
                leg = actions.legs[fill.leg]
                lots, ticks = int(fill.quantity_steps), int(fill.price_ticks)
                sign = 1 if leg.side == "buy" else -1
                place = int(self.place[int(leg.instrument.rsplit("-", 1)[1])])
                net[place] += sign * lots * self.unit * scale // 1
                net[self.cash] += -sign * lots * self.unit * ticks * TICK * scale // 1
        return np.array(net, dtype=np.int64)

    def most_words(self) -> Mostly:
        """Upper bounds of an answer's words, anywhere in the band."""
        terms, levels = self.terms, self.levels
        high = np.array([float(v) for v in terms.ends[1]]) * 2.0**-MULTIPLIER_BITS
        whole = levels.held[:, :, :, -1]
        held = np.array([fsum(whole[:, :, k].ravel().tolist()) for k in range(len(self.place))])
        amounts = np.zeros(len(terms.assets))
        amounts[self.place] = held
        paid = fsum(levels.costs[:, :, :, -1].ravel().tolist())
        amounts[self.cash] += paid
        worth = fsum((held * high[self.place]).tolist()) + paid * float(high[self.cash])
        top = levels.price.max(initial=0.0) * float(high[self.cash])
        dearest = np.maximum(high[self.place], top)
        steepest = max(self._steepest(width * TICK_OF_WIDTH, dearest) for width in terms.widths)
        return Mostly(
            amounts * self.grid.amounts,
            worth * self.grid.values,
            steepest * self.grid.slopes,
        )

    def _steepest(self, width: float, dearest: Floats) -> float:
        """What slopes over a width sum to at most: a ramp from any centre is two widths long."""
        ramps = self._ramps(width)
        lowest = float(self.terms.ends[0][self.cash]) * TICK_OF_WIDTH
        worth = dearest * dearest / ramps
        return float(kernel.most_on_ramps(self.levels, 2.0 * ramps / lowest, worth)) * AMPLE

    def disclosed(self) -> Words:
        """Every level, and the capital of every venue."""
        return disclose_ladders(self.levels, self.place, self.cash)

    def phi(self, multipliers: Sequence[int]) -> Fraction:
        """phi of all venues in exact arithmetic, for checks: a knapsack by sorting ratios."""
        v = [Fraction(value) / GRID for value in multipliers]
        return sum((self._knapsack(i, v) for i in range(len(self.levels.capital))), Fraction(0))

    def _knapsack(self, i: int, v: Sequence[Fraction]) -> Fraction:
        quote, offers, total = v[self.cash], [], Fraction(0)
        for side, k in np.ndindex(2, len(self.place)):
            own = v[int(self.place[k])]
            for j in range(int(self.levels.depth[i, side, k])):
                price = Fraction(float(self.levels.price[i, side, k, j]))
                size = Fraction(float(self.levels.size[i, side, k, j]))
                if side == 1:
                    total += max(price * quote - own, Fraction(0)) * size
                elif own > price * quote:
                    offers.append((own / price, price * size))
        left = Fraction(float(self.levels.capital[i]))
        for ratio, cost in sorted(offers, reverse=True):
            taken = min(cost, left)
            total += (ratio - quote) * taken
            left -= taken
        return total

    def _nothing(self, slopes: Integers | None) -> kernel.Answer:
        return kernel.Answer(
            parts=np.zeros(self.levels.price.shape, dtype=np.int32),
            lots=np.zeros(self.levels.depth.shape, dtype=np.int64),
            net=np.zeros(len(self.terms.assets), dtype=np.int64),
            slopes=np.zeros(0, dtype=np.int64) if slopes is None else slopes,
        )

    def _ramps(self, width: float) -> Floats:
        """Price moves over which a level goes from nothing to full, one an instrument."""
        references = np.array([float(r) for r in self.terms.references]) * 2.0**-MULTIPLIER_BITS
        return np.asarray((width or NARROWEST) * references[self.place], dtype=np.float64)

    def _at(self, multipliers: Floats, width: float, memory: Memory) -> kernel.At:
        return kernel.At(
            v=multipliers[self.place],
            quote=float(multipliers[self.cash]),
            pace=1.0 / self._ramps(width),
            centre=unpacked(memory, self.levels.price.shape),
        )

    def _remembered(self, memory: Memory) -> kernel.Answer | None:
        """The plan of a memory, or None without one, or where capital does not cover it."""
        if not memory:
            return None
        out = self._nothing(None)._replace(parts=unpacked(memory, self.levels.price.shape))
        kernel.whole_lots(self.levels, self.grid, out.parts, out.lots)
        amounts = out.lots[:, 0] * self.grid.unit
        for i, capital in enumerate(self.levels.capital.tolist()):
            row = enumerate(amounts[i].tolist())
            paid = fsum(kernel.paid_for(self.levels, i, 0, k, amount) for k, amount in row)
            if paid > capital:
                return None
        kernel.delivered(self.levels, self.grid, out.lots, out.net)
        return out

    def _leg(self, i: int, side: int, k: int, made: int) -> Leg:
        held = self.levels.held[i, side, k]
        last = int(np.searchsorted(held, made * self.grid.unit * (1.0 - kernel.EXACT))) - 1
        worst = Fraction(float(self.levels.price[i, side, k, last])) / TICK
        limit = -(-worst // 1) if side == 0 else worst // 1
        return Leg(
            side="sell" if side else "buy",
            instrument=f"ladder-{i}-{k}",
            limit_ticks=str(limit),
            quantity_steps=str(made),
            most_units=str(made),
        )
