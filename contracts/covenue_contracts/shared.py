"""What is asked of all parties, and the protected words that come back."""

from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Base64,
    Contract,
    Count,
    Did,
    Digest,
    Integer,
    Name,
    Natural,
    contract,
)

Capability = Literal[
    "RESPOND", "CURVATURE", "DEPTH", "PROX", "SCORE", "CERTIFY", "RECOVER", "DISCLOSE"
]
QueryKind = Literal[
    "respond",
    "curvature",
    "depth",
    "prox",
    "score",
    "certify",
    "recover",
    "disclose",
    "commit",
    "settle",
]


@contract("dual-variables/v1")
class DualVariables(Contract):
    """Multipliers = prices, one per shared coordinate, as integers on the grid 2^-scale_bits."""

    scale_bits: Annotated[int, Field(ge=0, le=62)]
    values: tuple[Integer, ...]


@contract("question/v1")
class Query(Contract):
    """One question to every participant; `after` names the query whose memory it continues from.

    points: probes, candidates or the parts of a solution, in the units of the Space.
    """

    kind: QueryKind
    after: Digest | None
    multipliers: DualVariables | None
    points: tuple[Integer, ...]


@contract("space/v1")
class Space(Contract):
    """Names, units, fixed-point scale and bound of the shared coordinates.

    A word w stands for w * 2^-scale_bits units; |w| <= bound is kept by clipping.
    `signal` names the privacy budget that every answer is charged to.
    """

    signal: Name
    names: Annotated[tuple[Name, ...], Field(min_length=1)]
    units: tuple[Name, ...]
    scale_bits: Annotated[int, Field(ge=0, le=62)]
    bound: Natural


@contract("signals.total/v1")
class SharedSignals(Contract):
    """Protected words (little-endian int64, base64): one release, or the sum over a cohort.

    digest: SHA-256 of the words' bytes. words: null where they would not fit an entry; they are
    computed again from the uploads that the ledger keeps, and held against the digest.
    """

    plan: Digest
    round: Count
    query: Digest
    words: Base64 | None
    digest: Digest
    cohort: tuple[Did, ...]
    exact: bool
