"""Options of the solver, parsed once; each refusal names the option and its value."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar

Options = Mapping[str, Scalar | tuple[Scalar, ...]]
DEFAULT_TOLERANCE = "0.000001"
KNOWN = ("tolerance",)


def tolerance_of(options: Options) -> Fraction:
    """The relative gap that certifies, as decimal text between 0 and 1.

    Raises BadInput for another option, or a value that is none.
    """
    for name, value in options.items():
        if name not in KNOWN:
            near = (get_close_matches(name, KNOWN) or list(KNOWN))[0]
            raise BadInput(
                f"solver 'admm' has no option '{name}'",
                f"did you mean '{near}'?",
                field=f"solver.options.{name}",
                value=str(value),
            )
    text = options.get("tolerance", DEFAULT_TOLERANCE)
    if isinstance(text, str) and re.fullmatch(r"0\.[0-9]{1,18}", text) and Fraction(text) > 0:
        return Fraction(text)
    raise BadInput(
        "the tolerance is not usable",
        f'give a decimal as text between 0 and 1, up to 18 digits; "{DEFAULT_TOLERANCE}" is usual',
        field="solver.options.tolerance",
        value=str(text),
    )
