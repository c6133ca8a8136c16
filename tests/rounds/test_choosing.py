from collections.abc import Mapping
from typing import Any

import pytest

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import Coupling, Suits
from covenue.registry.load import Registry
from covenue.rounds import choosing
from covenue.rounds.choosing import choose
from covenue_contracts.plan import Member
from covenue_contracts.shared import Capability
from covenue_domain_arbitrage import Arbitrage, against
from covenue_domain_routing import Routing, buy

MEMBER = Member(did="did:key:z" + "6" * 47, name="only", slot=0)


class Offering:
    """Stands for a problem: what is offered is all that counts."""

    def __init__(self, *capabilities: Capability) -> None:
        self.capabilities = frozenset(capabilities)


class Solvers:
    """Stands for a registry: solvers by name, by their rank or None."""

    def __init__(self, ranks: Mapping[str, int | None]) -> None:
        self.ranks = ranks

    def names(self, family: str) -> tuple[str, ...]:
        return tuple(sorted(self.ranks))

    def build(self, family: str, name: str, options: Mapping[str, Any]) -> Any:
        if name == "broken":
            raise BadInput("it cannot be built", "repair it")
        return Ranked(self.ranks[name], name)


class Ranked:
    def __init__(self, rank: int | None, name: str) -> None:
        self.rank, self.name = rank, name

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        return None if self.rank is None else Suits(self.rank, f"because of {self.name}")


def chosen(registry: Any, coupling: Any, *offered: Any, privacy: tuple[str, ...] = ()) -> str:
    problems = {str(place): problem for place, problem in enumerate(offered)}
    return choose(registry, coupling, problems, privacy).name


def test_keyed_offers_are_searched() -> None:
    coupling = Routing().coupling(buy("1"), [MEMBER])
    assert chosen(Registry(), coupling, Offering("DEPTH")) == "search"


def test_smooth_answers_with_slopes_are_newtons() -> None:
    coupling = Arbitrage().coupling(against({"usd": "1", "eth": "3"}), [MEMBER])
    assert chosen(Registry(), coupling, Offering("RESPOND", "CURVATURE")) == "dual"


def test_answers_without_slopes_take_the_solver_that_needs_none() -> None:
    coupling = Arbitrage().coupling(against({"usd": "1", "eth": "3"}), [MEMBER])
    both = Offering("RESPOND", "CURVATURE")
    assert chosen(Registry(), coupling, both, Offering("RESPOND")) == "lbfgs"


def test_the_least_rank_is_taken_and_of_equal_ones_the_first_name() -> None:
    problem = Offering("RESPOND")
    assert chosen(Solvers({"a": 30, "b": 10, "c": None}), None, problem) == "b"
    assert chosen(Solvers({"b": 10, "a": 10}), None, problem) == "a"


def test_where_no_solver_fits_the_refusal_says_what_is_offered() -> None:
    with pytest.raises(CapabilityMissing, match="PROX, RESPOND"):
        chosen(Solvers({"a": None}), None, Offering("PROX", "RESPOND"))


def test_a_solver_that_cannot_be_built_is_passed_over() -> None:
    assert chosen(Solvers({"broken": 1, "whole": 50}), None, Offering("RESPOND")) == "whole"


def test_data_that_may_be_seen_are_solved_centrally_where_nothing_else_can() -> None:
    coupling = Routing().coupling(buy("1"), [MEMBER])
    assert chosen(Registry(), coupling, Offering("DISCLOSE"), privacy=("open",)) == "reference"


@pytest.mark.parametrize("privacy", [("secagg",), ("open", "secagg")])
def test_disclosing_is_not_on_offer_under_a_mechanism_that_hides(privacy: tuple[str, ...]) -> None:
    coupling = Routing().coupling(buy("1"), [MEMBER])
    with pytest.raises(CapabilityMissing, match="offer nothing in common"):
        chosen(Registry(), coupling, Offering("DISCLOSE"), privacy=privacy)
    assert chosen(Registry(), coupling, Offering("DISCLOSE", "DEPTH"), privacy=privacy) == "search"


def test_without_that_check_auto_takes_a_solver_that_no_node_would_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: what hides is said to show everything."""
    monkeypatch.setattr(choosing, "_shows_everything", lambda *_: True)
    coupling = Routing().coupling(buy("1"), [MEMBER])
    found = chosen(Registry(), coupling, Offering("DISCLOSE"), privacy=("secagg",))
    assert found == "reference"
