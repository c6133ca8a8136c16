"""Which contracts a family's hook hands to a plugin and takes from it, read from its signatures.

What a method of a Protocol is given, the kernel hands over; what it returns, the kernel takes.
Where a plugin is given something to call (a coupling, a clock), the directions turn around. So the
kernel's side of the graph is what its hooks say, and nothing that somebody remembered to list.
"""

import inspect
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib import import_module
from typing import Any, TypeGuard, get_args, get_origin, get_type_hints

from covenue.registry.load import PROTOCOLS
from covenue_contracts.contract import Contract


@dataclass(frozen=True)
class Traffic:
    """Kinds that the kernel hands to the plugins of a family, and kinds that it takes from them."""

    hands: frozenset[str]
    takes: frozenset[str]


@cache
def traffic(family: str) -> Traffic:
    """What crosses the hook of a family; nothing where this host has no hook for it."""
    if family not in PROTOCOLS:
        return Traffic(frozenset(), frozenset())
    module = import_module(f"covenue.hooks.{family}")
    protocols = tuple(getattr(module, name) for name in PROTOCOLS[family])
    return traffic_of(protocols)


def traffic_of(protocols: tuple[type, ...]) -> Traffic:
    """What crosses a hook whose plugins hand over objects of these Protocols."""
    seen: set[tuple[object, bool]] = set()
    found = [step for protocol in protocols for step in _walk(protocol, False, seen)]
    return Traffic(
        hands=frozenset(kind for kind, handed in found if handed),
        takes=frozenset(kind for kind, handed in found if not handed),
    )


def _walk(hint: Any, handed: bool, seen: set[tuple[object, bool]]) -> Iterator[tuple[str, bool]]:
    """(kind, handed) of each contract that a type is made of, in whichever direction it goes."""
    if not isinstance(hint, Hashable) or (hint, handed) in seen:
        return
    seen.add((hint, handed))
    if _is_contract(hint):
        yield hint.kind_name, handed
    for part, turns in _parts(hint):
        yield from _walk(part, handed != turns, seen)


def _parts(hint: Any) -> Iterator[tuple[Any, bool]]:
    """The types that a type is made of, and whether the direction turns around on the way."""
    if get_origin(hint) is Callable:
        given, returned = get_args(hint)
        yield from ((part, True) for part in given if given is not Ellipsis)
        yield returned, False
    elif get_args(hint):
        yield from ((part, False) for part in get_args(hint))
    elif _is_contract(hint):
        yield from ((field.annotation, False) for field in hint.model_fields.values())
    elif isinstance(hint, type) and is_dataclass(hint):
        yield from ((part, False) for part in get_type_hints(hint).values())
    elif getattr(hint, "_is_protocol", False):
        for method in _methods(hint):
            hints = get_type_hints(method)
            yield hints.pop("return", None), False
            yield from ((part, True) for part in hints.values())


def _is_contract(hint: Any) -> TypeGuard[type[Contract]]:
    return isinstance(hint, type) and not get_args(hint) and issubclass(hint, Contract)


def _methods(protocol: type) -> Iterator[Callable[..., Any]]:
    for name in dir(protocol):
        member = inspect.getattr_static(protocol, name)
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(function):
            yield function


__all__ = ["Traffic", "traffic", "traffic_of"]
