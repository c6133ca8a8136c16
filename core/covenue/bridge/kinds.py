"""What a canonical message may be: a contract, alone or together with the parts that it names.

Two contracts are envelopes of something else: an entry of its body, a local problem of its data
and of the goal that it serves. As messages they carry these, so that nothing is left behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from covenue.bridge.spelling import Path, Unsayable
from covenue.registry.validation import Validator, contract_validator, validator
from covenue_contracts import catalogue

ENVELOPE = "envelope/v1"
VERSION = "/v1"


@dataclass(frozen=True)
class Part:
    """A document that rides in a contract's message under its own key.

    kind: its contract; by: or the field of the contract that names it, without `suffix`.
    """

    kind: str = ""
    by: str = ""
    suffix: str = ""

    def kind_named(self, word: str) -> str:
        """The contract that the field's value names."""
        return f"{word}{self.suffix}"


PARTS: Mapping[str, Mapping[str, Part]] = {
    "entry/v1": {"body": Part(by="kind", suffix=VERSION)},
    "local-problem/v1": {"goal": Part(kind="goal/v1"), "data": Part(by="state")},
}
"""Parts of those contracts that are envelopes, by key."""


def known() -> tuple[str, ...]:
    """Every type of message of the canonical dialect: the contracts, in order of kind."""
    return catalogue.kinds()


def validate(kind: str, body: Any) -> None:
    """Raise Unsayable, naming the first place, unless `body` is a message of a known contract."""
    parts = PARTS.get(kind, {})
    if not isinstance(body, dict):
        raise Unsayable((), body, "no map stands there")
    _hold(contract_validator(kind), kind, {k: v for k, v in body.items() if k not in parts}, ())
    for key, part in parts.items():
        if key not in body:
            raise Unsayable((key,), None, "the field is missing")
        _hold(contract_validator(_kind_of(part, body)), _kind_of(part, body), body[key], (key,))


def validate_metadata(metadata: Any) -> None:
    """Raise Unsayable, naming the first place, unless this is what is known of an envelope."""
    _hold(metadata_validator(), ENVELOPE, metadata, ())


def metadata_schema() -> dict[str, Any]:
    """The schema of a message's metadata: an envelope without payload, each field optional."""
    found = catalogue.schema(ENVELOPE)
    found["properties"].pop("payload")
    found["required"] = []
    return found


@lru_cache(maxsize=1)
def metadata_validator() -> Validator:
    """The compiled schema of metadata."""
    return validator(metadata_schema())


def _kind_of(part: Part, body: dict[str, Any]) -> str:
    if part.kind:
        return part.kind
    kind = part.kind_named(str(body[part.by]))
    if kind not in catalogue.kinds():
        raise Unsayable((part.by,), body[part.by], "no contract of this host has that name")
    return kind


def _hold(compiled: Validator, kind: str, document: Any, where: Path) -> None:
    if compiled.is_valid(document):
        return
    first = min(compiled.violations(document), key=lambda item: (item.field, item.what))
    steps = tuple(_step(step) for step in first.field.split("/")[1:])
    value = document
    for step in steps:
        value = value[step]
    raise Unsayable((*where, *steps), value, f"it breaks a rule of {kind}: {first.what}"[:200])


def _step(step: str) -> Any:
    return int(step) if step.isdigit() else step.replace("~1", "/").replace("~0", "~")
