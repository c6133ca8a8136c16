"""The benchmark on tiny instances: its keys, its advice, and what it says of peers that fail."""

import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from benchmarks import environments, solvers
from benchmarks.child import Child, Died
from benchmarks.environments import GROUPS, environment_of
from benchmarks.families import NAMES, drawn, family_of
from benchmarks.instances import quantised, sor
from benchmarks.kernel import overhead
from benchmarks.loop import Memories, committed, solve
from benchmarks.our_child import quantile
from benchmarks.peers import PEERS, WARM
from benchmarks.solvers import Wanted, chosen, main, measure

from covenue.errors import BadInput

FLOATS = ("ours_ms", "setup_ms", "replan_ms_median", "peak_mb", "gap")
COUNTS = ("rounds", "replan_rounds_p99", "bytes_per_venue")
MEDIANS = ("replan_rounds_median", "replan_bytes_per_venue")
TINY = {
    "cfmm": (12, 6, ("clarabel", "ecos", "lbfgsb_scaled")),
    "sor": (4, None, ("highs", "highs_warm", "argsort")),
    "vwap": (3, 6, ("osqp", "osqp_warm")),
    "arb": (3, 3, ("highs", "highs_warm")),
}


def wanted(family: str, n: int, m: int | None, peers: tuple[str, ...], **more: Any) -> Wanted:
    fields = {"kind": "random", "repeats": 2, "replans": 3, "peer_seconds": 60.0, **more}
    return Wanted(
        family=family, n=n, m=m, seed=0, levels=None, peers=peers, environments=False, **fields
    )


@cache
def told(family: str) -> dict[str, Any]:
    n, m, peers = TINY[family]
    return measure(wanted(family, n, m, peers))


@pytest.mark.parametrize("family", NAMES)
def test_a_family_has_every_key_that_was_agreed(family: str) -> None:
    result = told(family)
    assert all(isinstance(result[key], float) for key in FLOATS)
    assert all(isinstance(result[key], int) for key in COUNTS)
    assert all(isinstance(result[key], int | float) for key in MEDIANS)
    assert isinstance(result["feasible"], bool)
    assert set(result["peers"]) == set(TINY[family][2])
    assert set(result["ratios"]) == {n for n, p in result["peers"].items() if p["ms"] is not None}
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("family", NAMES)
def test_a_committed_plan_is_feasible_and_its_bytes_are_counted(family: str) -> None:
    result = told(family)
    assert result["feasible"] is True
    assert result["gap"] >= 0.0
    assert result["bytes_per_venue"] % 8 == 0
    assert result["bytes_per_venue"] >= 8 * result["rounds"]


@pytest.mark.parametrize("family", NAMES)
def test_no_peer_is_better_than_the_bound(family: str) -> None:
    for name, peer in told(family)["peers"].items():
        if peer["ms"] is None:
            continue
        if name in WARM[family]:
            assert peer["objective_gap"] is None
        else:
            assert -1e-12 <= peer["objective_gap"] <= 1e-3
        assert peer["ms"] > 0.0


@pytest.mark.parametrize("family", NAMES)
def test_ratios_are_of_times_in_the_same_result(family: str) -> None:
    result = told(family)
    for name, ratio in result["ratios"].items():
        ours = result["replan_ms_median" if name in WARM[family] else "ours_ms"]
        assert ratio == pytest.approx(result["peers"][name]["ms"] / ours, rel=1e-3)


def test_books_are_filled_at_exactly_the_cost_of_sorting_all_levels() -> None:
    result = told("sor")
    assert result["exact"] is True
    assert result["gap"] == 0.0
    assert result["peers"]["argsort"]["objective_gap"] == 0.0


def test_lots_of_an_execution_have_a_gap_of_their_own() -> None:
    assert told("vwap")["lot_gap"] >= 0.0


ADVICE = {
    "an unknown family": (("--family", "bonds", "--n", "3"), "cfmm, sor, vwap, arb"),
    "an unknown kind": (("--family", "cfmm", "--n", "9", "--kind", "calm"), "random, market"),
    "no venues": (("--family", "arb", "--n", "0"), "give 1 or more"),
    "a negative seed": (("--family", "cfmm", "--n", "9", "--seed", "-1"), "give 0 or more"),
    "too many tokens": (("--family", "cfmm", "--n", "1000000"), "give --m 1000"),
    "too many slices": (("--family", "vwap", "--n", "9", "--m", "900"), "from 2 to 200"),
    "no repeats": (("--family", "sor", "--n", "9", "--repeats", "0"), "give 1 or more"),
    "no re-plans": (("--family", "sor", "--n", "9", "--replans", "-1"), "give 1 or more"),
    "no levels": (("--family", "arb", "--n", "9", "--levels", "0"), "give 1 or more"),
    "no patience": (("--family", "sor", "--n", "9", "--peer-seconds", "0"), "more than 0 seconds"),
    "one token": (("--family", "cfmm", "--n", "9", "--m", "1"), "give --m 2 or more"),
    "a peer of another family": (("--family", "cfmm", "--n", "9", "--peers", "osqp"), "clarabel"),
}


@pytest.mark.parametrize("case", ADVICE)
def test_a_wish_that_cannot_be_met_gives_advice(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, advice = ADVICE[case]
    assert main([*arguments, "--no-environments"]) == 2
    assert advice in capsys.readouterr().err


def test_the_command_prints_json_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(solvers, "measure", lambda wanted: told(wanted.family))
    assert main(["--family", "cfmm", "--n", "12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["instance"]["n"] == 12
    assert main(["--family", "vwap", "--n", "3"]) == 0
    assert "osqp: " in capsys.readouterr().out


def test_a_basket_stays_within_one_lot_of_its_bound() -> None:
    built = family_of("sor").built(sor(5, L=8, m=3, budget=True))
    memories = Memories()
    done = solve(built, None, memories)
    value, bound, _ = family_of("sor").certificate(built, done.solution)
    assert 0.0 <= bound - value <= float(sor(5, L=8, m=3).v.max())


def test_what_the_kernel_adds_is_a_ratio_of_times_in_one_run() -> None:
    added = overhead(drawn("cfmm", "random", 8, 4, 0), repeats=1, replans=2)
    for kind in ("", "replan_"):
        ratio = added[f"{kind}kernel_ms"] / added[f"{kind}bare_ms"]
        assert added[f"{kind}ratio"] == pytest.approx(ratio, rel=0.01)
    with pytest.raises(TypeError):
        overhead(drawn("sor", "random", 3, None, 0))


BROKEN = {
    "a swap that gives too much": ("cfmm", {"least": "1000000000000"}),
    "a swap that pays nothing": ("cfmm", {"paid": "0"}),
    "a leg that asks for more than there is": ("sor", {"quantity_steps": "99999"}),
    "a leg that takes one lot less": ("sor", {"quantity_steps": "1"}),
    "a leg beyond a ladder": ("arb", {"quantity_steps": "99999999999999"}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_plan_that_was_tampered_with_is_not_feasible(case: str) -> None:
    name, change = BROKEN[case]
    n, m, _ = TINY[name]
    family, instance = family_of(name), quantised(drawn(name, "random", n, m, 0))
    built, memories = family.built(instance), Memories()
    done = solve(built, None, memories)
    actions, words, points = committed(built, done.solution, memories)
    assert family.feasible(instance, built, (actions, words, points), done.solution)
    parts = "swaps" if name == "cfmm" else "legs"
    first, *others = getattr(actions, parts)
    tampered = actions.model_copy(update={parts: (first.model_copy(update=change), *others)})
    assert not family.feasible(instance, built, (tampered, words, points), done.solution)


def test_a_peer_that_is_not_installed_says_so_and_the_others_go_on() -> None:
    result = told("cfmm")
    missing = result["peers"]["ecos"]
    if find_spec("ecos") is None:
        assert (missing["ms"], missing["objective_gap"]) == (None, None)
        assert "No module named 'ecos'" in missing["status"]
    assert result["ratios"]["clarabel"] > 0.0


def test_our_own_side_that_ends_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(wanted: Wanted) -> dict[str, Any]:
        raise Died(f"no end of {wanted.family} within 600 s")

    monkeypatch.setattr(solvers, "measure", ends)
    assert main(["--family", "arb", "--n", "3"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "no end of arb within 600 s\nadvice: give a smaller --n" in said.err


def test_a_peer_that_ends_after_its_answer_keeps_the_answer_and_says_so() -> None:
    child = Child(sys.executable, "benchmarks.no_such_module")
    peer = solvers.Contender("gone", child, answers=[{"ms": 1.0}])
    try:
        assert peer.said("facts", 60.0) is None
    finally:
        child.close()
    assert (peer.child, peer.version, peer.peak_mb) == (None, "", None)
    assert "died" in peer.problem
    assert peer.said("facts", 60.0) is None


def test_a_peer_that_takes_too_long_is_ended_and_says_so() -> None:
    peer = solvers.Contender("slow", Child(sys.executable, "benchmarks.peer_child"))
    child = peer.child
    assert child is not None
    peer.turn("start", 0.0)
    assert peer.child is None
    assert "no end within" in peer.problem
    assert child.process.returncode is not None


def test_a_child_that_dies_is_told_apart_from_a_late_one() -> None:
    child = Child(sys.executable, "benchmarks.no_such_module")
    with pytest.raises(Died, match="died"):
        child.ask("start", 60.0)
    child.close()


def test_what_a_child_raises_is_told_and_ends_nothing() -> None:
    child = Child(sys.executable, "benchmarks.peer_child", "cfmm", "nobody", "", "plain")
    try:
        for _ in range(2):
            with pytest.raises(Died, match="KeyError"):
                child.ask("start", 60.0)
    finally:
        child.close()


def test_every_peer_has_an_environment_that_is_described() -> None:
    for family in NAMES:
        for name in (*PEERS[family], *WARM[family]):
            file = environments.HERE / f"requirements-{GROUPS[name]}.txt"
            assert "numpy" in file.read_text()


def test_a_basket_has_no_peer_that_sorts_one_book() -> None:
    assert "argsort" in chosen(wanted("sor", 4, None, ()))
    assert "argsort" not in chosen(wanted("sor", 4, 3, ()))


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_an_environment_is_made_once_and_named_by_its_content(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Path] = []

    def make(place: Path, requirements: Path) -> str:
        place.mkdir()
        made.append(requirements)
        return ""

    monkeypatch.setattr(environments, "_made", make)
    first, again, other = (environment_of(name) for name in ("osqp", "clarabel", "ecos"))
    assert first == again != other
    assert [file.name for file in made] == ["requirements-conic.txt", "requirements-ecos.txt"]
    assert Path(first.python).is_relative_to(cache_home / "covenue-bench")
    said = capsys.readouterr()
    assert said.out == "", "standard output is for JSON alone"
    assert [said.err.count(f"of {file.name}, once") for file in made] == [1, 1]


def test_what_cannot_be_installed_is_tried_again_and_says_why(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "_made", lambda place, file: "not installed: no network")
    for _ in range(2):
        assert environment_of("scs").problem == "not installed: no network"
    assert not list((cache_home / "covenue-bench").glob("*/.ready"))


def test_the_quantile_is_a_value_of_the_list() -> None:
    assert [quantile(list(range(1, 101)), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert quantile([3], 99) == 3


def test_a_drawn_instance_has_the_sizes_that_were_asked() -> None:
    pools, books = drawn("cfmm", "market", 20, 7, 3), drawn("sor", "random", 3, None, 0, 12)
    assert (pools.n, getattr(pools, "m", 0)) == (20, 7)
    assert getattr(books, "px", None).shape == (3, 1, 12)  # type: ignore[union-attr]  # books have prices
    with pytest.raises(BadInput):
        drawn("arb", "random", 3, 4000, 0)
