"""Bad input of the second system: one screen that names file, field, value and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.attacks.small_cohort import write_scenario
from tests.cli.conftest import Invoke

Damage = Callable[[Path], None]


def edited(name: str, old: str, new: str) -> Damage:
    """Replace the first occurrence in a file below the scenario's folder."""

    def damage(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def pool(column: int, value: str) -> Damage:
    """Another value in a column of the first pool of party `east`."""

    def damage(folder: Path) -> None:
        path = folder / "east" / "pools.csv"
        head, first, *rest = path.read_text().splitlines()
        cells = first.split(",")
        cells[column] = value
        path.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")

    return damage


CASES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "a reserve of zero": (pool(3, "0"), ("pools.csv", "line 2", "reserve_a")),
    "a negative reserve": (pool(4, "-5"), ("pools.csv", "line 2", "reserve_b", "-5")),
    "a fee of 100 %": (pool(5, "1000000"), ("pools.csv", "line 2", "fee_ppm", "1000000")),
    "a fee above 100 %": (pool(5, "2000000"), ("pools.csv", "line 2", "fee_ppm", "2000000")),
    "a pool of an unknown asset": (pool(1, "zzz"), ("pools.csv", "line 2", "zzz")),
    "a pool of one asset twice": (pool(2, "a"), ("pools.csv", "line 2", "a")),
    "no reference for an asset": (
        edited("scenario.toml", '"c", "d"]\n', '"c"]\n'),
        ("scenario.toml", "references"),
    ),
    "an asset of a pool that the goal does not know": (
        edited("scenario.toml", '"d"]\n', '"e"]\n'),
        ("domain.goal.references", "d", "pool-"),
    ),
    "words too small for the pools": (
        edited("scenario.toml", "band = 4", "band = 4\nscale_bits = 48"),
        ("coordinate '", "scale_bits"),
    ),
    "a cohort of two under secagg": (
        edited("scenario.toml", "least = 3", "least = 2"),
        ("cohort.least", "2", "secagg"),
    ),
    "an unknown solver": (
        edited("scenario.toml", 'name = "dual"', 'name = "duel"'),
        ("scenario.toml", "solver.name", "duel", "dual"),
    ),
    "a solver that needs what no pool offers": (
        edited("scenario.toml", 'name = "dual"', 'name = "search"'),
        ("solver.name", "search", "needs"),
    ),
    "a tolerance that is no decimal": (
        edited("scenario.toml", 'name = "dual"', 'name = "dual"\noptions = { tolerance = "x" }'),
        ("tolerance", "x"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_pools_goals_and_cohorts_get_one_screen_and_leave_nothing(
    case: str, covenue: Invoke, tmp_path: Path
) -> None:
    damage, named = CASES[case]
    path = write_scenario(tmp_path / "given")
    damage(tmp_path / "given")
    out = tmp_path / "out"
    result = covenue("run", str(path), "--out", str(out))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert "\n  try: " in result.stderr
    assert len(result.stderr.splitlines()) <= 24
    assert [word for word in named if word not in result.stderr] == []
    assert not out.exists()


def test_the_undamaged_scenario_is_ready(covenue: Invoke, tmp_path: Path) -> None:
    path = write_scenario(tmp_path / "given")
    assert covenue("run", str(path), "--dry-run").exit_code == 0
