"""Self-tests of domains: a machine that computes other bits gets no problem to answer for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tests.domains import execution_markets, ladder_markets, pool_markets
from tests.solvers.test_environments import digests

from covenue.errors import PluginBroken
from covenue.hooks.domains import Domain
from covenue.testing.domains import DomainExample
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage import selftest as arbitrage
from covenue_domain_arbitrage.selftest import Kind
from covenue_domain_execution import Execution
from covenue_domain_execution import selftest as execution
from covenue_domain_routing import Books, Routing, buy
from covenue_domain_routing import selftest as routing

KINDS: Sequence[Kind] = ("pools", "books", "ladders")


def books() -> DomainExample:
    table = Books(np.array([[100, 101]]), np.array([[5, 7]]))
    made = buy("3", lot="1", price_scale=1)
    return DomainExample(made, (execution_markets.member(0),), (table,), ({},))


CASES: Mapping[str, tuple[Any, Domain, Callable[[], DomainExample]]] = {
    "pools": (arbitrage, Arbitrage(), pool_markets.pool_example),
    "books": (arbitrage, Arbitrage(), pool_markets.book_example),
    "ladders": (arbitrage, Arbitrage(), ladder_markets.drawn_example),
    "execution": (execution, Execution(), execution_markets.drawn_example),
    "routing": (routing, Routing(), books),
}


@pytest.mark.parametrize("case", CASES)
def test_a_machine_of_other_bits_gets_no_problem(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, domain, example = CASES[case]
    assert example().problems(domain)
    monkeypatch.setattr(module, "self_test", lambda *_: False)
    with pytest.raises(PluginBroken, match="than on other machines"):
        example().problems(domain)


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_arbitrage_are_those_that_are_pinned(kind: Kind) -> None:
    assert arbitrage.computed(kind) == arbitrage.PINNED[kind]


def test_words_of_execution_and_routing_are_those_that_are_pinned() -> None:
    assert execution.computed() == execution.PINNED
    assert routing.computed() == routing.PINNED


def test_it_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert execution.self_test()
    monkeypatch.setattr(execution, "computed", lambda: pytest.fail("computed again"))
    assert execution.self_test()


def test_which_instance_is_computed_follows_the_state() -> None:
    made = {k: CASES[k][2]().states for k in KINDS}
    found = {k: {arbitrage.kind_of(state) for state in states} for k, states in made.items()}
    assert (found["pools"], found["ladders"]) == ({"pools"}, {"ladders"})
    assert found["books"] == {"pools", "books"}


def nudged(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table with one column moved by the last bit."""
    return {**table, name: np.nextafter(table[name], np.inf)}


@pytest.mark.parametrize("name", ["ask", "bid", "ask_size", "bid_size"])
def test_the_last_bit_of_a_ladder_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = arbitrage._table
    monkeypatch.setattr(arbitrage, "_table", lambda draws: nudged(make(draws), name))
    assert arbitrage.computed("ladders") != arbitrage.PINNED["ladders"]


@pytest.mark.parametrize("name", ["a", "eta"])
def test_the_last_bit_of_a_schedule_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = execution._table
    monkeypatch.setattr(execution, "_table", lambda draws: nudged(make(draws), name))
    assert execution.computed() != execution.PINNED


def test_a_square_root_that_is_off_by_the_last_bit_shows() -> None:
    case = "self-test of pools"
    found = digests({"COVENUE_COMPILED": "0"}, "--mutant", "exp", case)
    assert found[case] != arbitrage.PINNED["pools"]


def test_one_lot_more_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    make = routing._books

    def deeper(draws: Any, *shape: int) -> Books:
        made = make(draws, *shape)
        lots = made.lots.copy()
        lots[(0,) * len(shape)] += 1
        return Books(made.prices, lots)

    monkeypatch.setattr(routing, "_books", deeper)
    assert routing.computed() != routing.PINNED
