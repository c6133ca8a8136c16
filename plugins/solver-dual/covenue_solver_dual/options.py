"""Options of both solvers, parsed once; each refusal names the option and its value."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import get_args

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar
from covenue_solver_dual.costs import Costs, Hessian

Options = Mapping[str, Scalar | tuple[Scalar, ...]]
DEFAULT_TOLERANCE = "0.000001"
DEFAULT_MEMORY = 10
MOST_MEMORY = 100


def check_names(solver: str, options: Options, known: Sequence[str]) -> None:
    """Raise BadInput for an option that the solver does not have."""
    for name, value in options.items():
        if name not in known:
            near = (get_close_matches(name, known) or list(known))[0]
            raise BadInput(
                f"solver '{solver}' has no option '{name}'",
                f"did you mean '{near}'?",
                field=f"solver.options.{name}",
                value=str(value),
            )


def tolerance_of(options: Options) -> Fraction:
    """The relative gap that certifies, as decimal text between 0 and 1."""
    text = options.get("tolerance", DEFAULT_TOLERANCE)
    if isinstance(text, str) and re.fullmatch(r"0\.[0-9]{1,18}", text) and Fraction(text) > 0:
        return Fraction(text)
    raise BadInput(
        "the tolerance is not usable",
        f'give a decimal as text between 0 and 1, up to 18 digits; "{DEFAULT_TOLERANCE}" is usual',
        field="solver.options.tolerance",
        value=str(text),
    )


def costs_of(options: Options) -> Costs:
    """When slopes are asked for, and what rounds and bytes cost."""
    default = Costs()
    return Costs(
        _hessian(options),
        _decimal(options, "rtt_ms", default.rtt_ms),
        _decimal(options, "bandwidth_mbps", default.bandwidth_mbps),
    )


def _hessian(options: Options) -> Hessian:
    value = options.get("hessian", "auto")
    for known in get_args(Hessian):
        if value == known:
            return known  # type: ignore[no-any-return]  # get_args is not typed
    raise BadInput(
        "the option 'hessian' is not usable",
        'give "auto" (as round trips and bytes cost), "cached" (rounds 1, 3, 5 and where they are '
        'stale) or "every" (each round)',
        field="solver.options.hessian",
        value=str(value),
    )


def _decimal(options: Options, name: str, default: float) -> float:
    value = options.get(name, default)
    text = value if isinstance(value, str) else str(value)
    counts = isinstance(value, str | int | float) and not isinstance(value, bool)
    if counts and re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) and float(text) > 0.0:
        return float(text)
    raise BadInput(
        f"the option '{name}' is not usable",
        f'give a positive whole number, or a decimal as text, below 10^6; "{default}" is usual',
        field=f"solver.options.{name}",
        value=str(value),
    )


def memory_of(options: Options) -> int:
    """How many steps L-BFGS remembers."""
    value = options.get("memory", DEFAULT_MEMORY)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_MEMORY:
        return value
    raise BadInput(
        "the number of remembered steps is not usable",
        f"give a whole number from 1 to {MOST_MEMORY}; {DEFAULT_MEMORY} is usual",
        field="solver.options.memory",
        value=str(value),
    )
