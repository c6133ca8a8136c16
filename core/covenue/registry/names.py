"""Plugin names: ids and families, the nearest installed name, and the command that installs one."""

import difflib
import functools
import re
from collections.abc import Iterable

PREFIX = "covenue-"
SINGULARS = {
    "venues": "venue",
    "domains": "domain",
    "solvers": "solver",
    "privacy": "privacy",
    "ledgers": "ledger",
    "anchors": "anchor",
    "policies": "policy",
    "engines": "engine",
    "tools": "tool",
}


def plugin_id(family: str, name: str) -> str:
    """The id that a plugin of `family` carries by convention: `covenue-solver-search`."""
    return f"{PREFIX}{SINGULARS[family]}-{name}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `word`, or None when nothing is."""
    close = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.5)
    return close[0] if close else None


def nearest_kind(word: str, known: Iterable[str]) -> str | None:
    """The known contract whose name is most like that of `word`; versions do not count."""
    newest = {kind.partition("/")[0]: kind for kind in sorted(known)}
    return newest.get(nearest(word.partition("/")[0], newest) or "")


@functools.cache
def starter_ids() -> tuple[str, ...]:
    """Ids of the default set, read from the kernel's own metadata (its extra `starter`)."""
    from importlib import metadata

    try:
        required = metadata.requires("covenue") or []
    except metadata.PackageNotFoundError:
        return ()
    starters = (text for text in required if re.search(r"extra\s*==\s*['\"]starter['\"]", text))
    return tuple(sorted(re.split(r"[^a-z0-9-]", text, maxsplit=1)[0] for text in starters))


def pip_command(plugin: str) -> str:
    """The command that installs a starter plugin without a stranger's project slipping in.

    A kernel installed from a checkout takes its plugins from there, never alone from an index:
    somebody else may own the name (plugins.md, section 10).
    """
    if _kernel_is_local():
        return "pip install -r starter.txt (in the checkout of covenue)"
    return f"pip install covenue {plugin}"


@functools.cache
def _kernel_is_local() -> bool:
    from importlib import metadata

    try:
        return metadata.distribution("covenue").read_text("direct_url.json") is not None
    except metadata.PackageNotFoundError:
        return True
