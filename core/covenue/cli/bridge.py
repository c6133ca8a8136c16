"""`covenue bridge`: messages from the words of one system into those of another, nothing lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.failures import FAILED, OK
from covenue.cli.printing import json_option, plain, print_json, print_table
from covenue.cli.scenario_arguments import PATH, existing_file, existing_ledger
from covenue.errors import BadInput, OutputExists

if TYPE_CHECKING:
    from covenue.bridge.energibridge import EnergiBridge, Translation
    from covenue.bridge.installed import Speaker
    from covenue.bridge.messages import Message

FILE_BYTES_MAX = 256 * 1024 * 1024

to_option = click.option(
    "--to", "to", required=True, metavar="DIALECT", help="Dialect of the messages to write."
)
out_option = click.option(
    "--out", type=PATH, metavar="FILE", help="Write there, not to the screen; never overwrites."
)


@click.group("bridge")
def command() -> None:
    """Translate messages between the vocabularies of the seed systems, losing nothing."""


@command.command("dialects")
@json_option
def list_dialects(as_json: bool) -> None:
    """List dialects and the messages of each.

    "canonical" is the form in between: the contracts' own names and units.
    """
    from covenue.bridge.installed import speakers
    from covenue.registry.load import Registry

    found = speakers(Registry())
    rows = [_canonical_row(), *(row for speaker in found for row in _rows(speaker))]
    if as_json:
        print_json({"dialects": rows})
        return
    lines = [
        (row["dialect"], row["domain"], ", ".join(row["types"]) or "-", row["state"])
        for row in rows
    ]
    print_table("dialects", ("dialect", "domain", "messages", "state"), lines)


@command.command("translate")
@click.option(
    "--from", "source", required=True, metavar="DIALECT", help="Dialect of the messages in FILE."
)
@to_option
@click.argument("file", type=PATH)
@out_option
@json_option
@click.pass_context
def translate(  # noqa: PLR0917 -- click hands options over by name
    ctx: click.Context, source: str, to: str, file: Path, out: Path | None, as_json: bool
) -> None:
    """Translate a file of messages.

    FILE holds JSON documents, one after the other. A signature is carried as it is. It covers the
    canonical form, not the translation: whoever translates back can check it, and so does this
    command.

    Exit 0: translated. Exit 1: translated, and a signature is not its sender's. Exit 2: something
    would be lost, and nothing is written.
    """
    from covenue.bridge.messages import read_messages

    bridge = _bridge(source, to)
    data = _bytes(existing_file(file, "file of messages"))
    _refuse_existing(out)
    messages = read_messages(data, str(file))
    for message in messages:
        _require_dialect(message, source)
    done = [bridge.translate(message, to) for message in messages]
    ctx.exit(_finish(done, source, to, out, as_json=as_json))


@command.command("export")
@click.argument("ledger", type=PATH)
@to_option
@out_option
@json_option
@click.pass_context
def export(ctx: click.Context, ledger: Path, to: str, out: Path | None, as_json: bool) -> None:
    """Write what a ledger says, in a dialect.

    Every entry is a message, and so is every envelope that an entry names. Nothing is checked but
    the envelopes' signatures; see `covenue verify`.
    """
    from covenue.bridge.export import messages_of
    from covenue.bridge.soundness import CANONICAL
    from covenue.registry.load import Registry
    from covenue.replay import open_ledger

    bridge = _bridge(CANONICAL, to)
    _refuse_existing(out)
    path = existing_ledger(ledger)
    with open_ledger(path, Registry()) as backend:
        done = [bridge.translate(message, to) for message in messages_of(backend, str(path))]
    ctx.exit(_finish(done, CANONICAL, to, out, as_json=as_json))


def _bridge(source: str, to: str) -> "EnergiBridge":
    """The bridge of this environment. Raises BadInput for a dialect that nobody speaks."""
    from covenue.bridge.installed import bridge_of, speakers
    from covenue.registry.load import Registry

    found = speakers(Registry())
    bridge = bridge_of(found)
    broken = ", ".join(speaker.domain for speaker in found if speaker.error is not None)
    for name, field in ((source, "--from"), (to, "--to")):
        if name not in bridge.names and broken:
            click.echo(
                plain(f"not usable: domain {broken}; see `covenue bridge dialects`"), err=True
            )
        bridge.require(name, field)
    return bridge


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise BadInput("a folder stands at that path", "name a file of messages", str(path))
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise BadInput(f"the file is larger than {FILE_BYTES_MAX} bytes", "split it", str(path))
    return data


def _refuse_existing(out: Path | None) -> None:
    if out is not None and (out.exists() or out.is_symlink()):
        raise OutputExists(
            "the output is already there; nothing was written",
            "choose another file with --out, or move this one away",
            file=str(out),
            field="--out",
        )


def _require_dialect(message: "Message", source: str) -> None:
    """Raise BadInput unless a message says that it is in the dialect that --from names."""
    if message.dialect != source:
        file, number = message.place
        raise BadInput(
            f"message {number} is not in dialect {source!r}",
            f"give --from {message.dialect}, or put these messages into a file of their own",
            file=file,
            field="/dialect",
            value=message.dialect,
        )


def _finish(
    done: "Sequence[Translation]", source: str, to: str, out: Path | None, *, as_json: bool
) -> int:
    """Write the translations and say what their signatures are worth; the exit code."""
    from covenue.bridge.energibridge import Signature
    from covenue.bridge.messages import written

    body = written(tuple(item.message for item in done))
    if out is not None:
        with out.open("xb") as file:
            file.write(body)
    broken = [n for n, item in enumerate(done, 1) if item.signature is Signature.BROKEN]
    if as_json:
        print_json(_document(done, source, to, out, broken))
    else:
        _print(done, body, out, broken)
    return FAILED if broken else OK


def _document(
    done: "Sequence[Translation]", source: str, to: str, out: Path | None, broken: list[int]
) -> dict[str, Any]:
    return {
        "ok": not broken,
        "from": source,
        "to": to,
        "out": None if out is None else str(out),
        "signatures": [item.signature.value for item in done],
        "signatures_cover": "the canonical form",
        "broken": broken,
        "messages": [item.message.document() for item in done],
    }


def _print(done: "Sequence[Translation]", body: bytes, out: Path | None, broken: list[int]) -> None:
    from covenue.bridge.energibridge import Signature

    if out is None:
        click.echo(body, nl=False)
    else:
        click.echo(plain(f"{out}: {len(done)} messages"))
    carried = sum(item.signature is not Signature.ABSENT for item in done)
    if carried:
        text = f"{carried} signatures carried; they cover the canonical form, not this one"
        click.echo(text, err=True)
    if broken:
        numbers = ", ".join(map(str, broken))
        click.echo(f"NOT SIGNED BY THEIR SENDER: messages {numbers}", err=True)


def _canonical_row() -> dict[str, Any]:
    return {"dialect": "canonical", "domain": "-", "types": [], "state": "every contract"}


def _rows(speaker: "Speaker") -> list[dict[str, Any]]:
    """One row a dialect; a domain that cannot be used has one with its error."""
    if speaker.error is not None:
        state = f"broken: {speaker.error.what}"
        return [{"dialect": "-", "domain": speaker.domain, "types": [], "state": state}]
    return [
        {
            "dialect": dialect.name,
            "domain": speaker.domain,
            "types": [item.name for item in dialect.types],
            "state": "ok",
        }
        for dialect in speaker.dialects
    ]
