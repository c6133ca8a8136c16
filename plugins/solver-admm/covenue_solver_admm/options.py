"""Options of the solver, parsed once; each refusal names the option and its value."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar

Options = Mapping[str, Scalar | tuple[Scalar, ...]]
DEFAULTS = {"tolerance": "0.000001", "lot_tolerance": "0.00001"}


def tolerances_of(options: Options) -> tuple[Fraction, Fraction]:
    """The relative gaps that certify, of amounts and of whole lots: decimal text from 0 to 1.

    Raises BadInput for another option, or a value that is none.
    """
    for name, value in options.items():
        if name not in DEFAULTS:
            near = (get_close_matches(name, DEFAULTS) or list(DEFAULTS))[0]
            raise BadInput(
                f"solver 'admm' has no option '{name}'",
                f"did you mean '{near}'?",
                field=f"solver.options.{name}",
                value=str(value),
            )
    return _decimal(options, "tolerance"), _decimal(options, "lot_tolerance")


def _decimal(options: Options, name: str) -> Fraction:
    text = options.get(name, DEFAULTS[name])
    if isinstance(text, str) and re.fullmatch(r"0\.[0-9]{1,18}", text) and Fraction(text) > 0:
        return Fraction(text)
    raise BadInput(
        f"the {name.replace('_', ' ')} is not usable",
        f'give a decimal as text between 0 and 1, up to 18 digits; "{DEFAULTS[name]}" is usual',
        field=f"solver.options.{name}",
        value=str(text),
    )
