"""No module that reaches words or decisions uses arithmetic whose bits depend on the machine.

What the matrix of environments cannot show on the machine at hand, the syntax shows on all of
them. Types are not seen: `sum` over floats is watched for while plans run (test_environments).
Source: solvers.md, section 4 (R1, R5).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "core/covenue/numerics",
    "plugins/domain-arbitrage",
    "plugins/domain-execution",
    "plugins/domain-routing",
    "plugins/solver-admm",
    "plugins/solver-dual",
    "plugins/solver-proximal",
    "plugins/solver-search",
)
APART = ("opened", "sections", "report", "dialect", "central", "disclosed")
"""Words in the names of modules that reports, translations and the recorded reference are made of.

No round of a determinism that is recomputed goes through them.
"""

LIBRARIES = {"cmath", "datetime", "random", "scipy", "secrets", "statistics", "time"}
MATH = {"ceil", "comb", "floor", "frexp", "fsum", "gcd", "inf", "isfinite", "isqrt", "lcm", "ldexp",
        "nextafter", "sqrt"}  # fmt: skip
NUMPY = {"average", "cbrt", "convolve", "correlate", "cos", "cross", "dot", "einsum", "exp", "exp2",
         "expm1", "fft", "float_power", "hypot", "inner", "interp", "kron", "linalg", "log",
         "log10", "log1p", "log2", "logaddexp", "matmul", "mean", "median", "nansum", "percentile",
         "polyfit", "polyval", "pow", "power", "quantile", "random", "reciprocal", "sin", "std",
         "tan", "tanh", "tensordot", "trace", "trapezoid", "var", "vdot", "vecdot"}  # fmt: skip
METHODS = {"dot", "mean", "std", "trace", "var"}
SUMS = {"nansum", "prod", "reduce", "reduceat", "sum"}
"""Of which every one needs dtype=np.int64, so that no float is added in an order that varies."""

WHOLE_POWERS = {
    "(2 * t + 1 - slices) ** 2",
    "(half + 1) ** 3",
    "(probes + 1) ** (rounds - 1)",
    "(total - target) ** 2",
    "j ** 3",
    "slices ** 2",
}
"""Powers of variables that are Python integers; of a float, `**` is a call of `pow`."""


def modules() -> list[Path]:
    """Every module that reaches words or decisions."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in found if not any(word in path.stem for word in APART)]


def forbidden(source: str) -> Iterator[str]:
    """What in a module breaks the rules, with its line."""
    nodes = list(ast.walk(ast.parse(source)))
    in_order = {id(each) for node in nodes for each in _in_order(node)}
    for node in nodes:
        if id(node) in in_order:
            continue
        for reason in (_imported(node), _called(node), _operated(node), _iterated(node)):
            if reason:
                yield f"line {getattr(node, 'lineno', 0)}: {reason}"


def _in_order(node: ast.AST) -> list[ast.comprehension]:
    """What a call of `sorted` goes through: there the order of a set does not show."""
    is_sorted = isinstance(node, ast.Call) and ast.unparse(node.func) == "sorted"
    given = node.args if isinstance(node, ast.Call) and is_sorted else []
    return [g for each in given if isinstance(each, ast.GeneratorExp) for g in each.generators]


def _imported(node: ast.AST) -> str:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
        if node.module == "math":
            wrong = [alias.name for alias in node.names if alias.name not in MATH]
            return f"math.{wrong[0]}" if wrong else ""
    wrong = [name for name in names if name.partition(".")[0] in LIBRARIES]
    return f"import of {wrong[0]}" if wrong else ""


def _called(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner in {"np", "numpy"} and node.attr in NUMPY:
            return f"np.{node.attr}"
        return f"math.{node.attr}" if owner == "math" and node.attr not in MATH else ""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name):
        return "pow" if node.func.id == "pow" else ""
    if not isinstance(node.func, ast.Attribute):
        return ""
    if node.func.attr in METHODS:
        return f".{node.func.attr}()"
    as_integers = any(
        k.arg == "dtype" and ast.unparse(k.value) == "np.int64" for k in node.keywords
    )
    is_sum = node.func.attr in SUMS and ast.unparse(node.func.value) != "functools"
    return f".{node.func.attr}() without dtype=np.int64" if is_sum and not as_integers else ""


def _operated(node: ast.AST) -> str:
    if not isinstance(node, ast.BinOp | ast.AugAssign):
        return ""
    if isinstance(node.op, ast.MatMult):
        return "@"
    base = node.left if isinstance(node, ast.BinOp) else node.target
    if not isinstance(node.op, ast.Pow) or ast.unparse(node) in WHOLE_POWERS:
        return ""
    is_exact = isinstance(base, ast.Constant) and (base.value == 2 or type(base.value) is int)
    return "" if is_exact else f"{ast.unparse(node)}: a power of no constant"


def _iterated(node: ast.AST) -> str:
    if not isinstance(node, ast.For | ast.comprehension):
        return ""
    source = node.iter
    named = isinstance(source, ast.Call) and isinstance(source.func, ast.Name)
    is_set = named and ast.unparse(source.func) in {"set", "frozenset"}  # type: ignore[attr-defined]  # a call
    return "iteration over a set" if is_set or isinstance(source, ast.Set | ast.SetComp) else ""


@pytest.mark.parametrize("path", modules(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_module_that_reaches_words_keeps_the_rules(path: Path) -> None:
    assert list(forbidden(path.read_text())) == []


def test_every_room_has_modules_that_are_read() -> None:
    read = {str(path.relative_to(ROOT)) for path in modules()}
    assert all(any(name.startswith(room) for name in read) for room in ROOMS)
    assert "plugins/domain-execution/covenue_domain_execution/kernels.py" in read
    assert len(read) > 60


@pytest.mark.parametrize(
    "line",
    [
        "x = np.dot(a, b)",
        "x = a.dot(b)",
        "x = a @ b",
        "a @= b",
        "x = np.einsum('i,i', a, b)",
        "x = np.linalg.solve(a, b)",
        "x = np.exp(a)",
        "from math import log",
        "import math\nx = math.exp(a)",
        "x = np.power(a, b)",
        "x = pow(a, b)",
        "x = a ** 0.5",
        "x = a ** b",
        "a **= 2",
        "x = 1.1 ** b",
        "x = a.sum()",
        "x = np.sum(a, axis=0)",
        "x = np.add.reduce(a)",
        "x = a.sum(dtype=np.float64)",
        "x = np.mean(a)",
        "import time",
        "from random import random",
        "import scipy.linalg",
        "for x in set(a): pass",
        "y = [x for x in {1, 2}]",
        "y = [x for x in {z for z in a}]",
    ],
)
def test_a_forbidden_line_is_found(line: str) -> None:
    assert list(forbidden(line))


@pytest.mark.parametrize(
    "line",
    [
        "x = np.sum(a, dtype=np.int64)",
        "x = a.sum(axis=0, dtype=np.int64)",
        "x = 2.0**-bits",
        "x = 10**digits",
        "x = np.cumsum(a)",
        "from math import sqrt, fsum",
        "for x in sorted(set(a)): pass",
        "y = sorted(x for x in set(a) if x)",
        "x = np.sqrt(a)",
    ],
)
def test_arithmetic_that_is_the_same_everywhere_passes(line: str) -> None:
    assert not list(forbidden(line))
