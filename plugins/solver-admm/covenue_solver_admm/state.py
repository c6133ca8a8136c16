"""What the solver `admm` keeps between two rounds, and from plan to plan."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from covenue.hooks.paths import Bracket
from covenue.hooks.prox import ProxQuestion
from covenue_solver_admm.anderson import Gram
from covenue_solver_admm.answers import Best
from covenue_solver_admm.sharing import Point, Stand, multipliers, question
from covenue_solver_admm.terms import Terms, Whole

Phase = Literal["supply", "prox", "recover", "certify"]


@dataclass(frozen=True)
class Lots:
    """The search for whole lots, where a coupling has them.

    tolerance: the gap of whole lots that certifies; probes: keys a round. phase: what is due.
    at: multipliers at which lots are asked for; keys: what is asked of them. pause: rounds of prox
    answers until lots are asked for again, `paused` of which have passed; tries: so many times they
    have been in vain.
    """

    tolerance: Fraction
    probes: int
    phase: Phase
    at: Whole
    keys: tuple[int, ...]
    bracket: Bracket
    pause: int = 0
    tries: int = 0
    paused: int = 0


@dataclass(frozen=True)
class WarmAdmm:
    """What one plan leaves for the next: its exponent and where the coordinator stood.

    query: digest of the plan's query, whose memory the next plan continues from, "" for none.
    """

    names: tuple[str, ...]
    grids: tuple[int, ...]
    exponent: int
    stand: Stand
    query: str


@dataclass(frozen=True)
class Search:
    """A search between two rounds.

    memory: how many earlier images a step combines with the newest. stand: the state that the
    round now due starts from; shares: how participants come to theirs; after: digest of the query
    whose memory they continue from. points: the last images, the newest first, with the products
    of their residuals. least: the least squared residual since the
    exponent changed, and `anchor` its image; newest: that of the round before. idle: rounds since
    bound or plan became better. lots: the search for whole lots on a path, None elsewhere.
    """

    terms: Terms
    tolerance: Fraction
    memory: int
    exponent: int
    gram_bits: int
    stand: Stand
    shares: tuple[int, ...]
    after: str | None
    inset: Whole
    is_warm: bool = False
    points: tuple[Point, ...] = ()
    gram: Gram = ()
    least: float = 0.0
    anchor: Point | None = None
    newest: Point | None = None
    best: Best | None = None
    rounds: int = 0
    idle: int = 0
    lots: Lots | None = None

    @property
    def question(self) -> ProxQuestion:
        """What the round now due asks."""
        return question(self.terms, self.stand, self.exponent, self.gram_bits, self.shares)

    @property
    def multipliers(self) -> Whole:
        """Where the round now due asks for phi."""
        return multipliers(self.terms, self.stand, self.exponent)
