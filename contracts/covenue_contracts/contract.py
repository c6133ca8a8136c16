"""The root of every contract: frozen, strict, closed models, and the types they are made of.

Amounts, prices and nanosecond times are decimal strings; integers stay within 2^53 - 1; there are
no floats.
Source: architecture.md, section 5; ledger.md, section 2.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

SAFE_INTEGER = 2**53 - 1
INTEGER_DIGITS = 39
"""What `Integer` and `Natural` hold at most, besides a sign."""

Integer = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,38})$")]
Natural = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,38})$")]
Decimal = Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,18})?$")]
Positive = Annotated[
    str,
    Field(pattern=r"^([1-9][0-9]{0,20}(\.[0-9]{1,18})?|0\.0{0,17}[1-9][0-9]{0,17})$"),
]
Time = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,19})$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Did = Annotated[str, Field(pattern=r"^did:key:z[1-9A-HJ-NP-Za-km-z]{46,50}$")]
Base64 = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
    ),
]
"""Padded, unused bits zero: equal bytes have one spelling, so nobody can re-spell a signature."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*([-._][a-z0-9]+)*$", max_length=64)]
Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*([-._][a-z0-9]+)*/v[1-9][0-9]{0,3}$")]
Text = Annotated[str, Field(max_length=4096)]
Count = Annotated[int, Field(ge=0, le=SAFE_INTEGER)]
SafeInt = Annotated[int, Field(ge=-SAFE_INTEGER, le=SAFE_INTEGER)]
Scalar = StrictStr | SafeInt | StrictBool | None
Document = dict[
    Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Scalar | tuple[Scalar, ...]
]
"""A flat map in the canonical profile: how a domain's own terms ride in a kernel contract."""

__all__ = [
    "INTEGER_DIGITS",
    "SAFE_INTEGER",
    "Base64",
    "Contract",
    "Count",
    "Decimal",
    "Did",
    "Digest",
    "Document",
    "Integer",
    "Kind",
    "Name",
    "Natural",
    "Positive",
    "SafeInt",
    "Scalar",
    "StrictInt",
    "Text",
    "Time",
    "contract",
    "contracts",
]


class Contract(BaseModel):
    """A frozen, strict, closed message; `kind` names its schema, `<name>/v<n>`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    kind_name: ClassVar[str] = ""


_CONTRACTS: dict[str, type[Contract]] = {}
C = TypeVar("C", bound=type[Contract])


def contract(kind: str) -> Callable[[C], C]:
    """Register a model as the truth of `kind`; a kind is registered once."""

    def register(model: C) -> C:
        if kind in _CONTRACTS:
            message = f"contract {kind} is registered twice"
            raise ValueError(message)
        model.kind_name = kind
        _CONTRACTS[kind] = model
        return model

    return register


def contracts() -> dict[str, type[Contract]]:
    """Every registered contract by kind, in order of kind."""
    return dict(sorted(_CONTRACTS.items()))
