"""How many probes a round may have: as many as the entry that asks them holds."""

from pathlib import Path

import pytest

from covenue.errors import BadInput
from covenue.hooks.solvers import QUERY_BYTES_MAX
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import INTEGER_DIGITS
from covenue_contracts.shared import Query
from covenue_solver_search import Search
from covenue_solver_search.search import LONGEST_KEY, MOST_PROBES


def asking(points: int) -> Query:
    """A depth query of the longest keys that a contract holds."""
    return Query(
        kind="depth", after=None, multipliers=None, points=("9" * INTEGER_DIGITS,) * points
    )


def test_the_most_probes_fit_a_query_whatever_their_length() -> None:
    assert Search.from_options({"probes": MOST_PROBES}).probes == MOST_PROBES
    spare = QUERY_BYTES_MAX - len(canonical(asking(MOST_PROBES)))
    assert 0 <= spare < 3 * LONGEST_KEY, "the bound is not sharper than it need be"


def test_the_readme_names_the_bound() -> None:
    readme = Path(__file__).parents[2] / "plugins" / "solver-search" / "README.md"
    assert f"2 to {MOST_PROBES};" in readme.read_text()


@pytest.mark.parametrize("probes", [MOST_PROBES + 1, 5000, 65_535])
def test_more_probes_than_a_query_holds_are_refused(probes: int) -> None:
    with pytest.raises(BadInput, match="one entry holds") as caught:
        Search.from_options({"probes": probes})
    assert caught.value.field == "solver.options.probes"
    assert str(MOST_PROBES) in caught.value.advice
