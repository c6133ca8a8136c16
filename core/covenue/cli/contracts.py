"""`covenue contracts`: the message contracts of this host, and documents held against them."""

import json
from pathlib import Path
from typing import Any

import click

from covenue.cli.contracts_graph import graph_contracts
from covenue.cli.failures import FAILED
from covenue.cli.printing import json_option, print_json, print_table
from covenue.cli.scenario_arguments import PATH, existing_file
from covenue.errors import BadInput

FILE_BYTES_MAX = 16 * 1024 * 1024


@click.group("contracts")
def command() -> None:
    """List, show and validate message contracts."""


command.add_command(graph_contracts)


@command.command("list")
@json_option
def list_contracts(as_json: bool) -> None:
    """List every contract with the digest of its schema."""
    from covenue_contracts.catalogue import kinds, schema_digest

    rows = [(kind, schema_digest(kind)) for kind in kinds()]
    if as_json:
        print_json({"contracts": [{"kind": kind, "digest": digest} for kind, digest in rows]})
    else:
        print_table("contracts", ("kind", "schema digest"), rows)


@command.command("show")
@click.argument("kind")
@json_option
def show_contract(kind: str, as_json: bool) -> None:
    """Print a contract's JSON Schema (2020-12). KIND without a version is version 1."""
    from covenue_contracts.catalogue import schema, schema_digest

    kind = _known_kind(kind)
    if as_json:
        print_json({"kind": kind, "digest": schema_digest(kind), "schema": schema(kind)})
    else:
        click.echo(json.dumps(schema(kind), indent=2))


@command.command("validate")
@click.argument("kind")
@click.argument("file", type=PATH)
@json_option
@click.pass_context
def validate_document(ctx: click.Context, kind: str, file: Path, as_json: bool) -> None:
    """Hold a JSON file against a contract. KIND without a version is version 1.

    Exit 0: valid. Exit 1: the first place that breaks a rule. Exit 2: no JSON, or no such contract.
    """
    from covenue.registry.validation import validate

    kind = _known_kind(kind)
    document = _read(existing_file(file, "JSON file"))
    fault: dict[str, Any] | None = None
    try:
        validate(kind, document, str(file))
    except BadInput as error:
        fault = error.diagnostics()
        text = str(error)
    if as_json:
        print_json({"valid": fault is None, "kind": kind, "file": str(file), "fault": fault})
    else:
        click.echo(f"{file}: a valid {kind}" if fault is None else text)
    if fault is not None:
        ctx.exit(FAILED)


def _known_kind(kind: str) -> str:
    """The contract's name with its version. Raises BadInput, naming the nearest."""
    from covenue.registry.names import nearest_kind
    from covenue_contracts.catalogue import kinds

    versioned = kind if "/" in kind else f"{kind}/v1"
    if versioned not in kinds():
        close = nearest_kind(kind, kinds())
        advice = f"did you mean {close!r}?" if close else "see `covenue contracts list`"
        raise BadInput(f"there is no contract {kind!r}", advice, field="KIND", value=kind)
    return versioned


def _read(path: Path) -> Any:
    """A document of the canonical profile. Raises BadInput, naming the place outside of it."""
    from covenue_contracts.canonical import ProfileBroken, check_profile

    with path.open("rb") as file:
        body = file.read(FILE_BYTES_MAX + 1)
    if len(body) > FILE_BYTES_MAX:
        raise BadInput(f"the file is larger than {FILE_BYTES_MAX} bytes", "split it", str(path))
    try:
        document = json.loads(body, object_pairs_hook=_unrepeated)
        check_profile(document)
    except ProfileBroken as error:
        raise BadInput(
            f"the file leaves the canonical profile: {error.why}",
            "write amounts and times as decimal strings",
            file=str(path),
            field=error.where or "/",
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"the file is no JSON: {error}", "write one JSON document", file=str(path)
        ) from error
    return document


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"key {key!r} stands twice"
            raise ValueError(message)
        found[key] = value
    return found
