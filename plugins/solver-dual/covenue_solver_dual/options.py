"""Options of both solvers, parsed once; each refusal names the option and its value."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar

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


def hessian_of(options: Options) -> Literal["cached", "every"]:
    """When slopes are asked for."""
    value = options.get("hessian", "cached")
    if value == "cached":
        return "cached"
    if value == "every":
        return "every"
    raise BadInput(
        "the option 'hessian' is not usable",
        'give "cached" (rounds 1, 3, 5 and where it is stale) or "every" (each round)',
        field="solver.options.hessian",
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
