"""Vectors: documents with the answer that every implementation must give, in any language.

A valid vector holds `document`, its `canonical` text (UTF-8) and the `sha256` of those bytes; an
invalid one the `document` that must be refused. Vectors of canonical bytes hold `base64`.
"""

import base64
import hashlib
import re
from typing import Any

from covenue_contracts.canonical import canonical, parse_as
from covenue_contracts.catalogue import CANONICAL_BYTES, load_all
from covenue_contracts.contract import Contract
from covenue_contracts.edits import Edit, drop, put
from covenue_contracts.examples import EXAMPLES
from covenue_contracts.refusals import CANONICAL, NOT_CANONICAL, REFUSALS
from covenue_contracts.samples import fullest, resolve, smallest
from covenue_contracts.schema_files import pretty, schema_of
from covenue_contracts.subschemas import Schema


def vector_files() -> dict[str, bytes]:
    """Every file of `vectors`, by path relative to that folder.

    Raises ValueError when a model does not answer a vector as the vector's folder says.
    """
    files = _canonical_files()
    models = load_all()
    if strangers := (EXAMPLES.keys() | REFUSALS.keys()) - models.keys():
        message = f"examples of what is no contract: {', '.join(sorted(strangers))}"
        raise ValueError(message)
    for kind, model in models.items():
        schema = schema_of(model, kind)
        valid = {**generated_examples(kind, schema), **EXAMPLES.get(kind, {})}
        invalid = refused_documents(kind, schema)
        _check(kind, model, valid, invalid)
        for sentence, document in valid.items():
            files[f"{kind}/valid/{sentence}.json"] = pretty(_valid(document))
        for sentence, document in invalid.items():
            files[f"{kind}/invalid/{sentence}.json"] = pretty({"document": document})
    return files


def _canonical_files() -> dict[str, bytes]:
    groups = (("valid", CANONICAL), ("invalid", NOT_CANONICAL))
    return {
        f"{CANONICAL_BYTES}/{folder}/{sentence}.json": pretty(_bytes_vector(data))
        for folder, vectors in groups
        for sentence, data in vectors.items()
    }


def _bytes_vector(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode(), "sha256": hashlib.sha256(data).hexdigest()}


def _valid(document: Any) -> dict[str, Any]:
    data = canonical(document)
    return {
        "document": document,
        "canonical": data.decode(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _check(
    kind: str, model: type[Contract], valid: dict[str, Any], invalid: dict[str, Any]
) -> None:
    for document in valid.values():
        parse_as(model, canonical(document))
    for sentence, document in invalid.items():
        try:
            parse_as(model, canonical(document))
        except ValueError:
            continue
        message = f"{kind}: the model accepts {sentence}"
        raise ValueError(message)


def words_of(kind: str) -> tuple[str, str]:
    """A kind as an English name with its article: `("an", "order-book")`."""
    name = re.sub(r"[._]", "-", kind.partition("/")[0])
    return ("an" if name[0] in "aeiou" else "a"), name


def generated_examples(kind: str, schema: Schema) -> dict[str, Any]:
    """The smallest and the fullest document of a schema."""
    _, name = words_of(kind)
    return {f"the-smallest-{name}": smallest(schema), f"a-full-{name}": fullest(schema)}


def refused_documents(kind: str, schema: Schema) -> dict[str, Any]:
    """Documents that the contract must refuse: edits from the schema, and those made by hand."""
    full = fullest(schema)
    first = next(iter(EXAMPLES.get(kind, {"": full}).values()))
    documents = {
        sentence: edit(full) for sentence, edit in generated_refusals(kind, schema).items()
    }
    by_hand = {sentence: edit(first) for sentence, edit in REFUSALS.get(kind, {}).items()}
    return {**documents, **by_hand}


def generated_refusals(kind: str, schema: Schema) -> dict[str, Edit]:
    """Edits that break any contract: an unknown field, one left out, another type, a newline."""
    article, name = words_of(kind)
    this = f"{article}-{name}"
    fields = list(schema["properties"])
    first, last = fields[0], fields[-1]
    edits = {
        f"{this}-with-an-unknown-field": put("/unknown", None),
        f"{this}-without-its-{_plain(first)}": drop(f"/{first}"),
        f"{this}-whose-{_plain(last)}-is-a-map-of-maps": put(f"/{last}", {"a": {"b": {}}}),
    }
    for field, text in _patterned(schema).items():
        edits[f"{this}-whose-{_plain(field)}-ends-in-a-newline"] = put(f"/{field}", text + "\n")
    return edits


def _plain(field: str) -> str:
    return field.replace("_", "-")


def _patterned(schema: Schema) -> dict[str, str]:
    """The first field of every pattern, with the text that the fullest document has there."""
    full, seen, found = fullest(schema), set(), {}
    for field, part in schema["properties"].items():
        for option in part.get("anyOf", [part]):
            pattern = resolve(schema, option).get("pattern")
            if pattern and pattern not in seen:
                seen.add(pattern)
                found[field] = full[field]
    return found
