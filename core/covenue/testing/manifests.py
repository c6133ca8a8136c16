"""Stamps the contract digests of plugin manifests, and checks that they hold.

    python -m covenue.testing.manifests --write|--check [PLUGIN_DIR…]

Without folders, every folder of `plugins/` below the current one that holds a manifest. `--check`
fails on drift. Exit: 0 all hold, 1 a manifest drifts, 2 a manifest cannot be used.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from covenue.errors import BadInput, CovenueError
from covenue.registry.index import GROUP, MANIFEST
from covenue.registry.names import SINGULARS, nearest_kind
from covenue_contracts.catalogue import kinds, schema_digest
from covenue_contracts.plugin import PluginManifest

_USE = re.compile(
    r'(?P<head>"kind"\s*:\s*"(?P<kind>[^"]*)"\s*,\s*"digest"\s*:\s*")(?P<digest>[0-9a-f]*)'
)


def stamped(document: dict[str, Any], file: str) -> dict[str, Any]:
    """The manifest with every contract digest of this host.

    Raises BadInput for a kind that this host does not have, or a manifest that is no `plugin/v1`.
    """
    stamped_document = dict(document)
    for edge in ("produces", "consumes"):
        uses = document.get(edge, [])
        stamped_document[edge] = [
            {**use, "digest": _digest(use.get("kind"), file, edge)} for use in uses
        ]
    try:
        PluginManifest.model_validate_json(json.dumps(stamped_document))
    except ValidationError as error:
        fault = error.errors()[0]
        raise BadInput(
            f"the manifest is no plugin/v1: {fault['msg']}",
            "compare it with `covenue contracts show plugin/v1`",
            file=file,
            field=".".join(str(part) for part in fault["loc"]),
        ) from error
    return stamped_document


def _restamp(text: str, document: dict[str, Any]) -> str:
    """The text with new digests in its own layout, where that gives the document."""

    def renew(found: re.Match[str]) -> str:
        """Keep all of a use but its digest."""
        kind = found["kind"]
        return f"{found['head']}{schema_digest(kind) if kind in kinds() else found['digest']}"

    renewed = _USE.sub(renew, text)
    if json.loads(renewed) == document:
        return renewed
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _digest(kind: Any, file: str, edge: str) -> str:
    if kind in kinds():
        return schema_digest(kind)
    close = nearest_kind(str(kind), kinds())
    raise BadInput(
        f"this host has no contract {kind!r}",
        f"did you mean {close!r}?" if close else "see `covenue contracts list`",
        file=file,
        field=edge,
        value=str(kind),
    )


def find_manifest(plugin: Path) -> Path:
    """The one manifest of a plugin's folder. Raises BadInput."""
    found = sorted(plugin.glob(f"covenue_*/{MANIFEST}"))
    if len(found) != 1:
        raise BadInput(
            f"{len(found)} manifests instead of one",
            f"write {MANIFEST} beside the package's __init__.py",
            file=str(plugin),
        )
    return found[0]


def check_identity(plugin: Path, document: dict[str, Any]) -> None:
    """One name everywhere: folder, distribution, entry point, package and manifest.

    Raises BadInput, naming what differs.
    """
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    identity = str(document.get("id"))
    package = identity.replace("-", "_")
    wanted = {
        "distribution": (project["name"], identity),
        "entry point": (project.get("entry-points", {}).get(GROUP), {identity: package}),
        "package": (find_manifest(plugin).parent.name, package),
        "folder": (f"covenue-{plugin.resolve().name}", identity),
        "family": (identity.split("-")[1:2], [SINGULARS.get(str(document.get("family")))]),
    }
    for what, (is_called, should_be) in wanted.items():
        if is_called != should_be:
            raise BadInput(
                f"the {what} does not fit the manifest's id",
                f"make it {should_be}",
                file=str(plugin),
                field=what,
                value=str(is_called),
            )


def drifted(plugin: Path, *, write: bool) -> bool:
    """Whether a plugin's manifest differs from its stamped text, which `write` puts in place.

    Raises BadInput for a manifest that cannot be used.
    """
    path = find_manifest(plugin)
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{MANIFEST} is no JSON: {error}", "correct it", str(path)) from error
    if not isinstance(document, dict):
        raise BadInput(f"{MANIFEST} is no object", "write one JSON object", str(path))
    wanted = _restamp(text, stamped(document, str(path)))
    check_identity(plugin, document)
    if wanted != text and write:
        path.write_text(wanted, encoding="utf-8")
    return wanted != text


def main(arguments: Sequence[str] | None = None) -> int:
    """Stamp or check, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m covenue.testing.manifests")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="stamp digests in place")
    mode.add_argument("--check", action="store_true", help="fail on a manifest that drifts")
    parser.add_argument("plugins", nargs="*", type=Path, metavar="PLUGIN_DIR")
    options = parser.parse_args(arguments)
    plugins = options.plugins or sorted(
        p.parent for p in Path("plugins").glob("[!_]*/pyproject.toml")
    )
    code = 0
    for plugin in plugins:
        code = max(code, _one(plugin, write=options.write))
    return code


def _one(plugin: Path, *, write: bool) -> int:
    try:
        differs = drifted(plugin, write=write)
    except CovenueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not differs:
        return 0
    if write:
        sys.stdout.write(f"{plugin}: stamped\n")
        return 0
    sys.stderr.write(f"{plugin}: drifts; run python -m covenue.testing.manifests --write\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
