"""Options of the reference, parsed once; each refusal names the option and its value."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar

Options = Mapping[str, Scalar | tuple[Scalar, ...]]
Modelling = Literal["direct", "cvxpy"]
KNOWN = ("tolerance", "lot_tolerance", "modelling")
DEFAULT_TOLERANCE = "0.000001"
DEFAULT_LOT_TOLERANCE = "0.00001"


def check_names(options: Options) -> None:
    """Raise BadInput for an option that the reference does not have."""
    for name, value in options.items():
        if name not in KNOWN:
            near = (get_close_matches(name, KNOWN) or KNOWN)[0]
            raise BadInput(
                f"solver 'reference' has no option '{name}'",
                f"did you mean '{near}'?",
                field=f"solver.options.{name}",
                value=str(value),
            )


def tolerance_of(options: Options) -> Fraction:
    """The relative gap that certifies, as decimal text between 0 and 1."""
    return _part(options, "tolerance", DEFAULT_TOLERANCE)


def lot_tolerance_of(options: Options) -> Fraction:
    """The relative gap that certifies a plan of whole lots; no less than the other."""
    return max(_part(options, "lot_tolerance", DEFAULT_LOT_TOLERANCE), tolerance_of(options))


def _part(options: Options, name: str, usual: str) -> Fraction:
    text = options.get(name, usual)
    if isinstance(text, str) and re.fullmatch(r"0\.[0-9]{1,18}", text) and Fraction(text) > 0:
        return Fraction(text)
    raise BadInput(
        f"the option '{name}' is not usable",
        f'give a decimal as text between 0 and 1, up to 18 digits; "{usual}" is usual',
        field=f"solver.options.{name}",
        value=str(text),
    )


def modelling_of(options: Options) -> Modelling:
    """Who writes the program down for the central solver."""
    value = options.get("modelling", "direct")
    if value == "direct":
        return "direct"
    if value == "cvxpy":
        return "cvxpy"
    raise BadInput(
        "the option 'modelling' is not usable",
        'give "direct" (Clarabel or HiGHS in their own forms) or "cvxpy"',
        field="solver.options.modelling",
        value=str(value),
    )
