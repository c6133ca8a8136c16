"""Imports exactly the plugin that is chosen by name, and names it when it is broken.

What goes wrong inside a plugin becomes PluginBroken with stage, exception, file and line; the
other plugins go on working. KeyboardInterrupt is nobody's fault and passes.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covenue.errors import CovenueError, PluginBroken, PluginUnknown
from covenue.registry.index import PluginRow, find_package, scan, search_path
from covenue.registry.names import SINGULARS, nearest, pip_command, plugin_id, starter_ids

if TYPE_CHECKING:
    from types import ModuleType

    from covenue_contracts.plan import PluginRef

PROTOCOLS = {
    "venues": ("VenueAdapter",),
    "domains": ("Domain",),
    "solvers": ("Solver",),
    "privacy": ("PrivacyStage", "Noise"),
    "ledgers": ("LedgerBackend",),
    "engines": ("Engine",),
}
"""Families that have a hook, and the Protocols that their factories build."""

Factory = Callable[..., Any]


def installed() -> "Registry":
    """The registry of this program's own path, shared by all who ask for it.

    It is made again when a folder of the path has changed, as by installing or removing a plugin.
    A plugin's content is that of when it was first asked for: so is the code that was imported.
    """
    path = tuple(search_path())
    return _of_path(path, tuple(_last_change(folder) for folder in path))


@lru_cache(maxsize=1)
def _of_path(path: tuple[str, ...], changes: tuple[int, ...]) -> "Registry":
    return Registry(path)


def _last_change(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


class Registry:
    """The plugins of one environment; code runs only for what is loaded by name.

    path: folders to search, by default `sys.path` without the current folder.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = tuple(search_path() if path is None else path)
        self._loaded: dict[str, dict[str, Factory]] = {}
        self._broken: dict[str, PluginBroken] = {}

    @cached_property
    def _rows(self) -> tuple[PluginRow, ...]:
        return scan(self._path)

    def rows(self) -> tuple[PluginRow, ...]:
        """Every installed plugin, in order of id; broken ones carry their error."""
        return self._rows

    def row(self, plugin: str) -> PluginRow:
        """The row of a plugin's id. Raises PluginUnknown, naming the nearest."""
        for row in self.rows():
            if row.id == plugin:
                return row
        ids = [row.id for row in self.rows()]
        advice = _advice(plugin, plugin if plugin in starter_ids() else None, ids)
        raise PluginUnknown(
            f"no plugin {plugin!r} is installed", advice, field="plugin id", value=plugin
        )

    def names(self, family: str) -> tuple[str, ...]:
        """Names that can be chosen in a family, sorted."""
        return tuple(sorted(n for row in self.rows() if row.family == family for n in row.names))

    def find(self, family: str, name: str) -> PluginRow:
        """The one row that provides `name`.

        Raises PluginUnknown, with the nearest name and the command that installs it; PluginBroken
        when the plugin of that name has no usable manifest or two plugins provide the name.
        """
        fitting = [row for row in self.rows() if row.family == family and name in row.names]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            ids = ", ".join(row.id for row in fitting)
            raise PluginBroken(
                f"{len(fitting)} plugins provide {SINGULARS[family]} {name!r}: {ids}",
                "uninstall all but one: load order must not choose",
            )
        expected = plugin_id(family, name)
        for row in self.rows():
            if row.id == expected and row.error:
                raise _broken(row, "manifest", row.error)
        raise self._unknown(family, name, expected)

    def _unknown(self, family: str, name: str, expected: str) -> PluginUnknown:
        known = self.names(family)
        stem = plugin_id(family, "")
        starters = [p.removeprefix(stem) for p in starter_ids() if p.startswith(stem)]
        wanted = name if expected in starter_ids() else nearest(name, starters)
        missing = plugin_id(family, wanted) if wanted and wanted not in known else None
        singular = SINGULARS[family]
        return PluginUnknown(
            f"no installed plugin provides {singular} {name!r}",
            _advice(name, missing, known),
            field=singular,
            value=name,
        )

    def load(self, family: str, name: str) -> Factory:
        """The factory that the plugin of `name` registers; imports that plugin and no other.

        Raises PluginUnknown, or PluginBroken naming plugin, stage, exception, file and line.
        """
        row = self.find(family, name)
        if row.id in self._broken:  # a module that failed half-way must not be tried again
            raise self._broken[row.id]
        if row.id not in self._loaded:
            try:
                self._loaded[row.id] = _register(row)
            except PluginBroken as error:
                self._broken[row.id] = error
                raise
        return self._loaded[row.id][name]

    def build(self, family: str, name: str, *arguments: Any, **options: Any) -> Any:
        """Call the factory of `name` and check that what it builds has the family's methods.

        A CovenueError of the plugin passes; any other exception becomes PluginBroken.
        """
        row, factory = self.find(family, name), self.load(family, name)
        with _blamed(row, "factory"):
            built = factory(*arguments, **options)
        if missing := _missing_members(family, built):
            raise _broken(
                row, "factory", f"{name!r} built {type(built).__name__}, which lacks {missing}"
            )
        return built

    def ref(self, family: str, name: str) -> "PluginRef":
        """The plugin of `name`, pinned by the digest of its content, as a plan records it."""
        from covenue_contracts.plan import PluginRef

        row = self.find(family, name)
        return PluginRef(
            family=family, plugin=row.id, name=name, version=row.version, content=row.content
        )


def _advice(word: str, missing: str | None, known: Sequence[str]) -> str:
    parts = []
    if (close := nearest(word, known)) is not None:
        parts.append(f"did you mean {close!r}?")
    if missing is not None:
        parts.append(f"install {missing}: {pip_command(missing)}")
    if not parts:
        parts.append("see `covenue plugins list`" + (f" ({', '.join(known)})" if known else ""))
    return "; ".join(parts)


def _broken(row: PluginRow, stage: str, why: str) -> PluginBroken:
    return PluginBroken(
        f"plugin {row.id} {row.version} fails at {stage}: {why}",
        f"repair or uninstall {row.id}; the other plugins are not affected",
    )


@contextmanager
def _blamed(row: PluginRow, stage: str) -> Iterator[None]:
    """Map whatever a plugin raises to PluginBroken; errors with advice pass as they are."""
    try:
        yield
    except CovenueError:
        raise
    except (Exception, SystemExit) as error:
        said = str(error) or "no message"
        why = f"{type(error).__name__}: {said} ({_place(error, row.package)})"
        raise _broken(row, stage, why) from error


def _place(error: BaseException, package: Path | None) -> str:
    """File and line of the fault, from the package down, so that no local path is told."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_inside(error.filename, package)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if package and Path(f.filename).is_relative_to(package)]
    frame = (own or frames)[-1]
    return f"{_inside(frame.filename, package)}:{frame.lineno}"


def _inside(filename: str, package: Path | None) -> str:
    path = Path(filename)
    if package and path.is_relative_to(package):
        return path.relative_to(package.parent).as_posix()
    return path.name


def _register(row: PluginRow) -> dict[str, Factory]:
    if row.family not in PROTOCOLS:
        raise _broken(row, "hook", f"this host has no hook for family {row.family!r}")
    plugin = _import(row)
    found: dict[str, Factory] = {}
    _call_hook(row, plugin, _taker(row, found))
    promised = sorted(row.names)
    if sorted(found) != promised:
        raise _broken(
            row,
            "registration",
            f"it registers {sorted(found)}, its manifest provides {promised}",
        )
    for provided in row.manifest.provides if row.manifest else ():
        with _blamed(row, "registration"):
            _resolve(provided.object)
    return found


def _import(row: PluginRow) -> "ModuleType":
    name = row.package.name if row.package else ""
    _refuse_shadow(row, name)
    with _blamed(row, "import"):
        return importlib.import_module(name)


def _refuse_shadow(row: PluginRow, name: str) -> None:
    """Another package of that name earlier on the path would run instead of the one indexed."""
    loaded = sys.modules.get(name)
    spec = loaded.__spec__ if loaded is not None else find_package(name, sys.path)
    if spec is None:
        raise _broken(row, "import", f"package {name} is not on this program's path")
    places = [Path(p).resolve() for p in spec.submodule_search_locations or ()]
    if row.package is None or row.package.resolve() not in places[:1]:
        raise _broken(row, "import", f"another {name} stands before it on the path")


def _call_hook(row: PluginRow, plugin: "ModuleType", register: Factory) -> None:
    import pluggy

    from covenue.hooks import PROJECT

    plugins = pluggy.PluginManager(PROJECT)
    plugins.add_hookspecs(importlib.import_module(f"covenue.hooks.{row.family}"))
    hook = f"register_{row.family}"
    with _blamed(row, "registration"):
        plugins.register(plugin, name=row.id)
        plugins.check_pending()
        getattr(plugins.hook, hook)(register=register)


def _taker(row: PluginRow, found: dict[str, Factory]) -> Factory:
    def register(name: object, factory: object) -> None:
        """Take one factory. Raises PluginBroken on a second of its name or the wrong type."""
        if not isinstance(name, str):
            raise _broken(row, "registration", f"a name is {type(name).__name__}, not text")
        if not callable(factory):
            kind = type(factory).__name__
            raise _broken(row, "registration", f"{name!r} is {kind}, not a factory")
        if name in found:
            raise _broken(row, "registration", f"{name!r} is registered twice")
        found[name] = factory

    return register


def _resolve(target: str) -> object:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _missing_members(family: str, built: object) -> str:
    """What `built` lacks of the nearest Protocol of its family, as text; empty when complete."""
    module = importlib.import_module(f"covenue.hooks.{family}")
    lacks = [
        [name for name in _members(getattr(module, protocol)) if not hasattr(built, name)]
        for protocol in PROTOCOLS[family]
    ]
    return ", ".join(sorted(lacks, key=len)[0])


def _members(protocol: type) -> list[str]:
    return sorted(name for name in vars(protocol) if not name.startswith("_"))


__all__ = ["PROTOCOLS", "Factory", "PluginRow", "Registry", "installed"]
