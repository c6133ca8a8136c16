"""Models to JSON Schemas (2020-12), byte for byte the same on every export.

A schema speaks about documents of the canonical profile (`canonical.parse`), in which floats do not
occur. So "integer", which JSON Schema also grants to 1.0, means what strict pydantic means by it.
"""

import hashlib
import json
from typing import Any

from covenue_contracts.canonical import canonical
from covenue_contracts.catalogue import load_all
from covenue_contracts.contract import Contract
from covenue_contracts.portability import unportable
from covenue_contracts.subschemas import Schema, transform

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PROFILE_NOTE = (
    "Documents are in Covenue's canonical profile (RFC 8785; no floats, integers within 2^53 - 1):"
    " check their bytes before their schema."
)


def urn(kind: str) -> str:
    """The `$id` of a contract's schema: `urn:covenue:contract:<name>:v<n>`."""
    return "urn:covenue:contract:" + kind.replace("/", ":")


def schema_of(model: type[Contract], kind: str) -> Schema:
    """The exported schema of a model: closed, portable, without generated titles.

    Raises ValueError, naming the places, when the model cannot be said portably.
    """
    body = transform(model.model_json_schema(mode="validation"), _tidy)
    schema = {"$schema": DIALECT, "$id": urn(kind), "$comment": PROFILE_NOTE, **body}
    if faults := unportable(schema):
        message = f"{kind}: " + "; ".join(str(fault) for fault in faults)
        raise ValueError(message)
    return schema


def _tidy(part: Schema) -> Schema:
    tidy = {key: value for key, value in part.items() if key != "title"}
    if tidy.get("type") == "object":
        tidy.setdefault("additionalProperties", False)
    return tidy


def digest_of(schema: Schema) -> str:
    """SHA-256, in hex, of a schema's canonical bytes."""
    return hashlib.sha256(canonical(schema)).hexdigest()


def pretty(value: Any) -> bytes:
    """JSON for people, as one byte string: keys sorted, two spaces, a final newline."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)
    return text.encode("utf-8") + b"\n"


def schema_files() -> dict[str, bytes]:
    """Every file of `schemas` that the models determine, by path relative to that folder."""
    schemas = {kind: schema_of(model, kind) for kind, model in load_all().items()}
    files = {f"{kind}.json": pretty(schema) for kind, schema in schemas.items()}
    files["digests.json"] = pretty({kind: digest_of(item) for kind, item in schemas.items()})
    return files
