"""Rows of installed plugins, read from entry points and manifests; no plugin is imported.

A bad manifest becomes a row with an error, never an exception, so one broken plugin hides no
other. Source: plugins.md, section 2.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from covenue.registry.content import RECORDED, installed_digest

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from pydantic import ValidationError

    from covenue_contracts.plugin import PluginManifest

GROUP = "covenue.plugins"
MANIFEST = "plugin.json"
MANIFEST_BYTES_MAX = 64 * 1024
_NAME = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)


class _Unusable(Exception):
    """Carries the sentence that becomes a row's error."""


@dataclass(frozen=True)
class PluginRow:
    """One installed plugin: its manifest, or the sentence that says why it cannot be used.

    package: the folder of its top-level package, where it was found. records: METADATA and
    entry points, as text.
    """

    id: str
    family: str
    version: str
    manifest: "PluginManifest | None"
    error: str | None
    package: Path | None = field(default=None, compare=False)
    records: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def content(self) -> str:
        """The content digest, computed when first asked for; 64 zeros without a package."""
        return installed_digest(self.package, self.records) if self.package else "0" * 64

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names that the manifest provides."""
        return tuple(p.name for p in self.manifest.provides) if self.manifest else ()


def search_path() -> list[str]:
    """Where plugins are looked for: `sys.path` without the place where a user happens to stand.

    The empty entry, and the script's or current folder that Python puts first, are left out.
    """
    entries = list(sys.path)
    if entries and not sys.flags.safe_path and _is_standing_place(entries[0]):
        del entries[0]
    return [entry for entry in entries if entry]


def _is_standing_place(entry: str) -> bool:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    places = [os.getcwd()] if script is None else [os.getcwd(), os.path.dirname(script)]
    return os.path.abspath(entry) in {os.path.abspath(place) for place in places}


def scan(path: Sequence[str]) -> tuple[PluginRow, ...]:
    """Every plugin on `path`, in order of id; as in import, the first of a name wins."""
    from importlib import metadata

    rows: dict[tuple[str, str], PluginRow] = {}
    seen: set[str] = set()
    for distribution in metadata.distributions(path=list(path)):
        name = _name(distribution)
        if name in seen:
            continue
        seen.add(name)
        for point in distribution.entry_points:
            if point.group == GROUP:
                rows[point.name, name] = _row(distribution, point, path)
    return tuple(rows[key] for key in sorted(rows))


def _name(distribution: "Distribution") -> str:
    """The distribution's normalised name, from the head of its metadata: all are asked for it."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = _NAME.search(text.partition("\n\n")[0])
    return normalised(found[1]) if found else ""


def normalised(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _row(distribution: "Distribution", point: "EntryPoint", path: Sequence[str]) -> PluginRow:
    version = distribution.version or ""
    records = {name: text for name in RECORDED if (text := distribution.read_text(name))}
    package: Path | None = None
    try:
        package = _package(point, path)
        manifest = _manifest(package / MANIFEST)
        _check_names(manifest, point, _name(distribution))
    except _Unusable as unusable:
        return PluginRow(point.name, "", version, None, str(unusable), package, records)
    return PluginRow(point.name, manifest.family, version, manifest, None, package, records)


def _package(point: "EntryPoint", path: Sequence[str]) -> Path:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", point.value):
        raise _Unusable(f"entry point {point.value!r} is not a top-level package")
    spec = find_package(point.value, path)
    if spec is None or not spec.submodule_search_locations:
        raise _Unusable(f"package {point.value} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def find_package(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """Where a top-level package would be imported from; nothing is imported to find out."""
    spec = PathFinder.find_spec(name, list(path))
    if spec is not None:
        return spec
    for finder in sys.meta_path:  # some editable installs bring a finder of their own
        find = getattr(finder, "find_spec", None)
        if finder is not PathFinder and find is not None and (spec := find(name, None)):
            return spec if isinstance(spec, ModuleSpec) else None
    return None


def _manifest(path: Path) -> "PluginManifest":
    from pydantic import ValidationError

    from covenue_contracts.plugin import PluginManifest

    try:
        with path.open("rb") as file:
            body = file.read(MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise _Unusable(f"{MANIFEST} cannot be read: {error.strerror}") from error
    if len(body) > MANIFEST_BYTES_MAX:
        raise _Unusable(f"{MANIFEST} is larger than {MANIFEST_BYTES_MAX} bytes")
    try:
        json.loads(body, object_pairs_hook=_unrepeated)
        return PluginManifest.model_validate_json(body)
    except ValidationError as error:
        raise _Unusable(f"{MANIFEST}: {_first_fault(error)}") from error
    except (ValueError, RecursionError) as error:
        raise _Unusable(f"{MANIFEST} is no JSON: {error}") from error


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        repeated = sorted(key for key in keys if keys.count(key) > 1)[0]
        raise ValueError(f"key {repeated!r} stands twice")
    return dict(pairs)


def _first_fault(error: "ValidationError") -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]


def _check_names(manifest: "PluginManifest", point: "EntryPoint", distribution: str) -> None:
    names = {"manifest": manifest.id, "entry point": point.name, "distribution": distribution}
    if len(set(names.values())) > 1:
        said = ", ".join(f"{what} {name!r}" for what, name in names.items())
        raise _Unusable(f"one plugin, one id, but: {said}")
    provided = [p.name for p in manifest.provides]
    if len(set(provided)) != len(provided):
        raise _Unusable(f"{MANIFEST}: provides: a name stands twice")
    if strangers := [p.object for p in manifest.provides if _top(p.object) != point.value]:
        raise _Unusable(f"{MANIFEST}: provides: {strangers[0]} lies outside {point.value}")


def _top(target: str) -> str:
    return re.split(r"[.:]", target, maxsplit=1)[0]
