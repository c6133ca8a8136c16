"""Edits of a document at one place, named by a JSON pointer: how an invalid vector is made."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

Edit = Callable[[Any], Any]


def put(pointer: str, value: Any) -> Edit:
    """Set the value at `pointer` (a new key, a changed one, or an index of an array)."""

    def edit(document: Any) -> Any:
        changed = copy.deepcopy(document)
        holder, key = _find(changed, pointer)
        holder[key] = copy.deepcopy(value)
        return changed

    return edit


def drop(pointer: str) -> Edit:
    """Remove what `pointer` names."""

    def edit(document: Any) -> Any:
        changed = copy.deepcopy(document)
        holder, key = _find(changed, pointer)
        del holder[key]
        return changed

    return edit


def merged(document: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy of a document with some fields replaced."""
    return {**copy.deepcopy(dict(document)), **fields}


def _find(document: Any, pointer: str) -> tuple[Any, Any]:
    *path, last = pointer.removeprefix("/").split("/")
    holder = document
    for step in path:
        holder = holder[_step(holder, step)]
    return holder, _step(holder, last)


def _step(holder: Any, step: str) -> Any:
    return int(step) if isinstance(holder, list) else step
