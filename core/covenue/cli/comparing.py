"""`--compare SOLVER`: the same scenario with another solver, and how the plans differ."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covenue.registry.load import Registry
    from covenue.rounds.session import Progress, RunResult

Other = Callable[["RunResult", "Callable[[Progress], None]", float], dict[str, Any]]


def compared_with(
    registry: "Registry", path: Path, options: Mapping[str, str], solver: str | None
) -> Other:
    """A function that runs the other solver beside a result; it is checked before anything runs.

    What it returns goes into the summary: `compared`, or nothing where no solver was named.
    """
    from covenue.replay.differential import compare
    from covenue.rounds.preflight import prepare
    from covenue.rounds.scenario import read_scenario
    from covenue.rounds.session import run

    if solver is None:
        return lambda _result, _show, _pace: {}
    prepared = prepare(read_scenario(path, {**options, "solver": solver}), registry)

    def run_other(
        result: "RunResult", show: "Callable[[Progress], None]", pace: float
    ) -> dict[str, Any]:
        other = run(prepared, result.ledger.parent / f"compare-{solver}", show, pace)
        named = (str(result.summary["solver"]), solver)
        return {"compared": compare(result.ledger, other.ledger, named, registry)}

    return run_other
