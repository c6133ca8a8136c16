"""Machine code where numba is installed; the same function, and the same bits, where it is not.

A kernel that is marked so does its arithmetic in a fixed order with + - * / sqrt, comparison,
rint, floor and clip: neither numba nor numpy changes a bit of that. numba is an extra of
the kernel (`pip install covenue[compiled]`); COVENUE_COMPILED=0 leaves it unused.
Source: solvers.md, section 4 (R1, R5).
"""

import os
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
SWITCH = "COVENUE_COMPILED"


def is_compiling() -> bool:
    """Whether kernels become machine code in this process."""
    return os.environ.get(SWITCH, "1") != "0" and find_spec("numba") is not None


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, compiled at its first call; `.plain` is always the function as written.

    It may call other functions marked so, by their global names. Neither fast-math nor contraction
    is allowed; the machine code is kept on disk for the next process.
    """
    made: list[Callable[P, R]] = []

    def machine_code() -> Callable[P, R]:
        if not made:
            made.append(_machine_code(function) if is_compiling() else function)
        return made[0]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return (made[0] if made else machine_code())(*args, **kwargs)

    call.plain = function  # type: ignore[attr-defined]  # a function object takes attributes
    call.machine_code = machine_code  # type: ignore[attr-defined]  # the same
    return call


def _digest(function: Any) -> str:
    """SHA-256 of all that machine code is made of: the code, its callees and their constants.

    numba finds kept machine code by name and by the stamp of the function's own file; without this
    a kernel would go on with the callees and constants that other files had when it was compiled.
    """
    code = function.__code__
    consts = [c.co_code if isinstance(c, CodeType) else repr(c).encode() for c in code.co_consts]
    parts = [code.co_code, *consts]
    for name in code.co_names:
        value: Any = function.__globals__.get(name)
        if hasattr(value, "machine_code"):
            parts.append(_digest(value.plain).encode())
        elif isinstance(value, int | float | tuple):
            parts.append(f"{name}={value!r}".encode())
    return sha256(b"\0".join(parts)).hexdigest()


def _machine_code(function: Callable[P, R]) -> Callable[P, R]:
    """numba's dispatcher, in whose globals each kernel that it calls is a dispatcher as well."""
    import numba

    names = function.__code__.co_names
    known = function.__globals__
    callees = {n: known[n].machine_code() for n in names if hasattr(known.get(n), "machine_code")}
    linked = FunctionType(
        function.__code__, {**known, **callees}, function.__name__, function.__defaults__
    )
    linked.__qualname__ = f"{function.__qualname__}_{_digest(function)[:16]}"
    linked.__module__ = function.__module__
    return numba.njit(cache=True, fastmath=False, error_model="numpy", nogil=True)(linked)
