"""Writes small plugin packages, good and hostile ones, as installed distributions.

Each lands in a folder that a test puts on the path: package, manifest and dist-info, as pip would
leave them. What a hostile one does is said by its `Hostility`.
"""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from covenue.registry.names import SINGULARS, plugin_id


class Hostility(Enum):
    """What is wrong with a plugin."""

    NOTHING = "nothing"
    NO_MANIFEST = "no manifest"
    MANIFEST_NO_JSON = "a manifest that is no JSON"
    MANIFEST_UNKNOWN_KEY = "a manifest with an unknown key"
    MANIFEST_HUGE = "a manifest beyond 64 KiB"
    MANIFEST_KEY_TWICE = "a manifest with a key twice"
    OTHER_ID = "a manifest with another id"
    FOREIGN_OBJECT = "a manifest that provides another package's object"
    PACKAGE_MISSING = "an entry point without its package"
    IMPORT_ERROR = "an import that fails"
    SYNTAX_ERROR = "a syntax error"
    EXIT_AT_IMPORT = "SystemExit at import"
    INTERRUPT_AT_IMPORT = "KeyboardInterrupt at import"
    OTHER_NAMES = "registers other names than it provides"
    NO_HOOK = "registers nothing"
    HOOK_RAISES = "a hook that raises"
    HOOK_WRONG_ARGUMENTS = "a hook with other arguments"
    OTHER_FAMILY = "a hook of another family"
    NOT_CALLABLE = "registers what is no factory"
    TWICE = "registers one name twice"
    NAME_NO_TEXT = "registers under a number"
    OBJECT_MISSING = "a manifest that provides what is not there"
    FACTORY_RAISES = "a factory that raises"
    BUILDS_WRONG_OBJECT = "a factory that builds something else"


_BODIES = {
    Hostility.IMPORT_ERROR: "import no_such_module_anywhere",
    Hostility.SYNTAX_ERROR: "def broken(:",
    Hostility.EXIT_AT_IMPORT: "raise SystemExit(3)",
    Hostility.INTERRUPT_AT_IMPORT: "raise KeyboardInterrupt",
}
_HOOKS = {
    Hostility.OTHER_NAMES: 'register("somethingelse", build)',
    Hostility.HOOK_RAISES: 'raise ZeroDivisionError("while registering")',
    Hostility.NOT_CALLABLE: 'register("{name}", 7)',
    Hostility.TWICE: 'register("{name}", build); register("{name}", build)',
    Hostility.NAME_NO_TEXT: "register(7, build)",
}
_BUILDS = {
    Hostility.FACTORY_RAISES: 'raise ZeroDivisionError("while building")',
    Hostility.BUILDS_WRONG_OBJECT: "return object()",
}


@dataclass(frozen=True)
class PluginSketch:
    """A plugin to be written: one name of one family, and what is wrong with it."""

    family: str = "solvers"
    name: str = "sketch"
    version: str = "0.1.0"
    hostility: Hostility = Hostility.NOTHING
    manifest: tuple[tuple[str, Any], ...] = ()
    """Fields that replace those of the manifest."""

    @property
    def id(self) -> str:
        """The plugin's id, also its distribution's name."""
        return plugin_id(self.family, self.name)

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.id.replace("-", "_")


def write_plugin(site: Path, sketch: PluginSketch) -> Path:
    """Write a distribution into `site`, as installed; its package's folder."""
    package = site / sketch.package
    records = site / f"{sketch.package}-{sketch.version}.dist-info"
    records.mkdir(parents=True)
    (records / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {sketch.id}\nVersion: {sketch.version}\n", encoding="utf-8"
    )
    (records / "entry_points.txt").write_text(
        f"[covenue.plugins]\n{sketch.id} = {sketch.package}\n", encoding="utf-8"
    )
    if sketch.hostility is Hostility.PACKAGE_MISSING:
        return package
    package.mkdir()
    (package / "__init__.py").write_text(source_of(sketch), encoding="utf-8")
    if sketch.hostility is not Hostility.NO_MANIFEST:
        (package / "plugin.json").write_text(manifest_text(sketch), encoding="utf-8")
    return package


def manifest_of(sketch: PluginSketch) -> dict[str, Any]:
    """The manifest's document."""
    named = "absent" if sketch.hostility is Hostility.OBJECT_MISSING else "build"
    home = "json" if sketch.hostility is Hostility.FOREIGN_OBJECT else sketch.package
    document: dict[str, Any] = {
        "id": "covenue-solver-imposter" if sketch.hostility is Hostility.OTHER_ID else sketch.id,
        "family": sketch.family,
        "summary": "Written for a test.",
        "licence": "Apache-2.0",
        "provides": [{"name": sketch.name, "object": f"{home}:{named}", "config": {}}],
        "produces": [],
        "consumes": [],
        "requires": [],
        "conflicts": [],
        "capabilities": [],
        "privacy": None,
        "determinism": "identical",
        "profile": f"{SINGULARS[sketch.family]}-1",
    }
    if sketch.hostility is Hostility.MANIFEST_UNKNOWN_KEY:
        document["colour"] = "green"
    return {**document, **dict(sketch.manifest)}


def manifest_text(sketch: PluginSketch) -> str:
    """The manifest as it is written, hostile ones included."""
    text = json.dumps(manifest_of(sketch))
    if sketch.hostility is Hostility.MANIFEST_NO_JSON:
        return text[:-1]
    if sketch.hostility is Hostility.MANIFEST_HUGE:
        return text + " " * 65_536
    if sketch.hostility is Hostility.MANIFEST_KEY_TWICE:
        return text[:-1] + f', "family": "{sketch.family}"}}'
    return text


def source_of(sketch: PluginSketch) -> str:
    """The source of the package's `__init__`."""
    hostility = sketch.hostility
    family = "venues" if hostility is Hostility.OTHER_FAMILY else sketch.family
    argument = "take" if hostility is Hostility.HOOK_WRONG_ARGUMENTS else "register"
    hook = _HOOKS.get(hostility, 'register("{name}", build)').format(name=sketch.name)
    marker = "" if hostility is Hostility.NO_HOOK else "@hookimpl\n"
    return (
        f'"""Written for a test: {hostility.value}."""\n\n'
        f"from covenue.hooks import hookimpl\n\n"
        f"{_BODIES.get(hostility, '')}\n\n"
        f"def build(*arguments, **options):\n"
        f"    {_BUILDS.get(hostility, 'return (arguments, options)')}\n\n\n"
        f"{marker}def register_{family}({argument}):\n"
        f"    {hook}\n"
    )


__all__ = ["Hostility", "PluginSketch", "manifest_of", "source_of", "write_plugin"]
