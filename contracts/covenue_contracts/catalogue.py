"""Where the shipped schemas and vectors lie, and which models there are.

A wheel carries `schemas` and `vectors` inside the package; a checkout has them beside it. Reading a
digest or a schema imports no model.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from covenue_contracts.contract import Contract

MODULES = (
    "energibridge",
    "envelope",
    "ledger",
    "local",
    "plan",
    "plugin",
    "privacy",
    "shared",
)
"""The modules of this package that register contracts."""

CANONICAL_BYTES = "canonical-bytes/v1"
"""Folder of the vectors of the canonical profile itself; no contract has that kind."""

_PACKAGE = Path(__file__).resolve().parent


class KindUnknown(LookupError):
    """No shipped contract has that kind."""

    def __init__(self, kind: str) -> None:
        """Name the kind that was asked for."""
        super().__init__(f"no contract is called {kind!r}")
        self.kind = kind


@dataclass(frozen=True)
class Vector:
    """One shipped vector: the sentence that names it, what is expected, and its file's content."""

    kind: str
    sentence: str
    is_valid: bool
    content: dict[str, Any]


def is_packaged() -> bool:
    """Whether this is an installed copy that carries its schemas, rather than a checkout."""
    return (_PACKAGE / "schemas").is_dir()


def home() -> Path:
    """The folder that holds `schemas` and `vectors`: the package's own copy, else the checkout."""
    return _PACKAGE if is_packaged() else _PACKAGE.parent


@cache
def _digests() -> dict[str, str]:
    text = (home() / "schemas" / "digests.json").read_text(encoding="utf-8")
    return cast("dict[str, str]", json.loads(text))


def kinds() -> tuple[str, ...]:
    """Every shipped contract, in order of kind."""
    return tuple(sorted(_digests()))


def schema_digest(kind: str) -> str:
    """SHA-256, in hex, of the canonical bytes of a shipped schema. Raises KindUnknown."""
    try:
        return _digests()[kind]
    except KeyError:
        raise KindUnknown(kind) from None


def schema(kind: str) -> dict[str, Any]:
    """A fresh copy of a shipped JSON Schema (2020-12). Raises KindUnknown."""
    schema_digest(kind)
    path = home() / "schemas" / f"{kind}.json"
    return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))


def vectors(kind: str) -> Iterator[Vector]:
    """The vectors of a contract, or of CANONICAL_BYTES, in order of sentence, valid ones first.

    Raises KindUnknown.
    """
    if kind != CANONICAL_BYTES:
        schema_digest(kind)
    for name in ("valid", "invalid"):
        for path in sorted((home() / "vectors" / kind / name).glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            yield Vector(kind, path.stem, name == "valid", content)


def load_all() -> "dict[str, type[Contract]]":
    """Import every model, and return all contracts by kind, in order of kind."""
    for name in MODULES:
        import_module(f"covenue_contracts.{name}")
    contracts = import_module("covenue_contracts.contract").contracts
    return cast("dict[str, type[Contract]]", contracts())


def model(kind: str) -> "type[Contract]":
    """The model of a contract. Raises KindUnknown."""
    try:
        return load_all()[kind]
    except KeyError:
        raise KindUnknown(kind) from None
