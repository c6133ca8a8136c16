from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import covenue
from covenue import facade
from covenue.errors import BadInput, CapabilityMissing, OutputExists, PluginUnknown
from covenue.facade import PlanResult
from covenue.hooks.solvers import Coupling
from covenue.hooks.venues import PoolBatch
from covenue_contracts.canonical import canonical
from covenue_contracts.energibridge import Asset, ClockStamp
from covenue_contracts.plan import Goal
from covenue_domain_arbitrage import against
from covenue_domain_routing import Routing, buy, sell

NORTH = [["100.00", "5"], ["100.10", "7"]]
SOUTH = [["100.05", "6.5"], ["100.20", "10"]]
ORDER = buy("12", lot="0.001")
STAMP = ClockStamp(venue_time=None, local_time="0", clock="none", offset="0", half_width="0")


def books() -> dict[str, object]:
    return {"north": np.array(NORTH), "south": np.array(SOUTH)}


def cheapest(levels: list[tuple[Decimal, int]], lots: int) -> int:
    cost = 0
    for price, size in sorted(levels):
        taken = min(size, lots)
        cost += int(price * 10_000) * taken
        lots -= taken
    return cost


def test_a_plan_from_arrays_is_the_cheapest_one() -> None:
    result = covenue.plan(ORDER, books())
    levels = [(Decimal(p), int(Decimal(q) * 1000)) for p, q in (*NORTH, *SOUTH)]
    assert result.status == "certified"
    assert result.value == cheapest(levels, 12_000)
    assert result.gap == 0
    assert result.within_tol
    assert result.plan.tolist() == [[5500], [6500]]
    assert result.coordinates == ("lots",)
    assert set(result.bytes_per_participant) == {"north", "south"}


def test_a_plan_from_frames_comes_back_as_a_frame() -> None:
    columns = ["price", "quantity"]
    given_frames = {
        "north": pd.DataFrame(NORTH, columns=columns),
        "south": pd.DataFrame(SOUTH, columns=columns),
    }
    plan = covenue.plan(ORDER, given_frames).plan
    assert plan.loc["north", "lots"] == 5500
    assert plan.loc["south", "lots"] == 6500


def test_neither_the_order_of_parties_nor_a_second_run_changes_a_byte() -> None:
    one = covenue.plan(ORDER, books())
    two = covenue.plan(ORDER, dict(reversed(list(books().items()))))
    assert (one.root, one.transcript) == (two.root, two.transcript)


def test_a_warm_plan_takes_fewer_rounds_and_continues_the_same_ledger() -> None:
    first = covenue.plan(ORDER, books())
    again = covenue.plan(ORDER, books(), warm=first.warm)
    assert again.rounds < first.rounds
    assert again.value == first.value
    assert again.root != first.root
    assert again.transcript != first.transcript


def test_other_parties_cannot_take_a_warm_start() -> None:
    first = covenue.plan(ORDER, books())
    with pytest.raises(BadInput, match="same parties"):
        covenue.plan(ORDER, {"north": np.array(NORTH)}, warm=first.warm)


def test_no_party_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match="no party"):
        covenue.plan(ORDER, {})


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no coupling": ({"coupling": None}, "coupling", "None"),
    "a party that is a number": ({"problems": {1: NORTH}}, "problems", "1"),
    "a party without a name": ({"problems": {"": NORTH}}, "problems", "''"),
    "problems as a list": ({"problems": [NORTH]}, "problems", "list"),
    "no problems": ({"problems": None}, "problems", "NoneType"),
    "a warm start that is a number": ({"warm": 3}, "warm", "3"),
    "the configuration of a stranger": ({"configs": {"west": {}}}, "configs", "'west'"),
    "configurations as a list": ({"configs": [{}]}, "configs", "list"),
    "a configuration that is a number": ({"configs": {"north": 5}}, "configs['north']", "int"),
    "a setting without a name": ({"configs": {"north": {3: "4"}}}, "configs['north']", "3"),
    "a negative tolerance": ({"tol": -1e-6}, "tol", "-1e-06"),
    "a tolerance that is no number": ({"tol": float("nan")}, "tol", "nan"),
    "a tolerance in words": ({"tol": "little"}, "tol", "'little'"),
    "no solver": ({"solver": None}, "solver", "None"),
    "an option without a name": ({"solver_options": {3: 4}}, "solver_options", "3"),
    "no mechanism": ({"privacy": ()}, "privacy", "()"),
    "a mechanism that is a number": ({"privacy": [3]}, "privacy", "3"),
    "no ledger": ({"ledger": None}, "ledger", "None"),
    "a ledger of no name": ({"ledger": ""}, "ledger", "''"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_plan_can_be_made_from_is_refused_by_name(case: str) -> None:
    changed, field, value = REFUSED[case]
    with pytest.raises(BadInput) as refused:
        covenue.plan(**{"coupling": ORDER, "problems": books(), **changed})
    assert (refused.value.field, refused.value.value) == (field, value)
    assert refused.value.advice


def test_a_refusal_shows_no_data_of_a_party() -> None:
    with pytest.raises(BadInput) as refused:
        covenue.plan(ORDER, [("62000.5", "7")])  # type: ignore[arg-type]  # what is refused
    assert "62000" not in str(refused.value)


def test_the_same_ledger_again_is_refused_without_harm_and_the_notebook_can_go_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.ledger"
    first = covenue.plan(ORDER, books(), ledger=path)
    with pytest.raises(OutputExists) as refused:
        covenue.plan(ORDER, books(), ledger=path)
    assert (refused.value.file, refused.value.field) == (str(path), "ledger")
    assert "warm.close()" in refused.value.advice
    assert "-wal" not in str(refused.value)
    again = covenue.plan(ORDER, books(), warm=first.warm)
    assert again.value == first.value
    first.warm.close()


BAD_BOOKS: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "a price that is none": ([["dear", "5"]], {}, "problems['North Quay'].price", "North Quay"),
    "a negative quantity": ([["9", "-5"]], {}, "problems['North Quay'].quantity", "North Quay"),
    "no table at all": ("junk", {}, "problems['North Quay']", "'North Quay' holds another kind"),
    "a fee in words": (
        NORTH,
        {"North Quay": {"fee_bps": "much"}},
        "configs['North Quay']['fee_bps']",
        "",
    ),
}


@pytest.mark.parametrize("case", BAD_BOOKS)
def test_a_party_s_bad_data_is_named_as_the_notebook_named_the_party(case: str) -> None:
    book, configs, field, said = BAD_BOOKS[case]
    given_books = {
        "North Quay": np.array(book) if isinstance(book, list) else book,
        "s": np.array(SOUTH),
    }
    with pytest.raises(BadInput) as refused:
        covenue.plan(ORDER, given_books, configs=configs)
    assert refused.value.field == field
    assert said in str(refused.value)
    assert "p-north-quay" not in str(refused.value)


def test_an_unknown_solver_names_the_nearest() -> None:
    with pytest.raises(PluginUnknown, match="search"):
        covenue.plan(ORDER, books(), solver="serch")


def test_fees_of_one_party_move_the_plan() -> None:
    dear = covenue.plan(ORDER, books(), configs={"south": {"fee_bps": "50", "basis_bps": "0"}})
    assert dear.plan[0][0] > 5500


def test_what_cannot_be_filled_is_reported_as_shortfall() -> None:
    result = covenue.plan(buy("100", lot="0.001"), books())
    assert result.shortfall == 100_000 - 28_500
    assert result.plan.sum() == 28_500


def test_an_empty_market_is_a_void_plan_with_a_reason() -> None:
    order = buy("1", lot="0.001", limit_price="1")
    with pytest.raises(BadInput, match="infeasible"):
        covenue.plan(order, books())


def test_a_coupling_of_ones_own_takes_built_problems() -> None:
    ready = covenue.plan(ORDER, books())
    routing = Routing()
    members = ready.warm.members
    coupling: Coupling = routing.coupling(ORDER, members)
    problems = {
        member.name.removeprefix("p-"): routing.problem(
            ORDER, members, member, books()[member.name.removeprefix("p-")], {}
        )
        for member in members
    }
    assert covenue.plan(coupling, problems).value == ready.value


def test_a_coupling_of_ones_own_refuses_bare_arrays() -> None:
    ready = covenue.plan(ORDER, books())
    coupling = Routing().coupling(ORDER, ready.warm.members)
    with pytest.raises(BadInput, match="built problems"):
        covenue.plan(coupling, books())


def test_a_solver_that_needs_more_than_the_problem_offers_is_refused_before_round_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from covenue_solver_search.search import Search

    monkeypatch.setattr(Search, "needs", frozenset({"CURVATURE"}))
    with pytest.raises(CapabilityMissing, match="CURVATURE"):
        covenue.plan(ORDER, books())


def test_a_ledger_file_is_written_once_and_never_over(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ledger"
    covenue.plan(ORDER, books(), ledger=path).warm.close()
    before = path.read_bytes()
    with pytest.raises(OutputExists):
        covenue.plan(ORDER, books(), ledger=path)
    assert path.read_bytes() == before


def test_a_kept_notebook_ledger_verifies(tmp_path: Path) -> None:
    from covenue.registry.load import Registry
    from covenue.replay import verify

    path = tmp_path / "notebook.ledger"
    first = covenue.plan(ORDER, books(), ledger=path)
    covenue.plan(buy("11", lot="0.001"), books(), warm=first.warm).warm.close()
    verdict = verify(path, Registry())
    assert (verdict.ok, verdict.depth) == (True, "transcript")


def test_data_that_differ_anywhere_have_different_digests() -> None:
    def batch(**changes: Any) -> PoolBatch:
        fields: dict[str, Any] = {
            "assets": (Asset(name="a", decimals=6), Asset(name="b", decimals=6)),
            "pools": tuple(f"p{row}" for row in range(3000)),
            "reserves": np.full((3000, 2), 10**9, dtype=np.int64),
        }
        return PoolBatch(
            "v",
            sides=np.zeros((3000, 2), dtype=np.int64),
            fee_ppm=np.zeros(3000, dtype=np.int64),
            stamp=STAMP,
            **{**fields, **changes},
        )

    moved = np.full((3000, 2), 10**9, dtype=np.int64)
    moved[1500, 1] += 1
    others = [
        batch(reserves=moved),
        batch(pools=tuple(f"p{row + (row == 1500)}" for row in range(3000))),
        batch(assets=(Asset(name="a", decimals=6), Asset(name="b", decimals=7))),
        batch(available=moved),
    ]
    assert facade._state_digest(batch()) == facade._state_digest(batch())
    assert len({facade._state_digest(each) for each in (batch(), *others)}) == 5


def test_actions_of_a_result_are_canonical_contracts() -> None:
    result = covenue.plan(ORDER, books())
    for actions in result.actions.values():
        assert canonical(actions)


def test_the_facade_is_loaded_only_when_asked_for() -> None:
    assert covenue.PlanResult is PlanResult
    with pytest.raises(AttributeError):
        _ = covenue.nothing_of_that_name


LEVELS = st.lists(
    st.tuples(st.integers(1, 400), st.integers(1, 50)),
    min_size=1,
    max_size=8,
    unique_by=lambda t: t[0],
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LEVELS, min_size=1, max_size=4), st.integers(1, 120))
def test_any_books_are_planned_at_least_cost(
    ladders: list[list[tuple[int, int]]], lots: int
) -> None:
    problems = {
        f"v{number}": [(str(price), str(size)) for price, size in sorted(ladder)]
        for number, ladder in enumerate(ladders)
    }
    result = covenue.plan(buy(str(lots), lot="1"), problems)
    levels = [(Decimal(price), size) for ladder in ladders for price, size in ladder]
    depth = sum(size for _, size in levels)
    assert result.plan.sum() == min(lots, depth)
    assert result.value == cheapest(levels, min(lots, depth))


def test_selling_takes_the_best_bids() -> None:
    bids = {"north": [("100", "2")], "south": [("101", "1")]}
    result = covenue.plan(sell("2", lot="1"), bids)
    assert result.plan.tolist() == [[1], [1]]
    assert result.value == 201 * 10_000


# ---- pools, multipliers and masks


POOLS = {
    "north": [("a", "b", 2000.0, 900.0, 3000), ("b", "c", 500.0, 1100.0, 100)],
    "south": [("a", "b", 1500.0, 790.0, 500), ("a", "c", 3000.0, 990.0, 100)],
    "west": [("b", "c", 700.0, 450.0, 3000)],
}


def pool_goal() -> Goal:
    return against({"a": "1", "b": "2", "c": "3"}, band=4)


@pytest.mark.parametrize("privacy", ["open", "secagg"])
@pytest.mark.parametrize("solver", ["dual", "lbfgs"])
def test_pools_are_planned_from_a_notebook_with_any_capable_solver(
    solver: str, privacy: str
) -> None:
    result = covenue.plan(pool_goal(), POOLS, solver=solver, privacy=privacy)
    assert (result.status, result.within_tol) == ("certified", True)
    assert result.coordinates == ("a", "b", "c")
    assert result.plan.shape == (3, 3)
    assert result.plan.sum(axis=0).min() >= 0, "nothing is owed"
    assert result.value > 0
    assert all(len(actions.swaps) == len(POOLS[name]) for name, actions in result.actions.items())
    again = covenue.plan(pool_goal(), POOLS, solver=solver, privacy=privacy, warm=result.warm)
    assert again.status == "certified"
    assert again.rounds <= result.rounds


def test_masked_and_open_plans_of_a_notebook_have_one_transcript() -> None:
    digests = {
        covenue.plan(pool_goal(), POOLS, solver="dual", privacy=privacy).transcript
        for privacy in ("open", "secagg")
    }
    assert len(digests) == 1


def test_two_parties_under_secagg_are_told_how_many_it_takes() -> None:
    two = {name: POOLS[name] for name in ("north", "south")}
    with pytest.raises(BadInput) as caught:
        covenue.plan(pool_goal(), two, solver="dual", privacy="secagg")
    assert caught.value.field == "problems"
    assert "at least 3 parties" in caught.value.advice


def test_tables_of_long_columns_have_digests_of_all_their_numbers() -> None:
    columns = {"price": np.arange(5000.0), "quantity": np.ones(5000)}
    changed = {**columns, "price": columns["price"] + (np.arange(5000) == 2500)}
    assert facade._state_digest(changed) != facade._state_digest(columns)
    assert facade._state_digest(dict(reversed(columns.items()))) == facade._state_digest(columns)
