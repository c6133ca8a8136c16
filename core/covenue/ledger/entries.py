"""Entries: the documents that a log holds, encoded fast and read back strictly.

msgspec encodes on the hot path; `covenue_contracts.canonical` is the definition and `rfc8785`
the oracle. All three agree inside the canonical profile. Source: ledger.md, section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import msgspec
import rfc8785

from covenue.errors import BadInput, EntryTooLarge, LedgerDamaged
from covenue_contracts.canonical import ProfileBroken, ValidationError, check_profile
from covenue_contracts.contract import Contract, contracts
from covenue_contracts.ledger import ENTRY_BYTES_MAX, EntryHeader

HEADER_BYTES_MAX = 512
"""What an entry takes besides its body, whoever writes it and when, without `refs`."""
BLOB_FIELDS: Mapping[str, tuple[str, ...]] = {
    "submit": ("blob",),
    "reply": ("blob",),
    "tail": ("bundle",),
    "outcome": ("outcomes",),
    "snapshot": ("blob",),
    "action": ("actions",),
}
"""Fields whose digest names a blob of the same ledger; so does every digest in `refs`."""

_ENCODE = msgspec.json.Encoder(order="sorted").encode
_DECODE = msgspec.json.Decoder().decode
_CONTRACT_ROOMS = (
    "covenue_contracts.ledger",
    "covenue_contracts.plan",
    "covenue_contracts.privacy",
    "covenue_contracts.shared",
)
_models: dict[str, type[Contract]] = {}


@dataclass(frozen=True)
class Entry:
    """One entry: its header, its body as the contract that `kind` names, and its bytes."""

    header: EntryHeader
    body: Contract
    raw: bytes


def entry_kind(body: Contract) -> str:
    """The kind under which a body is entered: its contract's name without the version."""
    return body.kind_name.rpartition("/")[0]


def encode_entry(header: EntryHeader, body: Contract, *, ask_oracle: bool = False) -> bytes:
    """The canonical bytes of an entry.

    ask_oracle: compare with `rfc8785`, and stop the writer on a difference (LedgerDamaged).
    Raises EntryTooLarge above 65,535 bytes, and BadInput for a body that `kind` does not name or
    that leaves the canonical profile.
    """
    if body.kind_name != f"{header.kind}/v{header.v}":
        raise BadInput(
            f"an entry of kind {header.kind!r} cannot carry {body.kind_name}",
            "enter a body under its contract's own name",
            field="kind",
            value=header.kind,
        )
    document = header.model_dump(mode="json")
    document["body"] = body.model_dump(mode="json")
    try:
        check_profile(document)
    except ProfileBroken as error:
        raise BadInput(
            f"a body of {body.kind_name} leaves the canonical profile: {error.why}",
            "write amounts and times as decimal strings",
            field=error.where,
        ) from error
    data = _ENCODE(document)
    if ask_oracle and rfc8785.dumps(document) != data:
        raise LedgerDamaged(
            f"two encoders disagree on an entry of kind {header.kind!r}",
            "stop writing and report the versions of msgspec and rfc8785",
            "entry encoder",
        )
    if len(data) > ENTRY_BYTES_MAX:
        raise EntryTooLarge(
            f"an entry of {len(data)} bytes exceeds {ENTRY_BYTES_MAX}",
            "put its bulk into a blob (AuditLog.put_blob) and enter the digest",
            field="body",
            value=body.kind_name,
        )
    return data


def room_beside(body: Contract) -> int:
    """Bytes that an entry of this body has left, whatever its header says; below 0: none fits."""
    size = len(_ENCODE(body.model_dump(mode="json")))
    return ENTRY_BYTES_MAX - HEADER_BYTES_MAX - size


def decode_entry(data: bytes, place: str = "entry") -> Entry:
    """The entry of canonical bytes; equal entries have equal bytes, and only those are read.

    Raises LedgerDamaged, with `place`, for bytes that are too many, no JSON, outside the profile,
    not canonical, of an unknown kind, or not valid under their contract.
    """
    if len(data) > ENTRY_BYTES_MAX:
        raise _damaged(f"it has more than {ENTRY_BYTES_MAX} bytes", place)
    document = _parse(data, place)
    if not isinstance(document, dict) or not isinstance(document.get("body"), dict):
        raise _damaged("it is no document with a body", place)
    body = document.pop("body")
    try:
        header = EntryHeader.model_validate_json(_ENCODE(document))
        model = contract_of(header.kind)
        if model is None:
            raise _damaged(f"its kind {header.kind!r} names no contract of this version", place)
        return Entry(header, model.model_validate_json(_ENCODE(body)), data)
    except ValidationError as error:
        fields = ", ".join("/".join(map(str, item["loc"])) for item in error.errors())[:200]
        raise _damaged(f"it is not valid under its contract ({fields})", place) from None


def named_blobs(entry: Entry) -> tuple[str, ...]:
    """The digests of the blobs that an entry names."""
    fields = BLOB_FIELDS.get(entry.header.kind, ())
    named = (getattr(entry.body, field) for field in fields)
    return (*(digest for digest in named if digest is not None), *entry.header.refs)


def contract_of(kind: str) -> type[Contract] | None:
    """The contract of an entry's body, or None where no `<kind>/v1` is registered."""
    if kind not in _models:
        for room in _CONTRACT_ROOMS:
            import_module(room)
        _models.update(
            {name[:-3]: model for name, model in contracts().items() if name.endswith("/v1")}
        )
    return _models.get(kind)


def _parse(data: bytes, place: str) -> Any:
    try:
        document = _DECODE(data)
        check_profile(document)
        is_canonical = _ENCODE(document) == data
    except ProfileBroken as error:
        raise _damaged(f"it leaves the canonical profile at {error.where}", place) from error
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError) as error:
        raise _damaged("it is no JSON text", place) from error
    if not is_canonical:
        raise _damaged("its bytes are not in canonical form", place)
    return document


def _damaged(why: str, place: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"an entry is damaged: {why}", "restore the ledger from a copy that verifies", place
    )
